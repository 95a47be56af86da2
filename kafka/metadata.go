package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// advertised is where clients are told to connect to.
type advertised struct {
	host string
	port int32
}

func parseAdvertised(addr string) (advertised, error) {
	host, p, err := net.SplitHostPort(addr)
	if err != nil {
		return advertised{}, err
	}
	port, err := strconv.ParseUint(p, 10, 16)
	if err != nil || port == 0 || host == "" {
		return advertised{}, fmt.Errorf("%q; allowed: host:port", addr)
	}
	return advertised{host, int32(port)}, nil
}

// address is what this client is told: what is configured, or the address at which it has reached us, which therefore is one it can reach.
func (c *conn) address() advertised {
	if c.server.advertised.host != "" {
		return c.server.advertised
	}
	a, err := parseAdvertised(c.nc.LocalAddr().String())
	if err != nil {
		return advertised{"localhost", 9092} // not a network address: a test's pipe
	}
	return a
}

// brokers are the nodes that this client is told of: this one, at its address for the client, and the others that serve clients.
func (c *conn) brokers() []BrokerAddress {
	self, addr := c.server.config.Cluster.NodeID(), c.address()
	out := []BrokerAddress{{ID: self, Host: addr.host, Port: addr.port}}
	for _, b := range c.server.config.Cluster.Brokers() {
		if b.ID == self {
			out[0].Rack = b.Rack
			continue
		}
		out = append(out, b)
	}
	return out
}

// startMetadata answers key 3 when no leader in the answer is known to be dead, or it has waited long enough. Only then do the client's next requests overtake it: a topic that it makes is there for them.
func startMetadata(c *conn, ctx context.Context, req *kmsg.MetadataRequest) func() response {
	if !c.leadsDead(req) {
		resp := metadata(c, ctx, req)
		return func() response { return resp }
	}
	return func() response {
		c.outwait(ctx, func() bool { return c.leadsDead(req) })
		return metadata(c, ctx, req)
	}
}

// leadsDead reports whether a topic that is asked for has a leader at which nobody answers.
func (c *conn) leadsDead(req *kmsg.MetadataRequest) bool {
	cluster := c.server.config.Cluster
	dead := map[int32]bool{}
	for _, b := range cluster.Brokers() {
		if b.ID != cluster.NodeID() && cluster.Unreachable(b.ID) {
			dead[b.ID] = true
		}
	}
	if len(dead) == 0 {
		return false
	}
	led := func(t Topic) bool {
		return slices.ContainsFunc(t.Partitions, func(p PartitionState) bool { return dead[p.Leader] })
	}
	if allTopics(req) {
		return slices.ContainsFunc(cluster.Topics(), led)
	}
	return slices.ContainsFunc(req.Topics, func(rt kmsg.MetadataRequestTopic) bool {
		if rt.Topic == nil {
			t, ok := cluster.TopicByID(rt.TopicID)
			return ok && led(t)
		}
		t, ok := cluster.Topic(*rt.Topic)
		return ok && led(t)
	})
}

// allTopics reports whether a request asks for every topic.
func allTopics(req *kmsg.MetadataRequest) bool {
	return req.Topics == nil || req.Version == 0 && len(req.Topics) == 0
}

// metadata answers key 3, versions 0 to 13. Version 0 asks for all topics with an empty list, later ones with null; from 10 on topics
// have ids. A topic that does not exist is made if the server's configuration and, from version 4 on, the client allow it; it is there when the answer comes.
func metadata(c *conn, _ context.Context, req *kmsg.MetadataRequest) *kmsg.MetadataResponse {
	cluster := c.server.config.Cluster
	resp := req.ResponseKind().(*kmsg.MetadataResponse)
	for _, b := range c.brokers() {
		broker := kmsg.NewMetadataResponseBroker()
		broker.NodeID, broker.Host, broker.Port = b.ID, b.Host, b.Port
		if b.Rack != "" {
			broker.Rack = &b.Rack
		}
		resp.Brokers = append(resp.Brokers, broker)
	}
	resp.ClusterID = kmsg.StringPtr(cluster.ClusterID())
	resp.ControllerID = cluster.NodeID()
	if allTopics(req) {
		for _, t := range cluster.Topics() {
			if c.mayTopic(kmsg.ACLOperationDescribe, t.Name) {
				resp.Topics = append(resp.Topics, topicMetadata(t))
			}
		}
		c.addOperations(req, resp)
		return resp
	}
	create := c.server.config.AutoCreateTopics && (req.Version < 4 || req.AllowAutoTopicCreation)
	seen := make(map[string]bool, len(req.Topics))
	for _, rt := range req.Topics {
		if rt.Topic != nil && seen[*rt.Topic] {
			continue
		} else if rt.Topic != nil {
			seen[*rt.Topic] = true
		}
		resp.Topics = append(resp.Topics, c.lookupTopic(rt.Topic, rt.TopicID, create))
	}
	c.addOperations(req, resp)
	return resp
}

