package planner

import (
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// aggRef stands for aggregate idx of the query until the Aggregate node is there.
type aggRef struct {
	idx int
	typ types.Type
}

// windowRef stands for an OVER call until the WindowFunc node is there.
type windowRef struct {
	call Agg
	spec *windowSpec
}

// windowBound stands for windowstart, or windowend if end.
type windowBound struct{ end bool }

func (e *aggRef) Type() types.Type      { return e.typ }
func (e *windowRef) Type() types.Type   { return e.call.Typ }
func (e *windowBound) Type() types.Type { return types.Of(types.TimestampTZ) }
func (*aggRef) exprNode()               {}
func (*windowRef) exprNode()            {}
func (*windowBound) exprNode()          {}

// aggCollector gathers the aggregate calls of one query, equal ones once.
type aggCollector struct {
	aggs     []Agg
	keys     map[string]int
	grouping bool // GROUPING is used
}

func (c *aggCollector) add(a Agg) *aggRef {
	key := aggKey(a)
	i, ok := c.keys[key]
	if !ok {
		i = len(c.aggs)
		c.aggs = append(c.aggs, a)
		c.keys[key] = i
	}
	return &aggRef{i, c.aggs[i].Typ}
}

// findFunc returns the overload with an ID that the tables must have.
func findFunc(id string) *Func {
	name, _, _ := strings.Cut(id, "(")
	for _, f := range registry[name] {
		if f.ID() == id {
			return f
		}
	}
	panic("planner: no signature " + id)
}

// overloads returns the overloads of a function name of one of the kinds.
func overloads(name string, kinds ...FuncKind) []*Func {
	var out []*Func
	for _, f := range registry[name] {
		for _, k := range kinds {
			if f.Kind == k {
				out = append(out, f)
			}
		}
	}
	return out
}

// callNamed calls a built-in scalar function by name.
func (b *binder) callNamed(name string, args []sql.Expr, pos sql.Pos) (Expr, error) {
	xs, err := b.bindExprs(args)
	if err != nil {
		return nil, err
	}
	call, err := b.callOverload(name, overloads(name, ScalarFunc), xs, pos, false)
	if err != nil {
		return nil, err
	}
	return b.checkCall(call, pos)
}

// checkCall refuses functions that a continuous query cannot evaluate.
func (b *binder) checkCall(call *Call, pos sql.Pos) (Expr, error) {
	if b.st.unbounded && call.Func.Session {
		return nil, notYet("the session function "+call.Func.Name+"() in a continuous query", "the query outlives the session",
			"write the value as a constant", pos)
	}
	return call, nil
}

func (b *binder) bindCall(e *sql.FuncCall) (Expr, error) {
	switch e.Schema {
	case "", "pg_catalog", "information_schema":
	default:
		return nil, noOverload(e.Schema+"."+e.Name, nil, nil, false, false, e.Pos)
	}
	if e.Over != nil {
		return b.bindOver(e)
	}
	e, err := inOrder(e)
	if err != nil {
		return nil, err
	}
	switch e.Name {
	case "coalesce":
		return b.bindCoalesce(e)
	case "nullif":
		return b.bindNullif(e)
	case "greatest", "least":
		return b.bindGreatest(e)
	case "ifnull":
		if len(e.Args) == 2 {
			return b.bindCoalesce(e)
		}
	case "grouping":
		return b.bindGrouping(e)
	}
	if isHigherOrder(e) {
		return b.bindHigherOrder(e)
	}
	fs := registry[e.Name]
	if len(fs) > 0 && (fs[0].Kind == AggregateFunc || fs[0].Kind == OrderedSetFunc || e.WithinGroup) {
		return b.bindAggregate(e)
	}
	if e.Distinct || e.Filter != nil || len(e.OrderBy) > 0 || e.Star {
		what := map[bool]string{true: "(*)", false: ""}[e.Star]
		return nil, sqlerr.New(sqlerr.WrongObjectType, "%s%s is not an aggregate function", e.Name, what).
			WithHint("DISTINCT, FILTER, ORDER BY and * go with aggregate functions only.").At(e.Offset())
	}
	if len(fs) > 0 && fs[0].Kind == WindowOnlyFunc {
		return nil, sqlerr.New(sqlerr.WrongObjectType, "window function %s requires an OVER clause", e.Name).At(e.Offset())
	}
	xs, variadic, err := b.bindArgs(e)
	if err != nil {
		return nil, err
	}
	if variadic {
		return nil, notYet("VARIADIC", "functions take their arguments one by one", "list the arguments", e.Pos)
	}
	if b.ksql() && (e.Name == "round" || e.Name == "trunc") && len(xs) == 2 && xs[0].Type().Kind == types.Float8 {
		return b.roundDouble(e, xs)
	}
	if len(fs) == 0 {
		if x, ok, err := b.castCall(e, xs); ok || err != nil {
			return x, err
		}
	}
	call, err := b.callOverload(e.Name, overloads(e.Name, ScalarFunc, SetFunc), xs, e.Pos, false)
	if err != nil {
		if x, ok, err2 := b.castCall(e, xs); ok && err2 == nil {
			return x, nil
		}
		return nil, err
	}
	if call.Func.Kind == SetFunc {
		switch {
		case !b.srf:
			return nil, sqlerr.New(sqlerr.FeatureNotSupported, "set-returning functions are not allowed in %s", b.clause).At(e.Offset())
		case b.within != "":
			return nil, sqlerr.New(sqlerr.FeatureNotSupported, "set-returning functions are not allowed in %s", b.within).
				WithHint("You might be able to move the set-returning function into a LATERAL FROM item.").At(e.Offset())
		}
		b.fixSetType(call)
	}
	return b.checkCall(call, e.Pos)
}

// fixSetType gives a set-returning call of several columns its row type.
func (b *binder) fixSetType(call *Call) {
	cols := setColumns(call)
	if call.Func.Ret.Kind == types.Record {
		call.Typ = types.Type{Kind: types.Record, Mod: -1, Fields: cols}
	}
}

// setColumns are the columns of a set-returning call.
func setColumns(call *Call) []types.Field {
	if len(call.Func.Columns) == 0 {
		return []types.Field{{Name: call.Func.Name, Type: call.Typ}}
	}
	elem := types.Of(types.Text)
	for i, d := range call.Func.Args {
		switch d.Kind {
		case types.AnyArray:
			elem = elemType(call.Args[i].Type())
		case types.AnyElement:
			elem = call.Args[i].Type()
		}
	}
	out := make([]types.Field, len(call.Func.Columns))
	for i, c := range call.Func.Columns {
		out[i] = types.Field{Name: c.Name, Type: resultType(c.Type, elem)}
	}
	return out
}

func (b *binder) bindArgs(e *sql.FuncCall) (xs []Expr, variadic bool, err error) {
	xs = make([]Expr, len(e.Args))
	for i, a := range e.Args {
		if unit, ok := bareUnit(e, i); ok {
			xs[i] = textConst(unit)
			continue
		}
		if a.Name != "" {
			return nil, false, notYet("named argument notation", "the built-in functions have no named parameters", "give the arguments in order", a.Pos)
		}
		if star, ok := a.Value.(*sql.Star); ok && len(star.Table) > 0 {
			xs[i], err = b.lookup(&sql.ColumnRef{Pos: star.Pos, Parts: star.Table[len(star.Table)-1:]})
		} else {
			xs[i], err = b.bindExpr(a.Value)
		}
		if err != nil {
			return nil, false, err
		}
		variadic = variadic || a.Variadic
	}
	return xs, variadic, nil
}

// unitCalls are ksqlDB's functions whose first argument is a unit of time, which may be a bare word: dateadd(DAYS, 3, d).
var unitCalls = map[string]bool{"dateadd": true, "datesub": true, "timeadd": true, "timesub": true, "timestampadd": true, "timestampsub": true}

// bareUnit reads argument i of a call as such a word, or as the form of normalize(text, form).
func bareUnit(e *sql.FuncCall, i int) (string, bool) {
	ref, ok := e.Args[i].Value.(*sql.ColumnRef)
	if !ok || len(ref.Parts) != 1 {
		return "", false
	}
	if e.Name == "normalize" && i == 1 {
		switch form := strings.ToUpper(ref.Parts[0]); form {
		case "NFC", "NFD", "NFKC", "NFKD":
			return form, true
		}
	}
	if i > 0 || !unitCalls[e.Name] {
		return "", false
	}
	switch unit := strings.TrimSuffix(strings.ToLower(ref.Parts[0]), "s"); unit {
	case "year", "month", "week", "day", "hour", "minute", "second", "millisecond":
		return unit, true
	}
	return "", false
}

// castCall reads type(x) as a cast (PostgreSQL docs, 4.2.9).
func (b *binder) castCall(e *sql.FuncCall, xs []Expr) (Expr, bool, error) {
	if len(xs) != 1 {
		return nil, false, nil
	}
	t, ok := types.Lookup(e.Name)
	if !ok || t.Kind >= types.Void || t.Kind == types.Unknown || t.Kind == types.Record {
		return nil, false, nil
	}
	x, err := b.coerce(xs[0], t, CastExplicit, e.Pos)
	return x, err == nil, err
}

func (b *binder) plainArgs(e *sql.FuncCall) []sql.Expr {
	out := make([]sql.Expr, len(e.Args))
	for i, a := range e.Args {
		out[i] = a.Value
	}
	return out
}

func (b *binder) bindCoalesce(e *sql.FuncCall) (Expr, error) {
	if len(e.Args) == 0 {
		return nil, sqlerr.New(sqlerr.SyntaxError, "COALESCE needs an argument").At(e.Offset())
	}
	xs, t, err := b.in("COALESCE").bindCommon(b.plainArgs(e), "COALESCE")
	if err != nil {
		return nil, err
	}
	return &Coalesce{xs, t}, nil
}

func (b *binder) bindGreatest(e *sql.FuncCall) (Expr, error) {
	if len(e.Args) == 0 {
		return nil, sqlerr.New(sqlerr.SyntaxError, "%s needs an argument", e.Name).At(e.Offset())
	}
	what := map[string]string{"greatest": "GREATEST", "least": "LEAST"}[e.Name]
	xs, t, err := b.bindCommon(b.plainArgs(e), what)
	if err != nil {
		return nil, err
	}
	return &Call{Func: registry[e.Name][0], Args: xs, Typ: t}, nil
}

// bindNullif spells NULLIF(a, b) out as CASE WHEN a = b THEN NULL ELSE a END.
func (b *binder) bindNullif(e *sql.FuncCall) (Expr, error) {
	if len(e.Args) != 2 {
		return nil, noOverload(e.Name, nil, make([]Expr, 0), false, false, e.Pos)
	}
	cond, err := b.bindBinary(&sql.BinaryOp{Pos: e.Pos, Op: "=", Left: e.Args[0].Value, Right: e.Args[1].Value})
	if err != nil {
		return nil, err
	}
	x, err := b.bindExpr(e.Args[0].Value)
	if err != nil {
		return nil, err
	}
	if eq, ok := cond.(*Call); ok && x.Type().Kind == types.Unknown { // the type that = has found for it
		if x, err = b.coerce(x, eq.Args[0].Type(), CastImplicit, e.Pos); err != nil {
			return nil, err
		}
	}
	x = b.settle(x)
	return &Case{Whens: []When{{cond, nullConst(x.Type())}}, Else: x, Typ: x.Type()}, nil
}

func (b *binder) bindAggregate(e *sql.FuncCall) (Expr, error) {
	if b.aggs == nil {
		if b.clause == "an aggregate" {
			return nil, sqlerr.New(sqlerr.GroupingError, "aggregate function calls cannot be nested").At(e.Offset())
		}
		return nil, sqlerr.New(sqlerr.GroupingError, "aggregate functions are not allowed in %s", b.clause).At(e.Offset())
	}
	inner := *b
	inner.aggs, inner.windows, inner.srf, inner.clause = nil, nil, false, "an aggregate"
	agg, err := inner.bindAggCall(e, AggregateFunc)
	if err != nil {
		return nil, err
	}
	return b.aggs.add(*agg), nil
}

// bindAggCall binds an aggregate or window call's arguments and clauses.
func (b *binder) bindAggCall(e *sql.FuncCall, kinds ...FuncKind) (*Agg, error) {
	if e.WithinGroup || registry[e.Name][0].Kind == OrderedSetFunc {
		return b.bindOrderedSet(e)
	}
	xs, _, err := b.bindArgs(e)
	if err != nil {
		return nil, err
	}
	fs := overloads(e.Name, kinds...)
	if e.Star && e.Name != "count" {
		return nil, sqlerr.New(sqlerr.UndefinedFunction, "%s(*) does not exist", e.Name).At(e.Offset())
	}
	if e.Name == "count" && !e.Star && len(xs) == 0 {
		return nil, sqlerr.New(sqlerr.WrongObjectType, "count(*) must be used to call a parameterless aggregate function").At(e.Offset())
	}
	call, err := b.callOverload(e.Name, fs, xs, e.Pos, false)
	if err != nil {
		return nil, err
	}
	agg := &Agg{Func: call.Func, Args: call.Args, Typ: call.Typ, Distinct: e.Distinct, Name: e.Name}
	if err := b.settleAgg(agg, e); err != nil {
		return nil, err
	}
	if ofOuter(agg.Args) {
		return nil, notYet("an aggregate over columns of an outer query alone", "it would be that query's", "the aggregate in the outer query", e.Pos)
	}
	if agg.OrderBy, err = b.bindSortKeys(e.OrderBy); err != nil {
		return nil, err
	}
	agg.Arrival = b.ksql() && agg.Func.Ordered && len(agg.OrderBy) == 0 && (b.window == nil || b.window.Kind != Session)
	if agg.Distinct && len(agg.OrderBy) > 0 && !sortedByArgs(agg) {
		return nil, sqlerr.New(sqlerr.InvalidColumnReference, "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list").At(e.Offset())
	}
	return agg, nil
}

// ofOuter tells whether expressions name columns, and only those of enclosing queries. An aggregate over them would be an enclosing query's
// (PostgreSQL docs, 4.2.7).
func ofOuter(xs []Expr) bool {
	outer, own := false, false
	for _, x := range xs {
		outer = outer || anyExpr(x, func(y Expr) bool { _, ok := y.(*OuterRef); return ok })
		own = own || anyExpr(x, func(y Expr) bool { _, ok := y.(*ColumnRef); return ok })
	}
	return outer && !own
}

func sortedByArgs(a *Agg) bool {
	for _, k := range a.OrderBy {
		found := false
		for _, x := range a.Args {
			found = found || exprKey(x) == exprKey(k.Expr)
		}
		if !found {
			return false
		}
	}
	return true
}

func (b *binder) bindSortKeys(items []*sql.OrderItem) ([]SortKey, error) {
	var out []SortKey
	for _, it := range items {
		x, err := b.bindExpr(it.Expr)
		if err != nil {
			return nil, err
		}
		key, err := sortKey(b.settle(x), it)
		if err != nil {
			return nil, err
		}
		out = append(out, key)
	}
	return out, nil
}

func sortKey(x Expr, it *sql.OrderItem) (SortKey, error) {
	k := SortKey{Expr: x, Desc: it.Desc}
	switch it.Using {
	case "", "<", "<=":
	case ">", ">=":
		k.Desc = true
	default:
		return k, sqlerr.New(sqlerr.WrongObjectType, "operator %s is not a valid ordering operator", it.Using).At(it.Offset())
	}
	k.NullsFirst = k.Desc
	if it.NullsFirst != sql.Unset {
		k.NullsFirst = it.NullsFirst == sql.Yes
	}
	if t := x.Type(); t.Kind == types.JSON {
		return k, sqlerr.New(sqlerr.UndefinedFunction, "could not identify an ordering operator for type %s", t).
			WithHint("Cast it to jsonb.").At(it.Offset())
	}
	return k, nil
}
