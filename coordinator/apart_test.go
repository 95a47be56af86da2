package coordinator

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/record"
)

// apart is two nodes as either sees the other, where Kafka's coordinators are led by all: node 1 leads the transactions, node 2 the groups.
type apart struct{ brokers map[int32]*Broker }

func (a apart) Leader(topic string, _ int32) (int32, bool) {
	if topic == TransactionTopic {
		return 1, true
	}
	return 2, true
}

func (apart) Spread(string) bool { return true }
func (apart) Others() bool       { return true }
func (apart) Active() []int32    { return nil }
func (apart) Leaderless() bool   { return false }

func (a apart) Call(ctx context.Context, node int32, req kmsg.Request) (kmsg.Response, error) {
	switch r := req.(type) {
	case *kmsg.AddPartitionsToTxnRequest:
		return a.brokers[node].AddPartitionsToTxn(ctx, r), nil
	case *kmsg.WriteTxnMarkersRequest:
		return a.brokers[node].WriteTxnMarkers(ctx, r), nil
	}
	return nil, kerr.UnsupportedVersion
}

// newApart starts the two nodes.
func newApart(t *testing.T) map[int32]*Broker {
	brokers := map[int32]*Broker{}
	for id, topic := range map[int32]string{1: TransactionTopic, 2: OffsetsTopic} {
		m := newMemLog(testTopics())
		var away []TopicPartition
		for _, tp := range allPartitions {
			if tp.Topic != topic {
				away = append(away, tp)
			}
		}
		m.setAway(away...)
		brokers[id] = New(Config{Partitions: m, Peers: apart{brokers}, AllocateIDs: (&ids{next: 1000}).allocate, Clock: clock.Real, InternalPartitions: testPartitions})
		t.Cleanup(func() { require.NoError(t, brokers[id].Close()) })
	}
	for id, topic := range map[int32]string{1: TransactionTopic, 2: OffsetsTopic} {
		require.NoError(t, brokers[id].Lead(t.Context(), allOf(topic)))
	}
	return brokers
}

// commitOffset commits an offset of in0 for a group in a transaction, as clients that rely on the group coordinator to add it do (version 5), and those that have added it before.
func commitOffset(b *Broker, p *testProducer, version int16, offset int64) error {
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.Version, req.TransactionalID, req.Group, req.ProducerID, req.ProducerEpoch, req.Generation = version, p.txID, "g", p.id, p.epoch, -1
	req.Topics = []kmsg.TxnOffsetCommitRequestTopic{{Topic: in0.Topic, Partitions: []kmsg.TxnOffsetCommitRequestTopicPartition{{Partition: in0.Partition, Offset: offset}}}}
	return kerr.ErrorForCode(b.TxnOffsetCommit(testCtx, req).Topics[0].Partitions[0].ErrorCode)
}

func committedOffset(t *testing.T, b *Broker) int64 {
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Version, req.Group = 7, "g"
	req.Topics = []kmsg.OffsetFetchRequestTopic{{Topic: in0.Topic, Partitions: []int32{in0.Partition}}}
	resp := b.OffsetFetch(testCtx, req)
	require.Zero(t, resp.ErrorCode)
	return resp.Topics[0].Partitions[0].Offset
}

func TestOffsetsOfATransactionThatAnotherNodeCoordinatesCountWhenItCommits(t *testing.T) {
	brokers := newApart(t)
	p := &testProducer{b: brokers[1], txID: "tx"}
	require.NoError(t, p.init(testCtx))

	require.NoError(t, commitOffset(brokers[2], p, 5, 7))
	require.NoError(t, commitOffset(brokers[2], p, 5, 8), "the second of a transaction need not be asked about")
	require.EqualValues(t, -1, committedOffset(t, brokers[2]))
	require.NoError(t, p.end(testCtx, true))
	require.EqualValues(t, 8, committedOffset(t, brokers[2]))

	require.NoError(t, commitOffset(brokers[2], p, 5, 20))
	require.NoError(t, p.end(testCtx, false))
	require.EqualValues(t, 8, committedOffset(t, brokers[2]))
}

func TestOffsetsOfATransactionThatAnotherNodeCoordinatesAreRefusedWhereItRefuses(t *testing.T) {
	brokers := newApart(t)
	p := &testProducer{b: brokers[1], txID: "tx"}
	require.NoError(t, p.init(testCtx))
	require.ErrorIs(t, commitOffset(brokers[2], p, 4, 7), kerr.TransactionAbortable, "AddOffsetsToTxn has not been heard of")

	add := kmsg.NewPtrAddOffsetsToTxnRequest()
	add.TransactionalID, add.ProducerID, add.ProducerEpoch, add.Group = p.txID, p.id, p.epoch, "g"
	require.Zero(t, brokers[1].AddOffsetsToTxn(testCtx, add).ErrorCode)
	require.NoError(t, commitOffset(brokers[2], p, 4, 7))

	old := *p
	require.NoError(t, p.init(testCtx))
	require.Error(t, commitOffset(brokers[2], &old, 5, 9), "another producer has fenced it")
	require.EqualValues(t, -1, committedOffset(t, brokers[2]))

	brokers[1].Resign(allPartitions)
	require.ErrorIs(t, commitOffset(brokers[2], p, 5, 9), kerr.CoordinatorLoadInProgress, "clients try that again")
	require.NoError(t, brokers[1].Lead(t.Context(), allOf(TransactionTopic)))
	require.NoError(t, commitOffset(brokers[2], p, 5, 9))
	require.NoError(t, p.end(testCtx, true))
	require.EqualValues(t, 9, committedOffset(t, brokers[2]))
}