// addOperations says what the client may do, if it asks (KIP-430).
func (c *conn) addOperations(req *kmsg.MetadataRequest, resp *kmsg.MetadataResponse) {
	resp.AuthorizedOperations = notAsked
	if req.IncludeClusterAuthorizedOperations {
		resp.AuthorizedOperations = c.operations(kmsg.ACLResourceTypeCluster, clusterName)
	}
	for i := range resp.Topics {
		if t := &resp.Topics[i]; req.IncludeTopicAuthorizedOperations && t.ErrorCode == 0 {
			t.AuthorizedOperations = c.operations(kmsg.ACLResourceTypeTopic, *t.Topic)
		}
	}
}

func (c *conn) lookupTopic(name *string, id [16]byte, create bool) kmsg.MetadataResponseTopic {
	cluster := c.server.config.Cluster
	if name == nil {
		if t, ok := cluster.TopicByID(id); ok && c.mayTopic(kmsg.ACLOperationDescribe, t.Name) {
			return topicMetadata(t)
		}
		return noTopic(nil, id, kerr.UnknownTopicID)
	}
	t, ok := cluster.Topic(*name)
	switch {
	case !c.mayTopic(kmsg.ACLOperationDescribe, *name), !ok && create && !c.mayCreate(*name):
		return noTopic(name, id, kerr.TopicAuthorizationFailed)
	case ok:
		return topicMetadata(t)
	case !validTopicName(*name):
		return noTopic(name, id, kerr.InvalidTopicException)
	case !create:
		return noTopic(name, id, kerr.UnknownTopicOrPartition)
	}
	t, err := c.createOnUse(*name)
	if err != nil {
		return noTopic(name, id, err)
	}
	return topicMetadata(t)
}

// createOnUse makes a topic with the defaults. Another client may have been faster.
func (c *conn) createOnUse(name string) (Topic, error) {
	cluster := c.server.config.Cluster
	ctx, cancel := c.timeout(maxWaitMillis)
	defer cancel()
	t, err := cluster.CreateTopic(ctx, NewTopic{Name: name, Partitions: -1, Replicas: -1}, false)
	if errors.Is(err, kerr.TopicAlreadyExists) {
		var ok bool
		if t, ok = cluster.Topic(name); ok {
			return t, nil
		}
		return t, kerr.LeaderNotAvailable // and deleted since: the client asks again
	}
	if err == nil {
		c.log.Info("topic made on first use", "topic", name, "client_id", c.clientID)
	}
	return t, err
}

func noTopic(name *string, id [16]byte, err error) kmsg.MetadataResponseTopic {
	t := kmsg.NewMetadataResponseTopic()
	t.Topic, t.TopicID, t.ErrorCode = name, id, code(err)
	return t
}

func topicMetadata(t Topic) kmsg.MetadataResponseTopic {
	out := kmsg.NewMetadataResponseTopic()
	out.Topic, out.TopicID, out.IsInternal = kmsg.StringPtr(t.Name), t.ID, t.Internal
	out.AuthorizedOperations = notAsked
	out.Partitions = make([]kmsg.MetadataResponseTopicPartition, 0, len(t.Partitions))
	for i, p := range t.Partitions {
		part := kmsg.NewMetadataResponseTopicPartition()
		part.Partition, part.Leader, part.LeaderEpoch = int32(i), p.Leader, p.LeaderEpoch
		part.Replicas, part.ISR = p.Replicas, p.ISR
		if p.Leader < 0 {
			part.ErrorCode = kerr.LeaderNotAvailable.Code
		}
		out.Partitions = append(out.Partitions, part)
	}
	return out
}

// maxTopicName is how long a topic's name may be, in bytes.
const maxTopicName = 249

// validTopicName is Kafka's rule (org.apache.kafka.common.internals.Topic).
func validTopicName(name string) bool {
	if name == "" || len(name) > maxTopicName || name == "." || name == ".." {
		return false
	}
	for _, r := range []byte(name) {
		ok := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' || r == '-'
		if !ok {
			return false
		}
	}
	return true
}
