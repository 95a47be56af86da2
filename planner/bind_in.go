package planner

import (
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

func (b *binder) bindIn(e *sql.In) (Expr, error) {
	if e.Query != nil {
		x, err := b.quantified(e.X, "=", false, e.Query, e.Pos)
		if err != nil {
			return nil, err
		}
		if e.Not {
			if s, ok := x.(*Subquery); ok {
				s.Negated = true
				return s, nil
			}
			return &Not{x}, nil
		}
		return x, nil
	}
	if _, ok := e.X.(*sql.Row); ok {
		return b.bindInRows(e)
	}
	all := append([]sql.Expr{e.X}, e.List...)
	xs, err := b.bindExprs(all)
	if err != nil {
		return nil, err
	}
	ts := make([]types.Type, len(xs))
	for i, x := range xs {
		ts[i] = x.Type()
	}
	if t, ok := commonType(ts); ok { // one comparison for all elements, as long as there is a common type
		probe := &Const{t, types.NullDatum}
		if eq, err := b.operator("=", probe, probe, e.Pos); err == nil {
			return b.inList(e, xs, all, eq.Args[0].Type(), eq.Func)
		}
	}
	b.st.copying++
	defer func() { b.st.copying-- }()
	alts := make([]Expr, len(e.List))
	for i := range e.List {
		if i > 0 {
			if xs[0], err = b.bindExpr(e.X); err != nil {
				return nil, err
			}
		}
		if alts[i], err = b.compare("=", xs[0], xs[i+1], e.Pos); err != nil {
			return nil, err
		}
	}
	return negateIf(e.Not, disjunction(alts)), nil
}

func (b *binder) inList(e *sql.In, xs []Expr, nodes []sql.Expr, t types.Type, eq *Func) (Expr, error) {
	for i, x := range xs {
		y, err := b.coerce(x, t, CastImplicit, posOf(nodes[i]))
		if err != nil {
			return nil, err
		}
		xs[i] = y
	}
	if b.ksql() {
		x, err := b.twoValued(&InList{Arg: xs[0], List: xs[1:], Eq: eq}, nil)
		return negateIf(e.Not, x), err
	}
	return &InList{Arg: xs[0], List: xs[1:], Eq: eq, Negated: e.Not}, nil
}

func (b *binder) bindInRows(e *sql.In) (Expr, error) {
	b.st.copying++
	defer func() { b.st.copying-- }()
	alts := make([]Expr, len(e.List))
	for i, it := range e.List {
		x, err := b.bindBinary(&sql.BinaryOp{Pos: e.Pos, Op: "=", Left: e.X, Right: it})
		if err != nil {
			return nil, err
		}
		alts[i] = x
	}
	return negateIf(e.Not, disjunction(alts)), nil
}

func negateIf(not bool, x Expr) Expr {
	if not {
		return &Not{x}
	}
	return x
}

func (b *binder) bindQuantified(e *sql.Quantified) (Expr, error) {
	if err := checkOperatorSchema(e.Schema, e.Op, e.Pos); err != nil {
		return nil, err
	}
	if e.Query != nil {
		return b.quantified(e.Left, e.Op, e.All, e.Query, e.Pos)
	}
	l, arr, err := b.bindPair(e.Left, e.Array)
	if err != nil {
		return nil, err
	}
	if arr.Type().Kind == types.Unknown {
		elem := l.Type()
		if elem.Kind == types.Unknown {
			elem = types.Of(types.Text)
		}
		elem.Mod = -1
		if elem.Kind == types.Varchar {
			elem = types.Of(types.Text)
		}
		if arr, err = b.coerce(arr, types.ArrayOf(elem), CastImplicit, posOf(e.Array)); err != nil {
			return nil, err
		}
	}
	if arr.Type().Kind.Category() != 'A' {
		return nil, sqlerr.New(sqlerr.WrongObjectType, "op ANY/ALL (array) requires array on right side").At(e.Offset())
	}
	probe := &ColumnRef{Typ: elemType(arr.Type())}
	call, err := b.operator(e.Op, l, probe, e.Pos)
	if err != nil {
		return nil, err
	}
	if call.Typ.Kind != types.Bool {
		return nil, sqlerr.New(sqlerr.WrongObjectType, "op ANY/ALL (array) requires operator to yield boolean").At(e.Offset())
	}
	if want := call.Args[1].Type(); !want.Equal(probe.Typ) || isVector(arr.Type().Kind) {
		if arr, err = b.coerce(arr, types.ArrayOf(want), CastImplicit, posOf(e.Array)); err != nil {
			return nil, err
		}
	}
	return b.twoValued(&ArrayCompare{Left: call.Args[0], Array: arr, Op: call.Func, All: e.All}, nil)
}

func (b *binder) bindSubquery(e *sql.Subquery) (Expr, error) {
	plan, s, err := b.subplan(e.Query)
	if err != nil {
		return nil, err
	}
	cols := plan.Props().Cols
	switch e.Kind {
	case sql.ExistsSubquery:
		s.Kind, s.Typ = SubqueryExists, types.Of(types.Bool)
		return s, nil
	case sql.ArraySubquery:
		s.Kind = SubqueryArray
	default:
		s.Kind = SubqueryScalar
	}
	if len(cols) != 1 {
		return nil, sqlerr.New(sqlerr.SyntaxError, "subquery must return only one column").At(e.Offset())
	}
	s.Typ = cols[0].Type
	if s.Kind == SubqueryArray {
		s.Typ = types.ArrayOf(cols[0].Type)
	}
	return s, nil
}

// subplan binds a query nested in an expression.
func (b *binder) subplan(q *sql.Query) (Node, *Subquery, error) {
	if q.Emit != nil {
		return nil, nil, sqlerr.New(sqlerr.SyntaxError, "EMIT is not allowed in a subquery").At(q.Emit.Offset())
	}
	if b.st.subqueryAt < 0 {
		b.st.subqueryAt = posOf(q)
	}
	sub := b.sub()
	plan, err := sub.bindQuery(q)
	if err != nil {
		return nil, nil, err
	}
	if plan, err = b.settleUnknown(plan); err != nil {
		return nil, nil, err
	}
	s := &Subquery{Plan: visibleOnly(plan), Correlated: correlated(sub.env, plan)}
	return s.Plan, s, nil
}

// correlated reports whether a subquery refers to any enclosing row, not only to the nearest.
func correlated(e *env, plan Node) bool {
	if e.used {
		return true
	}
	for level := 2; e.next != nil; level++ {
		if e = e.next; e.used && hasOuterRef(plan, level) {
			return true
		}
	}
	return false
}

func hasOuterRef(n Node, level int) bool {
	found := false
	mapOuterRefs(n, level, func(o *OuterRef) Expr { found = true; return o })
	return found
}

// quantified binds left op ANY|ALL (query); left may be a row.
func (b *binder) quantified(left sql.Expr, op string, all bool, q *sql.Query, pos sql.Pos) (Expr, error) {
	items := []sql.Expr{left}
	if row, ok := left.(*sql.Row); ok {
		items = row.Items
	}
	ls, err := b.bindExprs(items)
	if err != nil {
		return nil, err
	}
	plan, s, err := b.subplan(q)
	if err != nil {
		return nil, err
	}
	cols := plan.Props().Cols
	switch {
	case len(cols) > len(ls):
		return nil, sqlerr.New(sqlerr.SyntaxError, "subquery has too many columns").At(pos.Offset())
	case len(cols) < len(ls):
		return nil, sqlerr.New(sqlerr.SyntaxError, "subquery has too few columns").At(pos.Offset())
	}
	s.Kind, s.Typ = SubqueryAny, types.Of(types.Bool)
	if all {
		s.Kind = SubqueryAll
	}
	want := make([]types.Type, len(cols))
	for i, l := range ls {
		call, err := b.operator(op, l, &ColumnRef{Ord: i, Typ: cols[i].Type, Name: cols[i].Name}, pos)
		if err != nil {
			return nil, err
		}
		s.Left, s.Op = append(s.Left, call.Args[0]), append(s.Op, call.Func)
		want[i] = call.Args[1].Type()
	}
	if s.Plan, err = b.coerceOutput(plan, want, "ANY", pos); err != nil {
		return nil, err
	}
	return s, nil
}
