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
	if c, ok := r.(*Const); ok && e.Op == "->" && isRow(l.Type().Kind) && !c.Val.Null && (isString(c.Typ.Kind) || c.Typ.Kind == types.Unknown) {
		return fieldOf(l, c.Val.S, e.Pos) // s->'f', as of jsonb
	}
	return b.compare(e.Op, l, r, e.Pos)
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
		case types.AnyElement, types.AnyEnum:
			want = elem
		case types.AnyArray:
			if isVector(a.Type().Kind) {
				call.Args[i] = a
				continue
			}
			want = types.ArrayOf(elem)
		case types.Map:
			want = types.MapOf(elem)
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

func notYet(what, why, instead string, pos sql.Pos) error {
	return sqlerr.New(sqlerr.FeatureNotSupported, "%s cannot run yet", what).WithDetail("Reason: %s.", why).WithHint("What works: %s.", instead).At(pos.Offset())
}
