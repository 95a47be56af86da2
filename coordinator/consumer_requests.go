package coordinator

import (
	"context"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	groupTypeConsumer = "consumer"
	// consumerSession is how long a member may be silent (Kafka's group.consumer.session.timeout.ms), and consumerBeat how often it is asked to be heard of. Others hear of a change with
	// their next heartbeat, so it is what a rebalance takes; Kafka's group.consumer.heartbeat.interval.ms is 5 s.
	consumerSession = 45 * time.Second
	consumerBeat    = 2 * time.Second
)

// ConsumerCaller is who sends a heartbeat of the consumer protocol.
type ConsumerCaller struct {
	ClientID, Host string
	// Visible reports whether the caller may know of a topic. It is kept for as long as the member is.
	Visible func(topic string) bool
}

// StartConsumerHeartbeat takes a ConsumerGroupHeartbeat request (key 68) and returns a function that waits until what it has changed is durable, as long as ctx lasts. Nothing of req is kept.
func (gs *Groups) StartConsumerHeartbeat(ctx context.Context, req *kmsg.ConsumerGroupHeartbeatRequest, from ConsumerCaller) func() *kmsg.ConsumerGroupHeartbeatResponse {
	resp := req.ResponseKind().(*kmsg.ConsumerGroupHeartbeatResponse)
	resp.HeartbeatIntervalMillis = int32(consumerBeat / time.Millisecond)
	fail := func(err error) *kmsg.ConsumerGroupHeartbeatResponse {
		resp.ErrorCode, resp.ErrorMessage = groupError(err).Code, kmsg.StringPtr(err.Error())
		resp.MemberEpoch, resp.Assignment = 0, nil
		return resp
	}
	b := &beat{ConsumerGroupHeartbeatRequest: req, clientID: from.ClientID, host: from.Host, visible: from.Visible, session: consumerSession}
	part, end, err := gs.beat(b, resp)
	return func() *kmsg.ConsumerGroupHeartbeatResponse {
		if err == nil && part != nil {
			if err = part.WaitHighWatermark(ctx, end); err != nil {
				err = coordinatorError(err)
			}
		}
		if err != nil {
			return fail(err)
		}
		return resp
	}
}

// beat carries a heartbeat out and fills in the answer. It returns up to where the log must be durable before the answer is sent.
func (gs *Groups) beat(b *beat, resp *kmsg.ConsumerGroupHeartbeatResponse) (Partition, int64, error) {
	if kerror := gs.check(b.Group); kerror != nil {
		return nil, 0, kerror
	}
	if gs.offsets.topics == nil {
		return nil, 0, kerr.UnsupportedVersion
	}
	if err := b.check(); err != nil {
		return nil, 0, err
	}
	if b.MemberID == "" {
		id, err := gs.newMemberID(b.clientID)
		if err != nil {
			return nil, 0, err
		}
		b.MemberID = id
	}
	gs.mu.Lock()
	defer gs.mu.Unlock()
	b.now = gs.clock.Now()
	g, from, err := gs.consumerLocked(b)
	if err != nil {
		return nil, 0, err
	}
	was := g.next()
	out, err := g.heartbeat(b, gs.offsets.topics())
	if err == nil {
		err = gs.writeLocked(g)
	}
	if err != nil {
		gs.dropEmptyLocked(g)
		return nil, 0, err
	}
	if gs.mu.groups[g.id] == from { // if not, it has just become a classic group
		gs.installLocked(g, from)
	}
	if at := g.next(); from != nil || !at.IsZero() && (was.IsZero() || at.Before(was)) {
		gs.wakeUp()
	}
	gs.dropEmptyLocked(g)
	resp.MemberID, resp.MemberEpoch = &out.memberID, out.epoch
	if out.assigned != nil {
		resp.Assignment = heartbeatAssignment(out.assigned)
	}
	return g.part, g.written, nil
}

func heartbeatAssignment(a assignment) *kmsg.ConsumerGroupHeartbeatResponseAssignment {
	out := kmsg.NewConsumerGroupHeartbeatResponseAssignment()
	out.Topics = []kmsg.ConsumerGroupHeartbeatResponseAssignmentTopic{}
	for _, id := range a.topics() {
		t := kmsg.NewConsumerGroupHeartbeatResponseAssignmentTopic()
		t.TopicID, t.Partitions = id, a[id]
		out.Topics = append(out.Topics, t)
	}
	return &out
}

// consumerLocked returns the group that a heartbeat is for, and the classic group that becomes it, if there is one: that happens when the first member of the consumer protocol joins, and only when all
// goes well. Until then the group is not among the others.
func (gs *Groups) consumerLocked(b *beat) (g *consumerGroup, from *classicGroup, err error) {
	if g := gs.mu.consumers[b.Group]; g != nil {
		return g, nil, nil
	}
	from = gs.mu.groups[b.Group]
	switch {
	case from == nil || len(from.members) == 0 && from.writing == nil:
		g, err = gs.storedConsumerLocked(b.Group)
	case b.MemberEpoch != 0:
		err = refused(kerr.GroupIDNotFound, "group %q has only members of the classic protocol", b.Group)
	case from.writing != nil:
		err = kerr.CoordinatorLoadInProgress // the log is about to hear of its members
	default:
		g, err = upgrade(from, gs.offsets.topics(), b.now)
	}
	return g, from, err
}

// storedConsumerLocked is a group of the consumer protocol as the log knows it, or a new one.
func (gs *Groups) storedConsumerLocked(id string) (*consumerGroup, error) {
	g := newConsumerGroup(id)
	now := gs.clock.Now()
	if kerror := gs.offsets.consumer(id, func(c *consumerRecord) {
		if c != nil {
			g = restoreConsumerGroup(id, c, now, consumerSession)
		}
	}); kerror != nil {
		return nil, kerror
	}
	return g, nil
}

