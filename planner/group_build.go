package planner

import (
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql/types"
)

// buildAggregate puts the Aggregate node in and makes targets and HAVING refer to its output: keys, window bounds, aggregates.
func (s *selectBlock) buildAggregate() error {
	if !s.group.present && len(s.aggs.aggs) == 0 && s.having == nil && !s.aggs.grouping {
		return nil
	}
	s.dropNullGroups()
	a := &Aggregate{In: s.node, Sets: s.group.sets, Window: s.b.window, Aggs: s.aggs.aggs}
	r := &regrouper{s: s}
	collect := func(e Expr) { r.rewrite(e) }
	for _, t := range s.targets {
		collect(t.expr)
	}
	collect(s.having)
	if r.err != nil {
		return r.err
	}
	r.final, r.offset = true, len(s.group.exprs)
	if a.Window != nil {
		r.bounds = r.offset
		r.offset += 2
	}
	for i := range s.targets {
		s.targets[i].expr = r.rewrite(s.targets[i].expr)
	}
	s.having = r.rewrite(s.having)
	a.Keys = s.group.exprs
	for i, k := range a.Keys {
		col := Col{Name: keyName(k, i), Type: k.Type()}
		col.TableOID, col.AttNum = s.b.baseColumn(k)
		a.P.Cols = append(a.P.Cols, col)
	}
	if a.Window != nil {
		tz := types.Of(types.TimestampTZ)
		a.P.Cols = append(a.P.Cols, Col{Name: "windowstart", Type: tz}, Col{Name: "windowend", Type: tz})
	}
	for i := range a.Aggs {
		a.P.Cols = append(a.P.Cols, Col{Name: a.Aggs[i].Name, Type: a.Aggs[i].Typ})
	}
	s.node = newFilter(a, s.having)
	return nil
}

func keyName(k Expr, i int) string {
	switch k := k.(type) {
	case *ColumnRef:
		return k.Name
	case *Call:
		if !k.Func.IsOperator() {
			return k.Func.Name
		}
	}
	return "key" + itoa(i+1)
}

// regrouper replaces what an expression takes from the ungrouped rows by the aggregate's output. Until final it only
// finds columns that depend on grouped keys and adds them to the keys.
type regrouper struct {
	s      *selectBlock
	final  bool
	bounds int // ordinal of windowstart
	offset int // ordinal of the first aggregate
	err    error
}

func (r *regrouper) rewrite(e Expr) Expr {
	if e == nil {
		return nil
	}
	return replaceTop(e, func(x Expr) (Expr, bool) {
		switch x := x.(type) {
		case *groupingRef:
			return r.grouping(x), true
		case *aggRef:
			return &ColumnRef{Ord: r.offset + x.idx, Typ: x.typ, Name: r.s.aggs.aggs[x.idx].Name}, true
		case *windowBound:
			if x.end {
				return &ColumnRef{Ord: r.bounds + 1, Typ: x.Type(), Name: "windowend"}, true
			}
			return &ColumnRef{Ord: r.bounds, Typ: x.Type(), Name: "windowstart"}, true
		case *Const, *Param, *OuterRef:
			return x, true
		case *windowRef:
			return r.rewriteWindow(x), true
		case *Subquery:
			return r.rewriteSubquery(x), true
		}
		if i, ok := r.s.group.index[exprKey(x)]; ok {
			k := r.s.group.exprs[i]
			return &ColumnRef{Ord: i, Typ: k.Type(), Name: keyName(k, i)}, true
		}
		if c, ok := x.(*ColumnRef); ok {
			return r.column(c), true
		}
		return nil, false
	})
}

// column handles a column that is not grouped: fine if the key of its table is, an error if not.
func (r *regrouper) column(c *ColumnRef) Expr {
	if !r.final && r.dependent(c) {
		r.s.group.add(c)
		return c
	}
	if r.err == nil {
		name := c.Name
		for _, sc := range r.s.b.scope.cols {
			if ref, ok := sc.expr.(*ColumnRef); ok && ref.Ord == c.Ord && sc.tab != nil && sc.tab.name != "" {
				name = sc.tab.name + "." + sc.name
				break
			}
		}
		err := sqlerr.New(sqlerr.GroupingError, "column %q must appear in the GROUP BY clause or be used in an aggregate function", name)
		r.err = err.At(r.s.b.st.posOf(c, -1).Offset())
	}
	return c
}

