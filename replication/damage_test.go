package replication

import (
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/record"
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
	leader := p.partition("t", 0)
	var first int64
	for i := range 3 {
		_, err := leader.Append(t.Context(), batch(t, record.BatchOptions{}, fmt.Sprint(i)), AppendOptions{Acks: AcksAll})
		require.NoError(t, err)
		if i == 0 {
			first = leader.Size()
		}
	}
	p.inSync(2)
	require.NoError(t, p.logs2.Checkpoint())
	crashed := p.fs2.CrashClone(vfs.CrashCloneCfg{})
	p.stopFollower()
	p.fs2 = crashed
	damage(t, p.fs2, "follower/t-0/00000000000000000000.log", first+60)
	p.wire.mu.Lock()
	p.wire.lose = true // nothing is mended before the damage is seen
	p.wire.mu.Unlock()
	p.startFollower()
	replica, err := p.follower.Partition("t", 0)
	require.NoError(t, err)
	p.inSync(1)
	p.wire.mu.Lock()
	p.wire.lose = false
	p.wire.mu.Unlock()
	require.Eventually(t, func() bool { return replica.Failure() == nil && replica.DurableEnd() == 3 }, time.Minute, time.Millisecond)
	p.inSync(2)
	require.NoError(t, p.follower.Close())
	chunk, err := replica.log.Read(0, 1<<20, 3)
	require.NoError(t, err)
	copied, err := chunk.AppendTo(nil)
	chunk.Release()
	require.NoError(t, err)
	chunk, err = leader.log.Read(0, 1<<20, 3)
	require.NoError(t, err)
	original, err := chunk.AppendTo(nil)
	chunk.Release()
	require.NoError(t, err)
	require.Equal(t, original, copied)
}
