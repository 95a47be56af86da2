package replication

import (
	"slices"

	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/replication/metadata"
)

// A replica that has lost bytes it had synced (log.Damage) must not vouch for them. It gives up its claim to have what is committed, if others have one, and then its log, and copies the partition again from
// the leader. One that alone has a claim stays as it is, until somebody else has one or it is repaired: found to lack bytes as it was opened, it is readable up to the damage; what a reader met since does not
// keep it from leading.

// damaged sees to a replica whose log is damaged. It is called by whoever finds that.
func (m *Manager) damaged(p *Partition) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.opts.Peers != nil && !m.mu.closed {
		m.wg.Go(func() { m.mend(p) })
	}
}

// mend sees a damaged replica through that. It returns when nothing is left to be done.
func (m *Manager) mend(p *Partition) {
	fenced := int32(-1) // partition epoch from which on the leader believes no fetch from before
	for {
		img, acted := m.Watch()
		var r metadata.Partition
		var ok bool
		if img != nil {
			var t *metadata.Topic
			if t, ok = img.TopicByID(p.topicID); ok {
				r, ok = t.Partition(p.id)
			}
			if !ok || !slices.Contains(r.Replicas, m.opts.NodeID) || p.log.Damage() == nil {
				return
			}
			if now, _ := m.byID(p.topicID, p.id); now != p {
				return // it was taken off and added again, and is another replica now
			}
		}
		var err error
		switch {
		case img == nil: // it is being opened
		case fenced < 0 || m.claims(&r):
			fenced, err = m.renounce(p, fenced)
		case r.PartitionEpoch >= fenced && r.Leader != metadata.NoLeader && r.Leader != m.opts.NodeID:
			if err = p.beginAnew(); err == nil {
				m.follow(p, r.Leader)
				return
			}
		}
		if err != nil {
			p.logger.Warn("damaged replica cannot be fetched again yet", "err", err)
			if !clock.Wait(m.ctx, m.opts.Clock, askPause) {
				return
			}
			continue
		}
		select {
		case <-acted:
		case <-m.ctx.Done():
			return
		}
	}
}

// claims reports whether this node counts as one that has what is committed, or leads.
func (m *Manager) claims(r *metadata.Partition) bool {
	return r.Leader == m.opts.NodeID || metadata.Has(r.ISR, m.opts.NodeID) || metadata.Has(r.ELR, m.opts.NodeID)
}

// renounce takes this node out of the sets of those that have what is committed, if somebody else is in one, and has it lead no more. It returns the partition epoch of the record that says so, from which on
// no fetch counts that was sent before it (metadata.Partition.AddedAt), or fenced if there is none.
func (m *Manager) renounce(p *Partition, fenced int32) (int32, error) {
	b := m.opts.Peers.NewBatch()
	t, ok := b.Image().TopicByID(p.topicID)
	if !ok {
		return fenced, nil
	}
	was, ok := t.Partition(p.id)
	if !ok {
		return fenced, nil
	}
	self := func(id int32) bool { return id == m.opts.NodeID }
	next := was
	next.ISR, next.ELR = slices.DeleteFunc(slices.Clone(was.ISR), self), slices.DeleteFunc(slices.Clone(was.ELR), self)
	if len(next.ISR)+len(next.ELR) == 0 {
		return fenced, nil
	}
	if was.Leader == m.opts.NodeID {
		if d := p.log.Damage(); d != nil && d.Within && len(next.ISR) == 0 {
			return fenced, nil // who is eligible may be away, and all but what was met can be read here
		}
		next.Leader = metadata.NoLeader
	}
	next.AddedAt = was.PartitionEpoch + 1
	p.logger.Warn("damaged replica gives up its place among those in sync", "in_sync", next.ISR, "eligible", next.ELR)
	b.ChangePartition(t.ID, was, next, next.Leader != was.Leader, nil)
	if _, err := m.opts.Peers.Apply(m.ctx, b); err != nil {
		return fenced, err
	}
	return next.AddedAt, nil
}

// beginAnew drops a damaged log.
func (p *Partition) beginAnew() error {
	p.lead.Lock()
	defer p.lead.Unlock()
	p.logger.Warn("damaged replica is dropped and fetched again", "damage", p.log.Damage())
	return p.restartAt(0)
}
