package kafka

import (
	"context"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/clock"
)

// Kinds of coordinators.
const (
	coordinatorGroup = 0
	coordinatorTxn   = 1
)

// A coordinator or leader whose node has died is named until that is noticed. A client tries it again and again, and waits longer each time, so that it comes to the next one long after that is there; kgo asks for
// leaders only every five seconds. If this node knows already that nobody answers at the other, it waits with its answer for another coordinator or leader.
const (
	// deadPatience is how long it waits for that: a little less than impatient clients wait for an answer. Who is told of the dead one then asks again.
	deadPatience = 900 * time.Millisecond
	deadPause    = 20 * time.Millisecond
)

// outwait waits as long as an answer would name a node that is known to be dead, but not for longer than that is worth.
func (c *conn) outwait(ctx context.Context, namesDead func() bool) {
	begun := c.server.config.Clock.Now()
	for namesDead() && c.server.config.Clock.Since(begun) < deadPatience && clock.Wait(ctx, c.server.config.Clock, deadPause) {
	}
}

// startFindCoordinator answers key 10 when none of the coordinators is known to be dead, or it has waited long enough.
func startFindCoordinator(c *conn, ctx context.Context, req *kmsg.FindCoordinatorRequest) func() response {
	return func() response {
		c.outwait(ctx, func() bool { return c.namesDead(req) })
		return findCoordinator(c, req)
	}
}

// namesDead reports whether the answer to a request would name a node at which nobody answers.
func (c *conn) namesDead(req *kmsg.FindCoordinatorRequest) bool {
	dead := func(key string) bool {
		node, ok := c.server.config.Cluster.Coordinator(req.CoordinatorType == coordinatorTxn, key)
		return ok && c.server.config.Cluster.Unreachable(node)
	}
	if req.Version < batchedFindVersion {
		return dead(req.CoordinatorKey)
	}
	return slices.ContainsFunc(req.CoordinatorKeys, dead)
}

// batchedFindVersion is the first version that asks about several keys at once (KIP-699).
const batchedFindVersion = 4

// findCoordinator answers key 10, versions 0 to 6. Version 1 adds the coordinators of transactions, 4 several keys at
// once.
func findCoordinator(c *conn, req *kmsg.FindCoordinatorRequest) *kmsg.FindCoordinatorResponse {
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
	if req.Version < batchedFindVersion {
		one := find(req.CoordinatorKey)
		resp.ErrorCode, resp.ErrorMessage, resp.NodeID, resp.Host, resp.Port = one.ErrorCode, one.ErrorMessage, one.NodeID, one.Host, one.Port
		return resp
	}
	for _, key := range req.CoordinatorKeys {
		resp.Coordinators = append(resp.Coordinators, find(key))
	}
	return resp
}
