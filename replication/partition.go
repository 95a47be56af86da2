package replication

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/log"
	"github.com/millracedb/millrace/replication/core"
	"github.com/millracedb/millrace/replication/metadata"
)

// lagMaxMs is replica.lag.time.max.ms: how long a follower may be behind and stay in the ISR.
const lagMaxMs = 30_000

// Partition is this node's replica of a partition. It is safe for concurrent use.
type Partition struct {
	topic   string
	topicID metadata.UUID
	id      int32
	node    int32
	clk     clock.Clock
	logger  *slog.Logger
	log     *log.Log
	lease   *lease     // of the manager: when it is over, nothing is served as leader
	asks    chan<- ask // of the manager: proposals for the metadata

	// lead is held for reading by appends and for writing while leadership changes, so that no append spans two leader epochs.
	lead sync.RWMutex

	hw, lso atomic.Int64 // written under mu

	mu struct {
		sync.Mutex
		leader  *core.Leader // nil: this node does not lead
		epoch   int32        // leader epoch of the newest metadata seen; -1 before
		owner   metadata.Owner
		offline error           // set for good when the disk failed or the partition was closed
		waiters []*waiter       // one for each goroutine that waits: as many as callers may be
		subs    []*subscription // one for each reader that follows

		followers   []*fetchPart // one for each node that follows
		follows     int32        // whom this replica copies, negative if nobody
		followEpoch int32        // the leader epoch of that
		servedEpoch int32        // the newest one in which the leader has answered this replica; -1 before

		record  int32 // partition epoch of the newest record this replica has acted on
		addedAt int32 // metadata.Partition.AddedAt of that
		inSync  bool  // this replica is, by that
	}
}

func (m *Manager) newPartition(t *metadata.Topic, id int32) *Partition {
	p := &Partition{
		topic: t.Name, topicID: t.ID, id: id, node: m.opts.NodeID, clk: m.opts.Clock, logger: m.opts.Logger.With("topic", t.Name, "partition", id),
		lease: m.lease, asks: m.asks,
	}
	p.mu.epoch, p.mu.follows, p.mu.servedEpoch = -1, -1, -1
	return p
}

// Topic is the topic's name.
func (p *Partition) Topic() string { return p.topic }

// TopicID is the topic's id.
func (p *Partition) TopicID() metadata.UUID { return p.topicID }

// ID is the partition's number.
func (p *Partition) ID() int32 { return p.id }

// Owner is the topic's owner: clients may produce only where there is none.
func (p *Partition) Owner() metadata.Owner {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.owner
}

// LeaderEpoch is the generation of the leadership in the newest metadata this replica has acted on.
func (p *Partition) LeaderEpoch() int32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.epoch
}

// Leads reports whether this node leads the partition.
func (p *Partition) Leads() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.leader != nil && !p.lease.over()
}

// HighWatermark is the offset below which everything is on every in-sync replica.
func (p *Partition) HighWatermark() int64 { return p.hw.Load() }

// LastStableOffset is the offset below which everything belongs to transactions that are decided and whose markers are committed; at most the high
// watermark.
func (p *Partition) LastStableOffset() int64 { return p.lso.Load() }

// LogStart is the first offset there is.
func (p *Partition) LogStart() int64 { return p.log.LogStart() }

// LogEnd is the next offset to be written.
func (p *Partition) LogEnd() int64 { return p.log.LEO() }

// DurableEnd is the offset below which everything is on this node's disk.
func (p *Partition) DurableEnd() int64 { return p.log.DurableEnd() }

// Size is the size of the log in bytes.
func (p *Partition) Size() int64 { return p.log.Size() }

// Failure is what is wrong with this replica, or nil: a *log.Damage, an error of the disk. It takes no writes then, but for damage that was met by a reader.
func (p *Partition) Failure() error {
	p.mu.Lock()
	offline := p.mu.offline
	p.mu.Unlock()
	if offline != nil {
		return offline
	}
	if err := p.log.Failure(); err != nil {
		return err
	}
	if d := p.log.Damage(); d != nil {
		return d
	}
	return nil
}

// servesLocked answers why a request made in the given leader epoch is not for this replica, or nil.
func (p *Partition) servesLocked(epoch int32) error {
	switch {
	case p.mu.offline != nil:
		return p.mu.offline
	case p.mu.leader == nil, p.lease.over():
		return kerr.NotLeaderForPartition
	case epoch < p.mu.epoch:
		return kerr.FencedLeaderEpoch
	case epoch > p.mu.epoch:
		return kerr.UnknownLeaderEpoch
	}
	return nil
}

