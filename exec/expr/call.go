package expr

import (
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// Call is what an implementation may look at besides its arguments.
type Call struct {
	Env  *Env
	Args []types.Type
	Ret  types.Type

	memo *memo
}

// rowFunc computes one row from boxed arguments. Strings of arguments alias vectors and must not be kept.
type rowFunc func(c *Call, args []types.Datum) (types.Datum, error)

// vecFunc computes the rows sel of out, which has been given its length. It is called for strict functions only, with rows
// that have no NULL argument.
type vecFunc func(args []*vec.Vector, sel []int32, out *vec.Vector, errs *Errors)

// impl is the implementation of one planner.Func: exactly one of its members is set.
type impl struct {
	row rowFunc
	vec vecFunc
	// make makes a vecFunc with memory of its own, for one program.
	make func() vecFunc
}

// registry holds the implementations by planner.Func.ID. The init functions of the fn_*.go files fill it; it is read-only afterwards.
var registry = map[string]impl{}

func row(id string, f rowFunc) { register(registry, id, impl{row: f}) }

func vector(id string, f vecFunc) { register(registry, id, impl{vec: f}) }

func factory(id string, f func() vecFunc) { register(registry, id, impl{make: f}) }

// register adds an implementation to one of the registries: of functions, of aggregates, of set-returning functions.
func register[F any](in map[string]F, id string, f F) {
	if _, ok := in[id]; ok {
		panic("expr: " + id + " is registered twice")
	}
	in[id] = f
}

// Implemented reports whether the function can be compiled.
func Implemented(f *planner.Func) bool {
	_, ok := registry[f.ID()]
	return ok || f.Session
}

func compileCall(e *planner.Call) (node, error) {
	ns, err := compileList(e.Args)
	if err != nil {
		return nil, err
	}
	id := e.Func.ID()
	im, ok := registry[id]
	if !ok && e.Func.Session {
		im, ok = impl{row: func(c *Call, args []types.Datum) (types.Datum, error) {
			if c.Env.Session == nil {
				return types.NullDatum, sqlerr.New(sqlerr.FeatureNotSupported, "function %s needs a session and cannot run in a persistent query", e.Func.Name)
			}
			return c.Env.Session.Call(id, args)
		}}, true
	}
	if !ok {
		return nil, sqlerr.New(sqlerr.FeatureNotSupported, "function %s is not supported yet", id)
	}
	call := &Call{Ret: e.Typ, Args: make([]types.Type, len(e.Args)), memo: &memo{}}
	for i, a := range e.Args {
		call.Args[i] = argType(a)
	}
	if im.make != nil {
		return strictVector(e.Typ, ns, im.make()), nil
	}
	if im.vec != nil {
		return strictVector(e.Typ, ns, im.vec), nil
	}
	strict := !e.Func.NotStrict
	return boxed(e.Typ, ns, func(r *run, args []types.Datum) (types.Datum, error) {
		if strict {
			for i := range args {
				if args[i].Null {
					return types.NullDatum, nil
				}
			}
		}
		call.Env = r.env
		return im.row(call, args)
	}), nil
}

// argType is the type of an argument. A row keeps its fields where the plan has turned it into a record without.
func argType(e planner.Expr) types.Type {
	if c, ok := e.(*planner.Cast); ok && c.To.Kind == types.Record && len(c.To.Fields) == 0 {
		return argType(c.Arg)
	}
	return e.Type()
}

// strictVector calls f for the rows where no argument is NULL.
func strictVector(t types.Type, args []node, f vecFunc) node {
	out := vec.NewVector(t, 0)
	vs := make([]*vec.Vector, len(args))
	var live []int32
	return func(r *run, sel []int32) *vec.Vector {
		nulls := false
		for i, a := range args {
			vs[i] = a(r, sel)
			nulls = nulls || vs[i].HasNulls()
		}
		out.ResetLen(r.in.Len())
		if nulls || r.errs.Any() {
			live = live[:0]
			for _, i := range sel {
				if r.errs.Has(i) {
					continue
				}
				if anyNull(vs, int(i)) {
					out.SetNull(int(i))
					continue
				}
				live = append(live, i)
			}
			sel = live
		}
		f(vs, sel, out, r.errs)
		return out
	}
}

func anyNull(vs []*vec.Vector, i int) bool {
	for _, v := range vs {
		if v.IsNull(i) {
			return true
		}
	}
	return false
}
