package coordinator

import (
	"fmt"
	"math/rand"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
)

// claimsOf are claims of one partition each, of so many queries.
func claimsOf(member string, queries int) (claims []GroupClaim) {
	for i := range queries {
		claims = append(claims, GroupClaim{fmt.Sprint(queryGroupPrefix, i), member, []TopicPartition{in0}})
	}
	return claims
}

// batches counts the record batches in the partitions that keep offsets.
func (m *memLog) batches() (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for tp, p := range m.mu.parts {
		if keepsOffsets(tp.Topic) {
			p.mu.Lock()
			n += len(p.mu.frames)
			p.mu.Unlock()
		}
	}
	return n
}

func TestClaimsOfManyQueriesAreWrittenTogether(t *testing.T) {
	b, m := newTestBroker(t)
	const queries = 500
	claims := claimsOf("node-1", queries)
	claims = append(claims, GroupClaim{claims[0].Group, "node-2", []TopicPartition{in1}}) // of a group that is claimed already
	got := b.Claim(testCtx, claims)
	require.Len(t, got, queries+1)
	for i, c := range got[:queries] {
		require.Equal(t, Claimed{Generation: 1}, c, "claim %d", i)
	}
	require.Equal(t, Claimed{Generation: 2}, got[queries])
	require.LessOrEqual(t, m.batches(), testPartitions+1, "one batch for each partition, and one for the group that is claimed twice")

	p := &testProducer{b: b, txID: "tx", local: true}
	require.NoError(t, p.init(testCtx))
	for i, c := range claims {
		require.NoError(t, p.commitOffset(testCtx, claim{group: c.Group, member: c.Member, generation: got[i].Generation}, c.Partitions[0], 1))
	}
	require.NoError(t, p.end(testCtx, true))
}

func TestClaimsBeyondABatchGoIntoAnother(t *testing.T) {
	b, m := newTestBroker(t)
	claims := claimsOf("node-1", 8*testPartitions)
	for i := range claims {
		for p := range int32(10_000) {
			claims[i].Partitions = append(claims[i].Partitions, TopicPartition{"in", p})
		}
	}
	for i, c := range b.Claim(testCtx, claims) {
		require.Equal(t, Claimed{Generation: 1}, c, "claim %d", i)
	}
	require.Greater(t, m.batches(), testPartitions)
	for i, c := range b.Claim(testCtx, claims) {
		require.Equal(t, Claimed{Generation: 2}, c, "claim %d", i)
	}
}

// TestClaimsThatACrashCutsInTheMiddleHoldOrDoNotGroupByGroup crashes the coordinator after any number of steps of a batch of claims by which one node takes over from another.
func TestClaimsThatACrashCutsInTheMiddleHoldOrDoNotGroupByGroup(t *testing.T) {
	const queries = 48
	cut := 0
	for steps := range int64(2*testPartitions + 1) {
		rng := rand.New(rand.NewSource(steps))
		b, m := newTestBroker(t)
		for _, c := range b.Claim(testCtx, claimsOf("node-1", queries)) {
			require.NoError(t, c.Err)
		}
		m.steps = &atomic.Int64{}
		m.steps.Store(steps)
		claims := claimsOf("node-2", queries)
		answers := b.Claim(testCtx, claims)
		require.NoError(t, b.Close())
		after := startBroker(t, m.crash(rng), &ids{next: 2000})

		p := &testProducer{b: after, txID: "tx", local: true}
		require.NoError(t, p.init(testCtx))
		held := 0
		for i, c := range claims {
			was := p.commitOffset(testCtx, claim{group: c.Group, member: "node-1", generation: 1}, in0, 1)
			is := p.commitOffset(testCtx, claim{group: c.Group, member: "node-2", generation: 2}, in0, 1)
			switch {
			case is == nil:
				held++
				require.ErrorIs(t, was, kerr.IllegalGeneration, "two own %s after %d steps", c.Group, steps)
			default:
				require.NoError(t, was, "nobody owns %s after %d steps", c.Group, steps)
				require.Error(t, answers[i].Err, "the claim of %s was answered after %d steps", c.Group, steps)
			}
		}
		require.NoError(t, p.end(testCtx, true))
		if held > 0 && held < queries {
			cut++
		}
		for i, c := range after.Claim(testCtx, claims) { // who was not answered claims again
			require.NoError(t, c.Err)
			require.ErrorIs(t, p.commitOffset(testCtx, claim{group: claims[i].Group, member: "node-1", generation: 1}, in0, 2), kerr.IllegalGeneration)
			require.NoError(t, p.commitOffset(testCtx, claim{group: claims[i].Group, member: "node-2", generation: c.Generation}, in0, 2))
		}
		require.NoError(t, p.end(testCtx, true))
		require.NoError(t, after.Close())
	}
	require.Positive(t, cut, "no crash was in the middle")
}

func TestClaimsOfACoordinatorThatIsDeposedAreNotAnswered(t *testing.T) {
	b, m := newTestBroker(t)
	claims := claimsOf("node-1", 64)
	deposed := b.Offsets.partitionOf(claims[0].Group)
	m.get(deposed.Topic, deposed.Partition).depose()
	for i, c := range b.Claim(testCtx, claims) {
		if b.Offsets.partitionOf(claims[i].Group) == deposed {
			require.ErrorIs(t, c.Err, kerr.NotCoordinator)
			require.Zero(t, c.Generation)
		} else {
			require.NoError(t, c.Err)
		}
	}
}
