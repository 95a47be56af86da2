package kafka

import (
	"context"
	"net"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Groups coordinates consumer groups by the classic protocol. Nothing of a request is kept after a method has returned.
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
}

// startJoin answers key 11, versions 0 to 9. Version 1 adds the rebalance time-out, 4 has new members ask for an id first (KIP-394), 5 static members
// (KIP-345), 9 leaders that need not assign (KIP-814).
func startJoin(c *conn, ctx context.Context, req *kmsg.JoinGroupRequest) func() response {
	host, _, err := net.SplitHostPort(c.nc.RemoteAddr().String())
	if err != nil {
		host = c.nc.RemoteAddr().String()
	}
	finish := c.server.config.Groups.StartJoin(ctx, req, c.clientID, "/"+host)
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
	return c.server.config.Groups.DescribeGroups(req)
}

// listGroups answers key 16, versions 0 to 5; 4 adds states, 5 types.
func listGroups(c *conn, _ context.Context, req *kmsg.ListGroupsRequest) *kmsg.ListGroupsResponse {
	return c.server.config.Groups.ListGroups(req)
}

// deleteGroups answers key 42, versions 0 to 2.
func deleteGroups(c *conn, _ context.Context, req *kmsg.DeleteGroupsRequest) *kmsg.DeleteGroupsResponse {
	ctx, cancel := c.timeout(maxWaitMillis)
	defer cancel()
	return c.server.config.Groups.DeleteGroups(ctx, req)
}

// offsetDelete answers key 47, version 0.
func offsetDelete(c *conn, _ context.Context, req *kmsg.OffsetDeleteRequest) *kmsg.OffsetDeleteResponse {
	ctx, cancel := c.timeout(maxWaitMillis)
	defer cancel()
	return c.server.config.Groups.OffsetDelete(ctx, req)
}
