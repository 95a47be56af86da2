package coordinator

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/record"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testPartitions = 4

func testTopics() map[string]int32 {
	return map[string]int32{TransactionTopic: testPartitions, OffsetsTopic: testPartitions, "in": 2, "out": 3}
}

var allPartitions = allOf(TransactionTopic, OffsetsTopic)

func allOf(topics ...string) (tps []TopicPartition) {
	for _, topic := range topics {
		for i := range int32(testPartitions) {
			tps = append(tps, TopicPartition{topic, i})
		}
	}
	return tps
}

// ids is the metadata quorum's counter of producer ids, which survives crashes.
type ids struct{ next int64 }

func (i *ids) allocate(context.Context) (first, count int64, err error) {
	first, i.next = i.next, i.next+10
	return first, 10, nil
}

func startBroker(t *testing.T, m *memLog, ids *ids) *Broker {
	t.Helper()
	b := New(Config{
		Partitions: m, AllocateIDs: ids.allocate, Clock: clock.Real, InternalPartitions: testPartitions,
		Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, b.Lead(t.Context(), allPartitions))
	return b
}

func newTestBroker(t *testing.T) (*Broker, *memLog) {
	t.Helper()
	m := newMemLog(testTopics())
	b := startBroker(t, m, &ids{next: 1000})
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b, m
}

// testProducer speaks the requests of a KIP-890 client.
type testProducer struct {
	b     *Broker
	txID  string
	id    int64
	epoch int16
	local bool
}

func (p *testProducer) request(ctx context.Context, req kmsg.Request) kmsg.Response {
	if p.local {
		resp, err := p.b.Request(ctx, req)
		if err != nil {
			panic(err)
		}
		return resp
	}
	switch r := req.(type) {
	case *kmsg.ProduceRequest:
		return p.b.Produce(ctx, r)
	case *kmsg.TxnOffsetCommitRequest:
		return p.b.TxnOffsetCommit(ctx, r)
	}
	resp, err := p.b.Request(ctx, req)
	if err != nil {
		panic(err)
	}
	return resp
}

func (p *testProducer) init(ctx context.Context) error {
	req := kmsg.NewPtrInitProducerIDRequest()
	req.Version, req.TransactionalID, req.TransactionTimeoutMillis = 5, &p.txID, 60_000
	resp := p.request(ctx, req).(*kmsg.InitProducerIDResponse)
	p.id, p.epoch = resp.ProducerID, resp.ProducerEpoch
	return kerr.ErrorForCode(resp.ErrorCode)
}

func (p *testProducer) produce(ctx context.Context, tp TopicPartition, value string) error {
	return p.produceVersion(ctx, 12, tp, value)
}

func (p *testProducer) produceVersion(ctx context.Context, version int16, tp TopicPartition, value string) error {
	var b record.Builder
	b.Reset(record.BatchOptions{Transactional: true, Idempotent: true, ProducerID: p.id, ProducerEpoch: p.epoch})
	if err := b.Append(1, nil, []byte(value)); err != nil {
		return err
	}
	batch, err := b.Finish(nil)
	if err != nil {
		return err
	}
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.TransactionID, req.Acks = version, &p.txID, -1
	req.Topics = []kmsg.ProduceRequestTopic{{
		Topic:      tp.Topic,
		Partitions: []kmsg.ProduceRequestTopicPartition{{Partition: tp.Partition, Records: batch}},
	}}
	resp := p.request(ctx, req).(*kmsg.ProduceResponse)
	return kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
}

func (p *testProducer) commitOffset(ctx context.Context, c claim, tp TopicPartition, offset int64) error {
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.Version, req.TransactionalID, req.Group = 5, p.txID, c.group
	req.ProducerID, req.ProducerEpoch = p.id, p.epoch
	req.MemberID, req.Generation = c.member, c.generation
	req.Topics = []kmsg.TxnOffsetCommitRequestTopic{{
		Topic:      tp.Topic,
		Partitions: []kmsg.TxnOffsetCommitRequestTopicPartition{{Partition: tp.Partition, Offset: offset, LeaderEpoch: -1}},
	}}
	resp := p.request(ctx, req).(*kmsg.TxnOffsetCommitResponse)
	return kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
}

func (p *testProducer) end(ctx context.Context, commit bool) error {
	req := kmsg.NewPtrEndTxnRequest()
	req.Version, req.TransactionalID, req.Commit = 5, p.txID, commit
	req.ProducerID, req.ProducerEpoch = p.id, p.epoch
	resp := p.request(ctx, req).(*kmsg.EndTxnResponse)
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return err
	}
	p.id, p.epoch = resp.ProducerID, resp.ProducerEpoch
	return nil
}

