package exec

import (
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/planner"
)

// repeatOp gives each row as often as its count column says, numbered from 1. The halves of an update share the copies that both have.
type repeatOp struct {
	count int
	out   outBatch
}

func newRepeat(n *planner.Repeat, to edge) *repeatOp {
	return &repeatOp{count: n.Count, out: outBatch{Batch: vec.NewBatch(schemaOf(n), 0), to: to}}
}

func (o *repeatOp) push(in chunk, _ int) error {
	for i := 0; i < in.Len(); i++ {
		var before, after int64
		leaves, joins := i, i
		switch in.Op(i) {
		case vec.UpdateDelete:
			before = o.copies(in.Batch, i)
			if i++; i < in.Len() && in.Op(i) == vec.UpdateInsert {
				joins, after = i, o.copies(in.Batch, i)
			} else {
				i--
			}
		case vec.Delete:
			before = o.copies(in.Batch, i)
		default:
			after = o.copies(in.Batch, i)
		}
		if err := o.change(in.Batch, leaves, joins, before, after); err != nil {
			return err
		}
	}
	return o.out.sendAll()
}

func (o *repeatOp) copies(in *vec.Batch, i int) int64 {
	if in.Cols[o.count].IsNull(i) {
		return 0
	}
	return max(0, in.Cols[o.count].I64[i])
}

// change takes the copies of row leaves out and puts those of row joins in.
func (o *repeatOp) change(in *vec.Batch, leaves, joins int, before, after int64) error {
	for n := int64(1); n <= max(before, after); n++ {
		switch {
		case n > after:
			o.emit(in, leaves, n, vec.Delete)
		case n > before:
			o.emit(in, joins, n, vec.Insert)
		default:
			o.emit(in, leaves, n, vec.UpdateDelete)
			o.emit(in, joins, n, vec.UpdateInsert)
		}
		if err := o.out.room(); err != nil {
			return err
		}
	}
	return nil
}

func (o *repeatOp) emit(in *vec.Batch, i int, n int64, op vec.Op) {
	last := len(o.out.Cols) - 1
	for c, col := range in.Cols {
		o.out.Cols[c].AppendRow(col, i)
	}
	o.out.Cols[last].AppendInt(n)
	finishRow(o.out.Batch, op, rowtimeOf(in, i))
}

func (o *repeatOp) flush(int64) error { return nil }
