package kafka

import (
	"context"
	"math"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// endpointBrokers is the kind of endpoint that clients of brokers ask for (KIP-919).
const endpointBrokers = 1

// describeCluster answers key 60, versions 0 and 1 (KIP-700).
func describeCluster(c *conn, _ context.Context, req *kmsg.DescribeClusterRequest) *kmsg.DescribeClusterResponse {
	cluster := c.server.config.Cluster
	resp := req.ResponseKind().(*kmsg.DescribeClusterResponse)
	resp.ClusterID, resp.ControllerID, resp.ClusterAuthorizedOperations = cluster.ClusterID(), cluster.NodeID(), math.MinInt32
	if req.Version >= 1 && req.EndpointType != endpointBrokers {
		resp.ErrorCode, resp.ErrorMessage = kerr.MismatchedEndpointType.Code, kmsg.StringPtr("this is an endpoint of brokers")
		return resp
	}
	for _, b := range c.brokers() {
		broker := kmsg.NewDescribeClusterResponseBroker()
		broker.NodeID, broker.Host, broker.Port = b.ID, b.Host, b.Port
		if b.Rack != "" {
			broker.Rack = &b.Rack
		}
		resp.Brokers = append(resp.Brokers, broker)
	}
	return resp
}
