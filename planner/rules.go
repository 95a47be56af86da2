package planner

// optimize applies the rules to a bound plan, in this order: fold constants, push conditions down (which also finds the keys of joins and
// turns IN and EXISTS into joins), leave out columns, merge projections. The hidden columns of the root may go.
func (p *Planner) optimize(n Node) Node {
	p.foldNode(n)
	n = push(n, nil)
	n = optimizeSubplans(n)
	need := make([]bool, len(n.Props().Cols))
	for i, c := range n.Props().Cols {
		need[i] = !c.Hidden
	}
	n, _ = prune(n, need)
	return mergeProjects(n)
}

// optimizeSubplans applies the rules to the plans of the subqueries that stayed expressions.
func optimizeSubplans(n Node) Node {
	mapNode(n, func(e Expr) Expr {
		return mapExpr(e, func(x Expr) Expr {
			if s, ok := x.(*Subquery); ok {
				s.Plan = optimizeSubplans(push(s.Plan, nil))
			}
			return x
		})
	})
	return n
}

// conjuncts splits a condition at its top ANDs.
func conjuncts(e Expr) []Expr {
	switch x := e.(type) {
	case nil:
		return nil
	case *And:
		var out []Expr
		for _, a := range x.Args {
			out = append(out, conjuncts(a)...)
		}
		return out
	case *Const:
		if !x.Val.Null && x.Val.I != 0 {
			return nil
		}
	}
	return []Expr{e}
}

// columnsOf adds the columns that e reads to set, those that its subqueries read included.
func columnsOf(e Expr, set []bool) {
	VisitExpr(e, func(x Expr) {
		switch x := x.(type) {
		case *ColumnRef:
			set[x.Ord] = true
		case *Subquery:
			outerColumns(x.Plan, set)
		}
	})
}

// outerColumns adds the columns of the nearest enclosing row that a nested plan reads.
func outerColumns(n Node, set []bool) {
	mapOuterRefs(n, 1, func(o *OuterRef) Expr { set[o.Ord] = true; return o })
}

// within reports whether e reads only columns from lo up to hi, and at least reads none outside.
func within(e Expr, lo, hi, width int) bool {
	set := make([]bool, width)
	columnsOf(e, set)
	for i, used := range set {
		if used && (i < lo || i >= hi) {
			return false
		}
	}
	return true
}

// pinned reports whether e must stay where it is: what it gives depends on how often it runs.
func pinned(e Expr) bool {
	return anyExpr(e, func(x Expr) bool {
		c, ok := x.(*Call)
		return ok && (c.Func.Volatility == Volatile || c.Func.Kind == SetFunc)
	})
}

func hasSubquery(e Expr) bool {
	return anyExpr(e, func(x Expr) bool { _, ok := x.(*Subquery); return ok })
}

func hasOuter(e Expr) bool {
	return anyExpr(e, func(x Expr) bool {
		switch x := x.(type) {
		case *OuterRef:
			return true
		case *Subquery:
			return x.Correlated
		}
		return false
	})
}

// push moves conditions as far down as they go and returns the new plan. conds are over n's columns.
func push(n Node, conds []Expr) Node {
	switch x := n.(type) {
	case *Filter:
		return pushFilter(x, conds)
	case *Project:
		return pushProject(x, conds)
	case *Join:
		return pushJoin(x, conds)
	case *Scan:
		return pushScan(x, conds)
	case *Sort:
		x.In = push(x.In, conds)
		return x
	case *SetOp:
		if x.Kind == Union && x.All {
			var both, up []Expr
			for _, c := range conds {
				if hasSubquery(c) { // its plan cannot be in two places
					up = append(up, c)
				} else {
					both = append(both, c)
				}
			}
			x.L, x.R = push(x.L, both), push(x.R, copyExprs(both))
			return keepAbove(x, up)
		}
		x.L, x.R = push(x.L, nil), push(x.R, nil)
	case *Aggregate:
		return pushAggregate(x, conds)
	case *Distinct:
		if len(x.On) == 0 {
			x.In = push(x.In, conds)
			return x
		}
		x.In = push(x.In, nil)
	case *Limit:
		x.In = push(x.In, nil)
	case *WindowFunc:
		x.In = push(x.In, nil)
	case *RecursiveUnion:
		x.Base, x.Rec = push(x.Base, nil), push(x.Rec, nil)
	}
	return keepAbove(n, conds)
}

func copyExprs(es []Expr) []Expr {
	return mapExprs(es, func(e Expr) Expr { return e })
}

func keepAbove(n Node, conds []Expr) Node {
	return newFilter(n, conjunction(conds))
}

// pushFilter turns IN and EXISTS into joins where it can and hands the rest on. Conditions with volatile functions stay.
func pushFilter(f *Filter, conds []Expr) Node {
	var stay, semi []Expr
	for _, c := range conjuncts(f.Cond) {
		switch {
		case pinned(c):
			stay = append(stay, c)
		case isSemiJoin(c):
			semi = append(semi, c)
		default:
			conds = append(conds, c)
		}
	}
	if len(stay) > 0 { // nothing may overtake a volatile condition
		return keepAbove(push(f.In, nil), append(append(stay, semi...), conds...))
	}
	n := f.In
	var rest []Expr
	for _, c := range semi {
		if j := semiJoin(n, c.(*Subquery)); j != nil {
			n = j
		} else {
			rest = append(rest, c)
		}
	}
	return push(n, append(rest, conds...))
}

