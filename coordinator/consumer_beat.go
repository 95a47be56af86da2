package coordinator

import (
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ownIDVersion is the first version of ConsumerGroupHeartbeat whose clients choose their member ids (KIP-1082).
const ownIDVersion = 1

// beat is a heartbeat with what is known of its sender.
type beat struct {
	*kmsg.ConsumerGroupHeartbeatRequest
	clientID, host string
	visible        func(topic string) bool
	regex          *regexp.Regexp
	now            time.Time
	session        time.Duration
	classic        *classicMembership // of a member that joins by the classic protocol; else nil
	fresh          bool               // it does, and had no id
}

// refused is an error with the reason that clients are told.
func refused(err *kerr.Error, format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{err}, args...)...)
}

// check refuses a heartbeat that makes no sense, whatever the group (KIP-848, ConsumerGroupHeartbeat API), and compiles its pattern.
func (b *beat) check() error {
	joins := b.MemberEpoch == 0
	switch {
	case b.InstanceID != nil && *b.InstanceID == "", b.RackID != nil && *b.RackID == "":
		return refused(kerr.InvalidRequest, "InstanceId and RackId are null or not empty")
	case b.MemberID == "" && (!joins || b.Version >= ownIDVersion):
		return refused(kerr.InvalidRequest, "MemberId is empty")
	case b.MemberEpoch < epochLeaveStatic:
		return refused(kerr.InvalidRequest, "MemberEpoch %d; allowed: %d and up", b.MemberEpoch, epochLeaveStatic)
	case b.MemberEpoch == epochLeaveStatic && b.InstanceID == nil:
		return refused(kerr.InvalidRequest, "InstanceId is null, but the member says it will be back")
	case joins && b.RebalanceTimeoutMillis < 0:
		return refused(kerr.InvalidRequest, "RebalanceTimeoutMs is missing in the first request")
	case joins && (b.Topics == nil || len(b.Topics) > 0):
		return refused(kerr.InvalidRequest, "TopicPartitions must be empty when (re-)joining")
	case joins && b.SubscribedTopicNames == nil && b.SubscribedTopicRegex == nil:
		return refused(kerr.InvalidRequest, "SubscribedTopicNames or SubscribedTopicRegex must be set when (re-)joining")
	case b.ServerAssignor != nil && !knownAssignor(*b.ServerAssignor):
		return refused(kerr.UnsupportedAssignor, "%q; allowed: %s, %s", *b.ServerAssignor, assignorUniform, assignorRange)
	}
	if p := b.SubscribedTopicRegex; p != nil && *p != "" {
		var err error
		if b.regex, err = compilePattern(*p); err != nil {
			return refused(kerr.InvalidRegularExpression, "%s", err)
		}
	}
	return nil
}

// compilePattern compiles a subscription's pattern, which means topics whose whole name it matches.
func compilePattern(pattern string) (*regexp.Regexp, error) {
	return regexp.Compile("^(?:" + pattern + ")$")
}

// full reports whether the heartbeat tells all there is to tell: then it is answered with the assignment.
func (b *beat) full() bool {
	return b.RebalanceTimeoutMillis >= 0 && (b.SubscribedTopicNames != nil || b.SubscribedTopicRegex != nil) && b.Topics != nil
}

// beaten is the answer to a heartbeat.
type beaten struct {
	memberID string
	epoch    int32
	assigned assignment // nil if the member need not hear of it
}

// heartbeat is a heartbeat, a join, or a leave. Nothing has changed if it returns an error.
func (g *consumerGroup) heartbeat(b *beat, view TopicsView) (beaten, error) {
	if b.MemberEpoch < 0 {
		return g.leave(b)
	}
	m, isNew, err := g.memberOf(b)
	if err != nil {
		return beaten{}, err
	}
	changed := g.update(m, b) || isNew
	if changed || m.visible == nil {
		g.seen = 0
	}
	m.visible = b.visible
	if g.resolve(view) || changed || g.preferred() != g.assignor {
		g.advance()
	}
	before := m.assigned
	g.reconcile(m, ownedBy(b.Topics), changed)
	m.deadline = b.now.Add(b.session)
	switch {
	case m.classic != nil:
		m.dueBy = b.now.Add(m.rebalance) // it asks for its assignment next
	case m.state != memberUnrevoked:
		m.dueBy = time.Time{}
	case m.dueBy.IsZero():
		m.dueBy = b.now.Add(m.rebalance)
	}
	out := beaten{memberID: m.id, epoch: m.epoch}
	if b.full() || b.MemberEpoch == 0 || !before.equal(m.assigned) {
		out.assigned = m.assigned
		if out.assigned == nil {
			out.assigned = assignment{}
		}
	}
	return out, nil
}

