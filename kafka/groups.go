package kafka

import (
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Groups coordinates consumer groups by the classic protocol and by that of KIP-848. Nothing of a request is kept after a method has returned.
type Groups interface {
	// StartJoin and StartSync return functions that wait for the rest of the group, as long as ctx lasts.
	StartJoin(ctx context.Context, req *kmsg.JoinGroupRequest, clientID, host string) func() *kmsg.JoinGroupResponse
	StartSync(context.Context, *kmsg.SyncGroupRequest) func() *kmsg.SyncGroupResponse
	Heartbeat(*kmsg.HeartbeatRequest) *kmsg.HeartbeatResponse
	LeaveGroup(*kmsg.LeaveGroupRequest) *kmsg.LeaveGroupResponse
	OffsetCommit(context.Context, *kmsg.OffsetCommitRequest) *kmsg.OffsetCommitResponse
	DescribeGroups(*kmsg.DescribeGroupsRequest) *kmsg.DescribeGroupsResponse
	ListGroups(*kmsg.ListGroupsRequest) *kmsg.ListGroupsResponse
	DeleteGroups(context.Context, *kmsg.DeleteGroupsRequest) *kmsg.DeleteGroupsResponse
	OffsetDelete(context.Context, *kmsg.OffsetDeleteRequest) *kmsg.OffsetDeleteResponse
	// StartConsumerHeartbeat returns a function that waits until what the heartbeat has changed is durable, as long as ctx lasts.
	StartConsumerHeartbeat(context.Context, *kmsg.ConsumerGroupHeartbeatRequest, ConsumerCaller) func() *kmsg.ConsumerGroupHeartbeatResponse
	ConsumerGroupDescribe(*kmsg.ConsumerGroupDescribeRequest) *kmsg.ConsumerGroupDescribeResponse
}

// startJoin answers key 11, versions 0 to 9. Version 1 adds the rebalance time-out, 4 has new members ask for an id first (KIP-394), 5 static members
// (KIP-345), 9 leaders that need not assign (KIP-814).
func startJoin(c *conn, ctx context.Context, req *kmsg.JoinGroupRequest) func() response {
	finish := c.server.config.Groups.StartJoin(ctx, req, c.clientID, "/"+c.host())
	return func() response { return finish() }
}

// startSync answers key 14, versions 0 to 5. Version 3 adds static members, 5 the protocol for comparison (KIP-559).
func startSync(c *conn, ctx context.Context, req *kmsg.SyncGroupRequest) func() response {
	finish := c.server.config.Groups.StartSync(ctx, req)
	return func() response { return finish() }
}

// heartbeat answers key 12, versions 0 to 4; 3 adds static members.
func heartbeat(c *conn, _ context.Context, req *kmsg.HeartbeatRequest) *kmsg.HeartbeatResponse {
	return c.server.config.Groups.Heartbeat(req)
}

// leaveGroup answers key 13, versions 0 to 5; 3 names several members.
func leaveGroup(c *conn, _ context.Context, req *kmsg.LeaveGroupRequest) *kmsg.LeaveGroupResponse {
	return c.server.config.Groups.LeaveGroup(req)
}

// describeGroups answers key 15, versions 0 to 6; from 6 on a group that does not exist is an error.
func describeGroups(c *conn, _ context.Context, req *kmsg.DescribeGroupsRequest) *kmsg.DescribeGroupsResponse {
	denied := c.takeOutGroups(&req.Groups, kmsg.ACLOperationDescribe)
	resp := c.server.config.Groups.DescribeGroups(req)
	if req.IncludeAuthorizedOperations {
		for i := range resp.Groups {
			if resp.Groups[i].ErrorCode != 0 {
				continue
			}
			resp.Groups[i].AuthorizedOperations = c.operations(kmsg.ACLResourceTypeGroup, resp.Groups[i].Group)
		}
	}
	for _, id := range denied {
		group := kmsg.NewDescribeGroupsResponseGroup()
		group.Group, group.ErrorCode = id, kerr.GroupAuthorizationFailed.Code
		resp.Groups = append(resp.Groups, group)
	}
	return resp
}

// takeOutGroups takes the groups with which the client may not do op out of all and returns them.
func (c *conn) takeOutGroups(all *[]string, op kmsg.ACLOperation) (denied []string) {
	return takeOut(all, func(id string) bool { return !c.mayGroup(op, id) })
}

// listGroups answers key 16, versions 0 to 5; 4 adds states, 5 types. Groups that the client may not see are left out.
func listGroups(c *conn, _ context.Context, req *kmsg.ListGroupsRequest) *kmsg.ListGroupsResponse {
	resp := c.server.config.Groups.ListGroups(req)
	resp.Groups = slices.DeleteFunc(resp.Groups, func(g kmsg.ListGroupsResponseGroup) bool { return !c.mayGroup(kmsg.ACLOperationDescribe, g.Group) })
	return resp
}

// deleteGroups answers key 42, versions 0 to 2.
func deleteGroups(c *conn, _ context.Context, req *kmsg.DeleteGroupsRequest) *kmsg.DeleteGroupsResponse {
	ctx, cancel := c.timeout(maxWaitMillis)
	defer cancel()
	denied := c.takeOutGroups(&req.Groups, kmsg.ACLOperationDelete)
	resp := c.server.config.Groups.DeleteGroups(ctx, req)
	for _, id := range denied {
		group := kmsg.NewDeleteGroupsResponseGroup()
		group.Group, group.ErrorCode = id, kerr.GroupAuthorizationFailed.Code
		resp.Groups = append(resp.Groups, group)
	}
	return resp
}

// offsetDelete answers key 47, version 0.
func offsetDelete(c *conn, _ context.Context, req *kmsg.OffsetDeleteRequest) *kmsg.OffsetDeleteResponse {
	ctx, cancel := c.timeout(maxWaitMillis)
	defer cancel()
	var missing []kmsg.OffsetDeleteResponseTopic
	for i := range req.Topics {
		rt := &req.Topics[i]
		unknown := takeOut(&rt.Partitions, func(p kmsg.OffsetDeleteRequestTopicPartition) bool { return !c.exists(rt.Topic, p.Partition) })
		if len(unknown) == 0 {
			continue
		}
		topic := kmsg.NewOffsetDeleteResponseTopic()
		topic.Topic = rt.Topic
		for _, p := range unknown {
			part := kmsg.NewOffsetDeleteResponseTopicPartition()
			part.Partition, part.ErrorCode = p.Partition, kerr.UnknownTopicOrPartition.Code
			topic.Partitions = append(topic.Partitions, part)
		}
		missing = append(missing, topic)
	}
	req.Topics = slices.DeleteFunc(req.Topics, func(t kmsg.OffsetDeleteRequestTopic) bool { return len(t.Partitions) == 0 })
	resp := c.server.config.Groups.OffsetDelete(ctx, req)
	if resp.ErrorCode == 0 {
		resp.Topics = append(resp.Topics, missing...)
	}
	return resp
}
