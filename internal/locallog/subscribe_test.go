package locallog

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/replication/metadata"
)

// here is Peers of a node that leads everything.
type here struct{ otherNode }

func (h here) Place(topic string, partition int32) (Place, error) {
	place, err := h.otherNode.Place(topic, partition)
	place.Here, place.Spread = true, true
	return place, err
}

// TestWhoSubscribesHearsOfAReplicaThatWasDroppedAndCameBack: partitions are moved away and back under their readers.
func TestWhoSubscribesHearsOfAReplicaThatWasDroppedAndCameBack(t *testing.T) {
	n := startNode(t, fsys.NewMem(), "data")
	defer n.stop(t)
	n.createTopic(t, "t", 1)
	l := NewWorker(n.partitions, n.broker, clock.Real, here{otherNode{n}})
	defer l.Close()
	wake := make(chan struct{}, 1)
	cancel, err := l.Subscribe(exec.TopicPartition{Topic: "t"}, wake)
	require.NoError(t, err)
	defer cancel()
	apply := func(build func(b *metadata.Batch)) {
		b := n.meta.NewBatch()
		build(b)
		r, err := n.meta.Apply(t.Context(), b)
		require.NoError(t, err)
		require.NoError(t, n.partitions.WaitIndex(t.Context(), r.Index))
	}
	apply(func(b *metadata.Batch) { b.RegisterBroker(metadata.Broker{ID: 2, Directory: metadata.UUID{2}}, 0) })
	old, err := n.partitions.Partition("t", 0)
	require.NoError(t, err)
	for _, id := range []int32{2, 1} {
		apply(func(b *metadata.Batch) {
			topic, _ := b.Image().Topic("t")
			next := topic.Partitions[0]
			next.Replicas, next.ISR, next.Leader, next.Directories = []int32{id}, []int32{id}, id, next.Directories[:1]
			b.ChangePartition(topic.ID, topic.Partitions[0], next, true, nil)
		})
	}
	now, err := n.partitions.Partition("t", 0)
	require.NoError(t, err)
	require.NotSame(t, old, now)
	deadline := time.After(time.Minute)
	for {
		l.subs.Lock()
		bound := false
		for s := range l.subs.of[exec.TopicPartition{Topic: "t"}] {
			bound = s.at == now
		}
		l.subs.Unlock()
		if bound {
			break
		}
		select {
		case <-wake:
		case <-time.After(time.Millisecond):
		case <-deadline:
			t.Fatal("it follows a replica that is gone")
		}
	}
}
