package controller

import (
	"cmp"
	"context"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// votersEvery is how often the votes are looked at; one changes at a time.
	votersEvery = 200 * time.Millisecond
	// voterGone is how long a voter is out of touch before another gets its vote, or nobody.
	voterGone = 30 * time.Second
	// voterSteady is how long a node is there before it gets a vote beyond the third: one that comes and goes is of no use to those that do well without it.
	voterSteady = 3 * time.Second
)

// voterReview is what the controller remembers of the members of the metadata group, since it controls.
type voterReview struct {
	at   time.Time
	seen map[raft.ServerID]presence
}

// presence is whether a member is in touch, and since when.
type presence struct {
	up    bool
	since time.Time
}

// Voters is how many of n nodes vote: with two, two would be needed; so it is one, three with three or four, five from five on.
func Voters(n int) int {
	switch {
	case n < 3:
		return 1
	case n < 5:
		return 3
	default:
		return 5
	}
}

// reviewVoters gives or takes one vote if the members call for it.
func (c *Controller) reviewVoters(ctx context.Context) error {
	now := c.opts.Clock.Now()
	if now.Sub(c.voters.at) < votersEvery {
		return nil
	}
	c.voters.at = now
	members, err := c.opts.Meta.Members()
	if err != nil {
		return err
	}
	var self raft.ServerID
	if own, ok := c.opts.Meta.Image().Broker(c.opts.NodeID); ok {
		self = raft.ServerID(own.Directory.String())
	}
	promote, demote := c.voters.review(members, c.membersUp(), self, now)
	switch {
	case promote != nil:
		c.opts.Logger.Info("controller: a node gets a vote", "directory", promote.ID, "address", promote.Address)
		return c.opts.Meta.Promote(ctx, *promote)
	case demote != nil:
		c.opts.Logger.Info("controller: a node loses its vote", "directory", demote.ID, "address", demote.Address)
		return c.opts.Meta.Demote(ctx, *demote)
	}
	return nil
}

// review says which member is to get a vote, or to lose it; self controls, and keeps its own. One that has gone is expected back: its vote waits for it as long as another can go without harm, unless a
// member without a vote can have it. When two have gone, the votes are left to those that are there, so that one more may go.
func (r *voterReview) review(members []raft.Server, up map[raft.ServerID]bool, self raft.ServerID, now time.Time) (promote, demote *raft.Server) {
	var candidate, lost, spare *raft.Server
	voters, present := 0, 0
	for _, m := range members {
		if m.Suffrage == raft.Voter {
			voters++
		}
	}
	seen := make(map[raft.ServerID]presence, len(members))
	for i := range members {
		m := &members[i]
		p, known := r.seen[m.ID]
		if !known || p.up != up[m.ID] {
			p = presence{up[m.ID], now}
		}
		seen[m.ID] = p
		since := now.Sub(p.since)
		switch votes := m.Suffrage == raft.Voter; {
		case votes && !p.up && since > voterGone:
			lost = m
		case votes:
			present++
			if m.ID != self {
				spare = m
			}
		case p.up && (voters < 3 || since >= voterSteady):
			present++
			candidate = cmp.Or(candidate, m)
		}
	}
	r.seen = seen
	wanted, kept := Voters(present), Voters(min(len(members), present+1))
	switch {
	case candidate != nil && (voters < wanted || lost != nil && voters == wanted):
		return candidate, nil
	case voters > kept && lost != nil:
		return nil, lost
	case voters > kept:
		return nil, spare
	}
	return nil, nil
}

// membersUp are the members whose brokers are active and have nearly all of the metadata.
func (c *Controller) membersUp() map[raft.ServerID]bool {
	img := c.opts.Meta.Image()
	up := map[raft.ServerID]bool{}
	for k := range img.Brokers() {
		if k.Fenced {
			continue
		}
		h, _, ok := c.lastHeard(k)
		if k.ID == c.opts.NodeID || ok && h.index+voterLag >= img.Index() {
			up[raft.ServerID(k.Directory.String())] = true
		}
	}
	return up
}

// voterLag is how many entries a node may be behind to be given a vote.
const voterLag = 1000
