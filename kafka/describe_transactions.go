package kafka

import (
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// describeTransactions answers key 65, version 0.
func describeTransactions(c *conn, _ context.Context, req *kmsg.DescribeTransactionsRequest) *kmsg.DescribeTransactionsResponse {
	kept := req.TransactionalIDs[:0]
	var denied []string
	for _, id := range req.TransactionalIDs {
		if c.mayTxn(kmsg.ACLOperationDescribe, id) {
			kept = append(kept, id)
		} else {
			denied = append(denied, id)
		}
	}
	req.TransactionalIDs = kept
	resp := c.server.config.Broker.DescribeTransactions(req)
	for _, id := range denied {
		out := kmsg.NewDescribeTransactionsResponseTransactionState()
		out.TransactionalID, out.ErrorCode = id, kerr.TransactionalIDAuthorizationFailed.Code
		resp.TransactionStates = append(resp.TransactionStates, out)
	}
	return resp
}

// listTransactions answers key 66, versions 0 to 2. Version 1 adds a duration (KIP-994), 2 a pattern (KIP-1152).
func listTransactions(c *conn, _ context.Context, req *kmsg.ListTransactionsRequest) *kmsg.ListTransactionsResponse {
	resp := c.server.config.Broker.ListTransactions(req)
	resp.TransactionStates = slices.DeleteFunc(resp.TransactionStates, func(s kmsg.ListTransactionsResponseTransactionState) bool {
		return !c.mayTxn(kmsg.ACLOperationDescribe, s.TransactionalID)
	})
	return resp
}

// describeProducers answers key 61, version 0: who writes to a partition, and where transactions begin that are open (KIP-664).
func describeProducers(c *conn, _ context.Context, req *kmsg.DescribeProducersRequest) *kmsg.DescribeProducersResponse {
	resp := req.ResponseKind().(*kmsg.DescribeProducersResponse)
	for _, rt := range req.Topics {
		topic := kmsg.NewDescribeProducersResponseTopic()
		topic.Topic = rt.Topic
		for _, id := range rt.Partitions {
			part := kmsg.NewDescribeProducersResponseTopicPartition()
			part.Partition, part.ActiveProducers = id, []kmsg.DescribeProducersResponseTopicPartitionActiveProducer{}
			p, err := c.partition(kmsg.ACLOperationRead, rt.Topic, id)
			if part.ErrorCode, part.ErrorMessage = code(err), message(err); err == nil {
				for _, s := range p.Producers() {
					part.ActiveProducers = append(part.ActiveProducers, activeProducer(s))
				}
			}
			topic.Partitions = append(topic.Partitions, part)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

func activeProducer(s Producer) kmsg.DescribeProducersResponseTopicPartitionActiveProducer {
	out := kmsg.NewDescribeProducersResponseTopicPartitionActiveProducer()
	out.ProducerID, out.ProducerEpoch, out.LastSequence = s.ID, int32(s.Epoch), s.LastSequence
	out.LastTimestamp, out.CoordinatorEpoch, out.CurrentTxnStartOffset = s.LastTimestamp, s.CoordinatorEpoch, s.TxnStart
	return out
}

// writeTxnMarkers answers key 27, version 1, by which kafka-transactions ends a transaction whose coordinator has forgotten it. Transactions of topics that SQL or the node
// alone writes are theirs to end.
func writeTxnMarkers(c *conn, _ context.Context, req *kmsg.WriteTxnMarkersRequest) *kmsg.WriteTxnMarkersResponse {
	ctx, cancel := c.timeout(maxWaitMillis)
	defer cancel()
	refused := make([][]kmsg.WriteTxnMarkersResponseMarkerTopic, len(req.Markers))
	for i := range req.Markers {
		m := &req.Markers[i]
		kept := m.Topics[:0]
		for _, rt := range m.Topics {
			if t, ok := c.server.config.Cluster.Topic(rt.Topic); ok && t.ReadOnly {
				refused[i] = append(refused[i], refuseMarkers(rt, kerr.TopicAuthorizationFailed.Code))
				continue
			}
			kept = append(kept, rt)
		}
		m.Topics = kept
	}
	resp := c.server.config.Broker.WriteTxnMarkers(ctx, req)
	for i := range min(len(resp.Markers), len(refused)) {
		resp.Markers[i].Topics = append(resp.Markers[i].Topics, refused[i]...)
	}
	return resp
}

func refuseMarkers(rt kmsg.WriteTxnMarkersRequestMarkerTopic, code int16) kmsg.WriteTxnMarkersResponseMarkerTopic {
	topic := kmsg.NewWriteTxnMarkersResponseMarkerTopic()
	topic.Topic = rt.Topic
	for _, id := range rt.Partitions {
		part := kmsg.NewWriteTxnMarkersResponseMarkerTopicPartition()
		part.Partition, part.ErrorCode = id, code
		topic.Partitions = append(topic.Partitions, part)
	}
	return topic
}
