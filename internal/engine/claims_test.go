package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millracedb/millrace/coordinator"
	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/replication/metadata"
)

// claimGroups is a coordinator that gives the generations 1, 2, ... to the claims of a request, and refuses those of one group.
type claimGroups struct {
	refused string
	members map[string]string
}

func (g *claimGroups) Claim(_ context.Context, claims []coordinator.GroupClaim) []coordinator.Claimed {
	out := make([]coordinator.Claimed, len(claims))
	for i, c := range claims {
		if out[i].Generation = int32(i + 1); c.Group == g.refused {
			out[i] = coordinator.Claimed{Err: kerr.NotCoordinator}
			continue
		}
		g.members[c.Group] = c.Member
	}
	return out
}

func (*claimGroups) Group(string) (int32, []coordinator.GroupMember, bool, error) {
	return 0, nil, false, nil
}
func (*claimGroups) DeleteGroup(context.Context, string, bool) error { return nil }

// home is the engine of the node that coordinates, as another one reaches it. It knows every query.
type home struct {
	e     *Engine
	kinds []string // of the questions that it was asked
	older bool     // it is of a release that takes one claim at a time
}

func (h *home) Ask(ctx context.Context, _ int32, data []byte) ([]byte, error) {
	var q question
	if err := json.Unmarshal(data, &q); err != nil {
		return nil, err
	}
	h.kinds = append(h.kinds, q.Kind)
	var a answer
	switch {
	case q.Kind == "claims" && !h.older:
		a.Claims = h.e.claimHere(ctx, q.Member, q.Claims)
	case q.Kind == "claim":
		c := h.e.claimHere(ctx, q.Member, []groupClaim{{Query: q.Query, Group: q.Group, Partitions: q.Ends}})[0]
		a.Generation, a.Code, a.Message = c.Generation, c.Code, c.Message
	default:
		a.Code, a.Message = string(sqlerr.FeatureNotSupported), "a question of another release"
	}
	return json.Marshal(a)
}

func someClaims(n int) (claims []groupClaim) {
	for i := range n {
		oid := metadata.OID(16384 + i)
		claims = append(claims, claimOf(oid, groupName(oid), []exec.TopicPartition{{Topic: "s", Partition: int32(i % 4)}}))
	}
	return claims
}

func TestClaimsOfAllQueriesAreOneQuestion(t *testing.T) {
	groups := &claimGroups{members: map[string]string{}}
	h := &home{e: &Engine{opts: Options{NodeID: 1, Groups: groups}}}
	e := &Engine{opts: Options{NodeID: 3, Worker: true, Peers: h}}
	claims := someClaims(500)
	groups.refused = claims[7].Group
	got := e.askClaims(t.Context(), 1, claims)
	require.Equal(t, []string{"claims"}, h.kinds)
	require.Len(t, got, len(claims))
	for i, c := range got {
		if i == 7 {
			require.ErrorContains(t, c.err(), "NOT_COORDINATOR")
			continue
		}
		require.NoError(t, c.err(), "what is wrong with one claim is not with the others")
		require.EqualValues(t, i+1, c.Generation)
		require.Equal(t, memberName(3), groups.members[claims[i].Group])
	}
}

func TestANodeOfAnEarlierReleaseIsAskedForOneClaimAtATime(t *testing.T) {
	groups := &claimGroups{members: map[string]string{}}
	h := &home{e: &Engine{opts: Options{NodeID: 1, Groups: groups}}, older: true}
	e := &Engine{opts: Options{NodeID: 3, Worker: true, Peers: h}}
	claims := someClaims(3)
	groups.refused = claims[1].Group
	got := e.askClaims(t.Context(), 1, claims)
	require.Equal(t, []string{"claims", "claim", "claim", "claim"}, h.kinds)
	require.NoError(t, got[0].err())
	require.Error(t, got[1].err())
	require.NoError(t, got[2].err())
	require.Equal(t, map[string]string{claims[0].Group: memberName(3), claims[2].Group: memberName(3)}, groups.members)
}

func TestANodeThatDoesNotCoordinateMakesNoClaims(t *testing.T) {
	e := &Engine{opts: Options{NodeID: 3, Worker: true}}
	require.Empty(t, e.claimHere(t.Context(), memberName(2), nil))
}

func TestClaimsThatNobodyAnswersAreNotMade(t *testing.T) {
	e := &Engine{opts: Options{NodeID: 3, Worker: true, Peers: noPeers{}}}
	for i, c := range e.askClaims(t.Context(), 1, someClaims(3)) {
		require.Error(t, c.err(), fmt.Sprint(i))
	}
}
