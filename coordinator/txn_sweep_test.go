package coordinator

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/clock/clocktest"
	"github.com/millracedb/millrace/internal/record"
)

// pair is two nodes as either sees the other: node 1 coordinates, node 2 leads all other topics.
type pair struct {
	brokers map[int32]*Broker
	self    int32
}

func (p pair) Leader(topic string, _ int32) (int32, bool) {
	if topic == TransactionTopic || topic == OffsetsTopic {
		return 1, true
	}
	return 2, true
}

func (p pair) Spread(topic string) bool { return topic == "out" }
func (p pair) Others() bool             { return true }
func (p pair) Active() []int32          { return []int32{3 - p.self, 9} }
func (p pair) Leaderless() bool         { return false }

func (p pair) Call(ctx context.Context, node int32, req kmsg.Request) (kmsg.Response, error) {
	b := p.brokers[node]
	if b == nil {
		return nil, kerr.BrokerNotAvailable
	}
	switch r := req.(type) {
	case *kmsg.DescribeProducersRequest:
		return b.DescribeOpen(r), nil
	case *kmsg.WriteTxnMarkersRequest:
		return b.WriteTxnMarkers(ctx, r), nil
	}
	return nil, kerr.UnsupportedVersion
}

// newPair starts two nodes, of which the second leads what is away from the first.
func newPair(t *testing.T, away ...TopicPartition) (map[int32]*Broker, map[int32]*memLog) {
	brokers, logs := map[int32]*Broker{}, map[int32]*memLog{1: newMemLog(testTopics()), 2: newMemLog(testTopics())}
	logs[1].setAway(away...)
	for id := range int32(2) {
		id++
		brokers[id] = New(Config{
			Partitions: logs[id], Peers: pair{brokers, id}, AllocateIDs: (&ids{next: 1000}).allocate, Clock: clock.Real, InternalPartitions: testPartitions,
		})
	}
	t.Cleanup(func() {
		for _, b := range brokers {
			require.NoError(t, b.Close())
		}
	})
	return brokers, logs
}

// TestATransactionCommitsThatIsHereUnsyncedAndElsewhereWaitedFor: the rows that a query gives may go to a topic that another node leads, and its rows that failed to one that this node does.
func TestATransactionCommitsThatIsHereUnsyncedAndElsewhereWaitedFor(t *testing.T) {
	brokers, logs := newPair(t, out0)
	require.NoError(t, brokers[1].Lead(t.Context(), allPartitions))
	p := &testProducer{b: brokers[1], txID: "tx", local: true}
	require.NoError(t, p.init(testCtx))
	add := kmsg.NewPtrAddPartitionsToTxnRequest()
	add.TransactionalID, add.ProducerID, add.ProducerEpoch = p.txID, p.id, p.epoch
	add.Topics = []kmsg.AddPartitionsToTxnRequestTopic{{Topic: out0.Topic, Partitions: []int32{out0.Partition}}}
	require.Zero(t, brokers[1].AddPartitionsToTxn(testCtx, add).Topics[0].Partitions[0].ErrorCode)
	appendTo(t, logs[2], out0, p.id, p.epoch)
	require.NoError(t, p.produce(testCtx, in0, "here"))
	require.NoError(t, p.end(testCtx, true))
	require.Equal(t, []string{"here"}, logs[1].get("in", 0).committedValues())
	require.Equal(t, []string{"v"}, logs[2].get("out", 0).committedValues())
}

// appendTo appends a batch of a transaction to a log.
func appendTo(t *testing.T, m *memLog, tp TopicPartition, id int64, epoch int16) {
	var b record.Builder
	b.Reset(record.BatchOptions{Transactional: true, Idempotent: true, ProducerID: id, ProducerEpoch: epoch})
	require.NoError(t, b.Append(1, nil, []byte("v")))
	batch, err := b.Finish(nil)
	require.NoError(t, err)
	_, _, err = m.get(tp.Topic, tp.Partition).Append(testCtx, batch, AppendOptions{})
	require.NoError(t, err)
}

