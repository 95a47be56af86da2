package planner

import (
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

func (b *binder) bindOnConflict(rel *Relation, stmt *sql.Insert) (*OnConflict, error) {
	c := stmt.OnConflict
	if c == nil {
		return nil, nil
	}
	if !rel.Ordinary {
		return nil, sqlerr.New(sqlerr.WrongObjectType, "ON CONFLICT needs an ordinary table, and %q is not one", rel.Name).
			WithHint("In a table over a topic the last write of a key wins anyway.").At(c.Offset())
	}
	out := &OnConflict{Target: rel.Key, DoNothing: len(c.Set) == 0, Any: len(c.Columns) == 0 && c.Constraint == ""}
	if out.Any && !out.DoNothing {
		return nil, sqlerr.New(sqlerr.SyntaxError, "ON CONFLICT DO UPDATE requires inference specification or constraint name").
			WithHint("For example, ON CONFLICT (column_name).").At(c.Offset())
	}
	if !out.Any {
		var err error
		if out.Index, err = arbiter(rel, c); err != nil {
			return nil, err
		}
		if out.Index != nil {
			out.Target = out.Index.Cols
		}
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
	inner := *b
	inner.scope, inner.clause = sc, "ON CONFLICT"
	if out.Set, err = inner.bindAssignments(rel, c.Set); err != nil {
		return nil, err
	}
	if c.Where != nil {
		if out.Where, err = inner.bindCondition(c.Where, "WHERE"); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// bindAssignments binds SET: one expression per column of rel; a column not named keeps its value, column i of the row.
func (b *binder) bindAssignments(rel *Relation, set []*sql.Assignment) ([]Expr, error) {
	out := make([]Expr, len(rel.Columns))
	for _, a := range set {
		values, err := assignmentValues(a)
		if err != nil {
			return nil, err
		}
		bind, err := b.bindAssigned(a, values)
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
			if _, ok := values[min(i, len(values)-1)].(*sql.Default); ok {
				out[ord] = defaultOf(c)
				continue
			}
			if c.Serial == IdentityAlways {
				return nil, sqlerr.New(sqlerr.GeneratedAlways, "column %q can only be updated to DEFAULT", name).
					WithDetail("Column %q is an identity column defined as GENERATED ALWAYS.", name).At(a.Offset())
			}
			x, err := bind(i)
			if err != nil {
				return nil, err
			}
			if out[ord], err = b.assign(x, c, posOf(values[min(i, len(values)-1)])); err != nil {
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
	return []sql.Expr{a.Value}, nil
}

// bindValues binds the values of one assignment. Those of SET (a, b) = (SELECT ...) are the columns of a subquery's one row.
func (b *binder) bindAssigned(a *sql.Assignment, values []sql.Expr) (func(i int) (Expr, error), error) {
	if len(a.Columns) == len(values) {
		return func(i int) (Expr, error) { return b.bindExpr(values[i]) }, nil
	}
	sub, ok := a.Value.(*sql.Subquery)
	if !ok || sub.Kind != sql.ScalarSubquery {
		return nil, sqlerr.New(sqlerr.FeatureNotSupported, "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression").At(a.Value.Offset())
	}
	plan, s, err := b.subplan(sub.Query)
	if err != nil {
		return nil, err
	}
	if plan, err = b.settleUnknown(visibleOnly(plan)); err != nil {
		return nil, err
	}
	cols := plan.Props().Cols
	if len(cols) != len(a.Columns) {
		return nil, sqlerr.New(sqlerr.SyntaxError, "number of columns does not match number of values").At(a.Offset())
	}
	row := &RowExpr{Fields: identity(plan), Typ: types.Of(types.Record)}
	for i, c := range cols {
		row.Typ.Fields = append(row.Typ.Fields, types.Field{Name: fieldName(i), Type: c.Type})
	}
	s.Plan, s.Kind, s.Typ = newProject(plan, []Expr{row}, []Col{{Name: "row", Type: row.Typ}}), SubqueryScalar, row.Typ
	return func(i int) (Expr, error) { return &FieldRef{Arg: s, Field: i, Typ: cols[i].Type}, nil }, nil
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
		if anyExpr(t.expr, isSetCall) {
			return sqlerr.New(sqlerr.FeatureNotSupported, "set-returning functions are not allowed in RETURNING").At(t.pos.Offset())
		}
		x := b.settle(t.expr)
		t.col.Type = x.Type()
		out.Returning = append(out.Returning, remapCols(x, to))
		out.ReturningCols = append(out.ReturningCols, t.col)
	}
	return nil
}
