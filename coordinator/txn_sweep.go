package coordinator

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/record"
	"github.com/millracedb/millrace/log"
)

// Orphans in partitions that other nodes lead: their leaders tell what is open there, by DescribeProducers (KIP-664), and the coordinator aborts what nobody owns. On the node port a
// request without topics asks for all partitions with a transaction open.

// describeTimeout bounds the question what is open at a node, which answers from memory.
const describeTimeout = 2 * time.Second

// sweepLoop looks for orphans at the other nodes while this one coordinates. Nodes may be slow to answer, so it has a goroutine of its own.
func (c *Transactions) sweepLoop() {
	var settling sync.Map // the nodes at which what the last look found is still being settled
	for clock.Wait(c.ctx, c.clock, expireInterval) {
		if leases := slices.Collect(c.leases.loaded()); len(leases) > 0 {
			c.sweep(leases, &settling)
		}
	}
}

// sweep looks at all nodes side by side, and waits for none to settle anything: a node that hangs must not hold up those who read partitions of others.
func (c *Transactions) sweep(leases []*lease, settling *sync.Map) {
	begun := c.clock.Now()
	var asking sync.WaitGroup
	var mu sync.Mutex
	open, whole := c.partitions.OpenTransactions(), true
	for _, node := range c.peers.Active() {
		asking.Go(func() {
			there, err := c.openAt(c.ctx, node)
			mu.Lock()
			open, whole = append(open, there...), whole && err == nil
			mu.Unlock()
			if err != nil {
				c.log.Debug("open transactions of a node are not known", "node", node, "err", err)
				return
			}
			if _, busy := settling.LoadOrStore(node, true); !busy {
				c.wg.Go(func() {
					defer settling.Delete(node)
					c.settleOrphansAt(c.ctx, node, there, leases)
				})
			}
		})
	}
	asking.Wait()
	if whole && !c.peers.Leaderless() {
		c.surveyed.Store(newSurvey(begun, open, c.surveyed.Load()))
	}
}

// survey is what was open in all partitions of the cluster, each led by a node that answered, at two looks: in one alone a partition may be missing that has moved from a node that was asked late to one that was
// asked early.
type survey struct {
	begun [2]time.Time // the newer look last
	open  [2]map[int64]struct{}
}

func newSurvey(begun time.Time, open []OpenTransaction, before *survey) *survey {
	ids := map[int64]struct{}{}
	for _, o := range open {
		ids[o.ProducerID] = struct{}{}
	}
	if before == nil {
		before = &survey{}
	}
	return &survey{[2]time.Time{before.begun[1], begun}, [2]map[int64]struct{}{before.open[1], ids}}
}

// settled reports whether nothing that t's producers have written is open in any partition, and never will be: t has not changed since a survey began that has found nothing. To forget a transactional id
// before that would be to leave to nobody what is open, such as an orphan in a partition that has been without a leader all the time.
func (c *Transactions) settled(t *txn) bool {
	if c.peers == nil {
		return true // who coordinates everything knows what is nobody's
	}
	s := c.surveyed.Load()
	if s == nil || !s.begun[0].After(t.opened) {
		return false
	}
	for _, open := range s.open {
		for _, id := range []int64{t.producerID, t.prevProducerID} {
			if _, ok := open[id]; ok {
				return false
			}
		}
	}
	return true
}

// settleOrphansAt aborts the orphans among what is open at a node.
func (c *Transactions) settleOrphansAt(ctx context.Context, node int32, open []OpenTransaction, leases []*lease) {
	if len(open) == 0 {
		return
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
	ctx, cancel := context.WithTimeout(ctx, describeTimeout)
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
