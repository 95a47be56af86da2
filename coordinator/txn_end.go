package coordinator

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/clock"
)

// EndTxn answers key 26, once the outcome is readable everywhere. If ctx ends before that the answer is CONCURRENT_TRANSACTIONS and
// the same request can be sent again.
func (c *Transactions) EndTxn(ctx context.Context, req *kmsg.EndTxnRequest) *kmsg.EndTxnResponse {
	resp := req.ResponseKind().(*kmsg.EndTxnResponse)
	resp.ProducerID, resp.ProducerEpoch = noProducerID, noProducerEpoch
	t, kerror := c.end(ctx, req)
	if kerror != nil {
		resp.ErrorCode = kerror.Code
		return resp
	}
	resp.ProducerID, resp.ProducerEpoch = t.producerID, t.epoch
	return resp
}

// endVersion is the transaction version that a client speaks by the version of its EndTxn: v5 came with KIP-890 part 2.
func endVersion(req *kmsg.EndTxnRequest) int16 {
	if req.Version >= 5 {
		return epochBumpVersion
	}
	return 0
}

func (c *Transactions) end(ctx context.Context, req *kmsg.EndTxnRequest) (txn, *kerr.Error) {
	l, e, kerror := c.open(ctx, req.TransactionalID)
	if kerror != nil {
		return txn{}, kerror
	}
	t := *e.value.Load()
	fresh := noProducerID
	if t.epoch >= lastUsableEpoch {
		var err error
		if fresh, err = c.ids.take(ctx); err != nil {
			e.unlock()
			return txn{}, kerr.CoordinatorNotAvailable
		}
	}
	next, step, kerror := t.prepareEnd(req.ProducerID, req.ProducerEpoch, req.Commit, endVersion(req), fresh, c.nowMillis())
	switch {
	case kerror != nil || step == endAnswer:
		e.unlock()
		return next, kerror
	case step == endWrite:
		defer e.unlock()
		return next, c.installDurably(ctx, l, e, next)
	}
	if req.Commit {
		if err := c.syncParts(ctx, t.parts, e.loose); err != nil {
			e.unlock()
			c.log.Warn("transaction cannot be committed yet", "transactional_id", t.id, "err", err)
			return txn{}, coordinatorError(err)
		}
	}
	x, kerror := c.decide(l, e, next)
	if kerror != nil {
		return txn{}, kerror
	}
	select {
	case <-x.done:
		if !x.settled {
			return txn{}, kerr.NotCoordinator
		}
		return next.complete(0), nil
	case <-ctx.Done():
		return txn{}, kerr.ConcurrentTransactions
	}
}

// syncParts makes what a transaction wrote to its partitions durable on all in-sync replicas, all at once. Without it the decision could
// survive a crash that the data does not. A partition of loose has batches that nobody has waited for: it may not have moved to another leader since.
func (c *Transactions) syncParts(ctx context.Context, parts []TopicPartition, loose map[TopicPartition]struct{}) error {
	ends := make([]partitionEnd, 0, len(parts))
	for _, tp := range parts {
		p, err := c.partitions.Partition(tp.Topic, tp.Partition)
		if errors.Is(err, kerr.UnknownTopicOrPartition) {
			continue // deleted: nobody will read it
		}
		if _, unsure := loose[tp]; errors.Is(err, kerr.NotLeaderForPartition) && !unsure && c.spread([]TopicPartition{tp}) {
			continue // what is written to such topics is waited for when it is written
		}
		if err != nil {
			return err
		}
		ends = append(ends, partitionEnd{tp: tp, part: p, next: p.LogEnd()})
	}
	for _, end := range ends {
		end.part.Flush(end.next)
	}
	for _, end := range ends {
		if err := end.part.WaitHighWatermark(ctx, end.next); err != nil {
			return err
		}
	}
	return nil
}

// partitionEnd is a partition and an offset to wait for.
type partitionEnd struct {
	tp      TopicPartition
	part    Partition
	next    int64
	offsets *offsetLease // of a group coordinators' partition, that the marker was written under
}

// ending is a decided transaction on its way.
type ending struct {
	done    chan struct{} // closed when this node has done with it
	settled bool          // then: the outcome is readable everywhere. If not, the next leader knows whether there is a decision
}

// decide writes the decision and starts a goroutine that drives it to its end. It takes the turn over from the caller; done closes
// when it is given up again.
func (c *Transactions) decide(l *lease, e *txnEntry, t txn) (*ending, *kerr.Error) {
	next, err := c.install(l, e, t)
	if err != nil {
		e.unlock()
		return nil, coordinatorError(err)
	}
	clear(e.loose)
	x := &ending{done: make(chan struct{})}
	c.wg.Go(func() {
		defer close(x.done)
		defer e.unlock()
		x.settled = c.run(l, e, t, next)
	})
	return x, nil
}

// run drives a transaction whose decision ends at offset next of the state log: the decision becomes durable, the markers are
// written and below the high watermark, then the completion is written. It gives up only when the lease ends, or the leadership that
// it is for: then the next leader finds the decision in the log, or does not. settled: the outcome is readable everywhere.
func (c *Transactions) run(l *lease, e *txnEntry, t txn, next int64) (settled bool) {
	for {
		err := l.part.WaitHighWatermark(l.ctx, next)
		if err == nil {
			break
		}
		if !c.again(l, t, "decision", err) {
			return false
		}
	}
	if !c.markers.writeAll(l.ctx, t, l.epoch, func() bool { return c.leads(l) }) {
		return false
	}
	for {
		_, err := c.install(l, e, t.complete(c.nowMillis()))
		if err == nil || !c.again(l, t, "completion", err) {
			return true
		}
	}
}

// leads reports whether this node leads the partition of a lease, and has since the lease began. A lease outlives the leadership as long as the node has not given it up.
func (c *Transactions) leads(l *lease) bool {
	p, err := c.partitions.Partition(l.tp.Topic, l.tp.Partition)
	return !errors.Is(err, kerr.NotLeaderForPartition) && (err != nil || p.LeaderEpoch() == l.epoch)
}

// again pauses before another try; false when the lease is over.
func (c *Transactions) again(l *lease, t txn, what string, err error) bool {
	if l.ctx.Err() != nil || errors.Is(err, kerr.NotLeaderForPartition) {
		return false
	}
	c.log.Warn("transaction is held up", "transactional_id", t.id, "at", what, "err", err)
	return clock.Wait(l.ctx, c.clock, retryPause)
}
