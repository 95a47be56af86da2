package planner

import (
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// scopeTab is one item of FROM, by the name it goes by.
type scopeTab struct {
	schema string // of the relation; empty once it has an alias
	name   string
	rel    *Relation // nil for what is no relation
	value  bool      // a function that gives plain values: its name stands for them
}

// scopeCol is one column that expressions can name.
type scopeCol struct {
	tab  *scopeTab // nil for a column merged by USING
	name string
	expr Expr // over the row of the FROM clause
	// star: part of *. own: part of table.*. bare: may be named without its table. A column that USING merged away is only own.
	star, own, bare bool
	base            Col // OID and attribute number for RowDescription
}

// scope is what can be named in one query's clauses. Its expressions are over a row of width columns.
type scope struct {
	tabs  []*scopeTab
	cols  []scopeCol
	width int
}

// env is one enclosing row: that of an outer query, or of the left side of a lateral join. used tells whether anything refers to it.
type env struct {
	scope *scope
	next  *env
	used  bool
}

func (s *scope) shifted(by int) *scope {
	out := &scope{tabs: s.tabs, cols: make([]scopeCol, len(s.cols)), width: s.width + by}
	for i, c := range s.cols {
		c.expr = shiftCols(c.expr, by)
		out.cols[i] = c
	}
	return out
}

// joinScopes puts the columns of r after those of l.
func joinScopes(l, r *scope) (*scope, error) {
	for _, a := range l.tabs {
		for _, b := range r.tabs {
			if a.name != "" && a.name == b.name && (a.schema == b.schema || a.schema == "" || b.schema == "") {
				return nil, sqlerr.New(sqlerr.DuplicateAlias, "table name %q specified more than once", a.name)
			}
		}
	}
	shifted := r.shifted(l.width)
	return &scope{
		tabs:  append(append([]*scopeTab(nil), l.tabs...), r.tabs...),
		cols:  append(append([]scopeCol(nil), l.cols...), shifted.cols...),
		width: l.width + r.width,
	}, nil
}

// match is the column that a name stands for; nil if there is none.
func (s *scope) match(tab *scopeTab, name string, pos sql.Pos) (*scopeCol, error) {
	var found *scopeCol
	for i := range s.cols {
		c := &s.cols[i]
		if c.name != name || (tab != nil && c.tab != tab) || (tab == nil && !c.bare) {
			continue
		}
		if found != nil {
			return nil, sqlerr.New(sqlerr.AmbiguousColumn, "column reference %q is ambiguous", name).At(pos.Offset())
		}
		found = c
	}
	return found, nil
}

func (s *scope) table(schema, name string) *scopeTab {
	for _, t := range s.tabs {
		if t.name == name && (schema == "" || schema == t.schema) {
			return t
		}
	}
	return nil
}

// lookup resolves a column name of one to four parts: column, table.column, schema.table.column, or any of these followed by
// fields of a struct.
func (b *binder) lookup(ref *sql.ColumnRef) (Expr, error) {
	x, err := b.lookupParts(ref.Parts, ref.Pos)
	if x == nil && err == nil && b.ksql() {
		x, err = b.lookupFolded(ref)
	}
	if x == nil && err == nil {
		err = b.undefinedColumn(ref)
	}
	return x, err
}

// lookupParts returns nil if the parts name nothing.
func (b *binder) lookupParts(parts []string, pos sql.Pos) (Expr, error) {
	for level, e := 0, (&env{scope: b.scope, next: b.env}); e != nil; level, e = level+1, e.next {
		if e.scope == nil {
			continue
		}
		x, err := e.scope.resolve(parts, pos)
		if err != nil {
			return nil, err
		}
		if x == nil {
			continue
		}
		if level == 0 {
			return x, nil
		}
		e.used = true
		return toOuter(x, level), nil
	}
	return nil, nil
}

// resolve returns nil if the parts name nothing in s.
func (s *scope) resolve(parts []string, pos sql.Pos) (Expr, error) {
	last := len(parts) - 1
	if last == 0 {
		c, err := s.match(nil, parts[0], pos)
		if err != nil {
			return nil, err
		}
		if c != nil {
			return c.expr, nil
		}
		if t := s.table("", parts[0]); t != nil {
			return s.wholeRow(t), nil
		}
		return nil, nil
	}
	for n := min(last, 3); n >= 1; n-- { // n parts name the table
		schema := ""
		if n >= 2 {
			schema = parts[n-2]
		}
		t := s.table(schema, parts[n-1])
		if t == nil {
			continue
		}
		c, err := s.match(t, parts[n], pos)
		if err != nil || c == nil {
			return nil, err
		}
		return fields(c.expr, parts[n+1:], pos)
	}
	c, err := s.match(nil, parts[0], pos)
	if err != nil || c == nil || !isRow(c.expr.Type().Kind) {
		return nil, err
	}
	return fields(c.expr, parts[1:], pos)
}

// wholeRow is a table's name used as a value: its row, or the value of a function in FROM that gives no rows.
func (s *scope) wholeRow(t *scopeTab) Expr {
	row := &RowExpr{Typ: types.Of(types.Record)}
	for _, c := range s.cols {
		if c.tab == t && c.own {
			if t.value {
				return c.expr
			}
			row.Fields = append(row.Fields, c.expr)
			row.Typ.Fields = append(row.Typ.Fields, types.Field{Name: c.name, Type: c.expr.Type()})
		}
	}
	return row
}

func fields(e Expr, names []string, pos sql.Pos) (Expr, error) {
	for _, name := range names {
		f, err := fieldOf(e, name, pos)
		if err != nil {
			return nil, err
		}
		e = f
	}
	return e, nil
}

func fieldOf(e Expr, name string, pos sql.Pos) (Expr, error) {
	t := e.Type()
	for i, f := range t.Fields {
		if f.Name == name || strings.EqualFold(f.Name, name) {
			if row, ok := e.(*RowExpr); ok {
				return row.Fields[i], nil
			}
			return &FieldRef{Arg: e, Field: i, Typ: f.Type}, nil
		}
	}
	if !isRow(t.Kind) {
		return nil, sqlerr.New(sqlerr.WrongObjectType, "column notation .%s applied to type %s, which is not a composite type", name, t).At(pos.Offset())
	}
	return nil, sqlerr.New(sqlerr.UndefinedColumn, "column %q not found in data type %s", name, t).At(pos.Offset())
}

func toOuter(e Expr, level int) Expr {
	return mapExpr(e, func(x Expr) Expr {
		if c, ok := x.(*ColumnRef); ok {
			return &OuterRef{Level: level, Ord: c.Ord, Typ: c.Typ, Name: c.Name}
		}
		return x
	})
}

// undefinedColumn says what is wrong with a name that resolves to nothing, with the nearest name that does as a hint.
func (b *binder) undefinedColumn(ref *sql.ColumnRef) error {
	parts := ref.Parts
	name := parts[len(parts)-1]
	if len(parts) > 1 {
		table := parts[len(parts)-2]
		known := false
		for e := (&env{scope: b.scope, next: b.env}); e != nil && !known; e = e.next {
			known = e.scope != nil && (e.scope.table("", table) != nil)
		}
		if !known {
			err := sqlerr.New(sqlerr.UndefinedTable, "missing FROM-clause entry for table %q", table).At(ref.Offset())
			if b.hiddenTable(table) {
				err.Message = "invalid reference to FROM-clause entry for table \"" + table + "\""
				err.Hint = "There is an entry for table \"" + table + "\", but it cannot be referenced from this part of the query."
			}
			return err
		}
		name = table + "." + name
		err := sqlerr.New(sqlerr.UndefinedColumn, "column %s does not exist", name).At(ref.Offset())
		return b.hintColumn(err, table, parts[len(parts)-1])
	}
	err := sqlerr.New(sqlerr.UndefinedColumn, "column %q does not exist", name).At(ref.Offset())
	return b.hintColumn(err, "", name)
}

func (b *binder) hiddenTable(name string) bool {
	for _, s := range b.siblings {
		if s.table("", name) != nil {
			return true
		}
	}
	return false
}

func (b *binder) hintColumn(err *sqlerr.Error, table, name string) error {
	best, dist := "", max(1, len(name)/2)+1
	for e := (&env{scope: b.scope, next: b.env}); e != nil; e = e.next {
		if e.scope == nil {
			continue
		}
		for _, c := range e.scope.cols {
			if c.tab == nil || !c.own || (table != "" && c.tab.name != table) {
				continue
			}
			if d := editDistance(name, c.name); d < dist {
				best, dist = c.tab.name+"."+c.name, d
			}
		}
	}
	if best != "" {
		return err.WithHint("Perhaps you meant to reference the column %q.", best)
	}
	return err
}

// editDistance is Levenshtein's, over at most 63 bytes of each.
func editDistance(a, b string) int {
	a, b = a[:min(len(a), 63)], b[:min(len(b), 63)]
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diag := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			diag, row[j] = row[j], min(row[j]+1, row[j-1]+1, diag+cost)
		}
	}
	return row[len(b)]
}
