package replication

import (
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/record"
	"github.com/millracedb/millrace/log"
	"github.com/millracedb/millrace/replication/metadata"
)

// damage changes a byte of a file.
func damage(t *testing.T, fs *fsys.Mem, file string, at int64) {
	f, err := fs.OpenReadWrite(file, fsys.Category)
	require.NoError(t, err)
	_, err = f.WriteAt([]byte("x"), at)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

// inSync waits until the in-sync set of t-0 has as many members.
func (p *pair) inSync(n int) {
	require.Eventually(p.t, func() bool {
		topic, _ := p.meta.Image().Topic("t")
		return len(topic.Partitions[0].ISR) == n
	}, time.Minute, time.Millisecond)
}

func TestADamagedReplicaIsFetchedAgain(t *testing.T) {
	p := startPair(t, metadata.TopicSpec{Name: "t", Partitions: 1})
	leader, _, first := p.three()
	require.NoError(t, p.logs2.Checkpoint())
	crashed := p.fs2.CrashClone(vfs.CrashCloneCfg{})
	p.stopFollower()
	p.fs2 = crashed
	damage(t, p.fs2, "follower/t-0/00000000000000000000.log", first+65)
	p.wire.setLose(true) // nothing is mended before the damage is seen
	p.startFollower()
	replica, err := p.follower.Partition("t", 0)
	require.NoError(t, err)
	p.inSync(1)
	p.wire.setLose(false)
	require.Eventually(t, func() bool { return replica.Failure() == nil && replica.DurableEnd() == 3 }, time.Minute, time.Millisecond)
	p.inSync(2)
	require.Equal(t, bytesOf(t, leader), bytesOf(t, replica))
}

// bytesOf are those of a replica's log, up to offset 3.
func bytesOf(t *testing.T, p *Partition) []byte {
	chunk, err := p.log.Read(0, 1<<20, 3)
	require.NoError(t, err)
	defer chunk.Release()
	data, err := chunk.AppendTo(nil)
	require.NoError(t, err)
	return data
}

// three makes three records that both replicas have. It returns the size of the first.
func (p *pair) three() (leader, replica *Partition, first int64) {
	leader = p.partition("t", 0)
	for i := range 3 {
		_, err := leader.Append(p.t.Context(), batch(p.t, record.BatchOptions{}, fmt.Sprint(i)), AppendOptions{Acks: AcksAll})
		require.NoError(p.t, err)
		if i == 0 {
			first = leader.Size()
		}
	}
	p.inSync(2)
	require.Eventually(p.t, func() bool {
		r, err := p.follower.Partition("t", 0)
		replica = r
		return err == nil && r.DurableEnd() == 3
	}, time.Minute, time.Millisecond)
	return leader, replica, first
}

// meet has a reader come upon damage in the second record.
func meet(t *testing.T, p *Partition) {
	chunk, err := p.log.Read(1, 1<<20, 3)
	if err == nil {
		_, err = chunk.AppendTo(nil)
		chunk.Release()
	}
	require.ErrorIs(t, err, log.ErrDamaged)
}

func TestAReplicaThatIsFoundDamagedWhileItFollowsIsFetchedAgain(t *testing.T) {
	p := startPair(t, metadata.TopicSpec{Name: "t", Partitions: 1})
	leader, replica, first := p.three()
	before := p.record().PartitionEpoch
	damage(t, p.fs2, "follower/t-0/00000000000000000000.log", first+65)
	meet(t, replica)
	require.Eventually(t, func() bool { return replica.Failure() == nil && replica.DurableEnd() == 3 }, time.Minute, time.Millisecond)
	p.inSync(2)
	require.Equal(t, bytesOf(t, leader), bytesOf(t, replica))
	require.Greater(t, p.record().AddedAt, before, "what it had sent before is not believed")
}

func TestALeaderThatMeetsDamageLeavesItToAnotherAndFetchesAgain(t *testing.T) {
	p := startPair(t, metadata.TopicSpec{Name: "t", Partitions: 1})
	leader, replica, first := p.three()
	p.back.leader = p.follower
	damage(t, p.fs, "data/t-0/00000000000000000000.log", first+65)
	meet(t, leader)
	p.elected(2)
	require.Eventually(t, func() bool { return leader.Failure() == nil && leader.DurableEnd() == 3 }, time.Minute, time.Millisecond)
	p.inSync(2)
	require.Equal(t, bytesOf(t, replica), bytesOf(t, leader))
}

func TestADamagedLeaderLeadsOnUntilAnotherIsInSync(t *testing.T) {
	p := startPair(t, metadata.TopicSpec{Name: "t", Partitions: 1, Configs: map[string]string{"min.insync.replicas": "1"}})
	leader, _, first := p.three()
	p.stopFollower()
	p.apply(func(b *metadata.Batch) { // it was taken for dead
		b.SetBrokerState(2, brokerEpoch(p.meta, 2), true, false)
		topic, _ := b.Image().Topic("t")
		was := topic.Partitions[0]
		next := was
		next.ISR = []int32{1}
		b.ChangePartition(topic.ID, was, next, false, nil)
	})
	damage(t, p.fs, "data/t-0/00000000000000000000.log", first+65)
	meet(t, leader)
	require.ErrorIs(t, leader.Failure(), log.ErrDamaged)
	_, err := leader.Append(t.Context(), batch(t, record.BatchOptions{}, "more"), AppendOptions{Acks: AcksAll})
	require.NoError(t, err)
	p.apply(func(b *metadata.Batch) { b.SetBrokerState(2, brokerEpoch(p.meta, 2), false, false) })
	p.startFollower()
	p.back.leader = p.follower
	p.elected(2)
	replica, err := p.follower.Partition("t", 0)
	require.NoError(t, err)
	require.EqualValues(t, 4, replica.LogEnd())
	require.Eventually(t, func() bool { return leader.Failure() == nil && leader.DurableEnd() == 4 }, time.Minute, time.Millisecond)
	require.Equal(t, bytesOf(t, replica), bytesOf(t, leader))
}

// TestADamagedReplicaThatWasAddedAgainIsAnotherOne: who sees to the damage of the one that went must not have the one that came give up its place.
func TestADamagedReplicaThatWasAddedAgainIsAnotherOne(t *testing.T) {
	c := newTrio(t)
	c.append(1, "a")
	c.catchUp(2)
	first := c.replica(2).Size()
	c.append(1, "b", "c")
	c.catchUp(2)
	damaged := c.replica(2)
	damage(t, c.boxes[2].fs, "data/t-0/00000000000000000000.log", first+65)
	meet(t, damaged)
	replicas := func(ids ...int32) {
		c.change(false, func(p *metadata.Partition) {
			p.Replicas, p.ISR, p.Directories = ids, ids, make([]metadata.UUID, len(ids))
		})
		c.tell(2)
	}
	replicas(1, 3)
	replicas(1, 3, 2)
	require.NotSame(t, damaged, c.replica(2))
	require.Error(t, damaged.Failure())
	c.boxes[2].mend(damaged) // which would ask the other nodes, of which there are none here
}

func (p *pair) record() metadata.Partition {
	topic, _ := p.meta.Image().Topic("t")
	return topic.Partitions[0]
}

// elected waits until the partition has no leader, and makes node id that, as a controller does.
func (p *pair) elected(id int32) {
	require.Eventually(p.t, func() bool { return p.record().Leader == metadata.NoLeader }, time.Minute, time.Millisecond)
	require.Equal(p.t, []int32{id}, p.record().ISR)
	p.apply(func(b *metadata.Batch) {
		topic, _ := b.Image().Topic("t")
		was := topic.Partitions[0]
		next := was
		next.Leader = id
		b.ChangePartition(topic.ID, was, next, true, nil)
	})
}

func (w *wire) setLose(lose bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lose = lose
}