// fetchOffset returns the committed offset, or the error of the partition.
func fetchOffset(b *Broker, group string, tp TopicPartition, stable bool) (int64, error) {
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Version, req.RequireStable = 9, stable
	req.Groups = []kmsg.OffsetFetchRequestGroup{{
		Group: group, MemberEpoch: -1,
		Topics: []kmsg.OffsetFetchRequestGroupTopic{{Topic: tp.Topic, Partitions: []int32{tp.Partition}}},
	}}
	g := b.OffsetFetch(context.Background(), req).Groups[0]
	if g.ErrorCode != 0 {
		return 0, kerr.ErrorForCode(g.ErrorCode)
	}
	p := g.Topics[0].Partitions[0]
	return p.Offset, kerr.ErrorForCode(p.ErrorCode)
}

var (
	out0    = TopicPartition{"out", 0}
	out1    = TopicPartition{"out", 1}
	in0     = TopicPartition{"in", 0}
	nobody  = claim{group: "g", generation: -1}
	testCtx = context.Background()
)

func TestCommitMakesDataAndOffsetsReadableTogether(t *testing.T) {
	b, m := newTestBroker(t)
	p := &testProducer{b: b, txID: "tx"}
	require.NoError(t, p.init(testCtx))
	require.NoError(t, p.produce(testCtx, out0, "a"))
	require.NoError(t, p.produce(testCtx, out1, "b"))
	require.NoError(t, p.commitOffset(testCtx, nobody, in0, 7))

	_, err := fetchOffset(b, "g", in0, true)
	require.ErrorIs(t, err, kerr.UnstableOffsetCommit)
	offset, err := fetchOffset(b, "g", in0, false)
	require.NoError(t, err)
	require.EqualValues(t, -1, offset)

	epoch := p.epoch
	require.NoError(t, p.end(testCtx, true))
	require.Equal(t, epoch+1, p.epoch, "every transaction takes a new epoch")
	require.Equal(t, []string{"a"}, m.get("out", 0).committedValues())
	require.Equal(t, []string{"b"}, m.get("out", 1).committedValues())
	offset, err = fetchOffset(b, "g", in0, true)
	require.NoError(t, err)
	require.EqualValues(t, 7, offset)
}

func TestAbortDropsDataAndOffsets(t *testing.T) {
	b, m := newTestBroker(t)
	p := &testProducer{b: b, txID: "tx", local: true}
	require.NoError(t, p.init(testCtx))
	require.NoError(t, p.produce(testCtx, out0, "a"))
	require.NoError(t, p.commitOffset(testCtx, nobody, in0, 7))
	require.NoError(t, p.end(testCtx, false))
	require.Empty(t, m.get("out", 0).committedValues())
	require.Empty(t, m.OpenTransactions())
	offset, err := fetchOffset(b, "g", in0, true)
	require.NoError(t, err)
	require.EqualValues(t, -1, offset)
}

func TestNewerProducerFencesTheOlder(t *testing.T) {
	b, m := newTestBroker(t)
	old := &testProducer{b: b, txID: "tx", local: true}
	require.NoError(t, old.init(testCtx))
	require.NoError(t, old.produce(testCtx, out0, "lost"))

	fresh := &testProducer{b: b, txID: "tx", local: true}
	require.NoError(t, fresh.init(testCtx))
	require.Equal(t, old.id, fresh.id)
	require.Greater(t, fresh.epoch, old.epoch)
	require.Empty(t, m.OpenTransactions(), "what the older one left open is aborted before the newer one starts")

	require.ErrorIs(t, old.produce(testCtx, out0, "late"), kerr.InvalidProducerEpoch)
	require.ErrorIs(t, old.commitOffset(testCtx, nobody, in0, 1), kerr.ProducerFenced)
	require.ErrorIs(t, old.end(testCtx, true), kerr.ProducerFenced)

	require.NoError(t, fresh.produce(testCtx, out0, "kept"))
	require.NoError(t, fresh.end(testCtx, true))
	require.Equal(t, []string{"kept"}, m.get("out", 0).committedValues())
}

func TestRepeatedEndIsAnsweredAsTheFirst(t *testing.T) {
	b, _ := newTestBroker(t)
	p := &testProducer{b: b, txID: "tx"}
	require.NoError(t, p.init(testCtx))
	require.NoError(t, p.produce(testCtx, out0, "a"))
	again := *p
	require.NoError(t, p.end(testCtx, true))
	other := again
	require.NoError(t, again.end(testCtx, true))
	require.Equal(t, p.epoch, again.epoch)
	require.ErrorIs(t, other.end(testCtx, false), kerr.InvalidTxnState)
}

