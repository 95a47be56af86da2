package coordinator

import (
	"context"
	"fmt"

	"github.com/millracedb/millrace/internal/record"
)

// loadBytes is how much of an internal partition is read at a time.
const loadBytes = 1 << 20

// replay reads all of a partition, first making sure that all of it is below the high watermark: what is acted upon must not
// be lost later.
func replay(ctx context.Context, p Partition, batch func(h record.Header, frame []byte) error) error {
	end := p.LogEnd()
	if err := p.WaitHighWatermark(ctx, end); err != nil {
		return err
	}
	for offset := p.LogStart(); offset < end; {
		bytes, release, err := p.Read(ctx, offset, loadBytes)
		if err != nil {
			return err
		}
		next, err := eachBatch(bytes, batch)
		release()
		if err != nil {
			return err
		}
		if next <= offset {
			return nil // compaction has emptied the rest
		}
		offset = next
	}
	return nil
}

// eachBatch calls fn for each batch in bytes and returns the offset behind the last.
func eachBatch(bytes []byte, fn func(h record.Header, frame []byte) error) (next int64, err error) {
	next = -1
	for len(bytes) > 0 {
		h, frame, rest, err := record.Next(bytes)
		if err != nil {
			return next, err
		}
		if err := fn(h, frame); err != nil {
			return next, err
		}
		next, bytes = h.LastOffset()+1, rest
	}
	return next, nil
}

// load reads one partition of __transaction_state into a lease that does not serve yet.
func (c *Transactions) load(ctx context.Context, index int32) (*lease, error) {
	p, err := c.partitions.Partition(TransactionTopic, index)
	if err != nil {
		return nil, err
	}
	l := &lease{index: index, part: p, epoch: p.LeaderEpoch()}
	l.ctx, l.cancel = context.WithCancel(c.ctx)
	l.mu.entries = map[string]*txnEntry{}
	c.resign(index)
	c.leases[index].Store(l)
	var it record.Iterator
	err = replay(ctx, p, func(_ record.Header, frame []byte) error {
		if err := it.Reset(frame); err != nil {
			return err
		}
		for it.Next() {
			if err := l.apply(it.Record.Key, it.Record.Value); err != nil {
				return err
			}
		}
		return it.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("load %s-%d: %w", TransactionTopic, index, err)
	}
	return l, nil
}

// apply takes one record of the state log into memory. The lease does not serve yet, so nobody else looks.
func (l *lease) apply(key, value []byte) error {
	id, ok, err := decodeTxnKey(key)
	if err != nil || !ok {
		return err
	}
	if value == nil {
		delete(l.mu.entries, id)
		return nil
	}
	t, err := decodeTxnValue(id, value)
	if err != nil {
		return err
	}
	l.mu.entries[id] = newTxnEntry(t)
	return nil
}

// serve lets requests in and finishes what was decided before.
func (c *Transactions) serve(l *lease) {
	var decided []*txnEntry
	for _, e := range l.snapshot() {
		if e.value.Load().deciding() {
			e.turn <- struct{}{}
			decided = append(decided, e)
		}
	}
	for _, e := range decided {
		c.wg.Go(func() {
			defer e.unlock()
			c.run(l, e, *e.value.Load(), l.part.LogStart())
		})
	}
	l.ready.Store(true)
}

// abortOrphans ends the transactions in open that the coordinator has forgotten: a crash took their ONGOING record, so no decision can
// ever have been made. A producer id that none of leases knows may be another coordinator's, unless everything is led from here (all).
// Only called while none of the leases serves, else a transaction could begin meanwhile.
func (c *Transactions) abortOrphans(ctx context.Context, leases []*lease, open []OpenTransaction, all bool) {
	type owner struct {
		t     *txn
		epoch int32
	}
	known := map[int64]owner{}
	newest := int32(0)
	for _, l := range leases {
		newest = max(newest, l.epoch)
		for _, e := range l.snapshot() {
			t := e.value.Load()
			known[t.producerID] = owner{t, l.epoch}
		}
	}
	for _, o := range open {
		own, ok := known[o.ProducerID]
		if !ok && !all || ok && own.t.owns(o) {
			continue
		}
		coordinatorEpoch := newest
		if ok {
			coordinatorEpoch = own.epoch
		}
		mk := record.Marker{ProducerID: o.ProducerID, ProducerEpoch: o.ProducerEpoch, CoordinatorEpoch: coordinatorEpoch}
		if _, err := c.markers.write(ctx, []TopicPartition{o.TopicPartition}, mk); err != nil {
			c.log.Warn("a transaction that no coordinator knows stays open", "topic", o.Topic, "partition", o.Partition,
				"producer_id", o.ProducerID, "err", err)
		}
	}
}

// owns reports whether what the producer has open in a partition is part of t. Where every end raises the epoch, batches that already
// carry the epoch of t's markers are of the transaction after t: it began before t's completion was durable, and the markers of t,
// which are written again now, must not end it.
func (t txn) owns(o OpenTransaction) bool {
	switch {
	case t.deciding():
		return t.contains(o.TopicPartition) && (t.version < epochBumpVersion || o.ProducerEpoch < t.epoch)
	case t.state == stateOngoing:
		return t.contains(o.TopicPartition)
	}
	return false
}
