package engine

import (
	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/exec/expr"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/sql/types"
)

// filter narrows sel to the rows where cond, if there is one, is true.
func (c *change) filter(cond *expr.Program, b *vec.Batch, sel []int32) ([]int32, error) {
	if cond == nil {
		return sel, nil
	}
	c.errs.Reset(b.Len())
	v := cond.Eval(c.env, b, sel, &c.errs)
	if err := c.errs.First(); err != nil {
		return nil, err
	}
	return vec.True(nil, v, sel), nil
}

// replace writes new versions of rows, whose old versions are the first columns of b; extra are the columns that RETURNING sees
// after the relation's.
func (c *change) replace(b *vec.Batch, sel []int32, exprs []*expr.Program, extra []*vec.Vector) error {
	if len(sel) == 0 {
		return nil
	}
	next := exec.NewRowBatch(c.dml.Rel, len(sel))
	c.errs.Reset(b.Len())
	for ord, p := range exprs {
		v := p.Eval(c.env, b, sel, &c.errs)
		if err := c.errs.First(); err != nil {
			return err
		}
		next.Cols[ord].AppendGather(v, sel)
	}
	next.SetLen(len(sel))
	now := c.s.e.clock.Now().UnixMilli()
	for range sel {
		next.Rowtime = append(next.Rowtime, now)
	}
	if err := c.checkRows(next); err != nil {
		return err
	}
	if err := c.write(b, sel, next); err != nil {
		return err
	}
	if err := c.verifyChanged(b, sel, next); err != nil {
		return err
	}
	gathered := make([]*vec.Vector, len(extra))
	for i, v := range extra {
		gathered[i] = vec.NewVector(v.Type, len(sel))
		gathered[i].AppendGather(v, sel)
	}
	return c.emit(next, gathered, vec.All(nil, next.Len()))
}

// write replaces old versions by new ones. A row whose key changes is deleted under the old key and inserted under the new.
func (c *change) write(old *vec.Batch, sel []int32, next *vec.Batch) error {
	var moved, stayed []int32
	for k, i := range sel {
		if c.keyText(old, int(i)) == c.keyText(next, k) {
			stayed = append(stayed, int32(k))
		} else {
			moved = append(moved, int32(k))
		}
	}
	if len(moved) > 0 {
		gone, now := exec.NewRowBatch(c.dml.Rel, len(moved)), c.s.e.clock.Now().UnixMilli()
		for _, k := range moved {
			appendFrom(gone, old, int(sel[k]), vec.Delete, now)
		}
		if err := c.to.Write(c.dml.Rel, gone); err != nil {
			return err
		}
		fresh := exec.NewRowBatch(c.dml.Rel, len(moved))
		fresh.AppendGather(next, moved)
		existing, err := c.to.Insert(c.ctx, c.dml.Rel, fresh)
		if err != nil {
			return err
		}
		if len(existing) > 0 {
			return c.duplicate(fresh, int(existing[0]))
		}
	}
	same := exec.NewRowBatch(c.dml.Rel, len(stayed))
	same.AppendGather(next, stayed)
	return c.to.Write(c.dml.Rel, same)
}

// appendFrom appends the relation's columns of row i of src, as a change of the time now.
func appendFrom(dst, src *vec.Batch, i int, op vec.Op, now int64) {
	for c, col := range dst.Cols {
		col.AppendRow(src.Cols[c], i)
	}
	dst.AppendOp(op)
	dst.Rowtime = append(dst.Rowtime, now)
	dst.SetLen(dst.Len() + 1)
}

// current locks the rows of a source batch, replaces them by their present versions, and returns those that are still there and still
// meet the condition (READ COMMITTED: PostgreSQL docs, 13.2.1).
func (c *change) current(b *vec.Batch) ([]int32, error) {
	all := vec.All(nil, b.Len())
	now, found, err := c.to.Read(c.ctx, c.dml.Rel, c.keys(b, all), b.Len())
	if err != nil {
		return nil, err
	}
	if c.s.tx.freezes() && c.changed(b, now, found) {
		return nil, errConcurrentUpdate
	}
	copy(b.Cols[:c.n], now.Cols)
	var sel []int32
	for _, i := range all {
		if found[i] {
			sel = append(sel, i)
		}
	}
	return c.filter(c.where, b, sel)
}

// changed tells whether a row is no longer what the transaction's cut has.
func (c *change) changed(old, now *vec.Batch, found []bool) bool {
	for i, there := range found {
		if !there {
			return true
		}
		for ord, col := range c.dml.Rel.Columns {
			a, b := old.Cols[ord].View(i), now.Cols[ord].View(i)
			if a.Null != b.Null || !a.Null && types.Compare(col.Type, a, b) != 0 {
				return true
			}
		}
	}
	return false
}

func (c *change) update(b *vec.Batch) error {
	b, sel, err := c.targets(b)
	if err != nil {
		return err
	}
	return c.replace(b, sel, c.newRow, b.Cols[c.n:])
}

func (c *change) delete(b *vec.Batch) error {
	b, sel, err := c.targets(b)
	if err != nil || len(sel) == 0 {
		return err
	}
	gone, now := exec.NewRowBatch(c.dml.Rel, len(sel)), c.s.e.clock.Now().UnixMilli()
	for _, i := range sel {
		appendFrom(gone, b, int(i), vec.Delete, now)
	}
	if err := c.to.Write(c.dml.Rel, gone); err != nil {
		return err
	}
	rows := &vec.Batch{Cols: b.Cols[:c.n:c.n]}
	rows.SetLen(b.Len())
	return c.emit(rows, b.Cols[c.n:], sel)
}

// targets are the rows of a batch, and which of them are to be changed: each target once, locked, and as it is now.
func (c *change) targets(b *vec.Batch) (*vec.Batch, []int32, error) {
	b, err := c.firstMatches(b)
	if err != nil {
		return nil, nil, err
	}
	sel, err := c.current(b)
	if err != nil {
		return nil, nil, err
	}
	return b, c.at.firstTo(c, b, sel), nil
}

// firstMatches keeps the first source row of each target row: with FROM or USING several may match one.
func (c *change) firstMatches(b *vec.Batch) (*vec.Batch, error) {
	if c.dml.Extra == 0 {
		return b, nil
	}
	if c.conflict == nil {
		c.conflict = &conflict{touched: map[string]struct{}{}}
	}
	var sel []int32
	for i := range b.Len() {
		key := c.keyText(b, i)
		if _, ok := c.conflict.touched[key]; !ok {
			c.conflict.touched[key] = struct{}{}
			sel = append(sel, int32(i))
		}
	}
	out := vec.NewBatch(b.Schema(), len(sel))
	out.AppendGather(b, sel)
	return out, nil
}
