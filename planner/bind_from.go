package planner

import (
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// bindFrom binds the FROM clause: items joined by commas are cross joins, left to right.
func (b *binder) bindFrom(items []sql.FromItem) (Node, *scope, error) {
	if len(items) == 0 {
		return newValues([][]Expr{{}}, nil), &scope{}, nil
	}
	node, sc, err := b.bindFromItem(items[0])
	if err != nil {
		return nil, nil, err
	}
	for _, it := range items[1:] {
		r, rs, lateral, err := b.bindRight(it, sc)
		if err != nil {
			return nil, nil, err
		}
		joined, err := joinScopes(sc, rs)
		if err != nil {
			return nil, nil, sqlerr.From(err).At(it.Offset())
		}
		node, sc = newJoin(&Join{L: node, R: r, Kind: CrossJoin, Lateral: lateral}), joined
	}
	return node, sc, nil
}

// mayBeLateral reports whether a FROM item may name columns of what stands left of it: a function always may, a query with LATERAL.
func mayBeLateral(it sql.FromItem) bool {
	switch it := it.(type) {
	case *sql.TableFunc:
		return true
	case *sql.Derived:
		return it.Lateral
	case *sql.Join:
		return mayBeLateral(it.Left) || mayBeLateral(it.Right)
	}
	return false
}

// bindRight binds the right side of a join whose left side has scope left. lateral tells whether it refers to the left row.
func (b *binder) bindRight(it sql.FromItem, left *scope) (Node, *scope, bool, error) {
	if !mayBeLateral(it) {
		inner := *b
		inner.siblings = append(append([]*scope(nil), b.siblings...), left)
		n, sc, err := inner.bindFromItem(it)
		return n, sc, false, err
	}
	inner := *b
	inner.env = &env{scope: left, next: b.env}
	n, sc, err := inner.bindFromItem(it)
	if err != nil {
		return nil, nil, false, err
	}
	if !inner.env.used { // nothing refers to the left row: the level goes away again
		lowerLevels(n, 1)
		return n, sc, false, nil
	}
	return n, sc, true, nil
}

// lowerLevels takes one level out of the references that reach beyond depth levels.
func lowerLevels(n Node, depth int) {
	mapNodeLevels(n, depth, func(e Expr, d int) Expr { return lowerExpr(e, d) })
}

func lowerExpr(e Expr, depth int) Expr {
	return mapExpr(e, func(x Expr) Expr {
		switch x := x.(type) {
		case *OuterRef:
			if x.Level > depth {
				return &OuterRef{x.Level - 1, x.Ord, x.Typ, x.Name}
			}
		case *Subquery:
			lowerLevels(x.Plan, depth+1)
		}
		return x
	})
}

func (b *binder) bindFromItem(it sql.FromItem) (Node, *scope, error) {
	if err := b.st.enter(); err != nil {
		return nil, nil, err
	}
	defer b.st.leave()
	if err := b.st.count(); err != nil {
		return nil, nil, err
	}
	switch it := it.(type) {
	case *sql.Table:
		return b.bindTable(it)
	case *sql.Derived:
		return b.bindDerived(it)
	case *sql.TableFunc:
		return b.bindTableFunc(it)
	case *sql.Join:
		return b.bindJoin(it)
	}
	return nil, nil, sqlerr.New(sqlerr.InternalError, "the planner does not know FROM item %T", it).At(it.Offset())
}

func (b *binder) bindTable(t *sql.Table) (Node, *scope, error) {
	if t.AsOf != nil {
		return nil, nil, notYet("FOR SYSTEM_TIME AS OF", "tables keep no history yet", "the current rows", t.Pos)
	}
	if t.Name.Schema() == "" {
		if c := b.ctes.find(t.Name.Object()); c != nil {
			return b.bindCTE(c, t)
		}
	}
	rel, err := b.st.relation(t.Name)
	if err != nil {
		return nil, nil, err
	}
	if rel.Kind == View {
		return b.bindView(rel, t)
	}
	b.st.noteRead(rel)
	n, sc := newScan(rel)
	if b.ksql() && (rel.Kind == Stream || rel.Kind == Table) {
		ksqlScan(rel, sc)
	}
	if t.Alias != nil {
		if err := renameScope(sc, t.Alias, rel.Name, t.Pos); err != nil {
			return nil, nil, err
		}
	}
	return n, sc, nil
}

func (st *statement) relation(name *sql.Name) (*Relation, error) {
	rel, err := st.p.Catalog.Relation(st.ctx, name.Schema(), name.Object())
	if err != nil {
		return nil, sqlerr.From(err).At(name.Offset())
	}
	return rel, nil
}

// HeadersType is the type of all headers of a record, in the record's order. Keys may occur more than once, values may be NULL.
var HeadersType = types.ArrayOf(types.StructOf(types.Field{Name: "key", Type: types.Of(types.Text)}, types.Field{Name: "value", Type: types.Of(types.Bytea)}))

// pseudoColumns are what a source offers besides its columns, in the order in which newScan appends them.
var pseudoColumns = []struct {
	name string
	ord  int
	typ  types.Type
}{
	{"rowtime", PseudoRowtime, types.Of(types.TimestampTZ)},
	{"rowpartition", PseudoRowPartition, types.Of(types.Int4)},
	{"rowoffset", PseudoRowOffset, types.Of(types.Int8)},
	{"headers", PseudoHeaders, HeadersType},
	{"op", PseudoOp, types.Of(types.Text)},
}

// newScan scans all columns of rel, and for streams and tables the pseudo columns; the rules leave out what nothing uses.
func newScan(rel *Relation) (*Scan, *scope) {
	s := &Scan{Rel: rel}
	tab := &scopeTab{schema: rel.Schema, name: rel.Name, rel: rel}
	sc := &scope{tabs: []*scopeTab{tab}}
	add := func(ord int, name string, t types.Type, visible bool, attnum int16) {
		col := Col{Name: name, Type: t, Hidden: !visible}
		if attnum > 0 {
			col.TableOID, col.AttNum = rel.OID, attnum
		}
		ref := &ColumnRef{Ord: len(s.Cols), Typ: t, Name: name}
		s.Cols = append(s.Cols, ord)
		s.P.Cols = append(s.P.Cols, col)
		sc.cols = append(sc.cols, scopeCol{tab: tab, name: name, expr: ref, star: visible, own: visible, bare: true, base: col})
	}
	for i, c := range rel.Columns {
		add(i, c.Name, c.Type, !c.Hidden, int16(i+1))
	}
	if rel.Kind == Stream || rel.Kind == Table {
		for _, p := range pseudoColumns {
			if rel.column(p.name) < 0 {
				add(p.ord, p.name, p.typ, false, 0)
			}
		}
	}
	sc.width = len(s.Cols)
	addWindowEnd(rel, tab, sc)
	if rel.Kind == Virtual && rel.column("tableoid") < 0 {
		oid := &Const{types.Of(types.OID), types.IntDatum(int64(rel.OID))}
		sc.cols = append(sc.cols, scopeCol{tab: tab, name: "tableoid", expr: oid, bare: true})
	}
	if rel.Kind == Virtual && rel.column("xmin") < 0 { // tools ask for what has changed since; as nothing is known, everything has
		xmin := &Const{types.Of(types.Int8), types.IntDatum(1)}
		sc.cols = append(sc.cols, scopeCol{tab: tab, name: "xmin", expr: xmin, bare: true})
	}
	return s, sc
}

// addWindowEnd lets windowend be named where only windowstart is stored.
func addWindowEnd(rel *Relation, tab *scopeTab, sc *scope) {
	if rel.Window == nil || rel.Window.Kind == Session || rel.column("windowend") >= 0 {
		return
	}
	start := rel.column("windowstart")
	if start < 0 || rel.WindowBound(start) == "" && rel.Query != 0 {
		return
	}
	size := &Const{types.Of(types.Interval), intervalOfMillis(rel.Window.SizeMs)}
	end := &Call{
		Func: findFunc("+(timestamptz,interval)"), Args: []Expr{sc.cols[start].expr, size}, Typ: types.Of(types.TimestampTZ),
	}
	sc.cols = append(sc.cols, scopeCol{tab: tab, name: "windowend", expr: end, bare: true})
}

// column is the ordinal of the column called name, -1 if there is none.
func (r *Relation) column(name string) int {
	for i, c := range r.Columns {
		if c.Name == name {
			return i
		}
	}
	return -1
}

// scopeOf makes the visible columns of a node nameable under one table name.
func scopeOf(n Node, name string) *scope {
	cols := n.Props().Cols
	tab := &scopeTab{name: name}
	sc := &scope{tabs: []*scopeTab{tab}, width: len(cols)}
	for i, c := range cols {
		if !c.Hidden {
			ref := &ColumnRef{Ord: i, Typ: c.Type, Name: c.Name}
			sc.cols = append(sc.cols, scopeCol{tab: tab, name: c.Name, expr: ref, star: true, own: true, bare: true, base: c})
		}
	}
	return sc
}

// renameScope applies an alias to the only table of sc. Column aliases go to the columns of * in order.
func renameScope(sc *scope, a *sql.Alias, was string, pos sql.Pos) error {
	for _, t := range sc.tabs {
		t.schema = ""
		if a.Name != "" {
			t.name = a.Name
		}
	}
	i := 0
	for j := range sc.cols {
		if !sc.cols[j].star {
			continue
		}
		if i < len(a.Columns) {
			sc.cols[j].name = a.Columns[i]
			if ref, ok := sc.cols[j].expr.(*ColumnRef); ok {
				sc.cols[j].expr = &ColumnRef{ref.Ord, ref.Typ, a.Columns[i]}
			}
		}
		i++
	}
	if len(a.Columns) > i {
		if a.Name != "" {
			was = a.Name
		}
		return sqlerr.New(sqlerr.InvalidColumnReference, "table %q has %d columns available but %d columns specified", was, i, len(a.Columns)).At(pos.Offset())
	}
	return nil
}

func (b *binder) bindDerived(d *sql.Derived) (Node, *scope, error) {
	if d.Query.Emit != nil {
		return nil, nil, sqlerr.New(sqlerr.SyntaxError, "EMIT is not allowed in a subquery").At(d.Query.Emit.Offset())
	}
	n, err := b.beside().bindQuery(d.Query)
	if err != nil {
		return nil, nil, err
	}
	if n, err = b.settleUnknown(n); err != nil {
		return nil, nil, err
	}
	sc := scopeOf(n, "")
	if d.Alias != nil {
		err = renameScope(sc, d.Alias, "unnamed_subquery", d.Pos)
	}
	return n, sc, err
}

func (b *binder) bindView(rel *Relation, t *sql.Table) (Node, *scope, error) {
	stmt, err := sql.ParseOne(rel.ViewText, sql.Options{})
	if err != nil {
		return nil, nil, sqlerr.New(sqlerr.InternalError, "the text of view %q does not parse: %w", rel.Name, err)
	}
	q, ok := stmt.Statement.(*sql.Query)
	if !ok {
		return nil, nil, sqlerr.New(sqlerr.InternalError, "the text of view %q is not a query", rel.Name)
	}
	b.st.copying++
	outside := b.st.p
	inner := *outside
	inner.Catalog, inner.Settings.KSQL = outside.Catalog.Inside(rel), rel.KSQL
	b.st.p = &inner
	n, err := b.st.binder().bindQuery(q)
	b.st.p = outside
	b.st.copying--
	if err == nil {
		n, err = b.settleUnknown(n)
	}
	if err != nil { // a position inside the view's text would point at the wrong place
		e := *sqlerr.From(err)
		e.Position = t.Offset() + 1
		return nil, nil, e.WithDetail("In view %q.", rel.Name)
	}
	sc := scopeOf(n, rel.Name)
	sc.tabs[0].schema = rel.Schema
	if len(rel.ViewColumns) > 0 {
		if err := renameScope(sc, &sql.Alias{Columns: rel.ViewColumns}, rel.Name, t.Pos); err != nil {
			return nil, nil, err
		}
		sc.tabs[0].schema = rel.Schema
	}
	if t.Alias != nil {
		err = renameScope(sc, t.Alias, rel.Name, t.Pos)
	}
	return n, sc, err
}
