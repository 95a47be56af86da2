package replication

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/replication/core"
	"github.com/millracedb/millrace/replication/metadata"
)

const (
	// askPause is the wait before an ISR is asked for again whose outcome is not known.
	askPause = 100 * time.Millisecond
	// maxAsks bounds the proposals that wait to be made; what finds no room is asked for again at a later fetch.
	maxAsks = 1 << 12
	// maxProposed bounds the proposals of one change, so that it stays far below metadata.MaxEntryBytes.
	maxProposed = 1 << 10
)

// Peers is what the replicas of a node need of the other nodes.
type Peers interface {
	// Epoch is that of this node's registration.
	Epoch() uint64
	// NewBatch and Apply change the metadata, on whichever node leads it.
	NewBatch() *metadata.Batch
	Apply(ctx context.Context, b *metadata.Batch) (metadata.Result, error)
	// Fetch sends a Fetch to a node and returns its answer.
	Fetch(ctx context.Context, node int32, req *kmsg.FetchRequest) (*kmsg.FetchResponse, error)
}

// ask is a proposal of a partition's leader.
type ask struct {
	p        *Partition
	proposal core.Proposal
}

// propose makes the proposals of leaders, those that wait as one change: when a node comes back they are as many as it has partitions.
func (m *Manager) propose() {
	for {
		select {
		case a := <-m.asks:
			m.proposeAll(m.waiting(a))
		case <-m.ctx.Done():
			return
		}
	}
}

// waiting are the proposals to be made now, of which first is one.
func (m *Manager) waiting(first ask) []ask {
	asks := []ask{first}
	for len(asks) < maxProposed {
		select {
		case a := <-m.asks:
			asks = append(asks, a)
		default:
			return asks
		}
	}
	return asks
}

// proposeAll has the metadata take proposals in one change. If it refuses that, each half is tried on its own, so that one that is bad does not spoil the others.
func (m *Manager) proposeAll(asks []ask) {
	v, refused := m.proposeISR(asks)
	if half := len(asks) / 2; refused && half > 0 {
		m.proposeAll(asks[:half])
		m.proposeAll(asks[half:])
		return
	}
	for _, a := range asks {
		a.p.mu.Lock()
		if l := a.p.mu.leader; l != nil && l.Meta().LeaderEpoch == a.proposal.LeaderEpoch {
			a.p.raisedLocked(l.ISRAnswered(v, a.p.nowMs()))
		}
		a.p.mu.Unlock()
	}
}

// proposeISR has the metadata take proposals in one change, trying until its outcome is known. The verdict is that of each of them; refused says that the change was surely not made.
func (m *Manager) proposeISR(asks []ask) (v core.Verdict, refused bool) {
	var b *metadata.Batch
	for {
		if b == nil {
			if b = m.isrBatch(asks); b.Len() == 0 {
				return core.Superseded, false
			}
		}
		_, err := m.opts.Peers.Apply(m.ctx, b)
		switch {
		case err == nil:
			return core.Superseded, false // the change comes with the metadata
		case errors.Is(err, metadata.ErrIneligible), errors.Is(err, metadata.ErrInvalid):
			if len(asks) == 1 {
				asks[0].p.logger.Info("in-sync set was refused", "asked", asks[0].proposal.ISR, "err", err)
			}
			return core.Refused, true
		case errors.Is(err, metadata.ErrStaleEpoch), errors.Is(err, metadata.ErrNotFound):
			return core.Superseded, true
		case errors.Is(err, metadata.ErrNotLeader):
			b = nil // surely not applied: look again
		}
		if !clock.Wait(m.ctx, m.opts.Clock, askPause) {
			return core.Unknown, false
		}
	}
}

// isrBatch is the change that proposals ask for, without those whose record is not the present one any more.
func (m *Manager) isrBatch(asks []ask) *metadata.Batch {
	b := m.opts.Peers.NewBatch()
	for _, a := range asks {
		ChangeISR(b, a.p.topicID, a.p.id, m.opts.NodeID, &a.proposal)
	}
	return b
}

// ChangeISR puts into b what a proposal of a partition's leader asks for. It is false, and b as it was, if the record of the batch's image is not the one that the proposal was made from.
func ChangeISR(b *metadata.Batch, topic metadata.UUID, id, leader int32, p *core.Proposal) bool {
	t, ok := b.Image().TopicByID(topic)
	if !ok {
		return false
	}
	was, ok := t.Partition(id)
	if !ok || was.Leader != leader || was.LeaderEpoch != p.LeaderEpoch || was.PartitionEpoch != p.PartitionEpoch {
		return false
	}
	next := was
	SetISR(&next, p.ISR, MinISR(t, was))
	next.RecoveryState = metadata.Recovered
	epochs := slices.Clone(p.BrokerEpochs)
	for i, member := range p.ISR {
		k, ok := b.Image().Broker(member)
		if ok && (member == leader || epochs[i] == 0) {
			epochs[i] = k.Epoch // itself, or a member that has not fetched yet and stays
		}
	}
	b.ChangePartition(t.ID, was, next, false, epochs)
	return true
}

// tick looks for followers that fell behind, every half of the time they have.
func (m *Manager) tick() {
	timer := m.opts.Clock.NewTimer(lagMaxMs / 2 * time.Millisecond)
	defer timer.Stop()
	for {
		select {
		case <-timer.C():
			timer.Reset(lagMaxMs / 2 * time.Millisecond)
		case <-m.ctx.Done():
			return
		}
		for _, p := range m.Partitions() {
			p.mu.Lock()
			if p.mu.leader != nil {
				p.raisedLocked(p.mu.leader.Tick(p.nowMs()))
			}
			p.mu.Unlock()
		}
	}
}

// CutOff says that this node must serve nothing as leader, because the controller has not answered for a session, or that it may again. Whoever waits hears
// NOT_LEADER_OR_FOLLOWER.
func (m *Manager) CutOff(cut bool) {
	m.lease.cut.Store(cut)
	for _, p := range m.Partitions() {
		p.mu.Lock()
		if cut {
			p.failLocked(kerr.NotLeaderForPartition)
		}
		p.wakeLocked()
		p.wakeFollowersLocked()
		p.mu.Unlock()
	}
}

// IsCutOff reports whether this node must serve nothing as leader, by CutOff or ServeUntil.
func (m *Manager) IsCutOff() bool { return m.lease.over() }

// ErrorCode is the Kafka code of an error, for an answer to another node; UNKNOWN_SERVER_ERROR if it has none.
func ErrorCode(err error) int16 {
	var ke *kerr.Error
	switch {
	case err == nil:
		return 0
	case errors.As(err, &ke):
		return ke.Code
	default:
		return kerr.UnknownServerError.Code
	}
}

// SetISR makes isr the in-sync set of n, and those eligible that KIP-966 says: while it is smaller than minISR, who was in sync or eligible before. Replicas that are in sync are not being
// added any more, but for those of a partition that is being moved.
func SetISR(n *metadata.Partition, isr []int32, minISR int) {
	was := slices.Concat(n.ELR, n.ISR)
	n.ISR, n.ELR = isr, nil
	if len(isr) < minISR {
		for _, id := range was {
			if !slices.Contains(isr, id) && !slices.Contains(n.ELR, id) {
				n.ELR = append(n.ELR, id)
			}
		}
	}
	if n.Target != nil {
		return // what was added counts when all of it is there
	}
	n.Adding = slices.DeleteFunc(slices.Clone(n.Adding), func(id int32) bool { return slices.Contains(isr, id) })
}
