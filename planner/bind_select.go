package planner

import (
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// selectTarget is one output column of a SELECT.
type selectTarget struct {
	expr   Expr
	col    Col
	pos    sql.Pos
	hidden bool // there only to be sorted by
}

// selectBlock is a SELECT while it is bound.
type selectBlock struct {
	b       *binder
	sel     *sql.Select
	node    Node
	targets []selectTarget
	having  Expr
	group   groupKeys
	aggs    *aggCollector
	wins    *windowCollector
	order   []SortKey // Expr is a ColumnRef into targets
	on      []Expr    // DISTINCT ON, likewise
}

func (b *binder) bindSelect(sel *sql.Select, orderBy []*sql.OrderItem) (Node, error) {
	if sel.Into != nil {
		return nil, notYet("SELECT INTO", "a query makes no relations", "CREATE TABLE ... AS", sel.Into.Pos)
	}
	node, sc, err := b.bindFrom(sel.From)
	if err != nil {
		return nil, err
	}
	inner := *b
	inner.scope, inner.named = sc, sel.Windows
	s := &selectBlock{b: &inner, sel: sel, node: node, aggs: &aggCollector{keys: map[string]int{}}, wins: &windowCollector{}}
	if sel.Where != nil {
		inner.clause = "WHERE"
		cond, err := inner.bindCondition(sel.Where, "WHERE")
		if err != nil {
			return nil, err
		}
		s.node = newFilter(node, cond)
	}
	for _, step := range []func() error{
		s.bindWindow, s.bindTargets, s.bindGroupBy, s.bindHaving,
		func() error { return s.bindOrderBy(orderBy) }, s.bindDistinctOn, s.bindPartitionBy,
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return s.build()
}

// allow sets what expressions of a clause may contain.
func (s *selectBlock) allow(clause string, aggs, windows, srf bool) {
	s.b.clause, s.b.aggs, s.b.windows, s.b.srf = clause, nil, nil, srf
	if aggs {
		s.b.aggs = s.aggs
	}
	if windows {
		s.b.windows = s.wins
	}
}

func (s *selectBlock) bindTargets() error {
	s.allow("SELECT", true, true, true)
	for _, t := range s.sel.Targets {
		if star, ok := t.Expr.(*sql.Star); ok {
			if err := s.expandStar(star); err != nil {
				return err
			}
			continue
		}
		x, err := s.b.bindExpr(t.Expr)
		if err != nil {
			return err
		}
		name := t.Alias
		if name == "" {
			name = s.unnamed(t.Expr)
		}
		col := Col{Name: name, Type: x.Type()}
		col.TableOID, col.AttNum = s.b.baseColumn(x)
		s.targets = append(s.targets, selectTarget{expr: x, col: col, pos: t.Pos})
	}
	return nil
}

// baseColumn finds the column of a relation behind a plain reference, for RowDescription.
func (b *binder) baseColumn(x Expr) (uint32, int16) {
	ref, ok := x.(*ColumnRef)
	if !ok {
		return 0, 0
	}
	for _, c := range b.scope.cols {
		if r, ok := c.expr.(*ColumnRef); ok && r.Ord == ref.Ord {
			return c.base.TableOID, c.base.AttNum
		}
	}
	return 0, 0
}

func (s *selectBlock) expandStar(star *sql.Star) error {
	if star.Of != nil {
		return s.expandRow(star)
	}
	var tab *scopeTab
	if len(star.Table) > 0 {
		schema := ""
		if n := len(star.Table); n > 1 {
			schema = star.Table[n-2]
		}
		name := star.Table[len(star.Table)-1]
		if tab = s.b.scope.table(schema, name); tab == nil {
			if c, err := s.b.scope.match(nil, name, star.Pos); err == nil && c != nil && isRow(c.expr.Type().Kind) {
				return s.addFields(c.expr, star.Pos)
			}
			return sqlerr.New(sqlerr.UndefinedTable, "missing FROM-clause entry for table %q", name).At(star.Offset())
		}
	} else if len(s.sel.From) == 0 {
		return sqlerr.New(sqlerr.SyntaxError, "SELECT * with no tables specified is not valid").At(star.Offset())
	}
	for _, c := range s.b.scope.cols {
		if tab == nil && c.star || tab != nil && c.tab == tab && c.own {
			x := c.expr
			if ref, ok := x.(*ColumnRef); ok {
				fresh := *ref
				s.b.st.notePos(&fresh, star.Pos)
				x = &fresh
			}
			name := c.name
			if tab == nil && s.b.ksql() {
				name = s.b.scope.starName(&c)
			}
			col := Col{Name: name, Type: x.Type(), TableOID: c.base.TableOID, AttNum: c.base.AttNum}
			s.targets = append(s.targets, selectTarget{expr: x, col: col, pos: star.Pos})
		}
	}
	return nil
}

func (s *selectBlock) expandRow(star *sql.Star) error {
	x, err := s.b.bindExpr(star.Of)
	if err != nil {
		return err
	}
	return s.addFields(x, star.Pos)
}

func (s *selectBlock) addFields(x Expr, pos sql.Pos) error {
	t := x.Type()
	if !isRow(t.Kind) {
		return sqlerr.New(sqlerr.WrongObjectType, "type %s is not composite", t).At(pos.Offset())
	}
	for i, f := range t.Fields {
		s.targets = append(s.targets, selectTarget{expr: &FieldRef{x, i, f.Type}, col: Col{Name: f.Name, Type: f.Type}, pos: pos})
	}
	return nil
}

// unnamed is the name of a column without AS.
func (s *selectBlock) unnamed(e sql.Expr) string {
	if s.b.ksql() {
		return ksqlName(e, s.targets)
	}
	return targetName(e)
}

// targetName is the name PostgreSQL gives a column without AS (its FigureColname).
func targetName(e sql.Expr) string {
	if name, _ := figureName(e); name != "" {
		return name
	}
	return "?column?"
}

// figureName also tells whether the name is a good one; that of a cast's type or a CASE gives way to a better one outside.
func figureName(e sql.Expr) (name string, good bool) {
	switch e := e.(type) {
	case *sql.ColumnRef:
		return e.Parts[len(e.Parts)-1], true
	case *sql.FuncCall:
		return e.Name, true
	case *sql.FieldSelect:
		return e.Field, true
	case *sql.Subscript:
		return figureName(e.X)
	case *sql.Slice:
		return figureName(e.X)
	case *sql.Collate:
		return figureName(e.X)
	case *sql.SpecialValue:
		return e.Name, true
	case *sql.Cast:
		if name, good := figureName(e.X); good {
			return name, true
		}
		return e.Type.Name, false
	case *sql.TypedLiteral:
		return e.Type.Name, false
	case *sql.Case:
		if e.Else != nil {
			if name, good := figureName(e.Else); good {
				return name, true
			}
		}
		return "case", false
	case *sql.AtTimeZone:
		return "timezone", true
	case *sql.ArrayExpr:
		return "array", true
	case *sql.Row:
		return "row", true
	case *sql.Subquery:
		return subqueryName(e)
	}
	return "", false
}

func subqueryName(e *sql.Subquery) (string, bool) {
	switch e.Kind {
	case sql.ExistsSubquery:
		return "exists", true
	case sql.ArraySubquery:
		return "array", true
	}
	sel, ok := e.Query.Body.(*sql.Select)
	if !ok || len(sel.Targets) == 0 {
		return "", false
	}
	if t := sel.Targets[0]; t.Alias != "" {
		return t.Alias, true
	}
	return figureName(sel.Targets[0].Expr)
}

func (s *selectBlock) bindHaving() error {
	if s.sel.Having == nil {
		return nil
	}
	s.allow("HAVING", true, false, false)
	cond, err := s.b.bindCondition(s.sel.Having, "HAVING")
	s.having = cond
	return err
}

// output finds the target that a bare name in ORDER BY, GROUP BY or DISTINCT ON means; -1 if there is none.
func (s *selectBlock) output(e sql.Expr) (int, error) {
	ref, ok := e.(*sql.ColumnRef)
	if !ok || len(ref.Parts) != 1 {
		return -1, nil
	}
	found := -1
	for i, t := range s.targets {
		if t.hidden || t.col.Name != ref.Parts[0] {
			continue
		}
		if found >= 0 && exprKey(s.targets[found].expr) != exprKey(t.expr) {
			return -1, sqlerr.New(sqlerr.AmbiguousColumn, "ORDER BY %q is ambiguous", ref.Parts[0]).At(e.Offset())
		}
		if found < 0 {
			found = i
		}
	}
	return found, nil
}

// targetFor finds or adds the target that an ORDER BY or DISTINCT ON item sorts by.
func (s *selectBlock) targetFor(e sql.Expr, clause string) (int, error) {
	i, ok, err := ordinal(e, len(s.targets), clause)
	if err != nil || ok {
		return i, err
	}
	if i, err = s.output(e); err != nil || i >= 0 {
		return i, err
	}
	x, err := s.b.bindExpr(e)
	if err != nil {
		return 0, err
	}
	x = s.b.settle(x)
	key := exprKey(x)
	for i, t := range s.targets {
		if exprKey(t.expr) == key {
			return i, nil
		}
	}
	if s.sel.Distinct && len(s.sel.DistinctOn) == 0 {
		return 0, sqlerr.New(sqlerr.InvalidColumnReference, "for SELECT DISTINCT, ORDER BY expressions must appear in select list").At(e.Offset())
	}
	s.targets = append(s.targets, selectTarget{expr: x, col: Col{Name: "?sort?", Type: x.Type(), Hidden: true}, pos: posOf(e), hidden: true})
	return len(s.targets) - 1, nil
}

func (s *selectBlock) targetRef(i int) Expr {
	t := &s.targets[i]
	if t.expr.Type().Kind == types.Unknown {
		t.expr = s.b.settle(t.expr)
		t.col.Type = t.expr.Type()
	}
	return &ColumnRef{Ord: i, Typ: t.col.Type, Name: t.col.Name}
}

func (s *selectBlock) bindOrderBy(items []*sql.OrderItem) error {
	s.allow("ORDER BY", true, true, true)
	for _, it := range items {
		i, err := s.targetFor(it.Expr, "ORDER BY")
		if err != nil {
			return err
		}
		k, err := sortKey(s.targetRef(i), it)
		if err != nil {
			return err
		}
		s.order = append(s.order, k)
	}
	return nil
}

func (s *selectBlock) bindDistinctOn() error {
	s.allow("DISTINCT ON", true, true, false)
	for _, e := range s.sel.DistinctOn {
		i, err := s.targetFor(e, "DISTINCT ON")
		if err != nil {
			return err
		}
		s.on = append(s.on, s.targetRef(i))
	}
	keys := map[string]bool{}
	for _, x := range s.on {
		keys[exprKey(x)] = true
	}
	for i := 0; i < len(s.order) && i < len(keys); i++ {
		if !keys[exprKey(s.order[i].Expr)] && len(s.on) > 0 {
			return sqlerr.New(sqlerr.InvalidColumnReference, "SELECT DISTINCT ON expressions must match initial ORDER BY expressions").At(s.sel.DistinctOn[0].Offset())
		}
	}
	return nil
}

// bindPartitionBy refuses PARTITION BY where it means nothing: the key of a persistent query is taken off before binding.
func (s *selectBlock) bindPartitionBy() error {
	if len(s.sel.PartitionBy) > 0 {
		return sqlerr.New(sqlerr.SyntaxError, "PARTITION BY is for CREATE STREAM ... AS and INSERT ... EMIT CHANGES").At(s.sel.PartitionBy[0].Offset())
	}
	return nil
}

// build puts the nodes together: input, aggregate, having, windows, projection, distinct, sort.
func (s *selectBlock) build() (Node, error) {
	if err := s.buildAggregate(); err != nil {
		return nil, err
	}
	s.buildWindows()
	n := s.project()
	if s.sel.Distinct && len(s.on) == 0 {
		n = &Distinct{P: Props{Cols: n.Props().Cols}, In: n}
	}
	if len(s.order) > 0 {
		var err error
		sorter := *s.b
		sorter.limited = sorter.limited || len(s.on) > 0 // DISTINCT ON takes the first of each
		if n, err = sorter.newSort(n, s.order, s.sel.Pos); err != nil {
			return nil, err
		}
	}
	if len(s.on) > 0 {
		n = &Distinct{P: Props{Cols: n.Props().Cols}, In: n, On: s.on}
	}
	return n, nil
}

func isSetCall(e Expr) bool {
	c, ok := e.(*Call)
	return ok && c.Func.Kind == SetFunc
}

// project computes the targets. A set-returning call below the top of a target is computed by a projection of its own first.
func (s *selectBlock) project() Node {
	exprs, cols := make([]Expr, len(s.targets)), make([]Col, len(s.targets))
	nested := false
	for i, t := range s.targets {
		exprs[i], cols[i] = t.expr, t.col
		nested = nested || !isSetCall(t.expr) && anyExpr(t.expr, isSetCall)
	}
	if !nested {
		return newProject(s.node, exprs, cols)
	}
	lower := identity(s.node)
	lowerCols := append([]Col(nil), s.node.Props().Cols...)
	for i := range exprs {
		exprs[i] = replaceTop(exprs[i], func(e Expr) (Expr, bool) {
			if !isSetCall(e) {
				return nil, false
			}
			lower = append(lower, e)
			lowerCols = append(lowerCols, Col{Name: e.(*Call).Func.Name, Type: e.Type()})
			return &ColumnRef{Ord: len(lower) - 1, Typ: e.Type(), Name: e.(*Call).Func.Name}, true
		})
	}
	return newProject(newProject(s.node, lower, lowerCols), exprs, cols)
}
