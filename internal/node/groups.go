package node

import (
	"context"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/coordinator"
	"github.com/millracedb/millrace/kafka"
)

// groups are the consumer groups of Kafka clients: those of the present duty, or while this node has none, a set without groups, which says that the coordinator is elsewhere.
type groups struct {
	idle *coordinator.Groups
	now  atomic.Pointer[coordinator.Groups]
}

// Store makes gs the groups that serve; nil for none.
func (g *groups) Store(gs *coordinator.Groups) { g.now.Store(gs) }

func (g *groups) get() *coordinator.Groups {
	if gs := g.now.Load(); gs != nil {
		return gs
	}
	return g.idle
}

func (g *groups) StartJoin(ctx context.Context, r *kmsg.JoinGroupRequest, clientID, host string) func() *kmsg.JoinGroupResponse {
	return g.get().StartJoin(ctx, r, clientID, host)
}

func (g *groups) StartSync(ctx context.Context, r *kmsg.SyncGroupRequest) func() *kmsg.SyncGroupResponse {
	return g.get().StartSync(ctx, r)
}

func (g *groups) Heartbeat(r *kmsg.HeartbeatRequest) *kmsg.HeartbeatResponse {
	return g.get().Heartbeat(r)
}

func (g *groups) LeaveGroup(r *kmsg.LeaveGroupRequest) *kmsg.LeaveGroupResponse {
	return g.get().LeaveGroup(r)
}

func (g *groups) OffsetCommit(ctx context.Context, r *kmsg.OffsetCommitRequest) *kmsg.OffsetCommitResponse {
	return g.get().OffsetCommit(ctx, r)
}

func (g *groups) DescribeGroups(r *kmsg.DescribeGroupsRequest) *kmsg.DescribeGroupsResponse {
	return g.get().DescribeGroups(r)
}

func (g *groups) ListGroups(r *kmsg.ListGroupsRequest) *kmsg.ListGroupsResponse {
	return g.get().ListGroups(r)
}

func (g *groups) DeleteGroups(ctx context.Context, r *kmsg.DeleteGroupsRequest) *kmsg.DeleteGroupsResponse {
	return g.get().DeleteGroups(ctx, r)
}

func (g *groups) OffsetDelete(ctx context.Context, r *kmsg.OffsetDeleteRequest) *kmsg.OffsetDeleteResponse {
	return g.get().OffsetDelete(ctx, r)
}

func (g *groups) StartConsumerHeartbeat(ctx context.Context, r *kmsg.ConsumerGroupHeartbeatRequest, from kafka.ConsumerCaller) func() *kmsg.ConsumerGroupHeartbeatResponse {
	return g.get().StartConsumerHeartbeat(ctx, r, coordinator.ConsumerCaller(from))
}

func (g *groups) ConsumerGroupDescribe(r *kmsg.ConsumerGroupDescribeRequest) *kmsg.ConsumerGroupDescribeResponse {
	return g.get().ConsumerGroupDescribe(r)
}
