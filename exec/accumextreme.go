package exec

import (
	"bytes"
	"cmp"
	"encoding/binary"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/sql/types"
)

// valueSets counts the values of each slot for the aggregates that must find another value when one leaves (min, max) or
// act on the first and last of equal ones (DISTINCT). Rows are state: group is the aggregate's ordinal and the slot's key, the
// rest is the value's key encoding, the value is the count and the value itself.
type valueSets struct {
	table   *stateTable
	slotKey func(slot int32) []byte
	group   []byte
	rest    []byte
	val     []byte
}

func (v *valueSets) groupOf(ordinal int, slotKey []byte) []byte {
	v.group = binary.BigEndian.AppendUint32(v.group[:0], uint32(ordinal))
	v.group = append(v.group, slotKey...)
	return v.group
}

// add changes the count of row i's value by sign and returns the counts before and after. A count never falls below zero.
func (v *valueSets) add(ordinal int, slot int32, arg *vec.Vector, i int, sign int64) (before, after int64, err error) {
	group := v.groupOf(ordinal, v.slotKey(slot))
	v.rest = types.AppendKey(v.rest[:0], arg.Type, arg.View(i))
	old, ok, err := v.table.get(group, v.rest)
	if err != nil {
		return 0, 0, err
	}
	if ok {
		if before, _, err = takeVarint(old); err != nil {
			return 0, 0, err
		}
	}
	after = max(0, before+sign)
	if after == 0 {
		return before, after, v.table.del(group, v.rest)
	}
	v.val = binary.AppendVarint(v.val[:0], after)
	v.val = vec.AppendEncodedRow(v.val, []*vec.Vector{arg}, i)
	return before, after, v.table.put(group, v.rest, v.val)
}

// extreme makes row slot of cur the least or greatest value of the slot, NULL if it has none.
func (v *valueSets) extreme(ordinal int, slot int32, maximum bool, cur *vec.Vector) error {
	var best, val []byte
	err := v.table.each(v.groupOf(ordinal, v.slotKey(slot)), func(_ int32, rest, value []byte) error {
		if c := bytes.Compare(rest, best); best == nil || (maximum && c > 0) || (!maximum && c < 0) {
			best, val = rest, value
		}
		return nil
	})
	if err != nil {
		return err
	}
	cur.SetNull(int(slot))
	if best == nil {
		return nil
	}
	_, row, err := takeVarint(val)
	if err != nil {
		return err
	}
	one := vec.NewVector(cur.Type, 1)
	if err := vec.AppendDecodedRow([]*vec.Vector{one}, row); err != nil {
		return err
	}
	cur.SetRow(int(slot), one, 0)
	return nil
}

// forget deletes all values of a slot, of the first n aggregates.
func (v *valueSets) forget(n int, slotKey []byte) error {
	for ordinal := range n {
		var rests [][]byte
		group := v.groupOf(ordinal, slotKey)
		err := v.table.each(group, func(_ int32, rest, _ []byte) error {
			rests = append(rests, rest)
			return nil
		})
		if err != nil {
			return err
		}
		for _, rest := range rests {
			if err := v.table.del(group, rest); err != nil {
				return err
			}
		}
	}
	return nil
}

// extremeAcc is min and max. Over updating input it counts all values, and looks for the next when the present one leaves.
type extremeAcc struct {
	max      bool
	typ      types.Type
	updating bool
	values   *valueSets
	ordinal  int
	cur      *vec.Vector
	stale    []bool
}

func (a *extremeAcc) grow(n int) {
	if a.cur == nil {
		a.cur = vec.NewVector(a.typ, n)
	}
	for a.cur.Len() < n {
		a.cur.AppendNull()
	}
	a.stale = growTo(a.stale, n)
}

func (a *extremeAcc) update(slots, sel []int32, arg *vec.Vector, ops []vec.Op) error {
	for _, i := range sel {
		if arg.IsNull(int(i)) {
			continue
		}
		slot := slots[i]
		if a.updating {
			sign := rowSign(ops, i)
			_, after, err := a.values.add(a.ordinal, slot, arg, int(i), sign)
			if err != nil {
				return err
			}
			if sign < 0 {
				if after == 0 && !a.cur.IsNull(int(slot)) && compareRows(a.cur, int(slot), arg, int(i)) == 0 {
					a.stale[slot] = true
				}
				continue
			}
		}
		if a.cur.IsNull(int(slot)) || a.better(arg, int(i), int(slot)) {
			a.cur.SetRow(int(slot), arg, int(i))
		}
	}
	return nil
}

func (a *extremeAcc) better(arg *vec.Vector, i, slot int) bool {
	c := compareRows(arg, i, a.cur, slot)
	return a.max && c > 0 || !a.max && c < 0
}

// refresh looks the value up again if the one held has left. A value held since is at least as good as what is looked up.
func (a *extremeAcc) refresh(slot int32) error {
	if !a.stale[slot] {
		return nil
	}
	a.stale[slot] = false
	return a.values.extreme(a.ordinal, slot, a.max, a.cur)
}

func (a *extremeAcc) result(slot int32, out *vec.Vector) error {
	if err := a.refresh(slot); err != nil {
		return err
	}
	out.AppendRow(a.cur, int(slot))
	return nil
}

func (a *extremeAcc) encode(dst []byte, slot int32) []byte {
	row := vec.AppendEncodedRow(nil, []*vec.Vector{a.cur}, int(slot))
	return append(binary.AppendUvarint(dst, uint64(len(row))), row...)
}

func (a *extremeAcc) decode(slot int32, src []byte) (rest []byte, err error) {
	row, rest, err := takeBytes(src)
	if err != nil {
		return nil, err
	}
	one := vec.NewVector(a.typ, 1)
	if err := vec.AppendDecodedRow([]*vec.Vector{one}, row); err != nil {
		return nil, err
	}
	a.cur.SetRow(int(slot), one, 0)
	a.stale[slot] = false
	return rest, nil
}

func (a *extremeAcc) memSize() int64 {
	if a.cur == nil {
		return 0
	}
	return int64(a.cur.MemSize() + cap(a.stale))
}

// compareRows compares two values of one type that are not NULL.
func compareRows(x *vec.Vector, i int, y *vec.Vector, j int) int {
	if x.Storage() == types.StoreInt {
		return cmp.Compare(x.I64[i], y.I64[j])
	}
	return types.Compare(x.Type, x.View(i), y.View(j))
}

// distinctAcc passes on the first of equal values that comes and the last that leaves.
type distinctAcc struct {
	accumulator
	values  *valueSets
	ordinal int
	sel     []int32
}

func (a *distinctAcc) update(slots, sel []int32, arg *vec.Vector, ops []vec.Op) error {
	a.sel = a.sel[:0]
	for _, i := range sel {
		if arg.IsNull(int(i)) {
			continue
		}
		before, after, err := a.values.add(a.ordinal, slots[i], arg, int(i), rowSign(ops, i))
		if err != nil {
			return err
		}
		if (before == 0) != (after == 0) {
			a.sel = append(a.sel, i)
		}
	}
	return a.accumulator.update(slots, a.sel, arg, ops)
}