// serves is servesLocked for a request that may not name an epoch: current is -1 then. It returns the present leader epoch.
func (p *Partition) serves(current int32) (int32, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if current < 0 {
		current = p.mu.epoch
	}
	return p.mu.epoch, p.servesLocked(current)
}

// update acts on the partition's record in the metadata: it leads, leads on with another ISR, or stops leading.
func (p *Partition) update(t *metadata.Topic, r metadata.Partition) error {
	meta := core.Meta{
		Replicas: r.Replicas, ISR: r.ISR, LeaderEpoch: r.LeaderEpoch, PartitionEpoch: r.PartitionEpoch, MinISR: MinISR(t, r),
	}
	p.mu.Lock()
	p.mu.owner, p.mu.record, p.mu.addedAt = t.Owner, r.PartitionEpoch, r.AddedAt
	p.mu.inSync = metadata.Has(r.ISR, p.node)
	same := p.mu.leader != nil && r.Leader == p.node && r.LeaderEpoch == p.mu.epoch
	if same {
		p.raisedLocked(p.mu.leader.Changed(meta, p.nowMs()))
	}
	p.mu.Unlock()
	if same {
		return nil
	}
	p.lead.Lock()
	defer p.lead.Unlock()
	if r.Leader == p.node {
		return p.becomeLeader(meta)
	}
	p.stopLeading(r.LeaderEpoch, r.Leader)
	return nil
}

// becomeLeader begins a leadership. The epoch is in the log's epoch cache, durably, before anything is served in it.
func (p *Partition) becomeLeader(meta core.Meta) error {
	p.stopLeading(meta.LeaderEpoch, -1)
	if p.log.Failure() == nil {
		if err := p.log.AssignEpoch(meta.LeaderEpoch); err != nil {
			return fmt.Errorf("replication: %s-%d: beginning leader epoch %d: %w", p.topic, p.id, meta.LeaderEpoch, err)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	// Under the lock, so that a sync that ends now is either in DurableEnd or comes as an onDurable after.
	leader, effects := core.NewLeader(p.node, meta, lagMaxMs, p.log.LEO(), p.log.DurableEnd(), p.log.HighWatermark(), p.nowMs())
	p.mu.leader, p.mu.follows = leader, -1
	p.publishLocked(effects.HW)
	return nil
}

// stopLeading ends a leadership, if there is one; epoch is that of the metadata that says so, leader whom this replica follows from now on, negative if nobody.
func (p *Partition) stopLeading(epoch, leader int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.leader, p.mu.follows, p.mu.followEpoch = nil, leader, epoch
	p.mu.epoch = max(p.mu.epoch, epoch)
	p.failLocked(kerr.NotLeaderForPartition)
	p.wakeLocked()
	p.wakeFollowersLocked()
}

// onDurable is called by the log when its durable end has moved.
func (p *Partition) onDurable(end int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.leader != nil {
		p.raisedLocked(p.mu.leader.Durable(end, p.nowMs()))
	}
}

// raisedLocked does what the core asks for after an input.
func (p *Partition) raisedLocked(e core.Effects) {
	if e.Raised {
		p.publishLocked(e.HW)
	}
	if e.AskISR == nil {
		return
	}
	select {
	case p.asks <- ask{p, *e.AskISR}:
	default: // a later fetch or tick asks again
		p.mu.leader.ISRAnswered(core.Refused, p.nowMs())
	}
}

// publishLocked makes hw known to the log, to readers and to who waits.
func (p *Partition) publishLocked(hw int64) {
	p.log.SetHighWatermark(hw)
	p.hw.Store(hw)
	p.lso.Store(p.log.LastStableOffset(hw))
	p.committedLocked(hw)
	p.wakeLocked()
}

// goOffline ends all service for good: the directory failed, or the partition is being closed.
func (p *Partition) goOffline(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.offline == nil {
		p.mu.offline = err
	}
	p.failLocked(p.mu.offline)
	p.wakeLocked()
	p.wakeFollowersLocked()
}

// nowMs is the core's clock. The wall clock may be set, and whoever is behind at that moment would leave the in-sync set, or stay in it for as long as it was set back. It begins later than the core's 0, so that
// who has never caught up did not do so just now.
func (p *Partition) nowMs() int64 { return 2*lagMaxMs + p.clk.Since(p.lease.begun).Milliseconds() }
