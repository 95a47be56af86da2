// Package logtest is the conformance suite of exec.Log: what the executor relies on, checked the same way over this process's own
// partitions and over Kafka's protocol. A test that only one implementation could pass does not belong here.
//
// Each test gets a fresh Harness. Transactions that must stay open for a while are driven by raw requests (see openTxn), for a
// lane never leaves one open.
package logtest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/exec/lane"
	"github.com/millracedb/millrace/internal/record"
)

// Harness is one log under test.
type Harness struct {
	Log exec.Log
	// Transport reaches the same log with single requests.
	Transport lane.Transport
	// CreateTopic makes a topic; AddPartitions makes it have that many partitions.
	CreateTopic   func(t *testing.T, topic string, partitions int32)
	AddPartitions func(t *testing.T, topic string, total int32)
	// Join makes a new member the only one of the group, in a new generation; an earlier member's claim is over.
	Join func(t *testing.T, group string) (member string, generation int32)
}

// patience bounds every wait of the suite.
const patience = 20 * time.Second

// Run runs the suite; open makes a fresh log and arranges for its end.
func Run(t *testing.T, open func(t *testing.T) Harness) {
	tests := []struct {
		name string
		run  func(t *testing.T, h *suite)
	}{
		{"AppendedBatchesAreReadBackInOrder", testAppend},
		{"FetchAtTheEndIsEmptyAndBeyondItOutOfRange", testFetchBounds},
		{"UnknownTopicIsSaid", testUnknownTopic},
		{"PartitionCountFollowsTheTopic", testPartitionCount},
		{"RoundCommitsBatchesAndOffsetsTogether", testRound},
		{"RoundOfManyTasksKeepsTheirOrder", testManyTasks},
		{"TaskThatIsRefusedLeavesNothingAndTheOthersCommit", testFailedRound},
		{"OffsetsAloneCommit", testOffsetsAlone},
		{"SecondLaneWithTheSameIDFencesTheFirst", testFencing},
		{"OpeningALaneAbortsWhatWasLeftOpen", testTakeOver},
		{"StaleGenerationDropsThatTaskOnly", testStaleGeneration},
		{"RoundOfStaleTasksOnlyCommitsNothing", testAllStale},
		{"OpenTransactionHoldsTheLastStableOffset", testLastStable},
		{"AbortedDataIsInvisible", testAborted},
		{"CommittedWaitsForOpenTransactions", testRequireStable},
		{"DeletedRecordsAreOutOfRange", testDeleteRecords},
		{"SubscriberWakesWhenARoundIsReadable", testSubscribe},
		{"EveryRoundCountsOnceAcrossLanes", testExactlyOnce},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			h := &suite{Harness: open(t), ctx: ctx}
			h.CreateTopic(t, "in", 2)
			h.CreateTopic(t, "out", 3)
			test.run(t, h)
		})
	}
}

// suite is a harness and the context of one test.
type suite struct {
	Harness
	ctx context.Context
}

var (
	in0  = exec.TopicPartition{Topic: "in", Partition: 0}
	in1  = exec.TopicPartition{Topic: "in", Partition: 1}
	out0 = exec.TopicPartition{Topic: "out", Partition: 0}
	out1 = exec.TopicPartition{Topic: "out", Partition: 1}
)

// batch builds a batch of records with these values.
func batch(t *testing.T, tp exec.TopicPartition, values ...string) exec.PartitionBatch {
	t.Helper()
	var b record.Builder
	b.Reset(record.BatchOptions{})
	for i, v := range values {
		require.NoError(t, b.Append(int64(1000+i), []byte("k"), []byte(v)))
	}
	frame, err := b.Finish(nil)
	require.NoError(t, err)
	return exec.PartitionBatch{TopicPartition: tp, Batch: frame}
}

// read returns the committed values of tp from its start.
func (h *suite) read(t *testing.T, tp exec.TopicPartition) []string {
	t.Helper()
	bounds, err := h.Log.Offsets(h.ctx, tp)
	require.NoError(t, err)
	values := []string{}
	for offset := bounds.LogStart; ; {
		got, next := h.readOnce(t, tp, offset)
		values = append(values, got...)
		if next == offset {
			return values
		}
		offset = next
	}
}

// readOnce returns the committed values of one fetch, and the offset after it.
func (h *suite) readOnce(t *testing.T, tp exec.TopicPartition, offset int64) (values []string, next int64) {
	t.Helper()
	f, err := h.Log.Fetch(h.ctx, tp, offset, 64)
	require.NoError(t, err)
	defer f.Release()
	next = offset
	for rest := f.Batches; len(rest) > 0; {
		var hd record.Header
		hd, _, rest, err = record.Next(rest)
		require.NoError(t, err)
		next = hd.LastOffset() + 1
	}
	var aborted []record.AbortedTxn
	for i, a := range f.Aborted {
		if i > 0 {
			require.GreaterOrEqual(t, a.FirstOffset, f.Aborted[i-1].FirstOffset, "aborted transactions are sorted")
		}
		aborted = append(aborted, record.AbortedTxn(a))
	}
	var c record.CommittedReader
	c.Reset(f.Batches, aborted)
	var it record.Iterator
	for {
		_, frame, ok, err := c.Next()
		require.NoError(t, err)
		if !ok {
			return values, next
		}
		require.NoError(t, it.Reset(frame))
		for it.Next() {
			if it.Record.Offset >= offset {
				values = append(values, string(it.Record.Value))
			}
		}
		require.NoError(t, it.Err())
	}
}

