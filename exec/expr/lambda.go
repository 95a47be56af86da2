package expr

import (
	"slices"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// lambdaRows is how many elements the body of a lambda is computed over at once; those of one row are never split.
const lambdaRows = 4096

// lambdaCall computes a HigherOrder: the elements of many rows are laid out in one batch, with the columns and outer parameters that the body uses
// repeated beside them, and the body runs over all of them like any other expression.
type lambdaCall struct {
	e      *planner.HigherOrder
	bodies []node
	uses   []int                  // columns of the row that the bodies use
	outer  []*planner.LambdaParam // parameters of the lambdas around it that they use

	in     vec.Batch
	params []*vec.Vector
	owner  []int32 // of each element, the row that it belongs to
	errs   Errors
	sel    []int32
}

func compileHigherOrder(e *planner.HigherOrder) (node, error) {
	own := e.Lambdas[0].Params // all lambdas of a call have the same
	c := &lambdaCall{e: e, params: make([]*vec.Vector, own[0].Slot+len(own))}
	for _, p := range own {
		c.params[p.Slot] = vec.NewVector(p.Typ, 0)
	}
	for _, l := range e.Lambdas {
		n, err := compile(l.Body)
		if err != nil {
			return nil, err
		}
		c.bodies = append(c.bodies, n)
		c.note(l.Body)
	}
	args, err := compileList(argsOf(e))
	if err != nil {
		return nil, err
	}
	out := vec.NewVector(e.Typ, 0)
	return func(r *run, sel []int32) *vec.Vector {
		vs := make([]*vec.Vector, len(args))
		for i, a := range args {
			vs[i] = a(r, sel)
		}
		out.ResetLen(r.in.Len())
		c.eval(r, sel, vs, out)
		return out
	}, nil
}

func argsOf(e *planner.HigherOrder) []planner.Expr {
	if e.Init != nil {
		return []planner.Expr{e.Arg, e.Init}
	}
	return []planner.Expr{e.Arg}
}

// note collects what a body uses from outside.
func (c *lambdaCall) note(body planner.Expr) {
	first := c.e.Lambdas[0].Params[0].Slot // those of the lambdas around it come before
	planner.VisitExpr(body, func(x planner.Expr) {
		switch x := x.(type) {
		case *planner.ColumnRef:
			if !slices.Contains(c.uses, x.Ord) {
				c.uses = append(c.uses, x.Ord)
			}
		case *planner.LambdaParam:
			if x.Slot < first && !slices.ContainsFunc(c.outer, func(p *planner.LambdaParam) bool { return p.Slot == x.Slot }) {
				c.outer = append(c.outer, x)
			}
		}
	})
}

func (c *lambdaCall) eval(r *run, sel []int32, vs []*vec.Vector, out *vec.Vector) {
	live := make([]int32, 0, len(sel))
	for _, i := range sel {
		switch {
		case r.errs.Has(i):
		case vs[0].IsNull(int(i)):
			out.SetNull(int(i))
		default:
			live = append(live, i)
		}
	}
	if c.e.Name == "reduce" {
		c.reduce(r, live, vs, out)
		return
	}
	for len(live) > 0 {
		live = c.chunk(r, live, vs[0], out)
	}
}

// entriesOf returns the elements of row i, for each the values of the lambda's parameters.
func (c *lambdaCall) entriesOf(arg *vec.Vector, i int32) ([][]types.Datum, error) {
	t := c.e.Arg.Type()
	s := arg.Datum(int(i)).S
	if t.Kind != types.Map {
		elems := types.ArrayElements(elemOf(t), s)
		out := make([][]types.Datum, len(elems))
		for k := range elems {
			out[k] = elems[k : k+1]
		}
		return out, nil
	}
	entries, err := types.MapEntries(*t.Elem, s)
	if err != nil {
		return nil, sqlerr.New(sqlerr.DataCorrupted, "a map value is no JSON object: %w", err)
	}
	out := make([][]types.Datum, len(entries))
	for k, e := range entries {
		out[k] = []types.Datum{types.BytesDatum(e.Key), e.Value}
	}
	return out, nil
}

// chunk computes the first rows of live, of lambdaRows elements or one row, and returns the rest.
func (c *lambdaCall) chunk(r *run, live []int32, arg *vec.Vector, out *vec.Vector) []int32 {
	c.owner = c.owner[:0]
	taken := live[:0:0]
	var lists [][][]types.Datum
	for len(live) > 0 && len(c.owner) < lambdaRows {
		i := live[0]
		live = live[1:]
		entries, err := c.entriesOf(arg, i)
		if err != nil {
			r.errs.Add(i, err)
			continue
		}
		taken, lists = append(taken, i), append(lists, entries)
		for range entries {
			c.owner = append(c.owner, i)
		}
	}
	inner := c.layOut(r)
	for k, p := range c.e.Lambdas[0].Params {
		v := c.params[p.Slot]
		v.Reset()
		for _, entries := range lists {
			for _, e := range entries {
				v.AppendDatum(e[k])
			}
		}
	}
	results := make([]*vec.Vector, len(c.bodies))
	for n, body := range c.bodies {
		results[n] = body(inner, c.sel)
	}
	c.report(r)
	at := 0
	for n, i := range taken {
		from := at
		at += len(lists[n])
		if r.errs.Has(i) {
			continue
		}
		d, err := c.collect(lists[n], results, from)
		if err != nil {
			r.errs.Add(i, err)
			continue
		}
		out.SetDatum(int(i), d)
	}
	return live
}

// layOut puts beside the elements, whose owners are known, what the bodies use of their rows.
func (c *lambdaCall) layOut(r *run) *run {
	n := len(c.owner)
	if c.in.Cols == nil {
		c.in.Cols = make([]*vec.Vector, len(r.in.Cols))
		for _, ord := range c.uses {
			c.in.Cols[ord] = vec.NewVector(r.in.Cols[ord].Type, n)
		}
		for _, p := range c.outer {
			c.params[p.Slot] = vec.NewVector(p.Typ, n)
		}
	}
	for _, ord := range c.uses {
		c.in.Cols[ord].Reset()
		c.in.Cols[ord].AppendGather(r.in.Cols[ord], c.owner)
	}
	for _, p := range c.outer {
		c.params[p.Slot].Reset()
		c.params[p.Slot].AppendGather(r.params[p.Slot], c.owner)
	}
	c.in.SetLen(n)
	c.errs.Reset(n)
	c.sel = vec.All(c.sel[:0], n)
	return &run{env: r.env, in: &c.in, errs: &c.errs, params: c.params}
}

// report hands the failures of elements to their rows.
func (c *lambdaCall) report(r *run) {
	for _, f := range c.errs.List() {
		r.errs.Add(c.owner[f.Row], f.Err)
	}
}

// collect makes the result of one row, whose entries' results begin at from.
func (c *lambdaCall) collect(entries [][]types.Datum, results []*vec.Vector, from int) (types.Datum, error) {
	last := results[len(results)-1]
	isMap := c.e.Typ.Kind == types.Map
	var list []types.Datum
	var pairs []types.MapEntry
	for k, e := range entries {
		switch {
		case c.e.Name == "filter" && (last.IsNull(from+k) || last.I64[from+k] == 0):
		case c.e.Name == "filter" && isMap:
			pairs = append(pairs, types.MapEntry{Key: e[0].S, Value: e[1]})
		case c.e.Name == "filter":
			list = append(list, e[0])
		case isMap:
			key := results[0].View(from + k)
			if key.Null {
				return key, errNullMapKey
			}
			pairs = append(pairs, types.MapEntry{Key: key.S, Value: last.View(from + k)})
		default:
			list = append(list, last.View(from+k))
		}
	}
	if isMap {
		return types.MapDatum(*c.e.Typ.Elem, pairs)
	}
	return types.ArrayDatum(elemOf(c.e.Typ), list), nil
}

// reduce folds the entries of all rows side by side: in each step the next entry of every row that has one.
func (c *lambdaCall) reduce(r *run, live []int32, vs []*vec.Vector, out *vec.Vector) {
	l := c.e.Lambdas[0]
	lists := make(map[int32][][]types.Datum, len(live))
	state := make(map[int32]types.Datum, len(live))
	for _, i := range live {
		entries, err := c.entriesOf(vs[0], i)
		if err != nil {
			r.errs.Add(i, err)
			continue
		}
		lists[i], state[i] = entries, vs[1].Datum(int(i))
	}
	for step := 0; ; step++ {
		c.owner = c.owner[:0]
		for _, i := range live {
			if step < len(lists[i]) && !r.errs.Has(i) {
				c.owner = append(c.owner, i)
			}
		}
		if len(c.owner) == 0 {
			break
		}
		inner := c.layOut(r)
		for k, p := range l.Params {
			v := c.params[p.Slot]
			v.Reset()
			for _, i := range c.owner {
				if k == 0 {
					v.AppendDatum(state[i])
				} else {
					v.AppendDatum(lists[i][step][k-1])
				}
			}
		}
		result := c.bodies[0](inner, c.sel)
		c.report(r)
		for k, i := range c.owner {
			if !r.errs.Has(i) {
				state[i] = result.Datum(k)
			}
		}
	}
	for _, i := range live {
		if !r.errs.Has(i) {
			out.SetDatum(int(i), state[i])
		}
	}
}

// compileLambdaParam reads a parameter of an enclosing lambda.
func compileLambdaParam(e *planner.LambdaParam) node {
	return func(r *run, _ []int32) *vec.Vector { return r.params[e.Slot] }
}
