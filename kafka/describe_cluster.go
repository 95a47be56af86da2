package kafka

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The kinds of endpoints that clients ask for (KIP-919).
const (
	endpointBrokers     = 1
	endpointControllers = 2
)

// describeCluster answers key 60, versions 0 and 1 (KIP-700).
func describeCluster(c *conn, _ context.Context, req *kmsg.DescribeClusterRequest) *kmsg.DescribeClusterResponse {
	cluster := c.server.config.Cluster
	resp := req.ResponseKind().(*kmsg.DescribeClusterResponse)
	resp.ClusterID, resp.ControllerID, resp.ClusterAuthorizedOperations = cluster.ClusterID(), cluster.NodeID(), notAsked
	if req.Version >= 1 && req.EndpointType != endpointBrokers {
		resp.ErrorCode, resp.ErrorMessage, resp.ControllerID = kerr.MismatchedEndpointType.Code, kmsg.StringPtr("this is an endpoint of brokers"), -1
		if req.EndpointType != endpointControllers {
			resp.ErrorCode = kerr.UnsupportedEndpointType.Code
		}
		return resp
	}
	if req.IncludeClusterAuthorizedOperations {
		resp.ClusterAuthorizedOperations = c.operations(kmsg.ACLResourceTypeCluster, clusterName)
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