// memberOf finds the member that a heartbeat speaks for, or makes it if it joins. Whoever is to be refused is, before anything changes.
func (g *consumerGroup) memberOf(b *beat) (m *consumerMember, isNew bool, err error) {
	m = g.members[b.MemberID]
	if b.InstanceID != nil {
		id, taken := g.static[*b.InstanceID]
		switch {
		case taken && b.mayReplace(g.members[id]):
			return g.replace(g.members[id], b.MemberID), false, nil
		case b.classic != nil && !b.fresh && !taken:
			return nil, false, refused(kerr.UnknownMemberID, "instance %q is not in the group", *b.InstanceID)
		case taken && id != b.MemberID && b.MemberEpoch == 0 && b.classic == nil:
			return nil, false, refused(kerr.UnreleasedInstanceID, "instance %q is member %s", *b.InstanceID, id)
		case taken && id != b.MemberID:
			return nil, false, refused(kerr.FencedInstanceID, "instance %q is member %s", *b.InstanceID, id)
		case !taken && b.MemberEpoch != 0:
			return nil, false, refused(kerr.UnknownMemberID, "instance %q is not in the group", *b.InstanceID)
		}
	}
	switch {
	case m != nil:
		return m, false, m.checkEpoch(b)
	case b.MemberEpoch != 0:
		return nil, false, refused(kerr.UnknownMemberID, "member %s is not in the group", b.MemberID)
	case len(g.members) >= maxGroupMembers:
		return nil, false, refused(kerr.GroupMaxSizeReached, "the group has %d members", len(g.members))
	}
	m = &consumerMember{id: b.MemberID, memberRecord: memberRecord{known: true, instance: b.InstanceID}}
	g.members[m.id] = m
	if m.instance != nil {
		g.static[*m.instance] = m.id
	}
	g.mark(m, metadataChanged|targetChanged|currentChanged)
	return m, true, nil
}

// mayReplace reports whether the sender may take the place of a static member. One of the consumer protocol must have left for a while, for it can say so; the classic protocol has no word for that, and
// there the next incarnation always takes over (KIP-345).
func (b *beat) mayReplace(m *consumerMember) bool {
	switch {
	case b.MemberEpoch != 0:
		return false
	case b.classic != nil:
		return b.fresh
	}
	return m.epoch == epochLeaveStatic || m.classic != nil && m.id != b.MemberID
}

// checkEpoch refuses an epoch that is not the member's. One that has not heard of its last epoch may say the one before, if it has nothing that it must not have.
func (m *consumerMember) checkEpoch(b *beat) error {
	switch owned := ownedBy(b.Topics); {
	case b.MemberEpoch == 0 || b.MemberEpoch == m.epoch:
		return nil
	case b.MemberEpoch < m.epoch && b.MemberEpoch == m.previous && owned != nil:
		if _, foreign := owned.split(func(tp topicPart) bool { return m.assigned.has(tp.topic, tp.partition) }); len(foreign) == 0 {
			return nil
		}
	}
	return refused(kerr.FencedMemberEpoch, "member %s is at epoch %d, not %d", m.id, m.epoch, b.MemberEpoch)
}

// replace puts the next incarnation of a static member that had left for a while into its place, with all it had.
func (g *consumerGroup) replace(old *consumerMember, id string) *consumerMember {
	m := *old
	m.id = id
	g.disown(old)
	delete(g.members, old.id)
	if old.id != id {
		g.changes.members[old.id] = memberRemoved
	}
	g.members[id], g.static[*m.instance] = &m, id
	g.own(&m)
	g.mark(&m, metadataChanged|targetChanged|currentChanged)
	return &m
}

