package lane

import (
	"context"
	"fmt"
	"sync/atomic"
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

// roundOf is a round of tasks of one claim, each with a partition that it reads and one that it writes.
func roundOf(t *testing.T, tasks int32) []exec.TaskCommit {
	t.Helper()
	var round []exec.TaskCommit
	for p := range tasks {
		round = append(round, exec.TaskCommit{
			Group: "g", Member: "m", Generation: 4, Batches: []exec.PartitionBatch{testBatch(t, p, 1)},
			Offsets: []exec.PartitionOffset{{TopicPartition: exec.TopicPartition{Topic: "in", Partition: p}, Offset: 3}},
		})
	}
	return round
}

func TestTaskThatLostItsPartitionLeavesTheOthersOfItsClaim(t *testing.T) {
	l, err := Open(t.Context(), Options{Transport: &taken{script: &script{version: 2}, partition: 1}, Clock: clock.Real, TransactionalID: "lane"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	results, err := l.Commit(t.Context(), roundOf(t, 3))
	require.NoError(t, err)
	require.NoError(t, results[0].Err)
	require.ErrorIs(t, results[1].Err, exec.ErrStaleGeneration)
	require.NoError(t, results[2].Err)
	require.Len(t, results[2].Appended, 1)
}

// overtaken is a coordinator that has taken the first request for offsets, whose answer says that it is not known, and with which another node has claimed a partition since.
type overtaken struct {
	*taken
	how func() (code int16, err error)
}

func (c *overtaken) Request(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	r, ok := req.(*kmsg.TxnOffsetCommitRequest)
	if !ok || c.how == nil {
		return c.taken.Request(ctx, req)
	}
	code, err := c.how()
	c.how = nil
	resp := r.ResponseKind().(*kmsg.TxnOffsetCommitResponse)
	topic := kmsg.TxnOffsetCommitResponseTopic{Topic: r.Topics[0].Topic}
	for _, p := range r.Topics[0].Partitions {
		topic.Partitions = append(topic.Partitions, kmsg.TxnOffsetCommitResponseTopicPartition{Partition: p.Partition, ErrorCode: code})
	}
	resp.Topics = append(resp.Topics, topic)
	return resp, err
}

func TestOffsetsThatMayBePendingOfATaskThatIsRefusedAreNotCommittedWithTheOthers(t *testing.T) {
	for name, how := range map[string]func() (int16, error){
		"lost":      func() (int16, error) { return 0, errLost },
		"not known": func() (int16, error) { return kerr.NotCoordinator.Code, nil },
	} {
		t.Run(name, func(t *testing.T) {
			c := &overtaken{&taken{script: &script{version: 2}, partition: 1}, how}
			l, err := Open(t.Context(), Options{Transport: c, Clock: clock.Real, TransactionalID: "lane"})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, l.Close()) })
			c.asked = nil
			results, err := l.Commit(t.Context(), roundOf(t, 2))
			require.NoError(t, err)
			require.NoError(t, results[0].Err)
			require.ErrorIs(t, results[1].Err, exec.ErrStaleGeneration)
			require.Equal(t, []string{"EndTxn v5 epoch=1 commit=false", "Produce out-0 epoch=2 seq=0", "EndTxn v5 epoch=2 commit=true"}, c.asked)
		})
	}
}

// gathering is a coordinator that answers for no group before it has been asked for all.
type gathering struct {
	*script
	left atomic.Int32
	all  chan struct{}
}

func (c *gathering) Request(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	r, ok := req.(*kmsg.TxnOffsetCommitRequest)
	if !ok {
		return c.script.Request(ctx, req)
	}
	if c.left.Add(-1) == 0 {
		close(c.all)
	}
	select {
	case <-c.all:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	resp := r.ResponseKind().(*kmsg.TxnOffsetCommitResponse)
	topic := kmsg.TxnOffsetCommitResponseTopic{Topic: r.Topics[0].Topic}
	for _, p := range r.Topics[0].Partitions {
		topic.Partitions = append(topic.Partitions, kmsg.TxnOffsetCommitResponseTopicPartition{Partition: p.Partition})
	}
	resp.Topics = append(resp.Topics, topic)
	return resp, nil
}

func TestOffsetsOfManyGroupsAreSentSideBySide(t *testing.T) {
	c := &gathering{script: &script{version: 2}, all: make(chan struct{})}
	c.left.Store(offsetsParallel)
	l, err := Open(t.Context(), Options{Transport: c, Clock: clock.Real, TransactionalID: "lane"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	var round []exec.TaskCommit
	for i := range int32(3 * offsetsParallel) {
		round = append(round, exec.TaskCommit{
			Group: fmt.Sprint("g", i), Member: "m", Generation: 4,
			Offsets: []exec.PartitionOffset{{TopicPartition: exec.TopicPartition{Topic: "in", Partition: i}, Offset: 3}},
		})
	}
	results, err := l.Commit(t.Context(), round)
	require.NoError(t, err)
	for i := range results {
		require.NoError(t, results[i].Err)
	}
	require.EqualValues(t, -2*offsetsParallel, c.left.Load(), "each group once")
}

func TestErrorsOfSeveralGroupsAreToldTogether(t *testing.T) {
	some, others := &blame{}, &blame{}
	some.add(1, kerr.UnknownServerError)
	others.add(3, exec.ErrUnavailable)
	var all *blame
	require.ErrorAs(t, joined([]error{nil, some, others}), &all)
	require.Len(t, all.byTask, 2)
	require.ErrorIs(t, joined([]error{some, exec.ErrFenced}), exec.ErrFenced)
	require.NoError(t, joined([]error{nil, nil}))
}