// TestOrphansAreAbortedWhereverTheyAre: a transaction that no coordinator knows is ended in a partition of another node, and one that goes on there is left alone.
func TestOrphansAreAbortedWhereverTheyAre(t *testing.T) {
	brokers, logs := newPair(t, out0, out1, in0)
	open := func(tp TopicPartition) int { return len(openIn(logs[2], tp)) }

	// A batch whose producer nobody knows, and one of a producer that is at another transaction by now.
	require.NoError(t, brokers[1].Lead(t.Context(), allPartitions))
	p := &testProducer{b: brokers[1], txID: "tx"}
	require.NoError(t, p.init(testCtx))
	appendTo(t, logs[2], out1, 77, 3)
	appendTo(t, logs[2], in0, p.id, p.epoch)

	// The transaction that goes on is in out0 alone.
	add := kmsg.NewPtrAddPartitionsToTxnRequest()
	add.TransactionalID, add.ProducerID, add.ProducerEpoch = p.txID, p.id, p.epoch
	add.Topics = []kmsg.AddPartitionsToTxnRequestTopic{{Topic: out0.Topic, Partitions: []int32{out0.Partition}}}
	require.Zero(t, brokers[1].AddPartitionsToTxn(testCtx, add).Topics[0].Partitions[0].ErrorCode)
	appendTo(t, logs[2], out0, p.id, p.epoch)

	require.Eventually(t, func() bool { return open(out1)+open(in0) == 0 }, time.Minute, time.Millisecond, "orphans stay open")
	require.Empty(t, logs[2].get("out", 1).committedValues())
	require.Equal(t, 1, open(out0))
	require.NoError(t, p.end(testCtx, true))
	require.Equal(t, []string{"v"}, logs[2].get("out", 0).committedValues())
}

// touch is a pair in which both nodes answer, and a partition may have no leader.
type touch struct {
	pair
	leaderless *atomic.Bool
}

func (p touch) Active() []int32  { return []int32{3 - p.self} }
func (p touch) Leaderless() bool { return p.leaderless.Load() }

// TestATransactionalIDIsRememberedWhileSomethingMayBeOpen: what is open in a partition without a leader is its own when that is back, however long it takes.
func TestATransactionalIDIsRememberedWhileSomethingMayBeOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		brokers, logs := map[int32]*Broker{}, map[int32]*memLog{1: newMemLog(testTopics()), 2: newMemLog(testTopics())}
		logs[1].setAway(out0)
		c := clocktest.NewWrong(1)
		var leaderless atomic.Bool
		leaderless.Store(true)
		for id := range int32(2) {
			id++
			brokers[id] = New(Config{
				Partitions: logs[id], Peers: touch{pair{brokers, id}, &leaderless}, AllocateIDs: (&ids{next: 1000}).allocate, Clock: c, InternalPartitions: testPartitions,
				Logger: slog.New(slog.DiscardHandler),
			})
		}
		defer func() {
			for _, b := range brokers {
				require.NoError(t, b.Close())
			}
		}()
		own := brokers[1].Transactions.partitionOf("tx")
		// Another node coordinates something too, and could know any producer id.
		require.NoError(t, brokers[1].Lead(t.Context(), slices.DeleteFunc(slices.Clone(allPartitions), func(tp TopicPartition) bool {
			return tp == TopicPartition{own.Topic, (own.Partition + 1) % testPartitions}
		})))
		p := &testProducer{b: brokers[1], txID: "tx", local: true}
		require.NoError(t, p.init(testCtx))
		require.NoError(t, p.produce(testCtx, in0, "a"))
		require.NoError(t, p.end(testCtx, true))
		c.Set(2 * idleExpiration)
		advance(5 * expireInterval)
		appendTo(t, logs[2], out0, p.id, p.epoch) // the partition is back
		leaderless.Store(false)
		advance(5 * expireInterval)
		require.Empty(t, openIn(logs[2], out0))
		require.ErrorIs(t, p.end(testCtx, true), kerr.InvalidProducerIDMapping, "it is forgotten then")
	})
}

