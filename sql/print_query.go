package sql

import "strings"

func (p *printer) query(q *Query) {
	p.with(q.With)
	p.body(q.Body)
	if len(q.OrderBy) > 0 {
		p.w(" ")
		p.orderBy(q.OrderBy)
	}
	if q.Limit != nil && !q.WithTies {
		p.w(" LIMIT ")
		if l, ok := q.Limit.(*Literal); ok && l.Kind == NullLiteral { // LIMIT NULL is no limit
			p.w("(NULL)")
		} else {
			p.expr(q.Limit, precLowest)
		}
	}
	if q.Skip != nil {
		p.w(" OFFSET ")
		p.expr(q.Skip, precLowest)
	}
	if q.WithTies && q.Limit != nil {
		p.w(" FETCH FIRST ")
		switch q.Limit.(type) {
		case *Literal, *Param:
			p.atom(q.Limit)
		default:
			p.w("(")
			p.expr(q.Limit, precLowest)
			p.w(")")
		}
		p.w(" ROWS WITH TIES")
	}
	if q.Emit != nil {
		p.w(" EMIT ")
		if q.Emit.Final {
			p.w("FINAL")
		} else {
			p.w("CHANGES")
		}
		if q.Emit.Interval != nil {
			p.w(" FOR ")
			p.duration(q.Emit.Interval)
		}
	}
	for _, l := range q.Locking {
		p.w(" FOR ", l.Strength)
		if len(l.Of) > 0 {
			p.w(" OF ")
			p.names(l.Of)
		}
		p.flag(l.Wait != "", " "+l.Wait)
	}
}

func (p *printer) with(w *With) {
	if w == nil {
		return
	}
	p.w("WITH ")
	p.flag(w.Recursive, "RECURSIVE ")
	p.each(len(w.CTEs), ", ", func(i int) {
		c := w.CTEs[i]
		p.ident(c.Name)
		p.identList(" ", c.Columns)
		p.w(" AS ")
		p.flag(c.Materialized == Yes, "MATERIALIZED ")
		p.flag(c.Materialized == No, "NOT MATERIALIZED ")
		p.w("(")
		p.statement(c.Statement)
		p.w(")")
	})
	p.w(" ")
}

func (p *printer) body(b QueryBody) {
	switch b := b.(type) {
	case *Select:
		p.selectCore(b)
	case *SetOp:
		p.setOp(b)
	case *Values:
		p.w("VALUES ")
		p.each(len(b.Rows), ", ", func(i int) {
			p.w("(")
			p.exprs(b.Rows[i])
			p.w(")")
		})
	case *Query:
		p.w("(")
		p.query(b)
		p.w(")")
	}
}

var setOpWords = [...]string{Union: " UNION ", Intersect: " INTERSECT ", Except: " EXCEPT "}

// setOp writes a set operation; operands of it that are set operations themselves are in parentheses unless they stand at
// the left and bind at least as tightly.
func (p *printer) setOp(s *SetOp) {
	if l, ok := s.Left.(*SetOp); ok && (s.Kind != Intersect || l.Kind == Intersect) {
		p.setOp(l)
	} else {
		p.setOperand(s.Left)
	}
	p.w(setOpWords[s.Kind])
	p.flag(s.All, "ALL ")
	p.setOperand(s.Right)
}

func (p *printer) setOperand(b QueryBody) {
	if _, ok := b.(*SetOp); !ok {
		p.body(b)
		return
	}
	p.w("(")
	p.body(b)
	p.w(")")
}

func (p *printer) selectCore(s *Select) {
	p.w("SELECT")
	p.flag(s.Distinct, " DISTINCT")
	if s.DistinctOn != nil {
		p.w(" ON (")
		p.exprs(s.DistinctOn)
		p.w(")")
	}
	p.targets(" ", s.Targets)
	if s.Into != nil {
		p.w(" INTO ")
		p.flag(s.IntoTemp, "TEMPORARY ")
		p.name(s.Into)
	}
	p.from(" FROM ", s.From)
	if s.Window != nil {
		p.streamWindow(s.Window)
	}
	p.clause(" WHERE ", s.Where)
	if s.GroupBy != nil {
		p.w(" GROUP BY ")
		p.flag(s.GroupBy.Distinct, "DISTINCT ")
		p.groupItems(s.GroupBy.Items)
	}
	if s.PartitionBy != nil {
		p.w(" PARTITION BY ")
		p.exprs(s.PartitionBy)
	}
	p.clause(" HAVING ", s.Having)
	if len(s.Windows) > 0 {
		p.w(" WINDOW ")
		p.each(len(s.Windows), ", ", func(i int) {
			p.ident(s.Windows[i].Name)
			p.w(" AS ")
			p.window(s.Windows[i])
		})
	}
}

