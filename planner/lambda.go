package planner

import (
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// LambdaParam is a parameter of an enclosing lambda. Slots are counted from the outermost lambda inwards, so equal lambdas have equal slots.
type LambdaParam struct {
	Slot int
	Typ  types.Type
	Name string
}

// Lambda is x => e. Its body may use the columns of the row as well as its parameters and those of the lambdas around it.
type Lambda struct {
	Params []*LambdaParam
	Body   Expr
}

// HigherOrder applies lambdas to the elements of an array or the entries of a map, as ksqlDB's TRANSFORM, FILTER and REDUCE do. NULL for a NULL Arg.
//
//	transform(array, x => e)                     array of e
//	transform(map, (k, v) => key, (k, v) => e)   map of e
//	filter(array, x => cond), filter(map, (k, v) => cond)
//	reduce(array, init, (s, x) => s), reduce(map, init, (s, k, v) => s)
type HigherOrder struct {
	Name    string // transform, filter or reduce
	Arg     Expr
	Init    Expr // of reduce
	Lambdas []*Lambda
	Typ     types.Type
}

func (e *LambdaParam) Type() types.Type { return e.Typ }
func (e *HigherOrder) Type() types.Type { return e.Typ }
func (*LambdaParam) exprNode()          {}
func (*HigherOrder) exprNode()          {}

// mapHigherOrder is mapChildren for a HigherOrder.
func mapHigherOrder(x *HigherOrder, one func(Expr) Expr) Expr {
	out := *x
	out.Arg, out.Init = one(x.Arg), one(x.Init)
	out.Lambdas = make([]*Lambda, len(x.Lambdas))
	for i, l := range x.Lambdas {
		out.Lambdas[i] = &Lambda{Params: l.Params, Body: one(l.Body)}
	}
	return &out
}

// isHigherOrder reports whether a call is one of the functions that take lambdas.
func isHigherOrder(e *sql.FuncCall) bool {
	switch e.Name {
	case "transform", "filter", "reduce":
		return true
	}
	return false
}

// lambdaForms says what each function takes, for messages.
var lambdaForms = map[string]string{
	"transform": "transform(array, x => e) or transform(map, (k, v) => key, (k, v) => value)",
	"filter":    "filter(array, x => condition) or filter(map, (k, v) => condition)",
	"reduce":    "reduce(array, start, (state, x) => e) or reduce(map, start, (state, k, v) => e)",
}

func lambdaMisuse(e *sql.FuncCall, pos sql.Pos, format string, args ...any) error {
	return sqlerr.New(sqlerr.UndefinedFunction, format, args...).WithHint("Write %s.", lambdaForms[e.Name]).At(pos.Offset())
}

func (b *binder) bindHigherOrder(e *sql.FuncCall) (Expr, error) {
	var values []sql.Expr
	var lambdas []*sql.Lambda
	for _, a := range e.Args {
		if l, ok := a.Value.(*sql.Lambda); ok {
			lambdas = append(lambdas, l)
		} else if len(lambdas) > 0 {
			return nil, lambdaMisuse(e, e.Pos, "the lambdas of %s come last", e.Name)
		} else {
			values = append(values, a.Value)
		}
	}
	if want := map[bool]int{false: 1, true: 2}[e.Name == "reduce"]; len(values) != want || len(lambdas) == 0 {
		return nil, lambdaMisuse(e, e.Pos, "%s does not take these arguments", e.Name)
	}
	xs, err := b.bindExprs(values)
	if err != nil {
		return nil, err
	}
	h := &HigherOrder{Name: e.Name, Arg: b.settle(xs[0])}
	var entry []types.Type // of the lambda parameters that come from the collection
	switch t := h.Arg.Type(); {
	case t.Kind == types.Map:
		entry = []types.Type{types.Of(types.Text), *t.Elem}
	case t.Kind == types.Array:
		entry = []types.Type{elemType(t)}
	default:
		return nil, lambdaMisuse(e, posOf(values[0]), "%s takes an array or a map, not %s", e.Name, t)
	}
	switch e.Name {
	case "filter":
		return b.bindFilterLambda(e, h, lambdas, entry)
	case "reduce":
		return b.bindReduce(e, h, b.settle(xs[1]), lambdas, entry)
	default:
		return b.bindTransform(e, h, lambdas, entry)
	}
}

// bindLambda binds a lambda whose parameters have the given types.
func (b *binder) bindLambda(e *sql.FuncCall, l *sql.Lambda, ts []types.Type) (*Lambda, error) {
	if len(l.Params) != len(ts) {
		return nil, lambdaMisuse(e, l.Pos, "the lambda of %s needs %d parameters, not %d", e.Name, len(ts), len(l.Params))
	}
	out := &Lambda{}
	inner := *b
	inner.lambdas = b.lambdas[:len(b.lambdas):len(b.lambdas)]
	for i, name := range l.Params {
		p := &LambdaParam{Slot: len(inner.lambdas), Typ: ts[i], Name: name}
		out.Params, inner.lambdas = append(out.Params, p), append(inner.lambdas, p)
	}
	inner.aggs, inner.windows, inner.srf, inner.clause = nil, nil, false, "a lambda"
	x, err := inner.bindExpr(l.Body)
	if err != nil {
		return nil, err
	}
	if anyExpr(x, func(x Expr) bool { _, ok := x.(*Subquery); return ok }) {
		return nil, notYet("a subquery in a lambda", "it would run once an element", "unnest the array and join", l.Pos)
	}
	out.Body = b.settle(x)
	return out, nil
}

func (b *binder) bindTransform(e *sql.FuncCall, h *HigherOrder, ls []*sql.Lambda, entry []types.Type) (Expr, error) {
	if len(ls) != len(entry) {
		return nil, lambdaMisuse(e, e.Pos, "transform of %s takes %d lambdas, not %d", h.Arg.Type(), len(entry), len(ls))
	}
	for _, l := range ls {
		bound, err := b.bindLambda(e, l, entry)
		if err != nil {
			return nil, err
		}
		h.Lambdas = append(h.Lambdas, bound)
	}
	last := h.Lambdas[len(ls)-1].Body.Type()
	if len(ls) == 1 {
		if last.Kind == types.Array {
			return nil, notYet("an array of arrays", "arrays have one dimension", "array_to_string or to_jsonb in the lambda", ls[0].Pos)
		}
		h.Typ = types.ArrayOf(last)
		return h, nil
	}
	key, err := b.coerce(h.Lambdas[0].Body, types.Of(types.Text), CastAssignment, posOf(ls[0].Body))
	if err != nil {
		return nil, err
	}
	h.Lambdas[0].Body, h.Typ = key, types.MapOf(last)
	return h, nil
}

func (b *binder) bindFilterLambda(e *sql.FuncCall, h *HigherOrder, ls []*sql.Lambda, entry []types.Type) (Expr, error) {
	if len(ls) != 1 {
		return nil, lambdaMisuse(e, e.Pos, "filter takes one lambda, not %d", len(ls))
	}
	l, err := b.bindLambda(e, ls[0], entry)
	if err != nil {
		return nil, err
	}
	if l.Body, err = b.coerce(l.Body, types.Of(types.Bool), CastAssignment, posOf(ls[0].Body)); err != nil {
		return nil, err
	}
	h.Lambdas, h.Typ = []*Lambda{l}, h.Arg.Type()
	return h, nil
}

// bindReduce gives the state the type of the start value, or the body's where that is wider: reduce(xs, 0, (s, x) => s + x) over doubles is a double.
func (b *binder) bindReduce(e *sql.FuncCall, h *HigherOrder, init Expr, ls []*sql.Lambda, entry []types.Type) (Expr, error) {
	if len(ls) != 1 {
		return nil, lambdaMisuse(e, e.Pos, "reduce takes one lambda, not %d", len(ls))
	}
	state := init.Type()
	for range 2 {
		l, err := b.bindLambda(e, ls[0], append([]types.Type{state}, entry...))
		if err != nil {
			return nil, err
		}
		if t := l.Body.Type(); !t.Equal(state) && implicit(state, t) && !implicit(t, state) {
			state = t
			continue
		}
		if l.Body, err = b.coerce(l.Body, state, CastAssignment, posOf(ls[0].Body)); err != nil {
			return nil, err
		}
		if h.Init, err = b.coerce(init, state, CastAssignment, e.Pos); err != nil {
			return nil, err
		}
		h.Lambdas, h.Typ = []*Lambda{l}, state
		return h, nil
	}
	return nil, sqlerr.New(sqlerr.DatatypeMismatch, "the state of reduce grows wider with every element").WithHint("Cast the start value to %s.", state).At(e.Offset())
}

// lambdaParam finds a parameter of the lambdas around an expression, the innermost first.
func (b *binder) lambdaParam(ref *sql.ColumnRef) Expr {
	if len(ref.Parts) != 1 {
		return nil
	}
	for i := len(b.lambdas) - 1; i >= 0; i-- {
		if b.lambdas[i].Name == ref.Parts[0] {
			return b.lambdas[i]
		}
	}
	return nil
}
