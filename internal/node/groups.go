package node

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/coordinator"
	"github.com/millracedb/millrace/kafka"
)

// groups are the consumer groups of Kafka clients, by the partitions that keep them: those that this node leads come and go one by one in a cluster. The groups of others are two sets without groups,
// which tell clients that the coordinator is elsewhere, or that it is loading.
type groups struct {
	elsewhere, loading *coordinator.Groups
	count              func(topic string) int32

	mu struct {
		sync.RWMutex
		of map[coordinator.TopicPartition]*coordinator.Groups
	}
}

func (g *groups) open(n *Node, count func(topic string) int32) {
	g.count = count
	g.mu.of = map[coordinator.TopicPartition]*coordinator.Groups{}
	g.elsewhere, g.loading = n.newGroups(nil, kerr.NotCoordinator), n.newGroups(nil, kerr.CoordinatorLoadInProgress)
}

// newGroups takes up the groups of partitions that have been loaded.
func (n *Node) newGroups(tps []coordinator.TopicPartition, refuse *kerr.Error) *coordinator.Groups {
	return coordinator.NewGroups(coordinator.GroupsConfig{
		Offsets: n.coord.Offsets, Partitions: tps, Refuse: refuse, Clock: n.cfg.Clock, Rand: n.cfg.Rand, Logger: n.cfg.Logger,
	})
}

func (g *groups) close() {
	if g.elsewhere != nil {
		g.loading.Close()
		g.elsewhere.Close()
	}
}

// set makes gs serve the groups of partitions; nil if they are elsewhere.
func (g *groups) set(tps []coordinator.TopicPartition, gs *coordinator.Groups) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, tp := range tps {
		if gs == nil {
			delete(g.mu.of, tp)
		} else {
			g.mu.of[tp] = gs
		}
	}
}

func (g *groups) get(group string) *coordinator.Groups {
	at := coordinator.OffsetsPartition(group, g.count)
	g.mu.RLock()
	defer g.mu.RUnlock()
	if gs := g.mu.of[at]; gs != nil {
		return gs
	}
	return g.elsewhere
}

func (g *groups) StartJoin(ctx context.Context, r *kmsg.JoinGroupRequest, clientID, host string) func() *kmsg.JoinGroupResponse {
	return g.get(r.Group).StartJoin(ctx, r, clientID, host)
}

func (g *groups) StartSync(ctx context.Context, r *kmsg.SyncGroupRequest) func() *kmsg.SyncGroupResponse {
	return g.get(r.Group).StartSync(ctx, r)
}

func (g *groups) Heartbeat(r *kmsg.HeartbeatRequest) *kmsg.HeartbeatResponse {
	return g.get(r.Group).Heartbeat(r)
}

func (g *groups) LeaveGroup(r *kmsg.LeaveGroupRequest) *kmsg.LeaveGroupResponse {
	return g.get(r.Group).LeaveGroup(r)
}

func (g *groups) OffsetCommit(ctx context.Context, r *kmsg.OffsetCommitRequest) *kmsg.OffsetCommitResponse {
	return g.get(r.Group).OffsetCommit(ctx, r)
}

func (g *groups) OffsetDelete(ctx context.Context, r *kmsg.OffsetDeleteRequest) *kmsg.OffsetDeleteResponse {
	return g.get(r.Group).OffsetDelete(ctx, r)
}

func (g *groups) StartConsumerHeartbeat(ctx context.Context, r *kmsg.ConsumerGroupHeartbeatRequest, from kafka.ConsumerCaller) func() *kmsg.ConsumerGroupHeartbeatResponse {
	return g.get(r.Group).StartConsumerHeartbeat(ctx, r, coordinator.ConsumerCaller(from))
}

// ListGroups lists the groups that this node coordinates: tools ask every node.
func (g *groups) ListGroups(r *kmsg.ListGroupsRequest) *kmsg.ListGroupsResponse {
	g.mu.RLock()
	var all []*coordinator.Groups
	for _, gs := range g.mu.of {
		if !slices.Contains(all, gs) {
			all = append(all, gs)
		}
	}
	g.mu.RUnlock()
	resp := r.ResponseKind().(*kmsg.ListGroupsResponse)
	for _, gs := range all {
		some := gs.ListGroups(r)
		if some.ErrorCode != 0 {
			return some
		}
		resp.Groups = append(resp.Groups, some.Groups...)
	}
	slices.SortFunc(resp.Groups, func(a, b kmsg.ListGroupsResponseGroup) int { return strings.Compare(a.Group, b.Group) })
	return resp
}

// The following ask about several groups at once, whose coordinators may be different ones.

// oneByOne gathers the answers about each group.
func oneByOne[R any](groups []string, ask func(group []string) []R) []R {
	out := []R{} // not nil, which would be a null on the wire
	for i := range groups {
		out = append(out, ask(groups[i:i+1])...)
	}
	return out
}

func (g *groups) DescribeGroups(r *kmsg.DescribeGroupsRequest) *kmsg.DescribeGroupsResponse {
	resp := r.ResponseKind().(*kmsg.DescribeGroupsResponse)
	resp.Groups = oneByOne(r.Groups, func(ids []string) []kmsg.DescribeGroupsResponseGroup {
		one := *r
		one.Groups = ids
		return g.get(ids[0]).DescribeGroups(&one).Groups
	})
	return resp
}

func (g *groups) DeleteGroups(ctx context.Context, r *kmsg.DeleteGroupsRequest) *kmsg.DeleteGroupsResponse {
	resp := r.ResponseKind().(*kmsg.DeleteGroupsResponse)
	resp.Groups = oneByOne(r.Groups, func(ids []string) []kmsg.DeleteGroupsResponseGroup {
		one := *r
		one.Groups = ids
		return g.get(ids[0]).DeleteGroups(ctx, &one).Groups
	})
	return resp
}

func (g *groups) ConsumerGroupDescribe(r *kmsg.ConsumerGroupDescribeRequest) *kmsg.ConsumerGroupDescribeResponse {
	resp := r.ResponseKind().(*kmsg.ConsumerGroupDescribeResponse)
	resp.Groups = oneByOne(r.Groups, func(ids []string) []kmsg.ConsumerGroupDescribeResponseGroup {
		one := *r
		one.Groups = ids
		return g.get(ids[0]).ConsumerGroupDescribe(&one).Groups
	})
	return resp
}
