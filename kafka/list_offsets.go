package kafka

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Timestamps of ListOffsets that stand for an offset: -1 and -2 always, -3 since version 7 (KIP-734), -4 since 8 (KIP-405), -5 since 9 (KIP-1005). The last two are the
// earliest offset that is not in remote storage, which here is the earliest, and the latest that is, which there is none.
const (
	timestampEarliest      = -2
	timestampHighest       = -3
	timestampEarliestLocal = -4
	timestampLatestTiered  = -5
)

// listOffsets answers key 2, versions 1 to 10. From 2 on it knows read_committed, from 4 on leader epochs. No record at or after a timestamp is
// offset -1 without an error.
func listOffsets(c *conn, _ context.Context, req *kmsg.ListOffsetsRequest) *kmsg.ListOffsetsResponse {
	resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
	resp.Topics = make([]kmsg.ListOffsetsResponseTopic, 0, len(req.Topics))
	for _, rt := range req.Topics {
		twice := duplicates(rt.Partitions, func(p kmsg.ListOffsetsRequestTopicPartition) int32 { return p.Partition })
		topic := kmsg.NewListOffsetsResponseTopic()
		topic.Topic = rt.Topic
		topic.Partitions = make([]kmsg.ListOffsetsResponseTopicPartition, 0, len(rt.Partitions))
		for _, rp := range rt.Partitions {
			if again, named := twice[rp.Partition]; named {
				if twice[rp.Partition] = false; again {
					topic.Partitions = append(topic.Partitions, noOffset(rp.Partition, kerr.InvalidRequest))
				}
				continue
			}
			topic.Partitions = append(topic.Partitions, c.listOffset(rt.Topic, rp, req))
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

func noOffset(partition int32, err error) kmsg.ListOffsetsResponseTopicPartition {
	part := kmsg.NewListOffsetsResponseTopicPartition()
	part.Partition, part.Offset, part.Timestamp, part.LeaderEpoch, part.ErrorCode = partition, -1, -1, -1, code(err)
	return part
}

func (c *conn) listOffset(topic string, rp kmsg.ListOffsetsRequestTopicPartition, req *kmsg.ListOffsetsRequest) kmsg.ListOffsetsResponseTopicPartition {
	part := noOffset(rp.Partition, nil)
	p, err := c.partition(kmsg.ACLOperationDescribe, topic, rp.Partition)
	if err != nil {
		part.ErrorCode = code(err)
		return part
	}
	at := rp.Timestamp
	switch {
	case at == timestampHighest && req.Version < 7, at == timestampEarliestLocal && req.Version < 8, at == timestampLatestTiered && req.Version < 9, at < timestampLatestTiered:
		part.ErrorCode = kerr.UnsupportedVersion.Code
		return part
	case at == timestampLatestTiered:
		return part
	case at == timestampEarliestLocal:
		at = timestampEarliest
	}
	o, found, err := p.ListOffset(at, req.IsolationLevel == isolationCommitted, rp.CurrentLeaderEpoch)
	switch {
	case err != nil:
		part.ErrorCode = code(err)
	case found:
		part.Offset, part.Timestamp, part.LeaderEpoch = o.Offset, o.Timestamp, o.LeaderEpoch
	}
	return part
}
