package coordinator

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const queryGroup = "millrace-query-7"

var in1 = TopicPartition{"in", 1}

func claimParts(t *testing.T, b *Broker, member string, tps ...TopicPartition) claim {
	t.Helper()
	got := b.Claim(testCtx, []GroupClaim{{queryGroup, member, tps}})[0]
	require.NoError(t, got.Err)
	return claim{group: queryGroup, member: member, generation: got.Generation}
}

// commitBoth commits an offset of each partition in one request, and returns the answer for each.
func (p *testProducer) commitBoth(c claim, offset int64) (errs [2]error) {
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.Version, req.TransactionalID, req.Group = 5, p.txID, c.group
	req.ProducerID, req.ProducerEpoch, req.MemberID, req.Generation = p.id, p.epoch, c.member, c.generation
	topic := kmsg.TxnOffsetCommitRequestTopic{Topic: in0.Topic}
	for _, tp := range []TopicPartition{in0, in1} {
		topic.Partitions = append(topic.Partitions, kmsg.TxnOffsetCommitRequestTopicPartition{Partition: tp.Partition, Offset: offset, LeaderEpoch: -1})
	}
	req.Topics = append(req.Topics, topic)
	resp := p.request(testCtx, req).(*kmsg.TxnOffsetCommitResponse)
	for i := range errs {
		errs[i] = kerr.ErrorForCode(resp.Topics[0].Partitions[i].ErrorCode)
	}
	return errs
}

func TestClaimOfOnePartitionLeavesThoseOfTheOthers(t *testing.T) {
	b, m := newTestBroker(t)
	first := claimParts(t, b, "node-1", in0, in1)
	p := &testProducer{b: b, txID: "tx", local: true}
	require.NoError(t, p.init(testCtx))
	require.Equal(t, [2]error{}, p.commitBoth(first, 5))
	require.NoError(t, p.end(testCtx, true))

	second := claimParts(t, b, "node-2", in1)
	require.Equal(t, [2]error{kerr.OperationNotAttempted, kerr.IllegalGeneration}, p.commitBoth(first, 6), "nothing is taken of a request that is refused in part")
	require.NoError(t, p.commitOffset(testCtx, first, in0, 7), "the claim of what stayed holds on")
	require.NoError(t, p.commitOffset(testCtx, second, in1, 8))
	require.ErrorIs(t, p.commitOffset(testCtx, second, in0, 8), kerr.IllegalGeneration)
	require.NoError(t, p.end(testCtx, true))

	check := func(b *Broker) {
		for tp, want := range map[TopicPartition]int64{in0: 7, in1: 8} {
			offset, err := fetchOffset(b, queryGroup, tp, true)
			require.NoError(t, err)
			require.Equal(t, want, offset)
		}
		generation, members, ok, err := b.Group(queryGroup)
		require.NoError(t, err)
		require.True(t, ok)
		require.EqualValues(t, 2, generation)
		assigned := map[string][]int32{}
		for _, m := range members {
			a := kmsg.NewConsumerMemberAssignment()
			require.NoError(t, a.ReadFrom(m.Assignment))
			require.Len(t, a.Topics, 1)
			assigned[m.ID] = a.Topics[0].Partitions
		}
		require.Equal(t, map[string][]int32{"node-1": {0}, "node-2": {1}}, assigned)
	}
	check(b)

	// The coordinator moves: claims hold as they were.
	b.Resign(allPartitions)
	b = startBroker(t, m, &ids{next: 2000})
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	check(b)
	p = &testProducer{b: b, txID: "tx", local: true}
	require.NoError(t, p.init(testCtx))
	require.ErrorIs(t, p.commitOffset(testCtx, first, in1, 9), kerr.IllegalGeneration)
	require.NoError(t, p.commitOffset(testCtx, first, in0, 9))
	third := claimParts(t, b, "node-1", in1)
	require.ErrorIs(t, p.commitOffset(testCtx, second, in1, 10), kerr.IllegalGeneration)
	require.ErrorIs(t, p.commitOffset(testCtx, first, in1, 10), kerr.IllegalGeneration, "an older claim of the same node")
	require.NoError(t, p.commitOffset(testCtx, third, in1, 10))
	_, members, _, err := b.Group(queryGroup)
	require.NoError(t, err)
	require.Len(t, members, 1, "a node without partitions is no member")
}

func TestClaimFollowsTheGroupOfAnEarlierRelease(t *testing.T) {
	b, _ := newTestBroker(t)
	whole := claim{group: queryGroup, member: "node-1", generation: 3}
	require.NoError(t, b.SetGroup(testCtx, queryGroup, 3, []GroupMember{{ID: "node-1", ClientID: "millrace"}}))
	p := &testProducer{b: b, txID: "tx", local: true}
	require.NoError(t, p.init(testCtx))
	require.NoError(t, p.commitOffset(testCtx, whole, in0, 5))
	c := claimParts(t, b, "node-2", in0)
	require.EqualValues(t, 4, c.generation)
	require.ErrorIs(t, p.commitOffset(testCtx, whole, in0, 6), kerr.IllegalGeneration)
	require.ErrorIs(t, p.commitOffset(testCtx, whole, in1, 6), kerr.IllegalGeneration)
	require.NoError(t, p.commitOffset(testCtx, c, in0, 6))
	got := b.Claim(testCtx, []GroupClaim{{"someone", "node-1", []TopicPartition{in0}}, {queryGroup, "node-3", []TopicPartition{in0}}})
	require.ErrorIs(t, got[0].Err, kerr.InvalidRequest, "other groups have members of their own")
	require.NoError(t, got[1].Err, "what is wrong with one claim is not with another")
}
