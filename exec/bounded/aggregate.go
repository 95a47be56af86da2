package bounded

import (
	"slices"

	"github.com/millracedb/millrace/exec/expr"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// groupBytes is what a group is charged beyond its key and values.
const groupBytes = 256

// aggregator holds the groups of an Aggregate node.
type aggregator struct {
	q      *Query
	n      *planner.Aggregate
	keys   []*expr.Program
	calls  []*aggCall
	groups map[string]*group
	order  []*group
	buf    []byte
}

// aggCall is one aggregate call, compiled.
type aggCall struct {
	agg    planner.Agg
	args   []*expr.Program
	filter *expr.Program
	order  []*expr.Program
}

type group struct {
	keys   []types.Datum
	window [2]int64 // start and end in ms, with a window
	accs   []accState
}

// accState is one accumulator with what DISTINCT and ORDER BY need.
type accState struct {
	acc  expr.Accumulator
	seen map[string]struct{}
	rows []orderedArgs
}

type orderedArgs struct{ keys, args []types.Datum }

func (q *Query) openAggregate(n *planner.Aggregate) (Iter, error) {
	a := &aggregator{q: q, n: n, groups: map[string]*group{}}
	if err := a.compile(); err != nil {
		return nil, err
	}
	in, err := q.open(n.In)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	for {
		b, err := in.Next()
		if err != nil {
			return nil, err
		}
		if b == nil {
			break
		}
		if err := a.add(b); err != nil {
			return nil, err
		}
	}
	return a.result()
}

func (a *aggregator) compile() error {
	var err error
	if a.keys, err = expr.CompileAll(a.n.Keys); err != nil {
		return err
	}
	for _, g := range a.n.Aggs {
		c := &aggCall{agg: g}
		if c.args, err = expr.CompileAll(g.Args); err != nil {
			return err
		}
		if g.Filter != nil {
			if c.filter, err = expr.Compile(g.Filter); err != nil {
				return err
			}
		}
		for _, k := range g.OrderBy {
			p, err := expr.Compile(k.Expr)
			if err != nil {
				return err
			}
			c.order = append(c.order, p)
		}
		if _, err := expr.NewAccumulator(g.Func, argTypes(g.Args), g.Typ); err != nil {
			return err
		}
		a.calls = append(a.calls, c)
	}
	return nil
}

// columns holds the vectors of one batch.
type aggColumns struct {
	keys   []*vec.Vector
	args   [][]*vec.Vector
	filter []*vec.Vector
	order  [][]*vec.Vector
}

func (a *aggregator) eval(b *vec.Batch) (*aggColumns, error) {
	var errs expr.Errors
	errs.Reset(b.Len())
	sel := vec.All(nil, b.Len())
	eval := func(ps []*expr.Program, sel []int32) []*vec.Vector {
		out := make([]*vec.Vector, len(ps))
		for i, p := range ps {
			out[i] = p.Eval(a.q.Env, b, sel, &errs)
		}
		return out
	}
	c := &aggColumns{keys: eval(a.keys, sel)}
	for _, call := range a.calls {
		in := sel
		var f *vec.Vector
		if call.filter != nil {
			f = call.filter.Eval(a.q.Env, b, sel, &errs)
			in = vec.True(nil, f, sel)
		}
		c.filter = append(c.filter, f)
		c.args = append(c.args, eval(call.args, in))
		c.order = append(c.order, eval(call.order, in))
	}
	return c, errs.First()
}

func (a *aggregator) add(b *vec.Batch) error {
	c, err := a.eval(b)
	if err != nil {
		return err
	}
	sets := a.n.Sets
	if sets == nil {
		sets = [][]int{nil}
	}
	for row := range b.Len() {
		for s, set := range sets {
			if a.n.Sets == nil {
				set = nil
			}
			g, err := a.group(b, c, row, s, set)
			if err != nil {
				return err
			}
			if g == nil {
				continue
			}
			for k, call := range a.calls {
				if f := c.filter[k]; f != nil && !f.Bool(row) {
					continue
				}
				if err := a.accumulate(&g.accs[k], call, c.args[k], c.order[k], row); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// group finds or makes the group of a row in grouping set number s. A row that has no event time is in no window: nil.
func (a *aggregator) group(b *vec.Batch, c *aggColumns, row, s int, set []int) (*group, error) {
	a.buf = append(a.buf[:0], byte(s))
	for k, v := range c.keys {
		d := v.View(row)
		if set != nil && !slices.Contains(set, k) {
			d = types.NullDatum
		}
		a.buf = types.AppendKey(a.buf, a.n.Keys[k].Type(), d)
	}
	var window [2]int64
	if w := a.n.Window; w != nil {
		if b.Rowtime == nil {
			return nil, nil
		}
		start := floorTo(b.Rowtime[row], w.SizeMs)
		window = [2]int64{start, start + w.SizeMs}
		a.buf = types.AppendKey(a.buf, types.Of(types.Int8), types.IntDatum(start))
	}
	if g, ok := a.groups[string(a.buf)]; ok {
		return g, nil
	}
	g, err := a.newGroup()
	if err != nil {
		return nil, err
	}
	g.window = window
	for k, v := range c.keys {
		d := v.Datum(row)
		if set != nil && !slices.Contains(set, k) {
			d = types.NullDatum
		}
		g.keys = append(g.keys, d)
	}
	a.groups[string(a.buf)] = g
	a.order = append(a.order, g)
	return g, a.q.Memory.grow(groupBytes + 2*len(a.buf))
}

// floorTo rounds t down to a multiple of size, towards minus infinity.
func floorTo(t, size int64) int64 {
	r := t % size
	if r < 0 {
		r += size
	}
	return t - r
}

func (a *aggregator) newGroup() (*group, error) {
	g := &group{accs: make([]accState, len(a.calls))}
	for k, call := range a.calls {
		acc, err := expr.NewAccumulator(call.agg.Func, argTypes(call.agg.Args), call.agg.Typ)
		if err != nil {
			return nil, err
		}
		g.accs[k].acc = acc
		if call.agg.Distinct {
			g.accs[k].seen = map[string]struct{}{}
		}
	}
	return g, nil
}

func (a *aggregator) accumulate(st *accState, call *aggCall, args, order []*vec.Vector, row int) error {
	vals := make([]types.Datum, len(args))
	for i, v := range args {
		vals[i] = v.Datum(row)
		if vals[i].Null && !call.agg.Func.NotStrict {
			return nil
		}
	}
	if st.seen != nil {
		var key []byte
		for i, v := range vals {
			key = types.AppendKey(key, call.agg.Args[i].Type(), v)
		}
		if _, ok := st.seen[string(key)]; ok {
			return nil
		}
		st.seen[string(key)] = struct{}{}
		if err := a.q.Memory.grow(len(key) + seenEntryBytes); err != nil {
			return err
		}
	}
	if len(call.order) == 0 {
		return st.acc.Add(vals)
	}
	keys := make([]types.Datum, len(order))
	for i, v := range order {
		keys[i] = v.Datum(row)
	}
	st.rows = append(st.rows, orderedArgs{keys, vals})
	return a.q.Memory.grow(48 * (len(keys) + len(vals)))
}

func (a *aggregator) result() (Iter, error) {
	if err := a.emptyGroups(); err != nil {
		return nil, err
	}
	ts := schema(a.n)
	rows := &rowSet{schema: ts}
	out := vec.NewBatch(ts, min(len(a.order), batchRows))
	for _, g := range a.order {
		vals := slices.Clone(g.keys)
		if a.n.Window != nil {
			vals = append(vals, types.IntDatum(g.window[0]*1000), types.IntDatum(g.window[1]*1000))
		}
		for k := range a.calls {
			d, err := a.finish(&g.accs[k], a.calls[k])
			if err != nil {
				return nil, err
			}
			vals = append(vals, d)
		}
		for c, d := range vals {
			out.Cols[c].AppendDatum(d)
		}
		out.SetLen(out.Len() + 1)
		if out.Len() == batchRows {
			rows.batches = append(rows.batches, out)
			out = vec.NewBatch(ts, batchRows)
		}
	}
	rows.batches = append(rows.batches, out)
	return rows.iter(), nil
}

// emptyGroups adds the row of an aggregate without GROUP BY over no rows, and that of each empty grouping set.
func (a *aggregator) emptyGroups() error {
	if len(a.order) > 0 || a.n.Window != nil {
		return nil
	}
	n := 0
	if len(a.n.Keys) == 0 && a.n.Sets == nil {
		n = 1
	}
	for _, set := range a.n.Sets {
		if len(set) == 0 {
			n++
		}
	}
	for range n {
		g, err := a.newGroup()
		if err != nil {
			return err
		}
		for range a.n.Keys {
			g.keys = append(g.keys, types.NullDatum)
		}
		a.order = append(a.order, g)
	}
	return nil
}

// finish feeds the rows that waited for ORDER BY and takes the result.
func (a *aggregator) finish(st *accState, call *aggCall) (types.Datum, error) {
	slices.SortStableFunc(st.rows, func(x, y orderedArgs) int {
		for k, key := range call.agg.OrderBy {
			if c := compareKey(key, x.keys[k], y.keys[k]); c != 0 {
				return c
			}
		}
		return 0
	})
	for _, r := range st.rows {
		if err := st.acc.Add(r.args); err != nil {
			return types.NullDatum, err
		}
	}
	return st.acc.Result()
}
