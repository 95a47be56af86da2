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

// lookupJoin is stream-table: the left stream drives, the right table is looked up as it is when the stream's row comes, or of a table with
// history as it was at the row's time. The table's rows are state, grouped by join key, within it by the table's change key; with history, versions.
//
// Pairs are gathered for a whole batch, or a page of it where a key has many rows, tested at once, and leave in the stream's order.
type lookupJoin struct {
	cx      *opContext
	n       *planner.Join
	to      edge
	lkeys   *evaluator
	rkeys   *evaluator
	rchange []int
	matcher matcher
	rows    *stateTable // nil with history
	past    *joinHistory

	left  []int32    // the stream's row of each pair
	right *vec.Batch // the table's
	pairs vec.Batch  // both, for the condition
	lcols []*vec.Vector

	next     int32 // first row of the batch that is not done
	hit      bool  // it has left with a pair
	outLeft  []int32
	outRight []int32
	alone    bool // rows without a pair are among them
	out      *vec.Batch
	view     vec.Batch
	outClock []int64

	cols []*vec.Vector
	kbuf []byte
	rbuf []byte
	vbuf []byte
}

func newLookupJoin(cx *opContext, n *planner.Join, to edge) (*lookupJoin, error) {
	j := &lookupJoin{
		cx: cx, n: n, to: to, rchange: n.R.Props().ChangeKey,
		right: vec.NewBatch(schemaOf(n.R), 0), out: vec.NewBatch(schemaOf(n), 0), lcols: vec.NewBatch(schemaOf(n.L), 0).Cols,
	}
	if n.HistoryMs > 0 {
		j.past = newJoinHistory(cx, n)
	} else {
		j.rows = newStateTable(cx.state, n.P.OpID, portRight)
	}
	j.pairs.Cols = append(append(j.pairs.Cols, j.lcols...), j.right.Cols...)
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
		if j.past != nil {
			j.past.put(j.kbuf, in.Batch, i)
			continue
		}
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

// pushStream looks up the rows of a batch. Those whose key fails take no part.
func (j *lookupJoin) pushStream(in chunk) error {
	keys := j.lkeys.evalAll(in.Batch)
	j.lkeys.reportAdds(in.Batch)
	j.next, j.hit = 0, false
	if j.past != nil {
		j.past.begin(in)
	}
	for i := range in.Len() {
		if j.lkeys.errs.Has(int32(i)) || anyNull(keys, i) {
			continue
		}
		j.kbuf = appendKeyCols(j.kbuf[:0], keys, i)
		if err := j.lookUp(in, int32(i)); err != nil {
			return err
		}
	}
	return j.page(in, int32(in.Len()))
}

// lookUp gathers the pairs of row i, whose key is in kbuf.
func (j *lookupJoin) lookUp(in chunk, i int32) error {
	if j.past != nil {
		if j.right.Len() >= maxPairs {
			if err := j.page(in, i); err != nil {
				return err
			}
		}
		found, err := j.past.find(j.right, j.kbuf, in, int(i))
		if found {
			j.left = append(j.left, i)
		}
		return err
	}
	return j.rows.each(j.kbuf, func(_ int32, _, val []byte) error {
		if j.right.Len() >= maxPairs {
			if err := j.page(in, i); err != nil {
				return err
			}
		}
		j.left = append(j.left, i)
		return appendFromRowValue(j.right, val, vec.Insert)
	})
}

// maxPairs is how many pairs of rows a join gathers before it tests them.
const maxPairs = 4 * outRows

// page sends on what the gathered pairs come to. Row more of the batch, and those after it, may have more of them.
func (j *lookupJoin) page(in chunk, more int32) error {
	match := func(int) bool { return true }
	if j.matcher.cond != nil {
		for c, col := range j.lcols {
			col.Reset()
			col.AppendGather(in.Cols[c], j.left)
		}
		j.pairs.SetLen(len(j.left))
		match = j.matcher.match(&j.pairs)
	}
	j.outLeft, j.outRight, j.alone = j.outLeft[:0], j.outRight[:0], false
	k := 0
	for row := j.next; row <= more && int(row) < in.Len(); row++ {
		for ; k < len(j.left) && j.left[k] == row; k++ {
			if match(k) && !(j.n.Mark && j.hit) {
				j.outLeft, j.outRight, j.hit = append(j.outLeft, row), append(j.outRight, int32(k)), true
			}
		}
		if row == more {
			break
		}
		if !j.hit && j.n.Kind == planner.LeftJoin && !j.lkeys.errs.Has(row) && !(j.past != nil && j.past.late[row]) {
			j.outLeft, j.outRight, j.alone = append(j.outLeft, row), append(j.outRight, vec.NoRow), true
		}
		j.hit = false
	}
	j.next = more
	err := j.send(in)
	j.left = j.left[:0]
	j.right.Reset()
	return err
}

// send gives the rows outLeft of the stream beside the rows outRight of what was looked up, with the stream's operations, times and provenance.
func (j *lookupJoin) send(in chunk) error {
	if len(j.outLeft) == 0 {
		return nil
	}
	nl := len(in.Cols)
	stream := vec.Batch{Cols: in.Cols, Ops: in.Ops, Rowtime: in.Rowtime, Source: in.Source}
	own := vec.Batch{Cols: j.out.Cols[:nl], Ops: j.out.Ops, Rowtime: j.out.Rowtime, Source: j.out.Source}
	own.Reset()
	if in.Source == nil {
		own.Source = nil
	}
	own.AppendGather(&stream, j.outLeft)
	j.out.Ops, j.out.Rowtime, j.out.Source = own.Ops, own.Rowtime, own.Source
	j.view = vec.Batch{Cols: append(j.view.Cols[:0], j.out.Cols...), Ops: own.Ops, Rowtime: own.Rowtime, Source: own.Source}
	if j.n.Mark {
		j.appendMarks(j.out.Cols[nl])
	} else {
		j.appendRight(nl)
	}
	j.view.SetLen(len(j.outLeft))
	var clock []int64
	if in.clock != nil {
		j.outClock = j.outClock[:0]
		for _, i := range j.outLeft {
			j.outClock = append(j.outClock, in.clock[i])
		}
		clock = j.outClock
	}
	return j.to.send(chunk{&j.view, clock})
}

// appendRight puts what was looked up beside the rows of the stream, which have nl columns.
func (j *lookupJoin) appendRight(nl int) {
	whole := len(j.outRight) == j.right.Len() && !j.alone // all pairs leave
	for c, col := range j.right.Cols {
		if whole {
			j.view.Cols[nl+c] = col
			continue
		}
		j.out.Cols[nl+c].Reset()
		j.out.Cols[nl+c].AppendGather(col, j.outRight)
	}
}

// appendMarks says of each row of the stream whether something was found for it.
func (j *lookupJoin) appendMarks(col *vec.Vector) {
	col.Reset()
	for _, r := range j.outRight {
		if r == vec.NoRow {
			col.AppendNull()
		} else {
			col.AppendInt(1)
		}
	}
}

func (j *lookupJoin) flush(now int64) error {
	if j.past != nil {
		return j.past.flush(now)
	}
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
