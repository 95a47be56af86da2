package kafka

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// describeConfigs answers key 32, versions 1 to 4, for topics, and for this node, which has a few settings for clients that ask. Version 1 tells where a value comes from, 3 its
// type.
func describeConfigs(c *conn, _ context.Context, req *kmsg.DescribeConfigsRequest) *kmsg.DescribeConfigsResponse {
	resp := req.ResponseKind().(*kmsg.DescribeConfigsResponse)
	resp.Resources = make([]kmsg.DescribeConfigsResponseResource, 0, len(req.Resources))
	for _, rr := range req.Resources {
		out := kmsg.NewDescribeConfigsResponseResource()
		out.ResourceType, out.ResourceName = rr.ResourceType, rr.ResourceName
		configs, readOnly, err := c.configsOf(rr.ResourceType, rr.ResourceName)
		out.ErrorCode, out.ErrorMessage = code(err), message(err)
		for _, cfg := range configs {
			if rr.ConfigNames == nil || slices.Contains(rr.ConfigNames, cfg.Name) {
				out.Configs = append(out.Configs, describedConfig(cfg, readOnly))
			}
		}
		resp.Resources = append(resp.Resources, out)
	}
	return resp
}

func describedConfig(cfg TopicConfig, readOnly bool) kmsg.DescribeConfigsResponseResourceConfig {
	out := kmsg.NewDescribeConfigsResponseResourceConfig()
	out.Name, out.Value, out.ConfigType, out.ReadOnly = cfg.Name, kmsg.StringPtr(cfg.Value), cfg.Type, readOnly
	out.Source, out.IsDefault = source(cfg), cfg.Default
	return out
}

// configsOf looks up what has settings.
func (c *conn) configsOf(kind kmsg.ConfigResourceType, name string) (configs []TopicConfig, readOnly bool, err error) {
	cluster := c.server.config.Cluster
	switch kind {
	case kmsg.ConfigResourceTypeTopic:
		if !c.mayTopic(kmsg.ACLOperationDescribeConfigs, name) {
			return nil, false, kerr.TopicAuthorizationFailed
		}
		if !validTopicName(name) {
			return nil, false, fmt.Errorf("%w: %q is no name of a topic", kerr.InvalidTopicException, name)
		}
		configs, err = cluster.TopicConfigs(name)
		return configs, false, err
	case kmsg.ConfigResourceTypeBroker:
		if id := strconv.Itoa(int(cluster.NodeID())); name != "" && name != id {
			return nil, true, fmt.Errorf("%w: broker %q; allowed: %s", kerr.InvalidRequest, name, id)
		}
		return c.nodeConfigs(), true, nil
	default:
		return nil, true, fmt.Errorf("%w: resource type %v; allowed: topic, broker", kerr.InvalidRequest, kind)
	}
}

// nodeConfigs are the settings of Kafka's brokers that clients look at.
func (c *conn) nodeConfigs() []TopicConfig {
	create := c.server.config.AutoCreateTopics
	return []TopicConfig{
		{Name: "auto.create.topics.enable", Value: strconv.FormatBool(create), Default: create, Type: kmsg.ConfigTypeBoolean},
		{Name: "default.replication.factor", Value: "1", Default: true, Type: kmsg.ConfigTypeInt},
		{Name: "min.insync.replicas", Value: "1", Default: true, Type: kmsg.ConfigTypeInt},
		{Name: "socket.request.max.bytes", Value: strconv.Itoa(MaxProduceBytes), Default: true, Type: kmsg.ConfigTypeInt},
	}
}

// listConfigResources answers key 74, versions 0 and 1: what has settings. Version 0 asks for subscriptions to metrics of clients, which there are none of (KIP-1142).
func listConfigResources(c *conn, _ context.Context, req *kmsg.ListConfigResourcesRequest) *kmsg.ListConfigResourcesResponse {
	resp := req.ResponseKind().(*kmsg.ListConfigResourcesResponse)
	resp.ConfigResources = []kmsg.ListConfigResourcesResponseConfigResource{}
	add := func(kind kmsg.ConfigResourceType, name string) {
		if req.Version == 0 || len(req.ResourceTypes) > 0 && !slices.Contains(req.ResourceTypes, int8(kind)) {
			return
		}
		r := kmsg.NewListConfigResourcesResponseConfigResource()
		r.Name, r.Type = name, int8(kind)
		resp.ConfigResources = append(resp.ConfigResources, r)
	}
	for _, t := range c.server.config.Cluster.Topics() {
		add(kmsg.ConfigResourceTypeTopic, t.Name)
	}
	add(kmsg.ConfigResourceTypeBroker, strconv.Itoa(int(c.server.config.Cluster.NodeID())))
	return resp
}
