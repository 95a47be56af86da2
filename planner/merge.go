package planner

// mergeProjects folds a projection of a projection into one, where that computes nothing twice.
func mergeProjects(n Node) Node {
	setInputs(n, mergeProjects)
	outer, ok := n.(*Project)
	if !ok {
		return n
	}
	inner, ok := outer.In.(*Project)
	if !ok {
		return dropIdentity(outer)
	}
	uses := make([]int, len(inner.Exprs))
	for _, e := range outer.Exprs {
		if hasSubquery(e) {
			return n
		}
		VisitExpr(e, func(x Expr) {
			if c, ok := x.(*ColumnRef); ok {
				uses[c.Ord]++
			}
		})
	}
	for i, e := range inner.Exprs {
		_, plain := e.(*ColumnRef)
		_, constant := e.(*Const)
		if pinned(e) || hasSubquery(e) || !plain && !constant && uses[i] > 1 {
			return n
		}
	}
	exprs := make([]Expr, len(outer.Exprs))
	for i, e := range outer.Exprs {
		exprs[i] = mapExpr(e, func(x Expr) Expr {
			if c, ok := x.(*ColumnRef); ok {
				return inner.Exprs[c.Ord]
			}
			return x
		})
	}
	return dropIdentity(newProject(inner.In, exprs, outer.P.Cols))
}

// dropIdentity removes a projection that changes nothing but names; the names move to a node that may carry them.
func dropIdentity(p *Project) Node {
	in := p.In.Props().Cols
	if len(in) != len(p.Exprs) {
		return p
	}
	for i, e := range p.Exprs {
		c, ok := e.(*ColumnRef)
		if !ok || c.Ord != i || in[i].Name != p.P.Cols[i].Name || in[i].Hidden != p.P.Cols[i].Hidden {
			return p
		}
	}
	return p.In
}

// setInputs replaces the inputs of n by fn's results.
func setInputs(n Node, fn func(Node) Node) {
	switch x := n.(type) {
	case *Filter:
		x.In = fn(x.In)
	case *Project:
		x.In = fn(x.In)
	case *Aggregate:
		x.In = fn(x.In)
	case *Join:
		x.L, x.R = fn(x.L), fn(x.R)
	case *SetOp:
		x.L, x.R = fn(x.L), fn(x.R)
	case *Distinct:
		x.In = fn(x.In)
	case *Sort:
		x.In = fn(x.In)
	case *Limit:
		x.In = fn(x.In)
	case *RecursiveUnion:
		x.Base, x.Rec = fn(x.Base), fn(x.Rec)
	case *WindowFunc:
		x.In = fn(x.In)
	case *Normalize:
		x.In = fn(x.In)
	case *Materialize:
		x.In = fn(x.In)
	case *Expire:
		x.In = fn(x.In)
	case *Exchange:
		if x.In != nil {
			x.In = fn(x.In)
		}
	case *Sink:
		x.In = fn(x.In)
	case *TopN:
		x.In = fn(x.In)
	case *Repeat:
		x.In = fn(x.In)
	case *Expand:
		x.In = fn(x.In)
	}
}
