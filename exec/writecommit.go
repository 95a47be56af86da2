package exec

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// txPart is what a transaction commits to one partition.
type txPart struct {
	part    *tablePart
	x       *txTable
	out     *partOutput
	writes  []int32 // those that count
	batches [][]byte
	records []int64
	write   *ownerWrite
}

// Commit appends what the transaction has written, waits until it is acknowledged and in the rows, and gives the locks back. It
// returns the end offset of each partition that was written. After an error nothing was written, unless its code is 40003.
func (tx *WriteTx) Commit(ctx context.Context) (map[TopicPartition]int64, error) {
	defer tx.Rollback()
	ends, err := tx.commit(ctx)
	if err == nil { // else an owner may still be at the rows
		for _, x := range tx.tables {
			x.rows.release()
		}
	}
	return ends, err
}

func (tx *WriteTx) commit(ctx context.Context) (map[TopicPartition]int64, error) {
	parts, err := tx.parts()
	if err != nil {
		return nil, err
	}
	batches, records, err := tx.streams.encode()
	switch {
	case err != nil:
		return nil, err
	case len(parts) == 0 && len(batches) == 0:
		return nil, nil
	case len(parts) == 0 && len(batches) == 1:
		return tx.appendOne(ctx, batches, records)
	case len(parts) == 1 && len(parts[0].batches) == 1 && len(batches) == 0:
		return tx.commitOne(ctx, parts[0])
	}
	return tx.commitMany(ctx, parts, batches, records)
}

// parts encodes the writes, in the order of table and partition, which is the order in which owners are asked.
func (tx *WriteTx) parts() ([]*txPart, error) {
	var parts []*txPart
	for _, x := range tx.tables {
		for p, writes := range x.live() {
			if len(writes) == 0 {
				continue
			}
			p := int32(p)
			part := tx.t.part(x.rel.OID, p)
			if part == nil || part.owner == nil {
				return nil, sqlerr.New(sqlerr.SerializationFailure, "partition %d of table %q is not owned by this node", p, x.rel.Name)
			}
			if part.relation().Rules > x.rel.Rules {
				return nil, sqlerr.New(sqlerr.SerializationFailure, "table %q was altered meanwhile", x.rel.Name).WithHint("Run the transaction again.")
			}
			parts = append(parts, &txPart{part: part, x: x, out: x.part(p), writes: writes})
		}
	}
	if err := encodeAll(parts); err != nil {
		return nil, err
	}
	slices.SortFunc(parts, func(a, b *txPart) int {
		return cmp.Or(cmp.Compare(a.part.key.oid, b.part.key.oid), cmp.Compare(a.part.key.partition, b.part.key.partition))
	})
	return parts, nil
}

// live returns the numbers of the writes that count, by partition.
func (x *txTable) live() [][]int32 {
	parts := make([][]int32, x.rel.Partitions)
	for n, w := range x.writes {
		if key := x.keys[w.key]; int(key.latest) == n {
			parts[key.part] = append(parts[key.part], int32(n))
		}
	}
	return parts
}

// size returns the bytes of keys and values that apply writes.
func (p *txPart) size() int {
	n := 0
	for _, k := range p.writes {
		w := &p.x.writes[k]
		n += int(w.at.len + p.x.index.spans[w.key].len)
	}
	return n
}

// apply writes the rows into the partition's state.
func (p *txPart) apply(b StateBatch, inOrder bool) {
	if inOrder {
		p.x.index.order(p.writes, func(n int32) int32 { return p.x.writes[n].key })
	}
	for _, n := range p.writes {
		w := p.x.writes[n]
		key := p.x.index.key(w.key)
		if w.deleted {
			b.Delete(tableRowsOp, key)
			continue
		}
		b.Set(tableRowsOp, key, p.x.rows.row(w.at))
	}
}

// commitOne hands one batch to the owner, which appends it with those of others.
func (tx *WriteTx) commitOne(ctx context.Context, p *txPart) (map[TopicPartition]int64, error) {
	w := &ownerWrite{batch: p.batches[0], rows: len(p.writes), bytes: p.size(), apply: p.apply, done: make(chan struct{})}
	if err := p.part.handIn(ctx, w); err != nil {
		return nil, err
	}
	// Once handed in, the outcome is waited for: only then is it known, and only then may the locks go.
	select {
	case <-w.done:
	case <-p.part.done:
		if w.taken.CompareAndSwap(false, true) {
			return nil, p.part.lost() // it came too late to be seen
		}
		select {
		case <-w.done:
		default:
			return nil, unknownOutcome(errReload)
		}
	}
	if w.err != nil {
		return nil, w.err
	}
	return map[TopicPartition]int64{p.part.tp: w.end}, nil
}

// commitMany takes hold of all partitions of tables, in order, commits one log transaction with the batches for streams in it, and lets
// the owners apply it.
func (tx *WriteTx) commitMany(ctx context.Context, parts []*txPart, batches []PartitionBatch, records []int64) (map[TopicPartition]int64, error) {
	if err := holdAll(ctx, parts); err != nil {
		return nil, err
	}
	ends, err := tx.commitLane(parts, batches, records)
	giveBack(parts, ends, err)
	if err != nil {
		return nil, unknownOutcome(err)
	}
	return ends, nil
}

// holdAll takes hold of the partitions; after an error it has none.
func holdAll(ctx context.Context, parts []*txPart) error {
	for i, p := range parts {
		p.write = &ownerWrite{rows: len(p.writes), bytes: p.size(), apply: p.apply, granted: make(chan struct{}), outcome: make(chan ownerOutcome, 1), done: make(chan struct{})}
		if err := p.part.takeHold(ctx, p.write); err != nil {
			for _, q := range parts[:i+1] {
				q.write.outcome <- ownerOutcome{err: errNothingWritten}
			}
			return err
		}
	}
	return nil
}

// giveBack tells the owners how it ended and waits until they have applied what was committed.
func giveBack(parts []*txPart, ends map[TopicPartition]int64, err error) {
	for _, p := range parts {
		p.write.outcome <- ownerOutcome{end: ends[p.part.tp], err: err}
	}
	for _, p := range parts {
		select {
		case <-p.write.done:
		case <-p.part.done: // what was committed stays so; whoever owns the partition next reads it
		}
	}
}

// takeHold waits for the partition's turn.
func (p *tablePart) takeHold(ctx context.Context, w *ownerWrite) error {
	if err := p.handIn(ctx, w); err != nil {
		return err
	}
	select {
	case <-w.granted:
		return nil
	case <-w.done:
		return w.err
	case <-p.done:
		return p.lost()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// commitLane commits all batches as one transaction. It is not called off: its outcome must be known.
func (tx *WriteTx) commitLane(parts []*txPart, batches []PartitionBatch, records []int64) (map[TopicPartition]int64, error) {
	c := TaskCommit{Batches: batches}
	for _, p := range parts {
		for i, b := range p.batches {
			c.Batches = append(c.Batches, PartitionBatch{TopicPartition: p.part.tp, Batch: b})
			records = append(records, p.records[i])
		}
	}
	result, err := tx.t.lane.submit(tx.t.ctx, c)
	if err != nil {
		return nil, err
	}
	if len(result.Appended) != len(records) {
		return nil, errors.New("the lane answered for another number of batches")
	}
	ends := map[TopicPartition]int64{}
	for i, a := range result.Appended {
		tp := c.Batches[i].TopicPartition
		ends[tp] = max(ends[tp], a.BaseOffset+records[i])
	}
	return ends, nil
}
