package bounded

import (
	"slices"

	"github.com/millracedb/millrace/exec/expr"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// lateralIter is a join whose right side depends on the left row: it is opened anew for each.
type lateralIter struct {
	q     *Query
	n     *planner.Join
	left  Iter
	cond  *expr.Program
	width int // of the left side
	pairs *vec.Batch
	out   *vec.Batch
	errs  expr.Errors
	sel   []int32

	batch   *vec.Batch
	row     int
	right   Iter
	matched bool
}

func (q *Query) openLateral(n *planner.Join) (Iter, error) {
	left, err := q.open(n.L)
	if err != nil {
		return nil, err
	}
	it := &lateralIter{q: q, n: n, left: left, width: len(schema(n.L)), out: vec.NewBatch(schema(n), batchRows)}
	it.pairs = vec.NewBatch(append(schema(n.L), schema(n.R)...), batchRows)
	if n.Cond != nil {
		if it.cond, err = expr.Compile(n.Cond); err != nil {
			left.Close()
			return nil, err
		}
	}
	return it, nil
}

func (it *lateralIter) Next() (*vec.Batch, error) {
	it.out.Reset()
	for it.out.Len() < batchRows && heldBytes(it.out) < maxBatchBytes {
		if it.right == nil {
			more, err := it.nextRow()
			if err != nil {
				return nil, err
			}
			if !more {
				break
			}
		}
		b, err := it.right.Next()
		if err != nil {
			return nil, err
		}
		if b == nil {
			it.endRow()
			continue
		}
		if err := it.join(b); err != nil {
			return nil, err
		}
	}
	if it.out.Len() == 0 {
		return nil, nil
	}
	return it.out, nil
}

// nextRow opens the right side for the next left row.
func (it *lateralIter) nextRow() (bool, error) {
	for it.batch == nil || it.row == it.batch.Len() {
		var err error
		if it.batch, err = it.left.Next(); err != nil || it.batch == nil {
			return false, err
		}
		it.row = 0
	}
	env := *it.q.Env
	env.Outer = append(append([][]types.Datum{}, env.Outer...), it.batch.Row(it.row))
	var err error
	it.right, err = it.q.under(&env).open(it.n.R)
	it.matched = false
	return err == nil, err
}

// join pairs the left row with rows of its right side.
func (it *lateralIter) join(b *vec.Batch) error {
	n := b.Len()
	if n*rowBytes(it.batch, it.row)+dataBytes(b) > maxCopyBytes {
		return errBatchTooLarge
	}
	it.sel = vec.All(it.sel[:0], n)
	it.pairs.Reset()
	for c, col := range it.pairs.Cols {
		if c >= it.width {
			col.AppendGather(b.Cols[c-it.width], it.sel)
			continue
		}
		for range n {
			col.AppendRow(it.batch.Cols[c], it.row)
		}
	}
	it.pairs.SetLen(n)
	if times := it.batch.Rowtime; times != nil {
		it.pairs.Rowtime = slices.Grow(it.pairs.Rowtime, n)[:n]
		for i := range it.pairs.Rowtime {
			it.pairs.Rowtime[i] = times[it.row]
		}
	}
	hits := it.sel
	if it.cond != nil {
		it.errs.Reset(n)
		v := it.cond.Eval(it.q.Env, it.pairs, it.sel, &it.errs)
		if err := it.errs.First(); err != nil {
			return err
		}
		hits = vec.True(nil, v, it.sel)
	}
	it.matched = it.matched || len(hits) > 0
	if it.n.Kind != planner.SemiJoin && it.n.Kind != planner.AntiJoin {
		it.out.AppendGather(it.pairs, hits)
	}
	return nil
}

// endRow closes the right side and emits the left row if it leaves alone.
func (it *lateralIter) endRow() {
	it.right.Close()
	it.right = nil
	alone := false
	switch it.n.Kind {
	case planner.SemiJoin:
		alone = it.matched
	case planner.AntiJoin, planner.LeftJoin:
		alone = !it.matched
	}
	if alone {
		for c, col := range it.out.Cols {
			if c < it.width {
				col.AppendRow(it.batch.Cols[c], it.row)
			} else {
				col.AppendNull()
			}
		}
		it.out.SetLen(it.out.Len() + 1)
		if times := it.batch.Rowtime; times != nil {
			it.out.Rowtime = append(it.out.Rowtime, times[it.row])
		}
	}
	it.row++
}

func (it *lateralIter) Close() {
	if it.right != nil {
		it.right.Close()
	}
	it.left.Close()
}
