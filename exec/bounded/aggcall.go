package bounded

import (
	"cmp"
	"slices"

	"github.com/millracedb/millrace/exec/expr"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// aggCall is one aggregate call over all groups: the fast form over vectors where there is one, else an accumulator per group.
type aggCall struct {
	q      *Query
	agg    planner.Agg
	args   []*expr.Program
	filter *expr.Program
	order  []*expr.Program
	fast   expr.Grouped
	holds  bool // the accumulator keeps every row
	set    bool // an ordered-set aggregate, with WITHIN GROUP
	places bool // rows are taken by rowtime and place in their stream
	ints   bool // DISTINCT values are integers, and none is NULL
	batch  *vec.Batch
	groups []accState
	row    []types.Datum
	keyBuf []byte
	sel    []int32

	// The columns of the batch in progress.
	argCols, orderCols []*vec.Vector
	filterCol          *vec.Vector
}

// accState is one accumulator with what DISTINCT and ORDER BY need.
type accState struct {
	acc  expr.Accumulator
	seen map[string]struct{}
	ints intIndex // seen, where the values are integers
	rows []orderedArgs
}

type orderedArgs struct{ keys, args []types.Datum }

// datumBytes is what a value that is kept is charged beyond its bytes.
const datumBytes = 48

func (q *Query) newAggCall(g planner.Agg) (*aggCall, error) {
	c := &aggCall{q: q, agg: g, row: make([]types.Datum, len(g.Args)), holds: g.Func.Ordered, set: g.Func.Kind == planner.OrderedSetFunc}
	c.places = c.holds && !g.Distinct && len(g.OrderBy) == 0
	c.ints = g.Distinct && !c.set && !g.Func.NotStrict && len(g.Args) == 1 && g.Args[0].Type().Kind.Storage() == types.StoreInt
	if g.Distinct && len(g.OrderBy) == 0 && c.holds {
		// DISTINCT sorts, which shows where the order of rows does.
		for _, e := range g.Args {
			c.agg.OrderBy = append(c.agg.OrderBy, planner.SortKey{Expr: e})
		}
	}
	var err error
	if c.args, err = expr.CompileAll(g.Args); err != nil {
		return nil, err
	}
	if g.Filter != nil {
		if c.filter, err = expr.Compile(g.Filter); err != nil {
			return nil, err
		}
	}
	for _, k := range c.agg.OrderBy {
		p, err := expr.Compile(k.Expr)
		if err != nil {
			return nil, err
		}
		c.order = append(c.order, p)
	}
	if !g.Distinct && len(c.order) == 0 {
		c.fast, _ = expr.NewGrouped(g.Func, argTypes(g.Args), g.Typ)
	}
	if c.fast == nil && !c.set {
		_, err = expr.NewAccumulator(q.Env, g.Func, argTypes(g.Args), g.Typ)
	}
	return c, err
}

// eval computes the columns of a batch. A row that FILTER leaves out is not looked at further.
func (c *aggCall) eval(b *vec.Batch, sel []int32, errs *expr.Errors) {
	c.filterCol, c.batch = nil, b
	if c.filter != nil {
		c.filterCol = c.filter.Eval(c.q.Env, b, sel, errs)
		c.sel = vec.True(c.sel[:0], c.filterCol, sel)
		sel = c.sel
	}
	eval := func(dst []*vec.Vector, ps []*expr.Program) []*vec.Vector {
		dst = dst[:0]
		for _, p := range ps {
			dst = append(dst, p.Eval(c.q.Env, b, sel, errs))
		}
		return dst
	}
	c.argCols, c.orderCols = eval(c.argCols, c.args), eval(c.orderCols, c.order)
}

// add takes the rows in of the batch, row i into group ids[i]; there are n groups.
func (c *aggCall) add(in, ids []int32, n int) error {
	if err := c.grow(n); err != nil {
		return err
	}
	if c.filterCol != nil {
		in = vec.True(nil, c.filterCol, in)
	}
	if c.fast != nil {
		return c.fast.Add(c.argCols, in, ids)
	}
	for _, i := range in {
		if err := c.addRow(&c.groups[ids[i]], int(i)); err != nil {
			return err
		}
	}
	return nil
}

// grow makes room for n groups.
func (c *aggCall) grow(n int) error {
	if c.fast != nil {
		c.fast.Grow(n)
		return nil
	}
	for len(c.groups) < n {
		var st accState
		if !c.set {
			var err error
			if st.acc, err = expr.NewAccumulator(c.q.Env, c.agg.Func, argTypes(c.agg.Args), c.agg.Typ); err != nil {
				return err
			}
		}
		if c.agg.Distinct && !c.ints {
			st.seen = map[string]struct{}{}
		}
		c.groups = append(c.groups, st)
	}
	return nil
}

func (c *aggCall) addRow(st *accState, row int) error {
	if c.set {
		return c.addToSet(st, row)
	}
	size := 0
	for i, v := range c.argCols {
		c.row[i] = v.View(row)
		if c.row[i].Null && !c.agg.Func.NotStrict {
			return nil
		}
		size += datumBytes + len(c.row[i].S)
	}
	if c.ints {
		if _, fresh := st.ints.add(c.row[0].I); !fresh {
			return nil
		}
		if err := c.q.Memory.grow(intEntryBytes); err != nil {
			return err
		}
	}
	if st.seen != nil {
		c.keyBuf = c.keyBuf[:0]
		for i, d := range c.row {
			c.keyBuf = types.AppendKey(c.keyBuf, c.agg.Args[i].Type(), d)
		}
		if _, ok := st.seen[string(c.keyBuf)]; ok {
			return nil
		}
		st.seen[string(c.keyBuf)] = struct{}{}
		if err := c.q.Memory.grow(len(c.keyBuf) + seenEntryBytes); err != nil {
			return err
		}
	}
	if len(c.order) == 0 && !c.placed() {
		if c.holds {
			if err := c.q.Memory.grow(size); err != nil {
				return err
			}
		}
		return st.acc.Add(c.row)
	}
	var r orderedArgs
	if len(c.order) == 0 {
		r.keys = c.place(row)
	}
	for _, v := range c.orderCols {
		r.keys = append(r.keys, v.Datum(row))
	}
	for _, v := range c.argCols {
		r.args = append(r.args, v.Datum(row))
	}
	st.rows = append(st.rows, r)
	return c.q.Memory.grow(size + datumBytes*len(r.keys))
}

// addToSet keeps the ordered values of a row for an ordered-set aggregate.
func (c *aggCall) addToSet(st *accState, row int) error {
	var r orderedArgs
	size := 0
	for _, v := range c.orderCols {
		d := v.Datum(row)
		if d.Null && !expr.KeepsNulls(c.agg.Func) {
			return nil
		}
		r.keys = append(r.keys, d)
		size += datumBytes + len(d.S)
	}
	st.rows = append(st.rows, r)
	return c.q.Memory.grow(size)
}

// placed reports whether the rows are those of a stream and taken by their places in it.
func (c *aggCall) placed() bool {
	return c.places && c.batch.Rowtime != nil && c.batch.Source.Has(c.batch.Len()-1)
}

// place is a row's rowtime, partition and offset.
func (c *aggCall) place(row int) []types.Datum {
	s := c.batch.Source
	return []types.Datum{
		types.IntDatum(c.batch.Rowtime[row]), types.IntDatum(int64(s.Partition[row])), types.IntDatum(s.Offset[row]), types.IntDatum(int64(s.Ordinal[row])),
	}
}

// result returns the aggregate of group i, after feeding the rows that waited for their order.
func (c *aggCall) result(i int) (types.Datum, error) {
	if c.fast != nil {
		return c.fast.Result(i)
	}
	st := &c.groups[i]
	slices.SortStableFunc(st.rows, c.compare)
	if c.set {
		return c.resultOfSet(st)
	}
	for _, r := range st.rows {
		if err := st.acc.Add(r.args); err != nil {
			return types.NullDatum, err
		}
	}
	return st.acc.Result()
}

// compare orders rows by ORDER BY, or by their places.
func (c *aggCall) compare(x, y orderedArgs) int {
	if len(c.order) == 0 {
		for k := range min(len(x.keys), len(y.keys)) {
			if c := cmp.Compare(x.keys[k].I, y.keys[k].I); c != 0 {
				return c
			}
		}
		return 0
	}
	for k, key := range c.agg.OrderBy {
		if c := compareKey(key, x.keys[k], y.keys[k]); c != 0 {
			return c
		}
	}
	return 0
}

func (c *aggCall) resultOfSet(st *accState) (types.Datum, error) {
	direct := make([]types.Datum, len(c.args))
	for i, p := range c.args {
		var err error
		if direct[i], err = p.Scalar(c.q.Env, nil, 0); err != nil {
			return types.NullDatum, err
		}
	}
	set, err := expr.NewOrderedSet(&c.agg, direct, int64(len(st.rows)))
	if err != nil {
		return types.NullDatum, err
	}
	for _, r := range st.rows {
		if !set.Add(r.keys, 1) {
			break
		}
	}
	return set.Result()
}
