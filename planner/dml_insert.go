package planner

import (
	"context"
	"strings"

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
	case rel.Kind == Sequence:
		return sqlerr.New(sqlerr.WrongObjectType, "cannot %s sequence %q", verb, rel.Name).WithHint("setval() changes it.").At(pos)
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
	st.with = stmt.With
	out, src, err := st.binder().bindInsert(stmt)
	if err != nil {
		return nil, err
	}
	return st.finishDML(out, src)
}

// bindInsert binds an INSERT: what it does, and the plan of its source.
func (b *binder) bindInsert(stmt *sql.Insert) (*DML, Node, error) {
	rel, err := b.st.relation(stmt.Table)
	if err != nil {
		return nil, nil, err
	}
	if err := checkWritable(rel, "insert into", stmt.Table.Offset()); err != nil {
		return nil, nil, err
	}
	if stmt.With != nil {
		if err := b.addCTEs(stmt.With); err != nil {
			return nil, nil, err
		}
	}
	targets, err := insertTargets(rel, stmt)
	if err != nil {
		return nil, nil, err
	}
	ins := &inserter{b: b, rel: rel, stmt: stmt, targets: targets}
	if err := ins.refuseGenerated(); err != nil {
		return nil, nil, err
	}
	src, err := ins.source()
	if err != nil {
		return nil, nil, err
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
		return nil, nil, err
	}
	return out, src, b.bindReturning(out, stmt.Returning, ins.scope(), func(ord int) int { return ord })
}

// finishDML settles the parameters and applies the rules to the source.
func (st *statement) finishDML(out *DML, src Node) (*DML, error) {
	q, err := st.p.finishBounded(st, src)
	if err != nil {
		return nil, err
	}
	st.p.settleDML(out, q)
	return out, nil
}

// settleDML gives a change its source and applies the rules to what is computed of its rows.
func (p *Planner) settleDML(out *DML, source *Query) {
	out.Source, out.Params = source, source.Params
	finish := func(es []Expr) {
		for i := range es {
			out.Subqueries = out.Subqueries || hasSubquery(es[i])
			es[i] = p.finishExpr(es[i])
		}
	}
	finish(out.New)
	finish(out.Returning)
	if out.Where != nil {
		out.Where = p.finishExpr(out.Where)
	}
	if c := out.OnConflict; c != nil {
		finish(c.Set)
		if c.Where != nil {
			out.Subqueries = out.Subqueries || hasSubquery(c.Where)
			c.Where = p.finishExpr(c.Where)
		}
	}
}

// insertTargets are the columns that an INSERT names, PseudoRowtime for rowtime; without a list all visible ones but headers.
func insertTargets(rel *Relation, stmt *sql.Insert) ([]int, error) {
	var out []int
	if len(stmt.Columns) == 0 {
		for i, c := range rel.Columns {
			if !c.Hidden && !c.Headers {
				out = append(out, i)
			}
		}
		return out, nil
	}
	for _, name := range stmt.Columns {
		i := rel.column(name)
		if i < 0 && strings.EqualFold(name, "rowtime") && (rel.Kind == Stream || rel.Kind == Table) {
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
		if given[i], err = ins.assign(given[i], t, posOf(q)); err != nil {
			return nil, err
		}
	}
	row, err := ins.fullRow(given)
	return newProject(n, row, ins.cols()), err
}

// refuseGenerated refuses values for GENERATED ALWAYS columns, unless they are all DEFAULT or OVERRIDING says what to do.
func (ins *inserter) refuseGenerated() error {
	if ins.stmt.Overriding != "" || ins.stmt.Query == nil {
		return nil
	}
	v, isValues := ins.stmt.Query.Body.(*sql.Values)
	for i, t := range ins.targets {
		if t < 0 || ins.rel.Columns[t].Serial != IdentityAlways {
			continue
		}
		given := !isValues
		for _, r := range valuesRows(v) {
			if i < len(r) {
				_, isDefault := r[i].(*sql.Default)
				given = given || !isDefault
			}
		}
		if given {
			return sqlerr.New(sqlerr.GeneratedAlways, "cannot insert a non-DEFAULT value into column %q", ins.rel.Columns[t].Name).
				WithDetail("Column %q is an identity column defined as GENERATED ALWAYS.", ins.rel.Columns[t].Name).
				WithHint("Use OVERRIDING SYSTEM VALUE to override.").At(ins.stmt.Offset())
		}
	}
	return nil
}

func valuesRows(v *sql.Values) [][]sql.Expr {
	if v == nil {
		return nil
	}
	return v.Rows
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

// assign converts a value to the type of its target.
func (ins *inserter) assign(x Expr, t int, pos sql.Pos) (Expr, error) {
	if t == PseudoRowtime {
		var err error
		if x, err = ins.b.rowtimeGiven(x, pos); err != nil {
			return nil, err
		}
	}
	return ins.b.assign(x, ins.column(t), pos)
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
			if given[i], err = ins.assign(x, ins.targets[i], posOf(e)); err != nil {
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
	row := make([]Expr, 0, len(ins.rel.Columns)+1)
	for i := range ins.rel.Columns {
		row = append(row, defaultOf(&ins.rel.Columns[i]))
	}
	for i, t := range ins.targets {
		if t == PseudoRowtime {
			row = append(row, given[i])
			continue
		}
		if ins.rel.Columns[t].Headers {
			return nil, sqlerr.New(sqlerr.InvalidColumnReference, "cannot insert into column %q: it shows the record's headers", ins.rel.Columns[t].Name).At(ins.stmt.Offset())
		}
		if c := &ins.rel.Columns[t]; ins.stmt.Overriding == "USER" && c.Serial.identity() || c.Serial == IdentityAlways && ins.stmt.Overriding == "" {
			continue // the sequence gives it
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
