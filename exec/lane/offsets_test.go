package lane

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/internal/clock"
)

// taken is a coordinator with which another node has claimed a partition: it takes nothing of a request that has an offset of it.
type taken struct {
	*script
	partition int32
}

func (c *taken) Request(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	r, ok := req.(*kmsg.TxnOffsetCommitRequest)
	if !ok {
		return c.script.Request(ctx, req)
	}
	resp := r.ResponseKind().(*kmsg.TxnOffsetCommitResponse)
	topic := kmsg.TxnOffsetCommitResponseTopic{Topic: r.Topics[0].Topic}
	lost := false
	for _, p := range r.Topics[0].Partitions {
		lost = lost || p.Partition == c.partition
	}
	for _, p := range r.Topics[0].Partitions {
		part := kmsg.TxnOffsetCommitResponseTopicPartition{Partition: p.Partition}
		if lost {
			part.ErrorCode = kerr.OperationNotAttempted.Code
		}
		if p.Partition == c.partition {
			part.ErrorCode = kerr.IllegalGeneration.Code
		}
		topic.Partitions = append(topic.Partitions, part)
	}
	resp.Topics = append(resp.Topics, topic)
	return resp, nil
}

func TestTaskThatLostItsPartitionLeavesTheOthersOfItsClaim(t *testing.T) {
	l, err := Open(t.Context(), Options{Transport: &taken{script: &script{version: 2}, partition: 1}, Clock: clock.Real, TransactionalID: "lane"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	var round []exec.TaskCommit
	for p := range int32(3) {
		round = append(round, exec.TaskCommit{
			Group: "g", Member: "m", Generation: 4, Batches: []exec.PartitionBatch{testBatch(t, p, 1)},
			Offsets: []exec.PartitionOffset{{TopicPartition: exec.TopicPartition{Topic: "in", Partition: p}, Offset: 3}},
		})
	}
	results, err := l.Commit(t.Context(), round)
	require.NoError(t, err)
	require.NoError(t, results[0].Err)
	require.ErrorIs(t, results[1].Err, exec.ErrStaleGeneration)
	require.NoError(t, results[2].Err)
	require.Len(t, results[2].Appended, 1)
}