// hanging is a pair beside a node that never answers.
type hanging struct{ pair }

func (p hanging) Active() []int32 { return []int32{9, 3 - p.self} }

func (p hanging) Call(ctx context.Context, node int32, req kmsg.Request) (kmsg.Response, error) {
	if node == 9 {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return p.pair.Call(ctx, node, req)
}

// TestANodeThatHangsHoldsUpNoOrphansElsewhere: readers wait for their end.
func TestANodeThatHangsHoldsUpNoOrphansElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		brokers, logs := map[int32]*Broker{}, map[int32]*memLog{1: newMemLog(testTopics()), 2: newMemLog(testTopics())}
		logs[1].setAway(out0)
		for id := range int32(2) {
			id++
			brokers[id] = New(Config{
				Partitions: logs[id], Peers: hanging{pair{brokers, id}}, AllocateIDs: (&ids{next: 1000}).allocate, Clock: clock.Real, InternalPartitions: testPartitions,
			})
		}
		defer func() {
			for _, b := range brokers {
				require.NoError(t, b.Close())
			}
		}()
		require.NoError(t, brokers[1].Lead(t.Context(), allPartitions))
		p := &testProducer{b: brokers[1], txID: "tx"}
		require.NoError(t, p.init(testCtx))
		advance(expireInterval / 2)
		appendTo(t, logs[2], out0, p.id, p.epoch)
		advance(describeTimeout + 2*expireInterval)
		require.Empty(t, openIn(logs[2], out0))
	})
}

func openIn(m *memLog, tp TopicPartition) (open []OpenTransaction) {
	for _, o := range m.OpenTransactions() {
		if o.TopicPartition == tp {
			open = append(open, o)
		}
	}
	return open
}

// TestANodeThatCoordinatesNoMoreAbortsNothing: what its successor lets begin looks to it like what went down with a node.
func TestANodeThatCoordinatesNoMoreAbortsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		brokers, logs := map[int32]*Broker{}, map[int32]*memLog{1: newMemLog(testTopics()), 2: newMemLog(testTopics())}
		logs[1].setAway(out0, in0)
		for id := range int32(2) {
			id++
			brokers[id] = New(Config{
				Partitions: logs[id], Peers: pair{brokers, id}, AllocateIDs: (&ids{next: 1000}).allocate, Clock: clock.Real, InternalPartitions: testPartitions,
			})
		}
		defer func() {
			for _, b := range brokers {
				require.NoError(t, b.Close())
			}
		}()
		require.NoError(t, brokers[1].Lead(t.Context(), allPartitions))
		p := &testProducer{b: brokers[1], txID: "tx"}
		require.NoError(t, p.init(testCtx))
		for i := range int32(testPartitions) {
			logs[1].get(TransactionTopic, i).depose()
		}

		// The successor's transactions, in partitions of the one node and of the other: of a producer that both know, and of one that is new.
		for _, at := range []struct {
			log *memLog
			tp  TopicPartition
		}{{logs[1], out1}, {logs[2], out0}} {
			for _, id := range []int64{p.id, 77} {
				var b record.Builder
				b.Reset(record.BatchOptions{Transactional: true, Idempotent: true, ProducerID: id, ProducerEpoch: p.epoch})
				require.NoError(t, b.Append(1, nil, []byte("v")))
				batch, err := b.Finish(nil)
				require.NoError(t, err)
				_, _, err = at.log.get(at.tp.Topic, at.tp.Partition).Append(testCtx, batch, AppendOptions{})
				require.NoError(t, err)
			}
		}
		<-time.After(10 * expireInterval) // many looks
		require.Len(t, openIn(logs[1], out1), 2)
		require.Len(t, openIn(logs[2], out0), 2)
	})
}
