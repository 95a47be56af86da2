package exec

import (
	"encoding/binary"
	"errors"
	"math"

	"github.com/millracedb/millrace/exec/vec"
)

// storedGroups says which groups may be in the store and not in memory, so that the store is not asked for those that cannot.
type storedGroups struct {
	known bool
	last  int64 // the last start of a window of which there may be any; without windows math.MaxInt64 for any, math.MinInt64 for none
}

// mayBeStored reports whether the store may have a group that is not in memory, in the window that starts at start.
func (o *aggregateOp) mayBeStored(start int64) (bool, error) {
	if !o.stored.known {
		if err := o.findStored(); err != nil {
			return false, err
		}
	}
	return start <= o.stored.last, nil
}

// findStored looks for the last group in the store, whose key begins with the last start of a window.
func (o *aggregateOp) findStored() error {
	o.stored = storedGroups{known: true, last: math.MinInt64}
	if o.cx.state.committed == nil {
		return nil
	}
	it, err := o.cx.state.committed.Iter(o.n.P.OpID, []byte{aggGroups}, []byte{aggGroups + 1})
	if err != nil {
		return err
	}
	if it.SeekLT([]byte{aggGroups + 1}) {
		o.stored.last = o.startOf(it.Key())
	}
	return errors.Join(it.Err(), it.Close())
}

// noteStored notes that all groups are about to be in the store alone.
func (o *aggregateOp) noteStored() {
	for slot := int32(1); int(slot) < len(o.groups) && o.stored.last < math.MaxInt64; slot++ {
		o.stored.last = max(o.stored.last, o.startOf(o.index.key(slot)))
	}
}

// startOf is the start of the window of the group with a stored key; of groups without, and of sessions, math.MaxInt64.
func (o *aggregateOp) startOf(stored []byte) int64 {
	if o.window == nil || o.sessions != nil || len(stored) < 1+8 {
		return math.MaxInt64
	}
	return timeOfKey(stored[1:])
}

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
	o.rbuf = vec.AppendEncodedRow(o.rbuf[:0], o.keyRows.Cols, int(slot))
	dst = append(binary.AppendUvarint(dst, uint64(len(o.rbuf))), o.rbuf...)
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