func pushProject(p *Project, conds []Expr) Node {
	var down, up []Expr
	for _, c := range conds {
		if e, ok := throughProject(p, c); ok {
			down = append(down, e)
		} else {
			up = append(up, c)
		}
	}
	for _, e := range p.Exprs { // a set-returning call multiplies rows, but conditions on other columns may still go below it
		if pinned(e) && !isSetCall(e) {
			down, up = nil, conds
		}
	}
	p.In = push(p.In, down)
	return keepAbove(p, up)
}

// throughProject restates a condition over a projection's input.
func throughProject(p *Project, c Expr) (Expr, bool) {
	ok := !hasSubquery(c)
	out := mapExpr(c, func(x Expr) Expr {
		if ref, isRef := x.(*ColumnRef); isRef {
			e := p.Exprs[ref.Ord]
			if hasSubquery(e) || pinned(e) {
				ok = false
			}
			return e
		}
		return x
	})
	return out, ok
}

func pushAggregate(a *Aggregate, conds []Expr) Node {
	var down, up []Expr
	for _, c := range conds {
		if a.Sets == nil && !hasSubquery(c) && len(a.Keys) > 0 && within(c, 0, len(a.Keys), len(a.P.Cols)) {
			down = append(down, mapExpr(c, func(x Expr) Expr {
				if ref, ok := x.(*ColumnRef); ok {
					return a.Keys[ref.Ord]
				}
				return x
			}))
		} else {
			up = append(up, c)
		}
	}
	a.In = push(a.In, down)
	return keepAbove(a, up)
}

// pushScan gives the source what it can decide by itself: conditions over its own row.
func pushScan(s *Scan, conds []Expr) Node {
	var mine, up []Expr
	for _, c := range conds {
		if hasSubquery(c) || hasOuter(c) {
			up = append(up, c)
		} else {
			mine = append(mine, c)
		}
	}
	if len(mine) > 0 {
		s.Filter = conjunction(append(conjuncts(s.Filter), mine...))
	}
	return keepAbove(s, up)
}

// pushJoin deals conditions out to the sides they concern and finds the join's keys.
func pushJoin(j *Join, above []Expr) Node {
	width, nl := len(j.L.Props().Cols)+len(j.R.Props().Cols), len(j.L.Props().Cols)
	var left, right, on, up []Expr
	leftOnly := func(c Expr) bool { return within(c, 0, nl, width) }
	rightOnly := func(c Expr) bool { return within(c, nl, width, width) && (!j.Lateral || !hasOuter(c)) }
	toRight := func(c Expr) Expr { return shiftCols(c, -nl) }
	inner := j.Kind == InnerJoin || j.Kind == CrossJoin
	for _, c := range conjuncts(j.Cond) {
		switch {
		case pinned(c):
			on = append(on, c)
		case (inner || j.Kind == RightJoin || j.Kind == SemiJoin) && leftOnly(c):
			left = append(left, c)
		case (inner || j.Kind == LeftJoin || j.Kind == SemiJoin || j.Kind == AntiJoin) && rightOnly(c):
			right = append(right, toRight(c))
		default:
			on = append(on, c)
		}
	}
	for _, c := range above {
		switch {
		case (inner || j.Kind == LeftJoin || j.Kind == SemiJoin || j.Kind == AntiJoin) && leftOnly(c):
			left = append(left, c)
		case (inner || j.Kind == RightJoin) && rightOnly(c):
			right = append(right, toRight(c))
		case inner:
			on = append(on, c)
		default:
			up = append(up, c)
		}
	}
	j.L, j.R = push(j.L, left), push(j.R, right)
	var rest []Expr
	for _, c := range on {
		if l, r, ok := joinKey(c, nl, width); ok && !j.Lateral {
			j.LKeys, j.RKeys = append(j.LKeys, l), append(j.RKeys, r)
		} else {
			rest = append(rest, c)
		}
	}
	j.Cond = conjunction(rest)
	if j.Kind == CrossJoin && (j.Cond != nil || len(j.LKeys) > 0) {
		j.Kind = InnerJoin
	}
	return keepAbove(j, up)
}

// joinKey splits an equality between the sides.
func joinKey(c Expr, nl, width int) (l, r Expr, ok bool) {
	call, isCall := c.(*Call)
	if !isCall || call.Func.Name != "=" || hasSubquery(c) || pinned(c) {
		return nil, nil, false
	}
	a, b := call.Args[0], call.Args[1]
	if !readsColumns(a) || !readsColumns(b) {
		return nil, nil, false
	}
	switch {
	case within(a, 0, nl, width) && within(b, nl, width, width):
		return a, shiftCols(b, -nl), true
	case within(b, 0, nl, width) && within(a, nl, width, width):
		return b, shiftCols(a, -nl), true
	}
	return nil, nil, false
}

func readsColumns(e Expr) bool {
	return anyExpr(e, func(x Expr) bool { _, ok := x.(*ColumnRef); return ok })
}
