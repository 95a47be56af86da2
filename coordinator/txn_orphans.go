package coordinator

import (
	"context"
	"slices"
	"time"

	"github.com/millracedb/millrace/internal/record"
	"github.com/millracedb/millrace/log"
)

// A transaction is an orphan in a partition that has batches of it while its coordinator has forgotten that the partition, or the transaction at all, is part of anything: a crash took the
// ONGOING record, so no decision can ever have been made. It is aborted, or it would hold back the last stable offset for ever. The log sees to it that no later transaction of the producer
// takes it along (see log.Log.Append).
//
// A node that coordinates no more, and has not heard so yet, knows nothing of the transactions that its successor lets begin: to it they look like orphans, and its marker would abort one of them in
// some partitions while the successor commits it in others. So nothing is aborted on the word of leases alone: see stillLeads.

// abortOrphans aborts the orphans among open before any of leases serves. A producer id that none of leases knows may be another coordinator's, unless everything is led from
// here.
func (c *Transactions) abortOrphans(ctx context.Context, leases []*lease, open []OpenTransaction) {
	owners, newest := ownersOf(leases)
	all := c.all(leases)
	orphans := map[OpenTransaction]int32{} // and the coordinator epochs of their markers
	for _, o := range open {
		own, known := owners[o.ProducerID]
		switch {
		case known && !own.e.value.Load().owns(o):
			orphans[o] = own.l.epoch
		case !known && all:
			orphans[o] = newest
		}
	}
	if len(orphans) == 0 || !c.stillLeads(ctx, leases...) {
		return
	}
	var waits []func(context.Context)
	for o, epoch := range orphans {
		waits = append(waits, c.abortOrphan(ctx, o, epoch))
	}
	for _, wait := range waits {
		wait(ctx)
	}
}

// sweepOrphans aborts orphans in partitions that this node has come to lead since it serves the coordinators.
func (c *Transactions) sweepOrphans(ctx context.Context) {
	open := c.partitions.OpenTransactions()
	if len(open) == 0 {
		return
	}
	leases := slices.Collect(c.leases.loaded())
	owners, newest := ownersOf(leases)
	for _, o := range open {
		own, known := owners[o.ProducerID]
		switch {
		case known && !own.e.value.Load().owns(o):
			c.sweepOrphan(ctx, o, own)
		case !known && c.all(leases) && c.stillLeads(ctx, leases...) && c.isOpen(o): // its transactional id is forgotten, so nothing can begin with this producer id
			c.settleOrphan(ctx, o, newest)
		}
	}
}

// all reports whether leases are those of all transactional ids, so that a producer id that none of them knows is nobody's.
func (c *Transactions) all(leases []*lease) bool {
	return len(leases) == int(c.leases.slots.count(TransactionTopic)+c.leases.slots.count(QueryTransactionTopic))
}

// sweepOrphan aborts a suspect if it is an orphan while nothing can happen to its producer's transactions.
func (c *Transactions) sweepOrphan(ctx context.Context, o OpenTransaction, own owner) {
	select {
	case own.e.turn <- struct{}{}:
		defer own.e.unlock()
	default:
		return // it is in use: look again next time
	}
	if !own.e.gone && !own.e.value.Load().owns(o) && c.isOpen(o) && c.stillLeads(ctx, own.l) {
		c.settleOrphan(ctx, o, own.l.epoch)
	}
}

func (c *Transactions) settleOrphan(ctx context.Context, o OpenTransaction, coordinatorEpoch int32) {
	wait := c.abortOrphan(ctx, o, coordinatorEpoch)
	c.wg.Go(func() { wait(ctx) })
}

// isOpen reports whether o is open still.
func (c *Transactions) isOpen(o OpenTransaction) bool {
	return slices.Contains(c.partitions.OpenTransactions(), o)
}

// proofLimit bounds the wait for a proof of leadership. While replicas are missing there is none, and producers must not wait for it longer than that: orphans are looked for again.
const proofLimit = 2 * time.Second

// stillLeads reports whether leases were this node's at some moment after the call, so that no other coordinator can have let begin what was seen before it: a record of each comes below the high
// watermark, for which every in-sync replica has taken it from this leader, and one of those any later leader is. The record says nothing: it deletes a transactional id that cannot be, the empty one.
func (c *Transactions) stillLeads(ctx context.Context, leases ...*lease) bool {
	ctx, cancel := context.WithTimeout(ctx, proofLimit)
	defer cancel()
	ends := make([]int64, len(leases))
	for i, l := range leases {
		var err error
		if ends[i], err = c.appendTombstone(l, ""); err != nil {
			return false
		}
		l.part.Flush(ends[i])
	}
	for i, l := range leases {
		if l.part.WaitHighWatermark(ctx, ends[i]) != nil || l.ctx.Err() != nil {
			return false
		}
	}
	return true
}

// abortOrphan appends the marker and returns what waits until it cannot be lost.
func (c *Transactions) abortOrphan(ctx context.Context, o OpenTransaction, coordinatorEpoch int32) (wait func(context.Context)) {
	c.log.Info("aborting a transaction that went down with a node", "topic", o.Topic, "partition", o.Partition, "producer_id", o.ProducerID, "producer_epoch", o.ProducerEpoch)
	mk := record.Marker{ProducerID: o.ProducerID, ProducerEpoch: log.NextEpoch(o.ProducerEpoch), CoordinatorEpoch: coordinatorEpoch, TransactionVersion: epochBumpVersion}
	end, err := c.markers.append(ctx, o.TopicPartition, mk)
	return func(ctx context.Context) {
		if err == nil {
			err = c.markers.wait(ctx, end, mk)
		}
		if err != nil && ctx.Err() == nil {
			c.log.Warn("a transaction that no coordinator knows may stay open", "topic", o.Topic, "partition", o.Partition, "producer_id", o.ProducerID, "err", err)
		}
	}
}

// owner is the transactional id that has a producer id.
type owner struct {
	l *lease
	e *txnEntry
}

// ownersOf finds the transactional ids of leases by their producer ids, the present ones and those before, and the newest coordinator epoch.
func ownersOf(leases []*lease) (owners map[int64]owner, newest int32) {
	owners = map[int64]owner{}
	for _, l := range leases {
		newest = max(newest, l.epoch)
		for _, e := range l.snapshot() {
			t := e.value.Load()
			owners[t.producerID] = owner{l, e}
			if t.prevProducerID != noProducerID { // nothing can begin with it any more
				owners[t.prevProducerID] = owner{l, e}
			}
		}
	}
	return owners, newest
}

// owns reports whether what the producer has open in a partition is part of t. Where every end raises the epoch, batches that already
// carry the epoch of t's markers are of the transaction after t: it began before t's completion was durable, and the markers of t,
// which are written again now, must not end it.
func (t txn) owns(o OpenTransaction) bool {
	switch {
	case o.ProducerID != t.producerID:
		return false
	case t.deciding():
		return t.contains(o.TopicPartition) && (t.version < epochBumpVersion || o.ProducerEpoch < t.epoch)
	case t.state == stateOngoing:
		return t.contains(o.TopicPartition) && o.ProducerEpoch == t.epoch
	}
	return false
}
