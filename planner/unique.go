package planner

import (
	"slices"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// unique notes a UNIQUE constraint of a definition.
func (d *definer) unique(c *sql.TableConstraint) error {
	u, err := BindUnique(d.rel, c)
	if err == nil {
		d.rel.Uniques = append(d.rel.Uniques, u)
	}
	return err
}

// BindUnique finds the columns of a UNIQUE constraint.
func BindUnique(rel *Relation, c *sql.TableConstraint) (Unique, error) {
	switch {
	case !rel.Ordinary:
		kind := "stream"
		if rel.Kind == Table {
			kind = "table over a topic"
		}
		return Unique{}, sqlerr.New(sqlerr.FeatureNotSupported, "UNIQUE on %q, a %s, is not supported", rel.Name, kind).
			WithDetail("Reason: others write to its topic.").WithHint("What works: an ordinary table, one without WITH (topic).").At(c.Offset())
	case c.Deferrable:
		return Unique{}, notYet("a deferrable UNIQUE", "values are looked at when they are written", "UNIQUE", c.Pos)
	}
	u := Unique{Name: c.Name}
	var err error
	u.Cols, err = IndexColumns(rel, c.Columns, c.Pos)
	return u, err
}

// IndexColumns finds the columns of an index, which must have an order.
func IndexColumns(rel *Relation, names []string, pos sql.Pos) ([]int, error) {
	var cols []int
	for _, name := range names {
		i := rel.column(name)
		switch {
		case i < 0 || rel.Columns[i].Hidden:
			return nil, sqlerr.New(sqlerr.UndefinedColumn, "column %q named in key does not exist", name).At(pos.Offset())
		case slices.Contains(cols, i):
			return nil, sqlerr.New(sqlerr.DuplicateColumn, "column %q appears twice in the constraint", name).At(pos.Offset())
		case rel.Columns[i].Type.Kind == types.JSON || rel.Columns[i].Headers:
			return nil, sqlerr.New(sqlerr.UndefinedObject, "data type %s has no default operator class for access method \"btree\"", rel.Columns[i].Type).At(pos.Offset())
		}
		cols = append(cols, i)
	}
	return cols, nil
}

// arbiter finds what ON CONFLICT (columns) or ON CONSTRAINT names: the primary key, with nil, or a unique index.
func arbiter(rel *Relation, c *sql.OnConflict) (*Index, error) {
	if c.Constraint != "" {
		for i := range rel.Indexes {
			if ix := &rel.Indexes[i]; ix.Constraint && ix.Name == c.Constraint {
				return ix, nil
			}
		}
		if c.Constraint == rel.Name+"_pkey" && rel.HasPrimaryKey() {
			return nil, nil
		}
		return nil, sqlerr.New(sqlerr.UndefinedObject, "constraint %q for table %q does not exist", c.Constraint, rel.Name).At(c.Offset())
	}
	var cols []int
	for _, name := range c.Columns {
		i := rel.column(name)
		if i < 0 {
			return nil, relationColumnError(rel, name, c.Offset())
		}
		if !contains(cols, i) {
			cols = append(cols, i)
		}
	}
	if sameSet(cols, rel.Key) {
		return nil, nil
	}
	for i := range rel.Indexes {
		if ix := &rel.Indexes[i]; ix.Unique && sameSet(cols, ix.Cols) {
			return ix, nil
		}
	}
	return nil, sqlerr.New(sqlerr.InvalidColumnReference, "there is no unique or exclusion constraint matching the ON CONFLICT specification").
		WithHint("Name the columns of the primary key, of a UNIQUE constraint or of a unique index.").At(c.Offset())
}

func sameSet(a, b []int) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(i int) bool { return !contains(b, i) })
}
