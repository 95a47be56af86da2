package kafka

import (
	"context"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// maxDescribedPartitions bounds the partitions of a response (Kafka's max.request.partition.size.limit).
const maxDescribedPartitions = 2000

// describeTopicPartitions answers key 75, version 0 (KIP-966): topics by name, as many partitions at a time as the client wants, and where to go on.
func describeTopicPartitions(c *conn, _ context.Context, req *kmsg.DescribeTopicPartitionsRequest) *kmsg.DescribeTopicPartitionsResponse {
	resp := req.ResponseKind().(*kmsg.DescribeTopicPartitionsResponse)
	resp.Topics = []kmsg.DescribeTopicPartitionsResponseTopic{}
	names := make([]string, 0, len(req.Topics))
	for _, rt := range req.Topics {
		names = append(names, rt.Topic)
	}
	if len(names) == 0 {
		for _, t := range c.server.config.Cluster.Topics() {
			if c.mayTopic(kmsg.ACLOperationDescribe, t.Name) {
				names = append(names, t.Name)
			}
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	first := int32(0)
	if cur := req.Cursor; cur != nil {
		at, found := slices.BinarySearch(names, cur.Topic)
		if names = names[at:]; found {
			first = max(cur.Partition, 0)
		}
	}
	room := min(max(req.ResponsePartitionLimit, 1), maxDescribedPartitions)
	for _, name := range names {
		if room == 0 {
			resp.NextCursor = cursorAt(name, first)
			break
		}
		topic, next := c.describeTopic(name, first, room)
		resp.Topics = append(resp.Topics, topic)
		if next >= 0 {
			resp.NextCursor = cursorAt(name, next)
			break
		}
		room -= int32(len(topic.Partitions))
		first = 0
	}
	return resp
}

func cursorAt(topic string, partition int32) *kmsg.DescribeTopicPartitionsResponseNextCursor {
	next := kmsg.NewDescribeTopicPartitionsResponseNextCursor()
	next.Topic, next.Partition = strings.Clone(topic), partition
	return &next
}

// describeTopic describes up to room partitions from first on, and returns the next one, or -1.
func (c *conn) describeTopic(name string, first, room int32) (out kmsg.DescribeTopicPartitionsResponseTopic, next int32) {
	out = kmsg.NewDescribeTopicPartitionsResponseTopic()
	out.Topic, out.AuthorizedOperations = &name, notAsked
	out.Partitions = []kmsg.DescribeTopicPartitionsResponseTopicPartition{}
	if !c.mayTopic(kmsg.ACLOperationDescribe, name) {
		out.ErrorCode = kerr.TopicAuthorizationFailed.Code
		return out, -1
	}
	out.AuthorizedOperations = c.operations(kmsg.ACLResourceTypeTopic, name)
	t, ok := c.server.config.Cluster.Topic(name)
	if !ok {
		if out.ErrorCode = kerr.UnknownTopicOrPartition.Code; !validTopicName(name) {
			out.ErrorCode = kerr.InvalidTopicException.Code
		}
		return out, -1
	}
	out.TopicID, out.IsInternal = t.ID, t.Internal
	last := min(int(first)+int(room), len(t.Partitions))
	for i := int(first); i < last; i++ {
		p := t.Partitions[i]
		part := kmsg.NewDescribeTopicPartitionsResponseTopicPartition()
		part.Partition, part.LeaderID, part.LeaderEpoch, part.Replicas, part.ISR = int32(i), p.Leader, p.LeaderEpoch, p.Replicas, p.ISR
		part.EligibleLeaderReplicas, part.LastKnownELR, part.OfflineReplicas = []int32{}, []int32{}, []int32{}
		if p.Leader < 0 {
			part.ErrorCode = kerr.LeaderNotAvailable.Code
		}
		out.Partitions = append(out.Partitions, part)
	}
	if last < len(t.Partitions) {
		return out, int32(last)
	}
	return out, -1
}
