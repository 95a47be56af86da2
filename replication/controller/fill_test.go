package controller

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/replication/metadata"
)

// replicas counts the replicas of each broker.
func (b *board) replicas() map[int32]int {
	topic, _ := b.partition()
	n := map[int32]int{}
	for _, p := range topic.Partitions {
		for _, id := range p.Replicas {
			n[id]++
		}
	}
	return n
}

// settleAll has everything that is being added catch up, until nothing moves.
func (b *board) settleAll() {
	b.t.Helper()
	for range 3 {
		b.catchUp()
	}
	topic, _ := b.partition()
	for _, p := range topic.Partitions {
		require.Nil(b.t, p.Target)
	}
}

func TestANodeThatIsDrainedNoMoreGetsItsShareAgain(t *testing.T) {
	b := newBoardOf(t, 4, metadata.TopicSpec{Partitions: 40, Replicas: 3})
	b.steady = true
	require.Equal(t, map[int32]int{1: 30, 2: 30, 3: 30, 4: 30}, b.replicas())
	b.wish(func(x *metadata.Batch) { x.Drain(4) })
	b.settleAll()
	require.Equal(t, map[int32]int{1: 40, 2: 40, 3: 40}, b.replicas())
	b.wish(func(x *metadata.Batch) { x.Undrain(4); x.Fill(4) })
	require.False(t, b.machine.Image().Filling(4), "all of it has begun")
	b.settleAll()
	require.Equal(t, map[int32]int{1: 30, 2: 30, 3: 30, 4: 30}, b.replicas())
	leads := b.leads()
	for id := int32(1); id <= 4; id++ {
		require.Positive(t, leads[id])
	}
}

func TestANewNodeIsFilledWithoutLosingARack(t *testing.T) {
	b := newBoardOf(t, 1, metadata.TopicSpec{Partitions: 12, Replicas: 2})
	b.steady = true
	join := func(id int32, rack string) {
		b.apply(func(x *metadata.Batch) {
			x.RegisterBroker(metadata.Broker{ID: id, Directory: metadata.UUID{byte(id)}, Rack: rack}, 0)
		})
		b.review()
	}
	join(2, "b")
	b.settleAll()
	join(3, "b")
	b.wish(func(x *metadata.Batch) { x.Fill(3) })
	b.settleAll()
	require.Equal(t, map[int32]int{1: 12, 2: 6, 3: 6}, b.replicas(), "node 1 is alone in its rack")
}

func TestANodeThatIsDrainedWhileItIsFilledLeavesThePartitionsWhereTheyAre(t *testing.T) {
	b := newBoardOf(t, 4, metadata.TopicSpec{Partitions: 8, Replicas: 3})
	b.steady = true
	b.wish(func(x *metadata.Batch) { x.Drain(4) })
	b.settleAll()
	b.wish(func(x *metadata.Batch) { x.Undrain(4); x.Fill(4) })
	require.Positive(t, b.replicas()[4])
	b.wish(func(x *metadata.Batch) { x.Drain(4) })
	b.settleAll()
	require.Equal(t, map[int32]int{1: 8, 2: 8, 3: 8}, b.replicas())
}
