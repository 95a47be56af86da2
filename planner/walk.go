package planner

// mapExpr rebuilds e bottom-up: fn gets each node whose children are already mapped and returns what replaces it. Leaves are not
// copied. A subquery's Left is mapped, its plan is not; see mapOuterRefs for that.
func mapExpr(e Expr, fn func(Expr) Expr) Expr {
	if e == nil {
		return nil
	}
	return fn(mapChildren(e, func(c Expr) Expr { return mapExpr(c, fn) }))
}

// replaceTop rebuilds e top-down: where fn answers true its result stands and nothing below is looked at.
func replaceTop(e Expr, fn func(Expr) (Expr, bool)) Expr {
	if e == nil {
		return nil
	}
	if r, done := fn(e); done {
		return r
	}
	return mapChildren(e, func(c Expr) Expr { return replaceTop(c, fn) })
}

// mapChildren returns e with fn applied to its direct children that are there; a leaf comes back as it is.
func mapChildren(e Expr, fn func(Expr) Expr) Expr {
	one := func(c Expr) Expr {
		if c == nil {
			return nil
		}
		return fn(c)
	}
	many := func(es []Expr) []Expr {
		if es == nil {
			return nil
		}
		out := make([]Expr, len(es))
		for i, c := range es {
			out[i] = one(c)
		}
		return out
	}
	switch x := e.(type) {
	case *Call:
		c := *x
		c.Args = many(x.Args)
		return &c
	case *And:
		return &And{many(x.Args)}
	case *Or:
		return &Or{many(x.Args)}
	case *Not:
		return &Not{one(x.Arg)}
	case *Case:
		c := &Case{Whens: make([]When, len(x.Whens)), Else: one(x.Else), Typ: x.Typ}
		for i, w := range x.Whens {
			c.Whens[i] = When{one(w.Cond), one(w.Then)}
		}
		return c
	case *Coalesce:
		return &Coalesce{many(x.Args), x.Typ}
	case *Cast:
		return &Cast{one(x.Arg), x.To, x.Explicit}
	case *IsNull:
		return &IsNull{one(x.Arg), x.Negated}
	case *IsDistinct:
		return &IsDistinct{one(x.Left), one(x.Right), x.Negated}
	case *BoolTest:
		return &BoolTest{one(x.Arg), x.Want, x.Negated}
	case *InList:
		return &InList{one(x.Arg), many(x.List), x.Eq, x.Negated}
	case *ArrayCompare:
		return &ArrayCompare{one(x.Left), one(x.Array), x.Op, x.All}
	case *ArrayExpr:
		return &ArrayExpr{many(x.Elems), x.Typ}
	case *RowExpr:
		return &RowExpr{many(x.Fields), x.Typ}
	case *MapExpr:
		return &MapExpr{many(x.Keys), many(x.Values), x.Typ}
	case *Subscript:
		s := *x
		s.Arg, s.Index, s.Upper = one(x.Arg), one(x.Index), one(x.Upper)
		return &s
	case *FieldRef:
		return &FieldRef{one(x.Arg), x.Field, x.Typ}
	case *Subquery:
		s := *x
		s.Left = many(x.Left)
		return &s
	case *HigherOrder:
		return mapHigherOrder(x, one)
	case *windowRef:
		w := *x
		w.call.Args = many(x.call.Args)
		return &w
	}
	return e
}

func mapExprs(es []Expr, fn func(Expr) Expr) []Expr {
	if es == nil {
		return nil
	}
	out := make([]Expr, len(es))
	for i, e := range es {
		out[i] = mapExpr(e, fn)
	}
	return out
}

// VisitExpr calls fn for e and everything below it, plans of subqueries left out.
func VisitExpr(e Expr, fn func(Expr)) {
	mapExpr(e, func(x Expr) Expr { fn(x); return x })
}

// anyExpr reports whether fn is true anywhere in e.
func anyExpr(e Expr, fn func(Expr) bool) bool {
	found := false
	VisitExpr(e, func(x Expr) { found = found || fn(x) })
	return found
}

// mapNode replaces every expression of the plan below n, in place, by fn. Subqueries' plans are the business of fn.
func mapNode(n Node, fn func(Expr) Expr) {
	mapOwnExprs(n, fn)
	for _, in := range n.Inputs() {
		mapNode(in, fn)
	}
}

