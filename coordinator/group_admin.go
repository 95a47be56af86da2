package coordinator

import (
	"context"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	groupTypeClassic = "classic"
	groupStateDead   = "Dead"
	// groupNotFoundVersion is the first version of DescribeGroups in which an unknown group is an error (KIP-1043).
	groupNotFoundVersion = 6
)

// groupInfo is what describing and listing tell.
type groupInfo struct {
	id, kind, state, protocolType, protocol string
	members                                 []kmsg.DescribeGroupsResponseGroupMember
}

// DescribeGroups answers key 15. Groups of persistent queries are described too.
func (gs *Groups) DescribeGroups(req *kmsg.DescribeGroupsRequest) *kmsg.DescribeGroupsResponse {
	resp := req.ResponseKind().(*kmsg.DescribeGroupsResponse)
	resp.Groups = make([]kmsg.DescribeGroupsResponseGroup, 0, len(req.Groups))
	for _, id := range req.Groups {
		out := kmsg.NewDescribeGroupsResponseGroup()
		out.Group, out.AuthorizedOperations = id, math.MinInt32
		info, ok, kerror := gs.info(id)
		switch {
		case kerror != nil:
			out.ErrorCode = kerror.Code
		case ok:
			out.State, out.ProtocolType, out.Protocol = info.state, info.protocolType, info.protocol
			out.Members = append(out.Members, info.members...)
		default:
			out.State = groupStateDead
			if req.Version >= groupNotFoundVersion {
				out.ErrorCode, out.ErrorMessage = kerr.GroupIDNotFound.Code, kmsg.StringPtr("there is no such group")
			}
		}
		resp.Groups = append(resp.Groups, out)
	}
	return resp
}

