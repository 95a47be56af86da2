package coordinator

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// classicMembership is what is kept of a member of a consumer group that speaks the classic protocol (KIP-848, "Supporting Online Consumer Group Upgrade"). Such a member joins, syncs and is heard of as in
// a classic group, in which it is never the leader: the coordinator assigns. It is not changed once it is made.
type classicMembership struct {
	session   time.Duration
	protocols []groupProtocolOf // not empty
}

func (c *classicMembership) equal(o *classicMembership) bool {
	if c == nil || o == nil {
		return c == o
	}
	return c.session == o.session && slices.EqualFunc(c.protocols, o.protocols, groupProtocolOf.equal)
}

func (p groupProtocolOf) equal(o groupProtocolOf) bool {
	return p.name == o.name && bytes.Equal(p.metadata, o.metadata)
}

// memberType is how ConsumerGroupDescribe names the protocol of a member.
func (m *consumerMember) memberType() int8 {
	if m.classic != nil {
		return 0
	}
	return 1
}

// readSubscription reads what a classic member of consumers says of itself for one of its strategies.
func readSubscription(metadata []byte) (kmsg.ConsumerMemberMetadata, error) {
	sub := kmsg.NewConsumerMemberMetadata()
	if err := sub.ReadFrom(metadata); err != nil {
		return sub, fmt.Errorf("the subscription of a member: %w", err)
	}
	return sub, nil
}

// subscribed is the topics of a subscription as the group keeps them.
func subscribed(sub *kmsg.ConsumerMemberMetadata) []string {
	return slices.Compact(slices.Sorted(slices.Values(sub.Topics)))
}

// addNamed adds partitions of a topic to an assignment, if the topic exists.
func (a assignment) addNamed(view TopicsView, topic string, partitions []int32) {
	if t, ok := view.Topic(topic); ok && len(partitions) > 0 {
		a[t.ID] = slices.Compact(slices.Sorted(slices.Values(append(slices.Clone(a[t.ID]), partitions...))))
	}
}

// ownedOf is what a classic member says that it has. One of an eager strategy has given up all before it joins.
func ownedOf(sub *kmsg.ConsumerMemberMetadata, view TopicsView) assignment {
	out := assignment{}
	for _, t := range sub.OwnedPartitions {
		out.addNamed(view, t.Topic, t.Partitions)
	}
	return out
}

// decodeAssignment reads what the leader of a classic group has assigned to a member.
func decodeAssignment(b []byte, view TopicsView) (assignment, error) {
	out := assignment{}
	if len(b) == 0 {
		return out, nil
	}
	a := kmsg.NewConsumerMemberAssignment()
	if err := a.ReadFrom(b); err != nil {
		return nil, fmt.Errorf("the assignment of a member: %w", err)
	}
	for _, t := range a.Topics {
		out.addNamed(view, t.Topic, t.Partitions)
	}
	return out, nil
}

// classicAssignment is what m has, as a classic client reads it: in the version of its subscription.
func (m *consumerMember) classicAssignment(view TopicsView) []byte {
	a := kmsg.NewConsumerMemberAssignment()
	if sub, err := readSubscription(m.classic.protocols[0].metadata); err == nil {
		a.Version = sub.Version
	}
	for _, id := range m.assigned.topics() {
		if t, ok := view.TopicByID(id); ok {
			a.Topics = append(a.Topics, kmsg.ConsumerMemberAssignmentTopic{Topic: t.Name, Partitions: m.assigned[id]})
		}
	}
	return a.AppendTo(nil)
}

// agrees reports whether a classic member with these strategies fits: the group may have to be a classic one again, and then there must be one that all know.
func (g *consumerGroup) agrees(protocolType string, protocols []groupProtocolOf, but string) bool {
	known := func(p groupProtocolOf) bool {
		for id, m := range g.members {
			if m.classic != nil && id != but && !slices.ContainsFunc(m.classic.protocols, func(o groupProtocolOf) bool { return o.name == p.name }) {
				return false
			}
		}
		return true
	}
	return protocolType == groupProtocolType && slices.ContainsFunc(protocols, known)
}

// findClassic returns the classic member that a request speaks for.
func (g *consumerGroup) findClassic(id string, instance *string, generation int32) (*consumerMember, *kerr.Error) {
	if instance != nil {
		now, ok := g.static[*instance]
		switch {
		case !ok:
			return nil, kerr.UnknownMemberID
		case now != id:
			return nil, kerr.FencedInstanceID
		}
	}
	m := g.members[id]
	switch {
	case m == nil || m.classic == nil:
		return nil, kerr.UnknownMemberID
	case m.epoch != generation:
		return nil, kerr.IllegalGeneration
	}
	return m, nil
}

// syncClassic answers a classic member that asks for its assignment. One that the group has gone beyond since it joined must join again, unless it still has to give something up: then it first hears
// of that.
func (g *consumerGroup) syncClassic(m *consumerMember, now time.Time) *kerr.Error {
	if m.epoch < g.epoch && m.state != memberUnrevoked {
		g.expectJoin(m, now)
		return kerr.RebalanceInProgress
	}
	m.dueBy = time.Time{}
	m.deadline = now.Add(m.classic.session)
	return nil
}

// beatClassic is a heartbeat of a classic member. It is told to join again if there is something for it: another epoch, partitions to give up, or some that it waited for.
func (g *consumerGroup) beatClassic(m *consumerMember, now time.Time) *kerr.Error {
	m.deadline = now.Add(m.classic.session)
	if m.epoch == g.epoch && (m.state == memberStable || m.state == memberUnreleased && g.waits(m)) {
		return nil
	}
	g.expectJoin(m, now)
	return kerr.RebalanceInProgress
}

// expectJoin has m joined again within its rebalance time-out.
func (g *consumerGroup) expectJoin(m *consumerMember, now time.Time) {
	if m.dueBy.IsZero() {
		m.dueBy = now.Add(m.rebalance)
	}
}

// waits reports whether others still have something of m's target.
func (g *consumerGroup) waits(m *consumerMember) bool {
	for tp := range m.target.all {
		if owner, taken := g.owners[tp]; taken && owner != m.id {
			return true
		}
	}
	return false
}

// allClassic reports whether the group has members, and none of them speaks the consumer protocol.
func (g *consumerGroup) allClassic() bool {
	for _, m := range g.members {
		if m.classic == nil {
			return false
		}
	}
	return len(g.members) > 0
}
