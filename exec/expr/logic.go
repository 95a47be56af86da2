package expr

import (
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

var boolType = types.Of(types.Bool)

// compileLogic is AND (stop = 0) and OR (stop = 1): a row leaves the selection at the first argument that equals stop, so
// later arguments neither cost anything nor fail for it.
func compileLogic(args []planner.Expr, stop int64) (node, error) {
	ns, err := compileList(args)
	if err != nil {
		return nil, err
	}
	out := vec.NewVector(boolType, 0)
	var live []int32
	return func(r *run, sel []int32) *vec.Vector {
		out.ResetLen(r.in.Len())
		for _, i := range sel {
			out.I64[i] = 1 - stop
		}
		live = append(live[:0], sel...)
		for _, n := range ns {
			if len(live) == 0 {
				break
			}
			v := n(r, live)
			kept := live[:0]
			for _, i := range live {
				switch {
				case r.errs.Has(i):
				case v.IsNull(int(i)):
					out.SetNull(int(i))
					kept = append(kept, i)
				case v.I64[i] == stop:
					out.I64[i] = stop
					out.SetValid(int(i))
				default:
					kept = append(kept, i)
				}
			}
			live = kept
		}
		return out
	}, nil
}

// compileUnaryBool applies f to (is NULL, value) of a Bool argument.
func compileUnaryBool(arg planner.Expr, f func(null bool, x int64) (bool, int64)) (node, error) {
	n, err := compile(arg)
	if err != nil {
		return nil, err
	}
	out := vec.NewVector(boolType, 0)
	return func(r *run, sel []int32) *vec.Vector {
		v := n(r, sel)
		out.ResetLen(r.in.Len())
		for _, i := range sel {
			null, x := f(v.IsNull(int(i)), v.I64[i])
			out.I64[i] = x
			if null {
				out.SetNull(int(i))
			}
		}
		return out
	}, nil
}

func compileIsNull(e *planner.IsNull) (node, error) {
	n, err := compile(e.Arg)
	if err != nil {
		return nil, err
	}
	out := vec.NewVector(boolType, 0)
	return func(r *run, sel []int32) *vec.Vector {
		v := n(r, sel)
		out.ResetLen(r.in.Len())
		for _, i := range sel {
			out.I64[i] = b2i(v.IsNull(int(i)) != e.Negated)
		}
		return out
	}, nil
}

// copyRow copies row i of from to out, which has the same storage.
func copyRow(out, from *vec.Vector, i int) {
	if from.IsNull(i) {
		out.SetNull(i)
		return
	}
	switch out.Storage() {
	case types.StoreInt:
		out.I64[i] = from.I64[i]
	case types.StoreFloat:
		out.F64[i] = from.F64[i]
	default:
		out.SetBytes(i, from.Bytes(i))
		return
	}
	out.SetValid(i)
}

func compileCase(e *planner.Case) (node, error) {
	conds := make([]node, len(e.Whens))
	thens := make([]node, len(e.Whens))
	for i, w := range e.Whens {
		var err error
		if conds[i], err = compile(w.Cond); err != nil {
			return nil, err
		}
		if thens[i], err = compile(w.Then); err != nil {
			return nil, err
		}
	}
	var other node
	if e.Else != nil {
		var err error
		if other, err = compile(e.Else); err != nil {
			return nil, err
		}
	}
	out := vec.NewVector(e.Typ, 0)
	var live, hit []int32
	return func(r *run, sel []int32) *vec.Vector {
		out.ResetLen(r.in.Len())
		live = append(live[:0], sel...)
		for k, cond := range conds {
			if len(live) == 0 {
				return out
			}
			v := cond(r, live)
			hit = hit[:0]
			kept := live[:0]
			for _, i := range live {
				switch {
				case r.errs.Has(i):
				case v.Bool(int(i)):
					hit = append(hit, i)
				default:
					kept = append(kept, i)
				}
			}
			live = kept
			take(r, out, thens[k], hit)
		}
		if other == nil {
			for _, i := range live {
				out.SetNull(int(i))
			}
			return out
		}
		take(r, out, other, live)
		return out
	}, nil
}

// take computes n for sel and copies the rows that did not fail to out.
func take(r *run, out *vec.Vector, n node, sel []int32) {
	if len(sel) == 0 {
		return
	}
	v := n(r, sel)
	for _, i := range sel {
		if !r.errs.Has(i) {
			copyRow(out, v, int(i))
		}
	}
}

func compileCoalesce(e *planner.Coalesce) (node, error) {
	ns, err := compileList(e.Args)
	if err != nil {
		return nil, err
	}
	out := vec.NewVector(e.Typ, 0)
	var live []int32
	return func(r *run, sel []int32) *vec.Vector {
		out.ResetLen(r.in.Len())
		live = append(live[:0], sel...)
		for _, n := range ns {
			if len(live) == 0 {
				return out
			}
			v := n(r, live)
			kept := live[:0]
			for _, i := range live {
				switch {
				case r.errs.Has(i):
				case v.IsNull(int(i)):
					kept = append(kept, i)
				default:
					copyRow(out, v, int(i))
				}
			}
			live = kept
		}
		for _, i := range live {
			out.SetNull(int(i))
		}
		return out
	}, nil
}

func compileIsDistinct(e *planner.IsDistinct) (node, error) {
	ns, err := compileList([]planner.Expr{e.Left, e.Right})
	if err != nil {
		return nil, err
	}
	t := e.Left.Type()
	return boxed(boolType, ns, func(_ *run, a []types.Datum) (types.Datum, error) {
		same := a[0].Null == a[1].Null && (a[0].Null || types.Compare(t, a[0], a[1]) == 0)
		return types.BoolDatum(same == e.Negated), nil
	}), nil
}
