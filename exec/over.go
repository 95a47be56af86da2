package exec

import (
	"bytes"
	"context"

	"github.com/millracedb/millrace/exec/bounded"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// Tags of a window operator's key spaces.
const (
	overRows  byte = 0
	overShown byte = 1
)

// overOp is OVER. It keeps the rows of each partition of the window in order, and what it gave for each. When it is flushed it computes the window's
// calls anew, as a bounded query does, for the partitions that changed, and emits the rows whose values differ. A partition is in memory as a
// whole while that goes on.
//
// A row's key in rows is what it is sorted by and then what identifies it, in shown the latter alone; the values are rows.
type overOp struct {
	sortedGroups
	cx   *opContext
	n    *planner.WindowFunc
	leaf *planner.Scan // stands for the rows of the partition in progress
	part *vec.Batch
	out  outBatch
}

func newOver(cx *opContext, n *planner.WindowFunc, to edge) *overOp {
	o := &overOp{
		sortedGroups: sortedGroups{
			by: n.OrderBy, sort: ordinals(n.OrderBy), ident: n.P.ChangeKey,
			rows: newOrderedTable(cx.state, n.P.OpID, overRows), shown: newStateTable(cx.state, n.P.OpID, overShown),
		},
		cx: cx, n: n,
		part: vec.NewBatch(schemaOf(n.In), 0), out: outBatch{Batch: vec.NewBatch(schemaOf(n), 0), to: to},
	}
	for _, e := range n.PartitionBy {
		o.keys = append(o.keys, e.(*planner.ColumnRef).Ord)
	}
	o.leaf = &planner.Scan{P: planner.Props{Cols: n.In.Props().Cols}, Rel: &planner.Relation{}}
	return o
}

func (o *overOp) flush(int64) error {
	if err := o.refreshAll(o.refresh, o.emit); err != nil {
		return err
	}
	return o.out.sendAll()
}

// refresh computes a partition anew and emits what changed in it; what came it leaves to refreshAll.
func (o *overOp) refresh(group []byte) error {
	o.part.Reset()
	err := o.rows.walk(group, func(_, val []byte) (bool, error) {
		return true, appendFromRowValue(o.part, val, vec.Insert)
	})
	if err != nil {
		return err
	}
	next, err := o.compute()
	if err != nil {
		return err
	}
	var gone [][]byte
	same := map[string]bool{}
	err = o.shown.each(group, func(row int32, key, val []byte) error {
		now, stays := next.vals[string(key)]
		switch {
		case !stays:
			gone = append(gone, bytes.Clone(key))
			return o.emit(val, vec.Delete)
		case bytes.Equal(now, val):
			same[string(key)] = true
			return nil
		}
		same[string(key)] = true
		if err := o.emit(val, vec.UpdateDelete); err != nil {
			return err
		}
		o.shown.setValue(row, now)
		return o.emit(now, vec.UpdateInsert)
	})
	if err != nil {
		return err
	}
	for _, key := range gone {
		if err := o.shown.del(group, key); err != nil {
			return err
		}
	}
	for _, key := range next.order {
		if same[key] {
			continue
		}
		if err := o.shown.put(group, []byte(key), next.vals[key]); err != nil {
			return err
		}
		o.came = append(o.came, next.vals[key])
	}
	return nil
}

// overResult is what the rows of a partition are with the window's values, by what identifies them, and in order.
type overResult struct {
	vals  map[string][]byte
	order []string
}

// maxOverBytes bounds what a partition of a window may take in memory while it is computed; a larger one fails the query.
const maxOverBytes = 256 << 20

// compute runs the window's calls over the rows in part. If a call fails for the partition, it is an error row, and the partition has no rows.
func (o *overOp) compute() (*overResult, error) {
	out := &overResult{vals: map[string][]byte{}}
	if o.part.Len() == 0 {
		return out, nil
	}
	env := *o.cx.env
	if env.Ctx == nil {
		env.Ctx = context.Background()
	}
	n := *o.n
	n.In = o.leaf
	it, err := bounded.Open(&bounded.Query{Env: &env, Source: overSource{o.part}, Memory: &bounded.Memory{Limit: maxOverBytes}}, &n)
	if err != nil {
		return out, o.failed(err)
	}
	defer it.Close()
	for {
		b, err := it.Next()
		if err != nil {
			return &overResult{vals: map[string][]byte{}}, o.failed(err)
		}
		if b == nil {
			return out, nil
		}
		// The rows were given in the window's order, so they come back in it, each with the time that it had.
		timed := &vec.Batch{Cols: b.Cols, Rowtime: o.part.Rowtime[len(out.order):]}
		for i := range b.Len() {
			o.cols = pick(o.cols, b.Cols, o.ident)
			key := string(appendKeyCols(nil, o.cols, i))
			out.vals[key] = appendRowValue(nil, timed, i)
			out.order = append(out.order, key)
		}
	}
}

// failed keeps an error of the partition's values as an error row; one of the query is returned.
func (o *overOp) failed(err error) error {
	if code := sqlerr.CodeOf(err); code == sqlerr.OutOfMemory || code == sqlerr.InternalError {
		return err
	}
	o.cx.errors.plain(errEval, err)
	return nil
}

func (o *overOp) emit(val []byte, op vec.Op) error {
	if err := appendFromRowValue(o.out.Batch, val, op); err != nil {
		return err
	}
	return o.out.room()
}

// overSource gives the rows of a partition to a bounded query.
type overSource struct{ rows *vec.Batch }

// Scan implements bounded.Source.
func (s overSource) Scan(context.Context, *planner.Scan, [][]types.Datum) (bounded.Iter, error) {
	return &overIter{rows: s.rows}, nil
}

type overIter struct{ rows *vec.Batch }

// Next implements bounded.Iter.
func (it *overIter) Next() (*vec.Batch, error) {
	b := it.rows
	it.rows = nil
	return b, nil
}

// Close implements bounded.Iter.
func (it *overIter) Close() {}
