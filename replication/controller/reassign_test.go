package controller

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millracedb/millrace/replication/metadata"
)

// newSpread is a board with a spread topic of one partition with the given replicas.
func newSpread(t *testing.T, brokers int32, replicas ...int32) *board {
	b := newBoardOf(t, brokers, metadata.TopicSpec{Replicas: int32(len(replicas))})
	b.move(replicas...)
	b.catchUp()
	require.Equal(t, replicas, b.record().Replicas)
	return b
}

func (b *board) record() metadata.Partition {
	b.t.Helper()
	_, p := b.partition()
	return p
}

// move asks for a move, as a client does.
func (b *board) move(target ...int32) {
	b.t.Helper()
	topic, p := b.partition()
	n, epoch, err := Reassign(b.machine.Image(), topic, p, target)
	require.NoError(b.t, err)
	b.apply(func(x *metadata.Batch) { x.ChangePartition(topic.ID, p, n, epoch, nil) })
	b.review()
}

func (b *board) cancel() {
	b.t.Helper()
	topic, p := b.partition()
	n, epoch, err := CancelReassignment(b.machine.Image(), topic, p)
	require.NoError(b.t, err)
	b.apply(func(x *metadata.Batch) { x.ChangePartition(topic.ID, p, n, epoch, nil) })
	b.review()
}

func TestAPartitionIsMovedOnlyOnceTheNewReplicasAreInSync(t *testing.T) {
	b := newSpread(t, 5, 1, 2, 3)
	before := b.record()
	b.move(4, 5, 1)
	p := b.record()
	require.Equal(t, []int32{1, 2, 3, 4, 5}, p.Replicas)
	require.ElementsMatch(t, []int32{1, 2, 3}, p.ISR)
	require.Equal(t, []int32{4, 5}, p.Adding)
	require.Equal(t, []int32{2, 3}, p.Removing)
	require.Equal(t, p.PartitionEpoch, p.AddedAt)
	b.joins(1, 2, 3, 4)
	p = b.record()
	require.Len(t, p.Replicas, 5, "one is not there yet")
	require.Equal(t, []int32{4, 5}, p.Adding, "all of what is added can be taken back")
	b.joins(1, 2, 3, 4, 5)
	p = b.record()
	require.Equal(t, []int32{4, 5, 1}, p.Replicas)
	require.ElementsMatch(t, []int32{1, 4, 5}, p.ISR)
	require.EqualValues(t, 1, p.Leader, "it stays while it may")
	require.Equal(t, before.LeaderEpoch, p.LeaderEpoch)
	require.Empty(t, p.Adding)
	require.Empty(t, p.Removing)
	require.Nil(t, p.Target)
	for i, id := range p.Replicas {
		require.Equal(t, metadata.UUID{byte(id)}, p.Directories[i])
	}
	b.steady = true
	b.review()
	require.EqualValues(t, 4, b.record().Leader, "the first is the one that is to lead")
}

func TestALeaderThatIsMovedAwayHandsOver(t *testing.T) {
	b := newSpread(t, 4, 1, 2, 3)
	before := b.record()
	b.move(2, 3, 4)
	require.EqualValues(t, 1, b.record().Leader)
	b.joins(1, 2, 3, 4)
	p := b.record()
	require.EqualValues(t, 2, p.Leader)
	require.Equal(t, before.LeaderEpoch+1, p.LeaderEpoch)
	require.Equal(t, []int32{2, 3, 4}, p.Replicas)
}

func TestALeaderThatIsMovedAwayStaysInSyncUntilItHasHeardSo(t *testing.T) {
	b := newSpread(t, 4, 1, 2, 3)
	b.deaf, b.steady = true, true
	b.move(2, 3, 4)
	b.joins(1, 2, 3, 4)
	p := b.record()
	require.EqualValues(t, 2, p.Leader)
	require.ElementsMatch(t, []int32{1, 2, 3, 4}, p.ISR)
	b.deaf = false
	b.review()
	require.Equal(t, []int32{2, 3, 4}, b.record().Replicas)
}

func TestAMoveIsTakenBack(t *testing.T) {
	b := newSpread(t, 5, 1, 2, 3)
	b.move(4, 5)
	b.joins(1, 2, 3, 4)
	b.cancel()
	p := b.record()
	require.Equal(t, []int32{1, 2, 3}, p.Replicas)
	require.ElementsMatch(t, []int32{1, 2, 3}, p.ISR)
	require.Zero(t, p.Wanted)
	topic, _ := b.partition()
	_, _, err := CancelReassignment(b.machine.Image(), topic, p)
	require.ErrorIs(t, err, kerr.NoReassignmentInProgress)
}

func TestAMoveWhoseOldReplicasAreGoneGoesOn(t *testing.T) {
	b := newSpread(t, 3, 1)
	b.move(2, 3)
	b.joins(1, 2)
	b.fence(1)
	topic, p := b.partition()
	require.EqualValues(t, 2, p.Leader)
	_, _, err := CancelReassignment(b.machine.Image(), topic, p)
	require.ErrorIs(t, err, kerr.InvalidReplicaAssignment)
	b.joins(2, 3)
	require.Equal(t, []int32{2, 3}, b.record().Replicas)
}

