package exec

import (
	"bytes"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/planner"
)

// normalizeOp turns upserts into retractions: it keeps the rows by change key, so that each change can bring the row it
// replaces, with the rowtime that row came with.
type normalizeOp struct {
	rows *stateTable
	key  []int
	out  outBatch
	cols []*vec.Vector
	kbuf []byte
	vbuf []byte
}

func newNormalize(cx *opContext, n *planner.Normalize, to edge) *normalizeOp {
	return &normalizeOp{
		rows: newStateTable(cx.state, n.P.OpID, 0), key: n.In.Props().ChangeKey,
		out: outBatch{Batch: vec.NewBatch(schemaOf(n), 0), to: to},
	}
}

func (o *normalizeOp) push(in chunk, _ int) error {
	o.cols = pick(o.cols, in.Cols, o.key)
	for i := range in.Len() {
		o.kbuf = appendKeyCols(o.kbuf[:0], o.cols, i)
		old, had, err := o.rows.get(nil, o.kbuf)
		if err != nil {
			return err
		}
		if in.Op(i).Adds() {
			err = o.upsert(in.Batch, i, old, had)
		} else if had {
			if err = appendFromRowValue(o.out.Batch, old, vec.Delete); err == nil {
				err = o.rows.del(nil, o.kbuf)
			}
		}
		if err != nil {
			return err
		}
		if err := o.out.room(); err != nil {
			return err
		}
	}
	return o.out.sendAll()
}

func (o *normalizeOp) upsert(in *vec.Batch, i int, old []byte, had bool) error {
	o.vbuf = appendRowValue(o.vbuf[:0], in, i)
	op := vec.Insert
	if had {
		if bytes.Equal(old, o.vbuf) {
			return nil
		}
		if err := appendFromRowValue(o.out.Batch, old, vec.UpdateDelete); err != nil {
			return err
		}
		op = vec.UpdateInsert
	}
	o.out.appendRow(in, i, op)
	return o.rows.put(nil, o.kbuf, o.vbuf)
}

func (o *normalizeOp) flush(int64) error {
	o.rows.flush()
	return nil
}
