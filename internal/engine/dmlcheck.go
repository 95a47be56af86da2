package engine

import (
	"strings"

	"github.com/millracedb/millrace/exec/expr"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// checkRows refuses rows that break a rule of the relation.
func (c *change) checkRows(b *vec.Batch) error {
	if err := c.checkNulls(b); err != nil {
		return err
	}
	for i, p := range c.checks {
		all := vec.All(nil, b.Len())
		c.errs.Reset(b.Len())
		v := p.Eval(c.env, b, all, &c.errs)
		if err := c.errs.First(); err != nil {
			return err
		}
		for _, row := range all {
			if v.IsNull(int(row)) || v.I64[row] != 0 {
				continue
			}
			rel := c.dml.Rel
			e := sqlerr.New(sqlerr.CheckViolation, "new row for relation %q violates check constraint %q", rel.Name, rel.Checks[i].Name).
				WithDetail("Failing row contains %s.", c.rowText(b, int(row)))
			e.Schema, e.Table, e.Constraint = rel.Schema, rel.Name, rel.Checks[i].Name
			return e
		}
	}
	return nil
}

func compileChecks(rel *planner.Relation) ([]*expr.Program, error) {
	exprs := make([]planner.Expr, len(rel.Checks))
	for i, k := range rel.Checks {
		exprs[i] = k.Expr
	}
	return expr.CompileAll(exprs)
}

// checkNulls refuses NULL in columns that do not take it. PostgreSQL's wording.
func (c *change) checkNulls(b *vec.Batch) error {
	rel := c.dml.Rel
	for ord, col := range rel.Columns {
		if !col.NotNull || col.Hidden || !b.Cols[ord].HasNulls() {
			continue
		}
		for i := range b.Len() {
			if b.Cols[ord].IsNull(i) {
				e := sqlerr.New(sqlerr.NotNullViolation, "null value in column %q of relation %q violates not-null constraint", col.Name, rel.Name).
					WithDetail("Failing row contains %s.", c.rowText(b, i))
				e.Schema, e.Table, e.Column = rel.Schema, rel.Name, col.Name
				return e
			}
		}
	}
	return nil
}

func (c *change) rowText(b *vec.Batch, i int) string {
	var parts []string
	for ord, col := range c.dml.Rel.Columns {
		if col.Hidden {
			continue
		}
		if b.Cols[ord].IsNull(i) {
			parts = append(parts, "null")
			continue
		}
		parts = append(parts, types.FormatText(col.Type, b.Cols[ord].View(i), c.s.text()))
	}
	return "(" + strings.Join(parts, ", ") + ")"
}
