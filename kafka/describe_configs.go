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
		configs, err := c.configsOf(rr.ResourceType, rr.ResourceName)
		out.ErrorCode, out.ErrorMessage = code(err), message(err)
		for _, cfg := range configs {
			if rr.ConfigNames == nil || slices.Contains(rr.ConfigNames, cfg.Name) {
				out.Configs = append(out.Configs, cfg)
			}
		}
		resp.Resources = append(resp.Resources, out)
	}
	return resp
}

func describedConfig(cfg TopicConfig, set kmsg.ConfigSource) kmsg.DescribeConfigsResponseResourceConfig {
	out := kmsg.NewDescribeConfigsResponseResourceConfig()
	out.Name, out.Value, out.ConfigType = cfg.Name, kmsg.StringPtr(cfg.Value), cfg.Type
	out.Source, out.IsDefault = source(cfg, set), cfg.Default
	return out
}

// configsOf looks up what has settings.
func (c *conn) configsOf(kind kmsg.ConfigResourceType, name string) (out []kmsg.DescribeConfigsResponseResourceConfig, err error) {
	cluster := c.server.config.Cluster
	switch kind {
	case kmsg.ConfigResourceTypeTopic:
		if !c.mayTopic(kmsg.ACLOperationDescribeConfigs, name) {
			return nil, kerr.TopicAuthorizationFailed
		}
		if !validTopicName(name) {
			return nil, fmt.Errorf("%w: %q is no name of a topic", kerr.InvalidTopicException, name)
		}
		configs, err := cluster.TopicConfigs(name)
		for _, cfg := range configs {
			out = append(out, describedConfig(cfg, kmsg.ConfigSourceDynamicTopicConfig))
		}
		return out, err
	case kmsg.ConfigResourceTypeBroker:
		if err := c.checkBroker(name); err != nil {
			return nil, err
		}
		for _, cfg := range c.nodeConfigs() {
			fixed := describedConfig(cfg, kmsg.ConfigSourceStaticBrokerConfig)
			fixed.ReadOnly = true
			out = append(out, fixed)
		}
		source := kmsg.ConfigSourceDynamicBrokerConfig
		if name == "" {
			source = kmsg.ConfigSourceDynamicDefaultBrokerConfig
		}
		for _, cfg := range cluster.BrokerConfigs(name == "") {
			out = append(out, describedConfig(cfg, source))
		}
		return out, nil
	default:
		return nil, fmt.Errorf("%w: resource type %v; allowed: topic, broker", kerr.InvalidRequest, kind)
	}
}

// checkBroker refuses the name of a broker whose settings this node does not have: it has its own, and those of an empty name, which are for all.
func (c *conn) checkBroker(name string) error {
	if id := strconv.Itoa(int(c.server.config.Cluster.NodeID())); name != "" && name != id {
		return fmt.Errorf("%w: broker %q; allowed: %s", kerr.InvalidRequest, name, id)
	}
	return nil
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
