package exec

import (
	"encoding/binary"

	"github.com/millracedb/millrace/exec/vec"
)

// load makes a slot for a key, with its committed value if there is one.
func (o *aggregateOp) load(stored []byte) (int32, error) {
	val, ok, err := o.cx.state.get(nil, o.n.P.OpID, stored)
	if err != nil {
		return 0, err
	}
	slot := o.newSlot(stored)
	if ok {
		o.groups[slot].known = true
		err = o.decode(slot, val)
	}
	return slot, err
}

// touch marks a group as changed and keeps its former value, for the old row.
func (o *aggregateOp) touch(slot int32) {
	g := &o.groups[slot]
	if g.dirty {
		return
	}
	g.dirty = true
	o.dirty = append(o.dirty, slot)
	if g.known {
		mark := len(o.base)
		o.base = o.encode(o.base, slot)
		g.base, g.baseLen = uint32(mark), uint32(len(o.base)-mark)
	}
}

// isGlobal: an aggregate without GROUP BY has one row, also when there is nothing to aggregate.
func (o *aggregateOp) isGlobal() bool { return len(o.n.Keys) == 0 && o.window == nil }

func (o *aggregateOp) encode(dst []byte, slot int32) []byte {
	g := &o.groups[slot]
	dst = binary.AppendVarint(dst, g.rows)
	dst = binary.AppendVarint(dst, g.rowtime)
	dst = binary.AppendVarint(dst, g.start)
	if o.sessions != nil {
		dst = binary.AppendVarint(dst, g.end)
	}
	row := vec.AppendEncodedRow(nil, o.keyRows.Cols, int(slot))
	dst = append(binary.AppendUvarint(dst, uint64(len(row))), row...)
	for i := range o.calls {
		dst = o.calls[i].acc.encode(dst, slot)
	}
	return dst
}

func (o *aggregateOp) decode(slot int32, src []byte) (err error) {
	g := &o.groups[slot]
	for _, p := range []*int64{&g.rows, &g.rowtime, &g.start} {
		if *p, src, err = takeVarint(src); err != nil {
			return err
		}
	}
	switch {
	case o.sessions != nil:
		if g.end, src, err = takeVarint(src); err != nil {
			return err
		}
	case o.window != nil:
		g.end = g.start + o.window.SizeMs
	}
	row, src, err := takeBytes(src)
	if err != nil {
		return err
	}
	one := vec.NewBatch(o.keyRows.Schema(), 1)
	if err := vec.AppendDecodedRow(one.Cols, row); err != nil {
		return err
	}
	for c, col := range o.keyRows.Cols {
		col.SetRow(int(slot), one.Cols[c], 0)
	}
	for i := range o.calls {
		if src, err = o.calls[i].acc.decode(slot, src); err != nil {
			return err
		}
	}
	return nil
}
