package bounded

import (
	"github.com/millracedb/millrace/exec/expr"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

func (q *Query) openScan(n *planner.Scan) (Iter, error) {
	var keys [][]types.Datum
	if n.Keys != nil {
		keys = make([][]types.Datum, 0, len(n.Keys))
		for _, tuple := range n.Keys {
			key, err := q.evalAll(tuple)
			if err != nil {
				return nil, err
			}
			keys = append(keys, key)
		}
	}
	it, err := q.Source.Scan(q.Env.Ctx, n, keys)
	if err != nil {
		return nil, err
	}
	it = &cancelIter{Iter: it, q: q}
	if n.Filter == nil {
		return it, nil
	}
	return q.filter(it, n.Filter, schema(n))
}

// evalAll evaluates expressions without columns.
func (q *Query) evalAll(es []planner.Expr) ([]types.Datum, error) {
	out := make([]types.Datum, len(es))
	for i, e := range es {
		var err error
		if out[i], err = expr.Eval(e, q.Env); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// cancelIter ends a leaf when the query's context ends.
type cancelIter struct {
	Iter
	q *Query
}

func (it *cancelIter) Next() (*vec.Batch, error) {
	if err := it.q.Env.Ctx.Err(); err != nil {
		return nil, err
	}
	return it.Iter.Next()
}

func (q *Query) openValues(n *planner.Values) (Iter, error) {
	rows := &rowSet{schema: schema(n)}
	b := vec.NewBatch(rows.schema, len(n.Rows))
	for _, r := range n.Rows {
		row, err := q.evalAll(r)
		if err != nil {
			return nil, err
		}
		for c, d := range row {
			b.Cols[c].AppendDatum(d)
		}
	}
	b.SetLen(len(n.Rows))
	rows.batches, rows.n = []*vec.Batch{b}, len(n.Rows)
	return rows.iter(), q.Memory.grow(b.MemSize())
}

type filterIter struct {
	q    *Query
	in   Iter
	cond *expr.Program
	ts   []types.Type
	out  *vec.Batch // of the rows of a batch that pass in part; made when the first does
	errs expr.Errors
	sel  []int32
	hit  []int32
}

func (q *Query) openFilter(in planner.Node, cond planner.Expr) (Iter, error) {
	it, err := q.open(in)
	if err != nil {
		return nil, err
	}
	return q.filter(it, cond, schema(in))
}

func (q *Query) filter(in Iter, cond planner.Expr, ts []types.Type) (Iter, error) {
	p, err := expr.Compile(cond)
	if err != nil {
		in.Close()
		return nil, err
	}
	return &filterIter{q: q, in: in, cond: p, ts: ts}, nil
}

func (it *filterIter) Next() (*vec.Batch, error) {
	for {
		b, err := it.in.Next()
		if err != nil || b == nil {
			return nil, err
		}
		it.errs.Reset(b.Len())
		it.sel = vec.All(it.sel[:0], b.Len())
		v := it.cond.Eval(it.q.Env, b, it.sel, &it.errs)
		if err := it.errs.First(); err != nil {
			return nil, err
		}
		it.hit = vec.True(it.hit[:0], v, it.sel)
		switch len(it.hit) {
		case 0:
			continue
		case b.Len():
			return b, nil
		}
		if dataBytes(b) > maxCopyBytes {
			return nil, errBatchTooLarge
		}
		if it.out == nil {
			it.out = vec.NewBatch(it.ts, min(batchRows, b.Len()))
		}
		it.out.Reset()
		it.out.AppendGather(b, it.hit)
		return it.out, nil
	}
}

func (it *filterIter) Close() { it.in.Close() }

type limitIter struct {
	in           Iter
	skip, remain int64 // remain < 0: no limit
	out          *vec.Batch
	// tie holds the sort keys of WITH TIES and the last row's values of them.
	q    *Query
	ties []*expr.Program
	keys []planner.SortKey
	last []types.Datum
}

func (q *Query) openLimit(n *planner.Limit) (Iter, error) {
	it := &limitIter{q: q, remain: -1}
	for _, b := range []struct {
		e    planner.Expr
		what *int64
		name string
	}{{n.Limit, &it.remain, "LIMIT"}, {n.Offset, &it.skip, "OFFSET"}} {
		if b.e == nil {
			continue
		}
		d, err := expr.Eval(b.e, q.Env)
		if err != nil {
			return nil, err
		}
		if d.Null {
			continue
		}
		if d.I < 0 {
			return nil, negative(b.name)
		}
		*b.what = d.I
	}
	in, err := q.openLimited(n, it.skip, it.remain)
	if err != nil {
		return nil, err
	}
	it.in, it.out = in, vec.NewBatch(schema(n.In), batchRows)
	if s, ok := n.In.(*planner.Sort); ok && n.WithTies {
		it.keys = s.By
		for _, k := range s.By {
			p, err := expr.Compile(k.Expr)
			if err != nil {
				in.Close()
				return nil, err
			}
			it.ties = append(it.ties, p)
		}
	}
	return it, nil
}

// openLimited opens the input of a LIMIT. A sort of which only the first rows are wanted need not hold the others.
func (q *Query) openLimited(n *planner.Limit, skip, limit int64) (Iter, error) {
	s, ok := n.In.(*planner.Sort)
	if !ok || n.WithTies || limit < 0 || limit > maxTopN || skip > maxTopN-limit {
		return q.open(n.In)
	}
	return q.counted(s, func() (Iter, error) { return q.openTopN(s, int(skip+limit)) })
}

func (it *limitIter) Next() (*vec.Batch, error) {
	for it.remain != 0 || it.last != nil {
		b, err := it.in.Next()
		if err != nil || b == nil {
			return nil, err
		}
		from := 0
		if it.skip > 0 {
			from = int(min(it.skip, int64(b.Len())))
			it.skip -= int64(from)
		}
		n := int64(b.Len() - from)
		if it.remain >= 0 {
			n = min(n, it.remain)
			it.remain -= n
		}
		to := from + int(n)
		if it.remain == 0 && it.ties != nil {
			if to, err = it.extend(b, from, to); err != nil {
				return nil, err
			}
		}
		if to == from {
			continue
		}
		if from == 0 && to == b.Len() {
			return b, nil
		}
		it.out.Reset()
		for i := from; i < to; i++ {
			it.out.AppendRow(b, i, vec.Insert)
		}
		return it.out, nil
	}
	return nil, nil
}

// extend moves the end past rows that tie with the last one.
func (it *limitIter) extend(b *vec.Batch, from, to int) (int, error) {
	if it.last == nil && to > from {
		last, err := it.values(b, to-1)
		if err != nil {
			return 0, err
		}
		it.last = last
	}
	for ; to < b.Len(); to++ {
		row, err := it.values(b, to)
		if err != nil {
			return 0, err
		}
		for k := range row {
			if compareKey(it.keys[k], row[k], it.last[k]) != 0 {
				it.last = nil
				it.ties = nil
				return to, nil
			}
		}
	}
	return to, nil
}

func (it *limitIter) values(b *vec.Batch, row int) ([]types.Datum, error) {
	out := make([]types.Datum, len(it.ties))
	for k, p := range it.ties {
		var err error
		if out[k], err = p.Scalar(it.q.Env, b, row); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (it *limitIter) Close() { it.in.Close() }
