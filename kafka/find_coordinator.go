package kafka

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Kinds of coordinators.
const (
	coordinatorGroup = 0
	coordinatorTxn   = 1
)

// findCoordinator answers key 10, versions 0 to 6. Version 1 adds the coordinators of transactions, 4 several keys at
// once (KIP-699).
func findCoordinator(c *conn, _ context.Context, req *kmsg.FindCoordinatorRequest) *kmsg.FindCoordinatorResponse {
	resp := req.ResponseKind().(*kmsg.FindCoordinatorResponse)
	brokers := c.brokers()
	find := func(key string) kmsg.FindCoordinatorResponseCoordinator {
		out := kmsg.NewFindCoordinatorResponseCoordinator()
		out.Key = key
		switch {
		case req.CoordinatorType != coordinatorGroup && req.CoordinatorType != coordinatorTxn:
			out.ErrorCode, out.ErrorMessage, out.NodeID = kerr.InvalidRequest.Code, kmsg.StringPtr("unknown kind of coordinator"), -1
		case key == "" && req.CoordinatorType == coordinatorGroup:
			out.ErrorCode, out.ErrorMessage, out.NodeID = kerr.InvalidGroupID.Code, kmsg.StringPtr("the group has no name"), -1
		default:
			out.ErrorCode, out.NodeID = kerr.CoordinatorNotAvailable.Code, -1
			node, ok := c.server.config.Cluster.Coordinator(req.CoordinatorType == coordinatorTxn, key)
			for _, b := range brokers {
				if ok && b.ID == node {
					out.ErrorCode, out.NodeID, out.Host, out.Port = 0, b.ID, b.Host, b.Port
				}
			}
		}
		return out
	}
	if req.Version < 4 {
		one := find(req.CoordinatorKey)
		resp.ErrorCode, resp.ErrorMessage, resp.NodeID, resp.Host, resp.Port = one.ErrorCode, one.ErrorMessage, one.NodeID, one.Host, one.Port
		return resp
	}
	for _, key := range req.CoordinatorKeys {
		resp.Coordinators = append(resp.Coordinators, find(key))
	}
	return resp
}
