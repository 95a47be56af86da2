package kafka

import (
	"context"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// What follows is asked by tools that move partitions between nodes. Placement is the cluster's own affair and nothing can be moved by hand; they are told so in Kafka's words.

// find looks a partition up in the metadata.
func (c *conn) find(topic string, partition int32) (PartitionState, error) {
	t, ok := c.server.config.Cluster.Topic(topic)
	if !ok || partition < 0 || int(partition) >= len(t.Partitions) {
		return PartitionState{}, fmt.Errorf("%w: there is no partition %s-%d", kerr.UnknownTopicOrPartition, topic, partition)
	}
	return t.Partitions[partition], nil
}

// electLeaders answers key 43, versions 0 to 2. A partition that has its leader needs no election; asked for all partitions, only those that got another leader are named.
func electLeaders(c *conn, _ context.Context, req *kmsg.ElectLeadersRequest) *kmsg.ElectLeadersResponse {
	resp := req.ResponseKind().(*kmsg.ElectLeadersResponse)
	resp.Topics = []kmsg.ElectLeadersResponseTopic{}
	for _, rt := range req.Topics {
		topic := kmsg.NewElectLeadersResponseTopic()
		topic.Topic = rt.Topic
		for _, id := range rt.Partitions {
			p, err := c.find(rt.Topic, id)
			switch {
			case err != nil:
			case p.Leader >= 0:
				err = fmt.Errorf("%w: the partition has its leader", kerr.ElectionNotNeeded)
			default:
				err = fmt.Errorf("%w: no replica can lead", kerr.PreferredLeaderNotAvailable)
			}
			part := kmsg.NewElectLeadersResponseTopicPartition()
			part.Partition, part.ErrorCode, part.ErrorMessage = id, code(err), message(err)
			topic.Partitions = append(topic.Partitions, part)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

// alterPartitionAssignments answers key 45 (AlterPartitionReassignments, KIP-455), versions 0 and 1. A partition can only be placed where it is.
func alterPartitionAssignments(c *conn, _ context.Context, req *kmsg.AlterPartitionAssignmentsRequest) *kmsg.AlterPartitionAssignmentsResponse {
	resp := req.ResponseKind().(*kmsg.AlterPartitionAssignmentsResponse)
	resp.AllowReplicationFactorChange = req.AllowReplicationFactorChange
	resp.Topics = []kmsg.AlterPartitionAssignmentsResponseTopic{}
	for _, rt := range req.Topics {
		topic := kmsg.NewAlterPartitionAssignmentsResponseTopic()
		topic.Topic = rt.Topic
		for _, rp := range rt.Partitions {
			p, err := c.find(rt.Topic, rp.Partition)
			switch {
			case err != nil:
			case rp.Replicas == nil:
				err = fmt.Errorf("%w: nothing is being moved", kerr.NoReassignmentInProgress)
			case !slices.Equal(rp.Replicas, p.Replicas):
				err = fmt.Errorf("%w: replicas %v; allowed: %v, for partitions cannot be moved by hand", kerr.InvalidReplicaAssignment, rp.Replicas, p.Replicas)
			}
			part := kmsg.NewAlterPartitionAssignmentsResponseTopicPartition()
			part.Partition, part.ErrorCode, part.ErrorMessage = rp.Partition, code(err), message(err)
			topic.Partitions = append(topic.Partitions, part)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

// listPartitionReassignments answers key 46, version 0: nothing is being moved by hand.
func listPartitionReassignments(_ *conn, _ context.Context, req *kmsg.ListPartitionReassignmentsRequest) *kmsg.ListPartitionReassignmentsResponse {
	resp := req.ResponseKind().(*kmsg.ListPartitionReassignmentsResponse)
	resp.Topics = []kmsg.ListPartitionReassignmentsResponseTopic{}
	return resp
}
