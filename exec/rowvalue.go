package exec

import (
	"encoding/binary"
	"fmt"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// A row in state is its rowtime (a varint, ms) and then the row encoding of package vec.

func appendRowValue(dst []byte, b *vec.Batch, i int) []byte {
	dst = binary.AppendVarint(dst, rowtimeOf(b, i))
	return vec.AppendEncodedRow(dst, b.Cols, i)
}

// appendFromRowValue appends the row that val holds to b, with op. It fails only when the state is damaged.
func appendFromRowValue(b *vec.Batch, val []byte, op vec.Op) error {
	rowtime, n := binary.Varint(val)
	if n <= 0 {
		return fmt.Errorf("%w: bad rowtime", vec.ErrCorruptRow)
	}
	if err := vec.AppendDecodedRow(b.Cols, val[n:]); err != nil {
		return err
	}
	finishRow(b, op, rowtime)
	return nil
}

// rowShape reads rows of one table: those written before a column was added get what it was added with.
type rowShape struct {
	missing []missingValue
}

type missingValue struct {
	ord   int
	value types.Datum
}

func rowShapeOf(rel *planner.Relation) rowShape {
	var r rowShape
	for ord := range rel.Columns {
		if m := rel.Columns[ord].Missing; m != nil {
			r.missing = append(r.missing, missingValue{ord, *m})
		}
	}
	return r
}

// append appends the row that val holds to b, a batch as NewRowBatch makes it. It fails only when the state is damaged.
func (r rowShape) append(b *vec.Batch, val []byte) error {
	n := b.Len()
	if err := appendFromRowValue(b, val, vec.Insert); err != nil || len(r.missing) == 0 {
		return err
	}
	_, size := binary.Varint(val)
	stored, err := vec.EncodedColumns(val[size:])
	for _, m := range r.missing {
		if m.ord >= stored {
			b.Cols[m.ord].Truncate(n)
			b.Cols[m.ord].AppendDatum(m.value)
		}
	}
	return err
}

// appendColumns is append for the wanted columns alone, of which there are as many up to the last true; the others of b stay as they are.
func (r rowShape) appendColumns(b *vec.Batch, wanted []bool, val []byte) error {
	rowtime, size := binary.Varint(val)
	if size <= 0 {
		return fmt.Errorf("%w: bad rowtime", vec.ErrCorruptRow)
	}
	n := b.Len()
	if err := vec.AppendDecodedColumns(b.Cols, wanted, val[size:]); err != nil {
		return err
	}
	finishRow(b, vec.Insert, rowtime)
	if len(r.missing) == 0 {
		return nil
	}
	stored, err := vec.EncodedColumns(val[size:])
	for _, m := range r.missing {
		if m.ord >= stored && m.ord < len(wanted) && wanted[m.ord] {
			b.Cols[m.ord].Truncate(n)
			b.Cols[m.ord].AppendDatum(m.value)
		}
	}
	return err
}

// finishRow counts a row whose columns were appended.
func finishRow(b *vec.Batch, op vec.Op, rowtime int64) {
	b.AppendOp(op)
	b.Rowtime = append(b.Rowtime, rowtime)
	b.SetLen(b.Len() + 1)
}

// outBatch is an operator's output under construction; it leaves when it has enough rows.
type outBatch struct {
	*vec.Batch
	to edge
}

// outRows is how many rows an operator gathers before it sends them on.
const outRows = 1024

// room sends the batch on if it is full.
func (o *outBatch) room() error {
	if o.Len() < outRows {
		return nil
	}
	return o.sendAll()
}

func (o *outBatch) sendAll() error {
	if o.Len() == 0 {
		return nil
	}
	err := o.to.send(chunk{o.Batch, nil})
	o.Reset()
	return err
}

// appendRow appends row i of src with op and its rowtime.
func (o *outBatch) appendRow(src *vec.Batch, i int, op vec.Op) {
	for c, col := range o.Cols {
		col.AppendRow(src.Cols[c], i)
	}
	finishRow(o.Batch, op, rowtimeOf(src, i))
}
