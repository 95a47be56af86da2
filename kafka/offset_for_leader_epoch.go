package kafka

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// offsetForLeaderEpoch answers key 23, versions 2 to 4 (KIP-320): where an epoch ended, so that a consumer learns whether what it has read was cut off.
func offsetForLeaderEpoch(c *conn, _ context.Context, req *kmsg.OffsetForLeaderEpochRequest) *kmsg.OffsetForLeaderEpochResponse {
	resp := req.ResponseKind().(*kmsg.OffsetForLeaderEpochResponse)
	resp.Topics = make([]kmsg.OffsetForLeaderEpochResponseTopic, 0, len(req.Topics))
	for _, rt := range req.Topics {
		topic := kmsg.NewOffsetForLeaderEpochResponseTopic()
		topic.Topic = rt.Topic
		topic.Partitions = make([]kmsg.OffsetForLeaderEpochResponseTopicPartition, 0, len(rt.Partitions))
		for _, rp := range rt.Partitions {
			part := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
			part.Partition, part.LeaderEpoch, part.EndOffset = rp.Partition, -1, -1
			p, err := c.partition(kmsg.ACLOperationDescribe, rt.Topic, rp.Partition)
			if err == nil {
				part.LeaderEpoch, part.EndOffset, err = p.OffsetForLeaderEpoch(rp.CurrentLeaderEpoch, rp.LeaderEpoch)
			}
			part.ErrorCode = code(err)
			topic.Partitions = append(topic.Partitions, part)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}
