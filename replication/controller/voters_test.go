package controller

import (
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"
)

// ballot is a metadata group under review.
type ballot struct {
	t       *testing.T
	r       voterReview
	members []raft.Server
	up      map[raft.ServerID]bool
	now     time.Time
}

// newBallot is a group of which the first has a vote, and controls.
func newBallot(t *testing.T, ids ...string) *ballot {
	b := &ballot{t: t, up: map[raft.ServerID]bool{}, now: time.Unix(1000, 0)}
	b.join(ids...)
	b.members[0].Suffrage = raft.Voter
	return b
}

func (b *ballot) join(ids ...string) {
	for _, id := range ids {
		b.members = append(b.members, raft.Server{Suffrage: raft.Nonvoter, ID: raft.ServerID(id)})
		b.up[raft.ServerID(id)] = true
	}
}

func (b *ballot) away(ids ...string) {
	for _, id := range ids {
		b.up[raft.ServerID(id)] = false
	}
}

func (b *ballot) remove(id string) {
	b.members = slices.DeleteFunc(b.members, func(m raft.Server) bool { return string(m.ID) == id })
}

// after is who votes when so much time has passed, with a review every second.
func (b *ballot) after(d time.Duration) (voters []string) {
	b.t.Helper()
	for end := b.now.Add(d); !b.now.After(end); b.now = b.now.Add(time.Second) {
		for {
			promote, demote := b.r.review(b.members, b.up, b.members[0].ID, b.now)
			if promote == nil && demote == nil {
				break
			}
			require.False(b.t, promote != nil && demote != nil, "one vote at a time")
			switch {
			case promote != nil:
				require.True(b.t, b.up[promote.ID], "only who is there gets a vote")
				promote.Suffrage = raft.Voter
			case demote != nil:
				require.NotEqual(b.t, b.members[0].ID, demote.ID, "the controller keeps its own")
				demote.Suffrage = raft.Nonvoter
			}
		}
	}
	for _, m := range b.members {
		if m.Suffrage == raft.Voter {
			voters = append(voters, string(m.ID))
		}
	}
	return voters
}

func TestVotersGrowWithTheCluster(t *testing.T) {
	for n, want := range map[int]int{1: 1, 2: 1, 3: 3, 4: 3, 5: 5, 9: 5} {
		require.Equal(t, want, Voters(n), "%d nodes", n)
	}
	b := newBallot(t, "a", "b")
	require.Equal(t, []string{"a"}, b.after(time.Minute), "a group of two would need both")
	b.join("c")
	require.Equal(t, []string{"a", "b", "c"}, b.after(0), "every one of the first three makes it safer")
	b.join("d")
	require.Equal(t, []string{"a", "b", "c"}, b.after(time.Minute))
	b.join("e")
	require.Equal(t, []string{"a", "b", "c"}, b.after(voterSteady-2*time.Second))
	require.Equal(t, []string{"a", "b", "c", "d", "e"}, b.after(2*time.Second))
}

func TestANodeThatComesAndGoesGetsNoFourthVote(t *testing.T) {
	b := newBallot(t, "a", "b", "c", "d", "e")
	b.away("d", "e")
	require.Equal(t, []string{"a", "b", "c"}, b.after(0))
	for range 30 {
		b.up["d"], b.up["e"] = true, true
		require.Equal(t, []string{"a", "b", "c"}, b.after(time.Second))
		b.away("e")
		require.Equal(t, []string{"a", "b", "c"}, b.after(0))
	}
}

func TestTheVoteOfANodeThatStaysAwayGoesToAnother(t *testing.T) {
	b := newBallot(t, "a", "b", "c", "d")
	require.Equal(t, []string{"a", "b", "c"}, b.after(time.Minute))
	b.away("b")
	require.Equal(t, []string{"a", "b", "c"}, b.after(voterGone))
	require.Equal(t, []string{"a", "c", "d"}, b.after(5*time.Second))
	b.up["b"] = true
	require.Equal(t, []string{"a", "c", "d"}, b.after(time.Minute))
}

func TestWithNobodyToTakeItAVoteWaitsForItsNode(t *testing.T) {
	for _, ids := range [][]string{{"a", "b", "c"}, {"a", "b", "c", "d", "e"}} {
		b := newBallot(t, ids...)
		require.Equal(t, ids, b.after(time.Minute))
		b.away("b")
		require.Equal(t, ids, b.after(time.Hour))
	}
}

func TestTwoOfFiveThatStayAwayLoseTheirVotesUntilTheyAreBack(t *testing.T) {
	b := newBallot(t, "a", "b", "c", "d", "e")
	require.Len(t, b.after(time.Minute), 5)
	b.away("b", "d")
	require.Len(t, b.after(voterGone), 5)
	require.Equal(t, []string{"a", "c", "e"}, b.after(2*time.Second), "of which one more may go")
	b.up["b"] = true
	require.Equal(t, []string{"a", "c", "e"}, b.after(time.Minute))
	b.up["d"] = true
	require.Len(t, b.after(time.Minute), 5)
}

func TestRemovedNodesTakeTheVotesBackToThreeAndToOne(t *testing.T) {
	b := newBallot(t, "a", "b", "c", "d", "e")
	require.Len(t, b.after(time.Minute), 5)
	b.remove("c")
	require.Len(t, b.after(0), 3)
	b.remove("b")
	require.Equal(t, []string{"a", "d", "e"}, b.after(time.Minute))
	b.remove("d")
	require.Equal(t, []string{"a"}, b.after(0))
}