// clause writes words e unless e is nil.
func (p *printer) clause(words string, e Expr) {
	if e != nil {
		p.w(words)
		p.expr(e, precLowest)
	}
}

func (p *printer) targets(before string, ts []*Target) {
	if len(ts) == 0 {
		return
	}
	p.w(before)
	p.each(len(ts), ", ", func(i int) {
		p.expr(ts[i].Expr, precLowest)
		if ts[i].Alias != "" {
			p.w(" AS ")
			p.ident(ts[i].Alias)
		}
	})
}

func (p *printer) orderBy(os []*OrderItem) {
	p.w("ORDER BY ")
	p.orderItems(os)
}

func (p *printer) orderItems(os []*OrderItem) {
	p.each(len(os), ", ", func(i int) {
		o := os[i]
		p.expr(o.Expr, precLowest)
		p.flag(o.Desc, " DESC")
		p.flag(o.Using != "", " USING "+o.Using)
		p.flag(o.NullsFirst == Yes, " NULLS FIRST")
		p.flag(o.NullsFirst == No, " NULLS LAST")
	})
}

var groupWords = [...]string{GroupEmpty: "", GroupRollup: "ROLLUP ", GroupCube: "CUBE ", GroupSets: "GROUPING SETS "}

func (p *printer) groupItems(gs []*GroupItem) {
	p.each(len(gs), ", ", func(i int) {
		if g := gs[i]; g.Kind == GroupExpr {
			p.expr(g.Expr, precLowest)
		} else {
			p.w(groupWords[g.Kind], "(")
			p.groupItems(g.Items)
			p.w(")")
		}
	})
}

// window writes ( [base] [PARTITION BY] [ORDER BY] [frame] ).
func (p *printer) window(w *WindowDef) {
	var parts []string
	part := func(f func(p *printer)) {
		var sub printer
		f(&sub)
		parts = append(parts, sub.String())
	}
	if w.Base != "" {
		part(func(p *printer) { p.ident(w.Base) })
	}
	if w.PartitionBy != nil {
		part(func(p *printer) { p.w("PARTITION BY "); p.exprs(w.PartitionBy) })
	}
	if w.OrderBy != nil {
		part(func(p *printer) { p.orderBy(w.OrderBy) })
	}
	if w.Frame != nil {
		part(func(p *printer) { p.frame(w.Frame) })
	}
	p.w("(", strings.Join(parts, " "), ")")
}

func (p *printer) frame(f *Frame) {
	p.w([...]string{FrameRange: "RANGE", FrameRows: "ROWS", FrameGroups: "GROUPS"}[f.Mode], " BETWEEN ")
	p.bound(f.Start)
	p.w(" AND ")
	p.bound(f.End)
	p.flag(f.Exclude != "", " EXCLUDE "+f.Exclude)
}

func (p *printer) bound(b *Bound) {
	if b.Value != nil {
		p.expr(b.Value, precOr+2)
		p.w(" ")
	}
	p.w([...]string{
		UnboundedPreceding: "UNBOUNDED PRECEDING", Preceding: "PRECEDING", CurrentRow: "CURRENT ROW", Following: "FOLLOWING",
		UnboundedFollowing: "UNBOUNDED FOLLOWING",
	}[b.Kind])
}

func (p *printer) from(before string, items []FromItem) {
	if len(items) == 0 {
		return
	}
	p.w(before)
	p.each(len(items), ", ", func(i int) { p.fromItem(items[i]) })
}

