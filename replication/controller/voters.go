package controller

import (
	"context"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// votersEvery is how often the votes are looked at; one changes at a time.
	votersEvery = 200 * time.Millisecond
	// voterGone is how long a voter is out of touch before another gets its vote.
	voterGone = 30 * time.Second
)

// voterReview is what the loop remembers of the voters.
type voterReview struct {
	at   time.Time
	gone map[raft.ServerID]time.Time // voters out of touch, since when
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
	if c.voters.gone == nil {
		c.voters.gone = map[raft.ServerID]time.Time{}
	}
	members, err := c.opts.Meta.Members()
	if err != nil {
		return err
	}
	up := c.membersUp()
	var candidate, lost *raft.Server
	voters, live := 0, 0
	for i := range members {
		m := &members[i]
		if up[m.ID] {
			live++
			delete(c.voters.gone, m.ID)
		}
		switch {
		case m.Suffrage == raft.Voter:
			voters++
			if _, ok := c.voters.gone[m.ID]; !ok && !up[m.ID] {
				c.voters.gone[m.ID] = now
			}
			if since, ok := c.voters.gone[m.ID]; ok && now.Sub(since) > voterGone {
				lost = m
			}
		case up[m.ID] && candidate == nil:
			candidate = m
		}
	}
	wanted := Voters(max(live, voters))
	switch {
	case candidate != nil && (voters < wanted || lost != nil && voters == wanted):
		c.opts.Logger.Info("controller: a node gets a vote", "directory", candidate.ID, "address", candidate.Address)
		return c.opts.Meta.Promote(ctx, *candidate)
	case lost != nil && voters > wanted:
		c.opts.Logger.Info("controller: a node loses its vote", "directory", lost.ID, "address", lost.Address)
		return c.opts.Meta.Demote(ctx, *lost)
	}
	return nil
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
