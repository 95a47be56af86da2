package controller

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"slices"
	"time"

	"github.com/hashicorp/raft"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/replication/lifeline"
	"github.com/millracedb/millrace/replication/metadata"
)

const (
	// deathsTag is the tag of a heartbeat with the processes that its sender has seen die: for each, as varints, node and epoch. Kafka's own tags are small.
	deathsTag = 10_000
	// maxDeaths bounds how many are told at a time.
	maxDeaths = 64
	// standAside is for how long each voter leaves the election to those before it when the leader of the metadata group has died.
	standAside = 150 * time.Millisecond
)

// TakeLine reads a life line of a node to its end: see package lifeline.
func (c *Controller) TakeLine(ctx context.Context, conn net.Conn, node int32) error {
	return c.lines.Take(ctx, conn, node)
}

// Deaths are the processes that this node has seen die and that are not fenced yet.
func (c *Controller) Deaths() []lifeline.Death { return c.lines.Deaths() }

// Doubts reports whether this node has reason to believe that the process of a node has died, before that is certain.
func (c *Controller) Doubts(node int32) bool { return c.lines.Doubts(node) }

func (c *Controller) onDeath() {
	c.wake()
	select {
	case c.died <- struct{}{}:
	default:
	}
}

// counts reports whether a registration is that of a node that is not fenced.
func (c *Controller) counts(node int32, epoch uint64) bool {
	k, ok := c.opts.Meta.Image().Broker(node)
	return ok && k.Epoch == epoch && !k.Fenced
}

var errNoPort = errors.New("controller: the node has no known node port")

func (c *Controller) dial(ctx context.Context, node int32) error {
	k, ok := c.opts.Meta.Image().Broker(node)
	if !ok || k.PeerAddr() == "" {
		return errNoPort
	}
	return c.opts.Dial(ctx, k.PeerAddr())
}

// votingNodes are the members of the metadata group that vote, and the nodes that they are; the controller is one.
func (c *Controller) votingNodes() map[raft.ServerID]int32 {
	members, err := c.opts.Meta.Members()
	if err != nil {
		return nil // raft is being reopened
	}
	out := map[raft.ServerID]int32{}
	for _, m := range members {
		if m.Suffrage == raft.Voter {
			out[m.ID] = noNode
		}
	}
	for k := range c.opts.Meta.Image().Brokers() {
		id := raft.ServerID(k.Directory.String())
		if _, ok := out[id]; ok {
			out[id] = k.ID
		}
	}
	return out
}

// noNode stands for a voter that is not registered.
const noNode int32 = -1

// hasDied reports whether a majority of the voters, this node among them, have seen the process of a registration die.
func (c *Controller) hasDied(k *metadata.Broker) bool {
	if _, here := c.lines.Dead(k.ID, k.Epoch); !here {
		return false
	}
	voters := c.votingNodes()
	c.mu.Lock()
	defer c.mu.Unlock()
	return majority(voters, func(id int32) bool {
		h, ok := c.mu.heard[id]
		return id == c.opts.NodeID || ok && c.opts.Clock.Since(h.at) <= Session && slices.Contains(h.deaths, lifeline.Death{Node: k.ID, Epoch: k.Epoch})
	})
}

// majority reports whether more than half of the voters have seen something.
func majority(voters map[raft.ServerID]int32, saw func(int32) bool) bool {
	n := 0
	for _, id := range voters {
		if saw(id) {
			n++
		}
	}
	return n >= lifeline.Majority(len(voters))
}

// condemn reports whether a broker is to be fenced, guilty saying whether that was found, by what had been heard of it until last. From then on, before there is an entry that fences it, no heartbeat of its
// registration is answered as that of an active broker, and what was heard of it is forgotten, so that only what comes later lets it in again.
func (c *Controller) condemn(k *metadata.Broker, last heard, guilty bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.condemned[k.ID] == k.Epoch {
		return true
	}
	if now := c.mu.heard[k.ID]; !guilty || now.epoch == k.Epoch && !now.at.Equal(last.at) {
		return false // it was heard meanwhile
	}
	c.mu.condemned[k.ID] = k.Epoch
	delete(c.mu.heard, k.ID)
	return true
}

// acquit is told that a broker is fenced.
func (c *Controller) acquit(node int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.mu.condemned, node)
}

// follow is the step of a node that does not lead: it remembers who does, and stands for election when that has died.
func (c *Controller) follow() error {
	leader := c.opts.Meta.LeaderAddr()
	if leader == "" {
		return nil
	}
	c.mu.Lock()
	c.mu.former = leader
	c.mu.Unlock()
	return c.succeed(leader)
}

// succeed stands for election when the process of the leader was seen to die, once in a term. Raft would wait for its heartbeats.
func (c *Controller) succeed(leader string) error {
	term := c.opts.Meta.Term()
	if c.stood == term {
		return nil
	}
	for k := range c.opts.Meta.Image().Brokers() {
		if k.PeerAddr() != leader {
			continue
		}
		since, dead := c.lines.Dead(k.ID, k.Epoch)
		if !dead {
			return nil
		}
		turn, votes := c.turn(k.ID)
		if !votes || c.opts.Clock.Since(since) < time.Duration(turn)*standAside {
			return nil
		}
		c.stood = term
		c.opts.Logger.Info("controller: the leader of the metadata has died: standing for election", "leader", k.ID)
		return c.opts.Meta.Stand()
	}
	return nil
}

// turn is how many voters stand for election before this node when a node has died; votes is false if this one does not vote.
func (c *Controller) turn(died int32) (before int, votes bool) {
	for _, id := range c.votingNodes() {
		switch {
		case id == c.opts.NodeID:
			votes = true
		case id < c.opts.NodeID && id != died && id != noNode:
			before++
		}
	}
	return before, votes
}

// tellDeaths adds deaths to a heartbeat.
func tellDeaths(req *kmsg.BrokerHeartbeatRequest, deaths []lifeline.Death) {
	var b []byte
	for _, d := range deaths[:min(len(deaths), maxDeaths)] {
		b = binary.AppendUvarint(binary.AppendVarint(b, int64(d.Node)), d.Epoch)
	}
	if len(b) > 0 {
		req.UnknownTags.Set(deathsTag, b)
	}
}

// toldDeaths are those of a heartbeat.
func toldDeaths(req *kmsg.BrokerHeartbeatRequest) (deaths []lifeline.Death) {
	req.UnknownTags.Each(func(tag uint32, b []byte) {
		for tag == deathsTag && len(b) > 0 && len(deaths) < maxDeaths {
			node, n := binary.Varint(b)
			if n <= 0 {
				return
			}
			epoch, m := binary.Uvarint(b[n:])
			if m <= 0 {
				return
			}
			deaths, b = append(deaths, lifeline.Death{Node: int32(node), Epoch: epoch}), b[n+m:]
		}
	})
	return deaths
}
