package coordinator

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
)

// groupTest drives a group without clock and log.
type groupTest struct {
	t *testing.T
	*classicGroup
	now time.Time
}

func newGroupTest(t *testing.T) *groupTest {
	return &groupTest{t, newClassicGroup("g"), time.Unix(1000, 0)}
}

func (g *groupTest) wait(d time.Duration) {
	g.now = g.now.Add(d)
	g.tick(g.now)
}

func (g *groupTest) member(id string, instance *string) (*classicMember, chan joined) {
	answer := make(chan joined, 1)
	return &classicMember{
		id: id, instance: instance, session: 10 * time.Second, rebalance: time.Minute, join: answer,
		protocols: []groupProtocolOf{{"range", []byte(id)}},
	}, answer
}

func (g *groupTest) join(id string) chan joined {
	m, answer := g.member(id, nil)
	if old := g.members[id]; old != nil {
		old.join = answer
		g.rejoin(old, old.protocols, g.now)
	} else {
		g.add(m, "consumer", g.now)
	}
	return answer
}

// stable makes a group of members that all have their assignment.
func (g *groupTest) stable(ids ...string) {
	var answers []chan joined
	for _, id := range ids {
		answers = append(answers, g.join(id))
	}
	g.wait(joinDelay)
	for _, a := range answers {
		require.Nil(g.t, (<-a).err)
	}
	g.finish()
}

// finish has the leader assign and the log take it.
func (g *groupTest) finish() {
	g.assign(map[string][]byte{g.leader: []byte("all")})
	g.stored(g.generation, nil, g.now)
	require.Equal(g.t, groupStable, g.state)
}

func none[T any](t *testing.T, c chan T) {
	t.Helper()
	select {
	case got := <-c:
		t.Fatalf("answered with %+v", got)
	default:
	}
}

func TestTheFirstMembersWaitForEachOther(t *testing.T) {
	g := newGroupTest(t)
	a := g.join("a")
	g.wait(joinDelay / 2)
	b := g.join("b")
	none(t, a)
	g.wait(joinDelay / 2)
	lead, follow := <-a, <-b
	require.EqualValues(t, 1, lead.generation)
	require.Len(t, lead.members, 2)
	require.Equal(t, "a", follow.leader)
	require.Empty(t, follow.members)
}

func TestANewMemberHasTheOthersJoinAgain(t *testing.T) {
	g := newGroupTest(t)
	g.stable("a")
	b := g.join("b")
	require.Equal(t, groupPreparing, g.state)
	none(t, b)
	a := g.join("a")
	require.EqualValues(t, 2, (<-a).generation)
	require.EqualValues(t, 2, (<-b).generation)
}

func TestAMemberThatDoesNotJoinAgainIsLeftOut(t *testing.T) {
	g := newGroupTest(t)
	g.stable("a")
	g.members["a"].session = time.Hour
	g.touch(g.members["a"], g.now)
	b := g.join("b")
	g.wait(59 * time.Second)
	none(t, b)
	g.wait(time.Second)
	got := <-b
	require.Equal(t, "b", got.leader)
	require.NotContains(t, g.members, "a")
}

func TestAMemberWhoseSessionEndsLeaves(t *testing.T) {
	g := newGroupTest(t)
	g.stable("a", "b")
	g.wait(5 * time.Second)
	g.touch(g.members["b"], g.now)
	g.wait(5 * time.Second)
	require.NotContains(t, g.members, "a")
	require.Equal(t, groupPreparing, g.state)
	require.Equal(t, "b", g.leader)
}

func TestAGroupThatAllHaveLeftIsEmptyInANewGeneration(t *testing.T) {
	g := newGroupTest(t)
	g.stable("a")
	g.remove(g.members["a"], kerr.UnknownMemberID, g.now)
	require.Equal(t, groupEmpty, g.state)
	require.EqualValues(t, 2, g.generation)
	require.True(t, g.changed, "the log must hear of it")
}

func TestAStaticMemberTakesThePlaceOfItsPredecessor(t *testing.T) {
	g := newGroupTest(t)
	name := "one"
	first, answer := g.member("one-1", &name)
	g.add(first, "consumer", g.now)
	g.wait(joinDelay)
	require.Nil(t, (<-answer).err)
	g.finish()
	second, answer := g.member("one-2", &name)
	second.protocols = first.protocols
	g.replaceStatic("one-1", second, true, g.now)
	got := <-answer
	require.EqualValues(t, 1, got.generation)
	require.True(t, got.skipAssignment)
	require.Equal(t, "all", string(g.members["one-2"].assignment))
	_, kerror := g.find("one-1", &name)
	require.Equal(t, kerr.FencedInstanceID, kerror)
}

func TestAnAssignmentThatCannotBeStoredStartsAgain(t *testing.T) {
	g := newGroupTest(t)
	a := g.join("a")
	g.wait(joinDelay)
	require.Nil(t, (<-a).err)
	sync := make(chan synced, 1)
	g.members["a"].sync = sync
	g.assign(map[string][]byte{"a": []byte("x")})
	g.stored(g.generation, kerr.NotCoordinator, g.now)
	require.Equal(t, kerr.NotCoordinator, (<-sync).err)
	require.Equal(t, groupPreparing, g.state)
}

func TestMembersThatShareNoProtocolDoNotFit(t *testing.T) {
	g := newGroupTest(t)
	g.stable("a")
	require.False(t, g.agrees("consumer", []groupProtocolOf{{"sticky", nil}}, ""))
	require.False(t, g.agrees("connect", []groupProtocolOf{{"range", nil}}, ""))
	require.True(t, g.agrees("consumer", []groupProtocolOf{{"sticky", nil}, {"range", nil}}, ""))
}
