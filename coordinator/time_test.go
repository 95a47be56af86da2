package coordinator

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/clock/clocktest"
)

// advance lets d pass on the clock of the test's bubble, and everything happen that is due.
func advance(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestTransactionThatTakesTooLongIsAborted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemLog(testTopics())
		b := startBroker(t, m, &ids{})
		defer func() { require.NoError(t, b.Close()) }()
		p := &testProducer{b: b, txID: "tx", local: true}
		require.NoError(t, p.init(testCtx))
		require.NoError(t, p.produce(testCtx, out0, "a"))
		require.NoError(t, p.commitOffset(testCtx, nobody, in0, 1))
		advance(59 * time.Second)
		require.NotEmpty(t, m.OpenTransactions())
		advance(3 * time.Second)
		require.Empty(t, m.OpenTransactions())
		require.Empty(t, m.get("out", 0).committedValues())
		offset, err := fetchOffset(b, "g", in0, true)
		require.NoError(t, err)
		require.EqualValues(t, -1, offset)
		require.ErrorIs(t, p.produce(testCtx, out0, "late"), kerr.InvalidProducerEpoch)
		require.ErrorIs(t, p.end(testCtx, true), kerr.InvalidTxnState)
		require.NoError(t, p.init(testCtx))
	})
}

// TestTransactionsDoNotGoByTheTimeOfDay: a machine's clock is set forwards and back by hours, and the coordinator moves to one whose clock is behind.
func TestTransactionsDoNotGoByTheTimeOfDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, ids, c := newMemLog(testTopics()), &ids{}, clocktest.NewWrong(1)
		start := func() *Broker {
			b := New(Config{Partitions: m, AllocateIDs: ids.allocate, Clock: c, InternalPartitions: testPartitions})
			require.NoError(t, b.Lead(testCtx, allPartitions))
			return b
		}
		b := start()
		p := &testProducer{b: b, txID: "tx", local: true}
		require.NoError(t, p.init(testCtx))
		require.NoError(t, p.produce(testCtx, out0, "a"))
		for _, ahead := range []time.Duration{6 * time.Hour, -6 * time.Hour} {
			advance(20 * time.Second)
			c.Set(ahead)
		}
		advance(15 * time.Second)
		require.NotEmpty(t, m.OpenTransactions(), "it has 5 seconds left")
		advance(7 * time.Second)
		require.Empty(t, m.OpenTransactions())

		require.NoError(t, p.init(testCtx))
		c.Set(6 * time.Hour)
		require.NoError(t, p.produce(testCtx, out0, "b"))
		require.NoError(t, b.Close())
		c.Set(-6 * time.Hour)
		b = start()
		defer func() { require.NoError(t, b.Close()) }()
		advance(time.Minute + 2*expireInterval)
		require.Empty(t, m.OpenTransactions(), "it has its time once more, and no longer")
	})
}

func TestUnusedTransactionalIDIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemLog(testTopics())
		ids := &ids{next: 5}
		b := startBroker(t, m, ids)
		p := &testProducer{b: b, txID: "tx", local: true}
		require.NoError(t, p.init(testCtx))
		require.NoError(t, p.produce(testCtx, out0, "a"))
		require.NoError(t, p.end(testCtx, true))
		advance(idleExpiration + 2*expireInterval)
		require.ErrorIs(t, p.end(testCtx, true), kerr.InvalidProducerIDMapping)
		require.NoError(t, b.Close())
		b = startBroker(t, m, ids)
		defer func() { require.NoError(t, b.Close()) }()
		old := p.id
		p.b = b
		require.NoError(t, p.init(testCtx))
		require.NotEqual(t, old, p.id, "the tombstone was in the log")
	})
}

func TestOffsetsOfUnusedGroupsExpireButNotThoseOfQueries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := startBroker(t, newMemLog(testTopics()), &ids{})
		defer func() { require.NoError(t, b.Close()) }()
		for _, group := range []string{"g", "millrace-query-1", "members"} {
			if group == "members" {
				require.NoError(t, b.SetGroup(testCtx, group, 1, []GroupMember{{ID: "m"}}))
			}
			req := kmsg.NewPtrOffsetCommitRequest()
			req.Version, req.Group, req.Generation = 8, group, -1
			if group == "members" {
				req.MemberID, req.Generation = "m", 1
			}
			req.Topics = []kmsg.OffsetCommitRequestTopic{{
				Topic: "in", Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Offset: 3, LeaderEpoch: -1}},
			}}
			require.Zero(t, b.OffsetCommit(testCtx, req).Topics[0].Partitions[0].ErrorCode)
		}
		advance(offsetsRetention + 2*offsetsExpireInterval)
		for group, want := range map[string]int64{"g": -1, "millrace-query-1": 3, "members": 3} {
			offset, err := fetchOffset(b, group, in0, true)
			require.NoError(t, err)
			require.Equal(t, want, offset, group)
		}
	})
}

func TestMarkersAreTriedUntilTheyAreWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemLog(testTopics())
		b := startBroker(t, m, &ids{})
		defer func() { require.NoError(t, b.Close()) }()
		p := &testProducer{b: b, txID: "tx", local: true}
		require.NoError(t, p.init(testCtx))
		require.NoError(t, p.produce(testCtx, out0, "a"))
		require.NoError(t, p.produce(testCtx, out1, "b"))
		m.get("out", 1).refuse(3)
		require.NoError(t, p.end(testCtx, true))
		require.Equal(t, []string{"b"}, m.get("out", 1).committedValues())
	})
}
