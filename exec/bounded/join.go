package bounded

import (
	"github.com/millracedb/millrace/exec/expr"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// joinIter is a hash join, or without keys a nested loop: the right side is held, the left side streams. A lateral right
// side is opened anew for each left row.
type joinIter struct {
	q     *Query
	n     *planner.Join
	left  Iter
	lkeys []*expr.Program
	cond  *expr.Program
	right *rowSet
	hash  map[string][]rowRef
	every []rowRef // all right rows, when there are no keys
	hit   [][]bool // right rows that found a partner, for RIGHT and FULL

	leftSchema []types.Type
	pairs      *vec.Batch // candidates: left columns, then right columns
	refs       []rowRef   // right row of each candidate
	out        *vec.Batch
	rest       Iter // unmatched right rows at the end
	ended      bool
	errs       expr.Errors
	sel        []int32
	keyBuf     []byte

	batch   *vec.Batch // left batch in progress
	row     int        // next left row
	cand    []rowRef   // what is left of the current row's candidates
	matched bool       // the current row found a partner
	inRow   bool
}

func (q *Query) openJoin(n *planner.Join) (Iter, error) {
	it := &joinIter{q: q, n: n, leftSchema: schema(n.L)}
	var err error
	if it.left, err = q.open(n.L); err != nil {
		return nil, err
	}
	it.pairs = vec.NewBatch(append(append([]types.Type{}, it.leftSchema...), schema(n.R)...), batchRows)
	it.out = vec.NewBatch(schema(n), batchRows)
	if n.Cond != nil {
		if it.cond, err = expr.Compile(n.Cond); err != nil {
			it.Close()
			return nil, err
		}
	}
	if !n.Lateral {
		if err = it.build(); err != nil {
			it.Close()
			return nil, err
		}
	}
	return it, nil
}

// build reads the right side and hashes it.
func (it *joinIter) build() error {
	in, err := it.q.open(it.n.R)
	if err != nil {
		return err
	}
	if it.right, err = it.q.all(in, schema(it.n.R)); err != nil {
		return err
	}
	if it.n.Kind == planner.RightJoin || it.n.Kind == planner.FullJoin {
		it.hit = make([][]bool, len(it.right.batches))
		for i, b := range it.right.batches {
			it.hit[i] = make([]bool, b.Len())
		}
	}
	if len(it.n.LKeys) == 0 {
		it.every = it.right.refs()
		return nil
	}
	if it.lkeys, err = expr.CompileAll(it.n.LKeys); err != nil {
		return err
	}
	cols, err := it.q.evalColumns(it.n.RKeys, it.right)
	if err != nil {
		return err
	}
	it.hash = make(map[string][]rowRef, it.right.n)
	for bi, b := range it.right.batches {
		for ri := range b.Len() {
			key, ok := joinKey(it.keyBuf[:0], it.n.RKeys, cols[bi], ri)
			it.keyBuf = key
			if ok {
				it.hash[string(key)] = append(it.hash[string(key)], rowRef{int32(bi), int32(ri)})
			}
		}
	}
	return it.q.Memory.grow(it.right.n * 48)
}

// joinKey encodes the key columns of a row; false if one is NULL, for NULL keys match nothing.
func joinKey(dst []byte, keys []planner.Expr, cols []*vec.Vector, row int) ([]byte, bool) {
	for k, v := range cols {
		if v.IsNull(row) {
			return dst, false
		}
		dst = types.AppendKey(dst, keys[k].Type(), v.View(row))
	}
	return dst, true
}

func (it *joinIter) Next() (*vec.Batch, error) {
	for !it.ended {
		b, err := it.step()
		if err != nil {
			return nil, err
		}
		if b != nil && b.Len() > 0 {
			return b, nil
		}
	}
	if it.rest == nil {
		it.rest = it.unmatchedRight()
	}
	return it.rest.Next()
}

// step gathers a batch of candidates from as many left rows as fit, and decides them.
func (it *joinIter) step() (*vec.Batch, error) {
	it.out.Reset()
	it.pairs.Reset()
	it.refs = it.refs[:0]
	for it.pairs.Len() < batchRows && it.out.Len() < batchRows {
		if !it.inRow {
			more, err := it.nextLeft()
			if err != nil {
				return nil, err
			}
			if !more {
				break
			}
		}
		if it.n.Lateral {
			if err := it.lateral(); err != nil {
				return nil, err
			}
			continue
		}
		n := min(batchRows-it.pairs.Len(), len(it.cand))
		for _, ref := range it.cand[:n] {
			it.pair(it.right.batches[ref.batch], int(ref.row), ref)
		}
		it.cand = it.cand[n:]
		if len(it.cand) > 0 {
			break
		}
		if err := it.decide(); err != nil {
			return nil, err
		}
		it.endRow()
	}
	return it.out, it.decide()
}

// nextLeft goes to the next left row and looks up its candidates.
func (it *joinIter) nextLeft() (bool, error) {
	for it.batch == nil || it.row == it.batch.Len() {
		var err error
		if it.batch, err = it.left.Next(); err != nil {
			return false, err
		}
		if it.batch == nil {
			it.ended = true
			return false, nil
		}
		it.row = 0
	}
	it.inRow, it.matched = true, false
	it.cand = it.every
	if len(it.lkeys) == 0 {
		return true, nil
	}
	it.keyBuf = it.keyBuf[:0]
	it.cand = nil
	for k, p := range it.lkeys {
		d, err := p.Scalar(it.q.Env, it.batch, it.row)
		if err != nil {
			return false, err
		}
		if d.Null {
			return true, nil
		}
		it.keyBuf = types.AppendKey(it.keyBuf, it.n.LKeys[k].Type(), d)
	}
	it.cand = it.hash[string(it.keyBuf)]
	return true, nil
}

// pair appends a candidate: the current left row with a right row.
func (it *joinIter) pair(b *vec.Batch, row int, ref rowRef) {
	nl := len(it.leftSchema)
	for c, col := range it.pairs.Cols {
		if c < nl {
			col.AppendRow(it.batch.Cols[c], it.row)
		} else {
			col.AppendRow(b.Cols[c-nl], row)
		}
	}
	it.pairs.SetLen(it.pairs.Len() + 1)
	it.refs = append(it.refs, ref)
}

// decide tests the candidates of the current left row and emits those that hold.
func (it *joinIter) decide() error {
	n := it.pairs.Len()
	if n == 0 {
		return nil
	}
	it.sel = vec.All(it.sel[:0], n)
	hits := it.sel
	if it.cond != nil {
		it.errs.Reset(n)
		v := it.cond.Eval(it.q.Env, it.pairs, it.sel, &it.errs)
		if err := it.errs.First(); err != nil {
			return err
		}
		hits = vec.True(nil, v, it.sel)
	}
	if len(hits) > 0 {
		it.matched = true
		switch it.n.Kind {
		case planner.SemiJoin, planner.AntiJoin:
		default:
			if it.hit != nil {
				for _, h := range hits {
					it.hit[it.refs[h].batch][it.refs[h].row] = true
				}
			}
			it.out.AppendGather(it.pairs, hits)
		}
	}
	it.pairs.Reset()
	it.refs = it.refs[:0]
	return nil
}

// endRow emits what a left row without partners, or a semi join's row, owes.
func (it *joinIter) endRow() {
	switch it.n.Kind {
	case planner.SemiJoin:
		if it.matched {
			it.emitLeft(false)
		}
	case planner.AntiJoin:
		if !it.matched {
			it.emitLeft(false)
		}
	case planner.LeftJoin, planner.FullJoin:
		if !it.matched {
			it.emitLeft(true)
		}
	}
	it.inRow = false
	it.row++
}

// emitLeft appends the current left row, followed by NULLs if padded.
func (it *joinIter) emitLeft(padded bool) {
	nl := len(it.leftSchema)
	for c, col := range it.out.Cols {
		switch {
		case c < nl:
			col.AppendRow(it.batch.Cols[c], it.row)
		case padded:
			col.AppendNull()
		}
	}
	it.out.SetLen(it.out.Len() + 1)
}

// lateral runs the right side for the current left row.
func (it *joinIter) lateral() error {
	env := *it.q.Env
	env.Outer = append(append([][]types.Datum{}, env.Outer...), it.batch.Row(it.row))
	inner := &Query{Env: &env, Source: it.q.Source, Memory: it.q.Memory, work: it.q.work}
	right, err := inner.open(it.n.R)
	if err != nil {
		return err
	}
	defer right.Close()
	for {
		b, err := right.Next()
		if err != nil {
			return err
		}
		if b == nil {
			break
		}
		for i := range b.Len() {
			it.pair(b, i, rowRef{})
		}
		if err := it.decide(); err != nil {
			return err
		}
	}
	it.endRow()
	return nil
}

// unmatchedRight yields the right rows of RIGHT and FULL joins that found no partner.
func (it *joinIter) unmatchedRight() Iter {
	rows := &rowSet{schema: schema(it.n)}
	nl := len(it.leftSchema)
	for i, hits := range it.hit {
		b := vec.NewBatch(rows.schema, len(hits))
		n := 0
		for r, hit := range hits {
			if hit {
				continue
			}
			for c, col := range b.Cols {
				if c < nl {
					col.AppendNull()
				} else {
					col.AppendRow(it.right.batches[i].Cols[c-nl], r)
				}
			}
			n++
		}
		b.SetLen(n)
		rows.batches = append(rows.batches, b)
	}
	return rows.iter()
}

func (it *joinIter) Close() { it.left.Close() }
