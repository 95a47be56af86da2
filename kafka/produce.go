package kafka

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// topicIDProduceVersion is the first version that has topic ids in place of names.
const topicIDProduceVersion = 13

// startProduce answers key 0, versions 3 to 13. Versions 0 to 2, whose records are in formats that are not stored, are advertised and refused
// for librdkafka, which sends everything uncompressed to a broker whose lowest version is not 0 (KAFKA-18659). With version 12
// clients rely on produce requests to add partitions to their transaction (KIP-890); 13 has topic ids in place of names (KIP-516).
func startProduce(c *conn, _ context.Context, req *kmsg.ProduceRequest) func() response {
	switch {
	case req.Version < 3:
		return refuseProduce(req, kerr.UnsupportedVersion)
	case req.Acks < -1 || req.Acks > 1:
		return refuseProduce(req, kerr.InvalidRequiredAcks)
	}
	if req.TransactionID != nil && !c.mayTxn(kmsg.ACLOperationWrite, *req.TransactionID) {
		return refuseProduce(req, kerr.TransactionalIDAuthorizationFailed)
	}
	refused := c.takeOutRefused(req)
	ctx, cancel := c.timeout(req.TimeoutMillis)
	finish := c.server.config.Broker.StartProduce(ctx, req)
	if req.Acks == 0 {
		defer cancel()
		if produceFailed(finish()) || len(refused) > 0 {
			return func() response { return nil }
		}
		return nil
	}
	return func() response {
		defer cancel()
		resp := finish()
		resp.Topics = append(resp.Topics, refused...)
		c.hintProduce(resp)
		return resp
	}
}

// timeout bounds what a request waits for. It goes on when the client is gone or the server is told to stop: what was begun is nearly done.
func (c *conn) timeout(millis int32) (context.Context, context.CancelFunc) {
	return context.WithTimeout(c.server.work, min(time.Duration(max(millis, 0))*time.Millisecond, maxWait))
}

// takeOutRefused takes the topics that clients may not write to, or that do not exist, out of the request and returns what is answered for them.
func (c *conn) takeOutRefused(req *kmsg.ProduceRequest) []kmsg.ProduceResponseTopic {
	var refused []kmsg.ProduceResponseTopic
	kept := req.Topics[:0]
	for _, rt := range req.Topics {
		if err := c.mayProduce(&rt, req.Version); err != nil {
			refused = append(refused, refuseTopic(rt, err))
			continue
		}
		kept = append(kept, rt)
	}
	req.Topics = kept
	return refused
}

// mayProduce fills in the name of a topic that goes by its id, and refuses those that clients may not write to.
func (c *conn) mayProduce(rt *kmsg.ProduceRequestTopic, version int16) *kerr.Error {
	cluster := c.server.config.Cluster
	if version >= topicIDProduceVersion {
		t, ok := cluster.TopicByID(rt.TopicID)
		if !ok {
			return kerr.UnknownTopicID
		}
		rt.Topic = t.Name
	}
	if !c.mayTopic(kmsg.ACLOperationWrite, rt.Topic) {
		return kerr.TopicAuthorizationFailed
	}
	t, ok := cluster.Topic(rt.Topic)
	if !ok {
		return nil // the partitions say so
	}
	if t.ReadOnly {
		c.log.Warn("produce refused: the topic is written by SQL or by the node alone", "topic", rt.Topic, "client_id", c.clientID)
		return kerr.TopicAuthorizationFailed
	}
	return nil
}

func refuseTopic(rt kmsg.ProduceRequestTopic, err *kerr.Error) kmsg.ProduceResponseTopic {
	topic := kmsg.NewProduceResponseTopic()
	topic.Topic, topic.TopicID = rt.Topic, rt.TopicID
	for _, rp := range rt.Partitions {
		part := kmsg.NewProduceResponseTopicPartition()
		part.Partition, part.ErrorCode, part.BaseOffset = rp.Partition, err.Code, -1
		topic.Partitions = append(topic.Partitions, part)
	}
	return topic
}

// refuseProduce answers every partition with err.
func refuseProduce(req *kmsg.ProduceRequest, err *kerr.Error) func() response {
	if req.Acks == 0 {
		return func() response { return nil }
	}
	resp := req.ResponseKind().(*kmsg.ProduceResponse)
	for _, rt := range req.Topics {
		resp.Topics = append(resp.Topics, refuseTopic(rt, err))
	}
	return func() response { return resp }
}

func produceFailed(resp *kmsg.ProduceResponse) bool {
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode != 0 {
				return true
			}
		}
	}
	return false
}
