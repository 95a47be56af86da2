package coordinator

import (
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/record"
	"github.com/millracedb/millrace/log"
)

// Orphans in partitions that other nodes lead: their leaders tell what is open there, by DescribeProducers (KIP-664), and the coordinator aborts what nobody owns. On the node port a
// request without topics asks for all partitions with a transaction open.

// sweepLoop looks for orphans at the other nodes while this one coordinates. Nodes may be slow to answer, so it has a goroutine of its own.
func (c *Transactions) sweepLoop() {
	for clock.Wait(c.ctx, c.clock, expireInterval) {
		leases := slices.Collect(c.leases.loaded())
		if len(leases) == 0 {
			continue
		}
		for _, node := range c.peers.Active() {
			if err := c.sweepNode(c.ctx, node, leases); err != nil && c.ctx.Err() == nil {
				c.log.Debug("open transactions of a node are not known", "node", node, "err", err)
			}
		}
	}
}

func (c *Transactions) sweepNode(ctx context.Context, node int32, leases []*lease) error {
	open, err := c.openAt(ctx, node)
	if err != nil || len(open) == 0 {
		return err
	}
	owners, newest := ownersOf(leases)
	for _, o := range open {
		own, known := owners[o.ProducerID]
		switch {
		case known && !own.e.value.Load().owns(o):
			c.sweepOrphanAt(ctx, node, o, own)
		case !known && c.all(leases) && c.stillLeads(ctx, leases...):
			c.settleOrphanAt(ctx, node, o, newest)
		}
	}
	return nil
}

// sweepOrphanAt aborts a suspect if it is an orphan while nothing can happen to its producer's transactions: what the leader says then, and the coordinator, is of one moment.
func (c *Transactions) sweepOrphanAt(ctx context.Context, node int32, o OpenTransaction, own owner) {
	select {
	case own.e.turn <- struct{}{}:
		defer own.e.unlock()
	default:
		return // it is in use: look again next time
	}
	if own.e.gone || own.e.value.Load().owns(o) {
		return
	}
	if open, err := c.openAt(ctx, node); err == nil && slices.Contains(open, o) && c.stillLeads(ctx, own.l) {
		c.settleOrphanAt(ctx, node, o, own.l.epoch)
	}
}

// settleOrphanAt has the node that told of an orphan abort it, and no other: one that has not heard yet that it leads no more tells of what is over where the partition is led now. The marker is of
// a version that ends older epochs only, never the producer's next transaction. What does not succeed is found again at the next look.
func (c *Transactions) settleOrphanAt(ctx context.Context, node int32, o OpenTransaction, coordinatorEpoch int32) {
	c.log.Info("aborting a transaction that went down with a node", "topic", o.Topic, "partition", o.Partition, "producer_id", o.ProducerID, "producer_epoch", o.ProducerEpoch)
	mk := record.Marker{ProducerID: o.ProducerID, ProducerEpoch: log.NextEpoch(o.ProducerEpoch), CoordinatorEpoch: coordinatorEpoch, TransactionVersion: epochBumpVersion}
	if _, err := c.markers.send(ctx, node, []TopicPartition{o.TopicPartition}, mk); err != nil && ctx.Err() == nil {
		c.log.Warn("a transaction that no coordinator knows is still open", "topic", o.Topic, "partition", o.Partition, "producer_id", o.ProducerID, "err", err)
	}
}

// openAt asks a node for the transactions that are open in the partitions that it leads.
func (c *Transactions) openAt(ctx context.Context, node int32) ([]OpenTransaction, error) {
	ctx, cancel := context.WithTimeout(ctx, peerTimeout)
	defer cancel()
	resp, err := c.peers.Call(ctx, node, kmsg.NewPtrDescribeProducersRequest())
	if err != nil {
		return nil, err
	}
	var open []OpenTransaction
	for _, rt := range resp.(*kmsg.DescribeProducersResponse).Topics {
		for _, rp := range rt.Partitions {
			for _, p := range rp.ActiveProducers {
				open = append(open, OpenTransaction{TopicPartition{rt.Topic, rp.Partition}, p.ProducerID, int16(p.ProducerEpoch)})
			}
		}
	}
	return open, nil
}

// DescribeOpen answers key 61 without topics, on the node port: the producers that have a transaction open in the partitions that this node leads.
func (b *Broker) DescribeOpen(req *kmsg.DescribeProducersRequest) *kmsg.DescribeProducersResponse {
	resp := req.ResponseKind().(*kmsg.DescribeProducersResponse)
	for _, o := range b.partitions.OpenTransactions() {
		producer := kmsg.NewDescribeProducersResponseTopicPartitionActiveProducer()
		producer.ProducerID, producer.ProducerEpoch = o.ProducerID, int32(o.ProducerEpoch)
		part := kmsg.NewDescribeProducersResponseTopicPartition()
		part.Partition, part.ActiveProducers = o.Partition, append(part.ActiveProducers, producer)
		topic := kmsg.NewDescribeProducersResponseTopic()
		topic.Topic, topic.Partitions = o.Topic, append(topic.Partitions, part)
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}
