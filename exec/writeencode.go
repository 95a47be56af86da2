package exec

import (
	"errors"
	"sync"

	"github.com/millracedb/millrace/exec/format"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/record"
)

// txOutput are a transaction's writes to one table as record batches of the table's topic. Many rows that are inserted at once are encoded at once,
// from the columns they came in, while more of a load is on its way; what is left at Commit is read back from the buffer.
type txOutput struct {
	parts   []partOutput // by partition
	encoded int          // the writes before this one are in parts
	late    bool         // a write in parts did not last, so all are encoded at Commit
}

const (
	// aheadRows is from how many rows of one insert on they are encoded before Commit: a transaction of few rows is likely to change them again.
	aheadRows = 512
	// commitEncodeRows is how many rows are decoded from the buffer to be encoded for the topic at a time.
	commitEncodeRows = 1024
)

// replaced says that a write, -1 or less for none, no longer counts.
func (o *txOutput) replaced(n int) {
	if n >= 0 {
		o.truncated(n)
	}
}

// truncated says that the writes from n on do not count.
func (o *txOutput) truncated(n int) {
	if n < o.encoded {
		*o = txOutput{late: true}
	}
}

// part returns the output of a partition.
func (x *txTable) part(p int32) *partOutput {
	if x.output.parts == nil {
		x.output.parts = make([]partOutput, x.rel.Partitions)
		for i := range x.output.parts {
			x.output.parts[i].builder.Reset(record.BatchOptions{})
		}
	}
	return &x.output.parts[p]
}

// encodeAhead encodes rows that were just inserted, all but those with the numbers in existing, as the writes from number first on.
func (x *txTable) encodeAhead(rows *vec.Batch, existing []int32, first int) error {
	if rows.Len() < aheadRows || len(rows.Rowtime) < rows.Len() || x.output.late || x.output.encoded != first {
		return nil
	}
	enc := newRowEncoder(x, rows, x.keyEnc, x.valEnc)
	for i := range rows.Len() {
		if len(existing) > 0 && int(existing[0]) == i {
			existing = existing[1:]
			continue
		}
		if err := enc.add(x.part(x.keys[x.places[i]].part), i, false); err != nil {
			return err
		}
	}
	x.output.encoded = len(x.writes)
	return nil
}

// rowEncoder encodes rows of a batch, with encoders that are for one goroutine.
type rowEncoder struct {
	keyEnc, valEnc format.Encoder
	rows           *vec.Batch
	keys, values   []*vec.Vector
	key, val       []byte
}

func newRowEncoder(x *txTable, rows *vec.Batch, keyEnc, valEnc format.Encoder) *rowEncoder {
	return &rowEncoder{
		keyEnc: keyEnc, valEnc: valEnc, rows: rows, keys: pick(nil, rows.Cols, x.rel.Key), values: pick(nil, rows.Cols, x.values),
	}
}

// add appends the record of row i.
func (e *rowEncoder) add(out *partOutput, i int, deleted bool) error {
	var err error
	if e.key, err = e.keyEnc.AppendRow(e.key[:0], e.keys, i); err != nil {
		return err
	}
	value := []byte(nil)
	if !deleted {
		if e.val = e.val[:0]; e.valEnc != nil {
			if e.val, err = e.valEnc.AppendRow(e.val, e.values, i); err != nil {
				return err
			}
		}
		value = notNull(e.val)
	}
	return out.add(e.rows.Rowtime[i], notNull(e.key), value)
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

// encode encodes the writes that were not encoded ahead, and closes the batches.
func (p *txPart) encode(keyEnc, valEnc format.Encoder) error {
	x, left := p.x, p.writes
	for len(left) > 0 && int(left[0]) < x.output.encoded {
		left = left[1:]
	}
	rows := NewRowBatch(x.rel, min(len(left), commitEncodeRows))
	enc := newRowEncoder(x, rows, keyEnc, valEnc)
	for len(left) > 0 {
		chunk := left[:min(len(left), commitEncodeRows)]
		left = left[len(chunk):]
		rows.Reset()
		for _, n := range chunk {
			w := x.writes[n]
			if err := x.row.append(rows, x.rows.row(w.at)); err != nil {
				return err
			}
		}
		for i, n := range chunk {
			if err := enc.add(p.out, i, x.writes[n].deleted); err != nil {
				return err
			}
		}
	}
	var err error
	if p.batches, err = p.out.take(); err != nil {
		return err
	}
	for _, b := range p.batches {
		h, err := record.ParseHeader(b)
		if err != nil {
			return err
		}
		p.records = append(p.records, int64(h.Count))
	}
	return nil
}
