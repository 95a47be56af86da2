package controller

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/replication/lifeline"
	"github.com/millracedb/millrace/replication/metadata"
)

func TestAMajorityOfTheVotersMustHaveSeenADeath(t *testing.T) {
	three := map[raft.ServerID]int32{"a": 1, "b": 2, "c": 3}
	saw := func(who ...int32) func(int32) bool {
		return func(id int32) bool { return slices.Contains(who, id) }
	}
	require.False(t, majority(three, saw()))
	require.False(t, majority(three, saw(1)))
	require.True(t, majority(three, saw(1, 3)))
	require.False(t, majority(three, saw(1, 7, 8)), "who has no vote does not count")
	require.True(t, majority(map[raft.ServerID]int32{"a": 1}, saw(1)))
	require.False(t, majority(map[raft.ServerID]int32{"a": 1, "b": noNode, "c": noNode}, saw(1)), "a voter that is not known counts among all")
}

func TestDeathsAreToldInHeartbeats(t *testing.T) {
	deaths := []lifeline.Death{{Node: 3, Epoch: 70_000}, {Node: 0, Epoch: 1}, {Node: 1 << 30, Epoch: 1 << 60}}
	req := kmsg.NewPtrBrokerHeartbeatRequest()
	tellDeaths(req, deaths)
	got := kmsg.NewPtrBrokerHeartbeatRequest()
	require.NoError(t, got.ReadFrom(req.AppendTo(nil)))
	require.Equal(t, deaths, toldDeaths(got))
	require.Empty(t, toldDeaths(kmsg.NewPtrBrokerHeartbeatRequest()))

	many := make([]lifeline.Death, maxDeaths+1)
	tellDeaths(req, many)
	require.Len(t, toldDeaths(req), maxDeaths)
	req.UnknownTags.Set(deathsTag, []byte{2, 0x80})
	require.Empty(t, toldDeaths(req), "half of one")
}

func TestANodeServesForItsTenureSinceItsLastAnsweredHeartbeat(t *testing.T) {
	now := time.Unix(1000, 0)
	after := func(d time.Duration) time.Time { return now.Add(d) }
	over := func(x *tenure, at time.Time) bool { _, over := x.over(at); return over }

	x := tenure{answered: now}
	require.False(t, x.renew(after(1), true), "it is not let in yet")
	require.False(t, over(&x, after(tenureTime)))
	require.True(t, over(&x, after(tenureTime+1)))

	require.True(t, x.renew(after(2*time.Second), false))
	require.False(t, x.renew(after(time.Second), false), "an older one says nothing new")
	require.False(t, over(&x, after(2*time.Second+tenureTime)))

	require.False(t, x.renew(after(3*time.Second), true))
	require.True(t, over(&x, after(3*time.Second)), "it was fenced")
	require.True(t, x.renew(after(4*time.Second), false))
	require.False(t, over(&x, after(4*time.Second)))
}

// TestATenureThatWasGivenUpIsNotRenewedByAnEarlierHeartbeat: the voters may have taken the node for dead since they answered it.
func TestATenureThatWasGivenUpIsNotRenewedByAnEarlierHeartbeat(t *testing.T) {
	now := time.Unix(1000, 0)
	x := tenure{answered: now}
	x.giveUp(now.Add(time.Second), "lost")
	require.False(t, x.renew(now.Add(time.Second-1), false))
	why, over := x.over(now.Add(time.Second))
	require.True(t, over)
	require.Equal(t, "lost", why)
	require.True(t, x.renew(now.Add(time.Second+1), false))
	_, over = x.over(now.Add(time.Second + 1))
	require.False(t, over)
}

// TestNoHeartbeatRenewsTheTenureOfWhoIsAboutToBeFenced: it would believe that nobody takes its place.
func TestNoHeartbeatRenewsTheTenureOfWhoIsAboutToBeFenced(t *testing.T) {
	c := &Controller{}
	c.mu.heard, c.mu.condemned = map[int32]heard{}, map[int32]uint64{}
	k := &metadata.Broker{ID: 1, Epoch: 7}
	early, late := heard{at: time.Unix(1, 0), epoch: 7}, heard{at: time.Unix(2, 0), epoch: 7}

	c.mu.heard[1] = late
	require.False(t, c.condemn(k, late, false))
	require.False(t, c.condemn(k, early, true), "it was heard after it was looked at")
	require.True(t, c.condemn(k, late, true))
	require.NotContains(t, c.mu.heard, int32(1), "what was heard before does not let it in again")
	c.mu.heard[1] = late
	require.True(t, c.condemn(k, late, false), "until there is the entry")
	require.False(t, c.condemn(&metadata.Broker{ID: 1, Epoch: 8}, late, false), "the next registration is another")
	c.acquit(1)
	require.False(t, c.condemn(k, late, false))
}

// TestANewControllerGivesEverybodyASession: the one before may have answered whoever this one did not hear, until this one was elected.
func TestANewControllerGivesEverybodyASession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Controller{opts: Options{Clock: clock.Real}}
		node := func(id int32) *metadata.Broker {
			return &metadata.Broker{ID: id, Epoch: 7, Endpoints: []metadata.Endpoint{{Name: metadata.EndpointPeer, Host: "h", Port: uint16(id)}}}
		}
		now := time.Now()
		c.mu.since, c.mu.former = now, "h:3"
		c.mu.heard = map[int32]heard{1: {at: now.Add(-time.Second), epoch: 7}, 2: {at: now.Add(time.Second / 2), epoch: 7}, 3: {at: now.Add(-time.Second), epoch: 7}}
		<-time.After(time.Second)
		for id, want := range map[int32]time.Duration{1: time.Second, 2: time.Second / 2, 3: time.Second + metadata.LeaderSilence, 4: time.Second} {
			_, silent, _ := c.lastHeard(node(id))
			require.Equal(t, want, silent, "node %d", id)
		}
	})
}

// TestWhatIsLoggedOfABrokerIsTrueOfItsLastHeartbeat: how long it counts as silent may reach back to before this controller began, or have nothing to do with it.
func TestWhatIsLoggedOfABrokerIsTrueOfItsLastHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Controller{opts: Options{Clock: clock.Real}}
		k := &metadata.Broker{ID: 1, Epoch: 7}
		c.mu.since = time.Now()
		c.mu.heard = map[int32]heard{1: {at: time.Now().Add(time.Minute), epoch: 7, stopping: true}}
		<-time.After(time.Minute + Session + stepEvery)
		h, silent, ok := c.lastHeard(k)
		require.False(t, ok)
		require.Greater(t, silent, Session)
		require.Equal(t, "2.6s ago", c.heardAgo(k, h))
		require.Equal(t, "silent since it was about to stop", whyFenced(false, h.stopping))

		h, _, _ = c.lastHeard(&metadata.Broker{ID: 1, Epoch: 8})
		require.Equal(t, "never by this node", c.heardAgo(&metadata.Broker{ID: 1, Epoch: 8}, h), "the one before was another process")
	})
}
