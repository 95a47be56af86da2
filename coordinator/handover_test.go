package coordinator

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/record"
)

// TestARecordUnderWayAtAHandOverIsAcknowledgedIfTheNextLeaderHasIt: otherwise its producer hears that it may be there or not.
func TestARecordUnderWayAtAHandOverIsAcknowledgedIfTheNextLeaderHasIt(t *testing.T) {
	b, m := newTestBroker(t)
	produce := func() error {
		var batch record.Builder
		batch.Reset(record.BatchOptions{})
		require.NoError(t, batch.Append(1, nil, []byte("a")))
		records, err := batch.Finish(nil)
		require.NoError(t, err)
		req := kmsg.NewPtrProduceRequest()
		req.Version, req.Acks = 12, -1
		req.Topics = []kmsg.ProduceRequestTopic{{Topic: out0.Topic, Partitions: []kmsg.ProduceRequestTopicPartition{{Partition: out0.Partition, Records: records}}}}
		return kerr.ErrorForCode(b.Produce(testCtx, req).Topics[0].Partitions[0].ErrorCode)
	}
	out := m.get(out0.Topic, out0.Partition)
	require.NoError(t, produce())
	out.depose()
	require.ErrorIs(t, produce(), kerr.NotEnoughReplicasAfterAppend)
	out.mu.Lock()
	out.mu.outlives = true
	out.mu.Unlock()
	require.NoError(t, produce())
}

// moved is a cluster in which another node has come to coordinate everything, which this one has not heard of yet.
type moved struct{ to func() *Broker }

func (moved) Leader(string, int32) (int32, bool) { return 2, true }
func (moved) Spread(string) bool                 { return true }
func (moved) Others() bool                       { return true }
func (moved) Active() []int32                    { return nil }
func (moved) Leaderless() bool                   { return false }

func (m moved) Call(ctx context.Context, _ int32, req kmsg.Request) (kmsg.Response, error) {
	return m.to().AddPartitionsToTxn(ctx, req.(*kmsg.AddPartitionsToTxnRequest)), nil
}

// TestALeaderAsksTheNextCoordinatorWhereItHasJustBeenDeposedAsOne: a producer that hears NOT_COORDINATOR of a produce request asks for metadata, which can take seconds, and finds nothing new there.
func TestALeaderAsksTheNextCoordinatorWhereItHasJustBeenDeposedAsOne(t *testing.T) {
	next := func() *Broker {
		b := New(Config{Partitions: newMemLog(testTopics()), AllocateIDs: (&ids{next: 1000}).allocate, Clock: clock.Real, InternalPartitions: testPartitions})
		t.Cleanup(func() { require.NoError(t, b.Close()) })
		require.NoError(t, b.Lead(t.Context(), allOf(TransactionTopic)))
		return b
	}()
	m := newMemLog(testTopics())
	b := New(Config{Partitions: m, Peers: moved{func() *Broker { return next }}, AllocateIDs: (&ids{next: 1000}).allocate, Clock: clock.Real, InternalPartitions: testPartitions})
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	require.NoError(t, b.Lead(t.Context(), allOf(TransactionTopic)))

	old, p := &testProducer{b: b, txID: "tx"}, &testProducer{b: next, txID: "tx"}
	require.NoError(t, old.init(testCtx))
	require.NoError(t, p.init(testCtx))
	require.Equal(t, old.id, p.id, "both coordinators know the producer")
	m.get(TransactionTopic, PartitionFor("tx", testPartitions)).depose()
	require.NoError(t, old.produce(testCtx, out0, "a"))
	require.NoError(t, p.end(testCtx, false), "the transaction is that of the next one")
}
