package expr

import (
	"fmt"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

func compile(e planner.Expr) (node, error) {
	switch e := e.(type) {
	case *planner.Const:
		return constant(e.Typ, func(*run) (types.Datum, error) { return e.Val, nil }), nil
	case *planner.Param:
		return constant(e.Typ, func(r *run) (types.Datum, error) {
			if e.Index >= len(r.env.Params) {
				return types.NullDatum, sqlerr.New(sqlerr.UndefinedParameter, "there is no parameter $%d", e.Index+1)
			}
			return r.env.Params[e.Index], nil
		}), nil
	case *planner.OuterRef:
		return constant(e.Typ, func(r *run) (types.Datum, error) {
			return r.env.Outer[len(r.env.Outer)-e.Level][e.Ord], nil
		}), nil
	case *planner.ColumnRef:
		return func(r *run, _ []int32) *vec.Vector { return r.in.Cols[e.Ord] }, nil
	case *planner.Call:
		return compileCall(e)
	case *planner.Cast:
		return compileCast(e)
	case *planner.And:
		return compileLogic(e.Args, 0)
	case *planner.Or:
		return compileLogic(e.Args, 1)
	case *planner.Not:
		return compileUnaryBool(e.Arg, func(null bool, x int64) (bool, int64) { return null, 1 - x })
	case *planner.IsNull:
		return compileIsNull(e)
	case *planner.BoolTest:
		return compileUnaryBool(e.Arg, func(null bool, x int64) (bool, int64) {
			is := null == e.Want.Null && (null || x == e.Want.I)
			return false, b2i(is != e.Negated)
		})
	case *planner.Case:
		return compileCase(e)
	case *planner.Coalesce:
		return compileCoalesce(e)
	case *planner.IsDistinct:
		return compileIsDistinct(e)
	case *planner.InList:
		return compileInList(e)
	case *planner.ArrayCompare:
		return compileArrayCompare(e)
	case *planner.ArrayExpr:
		return compileArray(e)
	case *planner.MapExpr:
		return compileMap(e)
	case *planner.RowExpr:
		return compileRow(e)
	case *planner.Subscript:
		return compileSubscript(e)
	case *planner.FieldRef:
		return compileField(e)
	case *planner.Subquery:
		return compileSubquery(e)
	case *planner.HigherOrder:
		return compileHigherOrder(e)
	case *planner.LambdaParam:
		return compileLambdaParam(e), nil
	default:
		panic(fmt.Sprintf("expr: unknown expression node %T", e))
	}
}

func compileList(es []planner.Expr) ([]node, error) {
	ns := make([]node, len(es))
	for i, e := range es {
		n, err := compile(e)
		if err != nil {
			return nil, err
		}
		ns[i] = n
	}
	return ns, nil
}

// constant is a node whose value is the same for all rows of a batch.
func constant(t types.Type, value func(*run) (types.Datum, error)) node {
	out := vec.NewVector(t, 0)
	return func(r *run, sel []int32) *vec.Vector {
		d, err := value(r)
		if err != nil {
			fail(r, sel, err)
			d = types.NullDatum
		}
		out.Fill(d, r.in.Len())
		return out
	}
}

// fail records err for all rows of sel.
func fail(r *run, sel []int32, err error) {
	for _, i := range sel {
		r.errs.Add(i, err)
	}
}

func b2i(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// boxed is a node that computes each selected row from boxed arguments. Argument strings alias their vectors; f must not keep them.
func boxed(t types.Type, args []node, f func(r *run, args []types.Datum) (types.Datum, error)) node {
	out := vec.NewVector(t, 0)
	vs := make([]*vec.Vector, len(args))
	row := make([]types.Datum, len(args))
	return func(r *run, sel []int32) *vec.Vector {
		for i, a := range args {
			vs[i] = a(r, sel)
		}
		out.ResetLen(r.in.Len())
		for _, i := range sel {
			if r.errs.Has(i) {
				continue
			}
			for k, v := range vs {
				row[k] = v.View(int(i))
			}
			d, err := f(r, row)
			if err != nil {
				r.errs.Add(i, err)
				continue
			}
			if len(out.Data)+len(d.S) > maxColumnBytes {
				r.errs.Add(i, errTextTooLarge)
				continue
			}
			out.SetDatum(int(i), d)
		}
		return out
	}
}
