package coordinator

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

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

// load reads one partition of a transaction coordinators' topic into a lease that does not serve yet.
func (c *Transactions) load(ctx context.Context, tp TopicPartition) (*lease, error) {
	if _, ok := c.leases.slots.of(tp); !ok {
		return nil, kerr.UnknownTopicOrPartition
	}
	p, err := c.partitions.Partition(tp.Topic, tp.Partition)
	if err != nil {
		return nil, err
	}
	l := &lease{epoch: p.LeaderEpoch()}
	l.begin(c.ctx, tp, p)
	l.mu.entries = map[string]*txnEntry{}
	c.leases.swap(tp, l)
	var it record.Iterator
	err = replay(ctx, p, func(_ record.Header, frame []byte) error {
		if err := it.Reset(frame); err != nil {
			return err
		}
		for it.Next() {
			if err := l.apply(it.Record.Key, it.Record.Value, c.clock.Now()); err != nil {
				return err
			}
		}
		return it.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("load %s-%d: %w", tp.Topic, tp.Partition, err)
	}
	return l, nil
}

// apply takes one record of the state log into memory, at the time now. The lease does not serve yet, so nobody else looks.
func (l *lease) apply(key, value []byte, now time.Time) error {
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
	t.opened = now // how long it is open already, only the clocks of two nodes could tell
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
