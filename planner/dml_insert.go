package planner

import (
	"context"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// checkWritable refuses relations that no statement may write.
func checkWritable(rel *Relation, verb string, pos int) error {
	switch {
	case rel.Kind == View:
		return sqlerr.New(sqlerr.ObjectNotInPrerequisiteState, "cannot %s view %q", verb, rel.Name).
			WithHint("Change the tables that the view reads.").At(pos)
	case rel.Kind == Virtual:
		return sqlerr.New(sqlerr.InsufficientPrivilege, "permission denied: %q is a system catalog", rel.Schema+"."+rel.Name).At(pos)
	case rel.Query != 0:
		return sqlerr.New(sqlerr.WrongObjectType, "cannot %s %q: a persistent query writes it", verb, rel.Name).
			WithDetail("The query has OID %d.", rel.Query).WithHint("Change the rows that the query reads, or DROP it.").At(pos)
	}
	return nil
}

// PlanInsert plans an INSERT that ends: VALUES, DEFAULT VALUES or a bounded SELECT.
func (p *Planner) PlanInsert(ctx context.Context, stmt *sql.Insert, hints []types.Type) (*DML, error) {
	st := p.begin(ctx, hints)
	rel, err := st.relation(stmt.Table)
	if err != nil {
		return nil, err
	}
	if err := checkWritable(rel, "insert into", stmt.Table.Offset()); err != nil {
		return nil, err
	}
	b := st.binder()
	if stmt.With != nil {
		if err := b.addCTEs(stmt.With); err != nil {
			return nil, err
		}
	}
	targets, err := insertTargets(rel, stmt)
	if err != nil {
		return nil, err
	}
	ins := &inserter{b: b, rel: rel, stmt: stmt, targets: targets}
	src, err := ins.source()
	if err != nil {
		return nil, err
	}
	out := &DML{Kind: DMLInsert, Rel: rel, Rowtime: -1}
	for _, t := range ins.targets {
		if t == PseudoRowtime {
			out.Rowtime, out.Extra = len(rel.Columns), 1
		} else {
			out.Targets = append(out.Targets, t)
		}
	}
	if out.OnConflict, err = b.bindOnConflict(rel, stmt); err != nil {
		return nil, err
	}
	if err := b.bindReturning(out, stmt.Returning, ins.scope(), func(ord int) int { return ord }); err != nil {
		return nil, err
	}
	return st.finishDML(out, src)
}

// finishDML settles the parameters and applies the rules to the source.
func (st *statement) finishDML(out *DML, src Node) (*DML, error) {
	q, err := st.p.finishBounded(st, src)
	if err != nil {
		return nil, err
	}
	out.Source, out.Params = q, q.Params
	fold := func(es []Expr) {
		for i := range es {
			es[i] = st.p.foldExpr(es[i])
		}
	}
	fold(out.New)
	fold(out.Returning)
	if out.Where != nil {
		out.Where = st.p.foldExpr(out.Where)
	}
	if c := out.OnConflict; c != nil {
		fold(c.Set)
		if c.Where != nil {
			c.Where = st.p.foldExpr(c.Where)
		}
	}
	return out, nil
}

// insertTargets are the columns that an INSERT names, PseudoRowtime for rowtime; without a list all visible ones.
func insertTargets(rel *Relation, stmt *sql.Insert) ([]int, error) {
	var out []int
	if len(stmt.Columns) == 0 {
		for i, c := range rel.Columns {
			if !c.Hidden {
				out = append(out, i)
			}
		}
		return out, nil
	}
	for _, name := range stmt.Columns {
		i := rel.column(name)
		if i < 0 && name == "rowtime" && (rel.Kind == Stream || rel.Kind == Table) {
			i = PseudoRowtime
		} else if i < 0 || rel.Columns[i].Hidden {
			return nil, relationColumnError(rel, name, stmt.Offset())
		}
		if contains(out, i) {
			return nil, sqlerr.New(sqlerr.DuplicateColumn, "column %q specified more than once", name).At(stmt.Offset())
		}
		out = append(out, i)
	}
	return out, nil
}

func relationColumnError(rel *Relation, name string, pos int) error {
	err := sqlerr.New(sqlerr.UndefinedColumn, "column %q of relation %q does not exist", name, rel.Name).At(pos)
	best, dist := "", max(1, len(name)/2)+1
	for _, c := range rel.Columns {
		if d := editDistance(name, c.Name); !c.Hidden && d < dist {
			best, dist = c.Name, d
		}
	}
	if best != "" {
		err = err.WithHint("Perhaps you meant the column %q.", best)
	}
	return err
}

func countMismatch(have, want, pos int) error {
	what := "INSERT has more expressions than target columns"
	if have < want {
		what = "INSERT has more target columns than expressions"
	}
	return sqlerr.New(sqlerr.SyntaxError, "%s", what).At(pos)
}

// inserter builds the source of an INSERT.
type inserter struct {
	b       *binder
	rel     *Relation
	stmt    *sql.Insert
	targets []int
}

// scope names the new row's columns, for RETURNING.
func (ins *inserter) scope() *scope {
	name := ins.rel.Name
	if ins.stmt.Alias != "" {
		name = ins.stmt.Alias
	}
	return rowScope(ins.rel, name, 0)
}

// rowScope names the columns of a row of rel that starts at ordinal at.
func rowScope(rel *Relation, name string, at int) *scope {
	tab := &scopeTab{schema: rel.Schema, name: name, rel: rel}
	sc := &scope{tabs: []*scopeTab{tab}, width: at + len(rel.Columns)}
	for i, c := range rel.Columns {
		base := Col{Name: c.Name, Type: c.Type, TableOID: rel.OID, AttNum: int16(i + 1)}
		ref := &ColumnRef{Ord: at + i, Typ: c.Type, Name: c.Name}
		sc.cols = append(sc.cols, scopeCol{tab: tab, name: c.Name, expr: ref, star: !c.Hidden, own: !c.Hidden, bare: true, base: base})
	}
	return sc
}

func (ins *inserter) source() (Node, error) {
	q := ins.stmt.Query
	switch {
	case q == nil:
		ins.targets = nil
		row, err := ins.fullRow(nil)
		return newValues([][]Expr{row}, ins.cols()), err
	case q.Emit != nil:
		return nil, sqlerr.New(sqlerr.InternalError, "a continuous INSERT is a persistent query")
	}
	if v, ok := q.Body.(*sql.Values); ok && q.With == nil && len(q.OrderBy) == 0 && q.Limit == nil && q.Skip == nil {
		return ins.values(v)
	}
	n, err := ins.b.bindQuery(q)
	if err != nil {
		return nil, err
	}
	n = visibleOnly(n)
	if err := ins.fit(len(n.Props().Cols)); err != nil {
		return nil, err
	}
	want := make([]types.Type, len(ins.targets))
	for i, t := range ins.targets {
		want[i] = n.Props().Cols[i].Type
		if want[i].Kind == types.Unknown {
			want[i] = ins.column(t).Type
		}
	}
	if n, err = ins.b.coerceOutput(n, want, "INSERT", posOf(q)); err != nil {
		return nil, err
	}
	given := identity(n)
	for i, t := range ins.targets {
		if given[i], err = ins.b.assign(given[i], ins.column(t), posOf(q)); err != nil {
			return nil, err
		}
	}
	row, err := ins.fullRow(given)
	return newProject(n, row, ins.cols()), err
}

// fit cuts the implied column list to the number of expressions, or says that the numbers differ.
func (ins *inserter) fit(n int) error {
	if n < len(ins.targets) && len(ins.stmt.Columns) == 0 {
		ins.targets = ins.targets[:n]
	}
	if n != len(ins.targets) {
		return countMismatch(n, len(ins.targets), ins.stmt.Offset())
	}
	return nil
}

// column describes a target.
func (ins *inserter) column(t int) *Column {
	if t == PseudoRowtime {
		return &Column{Name: "rowtime", Type: types.Of(types.TimestampTZ)}
	}
	return &ins.rel.Columns[t]
}

func (ins *inserter) values(v *sql.Values) (Node, error) {
	out := newValues(nil, ins.cols())
	ins.b.clause = "VALUES"
	for _, r := range v.Rows {
		if err := ins.fit(len(r)); err != nil {
			return nil, err
		}
		given := make([]Expr, len(r))
		for i, e := range r {
			c := ins.column(ins.targets[i])
			if _, ok := e.(*sql.Default); ok {
				given[i] = defaultOf(c)
				continue
			}
			x, err := ins.b.bindExpr(e)
			if err != nil {
				return nil, err
			}
			if given[i], err = ins.b.assign(x, c, posOf(e)); err != nil {
				return nil, err
			}
		}
		row, err := ins.fullRow(given)
		if err != nil {
			return nil, err
		}
		out.Rows = append(out.Rows, row)
	}
	out.P.Cols = ins.cols()
	return out, nil
}

func defaultOf(c *Column) Expr {
	if c.Default != nil {
		return c.Default
	}
	return nullConst(c.Type)
}

// fullRow puts the given values in their columns and the defaults in the others; rowtime, if given, comes last.
func (ins *inserter) fullRow(given []Expr) ([]Expr, error) {
	row := make([]Expr, len(ins.rel.Columns))
	for i := range row {
		row[i] = defaultOf(&ins.rel.Columns[i])
	}
	for i, t := range ins.targets {
		if t == PseudoRowtime {
			row = append(row, given[i])
			continue
		}
		if ins.rel.Columns[t].HeaderKey != "" || ins.rel.Columns[t].Headers {
			return nil, sqlerr.New(sqlerr.InvalidColumnReference, "cannot insert into column %q: it shows the record's headers", ins.rel.Columns[t].Name).At(ins.stmt.Offset())
		}
		row[t] = given[i]
	}
	return row, nil
}

func (ins *inserter) cols() []Col {
	var out []Col
	for _, c := range ins.rel.Columns {
		out = append(out, Col{Name: c.Name, Type: c.Type})
	}
	for _, t := range ins.targets {
		if t == PseudoRowtime {
			out = append(out, Col{Name: "rowtime", Type: types.Of(types.TimestampTZ)})
		}
	}
	return out
}

func (b *binder) bindOnConflict(rel *Relation, stmt *sql.Insert) (*OnConflict, error) {
	c := stmt.OnConflict
	if c == nil {
		return nil, nil
	}
	if !rel.Ordinary {
		return nil, sqlerr.New(sqlerr.WrongObjectType, "ON CONFLICT needs an ordinary table, and %q is not one", rel.Name).
			WithHint("In a table over a topic the last write of a key wins anyway.").At(c.Offset())
	}
	noMatch := sqlerr.New(sqlerr.InvalidColumnReference, "there is no unique or exclusion constraint matching the ON CONFLICT specification").
		WithHint("The only constraint is the primary key.").At(c.Offset())
	if c.Constraint != "" && c.Constraint != rel.Name+"_pkey" {
		return nil, sqlerr.New(sqlerr.UndefinedObject, "constraint %q for table %q does not exist", c.Constraint, rel.Name).At(c.Offset())
	}
	out := &OnConflict{Target: rel.Key, DoNothing: len(c.Set) == 0}
	for _, name := range c.Columns {
		i := rel.column(name)
		if i < 0 {
			return nil, relationColumnError(rel, name, c.Offset())
		}
		if !contains(rel.Key, i) {
			return nil, noMatch
		}
	}
	if len(c.Columns) > 0 && len(c.Columns) != len(rel.Key) {
		return nil, noMatch
	}
	if len(c.Columns) == 0 && c.Constraint == "" && !out.DoNothing {
		return nil, sqlerr.New(sqlerr.SyntaxError, "ON CONFLICT DO UPDATE requires inference specification or constraint name").
			WithHint("For example, ON CONFLICT (column_name).").At(c.Offset())
	}
	if out.DoNothing {
		return out, nil
	}
	name := rel.Name
	if stmt.Alias != "" {
		name = stmt.Alias
	}
	sc, err := joinScopes(rowScope(rel, name, 0), rowScope(rel, "excluded", 0))
	if err != nil {
		return nil, err
	}
	for i := range sc.cols { // a bare name means the existing row
		if sc.cols[i].tab.name == "excluded" {
			sc.cols[i].bare = false
		}
	}
	inner := *b
	inner.scope, inner.clause = sc, "ON CONFLICT"
	if out.Set, err = inner.bindAssignments(rel, c.Set); err != nil {
		return nil, err
	}
	if c.Where != nil {
		out.Where, err = inner.bindCondition(c.Where, "WHERE")
	}
	return out, err
}

// bindAssignments binds SET: one expression per column of rel; a column not named keeps its value, column i of the row.
func (b *binder) bindAssignments(rel *Relation, set []*sql.Assignment) ([]Expr, error) {
	out := make([]Expr, len(rel.Columns))
	for _, a := range set {
		values, err := assignmentValues(a)
		if err != nil {
			return nil, err
		}
		for i, name := range a.Columns {
			ord := rel.column(name)
			if ord < 0 || rel.Columns[ord].Hidden {
				return nil, relationColumnError(rel, name, a.Offset())
			}
			if out[ord] != nil {
				return nil, sqlerr.New(sqlerr.SyntaxError, "multiple assignments to same column %q", name).At(a.Offset())
			}
			c := &rel.Columns[ord]
			if _, ok := values[i].(*sql.Default); ok {
				out[ord] = defaultOf(c)
				continue
			}
			x, err := b.bindExpr(values[i])
			if err != nil {
				return nil, err
			}
			if out[ord], err = b.assign(x, c, posOf(values[i])); err != nil {
				return nil, err
			}
		}
	}
	for i, c := range rel.Columns {
		if out[i] == nil {
			out[i] = &ColumnRef{Ord: i, Typ: c.Type, Name: c.Name}
		}
	}
	return out, nil
}

func assignmentValues(a *sql.Assignment) ([]sql.Expr, error) {
	if !a.Tuple {
		return []sql.Expr{a.Value}, nil
	}
	if row, ok := a.Value.(*sql.Row); ok {
		if len(row.Items) != len(a.Columns) {
			return nil, sqlerr.New(sqlerr.SyntaxError, "number of columns does not match number of values").At(a.Offset())
		}
		return row.Items, nil
	}
	if len(a.Columns) == 1 {
		return []sql.Expr{a.Value}, nil
	}
	return nil, notYet("SET (a, b) = (SELECT ...)", "a subquery gives one value", "one subquery per column, or UPDATE ... FROM", a.Pos)
}

// bindReturning binds RETURNING over sc; to maps an ordinal of sc's row to one of the row that DML.Returning is over.
func (b *binder) bindReturning(out *DML, targets []*sql.Target, sc *scope, to func(int) int) error {
	if len(targets) == 0 {
		return nil
	}
	if !out.Rel.Ordinary && out.Kind == DMLInsert && out.Rel.Kind == Table {
		return sqlerr.New(sqlerr.WrongObjectType, "RETURNING needs an ordinary table or a stream, and %q is not one", out.Rel.Name).At(targets[0].Offset())
	}
	inner := *b
	inner.scope = sc
	s := &selectBlock{b: &inner, sel: &sql.Select{Targets: targets, From: []sql.FromItem{&sql.Table{}}}, aggs: &aggCollector{keys: map[string]int{}}, wins: &windowCollector{}}
	if err := s.bindTargets(); err != nil {
		return err
	}
	if len(s.aggs.aggs) > 0 || s.wins.used {
		return sqlerr.New(sqlerr.GroupingError, "aggregate functions are not allowed in RETURNING").At(targets[0].Offset())
	}
	for _, t := range s.targets {
		if hasSubquery(t.expr) || anyExpr(t.expr, isSetCall) {
			return notYet("a subquery or set-returning function in RETURNING", "it is computed by the owner of the row", "a SELECT after the statement", t.pos)
		}
		x := b.settle(t.expr)
		t.col.Type = x.Type()
		out.Returning = append(out.Returning, remapCols(x, to))
		out.ReturningCols = append(out.ReturningCols, t.col)
	}
	return nil
}
