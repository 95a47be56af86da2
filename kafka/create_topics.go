package kafka

import (
	"context"
	"math"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// createTopics answers key 19, versions 2 to 7. From 4 on -1 stands for the default number of partitions and replicas (KIP-464), from 5 on the
// answer has the topic's settings (KIP-525), from 7 on its id.
func createTopics(c *conn, _ context.Context, req *kmsg.CreateTopicsRequest) *kmsg.CreateTopicsResponse {
	ctx, cancel := c.timeout(req.TimeoutMillis)
	defer cancel()
	resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
	resp.Topics = make([]kmsg.CreateTopicsResponseTopic, 0, len(req.Topics))
	twice := duplicates(req.Topics, func(t kmsg.CreateTopicsRequestTopic) string { return t.Topic })
	answered := make(map[string]bool, len(twice))
	for _, rt := range req.Topics {
		if twice[rt.Topic] && answered[rt.Topic] {
			continue
		}
		answered[rt.Topic] = true
		topic := kmsg.NewCreateTopicsResponseTopic()
		topic.Topic = rt.Topic
		topic.Configs = []kmsg.CreateTopicsResponseTopicConfig{}
		if twice[rt.Topic] {
			topic.ErrorCode, topic.ErrorMessage = kerr.InvalidRequest.Code, kmsg.StringPtr("the topic is named more than once")
			topic.NumPartitions, topic.ReplicationFactor = -1, -1
		} else {
			c.createTopic(ctx, rt, req.ValidateOnly, &topic)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

// duplicates are the names that come up more than once.
func duplicates[T any, K comparable](all []T, name func(T) K) map[K]bool {
	twice := make(map[K]bool)
	seen := make(map[K]bool, len(all))
	for _, t := range all {
		if seen[name(t)] {
			twice[name(t)] = true
		}
		seen[name(t)] = true
	}
	return twice
}

func (c *conn) createTopic(ctx context.Context, rt kmsg.CreateTopicsRequestTopic, validateOnly bool, out *kmsg.CreateTopicsResponseTopic) {
	cluster := c.server.config.Cluster
	t := NewTopic{Name: rt.Topic, Partitions: rt.NumPartitions, Replicas: rt.ReplicationFactor, Configs: map[string]string{}}
	out.NumPartitions, out.ReplicationFactor = -1, -1
	if len(rt.ReplicaAssignment) > 0 {
		if t.Partitions != -1 || t.Replicas != -1 {
			out.ErrorCode, out.ErrorMessage = kerr.InvalidRequest.Code, kmsg.StringPtr("an assignment goes with -1 partitions and -1 replicas")
			return
		}
		// Placement by hand needs more than one node to mean anything; of it only the numbers are kept.
		t.Partitions, t.Replicas = int32(min(len(rt.ReplicaAssignment), math.MaxInt32)), int16(len(rt.ReplicaAssignment[0].Replicas))
	}
	for _, cfg := range rt.Configs {
		if cfg.Value != nil {
			t.Configs[cfg.Name] = *cfg.Value
		}
	}
	if !c.mayCreate(rt.Topic) {
		out.ErrorCode = kerr.TopicAuthorizationFailed.Code
		return
	}
	made, err := cluster.CreateTopic(ctx, t, validateOnly)
	if err != nil {
		out.ErrorCode, out.ErrorMessage = code(err), message(err)
		return
	}
	out.TopicID, out.NumPartitions, out.ReplicationFactor = made.ID, int32(len(made.Partitions)), 1
	if len(made.Partitions) > 0 {
		out.ReplicationFactor = int16(len(made.Partitions[0].Replicas))
	}
	configs, err := cluster.TopicConfigs(rt.Topic)
	if err != nil {
		return // it was only validated, or deleted since
	}
	for _, cfg := range configs {
		tc := kmsg.NewCreateTopicsResponseTopicConfig()
		tc.Name, tc.Value, tc.Source = cfg.Name, kmsg.StringPtr(cfg.Value), int8(source(cfg, kmsg.ConfigSourceDynamicTopicConfig))
		out.Configs = append(out.Configs, tc)
	}
}

// source says where a setting comes from: from set, unless it is the default.
func source(cfg TopicConfig, set kmsg.ConfigSource) kmsg.ConfigSource {
	if cfg.Default {
		return kmsg.ConfigSourceDefaultConfig
	}
	return set
}