// info looks a group up: one that has members here, or what the log knows of it. One of the consumer protocol is not found (KIP-848).
func (gs *Groups) info(id string) (groupInfo, bool, *kerr.Error) {
	if gs.refuse != nil {
		return groupInfo{}, false, gs.refuse
	}
	gs.mu.Lock()
	if g := gs.mu.groups[id]; g != nil && g.ahead() {
		defer gs.mu.Unlock()
		return g.info(), true, nil
	}
	gs.mu.Unlock()
	l, kerror := gs.offsets.lease(id)
	if kerror != nil {
		return groupInfo{}, false, kerror
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.mu.groups[id]
	if g == nil || g.consumer != nil {
		return groupInfo{}, false, nil
	}
	return g.info(id), true, nil
}

// ahead reports whether more is known of the group here than in the log: it has members, or the log is about to hear that it has none.
func (g *classicGroup) ahead() bool {
	return len(g.members) > 0 || g.state != groupEmpty || g.writing != nil
}

func (g *classicGroup) info() groupInfo {
	info := groupInfo{id: g.id, kind: groupTypeClassic, state: g.state.String(), protocolType: g.protocolType}
	if g.state == groupStable {
		info.protocol = g.protocol
	}
	for _, id := range g.order {
		m := g.members[id]
		out := kmsg.NewDescribeGroupsResponseGroupMember()
		out.MemberID, out.InstanceID, out.ClientID, out.ClientHost = m.id, m.instance, m.clientID, m.host
		out.ProtocolMetadata, out.MemberAssignment = []byte{}, []byte{}
		if g.state == groupStable {
			out.ProtocolMetadata = append(out.ProtocolMetadata, m.metadata(g.protocol)...)
			out.MemberAssignment = append(out.MemberAssignment, m.assignment...)
		}
		info.members = append(info.members, out)
	}
	return info
}

func (g *group) info(id string) groupInfo {
	info := groupInfo{id: id, kind: groupTypeClassic, state: groupEmpty.String(), protocolType: g.protocol.protocolType}
	if g.consumer != nil {
		info.kind, info.protocolType = groupTypeConsumer, groupProtocolType
		return info
	}
	if len(g.members) == 0 {
		return info
	}
	info.state, info.protocol = groupStable.String(), g.protocol.protocol
	for _, id := range slices.Sorted(maps.Keys(g.members)) {
		m := g.members[id]
		out := kmsg.NewDescribeGroupsResponseGroupMember()
		out.MemberID, out.InstanceID, out.ClientID, out.ClientHost = m.ID, m.InstanceID, m.ClientID, m.ClientHost
		out.ProtocolMetadata, out.MemberAssignment = append([]byte{}, m.Subscription...), append([]byte{}, m.Assignment...)
		info.members = append(info.members, out)
	}
	return info
}

// ListGroups answers key 16. From version 4 on it can be asked for states (KIP-518), from 5 on for types.
func (gs *Groups) ListGroups(req *kmsg.ListGroupsRequest) *kmsg.ListGroupsResponse {
	resp := req.ResponseKind().(*kmsg.ListGroupsResponse)
	all := map[string]groupInfo{}
	if gs.refuse == kerr.CoordinatorLoadInProgress {
		resp.ErrorCode = gs.refuse.Code
		return resp
	}
	for _, l := range gs.leases() {
		l.mu.Lock()
		for id, g := range l.mu.groups {
			all[id] = g.info(id)
		}
		l.mu.Unlock()
	}
	gs.mu.Lock()
	for id, g := range gs.mu.groups {
		if g.ahead() {
			all[id] = g.info()
		}
	}
	for id, g := range gs.mu.consumers {
		if len(g.members) > 0 {
			all[id] = groupInfo{id: id, kind: groupTypeConsumer, state: g.state(), protocolType: groupProtocolType}
		}
	}
	gs.mu.Unlock()
	matches := func(filter []string, s string) bool {
		return len(filter) == 0 || slices.ContainsFunc(filter, func(f string) bool { return strings.EqualFold(f, s) })
	}
	for _, id := range slices.Sorted(maps.Keys(all)) {
		info := all[id]
		if matches(req.StatesFilter, info.state) && matches(req.TypesFilter, info.kind) {
			out := kmsg.NewListGroupsResponseGroup()
			out.Group, out.ProtocolType, out.GroupState, out.GroupType = id, info.protocolType, info.state, info.kind
			resp.Groups = append(resp.Groups, out)
		}
	}
	return resp
}

// DeleteGroups answers key 42.
func (gs *Groups) DeleteGroups(ctx context.Context, req *kmsg.DeleteGroupsRequest) *kmsg.DeleteGroupsResponse {
	resp := req.ResponseKind().(*kmsg.DeleteGroupsResponse)
	resp.Groups = make([]kmsg.DeleteGroupsResponseGroup, 0, len(req.Groups))
	for _, id := range req.Groups {
		out := kmsg.NewDeleteGroupsResponseGroup()
		out.Group = id
		if kerror := gs.delete(ctx, id); kerror != nil {
			out.ErrorCode = kerror.Code
		}
		resp.Groups = append(resp.Groups, out)
	}
	return resp
}

func (gs *Groups) delete(ctx context.Context, id string) *kerr.Error {
	if kerror := gs.check(id); kerror != nil {
		return kerror
	}
	if kerror := gs.awaitEmpty(ctx, id); kerror != nil {
		return kerror
	}
	return groupError(gs.offsets.DeleteGroup(ctx, id, false))
}

// awaitEmpty refuses a group that has members. Of one that they have left it waits until the log knows that: whoever has heard that his leaving is done can
// delete the group.
func (gs *Groups) awaitEmpty(ctx context.Context, id string) *kerr.Error {
	for {
		gs.mu.Lock()
		g := gs.mu.groups[id]
		busy := g != nil && (len(g.members) > 0 || g.state != groupEmpty) || gs.mu.consumers[id] != nil
		var writing chan struct{}
		if g != nil {
			writing = g.writing
		}
		gs.mu.Unlock()
		switch {
		case busy:
			return kerr.NonEmptyGroup
		case writing == nil:
			return nil
		}
		select {
		case <-writing:
		case <-ctx.Done():
			return kerr.CoordinatorNotAvailable
		}
	}
}

// OffsetDelete answers key 47 (KIP-496): it forgets offsets of topics that no member subscribes to.
func (gs *Groups) OffsetDelete(ctx context.Context, req *kmsg.OffsetDeleteRequest) *kmsg.OffsetDeleteResponse {
	resp := req.ResponseKind().(*kmsg.OffsetDeleteResponse)
	kerror := gs.check(req.Group)
	var tps []TopicPartition
	for _, rt := range req.Topics {
		topic := kmsg.NewOffsetDeleteResponseTopic()
		topic.Topic = rt.Topic
		busy := kerror == nil && gs.subscribes(req.Group, rt.Topic)
		for _, rp := range rt.Partitions {
			part := kmsg.NewOffsetDeleteResponseTopicPartition()
			part.Partition = rp.Partition
			if busy {
				part.ErrorCode = kerr.GroupSubscribedToTopic.Code
			} else {
				tps = append(tps, TopicPartition{rt.Topic, rp.Partition})
			}
			topic.Partitions = append(topic.Partitions, part)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	if kerror == nil {
		kerror = groupError(gs.offsets.deleteOffsets(ctx, req.Group, tps))
	}
	if kerror != nil {
		resp.ErrorCode, resp.Topics = kerror.Code, nil
	}
	return resp
}

// subscribes reports whether a member of the group may read the topic. What a member says in a protocol that is not the consumers' counts as yes.
func (gs *Groups) subscribes(id, topic string) bool {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	if c := gs.mu.consumers[id]; c != nil {
		for _, m := range c.members {
			if slices.ContainsFunc(m.topics, func(t topicRef) bool { return t.name == topic }) {
				return true
			}
		}
	}
	g := gs.mu.groups[id]
	if g == nil {
		return false
	}
	for _, m := range g.members {
		for _, p := range m.protocols {
			var meta kmsg.ConsumerMemberMetadata
			if err := meta.ReadFrom(p.metadata); err != nil || g.protocolType != groupProtocolType || slices.Contains(meta.Topics, topic) {
				return true
			}
		}
	}
	return false
}

// deleteOffsets forgets offsets of a group, and returns when that is durable.
func (o *Offsets) deleteOffsets(ctx context.Context, groupID string, tps []TopicPartition) error {
	l, kerror := o.lease(groupID)
	if kerror != nil {
		return kerror
	}
	next, err := func() (int64, error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		g := l.mu.groups[groupID]
		if g == nil {
			return 0, kerr.GroupIDNotFound
		}
		var keys [][]byte
		for _, tp := range tps {
			if _, ok := g.offsets[tp]; ok {
				keys = append(keys, encodeOffsetKey(offsetKey{groupID, tp}))
			}
		}
		if len(keys) == 0 {
			return 0, nil
		}
		batch, err := encodeTombstones(keys, o.clock.Now().UnixMilli())
		if err != nil {
			return 0, err
		}
		_, next, err := l.append(ctx, batch, coordinatorAppend)
		if err != nil {
			return 0, coordinatorError(err)
		}
		for _, tp := range tps {
			delete(g.offsets, tp)
		}
		return next, nil
	}()
	if err != nil {
		return err
	}
	return l.part.WaitHighWatermark(ctx, next)
}
