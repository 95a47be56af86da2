package planner

import (
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

func (b *binder) bindBinary(e *sql.BinaryOp) (Expr, error) {
	if err := checkOperatorSchema(e.Schema, e.Op, e.Pos); err != nil {
		return nil, err
	}
	lr, lok := e.Left.(*sql.Row)
	rr, rok := e.Right.(*sql.Row)
	if lok && rok {
		return b.bindRowCompare(e, lr, rr)
	}
	if sub, ok := e.Right.(*sql.Subquery); ok && lok && sub.Kind == sql.ScalarSubquery {
		return b.quantified(e.Left, e.Op, false, sub.Query, e.Pos)
	}
	l, r, err := b.bindPair(e.Left, e.Right)
	if err != nil {
		return nil, err
	}
	return b.operatorExpr(e.Op, l, r, e.Pos)
}

func checkOperatorSchema(schema, op string, pos sql.Pos) error {
	if schema == "" || schema == "pg_catalog" {
		return nil
	}
	return sqlerr.New(sqlerr.UndefinedFunction, "operator does not exist: %s.%s", schema, op).At(pos.Offset())
}

// bindRowCompare spells (a, b) op (c, d) out: = and <> by columns, the orderings lexicographically (PostgreSQL docs, 9.24.5).
func (b *binder) bindRowCompare(e *sql.BinaryOp, l, r *sql.Row) (Expr, error) {
	if len(l.Items) != len(r.Items) {
		return nil, sqlerr.New(sqlerr.SyntaxError, "unequal number of entries in row expressions").At(e.Offset())
	}
	if len(l.Items) == 0 {
		return nil, sqlerr.New(sqlerr.FeatureNotSupported, "cannot compare rows of zero length").At(e.Offset())
	}
	compare := func(op string, i int) (Expr, error) {
		return b.bindBinary(&sql.BinaryOp{Pos: e.Pos, Op: op, Left: l.Items[i], Right: r.Items[i]})
	}
	if e.Op == "=" || e.Op == "<>" {
		args := make([]Expr, len(l.Items))
		for i := range args {
			x, err := compare(e.Op, i)
			if err != nil {
				return nil, err
			}
			args[i] = x
		}
		if e.Op == "=" {
			return conjunction(args), nil
		}
		return disjunction(args), nil
	}
	if !strings.Contains("< <= > >=", e.Op) {
		return nil, sqlerr.New(sqlerr.FeatureNotSupported, "could not determine interpretation of row comparison operator %s", e.Op).At(e.Offset())
	}
	last := len(l.Items) - 1
	out, err := compare(e.Op, last)
	for i := last - 1; i >= 0 && err == nil; i-- {
		var less, equal Expr
		if less, err = compare(strings.TrimSuffix(e.Op, "="), i); err != nil {
			break
		}
		if equal, err = compare("=", i); err == nil {
			out = &Or{[]Expr{less, &And{[]Expr{equal, out}}}}
		}
	}
	return out, err
}

func conjunction(args []Expr) Expr {
	switch len(args) {
	case 0:
		return nil
	case 1:
		return args[0]
	}
	return &And{args}
}

func disjunction(args []Expr) Expr {
	if len(args) == 1 {
		return args[0]
	}
	return &Or{args}
}

func (b *binder) bindUnary(e *sql.UnaryOp) (Expr, error) {
	if err := checkOperatorSchema(e.Schema, e.Op, e.Pos); err != nil {
		return nil, err
	}
	if l, ok := e.X.(*sql.Literal); ok && e.Op == "-" && (l.Kind == sql.IntegerLiteral || l.Kind == sql.DecimalLiteral) {
		return b.bindLiteral(l, true)
	}
	x, err := b.bindExpr(e.X)
	if err != nil {
		return nil, err
	}
	call, err := b.callOverload(e.Op, registry[e.Op], []Expr{x}, e.Pos, true)
	if err != nil {
		return nil, err
	}
	return call, nil
}

// operatorExpr is operator as an Expr.
func (b *binder) operatorExpr(op string, l, r Expr, pos sql.Pos) (Expr, error) {
	call, err := b.operator(op, l, r, pos)
	if err != nil {
		return nil, err
	}
	return call, nil
}

func (b *binder) operator(op string, l, r Expr, pos sql.Pos) (*Call, error) {
	return b.callOverload(op, registry[op], []Expr{l, r}, pos, true)
}

// callOverload resolves the overload and converts the arguments.
func (b *binder) callOverload(name string, fs []*Func, args []Expr, pos sql.Pos, operator bool) (*Call, error) {
	actual := make([]types.Type, len(args))
	for i, a := range args {
		actual[i] = a.Type()
	}
	if operator {
		actual = widenFloat4(actual)
	}
	f, ambiguous := resolveOverload(fs, actual, operator)
	if f == nil {
		return nil, noOverload(name, fs, args, operator, ambiguous, pos)
	}
	declared, _ := spread(f, len(args))
	elem, _ := polyElem(declared, actual)
	if elem.Kind == types.Unknown {
		elem = types.Of(types.Text)
	}
	call := &Call{Func: f, Args: make([]Expr, len(args)), Typ: resultType(f.Ret, elem)}
	for i, a := range args {
		want := declared[i]
		switch want.Kind {
		case types.Any:
			call.Args[i] = b.settle(a)
			continue
		case types.AnyElement:
			want = elem
		case types.AnyArray:
			if isVector(a.Type().Kind) {
				call.Args[i] = a
				continue
			}
			want = types.ArrayOf(elem)
		}
		x, err := b.coerce(a, want, CastImplicit, b.st.posOf(a, pos))
		if err != nil {
			return nil, err
		}
		call.Args[i] = x
	}
	return call, nil
}

// noOverload is PostgreSQL's error for an operator or function that does not exist for the argument types.
func noOverload(name string, fs []*Func, args []Expr, operator, ambiguous bool, pos sql.Pos) error {
	ts := make([]string, len(args))
	for i, a := range args {
		ts[i] = a.Type().String()
	}
	code, what := sqlerr.UndefinedFunction, "does not exist"
	if ambiguous {
		code, what = sqlerr.AmbiguousFunction, "is not unique"
	}
	if operator {
		sig := name + " " + ts[len(ts)-1]
		if len(ts) == 2 {
			sig = ts[0] + " " + sig
		}
		err := sqlerr.New(code, "operator %s: %s", what, sig).At(pos.Offset())
		if ambiguous {
			return err.WithHint("Could not choose a best candidate operator. You might need to add explicit type casts.")
		}
		if len(ts) == 1 {
			return err.WithHint("No operator matches the given name and argument type. You might need to add an explicit type cast.")
		}
		return err.WithHint("No operator matches the given name and argument types. You might need to add explicit type casts.")
	}
	err := sqlerr.New(code, "function %s(%s) %s", name, strings.Join(ts, ", "), what).At(pos.Offset())
	switch {
	case ambiguous:
		return err.WithHint("Could not choose a best candidate function. You might need to add explicit type casts.")
	case len(fs) == 0:
		if near := nearestFunction(name); near != "" {
			return err.WithHint("Perhaps you meant the function %q.", near)
		}
	}
	return err.WithHint("No function matches the given name and argument types. You might need to add explicit type casts.")
}

func nearestFunction(name string) string {
	best, dist := "", 3
	for n, fs := range registry {
		if fs[0].IsOperator() {
			continue
		}
		if d := editDistance(name, n); d < dist || d == dist && n < best {
			best, dist = n, d
		}
	}
	return best
}

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
		if alts[i], err = b.operatorExpr("=", xs[0], xs[i+1], e.Pos); err != nil {
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
	return &ArrayCompare{Left: call.Args[0], Array: arr, Op: call.Func, All: e.All}, nil
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
	if b.st.unbounded {
		return nil, nil, notYet("a subquery in an expression of a continuous query", "it would have to follow the changes of its tables",
			"join the table instead", posOf(q))
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

func notYet(what, why, instead string, pos sql.Pos) error {
	return sqlerr.New(sqlerr.FeatureNotSupported, "%s does not run yet", what).WithDetail("Reason: %s.", why).WithHint("What works: %s.", instead).At(pos.Offset())
}