// dependent reports whether the key of the table that c belongs to is grouped (PostgreSQL docs, 7.2.3).
func (r *regrouper) dependent(c *ColumnRef) bool {
	if r.s.group.sets != nil || r.s.b.st.unbounded {
		return false
	}
	var tab *scopeTab
	for _, sc := range r.s.b.scope.cols {
		if ref, ok := sc.expr.(*ColumnRef); ok && ref.Ord == c.Ord && sc.tab != nil {
			tab = sc.tab
		}
	}
	if tab == nil || tab.rel == nil || len(tab.rel.Key) == 0 || tab.rel.Kind == Stream {
		return false
	}
	for _, k := range tab.rel.primaryKey() {
		found := false
		for _, sc := range r.s.b.scope.cols {
			if sc.tab == tab && sc.name == tab.rel.Columns[k].Name {
				_, grouped := r.s.group.index[exprKey(sc.expr)]
				found = found || grouped
			}
		}
		if !found {
			return false
		}
	}
	return true
}

func (r *regrouper) rewriteWindow(w *windowRef) Expr {
	if !r.final {
		for _, a := range w.call.Args {
			r.rewrite(a)
		}
		r.rewrite(w.call.Filter)
		for _, e := range w.spec.partitionBy {
			r.rewrite(e)
		}
		r.sortKeys(w.spec.orderBy)
		return w
	}
	out := &windowRef{call: w.call, spec: &windowSpec{frame: w.spec.frame}}
	out.call.Args = nil
	for _, a := range w.call.Args {
		out.call.Args = append(out.call.Args, r.rewrite(a))
	}
	out.call.Filter = r.rewrite(w.call.Filter)
	out.call.OrderBy = r.sortKeys(w.call.OrderBy)
	for _, e := range w.spec.partitionBy {
		out.spec.partitionBy = append(out.spec.partitionBy, r.rewrite(e))
	}
	out.spec.orderBy = r.sortKeys(w.spec.orderBy)
	return out
}

func (r *regrouper) sortKeys(ks []SortKey) []SortKey {
	var out []SortKey
	for _, k := range ks {
		k.Expr = r.rewrite(k.Expr)
		out = append(out, k)
	}
	return out
}

func (r *regrouper) rewriteSubquery(x *Subquery) Expr {
	out := *x
	out.Left = nil
	for _, l := range x.Left {
		out.Left = append(out.Left, r.rewrite(l))
	}
	mapOuterRefs(x.Plan, 1, func(o *OuterRef) Expr {
		y := r.rewrite(&ColumnRef{Ord: o.Ord, Typ: o.Typ, Name: o.Name})
		if c, ok := y.(*ColumnRef); ok && r.final {
			return &OuterRef{Level: o.Level, Ord: c.Ord, Typ: c.Typ, Name: c.Name}
		}
		return o
	})
	return &out
}

// buildWindows computes OVER calls, one WindowFunc per distinct window, and makes targets refer to their output.
func (s *selectBlock) buildWindows() {
	if !s.wins.used {
		return
	}
	nodes := map[string]*WindowFunc{}
	var order []*WindowFunc
	type place struct {
		node *WindowFunc
		call int
	}
	places := map[string]place{}
	register := func(w *windowRef) string {
		wkey := windowKey(w.spec)
		key := wkey + aggKey(w.call)
		if _, ok := places[key]; ok {
			return key
		}
		n := nodes[wkey]
		if n == nil {
			n = &WindowFunc{PartitionBy: w.spec.partitionBy, OrderBy: w.spec.orderBy, Frame: w.spec.frame}
			nodes[wkey] = n
			order = append(order, n)
		}
		n.Calls = append(n.Calls, w.call)
		places[key] = place{n, len(n.Calls) - 1}
		return key
	}
	for _, t := range s.targets {
		VisitExpr(t.expr, func(e Expr) {
			if w, ok := e.(*windowRef); ok {
				register(w)
			}
		})
	}
	starts := map[*WindowFunc]int{}
	for _, n := range order {
		n.In = s.node
		starts[n] = len(s.node.Props().Cols)
		n.P.Cols = append([]Col(nil), s.node.Props().Cols...)
		for _, c := range n.Calls {
			n.P.Cols = append(n.P.Cols, Col{Name: c.Name, Type: c.Typ})
		}
		s.node = n
	}
	for i := range s.targets {
		s.targets[i].expr = replaceTop(s.targets[i].expr, func(e Expr) (Expr, bool) {
			w, ok := e.(*windowRef)
			if !ok {
				return nil, false
			}
			p := places[register(w)]
			return &ColumnRef{Ord: starts[p.node] + p.call, Typ: w.call.Typ, Name: w.call.Name}, true
		})
	}
}

func windowKey(w *windowSpec) string {
	p := exprPrinter{key: true}
	p.list(w.partitionBy, ",")
	p.s("|")
	p.sortKeys(w.orderBy)
	if f := w.frame; f != nil {
		p.s("|", f.Mode, f.Exclude)
		for _, b := range []FrameBound{f.Start, f.End} {
			p.s("|", boolText(b.Unbounded), boolText(b.Current), boolText(b.Preceding))
			if b.Offset != nil {
				p.expr(b.Offset)
			}
		}
	}
	return p.b.String()
}

func boolText(b bool) string {
	if b {
		return "t"
	}
	return "f"
}