// installLocked puts a group among the others, in the place of a classic one, whose members have to join again.
func (gs *Groups) installLocked(g *consumerGroup, from *classicGroup) {
	if from != nil {
		delete(gs.mu.groups, g.id)
		from.disband()
	}
	gs.mu.consumers[g.id] = g
}

// writeLocked has the log take what has changed in a group. If it does not, the group goes back to what the log has. A group in which only members of the classic protocol are left becomes a classic one.
func (gs *Groups) writeLocked(g *consumerGroup) error {
	if g.allClassic() {
		return gs.downgradeLocked(g)
	}
	if !g.changes.group && len(g.changes.members) == 0 {
		return nil
	}
	part, end, err := gs.offsets.writeConsumer(gs.ctx, g)
	if err != nil {
		return gs.undoLocked(g, err)
	}
	g.part, g.written = part, end
	g.changes = groupChanges{members: map[string]memberChange{}}
	return nil
}

// dropEmptyLocked forgets a group without members: the log has its epoch.
func (gs *Groups) dropEmptyLocked(g *consumerGroup) {
	if len(g.members) == 0 && gs.mu.consumers[g.id] == g {
		delete(gs.mu.consumers, g.id)
	}
}

// tickConsumersLocked does what is due in the groups of the consumer protocol and returns when the next is.
func (gs *Groups) tickConsumersLocked(now time.Time) (next time.Time) {
	for _, g := range slices.Collect(maps.Values(gs.mu.consumers)) {
		g.tick(now)
		if err := gs.writeLocked(g); err != nil {
			gs.log.Warn("the members of a consumer group cannot be written", "group", g.id, "err", err)
		} else if g.part != nil {
			g.part.Flush(g.written)
		}
		gs.dropEmptyLocked(g)
		if at := g.next(); !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next
}

// toClassicLocked lets a group without members of the consumer protocol be one of the classic protocol.
func (gs *Groups) toClassicLocked(id string) *kerr.Error {
	return groupError(gs.offsets.endConsumer(gs.ctx, id))
}

// removeMemberLocked removes a member of a group of the consumer protocol for an administrator (LeaveGroup, KIP-345).
func (gs *Groups) removeMemberLocked(g *consumerGroup, id string, instance *string) *kerr.Error {
	if instance != nil && id == "" {
		id = g.static[*instance]
	}
	m := g.members[id]
	switch {
	case m == nil:
		return kerr.UnknownMemberID
	case instance != nil && g.static[*instance] != id:
		return kerr.FencedInstanceID
	}
	g.remove(m)
	g.advance()
	return nil
}

// ConsumerGroupDescribe answers key 69. Groups of the classic protocol are not found.
func (gs *Groups) ConsumerGroupDescribe(req *kmsg.ConsumerGroupDescribeRequest) *kmsg.ConsumerGroupDescribeResponse {
	resp := req.ResponseKind().(*kmsg.ConsumerGroupDescribeResponse)
	resp.Groups = make([]kmsg.ConsumerGroupDescribeResponseGroup, 0, len(req.Groups))
	for _, id := range req.Groups {
		resp.Groups = append(resp.Groups, gs.describeConsumer(id))
	}
	return resp
}

func (gs *Groups) describeConsumer(id string) kmsg.ConsumerGroupDescribeResponseGroup {
	out := kmsg.NewConsumerGroupDescribeResponseGroup()
	out.Group, out.AuthorizedOperations = id, math.MinInt32
	out.Members = []kmsg.ConsumerGroupDescribeResponseGroupMember{}
	gs.mu.Lock()
	defer gs.mu.Unlock()
	if g := gs.mu.consumers[id]; g != nil {
		g.describe(&out, gs.offsets.topics())
		return out
	}
	known := false
	kerror := gs.offsets.consumer(id, func(c *consumerRecord) {
		if known = c != nil; known {
			empty := newConsumerGroup(id)
			empty.epoch = c.epoch
			empty.describe(&out, gs.offsets.topics())
		}
	})
	if kerror == nil && !known {
		kerror = kerr.GroupIDNotFound
		out.ErrorMessage = kmsg.StringPtr("there is no such group of the consumer protocol")
	}
	if kerror != nil {
		out.ErrorCode = kerror.Code
	}
	return out
}

func (g *consumerGroup) describe(out *kmsg.ConsumerGroupDescribeResponseGroup, view TopicsView) {
	out.State, out.Epoch, out.AssignmentEpoch, out.AssignorName = g.state(), g.epoch, g.epoch, g.assignor
	for _, id := range slices.Sorted(maps.Keys(g.members)) {
		m := g.members[id]
		dm := kmsg.NewConsumerGroupDescribeResponseGroupMember()
		dm.MemberID, dm.InstanceID, dm.RackID, dm.MemberEpoch = id, m.instance, m.rack, m.epoch
		dm.ClientID, dm.ClientHost = m.clientID, m.host
		dm.SubscribedTopics, dm.SubscribedTopicRegex = m.names, m.pattern
		dm.Assignment, dm.TargetAssignment = describeAssignment(m.assigned, view), describeAssignment(m.target, view)
		dm.MemberType = m.memberType()
		out.Members = append(out.Members, dm)
	}
}

func describeAssignment(a assignment, view TopicsView) kmsg.Assignment {
	var out kmsg.Assignment
	for _, id := range a.topics() {
		t, ok := view.TopicByID(id)
		if !ok {
			continue // deleted
		}
		tp := kmsg.NewAssignmentTopicPartition()
		tp.TopicID, tp.Topic, tp.Partitions = id, t.Name, a[id]
		out.TopicPartitions = append(out.TopicPartitions, tp)
	}
	return out
}
