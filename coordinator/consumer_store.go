package coordinator

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millracedb/millrace/internal/record"
)

// live reports whether the group has members by the consumer protocol.
func (c *consumerRecord) live() bool { return c != nil && len(c.members) > 0 }

// checkClaim refuses a fetch of offsets by somebody who is not a member in his present epoch.
func (c *consumerRecord) checkClaim(member string, epoch int32) *kerr.Error {
	m := c.members[member]
	switch {
	case m == nil || !m.known:
		return kerr.UnknownMemberID
	case m.epoch != epoch:
		return kerr.StaleMemberEpoch
	}
	return nil
}

// checkCommit refuses a commit by somebody who is not a member. The epoch may be an older one if the partitions were the member's then and still are (KIP-1251).
func (c *consumerRecord) checkCommit(member string, epoch int32, tps []TopicPartition, topics func() TopicsView) *kerr.Error {
	kerror := c.checkClaim(member, epoch)
	switch m := c.members[member]; {
	case kerror == kerr.StaleMemberEpoch && m.classic != nil:
		return kerr.IllegalGeneration
	case kerror != kerr.StaleMemberEpoch || topics == nil || m.epoch < epoch:
		return kerror
	}
	view := topics()
	for _, tp := range tps {
		t, ok := view.Topic(tp.Topic)
		at, had := c.members[member].since[topicPart{t.ID, tp.Partition}]
		if !ok || !had || epoch < at {
			return kerr.StaleMemberEpoch
		}
	}
	return nil
}

// replayConsumerLocked takes over a record of a consumer group; ok is false if it is another record.
func (l *offsetLease) replayConsumerLocked(r *record.Record) (ok bool, err error) {
	kind, id, member, ok, err := decodeConsumerKey(r.Key)
	if err != nil || !ok {
		return ok, err
	}
	g := l.mu.groups[id]
	switch {
	case r.Value != nil:
		g = l.groupLocked(id)
		if g.consumer == nil {
			g.consumer = &consumerRecord{members: map[string]*memberRecord{}}
		}
		return true, g.consumer.replay(kind, member, r.Value)
	case g == nil || g.consumer == nil:
	case kind == consumerGroupKind:
		g.consumer = nil
		l.forgetLocked(id)
	default:
		g.consumer.forget(kind, member)
	}
	return true, nil
}

// forgetLocked drops a group of which nothing is left.
func (l *offsetLease) forgetLocked(id string) {
	if g := l.mu.groups[id]; g != nil && !g.known && g.consumer == nil && len(g.offsets) == 0 && len(g.unstable) == 0 {
		delete(l.mu.groups, id)
	}
}

// writeConsumer appends what has changed in a group and remembers it; it does not wait for the disk. It returns the end of what was appended, and whom to ask whether that is durable.
func (o *Offsets) writeConsumer(ctx context.Context, g *consumerGroup) (Partition, int64, error) {
	l, kerror := o.lease(g.id)
	if kerror != nil {
		return nil, 0, kerror
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	set := newRecordSet(o.clock.Now().UnixMilli())
	if old := l.mu.groups[g.id]; old != nil && old.known { // a classic group whose members are gone
		set.addKey(encodeGroupKey(g.id))
	}
	set.addChanges(g)
	next, err := l.appendSet(ctx, set)
	if err != nil {
		return nil, 0, err
	}
	into := l.groupLocked(g.id)
	into.known, into.members = false, nil
	if into.consumer == nil {
		into.consumer = &consumerRecord{members: map[string]*memberRecord{}}
	}
	into.consumer.epoch, into.consumer.hash = g.epoch, g.hash
	for id, c := range g.changes.members {
		if c == memberRemoved {
			delete(into.consumer.members, id)
			continue
		}
		m := g.members[id].memberRecord
		into.consumer.members[id] = &m
	}
	return l.part, next, nil
}

func (l *offsetLease) appendSet(ctx context.Context, set *recordSet) (next int64, err error) {
	if set.err != nil {
		return 0, set.err
	}
	batch, err := set.b.Finish(nil)
	if err != nil {
		return 0, err
	}
	if _, next, err = l.append(ctx, batch, coordinatorAppend); err != nil {
		return 0, coordinatorError(err)
	}
	return next, nil
}

// endConsumer makes a group without members one that was never of the consumer protocol. Its offsets stay.
func (o *Offsets) endConsumer(ctx context.Context, id string) error {
	l, kerror := o.lease(id)
	if kerror != nil {
		return kerror
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.mu.groups[id]
	if g == nil || g.consumer == nil {
		return nil
	}
	set := newRecordSet(o.clock.Now().UnixMilli())
	set.addGroupEnd(id, g.consumer)
	if _, err := l.appendSet(ctx, set); err != nil {
		return err
	}
	g.consumer = nil
	return nil
}

// consumerGroups calls f for each group of the consumer protocol that has members.
func (l *offsetLease) consumerGroups(f func(id string, c *consumerRecord)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, g := range l.mu.groups {
		if g.consumer.live() {
			f(id, g.consumer)
		}
	}
}

// consumer calls f with what the log knows of a group of the consumer protocol, nil if it is none.
func (o *Offsets) consumer(id string, f func(*consumerRecord)) *kerr.Error {
	l, kerror := o.lease(id)
	if kerror != nil {
		return kerror
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if g := l.mu.groups[id]; g != nil {
		f(g.consumer)
	} else {
		f(nil)
	}
	return nil
}
