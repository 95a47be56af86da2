package planner

import (
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// binder resolves names and types in one query block.
type binder struct {
	st    *statement
	scope *scope // what expressions may name; nil: nothing
	env   *env   // enclosing rows
	ctes  *cte
	// siblings are FROM items that are there but may not be named here; they improve error messages.
	siblings []*scope
	// clause names the clause for messages. aggs and windows collect aggregate and window calls, nil where there may be none.
	clause  string
	aggs    *aggCollector
	windows *windowCollector
	srf     bool   // set-returning functions may stand here
	within  string // CASE or COALESCE, in which they may not
	limited bool   // the query has LIMIT or OFFSET, so it may sort also where it never ends
	// window is the query's WINDOW clause: windowstart and windowend can be named.
	window *WindowSpec
	named  []*sql.WindowDef
	// lambdas are the parameters of the lambdas around the expression, the outermost first.
	lambdas []*LambdaParam
}

// sub is a binder for a query nested in an expression: the current row becomes an enclosing one.
func (b *binder) sub() *binder {
	return &binder{st: b.st, env: &env{scope: b.scope, next: b.env}, ctes: b.ctes}
}

// beside is a binder for a query in FROM that sees the enclosing rows, not its siblings.
func (b *binder) beside() *binder { return &binder{st: b.st, env: b.env, ctes: b.ctes} }

// bindExpr binds one expression. Untyped literals and parameters come back with type Unknown; coerce settles them.
func (b *binder) bindExpr(e sql.Expr) (Expr, error) {
	if err := b.st.enter(); err != nil {
		return nil, err
	}
	defer b.st.leave()
	if err := b.st.count(); err != nil {
		return nil, err
	}
	switch e := e.(type) {
	case *sql.Literal:
		return b.bindLiteral(e, false)
	case *sql.TypedLiteral:
		return b.bindTypedLiteral(e)
	case *sql.Param:
		return b.bindParam(e)
	case *sql.ColumnRef:
		return b.bindColumn(e)
	case *sql.SpecialValue:
		return b.bindSpecial(e)
	case *sql.BinaryOp:
		return b.bindBinary(e)
	case *sql.UnaryOp:
		return b.bindUnary(e)
	case *sql.And:
		args, err := b.bindConditions(e.Args, "AND")
		return &And{args}, err
	case *sql.Or:
		args, err := b.bindConditions(e.Args, "OR")
		return &Or{args}, err
	case *sql.Not:
		x, err := b.bindCondition(e.X, "NOT")
		if sub, ok := x.(*Subquery); ok && sub.Kind == SubqueryExists {
			sub.Negated = !sub.Negated
			return sub, err
		}
		return &Not{x}, err
	case *sql.IsTest:
		return b.bindIsTest(e)
	case *sql.IsDistinct:
		return b.bindIsDistinct(e)
	case *sql.Between:
		return b.bindBetween(e)
	case *sql.In:
		return b.bindIn(e)
	case *sql.Like:
		return b.bindLike(e)
	case *sql.Quantified:
		return b.bindQuantified(e)
	case *sql.Case:
		return b.bindCase(e)
	case *sql.Cast:
		return b.bindCast(e)
	case *sql.FuncCall:
		return b.bindCall(e)
	case *sql.Subquery:
		return b.bindSubquery(e)
	case *sql.Row:
		return b.bindRow(e)
	case *sql.ArrayExpr:
		return b.bindArray(e, nil)
	case *sql.MapExpr:
		return b.bindMap(e)
	case *sql.StructExpr:
		return b.bindStruct(e)
	case *sql.Subscript:
		return b.bindSubscript(e)
	case *sql.Slice:
		return b.bindSlice(e)
	case *sql.FieldSelect:
		x, err := b.bindExpr(e.X)
		if err != nil {
			return nil, err
		}
		return fieldOf(x, e.Field, e.Pos)
	case *sql.AtTimeZone:
		return b.callNamed("timezone", []sql.Expr{e.Zone, e.X}, e.Pos)
	case *sql.Collate:
		return b.bindCollate(e)
	case *sql.Star:
		return nil, sqlerr.New(sqlerr.SyntaxError, "* is not allowed here").At(e.Offset())
	case *sql.Default:
		return nil, sqlerr.New(sqlerr.SyntaxError, "DEFAULT is not allowed in this context").At(e.Offset())
	case *sql.Lambda:
		return nil, sqlerr.New(sqlerr.SyntaxError, "a lambda is not allowed here").
			WithHint("transform, filter and reduce take lambdas: %s.", lambdaForms["transform"]).At(e.Offset())
	}
	return nil, sqlerr.New(sqlerr.InternalError, "the planner does not know expression %T", e).At(e.Offset())
}

func (b *binder) bindExprs(es []sql.Expr) ([]Expr, error) {
	out := make([]Expr, len(es))
	for i, e := range es {
		x, err := b.bindExpr(e)
		if err != nil {
			return nil, err
		}
		out[i] = x
	}
	return out, nil
}

func (b *binder) bindColumn(e *sql.ColumnRef) (Expr, error) {
	if p := b.lambdaParam(e); p != nil {
		return p, nil
	}
	x, err := b.lookup(e)
	if err != nil && b.window != nil && len(e.Parts) == 1 {
		switch e.Parts[0] {
		case "windowstart", "windowend":
			return &windowBound{e.Parts[0] == "windowend"}, nil
		case "WINDOWSTART", "WINDOWEND":
			if b.ksql() {
				return millis(&windowBound{e.Parts[0] == "WINDOWEND"}), nil
			}
		}
	}
	if err != nil {
		return nil, err
	}
	if c, ok := x.(*ColumnRef); ok {
		fresh := *c
		b.st.notePos(&fresh, e.Pos)
		return &fresh, nil
	}
	return x, nil
}

func (b *binder) bindConditions(es []sql.Expr, what string) ([]Expr, error) {
	out := make([]Expr, len(es))
	for i, e := range es {
		x, err := b.bindCondition(e, what)
		if err != nil {
			return nil, err
		}
		out[i] = x
	}
	return out, nil
}

// bindCondition binds an expression that must be boolean.
func (b *binder) bindCondition(e sql.Expr, what string) (Expr, error) {
	x, err := b.bindExpr(e)
	if err != nil {
		return nil, err
	}
	return b.condition(x, what, e)
}

func (b *binder) condition(x Expr, what string, e sql.Expr) (Expr, error) {
	t := x.Type()
	if t.Kind != types.Bool && t.Kind != types.Unknown {
		return nil, sqlerr.New(sqlerr.DatatypeMismatch, "argument of %s must be type boolean, not type %s", what, t).At(e.Offset())
	}
	x, err := b.coerce(x, types.Of(types.Bool), CastImplicit, posOf(e))
	switch what {
	case "WHERE", "HAVING", "JOIN/ON", "FILTER":
		return holds(x), err
	}
	return x, err
}

func posOf(n sql.Node) sql.Pos { return sql.Pos(n.Offset()) }

func (b *binder) bindIsTest(e *sql.IsTest) (Expr, error) {
	if row, ok := e.X.(*sql.Row); ok && e.Kind == sql.IsNull {
		return b.bindRowIsNull(row, e.Not)
	}
	x, err := b.bindExpr(e.X)
	if err != nil {
		return nil, err
	}
	if e.Kind == sql.IsNull {
		return &IsNull{b.settle(x), e.Not}, nil
	}
	words := map[sql.IsKind]string{sql.IsTrue: "IS TRUE", sql.IsFalse: "IS FALSE", sql.IsUnknown: "IS UNKNOWN"}
	if x, err = b.condition(x, words[e.Kind], e.X); err != nil {
		return nil, err
	}
	want := map[sql.IsKind]types.Datum{sql.IsTrue: types.BoolDatum(true), sql.IsFalse: types.BoolDatum(false), sql.IsUnknown: types.NullDatum}
	return &BoolTest{x, want[e.Kind], e.Not}, nil
}

// bindRowIsNull binds (a, b) IS NULL: all fields are null; and (a, b) IS NOT NULL: none is (PostgreSQL docs, 9.2).
func (b *binder) bindRowIsNull(row *sql.Row, not bool) (Expr, error) {
	if len(row.Items) == 0 {
		return boolConst(true), nil
	}
	fields, err := b.bindExprs(row.Items)
	if err != nil {
		return nil, err
	}
	for i, x := range fields {
		fields[i] = &IsNull{b.settle(x), not}
	}
	return conjunction(fields), nil
}

func (b *binder) bindIsDistinct(e *sql.IsDistinct) (Expr, error) {
	l, lok := e.Left.(*sql.Row)
	r, rok := e.Right.(*sql.Row)
	if lok && rok {
		return b.bindRowsDistinct(e, l, r)
	}
	return b.bindValuesDistinct(e)
}

// bindRowsDistinct compares rows field by field.
func (b *binder) bindRowsDistinct(e *sql.IsDistinct, l, r *sql.Row) (Expr, error) {
	if len(l.Items) != len(r.Items) {
		return nil, sqlerr.New(sqlerr.SyntaxError, "unequal number of entries in row expressions").At(e.Offset())
	}
	if len(l.Items) == 0 {
		return boolConst(e.Not), nil
	}
	fields := make([]Expr, len(l.Items))
	for i := range fields {
		x, err := b.bindIsDistinct(&sql.IsDistinct{Pos: e.Pos, Left: l.Items[i], Right: r.Items[i], Not: e.Not})
		if err != nil {
			return nil, err
		}
		fields[i] = x
	}
	if e.Not {
		return conjunction(fields), nil
	}
	return disjunction(fields), nil
}

func (b *binder) bindValuesDistinct(e *sql.IsDistinct) (Expr, error) {
	l, r, err := b.bindPair(e.Left, e.Right)
	if err != nil {
		return nil, err
	}
	call, err := b.operator("=", l, r, e.Pos)
	if err != nil {
		return nil, err
	}
	return &IsDistinct{call.Args[0], call.Args[1], e.Not}, nil
}

func (b *binder) bindPair(l, r sql.Expr) (Expr, Expr, error) {
	x, err := b.bindExpr(l)
	if err != nil {
		return nil, nil, err
	}
	y, err := b.bindExpr(r)
	return x, y, err
}

// bindBetween spells x BETWEEN lo AND hi out; x is bound once per comparison so that nothing is shared.
func (b *binder) bindBetween(e *sql.Between) (Expr, error) {
	b.st.copying++
	defer func() { b.st.copying-- }()
	compare := func(op string, bound sql.Expr) (Expr, error) {
		return b.bindExpr(&sql.BinaryOp{Pos: e.Pos, Op: op, Left: e.X, Right: bound})
	}
	within := func(lo, hi sql.Expr) (Expr, error) {
		ge, err := compare(">=", lo)
		if err != nil {
			return nil, err
		}
		le, err := compare("<=", hi)
		return &And{[]Expr{ge, le}}, err
	}
	x, err := within(e.Lo, e.Hi)
	if err != nil {
		return nil, err
	}
	if e.Symmetric {
		y, err := within(e.Hi, e.Lo)
		if err != nil {
			return nil, err
		}
		x = &Or{[]Expr{x, y}}
	}
	if e.Not {
		x = &Not{x}
	}
	return x, nil
}

func (b *binder) bindLike(e *sql.Like) (Expr, error) {
	op := map[sql.LikeKind]string{sql.LikePattern: "~~", sql.ILikePattern: "~~*", sql.SimilarTo: "~"}[e.Kind]
	if e.Not {
		op = "!" + op
	}
	x, err := b.bindExpr(e.X)
	if err != nil {
		return nil, err
	}
	pattern := e.Pattern
	escape := map[sql.LikeKind]string{sql.LikePattern: "like_escape", sql.ILikePattern: "like_escape", sql.SimilarTo: "similar_to_escape"}[e.Kind]
	var y Expr
	switch {
	case e.Escape != nil:
		y, err = b.callNamed(escape, []sql.Expr{pattern, e.Escape}, e.Pos)
	case e.Kind == sql.SimilarTo:
		y, err = b.callNamed(escape, []sql.Expr{pattern}, e.Pos)
	default:
		y, err = b.bindExpr(pattern)
	}
	if err != nil {
		return nil, err
	}
	return b.compare(op, x, y, e.Pos)
}

func (b *binder) bindCase(e *sql.Case) (Expr, error) {
	b = b.in("CASE")
	out := &Case{}
	results := make([]sql.Expr, 0, len(e.Whens)+1)
	for _, w := range e.Whens {
		var cond Expr
		var err error
		if e.Operand != nil {
			b.st.copying++
			cond, err = b.bindExpr(&sql.BinaryOp{Pos: w.Pos, Op: "=", Left: e.Operand, Right: w.Cond})
			b.st.copying--
		} else {
			cond, err = b.bindCondition(w.Cond, "CASE/WHEN")
		}
		if err != nil {
			return nil, err
		}
		out.Whens = append(out.Whens, When{Cond: cond})
		results = append(results, w.Result)
	}
	if e.Else != nil {
		results = append(results, e.Else)
	}
	bound, t, err := b.bindCommon(results, "CASE")
	if err != nil {
		return nil, err
	}
	for i := range out.Whens {
		out.Whens[i].Then = bound[i]
	}
	if e.Else != nil {
		out.Else = bound[len(bound)-1]
	}
	out.Typ = t
	return out, nil
}

// in is a binder for what stands in CASE or COALESCE.
func (b *binder) in(construct string) *binder {
	inner := *b
	inner.within = construct
	return &inner
}

// bindCommon binds expressions and brings them to their common type.
func (b *binder) bindCommon(es []sql.Expr, what string) ([]Expr, types.Type, error) {
	xs, err := b.bindExprs(es)
	if err != nil {
		return nil, types.Type{}, err
	}
	t, err := b.common(xs, es, what)
	return xs, t, err
}

// common brings xs, in place, to their common type.
func (b *binder) common(xs []Expr, es []sql.Expr, what string) (types.Type, error) {
	ts := make([]types.Type, len(xs))
	for i, x := range xs {
		ts[i] = x.Type()
	}
	t, ok := commonType(ts)
	if !ok {
		first := ts[0]
		for _, u := range ts {
			if u.Kind != types.Unknown {
				first = u
				break
			}
		}
		pos := sql.Pos(-1)
		for i, u := range ts {
			if u.Equal(t) && len(es) > i {
				pos = posOf(es[i])
				break
			}
		}
		return t, sqlerr.New(sqlerr.DatatypeMismatch, "%s types %s and %s cannot be matched", what, first, t).At(pos.Offset())
	}
	for i, x := range xs {
		pos := sql.Pos(-1)
		if len(es) > i {
			pos = posOf(es[i])
		}
		y, err := b.coerce(x, t, CastImplicit, pos)
		if err != nil {
			return t, err
		}
		xs[i] = y
	}
	return t, nil
}
