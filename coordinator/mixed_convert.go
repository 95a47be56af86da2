package coordinator

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

// upgrade makes a consumer group of a classic one with members, which may go on by the protocol they have (KIP-848; Kafka's group.consumer.migration.policy=bidirectional). Each has what the last
// assignment gave it, in an epoch that is its generation. It fails if the group is not one of consumers. The classic group is left as it is.
func upgrade(c *classicGroup, view TopicsView, now time.Time) (*consumerGroup, error) {
	if c.protocolType != groupProtocolType {
		return nil, refused(kerr.GroupIDNotFound, "the members of group %q are of the kind %q", c.id, c.protocolType)
	}
	g := newConsumerGroup(c.id)
	g.epoch = c.generation
	for _, id := range c.order {
		m, err := upgradeMember(c.members[id], view)
		if err != nil {
			return nil, refused(kerr.GroupIDNotFound, "group %q has members whose protocol is not known: %s", c.id, err)
		}
		m.deadline = now.Add(m.classic.session)
		g.members[id] = m
		if m.instance != nil {
			g.static[*m.instance] = id
		}
		m.target = m.assigned
		m.previous = g.epoch
		g.set(m, memberStable, g.epoch, m.assigned, nil)
		g.mark(m, metadataChanged|targetChanged|currentChanged)
	}
	return g, nil
}

// upgradeMember takes what a member says and has. While assignments are made it has what it said when it joined.
func upgradeMember(cm *classicMember, view TopicsView) (*consumerMember, error) {
	sub, err := readSubscription(cm.protocols[0].metadata, view)
	if err != nil {
		return nil, err
	}
	assigned, err := decodeAssignment(cm.assignment, view)
	if err != nil {
		return nil, err
	}
	if cm.assignment == nil {
		assigned = sub.owned
	}
	return &consumerMember{id: cm.id, visible: everyTopic, memberRecord: memberRecord{
		known: true, instance: cm.instance, rack: sub.rack, clientID: cm.clientID, host: cm.host, names: sub.topics, rebalance: cm.rebalance,
		assigned: assigned, classic: &classicMembership{cm.session, cm.protocols},
	}}, nil
}

// everyTopic is for members without a pattern.
func everyTopic(string) bool { return true }

// downgrade makes a classic group of a consumer group that has only classic members. They have to join again then.
func downgrade(g *consumerGroup, view TopicsView, now time.Time) *classicGroup {
	c := newClassicGroup(g.id)
	c.generation, c.protocolType, c.state = g.epoch, groupProtocolType, groupStable
	for _, id := range slices.Sorted(maps.Keys(g.members)) {
		m := g.members[id]
		cm := &classicMember{
			id: id, instance: m.instance, clientID: m.clientID, host: m.host, session: m.classic.session, rebalance: m.rebalance, protocols: m.classic.protocols,
			assignment: m.classicAssignment(view),
		}
		c.members[id] = cm
		c.order = append(c.order, id)
		if m.instance != nil {
			c.static[*m.instance] = id
		}
		c.touch(cm, now)
	}
	c.leader = c.order[0]
	c.protocol = c.vote()
	return c
}

// downgradeLocked makes a group that the last member of the consumer protocol has left a classic one and starts a rebalance. If the log does not take that, nothing of the last change has happened.
func (gs *Groups) downgradeLocked(g *consumerGroup) error {
	now := gs.clock.Now()
	c := downgrade(g, gs.offsets.topics(), now)
	how, members := c.snapshot()
	part, end, err := gs.offsets.writeDowngrade(gs.ctx, c.id, c.generation, how, members)
	if err != nil {
		return gs.undoLocked(g, err)
	}
	g.part, g.written = part, end
	g.changes = groupChanges{members: map[string]memberChange{}}
	delete(gs.mu.consumers, g.id)
	gs.mu.groups[c.id] = c
	c.prepare(now)
	gs.doneLocked(c)
	gs.wakeUp()
	return nil
}

// writeDowngrade appends, in one batch, that a group of the consumer protocol is a classic one with these members. It does not wait for the disk.
func (o *Offsets) writeDowngrade(ctx context.Context, id string, generation int32, how groupProtocols, members []GroupMember) (Partition, int64, error) {
	l, kerror := o.lease(id)
	if kerror != nil {
		return nil, 0, kerror
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.groupLocked(id)
	set := newRecordSet(o.clock.Now().UnixMilli())
	if g.consumer != nil {
		set.addGroupEnd(id, g.consumer)
	}
	set.addGroup(id, generation, how, members)
	next, err := l.appendSet(ctx, set)
	if err != nil {
		return nil, 0, err
	}
	g.consumer = nil
	g.setMembers(generation, how, members)
	return l.part, next, nil
}
