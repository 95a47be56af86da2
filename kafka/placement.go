package kafka

import (
	"context"
	"errors"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// What follows is asked by tools that move partitions and leaderships between nodes: kafka-reassign-partitions, kafka-leader-election, Cruise Control.

// The values of ElectLeaders' election type.
const (
	electPreferred = 0
	electUnclean   = 1
)

// electLeaders answers key 43, versions 0 to 2 (KIP-183, KIP-460): the first replica leads, or any that is left. Asked for all partitions, only those that got another leader are named.
func electLeaders(c *conn, _ context.Context, req *kmsg.ElectLeadersRequest) *kmsg.ElectLeadersResponse {
	ctx, cancel := c.timeout(req.TimeoutMillis)
	defer cancel()
	resp := req.ResponseKind().(*kmsg.ElectLeadersResponse)
	resp.Topics = []kmsg.ElectLeadersResponseTopic{}
	if req.ElectionType != electPreferred && req.ElectionType != electUnclean {
		resp.ErrorCode = kerr.InvalidRequest.Code
		return resp
	}
	var asked []TopicPartition
	for _, rt := range req.Topics {
		for _, id := range rt.Partitions {
			asked = append(asked, TopicPartition{rt.Topic, id})
		}
	}
	all := req.Topics == nil
	if all {
		for _, t := range c.server.config.Cluster.Topics() {
			for id := range t.Partitions {
				asked = append(asked, TopicPartition{t.Name, int32(id)})
			}
		}
	}
	for i, err := range c.server.config.Cluster.Elect(ctx, asked, req.ElectionType == electUnclean) {
		if all && errors.Is(err, kerr.ElectionNotNeeded) {
			continue
		}
		part := kmsg.NewElectLeadersResponseTopicPartition()
		part.Partition, part.ErrorCode, part.ErrorMessage = asked[i].Partition, code(err), message(err)
		if n := len(resp.Topics); n == 0 || resp.Topics[n-1].Topic != asked[i].Topic {
			topic := kmsg.NewElectLeadersResponseTopic()
			topic.Topic = asked[i].Topic
			resp.Topics = append(resp.Topics, topic)
		}
		topic := &resp.Topics[len(resp.Topics)-1]
		topic.Partitions = append(topic.Partitions, part)
	}
	return resp
}

// alterPartitionAssignments answers key 45 (AlterPartitionReassignments, KIP-455), versions 0 and 1: partitions are moved to other replicas, or stay where they were. Version 1 may refuse that
// a partition gets more or fewer replicas (KIP-860).
func alterPartitionAssignments(c *conn, _ context.Context, req *kmsg.AlterPartitionAssignmentsRequest) *kmsg.AlterPartitionAssignmentsResponse {
	ctx, cancel := c.timeout(req.TimeoutMillis)
	defer cancel()
	resp := req.ResponseKind().(*kmsg.AlterPartitionAssignmentsResponse)
	resp.AllowReplicationFactorChange = req.AllowReplicationFactorChange
	resp.Topics = []kmsg.AlterPartitionAssignmentsResponseTopic{}
	var moves []Move
	for _, rt := range req.Topics {
		for _, rp := range rt.Partitions {
			moves = append(moves, Move{TopicPartition{rt.Topic, rp.Partition}, rp.Replicas, req.Version == 0 || req.AllowReplicationFactorChange})
		}
	}
	errs := c.server.config.Cluster.Reassign(ctx, moves)
	for _, rt := range req.Topics {
		topic := kmsg.NewAlterPartitionAssignmentsResponseTopic()
		topic.Topic = rt.Topic
		for _, rp := range rt.Partitions {
			part := kmsg.NewAlterPartitionAssignmentsResponseTopicPartition()
			part.Partition, part.ErrorCode, part.ErrorMessage = rp.Partition, code(errs[0]), message(errs[0])
			topic.Partitions = append(topic.Partitions, part)
			errs = errs[1:]
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

// listPartitionReassignments answers key 46, version 0: what is being moved because somebody asked for it. Replicas are, as with Kafka, those that it moves to and then those that go.
func listPartitionReassignments(c *conn, _ context.Context, req *kmsg.ListPartitionReassignmentsRequest) *kmsg.ListPartitionReassignmentsResponse {
	resp := req.ResponseKind().(*kmsg.ListPartitionReassignmentsResponse)
	resp.Topics = []kmsg.ListPartitionReassignmentsResponseTopic{}
	list := func(t Topic, asked func(int32) bool) {
		topic := kmsg.NewListPartitionReassignmentsResponseTopic()
		topic.Topic = t.Name
		for id, p := range t.Partitions {
			if p.Target == nil || !asked(int32(id)) {
				continue
			}
			part := kmsg.NewListPartitionReassignmentsResponseTopicPartition()
			part.Partition, part.Replicas = int32(id), slices.Concat(p.Target, p.Removing)
			part.AddingReplicas, part.RemovingReplicas = notNil(p.Adding), notNil(p.Removing)
			topic.Partitions = append(topic.Partitions, part)
		}
		if len(topic.Partitions) > 0 {
			resp.Topics = append(resp.Topics, topic)
		}
	}
	if req.Topics == nil {
		for _, t := range c.server.config.Cluster.Topics() {
			list(t, func(int32) bool { return true })
		}
	}
	for _, rt := range req.Topics {
		if t, ok := c.server.config.Cluster.Topic(rt.Topic); ok {
			list(t, func(id int32) bool { return slices.Contains(rt.Partitions, id) })
		}
	}
	return resp
}

func notNil(ids []int32) []int32 { return append([]int32{}, ids...) }