func TestBatchWithoutItsPartitionAddedIsRefused(t *testing.T) {
	b, _ := newTestBroker(t)
	p := &testProducer{b: b, txID: "tx"}
	require.NoError(t, p.init(testCtx))
	require.ErrorIs(t, p.produceVersion(testCtx, 10, out0, "a"), kerr.InvalidTxnState)
	require.ErrorIs(t, p.produceVersion(testCtx, 11, out0, "a"), kerr.TransactionAbortable)

	req := kmsg.NewPtrAddPartitionsToTxnRequest()
	req.Version, req.TransactionalID, req.ProducerID, req.ProducerEpoch = 3, "tx", p.id, p.epoch
	req.Topics = []kmsg.AddPartitionsToTxnRequestTopic{{Topic: "out", Partitions: []int32{0}}}
	resp := b.AddPartitionsToTxn(testCtx, req)
	require.Zero(t, resp.Topics[0].Partitions[0].ErrorCode)
	require.NoError(t, p.produceVersion(testCtx, 11, out0, "a"))

	req.Topics[0].Partitions = []int32{0, 99}
	resp = b.AddPartitionsToTxn(testCtx, req)
	require.Equal(t, kerr.OperationNotAttempted.Code, resp.Topics[0].Partitions[0].ErrorCode)
	require.Equal(t, kerr.UnknownTopicOrPartition.Code, resp.Topics[0].Partitions[1].ErrorCode)
}

func TestEndIsAnsweredOnlyWhenMarkersAreReadable(t *testing.T) {
	b, m := newTestBroker(t)
	p := &testProducer{b: b, txID: "tx", local: true}
	require.NoError(t, p.init(testCtx))
	require.NoError(t, p.produce(testCtx, out0, "a"))
	require.NoError(t, p.produce(testCtx, out1, "b"))
	m.get("out", 0).Flush(1)
	unblock := m.get("out", 1).block()

	ctx, cancel := context.WithTimeout(testCtx, 20*time.Millisecond)
	defer cancel()
	require.Error(t, p.end(ctx, true), "the data of one partition is not durable")
	unblock()
	require.NoError(t, p.end(testCtx, true))
	require.Equal(t, []string{"b"}, m.get("out", 1).committedValues())
}

// TestACommitIsNotAcknowledgedByACoordinatorThatWasDeposed: whoever coordinates next may not have its decision.
func TestACommitIsNotAcknowledgedByACoordinatorThatWasDeposed(t *testing.T) {
	for _, commit := range []bool{true, false} {
		b, m := newTestBroker(t)
		p := &testProducer{b: b, txID: "tx"}
		require.NoError(t, p.init(testCtx))
		require.NoError(t, p.produce(testCtx, out0, "a"))
		m.get(TransactionTopic, PartitionFor("tx", testPartitions)).depose()
		require.ErrorIs(t, p.end(testCtx, commit), kerr.NotCoordinator)
		require.Empty(t, m.get("out", 0).committedValues())
	}
}

// TestMarkersAreLeftToTheNextCoordinator: a node that leads no more, and cannot write the markers of what it has decided either, does not keep on trying.
func TestMarkersAreLeftToTheNextCoordinator(t *testing.T) {
	b, m := newTestBroker(t)
	p := &testProducer{b: b, txID: "tx"}
	require.NoError(t, p.init(testCtx))
	require.NoError(t, p.produce(testCtx, out0, "a"))
	out := m.get(out0.Topic, out0.Partition)
	const many = 1 << 20
	out.refuse(many)
	ended := make(chan error, 1)
	go func() { ended <- p.end(testCtx, true) }()
	require.Eventually(t, func() bool { return out.refusalsLeft() < many }, time.Minute, time.Millisecond, "a marker is tried")
	m.setAway(TopicPartition{TransactionTopic, PartitionFor("tx", testPartitions)})
	require.ErrorIs(t, <-ended, kerr.NotCoordinator)
}

func TestMarkersOfDeletedTopicAreLeftOut(t *testing.T) {
	b, m := newTestBroker(t)
	p := &testProducer{b: b, txID: "tx", local: true}
	require.NoError(t, p.init(testCtx))
	require.NoError(t, p.produce(testCtx, out0, "a"))
	require.NoError(t, p.produce(testCtx, out1, "b"))
	m.remove(out0)
	require.NoError(t, p.end(testCtx, true))
	require.Equal(t, []string{"b"}, m.get("out", 1).committedValues())
}

