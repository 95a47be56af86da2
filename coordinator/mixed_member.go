package coordinator

import (
	"bytes"
	"errors"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kbin"
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

// subscription is what a classic member of consumers says of itself for one of its strategies.
type subscription struct {
	version int16
	topics  []string // sorted
	owned   assignment
	rack    *string
}

// readSubscription reads the consumers' embedded protocol (KIP-429, KIP-792, KIP-881), of topics that exist. What it takes is in proportion to the bytes, whatever counts they tell of.
func readSubscription(metadata []byte, view TopicsView) (subscription, error) {
	r := kbin.Reader{Src: metadata}
	sub := subscription{version: r.Int16(), owned: assignment{}}
	for n := r.ArrayLen(); n > 0 && r.Ok(); n-- {
		sub.topics = append(sub.topics, r.String())
	}
	sub.topics = slices.Compact(slices.Sorted(slices.Values(sub.topics)))
	r.NullableBytes() // user data
	if sub.version >= 1 {
		sub.owned = readNamed(&r, view)
	}
	if sub.version >= 2 {
		r.Int32() // generation
	}
	if sub.version >= 3 {
		sub.rack = r.NullableString()
	}
	if !r.Ok() {
		return sub, errors.New("the subscription of a member is cut short")
	}
	return sub, nil
}

// readNamed reads partitions by topic, of topics that exist.
func readNamed(r *kbin.Reader, view TopicsView) assignment {
	out := assignment{}
	for n := r.ArrayLen(); n > 0 && r.Ok(); n-- {
		topic := r.String()
		var parts []int32
		for m := r.ArrayLen(); m > 0 && r.Ok(); m-- {
			parts = append(parts, r.Int32())
		}
		if t, ok := view.Topic(topic); ok && len(parts) > 0 {
			out[t.ID] = slices.Compact(slices.Sorted(slices.Values(append(parts, out[t.ID]...))))
		}
	}
	return out
}

// decodeAssignment reads what the leader of a classic group has assigned to a member; nothing is an empty one.
func decodeAssignment(b []byte, view TopicsView) (assignment, error) {
	if len(b) == 0 {
		return assignment{}, nil
	}
	r := kbin.Reader{Src: b}
	r.Int16() // version; all have this in common
	out := readNamed(&r, view)
	if !r.Ok() {
		return nil, errors.New("the assignment of a member is cut short")
	}
	return out, nil
}

// classicAssignment is what m has, as a classic client reads it: in the version of its subscription.
func (m *consumerMember) classicAssignment(view TopicsView) []byte {
	a := kmsg.NewConsumerMemberAssignment()
	if sub, err := readSubscription(m.classic.protocols[0].metadata, view); err == nil {
		a.Version = sub.version
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
	if err := checkInstance(g.static, id, instance); err != nil {
		return nil, err
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
