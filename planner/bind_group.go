package planner

import (
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// maxGroupingSets bounds what ROLLUP and CUBE expand to, as PostgreSQL does.
const maxGroupingSets = 4096

// groupKeys are the grouping expressions of a SELECT, each once, and the grouping sets over them.
type groupKeys struct {
	present bool
	exprs   []Expr
	index   map[string]int
	sets    [][]int // nil: one set of all keys
}

func (g *groupKeys) add(x Expr) int {
	key := exprKey(x)
	i, ok := g.index[key]
	if !ok {
		i = len(g.exprs)
		g.exprs = append(g.exprs, x)
		g.index[key] = i
	}
	return i
}

// bindWindow reads the WINDOW TUMBLING (...) clause.
func (s *selectBlock) bindWindow() error {
	w := s.sel.Window
	if w == nil {
		return nil
	}
	if s.sel.GroupBy == nil {
		return sqlerr.New(sqlerr.SyntaxError, "WINDOW needs a GROUP BY clause").
			WithHint("Group by at least one column, or by () for one row per window.").At(w.Offset())
	}
	if s.b.st.unbounded && w.Kind != sql.Tumbling {
		word := map[sql.WindowKind]string{sql.Hopping: "WINDOW HOPPING", sql.Session: "WINDOW SESSION"}[w.Kind]
		return notYet(word+" in a continuous query", "a row belongs to several windows, or windows merge",
			"WINDOW TUMBLING, or GROUP BY date_bin(...) in a query that ends", w.Pos)
	}
	spec, err := s.b.st.windowSpec(w)
	if err != nil {
		return err
	}
	s.b.window = spec
	return nil
}

// windowSpec reads the durations of a stream window. GraceMs is -1 where none was written: its default depends on EMIT.
func (st *statement) windowSpec(w *sql.StreamWindow) (*WindowSpec, error) {
	spec := &WindowSpec{Kind: WindowKind(w.Kind), GraceMs: -1}
	for _, part := range []struct {
		d  *sql.Duration
		to *int64
	}{{w.Size, &spec.SizeMs}, {w.Advance, &spec.AdvanceMs}, {w.Grace, &spec.GraceMs}, {w.Retention, &spec.RetentionMs}} {
		if part.d == nil {
			continue
		}
		ms, err := st.durationMs(part.d)
		if err != nil {
			return nil, err
		}
		*part.to = ms
	}
	if spec.SizeMs <= 0 {
		return nil, sqlerr.New(sqlerr.InvalidParameterValue, "the size of a window must be positive").At(w.Offset())
	}
	if w.Kind == sql.Hopping && (spec.AdvanceMs <= 0 || spec.AdvanceMs > spec.SizeMs) {
		return nil, sqlerr.New(sqlerr.InvalidParameterValue, "ADVANCE BY must be positive and at most the size of the window").At(w.Offset())
	}
	return spec, nil
}

func (s *selectBlock) bindGroupBy() error {
	s.group.index = map[string]int{}
	g := s.sel.GroupBy
	if g == nil {
		return nil
	}
	s.group.present = true
	s.allow("GROUP BY", false, false, false)
	sets := [][]int{{}}
	plain := true
	for _, it := range g.Items {
		plain = plain && it.Kind == sql.GroupExpr
		alts, err := s.groupItem(it)
		if err != nil {
			return err
		}
		if len(sets)*len(alts) > maxGroupingSets {
			return sqlerr.New(sqlerr.StatementTooComplex, "too many grouping sets present (maximum %d)", maxGroupingSets).At(it.Offset())
		}
		var next [][]int
		for _, have := range sets {
			for _, alt := range alts {
				next = append(next, mergeSets(have, alt))
			}
		}
		sets = next
	}
	if g.Distinct {
		sets = distinctSets(sets)
	}
	if !plain && !(len(sets) == 1 && len(sets[0]) == len(s.group.exprs)) {
		if s.b.st.unbounded {
			return notYet("GROUPING SETS, ROLLUP and CUBE in a continuous query", "each set is a grouping of its own",
				"one view per grouping, joined by UNION ALL when you read them", g.Pos)
		}
		s.group.sets = sets
	}
	return nil
}

func mergeSets(a, b []int) []int {
	out := append([]int{}, a...)
next:
	for _, x := range b {
		for _, y := range out {
			if x == y {
				continue next
			}
		}
		out = append(out, x)
	}
	return out
}

func distinctSets(sets [][]int) [][]int {
	var out [][]int
next:
	for _, s := range sets {
		for _, t := range out {
			if len(mergeSets(s, t)) == len(s) && len(s) == len(t) {
				continue next
			}
		}
		out = append(out, s)
	}
	return out
}

// groupItem returns the grouping sets that one element stands for (PostgreSQL docs, 7.2.4).
func (s *selectBlock) groupItem(it *sql.GroupItem) ([][]int, error) {
	switch it.Kind {
	case sql.GroupEmpty:
		return [][]int{{}}, nil
	case sql.GroupExpr:
		set, err := s.groupExpr(it.Expr)
		return [][]int{set}, err
	}
	var parts [][][]int
	for _, sub := range it.Items {
		alts, err := s.groupItem(sub)
		if err != nil {
			return nil, err
		}
		parts = append(parts, alts)
	}
	var out [][]int
	switch it.Kind {
	case sql.GroupSets:
		for _, p := range parts {
			out = append(out, p...)
		}
	case sql.GroupRollup:
		for n := len(parts); n >= 0; n-- {
			set := []int{}
			for _, p := range parts[:n] {
				set = mergeSets(set, p[0])
			}
			out = append(out, set)
		}
	case sql.GroupCube:
		if len(parts) > 12 {
			return nil, sqlerr.New(sqlerr.StatementTooComplex, "CUBE is limited to 12 elements").At(it.Offset())
		}
		for mask := 1<<len(parts) - 1; mask >= 0; mask-- {
			set := []int{}
			for i, p := range parts {
				if mask&(1<<(len(parts)-1-i)) != 0 {
					set = mergeSets(set, p[0])
				}
			}
			out = append(out, set)
		}
	}
	return out, nil
}

// groupExpr binds one grouping expression: an ordinal, an input column, an output column's name, or any expression.
func (s *selectBlock) groupExpr(e sql.Expr) ([]int, error) {
	if row, ok := e.(*sql.Row); ok {
		set := []int{}
		for _, it := range row.Items {
			part, err := s.groupExpr(it)
			if err != nil {
				return nil, err
			}
			set = mergeSets(set, part)
		}
		return set, nil
	}
	i, isTarget, err := ordinal(e, len(s.targets), "GROUP BY")
	if err != nil {
		return nil, err
	}
	var x Expr
	if !isTarget {
		x, err = s.b.bindExpr(e)
		if err != nil && sqlerr.CodeOf(err) == sqlerr.UndefinedColumn {
			if j, err2 := s.output(e); err2 == nil && j >= 0 {
				i, isTarget, err = j, true, nil
			}
		}
		if err != nil {
			return nil, err
		}
	}
	if isTarget {
		t := &s.targets[i]
		if hasAgg(t.expr) {
			return nil, sqlerr.New(sqlerr.GroupingError, "aggregate functions are not allowed in GROUP BY").At(e.Offset())
		}
		t.expr = s.b.settle(t.expr)
		t.col.Type = t.expr.Type()
		x = t.expr
	}
	if _, ok := x.(*windowBound); ok {
		return []int{}, nil // every group has its window anyway
	}
	return []int{s.group.add(s.b.settle(x))}, nil
}

func hasAgg(e Expr) bool {
	return anyExpr(e, func(x Expr) bool { _, ok := x.(*aggRef); return ok })
}

// buildAggregate puts the Aggregate node in and makes targets and HAVING refer to its output: keys, window bounds, aggregates.
func (s *selectBlock) buildAggregate() error {
	if !s.group.present && len(s.aggs.aggs) == 0 && s.having == nil {
		return nil
	}
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
	for _, k := range tab.rel.Key {
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
		visitExpr(t.expr, func(e Expr) {
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
