package planner

// isSemiJoin reports whether a condition is a subquery that may become a join: IN, EXISTS or NOT EXISTS, and NOT IN where it is tied to its outer row.
func isSemiJoin(c Expr) bool {
	s, ok := c.(*Subquery)
	if !ok {
		return false
	}
	if s.Kind == SubqueryExists {
		return true
	}
	if s.Kind == SubqueryAny && s.Correlated {
		return existsOf(s) != nil
	}
	if s.Kind != SubqueryAny || s.Negated {
		return false
	}
	for _, op := range s.Op {
		if op.Name != "=" {
			return false
		}
	}
	return true
}

// semiJoin joins n with the subquery, or returns nil where the subquery is not simple enough.
func semiJoin(n Node, s *Subquery) Node {
	if s.Kind == SubqueryAny && s.Correlated {
		s = existsOf(s)
	}
	if s.Kind == SubqueryAny {
		return newJoin(&Join{L: n, R: s.Plan, Kind: SemiJoin, LKeys: s.Left, RKeys: identity(s.Plan)})
	}
	r, cond, ok := uncorrelate(s.Plan, len(n.Props().Cols))
	if !ok {
		return nil
	}
	kind := SemiJoin
	if s.Negated {
		kind = AntiJoin
	}
	return newJoin(&Join{L: n, R: r, Kind: kind, Cond: cond})
}

// uncorrelate takes the conditions that tie an EXISTS subquery to its outer row out of its filter and restates them over the outer
// row (nl columns) followed by the subquery's.
func uncorrelate(n Node, nl int) (Node, Expr, bool) {
	for {
		p, ok := n.(*Project)
		if !ok || anySet(p.Exprs) {
			break
		}
		n = p.In
	}
	if !tied(n) {
		return n, nil, true
	}
	f, ok := n.(*Filter)
	if !ok || tied(f.In) {
		return nil, nil, false
	}
	var inside, joined []Expr
	for _, c := range conjuncts(f.Cond) {
		switch {
		case !hasOuter(c):
			inside = append(inside, c)
		case hasSubquery(c) || pinned(c) || beyondNearest(c):
			return nil, nil, false
		default:
			joined = append(joined, mapExpr(c, func(x Expr) Expr {
				switch x := x.(type) {
				case *ColumnRef:
					return &ColumnRef{x.Ord + nl, x.Typ, x.Name}
				case *OuterRef:
					return &ColumnRef{x.Ord, x.Typ, x.Name}
				}
				return x
			}))
		}
	}
	return newFilter(f.In, conjunction(inside)), conjunction(joined), true
}

func anySet(es []Expr) bool {
	for _, e := range es {
		if anyExpr(e, isSetCall) {
			return true
		}
	}
	return false
}

// tied reports whether a nested plan refers to any enclosing row.
func tied(n Node) bool {
	found := false
	mapNodeLevels(n, 0, func(e Expr, depth int) Expr {
		found = found || escapes(e, depth)
		return e
	})
	return found
}

func escapes(e Expr, depth int) bool {
	return anyExpr(e, func(x Expr) bool {
		switch x := x.(type) {
		case *OuterRef:
			return x.Level > depth
		case *Subquery:
			found := false
			mapNodeLevels(x.Plan, depth+1, func(e Expr, d int) Expr { found = found || escapes(e, d); return e })
			return found
		}
		return false
	})
}

func beyondNearest(e Expr) bool {
	return anyExpr(e, func(x Expr) bool { o, ok := x.(*OuterRef); return ok && o.Level > 1 })
}