func TestStaleGenerationIsRefusedAndTheRestCommits(t *testing.T) {
	b, _ := newTestBroker(t)
	member := claim{group: "millrace-query-7", member: "node-1", generation: 3}
	require.NoError(t, b.SetGroup(testCtx, member.group, 3, []GroupMember{{ID: "node-1"}}))
	p := &testProducer{b: b, txID: "tx", local: true}
	require.NoError(t, p.init(testCtx))
	require.NoError(t, p.commitOffset(testCtx, member, in0, 5))
	require.NoError(t, p.end(testCtx, true))

	require.NoError(t, b.SetGroup(testCtx, member.group, 4, []GroupMember{{ID: "node-2"}}))
	require.ErrorIs(t, b.SetGroup(testCtx, member.group, 3, nil), kerr.IllegalGeneration)
	require.ErrorIs(t, p.commitOffset(testCtx, member, in0, 6), kerr.UnknownMemberID)
	member.member = "node-2"
	require.ErrorIs(t, p.commitOffset(testCtx, member, in0, 6), kerr.IllegalGeneration)
	require.NoError(t, p.commitOffset(testCtx, nobody, in0, 9))
	require.NoError(t, p.end(testCtx, true))

	offset, err := fetchOffset(b, member.group, in0, true)
	require.NoError(t, err)
	require.EqualValues(t, 5, offset)
	offset, err = fetchOffset(b, "g", in0, true)
	require.NoError(t, err)
	require.EqualValues(t, 9, offset)
}

func TestAwaitStableWakesAtTheMarker(t *testing.T) {
	b, _ := newTestBroker(t)
	p := &testProducer{b: b, txID: "tx", local: true}
	require.NoError(t, p.init(testCtx))
	require.NoError(t, p.commitOffset(testCtx, nobody, in0, 5))
	stable := make(chan error, 1)
	go func() { stable <- b.AwaitStable(testCtx, "g", []TopicPartition{in0}) }()
	select {
	case <-stable:
		t.Fatal("stable while a transaction is open")
	default:
	}
	require.NoError(t, p.end(testCtx, true))
	require.NoError(t, <-stable)
}

func TestExhaustedEpochsMoveToANewProducerID(t *testing.T) {
	b, m := newTestBroker(t)
	p := &testProducer{b: b, txID: "tx", local: true}
	require.NoError(t, p.init(testCtx))
	l, e, kerror := b.open(testCtx, "tx")
	require.Nil(t, kerror)
	almost := *e.value.Load()
	almost.epoch = lastUsableEpoch
	_, err := b.install(l, e, almost)
	require.NoError(t, err)
	e.unlock()

	p.epoch = lastUsableEpoch
	old := p.id
	require.NoError(t, p.produce(testCtx, out0, "a"))
	require.NoError(t, p.end(testCtx, true))
	require.NotEqual(t, old, p.id)
	require.Zero(t, p.epoch)
	require.NoError(t, p.produce(testCtx, out0, "b"))
	require.NoError(t, p.end(testCtx, true))
	require.Equal(t, []string{"a", "b"}, m.get("out", 0).committedValues())
}

func TestDeletedGroupLosesItsOffsets(t *testing.T) {
	m := newMemLog(testTopics())
	ids := &ids{}
	b := startBroker(t, m, ids)
	p := &testProducer{b: b, txID: "tx", local: true}
	require.NoError(t, p.init(testCtx))
	require.NoError(t, p.commitOffset(testCtx, nobody, in0, 5))
	require.ErrorIs(t, b.DeleteGroup(testCtx, "g", true), kerr.NonEmptyGroup)
	require.NoError(t, p.end(testCtx, true))
	require.NoError(t, b.DeleteGroup(testCtx, "g", false))
	require.ErrorIs(t, b.DeleteGroup(testCtx, "g", false), kerr.GroupIDNotFound)
	require.NoError(t, b.Close())

	b = startBroker(t, m, ids)
	defer func() { require.NoError(t, b.Close()) }()
	offset, err := fetchOffset(b, "g", in0, true)
	require.NoError(t, err)
	require.EqualValues(t, -1, offset)
}

func TestRequestsBeforeLeadAreRetriable(t *testing.T) {
	b := New(Config{Partitions: newMemLog(nil), AllocateIDs: (&ids{}).allocate, Clock: clock.Real})
	defer func() { require.NoError(t, b.Close()) }()
	p := &testProducer{b: b, txID: "tx"}
	require.ErrorIs(t, p.init(testCtx), kerr.NotCoordinator)
	_, err := fetchOffset(b, "g", in0, true)
	require.ErrorIs(t, err, kerr.NotCoordinator)
}

func TestPartitionForFollowsJavasHash(t *testing.T) {
	require.EqualValues(t, 96354, javaHash("abc"))
	require.EqualValues(t, -1409720315, javaHash("millrace-query-16384"))
	require.EqualValues(t, 1772899, javaHash("😀"))
	require.EqualValues(t, 96354%50, PartitionFor("abc", 50))
	require.EqualValues(t, 0, PartitionFor("polygenelubricants", 50), "whose hash is the smallest integer")
}
