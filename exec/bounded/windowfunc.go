package bounded

import (
	"slices"

	"github.com/millracedb/millrace/exec/expr"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// windower computes OVER calls (PostgreSQL docs, 3.5, 4.2.8 and 9.22): it holds all rows, sorts them by partition and order, and goes through
// them partition by partition.
type windower struct {
	q     *Query
	n     *planner.WindowFunc
	rows  *rowSet
	refs  []rowRef // sorted
	part  *sortKeys
	order *sortKeys
	frame *frame
	calls []*windowCall

	// The partition in progress: refs[lo:hi], and for each of its rows the group of peers it is in.
	lo, hi int
	group  []int // per row of the partition
	starts []int // per group its first row, relative to lo; one more at the end
}

// windowCall is one call with the values of its arguments for every row, and its results in the order of refs.
type windowCall struct {
	agg    planner.Agg
	args   [][]*vec.Vector // per batch
	filter [][]*vec.Vector
	out    *vec.Vector
	row    []types.Datum
}

func (c *windowCall) arg(i int, r rowRef) types.Datum { return c.args[r.batch][i].View(int(r.row)) }

func (c *windowCall) passes(r rowRef) bool {
	return c.filter == nil || c.filter[r.batch][0].Bool(int(r.row))
}

func (q *Query) openWindow(n *planner.WindowFunc) (Iter, error) {
	in, err := q.open(n.In)
	if err != nil {
		return nil, err
	}
	w := &windower{q: q, n: n}
	if w.rows, err = q.all(in, schema(n.In)); err != nil {
		return nil, err
	}
	if err = w.prepare(); err != nil {
		return nil, err
	}
	for w.hi < len(w.refs) {
		w.nextPartition()
		for _, c := range w.calls {
			if err = w.compute(c); err != nil {
				return nil, err
			}
		}
		if err = q.Env.Ctx.Err(); err != nil {
			return nil, err
		}
	}
	for _, c := range w.calls {
		if err = q.Memory.grow(c.out.MemSize()); err != nil {
			return nil, err
		}
	}
	return &windowIter{w: w, out: vec.NewBatch(schema(n), batchRows)}, nil
}

// prepare evaluates keys and arguments and sorts the rows.
func (w *windower) prepare() error {
	by := make([]planner.SortKey, len(w.n.PartitionBy))
	for i, e := range w.n.PartitionBy {
		by[i] = planner.SortKey{Expr: e}
	}
	var err error
	if w.part, err = w.q.evalSortKeys(by, w.rows); err != nil {
		return err
	}
	if w.order, err = w.q.evalSortKeys(w.n.OrderBy, w.rows); err != nil {
		return err
	}
	w.refs = w.rows.refs()
	slices.SortStableFunc(w.refs, func(a, b rowRef) int {
		if c := w.part.compare(a, b); c != 0 {
			return c
		}
		return w.order.compare(a, b)
	})
	if w.frame, err = w.newFrame(); err != nil {
		return err
	}
	for _, g := range w.n.Calls {
		c := &windowCall{agg: g, out: vec.NewVector(g.Typ, len(w.refs)), row: make([]types.Datum, len(g.Args))}
		if c.args, err = w.q.evalColumns(g.Args, w.rows); err != nil {
			return err
		}
		if g.Filter != nil {
			if c.filter, err = w.q.evalColumns([]planner.Expr{g.Filter}, w.rows); err != nil {
				return err
			}
		}
		w.calls = append(w.calls, c)
	}
	return nil
}

// nextPartition finds the rows of the next partition and their peers.
func (w *windower) nextPartition() {
	w.lo = w.hi
	w.group, w.starts = w.group[:0], w.starts[:0]
	for w.hi = w.lo; w.hi < len(w.refs) && w.part.compare(w.refs[w.lo], w.refs[w.hi]) == 0; w.hi++ {
		if w.hi == w.lo || w.order.compare(w.refs[w.hi-1], w.refs[w.hi]) != 0 {
			w.starts = append(w.starts, w.hi-w.lo)
		}
		w.group = append(w.group, len(w.starts)-1)
	}
	w.starts = append(w.starts, w.hi-w.lo)
}

func (w *windower) size() int { return w.hi - w.lo }

// ref returns row i of the partition.
func (w *windower) ref(i int) rowRef { return w.refs[w.lo+i] }

// peers returns the rows that are equal in order to row i, as a half-open range.
func (w *windower) peers(i int) (from, to int) {
	return w.starts[w.group[i]], w.starts[w.group[i]+1]
}

func (w *windower) compute(c *windowCall) error {
	if c.agg.Func.Kind == planner.AggregateFunc {
		return w.aggregate(c)
	}
	f, err := w.function(c)
	if err != nil {
		return err
	}
	for i := range w.size() {
		d, err := f(i)
		if err != nil {
			return err
		}
		c.out.AppendDatum(d)
	}
	return nil
}

// function returns the window function of a call, from row of the partition to value.
func (w *windower) function(c *windowCall) (func(i int) (types.Datum, error), error) {
	n := w.size()
	integer := func(f func(i int) int) func(int) (types.Datum, error) {
		return func(i int) (types.Datum, error) { return types.IntDatum(int64(f(i))), nil }
	}
	float := func(f func(i int) float64) func(int) (types.Datum, error) {
		return func(i int) (types.Datum, error) { return types.FloatDatum(f(i)), nil }
	}
	rank := func(i int) int { from, _ := w.peers(i); return from + 1 }
	switch c.agg.Func.Name {
	case "row_number":
		return integer(func(i int) int { return i + 1 }), nil
	case "rank":
		return integer(rank), nil
	case "dense_rank":
		return integer(func(i int) int { return w.group[i] + 1 }), nil
	case "percent_rank":
		return float(func(i int) float64 { return float64(rank(i)-1) / float64(max(n-1, 1)) }), nil
	case "cume_dist":
		return float(func(i int) float64 { _, to := w.peers(i); return float64(to) / float64(n) }), nil
	case "ntile":
		return w.ntile(c)
	case "lag":
		return w.shifted(c, -1), nil
	case "lead":
		return w.shifted(c, 1), nil
	case "first_value", "last_value", "nth_value":
		return w.valueInFrame(c), nil
	}
	return nil, sqlerr.New(sqlerr.FeatureNotSupported, "window function %s is not supported", c.agg.Func.ID())
}

// ntile deals the rows into buckets whose sizes differ by one at most, the larger first. The first row says into how many.
func (w *windower) ntile(c *windowCall) (func(i int) (types.Datum, error), error) {
	d := c.arg(0, w.ref(0))
	if d.Null {
		return func(int) (types.Datum, error) { return types.NullDatum, nil }, nil
	}
	if d.I <= 0 {
		return nil, sqlerr.New("22014", "argument of ntile must be greater than zero")
	}
	n := int64(w.size())
	small, larger := n/d.I, n%d.I // rows of a small bucket, number of buckets with one more
	return func(i int) (types.Datum, error) {
		row := int64(i)
		if inLarger := larger * (small + 1); row >= inLarger {
			return types.IntDatum(larger + (row-inLarger)/small + 1), nil
		}
		return types.IntDatum(row/(small+1) + 1), nil
	}, nil
}

// shifted is lag (direction -1) and lead (1).
func (w *windower) shifted(c *windowCall, direction int64) func(i int) (types.Datum, error) {
	return func(i int) (types.Datum, error) {
		r := w.ref(i)
		offset := int64(1)
		if len(c.agg.Args) > 1 {
			d := c.arg(1, r)
			if d.Null {
				return d, nil
			}
			offset = d.I
		}
		if at := int64(i) + direction*offset; at >= 0 && at < int64(w.size()) {
			return c.arg(0, w.ref(int(at))), nil
		}
		if len(c.agg.Args) > 2 {
			return c.arg(2, r), nil
		}
		return types.NullDatum, nil
	}
}

// valueInFrame is first_value, last_value and nth_value.
func (w *windower) valueInFrame(c *windowCall) func(i int) (types.Datum, error) {
	return func(i int) (types.Datum, error) {
		nth := int64(1)
		if len(c.agg.Args) > 1 {
			d := c.arg(1, w.ref(i))
			if d.Null {
				return d, nil
			}
			if nth = d.I; nth <= 0 {
				return d, sqlerr.New("22016", "argument of nth_value must be greater than zero")
			}
		}
		from, to, err := w.frame.bounds(i)
		if err != nil {
			return types.NullDatum, err
		}
		at, step := from, 1
		if c.agg.Func.Name == "last_value" {
			at, step = to-1, -1
		}
		if w.frame.exclude == "" && nth <= int64(to-from) {
			return c.arg(0, w.ref(at+step*int(nth-1))), nil
		}
		for ; at >= from && at < to; at += step {
			if w.frame.excluded(i, at) {
				continue
			}
			if nth--; nth == 0 {
				return c.arg(0, w.ref(at)), nil
			}
		}
		return types.NullDatum, nil
	}
}

// aggregate computes an aggregate over each row's frame. A frame that only grows from row to row is added to; any other is computed anew.
func (w *windower) aggregate(c *windowCall) error {
	var acc expr.Accumulator
	var err error
	at, have := 0, false
	var last types.Datum
	for i := range w.size() {
		from, to, err2 := w.frame.bounds(i)
		if err2 != nil {
			return err2
		}
		grows := have && w.frame.fromStart && w.frame.exclude == ""
		if grows && to <= at {
			c.out.AppendDatum(last)
			continue
		}
		if !grows {
			at = from
			if acc, err = expr.NewAccumulator(w.q.Env, c.agg.Func, argTypes(c.agg.Args), c.agg.Typ); err != nil {
				return err
			}
		}
		for ; at < to; at++ {
			if w.frame.excluded(i, at) {
				continue
			}
			if err = w.addRow(c, acc, w.ref(at)); err != nil {
				return err
			}
		}
		if last, err = acc.Result(); err != nil {
			return err
		}
		have = true
		c.out.AppendDatum(last)
		if i%batchRows == 0 && w.q.Env.Ctx.Err() != nil {
			return w.q.Env.Ctx.Err()
		}
	}
	return nil
}

func (w *windower) addRow(c *windowCall, acc expr.Accumulator, r rowRef) error {
	if !c.passes(r) {
		return nil
	}
	for k := range c.row {
		c.row[k] = c.arg(k, r)
		if c.row[k].Null && !c.agg.Func.NotStrict {
			return nil
		}
	}
	return acc.Add(c.row)
}

// windowIter yields the rows in their sorted order, followed by the results.
type windowIter struct {
	w    *windower
	next int
	out  *vec.Batch
}

func (it *windowIter) Next() (*vec.Batch, error) {
	n := min(batchRows, len(it.w.refs)-it.next)
	if n == 0 {
		return nil, nil
	}
	it.out.Reset()
	width := len(it.w.rows.schema)
	for _, r := range it.w.refs[it.next : it.next+n] {
		b := it.w.rows.batches[r.batch]
		for c := range width {
			it.out.Cols[c].AppendRow(b.Cols[c], int(r.row))
		}
	}
	for k, c := range it.w.calls {
		it.out.Cols[width+k].AppendRange(c.out, it.next, it.next+n)
	}
	it.next += n
	it.out.SetLen(n)
	return it.out, nil
}

func (it *windowIter) Close() {}
