package engine

import (
	"strings"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// uniques are the unique indexes of the table, beside its key.
func (c *change) uniques() []*planner.Index {
	var out []*planner.Index
	for i := range c.dml.Rel.Indexes {
		if ix := &c.dml.Rel.Indexes[i]; ix.Unique {
			out = append(out, ix)
		}
	}
	return out
}

// verify refuses the rows sel, which are written, if another row has their values in a unique index.
func (c *change) verify(rows *vec.Batch, sel []int32) error {
	if len(sel) == 0 {
		return nil
	}
	for _, ix := range c.uniques() {
		written := gather(c.dml.Rel, rows, sel)
		_, found, err := c.to.Conflicts(c.ctx, c.dml.Rel, ix, written, true)
		if err != nil {
			return err
		}
		for i, there := range found {
			if there {
				return c.duplicateOf(ix.Name, ix.Cols, written, i)
			}
		}
	}
	return nil
}

func gather(rel *planner.Relation, rows *vec.Batch, sel []int32) *vec.Batch {
	out := exec.NewRowBatch(rel, len(sel))
	out.AppendGather(rows, sel)
	return out
}

// verifyChanged is verify for new versions of rows: a value that stays conflicts with nothing.
func (c *change) verifyChanged(old *vec.Batch, sel []int32, next *vec.Batch) error {
	var changed []int32
	for k, i := range sel {
		for _, ix := range c.uniques() {
			if !sameValues(ix, old, int(i), next, k) {
				changed = append(changed, int32(k))
				break
			}
		}
	}
	return c.verify(next, changed)
}

func sameValues(ix *planner.Index, a *vec.Batch, i int, b *vec.Batch, k int) bool {
	for _, ord := range ix.Cols {
		x, y := a.Cols[ord].View(i), b.Cols[ord].View(k)
		if x.Null != y.Null || !x.Null && types.Compare(a.Cols[ord].Type, x, y) != 0 {
			return false
		}
	}
	return true
}

// insertEach is insert with ON CONFLICT into a table with unique indexes: row by row, for a row may conflict with those before it.
func (c *change) insertEach(rows *vec.Batch) error {
	for i := range int32(rows.Len()) {
		if err := c.insertOne(gather(c.dml.Rel, rows, []int32{i})); err != nil {
			return err
		}
	}
	return nil
}

func (c *change) insertOne(one *vec.Batch) error {
	oc := c.dml.OnConflict
	for _, ix := range c.uniques() {
		if !oc.Any && (oc.Index == nil || ix.OID != oc.Index.OID) {
			continue
		}
		held, found, err := c.to.Conflicts(c.ctx, c.dml.Rel, ix, one, false)
		if err != nil {
			return err
		}
		if found[0] {
			return c.upsertRow(one, held)
		}
	}
	existing, err := c.to.Insert(c.ctx, c.dml.Rel, one)
	if err != nil {
		return err
	}
	if len(existing) > 0 {
		if !oc.Any && oc.Index != nil {
			return c.duplicate(one, 0)
		}
		return c.upsertRow(one, one)
	}
	if err := c.verify(one, []int32{0}); err != nil {
		return err
	}
	if c.conflict != nil {
		c.conflict.touched[c.keyText(one, 0)] = struct{}{}
	}
	return c.emit(one, nil, []int32{0})
}

// upsertRow does what ON CONFLICT says with the row that has held's key.
func (c *change) upsertRow(one, held *vec.Batch) error {
	if c.conflict == nil {
		return nil
	}
	return c.upsert(one, []int32{0}, held)
}

// duplicateOf is 23505 as PostgreSQL words it.
func (c *change) duplicateOf(constraint string, cols []int, b *vec.Batch, i int) error {
	rel := c.dml.Rel
	var names, values []string
	for _, ord := range cols {
		names = append(names, rel.Columns[ord].Name)
		values = append(values, types.FormatText(rel.Columns[ord].Type, b.Cols[ord].View(i), c.s.text()))
	}
	e := sqlerr.New(sqlerr.UniqueViolation, "duplicate key value violates unique constraint %q", constraint).
		WithDetail("Key (%s)=(%s) already exists.", strings.Join(names, ", "), strings.Join(values, ", "))
	e.Schema, e.Table, e.Constraint = rel.Schema, rel.Name, constraint
	return e
}
