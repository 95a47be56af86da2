package bounded

import (
	"math"

	"github.com/millracedb/millrace/exec/expr"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// joinIter is a hash join, or without keys a nested loop: the right side is held, the left side streams batch by batch. Candidates of many
// left rows are gathered before the condition is evaluated over them.
type joinIter struct {
	q     *Query
	n     *planner.Join
	left  Iter
	right *joinTable
	lkeys []*expr.Program
	cond  *expr.Program

	lwidth    int
	leftTexts bool // the left rows have texts, which count towards the size of a batch
	// laterTime: both sides are streams or both are tables, so a pair's event time is the later of the two. Otherwise it is the left row's.
	laterTime bool

	pairs   *vec.Batch // candidates: left columns, then right columns
	owners  []int32    // left row of each candidate
	matches []int32    // right row of each candidate
	out     *vec.Batch
	rest    Iter // right rows without partner, at the end
	errs    expr.Errors
	sel     []int32

	batch   *vec.Batch // left batch in progress, nil before the first
	keys    []*vec.Vector
	row     int    // the left row whose candidates come next
	cand    int32  // its next candidate, noRow when it has no more
	inRow   bool   // cand is set
	matched []bool // left rows that found a partner
}

func (q *Query) openJoin(n *planner.Join) (Iter, error) {
	if n.Lateral {
		return q.openLateral(n)
	}
	left, err := q.open(n.L)
	if err != nil {
		return nil, err
	}
	it := &joinIter{q: q, n: n, left: left, lwidth: len(schema(n.L)), out: vec.NewBatch(schema(n), batchRows)}
	it.pairs = vec.NewBatch(append(schema(n.L), schema(n.R)...), batchRows)
	it.leftTexts = hasTexts(schema(n.L))
	it.laterTime = isStream(n.L) == isStream(n.R)
	if err := it.prepare(); err != nil {
		left.Close()
		return nil, err
	}
	return it, nil
}

// isStream reports whether the rows of a node are those of a stream, whose time leads a table's.
func isStream(n planner.Node) bool {
	switch n := n.(type) {
	case *planner.Scan:
		return n.Rel.Kind == planner.Stream
	case *planner.Aggregate:
		return false
	}
	in := n.Inputs()
	return len(in) > 0 && isStream(in[0])
}

func (it *joinIter) prepare() error {
	var err error
	if it.n.Cond != nil {
		if it.cond, err = expr.Compile(it.n.Cond); err != nil {
			return err
		}
	}
	if it.lkeys, err = expr.CompileAll(it.n.LKeys); err != nil {
		return err
	}
	it.right, err = it.q.buildJoinTable(it.n)
	return err
}

func (it *joinIter) Next() (*vec.Batch, error) {
	for it.rest == nil {
		if it.batch == nil || it.row == it.batch.Len() {
			done, err := it.nextBatch()
			if err != nil {
				return nil, err
			}
			if done {
				it.rest = it.right.unmatched(it.n, it.lwidth)
				break
			}
		}
		if err := it.q.Env.Ctx.Err(); err != nil { // one batch of left rows may have any number of candidates
			return nil, err
		}
		b, err := it.step()
		if err != nil {
			return nil, err
		}
		if b != nil && b.Len() > 0 {
			return b, nil
		}
	}
	return it.rest.Next()
}

// nextBatch takes the next left batch and evaluates its keys.
func (it *joinIter) nextBatch() (done bool, err error) {
	if it.batch, err = it.left.Next(); err != nil || it.batch == nil {
		return true, err
	}
	n := it.batch.Len()
	it.row, it.inRow = 0, false
	it.matched = append(it.matched[:0], make([]bool, n)...)
	it.errs.Reset(n)
	it.sel = vec.All(it.sel[:0], n)
	it.keys = it.keys[:0]
	for _, p := range it.lkeys {
		it.keys = append(it.keys, p.Eval(it.q.Env, it.batch, it.sel, &it.errs))
	}
	return false, it.errs.First()
}

// step gathers a batch of candidates and decides them. With the last candidates of a left batch come the left rows that are owed on their own.
func (it *joinIter) step() (*vec.Batch, error) {
	it.owners, it.matches = it.owners[:0], it.matches[:0]
	size := 0
	for it.row < it.batch.Len() && len(it.owners) < batchRows && size < maxBatchBytes {
		if !it.inRow {
			it.cand, it.inRow = it.right.first(it.keys, it.row), true
		}
		left := 0
		if it.leftTexts {
			left = rowBytes(it.batch, it.row)
		}
		for it.cand != noRow && len(it.owners) < batchRows && size < maxBatchBytes {
			size += left + it.right.rowBytes(it.cand)
			it.owners = append(it.owners, int32(it.row))
			it.matches = append(it.matches, it.cand)
			it.cand = it.right.after(it.cand)
			if it.cond == nil && it.halfJoin() {
				it.cand = noRow // one partner is enough
			}
		}
		if it.cand == noRow {
			it.row++
			it.inRow = false
		}
	}
	b, err := it.decide()
	if err != nil || it.row < it.batch.Len() {
		return b, err
	}
	return it.owed(b), nil
}

// halfJoin reports whether only left rows leave the join.
func (it *joinIter) halfJoin() bool {
	return it.n.Kind == planner.SemiJoin || it.n.Kind == planner.AntiJoin
}

// decide tests the candidates, notes who found a partner and returns the joined rows.
func (it *joinIter) decide() (*vec.Batch, error) {
	n := len(it.owners)
	if n == 0 {
		return nil, nil
	}
	if it.cond == nil && it.halfJoin() {
		for _, owner := range it.owners {
			it.matched[owner] = true
		}
		return nil, nil
	}
	it.gather()
	it.sel = vec.All(it.sel[:0], n)
	hits := it.sel
	if it.cond != nil {
		it.errs.Reset(n)
		v := it.cond.Eval(it.q.Env, it.pairs, it.sel, &it.errs)
		if err := it.errs.First(); err != nil {
			return nil, err
		}
		hits = vec.True(nil, v, it.sel)
	}
	for _, h := range hits {
		it.matched[it.owners[h]] = true
		it.right.mark(it.matches[h])
	}
	switch {
	case it.halfJoin():
		return nil, nil
	case len(hits) == n:
		return it.pairs, nil
	}
	it.out.Reset()
	it.out.AppendGather(it.pairs, hits)
	return it.out, nil
}

// gather makes the pairs of the candidates.
func (it *joinIter) gather() {
	it.pairs.Reset()
	for c, col := range it.pairs.Cols[:it.lwidth] {
		col.AppendGather(it.batch.Cols[c], it.owners)
	}
	it.right.gather(it.pairs.Cols[it.lwidth:], it.matches)
	it.pairs.SetLen(len(it.owners))
	if it.batch.Rowtime == nil {
		return
	}
	for i, owner := range it.owners {
		t := it.batch.Rowtime[owner]
		if it.laterTime {
			t = max(t, it.right.rowtime(it.matches[i]))
		}
		it.pairs.Rowtime = append(it.pairs.Rowtime, t)
	}
}

// owed appends to the joined rows the left rows of the finished batch that leave alone: those of a semi join with partner, of an anti or
// outer join without.
func (it *joinIter) owed(joined *vec.Batch) *vec.Batch {
	want := false
	switch it.n.Kind {
	case planner.SemiJoin:
		want = true
	case planner.AntiJoin, planner.LeftJoin, planner.FullJoin:
	default:
		return joined
	}
	it.sel = it.sel[:0]
	for i, m := range it.matched {
		if m == want {
			it.sel = append(it.sel, int32(i))
		}
	}
	if len(it.sel) == 0 {
		return joined
	}
	if joined == nil {
		it.out.Reset()
		joined = it.out
	}
	for c, col := range joined.Cols {
		if c < it.lwidth {
			col.AppendGather(it.batch.Cols[c], it.sel)
			continue
		}
		for range it.sel {
			col.AppendNull()
		}
	}
	joined.SetLen(joined.Len() + len(it.sel))
	if it.batch.Rowtime != nil {
		for _, i := range it.sel {
			joined.Rowtime = append(joined.Rowtime, it.batch.Rowtime[i])
		}
	}
	return joined
}

func (it *joinIter) Close() { it.left.Close() }

// noRow ends a chain of rows.
const noRow int32 = -1

// joinTable holds the right side of a join: its rows numbered through, and chained by equal keys.
type joinTable struct {
	set  *rowSet
	refs []rowRef
	// With keys: the first row of a key, and behind each row the next of the same key. An integer key needs no encoding.
	byKey  map[string]int32
	byInt  *intIndex
	firsts []int32 // by the number of an integer key
	next   []int32
	types  []types.Type
	texts  bool // the rows have texts
	keyBuf []byte
	hit    []bool // rows that found a partner, for RIGHT and FULL
}

// joinRowBytes is what a row of the table is charged beyond its values, and joinIntBytes where the key is an integer.
const (
	joinRowBytes = 64
	joinIntBytes = 8 + 4 + 4 + intEntryBytes
)

func (q *Query) buildJoinTable(n *planner.Join) (*joinTable, error) {
	in, err := q.open(n.R)
	if err != nil {
		return nil, err
	}
	t := &joinTable{types: argTypes(n.RKeys), texts: hasTexts(schema(n.R))}
	if t.set, err = q.all(in, schema(n.R)); err != nil {
		return nil, err
	}
	t.refs = t.set.refs()
	charge := joinRowBytes
	if len(t.types) == 1 && t.types[0].Kind.Storage() == types.StoreInt && n.LKeys[0].Type().Kind.Storage() == types.StoreInt {
		t.byInt, charge = &intIndex{}, joinIntBytes
	}
	if err := q.Memory.grow(len(t.refs) * charge); err != nil {
		return nil, err
	}
	if n.Kind == planner.RightJoin || n.Kind == planner.FullJoin {
		t.hit = make([]bool, len(t.refs))
	}
	if len(n.RKeys) == 0 {
		return t, nil
	}
	cols, err := q.evalColumns(n.RKeys, t.set)
	if err != nil {
		return nil, err
	}
	t.index(cols)
	return t, nil
}

// index chains the rows by key, from the last to the first, so that a chain is in the order of the rows. Rows with a NULL key match nothing.
func (t *joinTable) index(cols [][]*vec.Vector) {
	t.next = make([]int32, len(t.refs))
	t.byKey = map[string]int32{}
	for i := len(t.refs) - 1; i >= 0; i-- {
		ref := t.refs[i]
		keys, row := cols[ref.batch], int(ref.row)
		t.next[i] = noRow
		if t.byInt != nil {
			if !keys[0].IsNull(row) {
				t.chain(i, keys[0].I64[row])
			}
			continue
		}
		if !t.encode(keys, row) {
			continue
		}
		if first, ok := t.byKey[string(t.keyBuf)]; ok {
			t.next[i] = first
		}
		t.byKey[string(t.keyBuf)] = int32(i)
	}
}

// chain puts row i before the others of its integer key.
func (t *joinTable) chain(i int, key int64) {
	n, fresh := t.byInt.add(key)
	if fresh {
		t.firsts = append(t.firsts, int32(i))
		return
	}
	t.next[i], t.firsts[n] = t.firsts[n], int32(i)
}

// encode puts the key of a row into keyBuf; false if a part is NULL.
func (t *joinTable) encode(cols []*vec.Vector, row int) bool {
	t.keyBuf = t.keyBuf[:0]
	for k, v := range cols {
		if v.IsNull(row) {
			return false
		}
		t.keyBuf = types.AppendKey(t.keyBuf, t.types[k], v.View(row))
	}
	return true
}

// first returns the first candidate for a left row.
func (t *joinTable) first(keys []*vec.Vector, row int) int32 {
	var at int32
	var ok bool
	switch {
	case len(keys) == 0:
		ok = len(t.refs) > 0
	case t.byInt != nil:
		if !keys[0].IsNull(row) {
			if n := t.byInt.find(keys[0].I64[row]); n >= 0 {
				at, ok = t.firsts[n], true
			}
		}
	default:
		if ok = t.encode(keys, row); ok {
			at, ok = t.byKey[string(t.keyBuf)]
		}
	}
	if !ok {
		return noRow
	}
	return at
}

// after returns the candidate that follows row i.
func (t *joinTable) after(i int32) int32 {
	if t.next != nil {
		return t.next[i]
	}
	if int(i)+1 == len(t.refs) {
		return noRow
	}
	return i + 1
}

// rowtime returns a row's event time, the earliest there is if it has none.
func (t *joinTable) rowtime(i int32) int64 {
	ref := t.refs[i]
	if times := t.set.batches[ref.batch].Rowtime; times != nil {
		return times[ref.row]
	}
	return math.MinInt64
}

func (t *joinTable) mark(i int32) {
	if t.hit != nil {
		t.hit[i] = true
	}
}

func (t *joinTable) rowBytes(i int32) int {
	if !t.texts {
		return 0
	}
	ref := t.refs[i]
	return rowBytes(t.set.batches[ref.batch], int(ref.row))
}

// gather appends the rows to the columns.
func (t *joinTable) gather(cols []*vec.Vector, rows []int32) {
	for c, col := range cols {
		for _, i := range rows {
			ref := t.refs[i]
			col.AppendRow(t.set.batches[ref.batch].Cols[c], int(ref.row))
		}
	}
}

// unmatched yields the rows of RIGHT and FULL joins that found no partner, behind NULLs for the left side.
func (t *joinTable) unmatched(n *planner.Join, lwidth int) Iter {
	var rows []int32
	for i, hit := range t.hit {
		if !hit {
			rows = append(rows, int32(i))
		}
	}
	return &unmatchedIter{t: t, rows: rows, lwidth: lwidth, out: vec.NewBatch(schema(n), min(len(rows), batchRows))}
}

type unmatchedIter struct {
	t      *joinTable
	rows   []int32
	lwidth int
	out    *vec.Batch
}

func (it *unmatchedIter) Next() (*vec.Batch, error) {
	n := min(len(it.rows), batchRows)
	if n == 0 {
		return nil, nil
	}
	it.out.Reset()
	for _, col := range it.out.Cols[:it.lwidth] {
		for range n {
			col.AppendNull()
		}
	}
	it.t.gather(it.out.Cols[it.lwidth:], it.rows[:n])
	if it.t.set.batches[0].Rowtime != nil {
		for _, i := range it.rows[:n] {
			it.out.Rowtime = append(it.out.Rowtime, it.t.rowtime(i))
		}
	}
	it.out.SetLen(n)
	it.rows = it.rows[n:]
	return it.out, nil
}

func (it *unmatchedIter) Close() {}
