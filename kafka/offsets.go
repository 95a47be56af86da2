package kafka

import (
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// offsetCommit answers key 8, versions 0 to 9. Version 0 once meant ZooKeeper; here it is like the others.
func offsetCommit(c *conn, _ context.Context, req *kmsg.OffsetCommitRequest) *kmsg.OffsetCommitResponse {
	ctx, cancel := c.timeout(maxWaitMillis)
	defer cancel()
	var missing []kmsg.OffsetCommitResponseTopic
	for i := range req.Topics {
		rt := &req.Topics[i]
		unknown := takeOut(&rt.Partitions, func(p kmsg.OffsetCommitRequestTopicPartition) bool { return !c.exists(rt.Topic, p.Partition) })
		if len(unknown) == 0 {
			continue
		}
		topic := kmsg.NewOffsetCommitResponseTopic()
		topic.Topic = rt.Topic
		for _, p := range unknown {
			part := kmsg.NewOffsetCommitResponseTopicPartition()
			part.Partition, part.ErrorCode = p.Partition, kerr.UnknownTopicOrPartition.Code
			topic.Partitions = append(topic.Partitions, part)
		}
		missing = append(missing, topic)
	}
	req.Topics = slices.DeleteFunc(req.Topics, func(t kmsg.OffsetCommitRequestTopic) bool { return len(t.Partitions) == 0 })
	resp := c.server.config.Groups.OffsetCommit(ctx, req)
	resp.Topics = append(resp.Topics, missing...)
	return resp
}

// exists reports whether there is such a partition. An offset of one that does not exist would stay in the group for ever.
func (c *conn) exists(topic string, partition int32) bool {
	t, ok := c.server.config.Cluster.Topic(topic)
	return ok && partition >= 0 && int(partition) < len(t.Partitions)
}

// takeOut takes the elements that are out of all, and returns them.
func takeOut[T any](all *[]T, out func(T) bool) (taken []T) {
	kept := (*all)[:0]
	for _, x := range *all {
		if out(x) {
			taken = append(taken, x)
		} else {
			kept = append(kept, x)
		}
	}
	*all = kept
	return taken
}

// offsetFetch answers key 9, versions 0 to 9. From 2 on null asks for all of a group's offsets, from 7 on a client can insist on those of no open transaction
// (KIP-447), from 8 on it can ask for several groups (KIP-709).
func offsetFetch(c *conn, ctx context.Context, req *kmsg.OffsetFetchRequest) *kmsg.OffsetFetchResponse {
	return c.server.config.Broker.OffsetFetch(ctx, req)
}
