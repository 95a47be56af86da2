package engine

import (
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql/types"
)

// insert writes the rows of a batch.
func (c *change) insert(b *vec.Batch) error {
	rows := c.full(b)
	if err := c.checkRows(rows); err != nil {
		return err
	}
	if !c.dml.Rel.Ordinary {
		if err := c.tx.Append(c.dml.Rel, rows); err != nil {
			return err
		}
		return c.emit(rows, nil, vec.All(nil, rows.Len()))
	}
	if c.dml.OnConflict != nil && len(c.uniques()) > 0 {
		return c.insertEach(rows)
	}
	existing, err := c.to.Insert(c.ctx, c.dml.Rel, rows)
	if err != nil {
		return err
	}
	fresh := without(rows.Len(), existing)
	if len(existing) > 0 && c.dml.OnConflict == nil {
		return c.duplicate(rows, int(existing[0]))
	}
	if c.conflict == nil {
		if err := c.verify(rows, fresh); err != nil {
			return err
		}
		return c.emit(rows, nil, fresh)
	}
	for _, i := range fresh {
		c.conflict.touched[c.keyText(rows, int(i))] = struct{}{}
	}
	if err := c.emit(rows, nil, fresh); err != nil {
		return err
	}
	return c.upsert(rows, existing, rows)
}

// without returns the numbers from 0 to n-1 that are not in gone, which is sorted.
func without(n int, gone []int32) []int32 {
	out := make([]int32, 0, n-len(gone))
	for i := range int32(n) {
		if len(gone) > 0 && gone[0] == i {
			gone = gone[1:]
			continue
		}
		out = append(out, i)
	}
	return out
}

// keyText is a row's key as bytes that are equal for equal keys.
func (c *change) keyText(b *vec.Batch, i int) string {
	var key []byte
	for _, ord := range c.dml.Rel.Key {
		key = types.AppendKey(key, c.dml.Rel.Columns[ord].Type, b.Cols[ord].View(i))
	}
	return string(key)
}

// duplicate is the refusal of a row whose key exists.
func (c *change) duplicate(b *vec.Batch, i int) error {
	return c.duplicateOf(c.dml.Rel.Name+"_pkey", c.dml.Rel.Key, b, i)
}

// keys are the key columns of the rows sel, in key order.
func (c *change) keys(b *vec.Batch, sel []int32) []*vec.Vector {
	out := make([]*vec.Vector, len(c.dml.Rel.Key))
	for k, ord := range c.dml.Rel.Key {
		out[k] = vec.NewVector(c.dml.Rel.Columns[ord].Type, len(sel))
		out[k].AppendGather(b.Cols[ord], sel)
	}
	return out
}

// upsert is ON CONFLICT DO UPDATE for the rows existing, each against the row with the key that held has at its place.
func (c *change) upsert(rows *vec.Batch, existing []int32, held *vec.Batch) error {
	for _, i := range existing {
		key := c.keyText(held, int(i))
		if _, ok := c.conflict.touched[key]; ok {
			return sqlerr.New(sqlerr.CardinalityViolation, "ON CONFLICT DO UPDATE command cannot affect row a second time").
				WithHint("Ensure that no rows proposed for insertion within the same command have duplicate constrained values.")
		}
		c.conflict.touched[key] = struct{}{}
	}
	if len(existing) == 0 {
		return nil
	}
	old, _, err := c.to.Read(c.ctx, c.dml.Rel, c.keys(held, existing), len(existing))
	if err != nil {
		return err
	}
	// SET sees the existing row, then the row proposed for insertion.
	both := &vec.Batch{Cols: append([]*vec.Vector{}, old.Cols...)}
	for ord, col := range rows.Cols {
		v := vec.NewVector(c.dml.Rel.Columns[ord].Type, len(existing))
		v.AppendGather(col, existing)
		both.Cols = append(both.Cols, v)
	}
	both.SetLen(len(existing))
	sel, err := c.filter(c.conflict.where, both, vec.All(nil, both.Len()))
	if err != nil {
		return err
	}
	return c.replace(both, sel, c.conflict.set, nil)
}