func (p *printer) fromItem(f FromItem) {
	switch f := f.(type) {
	case *Table:
		p.table(f)
	case *Derived:
		p.flag(f.Lateral, "LATERAL ")
		p.w("(")
		p.query(f.Query)
		p.w(")")
		p.alias(f.Alias)
	case *TableFunc:
		p.tableFunc(f)
	case *Join:
		if f.Alias != nil {
			p.w("(")
		}
		p.join(f)
		if f.Alias != nil {
			p.w(")")
			p.alias(f.Alias)
		}
	}
}

func (p *printer) table(t *Table) {
	p.flag(t.Only, "ONLY ")
	p.name(t.Name)
	p.clause(" FOR SYSTEM_TIME AS OF ", t.AsOf)
	p.alias(t.Alias)
}

func (p *printer) tableFunc(f *TableFunc) {
	p.flag(f.Lateral, "LATERAL ")
	p.flag(f.RowsFrom, "ROWS FROM (")
	p.each(len(f.Calls), ", ", func(i int) {
		p.call(f.Calls[i])
		if f.Defs != nil && f.Defs[i] != nil {
			p.w(" AS ")
			p.columnDefs(f.Defs[i])
		}
	})
	p.flag(f.RowsFrom, ")")
	p.flag(f.Ordinality, " WITH ORDINALITY")
	p.alias(f.Alias)
}

func (p *printer) columnDefs(cs []*ColumnDef) {
	p.w("(")
	p.each(len(cs), ", ", func(i int) { p.column(cs[i]) })
	p.w(")")
}

func (p *printer) alias(a *Alias) {
	if a == nil {
		return
	}
	p.w(" AS ")
	if a.Name != "" {
		p.ident(a.Name)
		p.flag(a.Defs != nil, " ")
	}
	p.identList(" ", a.Columns)
	if a.Defs != nil {
		p.columnDefs(a.Defs)
	}
}

var joinWords = [...]string{
	InnerJoin: " JOIN ", LeftJoin: " LEFT JOIN ", RightJoin: " RIGHT JOIN ", FullJoin: " FULL JOIN ", CrossJoin: " CROSS JOIN ",
	SemiJoin: " LEFT SEMI JOIN ", AntiJoin: " LEFT ANTI JOIN ",
}

func (p *printer) join(j *Join) {
	p.fromItem(j.Left)
	p.flag(j.Natural, " NATURAL")
	p.flag(j.AsOf, " ASOF")
	p.w(joinWords[j.Kind])
	if r, ok := j.Right.(*Join); ok && r.Alias == nil {
		p.w("(")
		p.join(r)
		p.w(")")
	} else {
		p.fromItem(j.Right)
	}
	if w := j.Within; w != nil {
		p.within(w)
	}
	p.clause(" ON ", j.On)
	p.identList(" USING ", j.Using)
	if j.UsingAlias != "" {
		p.w(" AS ")
		p.ident(j.UsingAlias)
	}
}

func (p *printer) within(w *Within) {
	p.w(" WITHIN ")
	if *w.Before == *w.After {
		p.duration(w.Before)
	} else {
		p.w("(")
		p.duration(w.Before)
		p.w(", ")
		p.duration(w.After)
		p.w(")")
	}
	if w.Grace != nil {
		p.w(" GRACE PERIOD ")
		p.duration(w.Grace)
	}
}

var unitWords = [...]string{
	Milliseconds: " MILLISECONDS", Seconds: " SECONDS", Minutes: " MINUTES", Hours: " HOURS", Days: " DAYS",
	Weeks: " WEEKS", Months: " MONTHS", Years: " YEARS",
}

func (p *printer) duration(d *Duration) {
	if d.Interval != nil {
		p.atom(d.Interval)
		return
	}
	p.int(d.Count)
	p.w(unitWords[d.Unit])
}

func (p *printer) streamWindow(w *StreamWindow) {
	p.w(" WINDOW ")
	if w.Name != "" {
		p.ident(w.Name)
		p.w(" ")
	}
	p.w([...]string{Tumbling: "TUMBLING (SIZE ", Hopping: "HOPPING (SIZE ", Session: "SESSION ("}[w.Kind])
	p.duration(w.Size)
	bound := func(words string, d *Duration) {
		if d != nil {
			p.w(", ", words, " ")
			p.duration(d)
		}
	}
	bound("ADVANCE BY", w.Advance)
	bound("RETENTION", w.Retention)
	bound("GRACE PERIOD", w.Grace)
	p.w(")")
}
