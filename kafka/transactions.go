package kafka

import (
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// initProducerID answers key 22, versions 0 to 5: an id for an idempotent producer, or the next epoch of a transactional one. Version 3 lets a producer recover (KIP-360), 4 tells
// fenced ones so with PRODUCER_FENCED.
func initProducerID(c *conn, _ context.Context, req *kmsg.InitProducerIDRequest) *kmsg.InitProducerIDResponse {
	ctx, cancel := c.timeout(maxWaitMillis)
	defer cancel()
	return c.server.config.Broker.InitProducerID(ctx, req)
}

// addPartitionsToTxn answers key 24, versions 0 to 3; later ones are for brokers.
func addPartitionsToTxn(c *conn, _ context.Context, req *kmsg.AddPartitionsToTxnRequest) *kmsg.AddPartitionsToTxnResponse {
	ctx, cancel := c.timeout(maxWaitMillis)
	defer cancel()
	return c.server.config.Broker.AddPartitionsToTxn(ctx, req)
}

// addOffsetsToTxn answers key 25, versions 0 to 4.
func addOffsetsToTxn(c *conn, _ context.Context, req *kmsg.AddOffsetsToTxnRequest) *kmsg.AddOffsetsToTxnResponse {
	ctx, cancel := c.timeout(maxWaitMillis)
	defer cancel()
	return c.server.config.Broker.AddOffsetsToTxn(ctx, req)
}

// endTxn answers key 26, versions 0 to 5; from 5 on the producer's epoch rises with each transaction, and the answer has it (KIP-890).
func endTxn(c *conn, _ context.Context, req *kmsg.EndTxnRequest) *kmsg.EndTxnResponse {
	ctx, cancel := c.timeout(maxWaitMillis)
	defer cancel()
	return c.server.config.Broker.EndTxn(ctx, req)
}

// txnOffsetCommit answers key 28, versions 0 to 5; from 3 on it carries the member's claim (KIP-447), from 5 on
// it adds the group to the transaction (KIP-890).
func txnOffsetCommit(c *conn, _ context.Context, req *kmsg.TxnOffsetCommitRequest) *kmsg.TxnOffsetCommitResponse {
	ctx, cancel := c.timeout(maxWaitMillis)
	defer cancel()
	var missing []kmsg.TxnOffsetCommitResponseTopic
	for i := range req.Topics {
		rt := &req.Topics[i]
		unknown := takeOut(&rt.Partitions, func(p kmsg.TxnOffsetCommitRequestTopicPartition) bool { return !c.exists(rt.Topic, p.Partition) })
		if len(unknown) == 0 {
			continue
		}
		topic := kmsg.NewTxnOffsetCommitResponseTopic()
		topic.Topic = rt.Topic
		for _, p := range unknown {
			part := kmsg.NewTxnOffsetCommitResponseTopicPartition()
			part.Partition, part.ErrorCode = p.Partition, kerr.UnknownTopicOrPartition.Code
			topic.Partitions = append(topic.Partitions, part)
		}
		missing = append(missing, topic)
	}
	req.Topics = slices.DeleteFunc(req.Topics, func(t kmsg.TxnOffsetCommitRequestTopic) bool { return len(t.Partitions) == 0 })
	resp := c.server.config.Broker.TxnOffsetCommit(ctx, req)
	resp.Topics = append(resp.Topics, missing...)
	return resp
}