// update takes over what a heartbeat says of the member and reports whether its subscription has changed.
func (g *consumerGroup) update(m *consumerMember, b *beat) (changed bool) {
	was := m.memberRecord
	m.clientID, m.host, m.classic = b.clientID, b.host, b.classic
	if b.RackID != nil {
		m.rack = b.RackID
	}
	if b.RebalanceTimeoutMillis >= 0 {
		m.rebalance = min(time.Duration(b.RebalanceTimeoutMillis)*time.Millisecond, maxRebalanceTime)
	}
	if b.ServerAssignor != nil {
		m.assignor = b.ServerAssignor
	}
	if b.SubscribedTopicNames != nil {
		m.names = slices.Compact(slices.Sorted(slices.Values(b.SubscribedTopicNames)))
	}
	if b.SubscribedTopicRegex != nil {
		m.pattern, m.regex = b.SubscribedTopicRegex, b.regex
		if m.regex == nil {
			m.pattern = nil // no pattern any more
		}
	}
	changed = !slices.Equal(was.names, m.names) || metadataOf(was.pattern) != metadataOf(m.pattern)
	if changed || was.clientID != m.clientID || was.host != m.host || was.rebalance != m.rebalance || metadataOf(was.assignor) != metadataOf(m.assignor) || metadataOf(was.rack) != metadataOf(m.rack) || !was.classic.equal(m.classic) {
		g.mark(m, metadataChanged)
	}
	return changed
}

// leave ends a membership, or, of a static member that will be back, interrupts it: its partitions wait for it until its session ends (KIP-848).
func (g *consumerGroup) leave(b *beat) (beaten, error) {
	m := g.members[b.MemberID]
	if b.InstanceID != nil {
		id, ok := g.static[*b.InstanceID]
		if ok && id != b.MemberID {
			return beaten{}, refused(kerr.FencedInstanceID, "instance %q is member %s", *b.InstanceID, id)
		}
	}
	if m == nil {
		return beaten{}, refused(kerr.UnknownMemberID, "member %s is not in the group", b.MemberID)
	}
	if b.MemberEpoch == epochLeaveStatic && m.instance != nil {
		g.set(m, memberStable, epochLeaveStatic, m.assigned, nil)
		m.dueBy = time.Time{}
	} else {
		g.remove(m)
		g.advance()
	}
	return beaten{memberID: b.MemberID, epoch: b.MemberEpoch}, nil
}

// reconcile brings m nearer to its target. owned is what it says that it has, nil if it does not say.
func (g *consumerGroup) reconcile(m *consumerMember, owned assignment, resubscribed bool) {
	switch {
	case m.state == memberUnrevoked && mayOwn(owned, m.revoke):
		if resubscribed {
			g.unsubscribe(m)
		}
	case m.state == memberStable && m.epoch == g.epoch:
	default:
		g.step(m, owned)
	}
}

// mayOwn reports whether a member that says that it has owned may have any of a.
func mayOwn(owned, a assignment) bool {
	if owned == nil {
		return len(a) > 0
	}
	for tp := range a.all {
		if owned.has(tp.topic, tp.partition) {
			return true
		}
	}
	return false
}

// unsubscribe takes topics that m no longer wants from a member that has not given up yet what it must.
func (g *consumerGroup) unsubscribe(m *consumerMember) {
	keep, drop := m.assigned.split(func(tp topicPart) bool {
		return slices.ContainsFunc(m.topics, func(t topicRef) bool { return t.id == tp.topic })
	})
	if len(drop) > 0 {
		g.set(m, m.state, m.epoch, keep, m.revoke.plus(drop))
	}
}

// step moves m to the group's epoch, unless it must give something up first. It gets what of its target nobody else has.
func (g *consumerGroup) step(m *consumerMember, owned assignment) {
	keep, revoke := m.assigned.split(func(tp topicPart) bool { return m.target.has(tp.topic, tp.partition) })
	if mayOwn(owned, revoke) {
		g.set(m, memberUnrevoked, m.epoch, keep, revoke)
		return
	}
	missing, _ := m.target.split(func(tp topicPart) bool { return !keep.has(tp.topic, tp.partition) })
	free, _ := missing.split(func(tp topicPart) bool {
		owner, taken := g.owners[tp]
		return !taken || owner == m.id
	})
	state := memberStable
	if free.count() < missing.count() {
		state = memberUnreleased
	}
	g.set(m, state, g.epoch, keep.plus(free), nil)
}
