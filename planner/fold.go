package planner

import "github.com/millracedb/millrace/sql/types"

// foldNode folds the constants of a plan, subqueries included. What fails to evaluate stays, for its row may never be asked for.
func (p *Planner) foldNode(n Node) {
	mapNode(n, func(e Expr) Expr { return p.foldExpr(e) })
}

func (p *Planner) foldExpr(e Expr) Expr {
	return mapExpr(e, func(x Expr) Expr {
		switch x := x.(type) {
		case *And:
			return foldLogic(x.Args, true)
		case *Or:
			return foldLogic(x.Args, false)
		case *Case:
			return foldCase(x)
		case *Coalesce:
			return foldCoalesce(x)
		case *Subquery:
			p.foldNode(x.Plan)
			return x
		case *Call:
			if x.Func.Kind != ScalarFunc || x.Func.Volatility != Immutable || x.Func.Session {
				return x
			}
			if c := foldStrict(x); c != nil {
				return c
			}
			return p.evalConst(x, x.Args...)
		case *Cast:
			if foldableCast(x) {
				return p.evalConst(x, x.Arg)
			}
		case *Not:
			return p.evalConst(x, x.Arg)
		case *IsNull:
			return p.evalConst(x, x.Arg)
		case *BoolTest:
			return p.evalConst(x, x.Arg)
		case *IsDistinct:
			return p.evalConst(x, x.Left, x.Right)
		case *InList:
			return p.evalConst(x, append([]Expr{x.Arg}, x.List...)...)
		case *ArrayCompare:
			return p.evalConst(x, x.Left, x.Array)
		case *ArrayExpr:
			return p.evalConst(x, x.Elems...)
		case *MapExpr:
			return p.evalConst(x, append(append([]Expr{}, x.Keys...), x.Values...)...)
		case *HigherOrder:
			if c, ok := x.Arg.(*Const); ok && c.Val.Null {
				return nullConst(x.Typ)
			}
		}
		return x
	})
}

func (p *Planner) evalConst(e Expr, args ...Expr) Expr {
	for _, a := range args {
		if _, ok := a.(*Const); !ok {
			return e
		}
	}
	if n, ok := e.(*IsNull); ok {
		return boolConst(n.Arg.(*Const).Val.Null != n.Negated)
	}
	if p.Evaluator == nil {
		return e
	}
	d, err := p.Evaluator.Eval(e)
	if err != nil {
		return e
	}
	return &Const{e.Type(), d}
}

// foldStrict folds a strict call that has a NULL argument.
func foldStrict(x *Call) Expr {
	if x.Func.NotStrict {
		return nil
	}
	for _, a := range x.Args {
		if c, ok := a.(*Const); ok && c.Val.Null {
			return nullConst(x.Typ)
		}
	}
	return nil
}

// foldableCast leaves out casts that depend on the session: names of catalog objects, and text or local time as an instant.
func foldableCast(c *Cast) bool {
	from, to := c.Arg.Type().Kind, c.To.Kind
	if isReg(from) || isReg(to) {
		return false
	}
	return from != types.TimestampTZ && to != types.TimestampTZ || from == to
}

func isReg(k types.Kind) bool { return k >= types.Regclass && k <= types.Regoperator }

// foldLogic simplifies AND (unit true) and OR (unit false): the unit drops out, the opposite ends the list.
func foldLogic(args []Expr, unit bool) Expr {
	var out []Expr
	for _, a := range args {
		if c, ok := a.(*Const); ok && !c.Val.Null {
			if (c.Val.I != 0) == unit {
				continue
			}
			if out = append(out, a); len(out) == 1 {
				return a
			}
			break
		}
		if same, ok := sameLogic(a, unit); ok {
			out = append(out, same...)
			continue
		}
		out = append(out, a)
	}
	switch {
	case len(out) == 0:
		return boolConst(unit)
	case len(out) == 1:
		return out[0]
	case unit:
		return &And{out}
	}
	return &Or{out}
}

func sameLogic(e Expr, and bool) ([]Expr, bool) {
	switch x := e.(type) {
	case *And:
		return x.Args, and
	case *Or:
		return x.Args, !and
	}
	return nil, false
}

func foldCase(x *Case) Expr {
	out := &Case{Else: x.Else, Typ: x.Typ}
	for _, w := range x.Whens {
		if c, ok := w.Cond.(*Const); ok {
			if c.Val.Null || c.Val.I == 0 {
				continue
			}
			if len(out.Whens) == 0 {
				return w.Then
			}
			out.Else = w.Then
			return out
		}
		out.Whens = append(out.Whens, w)
	}
	if len(out.Whens) == 0 {
		if x.Else == nil {
			return nullConst(x.Typ)
		}
		return x.Else
	}
	return out
}

func foldCoalesce(x *Coalesce) Expr {
	var out []Expr
	for _, a := range x.Args {
		c, ok := a.(*Const)
		if ok && c.Val.Null {
			continue
		}
		out = append(out, a)
		if ok {
			break
		}
	}
	switch len(out) {
	case 0:
		return nullConst(x.Typ)
	case 1:
		return out[0]
	}
	return &Coalesce{out, x.Typ}
}