func (h *suite) committed(t *testing.T, group string, tps ...exec.TopicPartition) []int64 {
	t.Helper()
	got, err := h.Log.Committed(h.ctx, group, tps)
	require.NoError(t, err)
	return offsetsOf(got)
}

func offsetsOf(list []exec.PartitionOffset) []int64 {
	offsets := make([]int64, len(list))
	for i, o := range list {
		offsets[i] = o.Offset
	}
	return offsets
}

func (h *suite) lane(t *testing.T, id string) exec.Lane {
	t.Helper()
	l, err := h.Log.OpenLane(h.ctx, id)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l
}

func offset(tp exec.TopicPartition, n int64) exec.PartitionOffset {
	return exec.PartitionOffset{TopicPartition: tp, Offset: n}
}

// openTxn is a transaction under way, driven request by request.
type openTxn struct {
	h     *suite
	id    string
	pid   int64
	epoch int16
}

func (h *suite) begin(t *testing.T, id string) *openTxn {
	t.Helper()
	x := &openTxn{h: h, id: id}
	req := kmsg.NewPtrInitProducerIDRequest()
	req.Version, req.TransactionalID, req.TransactionTimeoutMillis = 4, &x.id, 60_000
	resp := x.request(t, req).(*kmsg.InitProducerIDResponse)
	require.NoError(t, kerr.ErrorForCode(resp.ErrorCode))
	x.pid, x.epoch = resp.ProducerID, resp.ProducerEpoch
	return x
}

func (x *openTxn) request(t *testing.T, req kmsg.Request) kmsg.Response {
	t.Helper()
	resp, err := x.h.Transport.Request(x.h.ctx, req)
	require.NoError(t, err)
	return resp
}

func (x *openTxn) produce(t *testing.T, tp exec.TopicPartition, value string) {
	t.Helper()
	add := kmsg.NewPtrAddPartitionsToTxnRequest()
	add.Version, add.TransactionalID, add.ProducerID, add.ProducerEpoch = 3, x.id, x.pid, x.epoch
	add.Topics = []kmsg.AddPartitionsToTxnRequestTopic{{Topic: tp.Topic, Partitions: []int32{tp.Partition}}}
	added := x.request(t, add).(*kmsg.AddPartitionsToTxnResponse)
	require.NoError(t, kerr.ErrorForCode(added.Topics[0].Partitions[0].ErrorCode))

	var b record.Builder
	b.Reset(record.BatchOptions{Transactional: true, Idempotent: true, ProducerID: x.pid, ProducerEpoch: x.epoch})
	require.NoError(t, b.Append(1000, []byte("k"), []byte(value)))
	frame, err := b.Finish(nil)
	require.NoError(t, err)
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.TransactionID, req.Acks, req.TimeoutMillis = 11, &x.id, -1, 10_000
	req.Topics = []kmsg.ProduceRequestTopic{{
		Topic:      tp.Topic,
		Partitions: []kmsg.ProduceRequestTopicPartition{{Partition: tp.Partition, Records: frame}},
	}}
	resp := x.request(t, req).(*kmsg.ProduceResponse)
	require.NoError(t, kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode))
}

func (x *openTxn) commitOffset(t *testing.T, group string, tp exec.TopicPartition, n int64) {
	t.Helper()
	add := kmsg.NewPtrAddOffsetsToTxnRequest()
	add.Version, add.TransactionalID, add.ProducerID, add.ProducerEpoch, add.Group = 3, x.id, x.pid, x.epoch, group
	require.NoError(t, kerr.ErrorForCode(x.request(t, add).(*kmsg.AddOffsetsToTxnResponse).ErrorCode))
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.Version, req.TransactionalID, req.ProducerID, req.ProducerEpoch = 4, x.id, x.pid, x.epoch
	req.Group, req.Generation = group, -1
	req.Topics = []kmsg.TxnOffsetCommitRequestTopic{{
		Topic:      tp.Topic,
		Partitions: []kmsg.TxnOffsetCommitRequestTopicPartition{{Partition: tp.Partition, Offset: n, LeaderEpoch: -1}},
	}}
	resp := x.request(t, req).(*kmsg.TxnOffsetCommitResponse)
	require.NoError(t, kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode))
}

func (x *openTxn) end(t *testing.T, commit bool) {
	t.Helper()
	req := kmsg.NewPtrEndTxnRequest()
	req.Version, req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = 4, x.id, x.pid, x.epoch, commit
	if x.h.Transport.TransactionVersion() >= 2 {
		req.Version = 5
	}
	require.NoError(t, kerr.ErrorForCode(x.request(t, req).(*kmsg.EndTxnResponse).ErrorCode))
}