func TestAMoveIsRedirected(t *testing.T) {
	b := newSpread(t, 5, 1, 2, 3)
	b.move(1, 2, 4)
	b.move(1, 2, 5)
	p := b.record()
	require.Equal(t, []int32{1, 2, 3, 5}, p.Replicas, "what had not caught up is given up at once")
	b.joins(1, 2, 3, 5)
	require.Equal(t, []int32{1, 2, 5}, b.record().Replicas)
	b.move(1, 2, 4)
	b.joins(1, 2, 4, 5)
	require.Equal(t, []int32{1, 2, 4}, b.record().Replicas)
}

func TestTheNumberOfReplicasOfAPartitionIsChanged(t *testing.T) {
	b := newSpread(t, 4, 1, 2, 3)
	b.move(1, 2)
	p := b.record()
	require.Equal(t, []int32{1, 2}, p.Replicas, "nothing has to be copied")
	require.EqualValues(t, 2, p.Wanted)
	b.fence(3)
	b.admit(3)
	require.Equal(t, []int32{1, 2}, b.record().Replicas, "it is not given another again")
	b.move(1, 2, 3, 4)
	b.joins(1, 2, 3, 4)
	require.Equal(t, []int32{1, 2, 3, 4}, b.record().Replicas)
	require.EqualValues(t, 4, b.record().Wanted)
	b.move(4, 3, 2)
	require.Equal(t, []int32{4, 3, 2}, b.record().Replicas)
	require.Zero(t, b.record().Wanted, "it is as its topic wants again")
}

func TestAMoveLeavesEnoughInSyncForWrites(t *testing.T) {
	b := newSpread(t, 3, 1, 2, 3)
	b.fence(2)
	b.move(1, 2)
	require.Equal(t, []int32{1, 2, 3}, b.record().Replicas, "node 3 is needed for writes")
	b.admit(2)
	b.joins(1, 2, 3)
	require.Equal(t, []int32{1, 2}, b.record().Replicas)
}

func TestAMoveWaitsForNoReplicaThatItHadAndThatIsDead(t *testing.T) {
	b := newSpread(t, 4, 1, 2, 3)
	b.fence(2)
	b.move(1, 2, 4)
	b.joins(1, 3, 4)
	p := b.record()
	require.Equal(t, []int32{1, 2, 4}, p.Replicas)
	require.ElementsMatch(t, []int32{1, 4}, p.ISR)
}

func TestWhereAPartitionCannotBeMoved(t *testing.T) {
	b := newSpread(t, 4, 1, 2, 3)
	b.wish(func(x *metadata.Batch) { x.Drain(4) })
	topic, p := b.partition()
	for name, target := range map[string][]int32{
		"nowhere": {}, "to one twice": {1, 1}, "to an unknown node": {1, 9}, "to a negative one": {-1}, "to a drained one": {1, 4},
	} {
		_, _, err := Reassign(b.machine.Image(), topic, p, target)
		require.ErrorIs(t, err, kerr.InvalidReplicaAssignment, name)
	}
	own := newBoard(t, 4, metadata.TopicSpec{})
	topic, p = own.partition()
	_, _, err := Reassign(own.machine.Image(), topic, p, []int32{2, 3})
	require.ErrorContains(t, err, "node 1 leads this topic")
	own.move(1, 3, 4)
	own.catchUp()
	require.Equal(t, []int32{1, 3, 4}, own.record().Replicas)
}

func TestTheQueriesKeepTheirReplicaThoughTheyCameWhileItMoved(t *testing.T) {
	b := newBoard(t, 2, metadata.TopicSpec{Replicas: 2})
	for id := int32(3); id <= 4; id++ {
		b.apply(func(x *metadata.Batch) {
			x.RegisterBroker(metadata.Broker{ID: id, Directory: metadata.UUID{byte(id)}}, 0)
		})
	}
	b.move(1, 3)
	b.state(1, false, true) // the queries move to 2
	b.is(2, []int32{2}, []int32{1})
	b.admit(1)
	b.catchUp()
	p := b.record()
	require.EqualValues(t, 2, p.Leader)
	require.Equal(t, []int32{1, 3, 2}, p.Replicas)
}

func TestOperatorsElectThePreferredReplicaOrAnyThatIsLeft(t *testing.T) {
	b := newSpread(t, 3, 1, 2, 3)
	topic, p := b.partition()
	_, err := Elect(b.machine.Image(), topic, p, false)
	require.ErrorIs(t, err, kerr.ElectionNotNeeded)
	b.fence(1)
	topic, p = b.partition()
	_, err = Elect(b.machine.Image(), topic, p, false)
	require.ErrorIs(t, err, kerr.PreferredLeaderNotAvailable)
	b.admit(1)
	b.joins(1, 2, 3)
	topic, p = b.partition()
	require.EqualValues(t, 2, p.Leader)
	n, err := Elect(b.machine.Image(), topic, p, false)
	require.NoError(t, err)
	require.EqualValues(t, 1, n.Leader)

	_, err = Elect(b.machine.Image(), topic, p, true)
	require.ErrorIs(t, err, kerr.ElectionNotNeeded)
	b.fence(3)
	b.fence(1)
	b.fence(2)
	topic, p = b.partition()
	_, err = Elect(b.machine.Image(), topic, p, true)
	require.ErrorIs(t, err, kerr.EligibleLeadersNotAvailable)
	b.admit(3)
	topic, p = b.partition()
	require.Equal(t, metadata.NoLeader, p.Leader)
	n, err = Elect(b.machine.Image(), topic, p, true)
	require.NoError(t, err)
	require.EqualValues(t, 3, n.Leader)
	require.Equal(t, metadata.Recovering, n.RecoveryState)
}
