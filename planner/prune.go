package planner

// prune leaves out the columns of n that nothing needs. It returns the node and where each old column is now, -1 for gone.
func prune(n Node, need []bool) (Node, []int) {
	switch x := n.(type) {
	case *Scan:
		return pruneScan(x, need)
	case *Project:
		return pruneProject(x, need)
	case *Filter:
		columnsOf(x.Cond, need)
		in, at := prune(x.In, need)
		x.In, x.Cond, x.P.Cols = in, moved(x.Cond, at), in.Props().Cols
		return x, at
	case *Sort:
		for _, k := range x.By {
			columnsOf(k.Expr, need)
		}
		in, at := prune(x.In, need)
		for i := range x.By {
			x.By[i].Expr = moved(x.By[i].Expr, at)
		}
		x.In, x.P.Cols = in, in.Props().Cols
		return x, at
	case *Limit:
		in, at := prune(x.In, need)
		x.In, x.P.Cols = in, in.Props().Cols
		return x, at
	case *Distinct:
		return pruneDistinct(x, need)
	case *Aggregate:
		return pruneAggregate(x, need)
	case *WindowFunc:
		return pruneWindow(x, need)
	case *Join:
		return pruneJoin(x, need)
	case *SetOp:
		x.L, x.R = pruneAll(x.L), pruneAll(x.R)
	case *RecursiveUnion:
		x.Base, x.Rec = pruneAll(x.Base), pruneAll(x.Rec)
	}
	mapOwnExprs(n, func(e Expr) Expr { pruneSubqueries(e); return e })
	return n, sameColumns(len(n.Props().Cols))
}

// pruneAll prunes below n and keeps all its columns.
func pruneAll(n Node) Node {
	n, _ = prune(n, allOf(len(n.Props().Cols)))
	return n
}

func allOf(n int) []bool {
	all := make([]bool, n)
	for i := range all {
		all[i] = true
	}
	return all
}

func sameColumns(n int) []int {
	at := make([]int, n)
	for i := range at {
		at[i] = i
	}
	return at
}

func pruneSubqueries(e Expr) {
	VisitExpr(e, func(x Expr) {
		if s, ok := x.(*Subquery); ok {
			s.Plan = pruneAll(s.Plan)
		}
	})
}

// moved renumbers the columns of e, and prunes its subqueries, which now read from the new row.
func moved(e Expr, at []int) Expr {
	if e == nil {
		return nil
	}
	e = mapExpr(e, func(x Expr) Expr {
		if s, ok := x.(*Subquery); ok {
			s.Plan = pruneAll(s.Plan)
		}
		return x
	})
	return remapCols(e, func(ord int) int { return at[ord] })
}

func movedAll(es []Expr, at []int) []Expr {
	for i, e := range es {
		es[i] = moved(e, at)
	}
	return es
}

func pruneScan(s *Scan, need []bool) (Node, []int) {
	if s.Filter != nil {
		columnsOf(s.Filter, need)
	}
	at := make([]int, len(s.Cols))
	var ords []int
	var cols []Col
	for i := range s.Cols {
		at[i] = -1
		if need[i] {
			at[i] = len(ords)
			ords, cols = append(ords, s.Cols[i]), append(cols, s.P.Cols[i])
		}
	}
	s.Cols, s.P.Cols = ords, cols
	s.Filter = moved(s.Filter, at)
	return s, at
}

func pruneProject(p *Project, need []bool) (Node, []int) {
	at := make([]int, len(p.Exprs))
	var exprs []Expr
	var cols []Col
	below := make([]bool, len(p.In.Props().Cols))
	for i, e := range p.Exprs {
		at[i] = -1
		if need[i] || anyExpr(e, isSetCall) {
			at[i] = len(exprs)
			exprs, cols = append(exprs, e), append(cols, p.P.Cols[i])
			columnsOf(e, below)
		}
	}
	in, inAt := prune(p.In, below)
	p.In, p.Exprs, p.P.Cols = in, movedAll(exprs, inAt), cols
	return p, at
}

