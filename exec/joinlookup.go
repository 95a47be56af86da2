package exec

import (
	"github.com/millracedb/millrace/exec/expr"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/planner"
)

// Ports of a join.
const (
	portLeft  = 0
	portRight = 1
)

// lookupJoin is stream-table: the left stream drives, the right table is looked up as it is when the stream's row comes. The
// table's rows are state, grouped by join key, within it by the table's change key.
type lookupJoin struct {
	cx       *opContext
	n        *planner.Join
	to       edge
	lkeys    *evaluator
	rkeys    *evaluator
	rchange  []int
	matcher  matcher
	rows     *stateTable
	cand     *vec.Batch // candidate pairs of one batch
	candLeft []int32    // the left row of each candidate
	out      *vec.Batch
	outClock []int64
	cols     []*vec.Vector
	kbuf     []byte
	rbuf     []byte
	vbuf     []byte
	right    *vec.Batch
}

func newLookupJoin(cx *opContext, n *planner.Join, to edge) (*lookupJoin, error) {
	j := &lookupJoin{
		cx: cx, n: n, to: to, rchange: n.R.Props().ChangeKey, rows: newStateTable(cx.state, n.P.OpID, portRight),
		cand: vec.NewBatch(schemaOf(n), 0), out: vec.NewBatch(schemaOf(n), 0), right: vec.NewBatch(schemaOf(n.R), 0),
	}
	var err error
	if j.lkeys, err = newEvaluator(cx, n.LKeys); err != nil {
		return nil, err
	}
	if j.rkeys, err = newEvaluator(cx, n.RKeys); err != nil {
		return nil, err
	}
	j.matcher, err = newMatcher(cx, n.Cond)
	return j, err
}

func (j *lookupJoin) push(in chunk, port int) error {
	if port == portRight {
		return j.pushTable(in)
	}
	return j.pushStream(in)
}

// pushTable keeps the table's rows. A key that fails or is NULL matches nothing, so such a row is not kept.
func (j *lookupJoin) pushTable(in chunk) error {
	keys := j.rkeys.evalAll(in.Batch)
	j.rkeys.reportAdds(in.Batch)
	for i := range in.Len() {
		if j.rkeys.errs.Has(int32(i)) || anyNull(keys, i) {
			continue
		}
		j.kbuf = appendKeyCols(j.kbuf[:0], keys, i)
		j.cols = pick(j.cols, in.Cols, j.rchange)
		j.rbuf = appendKeyCols(j.rbuf[:0], j.cols, i)
		var err error
		if in.Op(i).Adds() {
			j.vbuf = appendRowValue(j.vbuf[:0], in.Batch, i)
			err = j.rows.put(j.kbuf, j.rbuf, j.vbuf)
		} else {
			err = j.rows.del(j.kbuf, j.rbuf)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// pushStream gathers candidate pairs for the whole batch, tests the condition on them at once, and emits in the stream's order.
func (j *lookupJoin) pushStream(in chunk) error {
	keys := j.lkeys.evalAll(in.Batch)
	j.lkeys.reportAdds(in.Batch)
	j.cand.Reset()
	j.candLeft = j.candLeft[:0]
	for i := range in.Len() {
		if j.lkeys.errs.Has(int32(i)) || anyNull(keys, i) {
			continue
		}
		j.kbuf = appendKeyCols(j.kbuf[:0], keys, i)
		err := j.rows.each(j.kbuf, func(_ int32, _, val []byte) error {
			j.right.Reset()
			if err := appendFromRowValue(j.right, val, vec.Insert); err != nil {
				return err
			}
			appendPair(j.cand, in.Batch, i, j.right, 0)
			j.candLeft = append(j.candLeft, int32(i))
			return nil
		})
		if err != nil {
			return err
		}
	}
	match := j.matcher.match(j.cand)
	return j.emit(in, match)
}

func (j *lookupJoin) emit(in chunk, match func(int) bool) error {
	j.out.Reset()
	j.outClock = j.outClock[:0]
	next := 0
	for i := range in.Len() {
		matched := false
		for ; next < len(j.candLeft) && int(j.candLeft[next]) == i; next++ {
			if match(next) {
				matched = true
				j.out.AppendRow(&vec.Batch{Cols: j.cand.Cols}, next, in.Op(i))
				j.finish(in, i)
			}
		}
		if !matched && j.n.Kind == planner.LeftJoin && !j.lkeys.errs.Has(int32(i)) {
			j.appendUnmatched(in, i)
			j.finish(in, i)
		}
	}
	var clock []int64
	if in.clock != nil {
		clock = j.outClock
	}
	return j.to.send(chunk{j.out, clock})
}

func (j *lookupJoin) appendUnmatched(in chunk, i int) {
	for c, col := range j.out.Cols {
		if c < len(in.Cols) {
			col.AppendRow(in.Cols[c], i)
		} else {
			col.AppendNull()
		}
	}
	j.out.AppendOp(in.Op(i))
	j.out.SetLen(j.out.Len() + 1)
}

// finish gives the row just appended the time and provenance of stream row i.
func (j *lookupJoin) finish(in chunk, i int) {
	meta := vec.Batch{Rowtime: in.Rowtime, Source: in.Source}
	own := vec.Batch{Rowtime: j.out.Rowtime, Source: j.out.Source}
	own.AppendRow(&meta, i, vec.Insert)
	j.out.Rowtime, j.out.Source = own.Rowtime, own.Source
	if in.clock != nil {
		j.outClock = append(j.outClock, in.clock[i])
	}
}

func (j *lookupJoin) flush(int64) error {
	j.rows.flush()
	return nil
}

// anyNull reports whether a key column of row i is NULL.
func anyNull(keys []*vec.Vector, i int) bool {
	for _, k := range keys {
		if k.IsNull(i) {
			return true
		}
	}
	return false
}

// appendPair appends the columns of row l of left and row r of right.
func appendPair(dst, left *vec.Batch, l int, right *vec.Batch, r int) {
	for c, col := range left.Cols {
		dst.Cols[c].AppendRow(col, l)
	}
	for c, col := range right.Cols {
		dst.Cols[len(left.Cols)+c].AppendRow(col, r)
	}
	dst.SetLen(dst.Len() + 1)
}

// matcher tests a join's further condition on candidate pairs.
type matcher struct {
	cx   *opContext
	cond *expr.Program
	errs expr.Errors
	sel  []int32
}

func newMatcher(cx *opContext, cond planner.Expr) (matcher, error) {
	if cond == nil {
		return matcher{}, nil
	}
	p, err := expr.Compile(cond)
	return matcher{cx: cx, cond: p}, err
}

// match returns a test of the pairs of cand. A pair whose condition fails to evaluate is an error row and no match.
func (m *matcher) match(cand *vec.Batch) func(i int) bool {
	if m.cond == nil || cand.Len() == 0 {
		return func(int) bool { return true }
	}
	m.errs.Reset(cand.Len())
	m.sel = vec.All(m.sel[:0], cand.Len())
	v := m.cond.Eval(m.cx.env, cand, m.sel, &m.errs)
	for _, f := range m.errs.List() {
		m.cx.errors.plain(errEval, f.Err)
	}
	return func(i int) bool { return !m.errs.Has(int32(i)) && v.Bool(i) }
}
