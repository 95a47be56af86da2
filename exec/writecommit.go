package exec

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/millracedb/millrace/exec/format"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/record"
	"github.com/millracedb/millrace/internal/sqlerr"
)

// txPart is what a transaction commits to one partition.
type txPart struct {
	part    *tablePart
	x       *txTable
	writes  []int32
	batches [][]byte
	records []int64
	write   *ownerWrite
}

// Commit appends what the transaction has written, waits until it is acknowledged and in the rows, and gives the locks back. It
// returns the end offset of each partition that was written. After an error nothing was written, unless its code is 40003.
func (tx *WriteTx) Commit(ctx context.Context) (map[TopicPartition]int64, error) {
	defer tx.Rollback()
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
			part := tx.t.part(x.rel.OID, p)
			if part == nil || part.owner == nil {
				return nil, sqlerr.New(sqlerr.SerializationFailure, "partition %d of table %q is not owned by this node", p, x.rel.Name)
			}
			parts = append(parts, &txPart{part: part, x: x, writes: writes})
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

// encodeAll makes the batches of all parts, of large ones side by side.
func encodeAll(parts []*txPart) error {
	errs := make([]error, len(parts))
	var wg sync.WaitGroup
	for i, p := range parts {
		if len(p.writes) < commitEncodeRows {
			errs[i] = p.encode(p.x.keyEnc, p.x.valEnc)
			continue
		}
		wg.Go(func() {
			keyEnc, valEnc, err := relationEncoders(p.x.rel) // an encoder is for one goroutine
			if err == nil {
				err = p.encode(keyEnc, valEnc)
			}
			errs[i] = err
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// commitEncodeRows is how many rows are decoded from the buffer to be encoded for the topic at a time.
const commitEncodeRows = 1024

// encode makes the topic's record batches.
func (p *txPart) encode(keyEnc, valEnc format.Encoder) error {
	var out roundOutput
	x, rel := p.x, p.x.rel
	rows := NewRowBatch(rel, min(len(p.writes), commitEncodeRows))
	var key, val []byte
	for from := 0; from < len(p.writes); from += commitEncodeRows {
		chunk := p.writes[from:min(from+commitEncodeRows, len(p.writes))]
		rows.Reset()
		for _, n := range chunk {
			w := x.writes[n]
			if err := appendFromRowValue(rows, x.arena[w.off:w.off+w.len], vec.Insert); err != nil {
				return err
			}
		}
		keys, values := pick(nil, rows.Cols, rel.Key), pick(nil, rows.Cols, x.values)
		for i, n := range chunk {
			var err error
			if key, err = keyEnc.AppendRow(key[:0], keys, i); err != nil {
				return err
			}
			value := []byte(nil)
			if !x.writes[n].deleted {
				if val = val[:0]; valEnc != nil {
					if val, err = valEnc.AppendRow(val, values, i); err != nil {
						return err
					}
				}
				value = notNull(val)
			}
			if err := out.add(p.part.tp, rows.Rowtime[i], notNull(key), value); err != nil {
				return err
			}
		}
	}
	batches, err := out.take()
	if err != nil {
		return err
	}
	for _, b := range batches {
		h, err := record.ParseHeader(b.Batch)
		if err != nil {
			return err
		}
		p.batches, p.records = append(p.batches, b.Batch), append(p.records, int64(h.Count))
	}
	return nil
}

// apply writes the rows into the partition's state.
func (p *txPart) apply(b StateBatch) {
	for _, n := range p.writes {
		w := p.x.writes[n]
		key := p.x.index.key(w.key)
		if w.deleted {
			b.Delete(tableRowsOp, key)
			continue
		}
		b.Set(tableRowsOp, key, p.x.arena[w.off:w.off+w.len])
	}
}

// commitOne hands one batch to the owner, which appends it with those of others.
func (tx *WriteTx) commitOne(ctx context.Context, p *txPart) (map[TopicPartition]int64, error) {
	w := &ownerWrite{batch: p.batches[0], apply: p.apply, done: make(chan struct{})}
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
	for i, p := range parts {
		p.write = &ownerWrite{apply: p.apply, granted: make(chan struct{}), outcome: make(chan ownerOutcome, 1), done: make(chan struct{})}
		if err := p.part.takeHold(ctx, p.write); err != nil {
			p.write.outcome <- ownerOutcome{err: errNothingWritten}
			for _, q := range parts[:i] {
				q.write.outcome <- ownerOutcome{err: errNothingWritten}
			}
			return nil, err
		}
	}
	ends, err := tx.commitLane(parts, batches, records)
	for _, p := range parts {
		p.write.outcome <- ownerOutcome{end: ends[p.part.tp], err: err}
	}
	if err != nil {
		return nil, unknownOutcome(err)
	}
	for _, p := range parts {
		select {
		case <-p.write.done:
		case <-p.part.done: // committed all the same; whoever owns the partition next reads it
		}
	}
	return ends, nil
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
