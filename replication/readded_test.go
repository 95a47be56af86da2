package replication

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/record"
	"github.com/millracedb/millrace/replication/metadata"
)

// TestAFetchFromBeforeAReplicaWasAddedAgainAcknowledgesNothing: what a follower had when it was taken off is gone. A fetch that it had sent before, and that comes late, must not let it into the
// in-sync set.
func TestAFetchFromBeforeAReplicaWasAddedAgainAcknowledgesNothing(t *testing.T) {
	n := start(t)
	p := n.topic("t", 1, nil)
	var epoch uint64
	n.apply(func(b *metadata.Batch) { b.RegisterBroker(metadata.Broker{ID: 2, Directory: metadata.UUID{2}}, 0) })
	k, _ := n.meta.Image().Broker(2)
	epoch = k.Epoch
	replicas := func(ids ...int32) {
		n.apply(func(b *metadata.Batch) {
			topic, _ := b.Image().Topic("t")
			was := topic.Partitions[0]
			next := was
			next.Replicas, next.Directories = ids, make([]metadata.UUID, len(ids))
			b.ChangePartition(topic.ID, was, next, false, nil)
		})
	}
	replicas(1, 2)
	for range 3 {
		_, err := p.Append(t.Context(), batch(t, record.BatchOptions{}, "v"), AppendOptions{Acks: AcksLeader})
		require.NoError(t, err)
	}
	fetch := func(recordEpoch int32) int16 {
		req := kmsg.NewPtrFetchRequest()
		req.Version, req.MaxBytes = fetchVersion, fetchBytes
		req.ReplicaState.ID, req.ReplicaState.Epoch = 2, int64(epoch)
		pos := position{p: p, epoch: p.LeaderEpoch(), offset: p.LogEnd(), record: recordEpoch}
		topic := kmsg.NewFetchRequestTopic()
		topic.TopicID, topic.Partitions = p.TopicID(), append(topic.Partitions, pos.request())
		req.Topics = append(req.Topics, topic)
		resp := n.ServeFetch(t.Context(), 2, req)
		if len(resp.Topics) == 0 {
			return 0
		}
		return resp.Topics[0].Partitions[0].ErrorCode
	}
	asks := func() int { return len(n.asks) }
	recordEpoch := func() int32 {
		topic, _ := n.meta.Image().Topic("t")
		return topic.Partitions[0].PartitionEpoch
	}
	before := recordEpoch()
	replicas(1)
	replicas(1, 2)
	require.Equal(t, kerr.UnknownLeaderEpoch.Code, fetch(before))
	require.Zero(t, asks(), "it is not asked into the in-sync set")
	require.Zero(t, fetch(recordEpoch()))
	require.Equal(t, 1, asks())
}