// TestMarkersThatAreWrittenAgainDoNotKeepTheNextTransactionOut: a new coordinator that finds a decision without its completion writes the markers again, and lets the next transaction go on then; the
// group coordinator has begun to ask for it before.
func TestMarkersThatAreWrittenAgainDoNotKeepTheNextTransactionOut(t *testing.T) {
	brokers := newApart(t)
	p := &testProducer{b: brokers[1], txID: "tx"}
	require.NoError(t, p.init(testCtx))
	require.NoError(t, commitOffset(brokers[2], p, 5, 7))
	before := *p
	require.NoError(t, p.end(testCtx, true))

	l, kerror := brokers[2].Offsets.lease("g")
	require.Nil(t, kerror)
	guard := l.part.BeginVerification(p.id, p.epoch)
	again := kmsg.NewPtrWriteTxnMarkersRequest()
	m := kmsg.NewWriteTxnMarkersRequestMarker()
	m.ProducerID, m.ProducerEpoch, m.Committed, m.CoordinatorEpoch, m.TransactionVersion = p.id, before.epoch+1, true, 2, int8(epochBumpVersion)
	m.Topics = []kmsg.WriteTxnMarkersRequestMarkerTopic{{Topic: OffsetsTopic, Partitions: []int32{l.tp.Partition}}}
	again.Markers = append(again.Markers, m)
	voids := &onAsk{apart: apart{brokers}, before: func() { brokers[2].WriteTxnMarkers(testCtx, again) }}
	brokers[2].Transactions.peers = voids
	require.NoError(t, commitOffset(brokers[2], p, 5, 8))
	require.Equal(t, 2, voids.asked)
	require.NotEqual(t, guard, l.part.BeginVerification(p.id, p.epoch))
	require.NoError(t, p.end(testCtx, true))
	require.EqualValues(t, 8, committedOffset(t, brokers[2]))
}

// onAsk does something before the first question to a coordinator is answered.
type onAsk struct {
	apart
	before func()
	asked  int
}

func (o *onAsk) Call(ctx context.Context, node int32, req kmsg.Request) (kmsg.Response, error) {
	if o.asked++; o.asked == 1 {
		o.before()
	}
	return o.apart.Call(ctx, node, req)
}

// TestNothingIsWrittenUnderALeaseThatIsOver: a lease of the same term may have read the log to its end by then.
func TestNothingIsWrittenUnderALeaseThatIsOver(t *testing.T) {
	b, m := newTestBroker(t)
	txns, kerror := b.Transactions.lease("tx")
	require.Nil(t, kerror)
	offsets, kerror := b.Offsets.lease("g")
	require.Nil(t, kerror)
	b.Resign(allPartitions)
	end := func() (n int64) {
		for _, tp := range allPartitions {
			n += m.get(tp.Topic, tp.Partition).LogEnd()
		}
		return n
	}
	was := end()
	_, err := b.appendTombstone(txns, "tx")
	require.ErrorIs(t, err, kerr.NotLeaderForPartition)
	_, _, kerror = offsets.appendOffsets(testCtx, claim{group: "g", generation: -1}, record.BatchOptions{}, coordinatorAppend, []TopicPartition{in0}, []committed{{offset: 1}})
	require.Equal(t, kerr.NotCoordinator, kerror)
	require.Equal(t, was, end())
}

func TestQueriesHaveCoordinatorsOfTheirOwnWhereTheirTopicsExist(t *testing.T) {
	counts := map[string]int32{TransactionTopic: 16, OffsetsTopic: 16, QueryTransactionTopic: 8, QueryOffsetsTopic: 8}
	count := func(topic string) int32 { return counts[topic] }
	topicOf := func() string {
		return fmt.Sprint(TransactionPartition("_millrace-lane-1-0", count).Topic, " ", OffsetsPartition("millrace-query-7", count).Topic, " ", TransactionPartition("tx", count).Topic, " ", OffsetsPartition("g", count).Topic)
	}
	require.Equal(t, "_millrace_query_transactions _millrace_query_offsets __transaction_state __consumer_offsets", topicOf())
	delete(counts, QueryTransactionTopic)
	delete(counts, QueryOffsetsTopic)
	require.Equal(t, "__transaction_state __consumer_offsets __transaction_state __consumer_offsets", topicOf(), "a cluster that an older release has formed")
}