// mapOwnExprs replaces the expressions of one node, in place.
func mapOwnExprs(n Node, fn func(Expr) Expr) {
	m := func(e Expr) Expr {
		if e == nil {
			return nil
		}
		return fn(e)
	}
	ms := func(es []Expr) {
		for i := range es {
			es[i] = m(es[i])
		}
	}
	keys := func(ks []SortKey) {
		for i := range ks {
			ks[i].Expr = m(ks[i].Expr)
		}
	}
	aggs := func(as []Agg) {
		for i := range as {
			ms(as[i].Args)
			as[i].Filter = m(as[i].Filter)
			keys(as[i].OrderBy)
		}
	}
	switch x := n.(type) {
	case *Scan:
		x.Filter = m(x.Filter)
		for _, k := range x.Keys {
			ms(k)
		}
	case *Values:
		for _, r := range x.Rows {
			ms(r)
		}
	case *FuncScan:
		ms(x.Args)
	case *Filter:
		x.Cond = m(x.Cond)
	case *Project:
		ms(x.Exprs)
	case *Aggregate:
		ms(x.Keys)
		aggs(x.Aggs)
	case *Join:
		ms(x.LKeys)
		ms(x.RKeys)
		x.Cond = m(x.Cond)
	case *Distinct:
		ms(x.On)
	case *Sort:
		keys(x.By)
	case *Limit:
		x.Limit, x.Offset = m(x.Limit), m(x.Offset)
	case *WindowFunc:
		aggs(x.Calls)
		ms(x.PartitionBy)
		keys(x.OrderBy)
		if x.Frame != nil {
			x.Frame.Start.Offset, x.Frame.End.Offset = m(x.Frame.Start.Offset), m(x.Frame.End.Offset)
		}
	case *Exchange:
		ms(x.By)
	case *TopN:
		keys(x.By)
	case *Expand:
		for i := range x.Sets {
			ms(x.Sets[i].Call.Args)
		}
	}
}

// mapOuterRefs replaces the references to the row depth levels out of the plan n (1: the row of the query that n is a subquery of). Plans of
// nested subqueries and the right sides of lateral joins lie one level deeper.
func mapOuterRefs(n Node, depth int, fn func(*OuterRef) Expr) {
	mapNodeLevels(n, depth, func(e Expr, depth int) Expr { return mapOuterExpr(e, depth, fn) })
}

func mapOuterExpr(e Expr, depth int, fn func(*OuterRef) Expr) Expr {
	return mapExpr(e, func(x Expr) Expr {
		switch x := x.(type) {
		case *OuterRef:
			if x.Level == depth {
				return fn(x)
			}
		case *Subquery:
			mapOuterRefs(x.Plan, depth+1, fn)
		}
		return x
	})
}

// mapNodeLevels is mapNode that counts levels: the right side of a lateral join lies one deeper.
func mapNodeLevels(n Node, depth int, fn func(Expr, int) Expr) {
	if j, ok := n.(*Join); ok && j.Lateral {
		mapNodeLevels(j.L, depth, fn)
		mapNodeLevels(j.R, depth+1, fn)
	} else {
		for _, in := range n.Inputs() {
			mapNodeLevels(in, depth, fn)
		}
	}
	mapOwnExprs(n, func(e Expr) Expr { return fn(e, depth) })
}

// visitNodes calls fn for n and every node below it, plans of subqueries included.
func visitNodes(n Node, fn func(Node)) {
	fn(n)
	mapOwnExprs(n, func(e Expr) Expr {
		VisitExpr(e, func(x Expr) {
			if s, ok := x.(*Subquery); ok {
				visitNodes(s.Plan, fn)
			}
		})
		return e
	})
	for _, in := range n.Inputs() {
		visitNodes(in, fn)
	}
}

// shiftCols adds by to the ordinal of every column reference of e, subqueries' outer references included.
func shiftCols(e Expr, by int) Expr {
	if by == 0 {
		return e
	}
	return remapCols(e, func(ord int) int { return ord + by })
}

// remapCols renumbers the columns of the row that e is evaluated over.
func remapCols(e Expr, to func(ord int) int) Expr {
	return mapExpr(e, func(x Expr) Expr {
		switch x := x.(type) {
		case *ColumnRef:
			return &ColumnRef{to(x.Ord), x.Typ, x.Name}
		case *Subquery:
			if x.Correlated {
				mapOuterRefs(x.Plan, 1, func(o *OuterRef) Expr { return &OuterRef{o.Level, to(o.Ord), o.Typ, o.Name} })
			}
		}
		return x
	})
}