func pruneDistinct(d *Distinct, need []bool) (Node, []int) {
	if len(d.On) == 0 {
		d.In = pruneAll(d.In)
		d.P.Cols = d.In.Props().Cols
		return d, sameColumns(len(d.P.Cols))
	}
	for _, e := range d.On {
		columnsOf(e, need)
	}
	in, at := prune(d.In, need)
	d.In, d.On, d.P.Cols = in, movedAll(d.On, at), in.Props().Cols
	return d, at
}

func pruneAggregate(a *Aggregate, need []bool) (Node, []int) {
	first := len(a.P.Cols) - len(a.Aggs)
	at := sameColumns(len(a.P.Cols))
	below := make([]bool, len(a.In.Props().Cols))
	for _, k := range a.Keys {
		columnsOf(k, below)
	}
	cols := append([]Col(nil), a.P.Cols[:first]...)
	var aggs []Agg
	for i, g := range a.Aggs {
		at[first+i] = -1
		if !need[first+i] {
			continue
		}
		at[first+i] = len(cols)
		aggs, cols = append(aggs, g), append(cols, a.P.Cols[first+i])
		aggColumns(g, below)
	}
	in, inAt := prune(a.In, below)
	a.In, a.Keys, a.Aggs, a.P.Cols = in, movedAll(a.Keys, inAt), aggs, cols
	moveAggs(a.Aggs, inAt)
	return a, at
}

func aggColumns(g Agg, set []bool) {
	for _, e := range g.Args {
		columnsOf(e, set)
	}
	if g.Filter != nil {
		columnsOf(g.Filter, set)
	}
	for _, k := range g.OrderBy {
		columnsOf(k.Expr, set)
	}
}

func moveAggs(aggs []Agg, at []int) {
	for i := range aggs {
		movedAll(aggs[i].Args, at)
		aggs[i].Filter = moved(aggs[i].Filter, at)
		for k := range aggs[i].OrderBy {
			aggs[i].OrderBy[k].Expr = moved(aggs[i].OrderBy[k].Expr, at)
		}
	}
}

func pruneWindow(w *WindowFunc, need []bool) (Node, []int) {
	n := len(w.In.Props().Cols)
	below := append([]bool(nil), need[:n]...)
	for _, c := range w.Calls {
		aggColumns(c, below)
	}
	for _, e := range w.PartitionBy {
		columnsOf(e, below)
	}
	for _, k := range w.OrderBy {
		columnsOf(k.Expr, below)
	}
	in, inAt := prune(w.In, below)
	w.In = in
	moveAggs(w.Calls, inAt)
	movedAll(w.PartitionBy, inAt)
	for i := range w.OrderBy {
		w.OrderBy[i].Expr = moved(w.OrderBy[i].Expr, inAt)
	}
	at := append([]int(nil), inAt...)
	cols := append([]Col(nil), in.Props().Cols...)
	for i := range w.Calls {
		at = append(at, len(cols))
		cols = append(cols, w.P.Cols[n+i])
	}
	w.P.Cols = cols
	return w, at
}

func pruneJoin(j *Join, need []bool) (Node, []int) {
	nl, nr := len(j.L.Props().Cols), len(j.R.Props().Cols)
	both := make([]bool, nl+nr)
	copy(both, need)
	if j.Cond != nil {
		columnsOf(j.Cond, both)
	}
	left, right := both[:nl:nl], both[nl:]
	for i := range j.LKeys {
		columnsOf(j.LKeys[i], left)
		columnsOf(j.RKeys[i], right)
	}
	if j.Lateral {
		outerColumns(j.R, left)
	}
	l, lAt := prune(j.L, left)
	if j.Lateral {
		mapOuterRefs(j.R, 1, func(o *OuterRef) Expr { return &OuterRef{o.Level, lAt[o.Ord], o.Typ, o.Name} })
	}
	r, rAt := prune(j.R, right)
	width := len(l.Props().Cols)
	at := append([]int(nil), lAt...)
	for _, a := range rAt {
		if a >= 0 {
			a += width
		}
		at = append(at, a)
	}
	j.L, j.R = l, r
	j.Cond = moved(j.Cond, at)
	movedAll(j.LKeys, lAt)
	movedAll(j.RKeys, rAt)
	newJoin(j)
	if j.Kind == SemiJoin || j.Kind == AntiJoin {
		return j, lAt
	}
	return j, at
}
