package kafka

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// deleteRecords answers key 21, versions 0 to 2. Topics that clients may not write to, they may not cut either.
func deleteRecords(c *conn, _ context.Context, req *kmsg.DeleteRecordsRequest) *kmsg.DeleteRecordsResponse {
	resp := req.ResponseKind().(*kmsg.DeleteRecordsResponse)
	resp.Topics = make([]kmsg.DeleteRecordsResponseTopic, 0, len(req.Topics))
	for _, rt := range req.Topics {
		topic := kmsg.NewDeleteRecordsResponseTopic()
		topic.Topic = rt.Topic
		topic.Partitions = make([]kmsg.DeleteRecordsResponseTopicPartition, 0, len(rt.Partitions))
		for _, rp := range rt.Partitions {
			part := kmsg.NewDeleteRecordsResponseTopicPartition()
			start, err := c.deleteRecords(rt.Topic, rp.Partition, rp.Offset)
			part.Partition, part.LowWatermark, part.ErrorCode = rp.Partition, start, code(err)
			topic.Partitions = append(topic.Partitions, part)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

func (c *conn) deleteRecords(topic string, partition int32, offset int64) (int64, error) {
	if t, ok := c.server.config.Cluster.Topic(topic); ok && t.ReadOnly {
		return -1, kerr.TopicAuthorizationFailed
	}
	p, err := c.partition(kmsg.ACLOperationDelete, topic, partition)
	if err != nil {
		return -1, err
	}
	return p.DeleteRecords(offset)
}
