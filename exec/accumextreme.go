package exec

import (
	"cmp"
	"encoding/binary"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/sql/types"
)

// extremeAcc is min and max. Over updating input it counts all values, and looks for the next when the present one leaves.
type extremeAcc struct {
	max      bool
	typ      types.Type
	updating bool
	values   *multiset
	ordinal  int
	cur      *vec.Vector
	stale    []bool
	key, row []byte
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

func (a *extremeAcc) update(in *aggInput) error {
	arg := in.args[0]
	for _, i := range in.sel {
		if arg.IsNull(int(i)) {
			continue
		}
		slot := in.slots[i]
		if a.updating {
			sign := in.sign(i)
			after, err := a.count(slot, arg, int(i), sign)
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

// count changes the count of row i's value, in an order in which the best value is first, and returns it.
func (a *extremeAcc) count(slot int32, arg *vec.Vector, i int, sign int64) (after int64, err error) {
	if a.max {
		a.key = types.AppendKeyDesc(a.key[:0], arg.Type, arg.View(i))
	} else {
		a.key = types.AppendKey(a.key[:0], arg.Type, arg.View(i))
	}
	a.row = vec.AppendEncodedRow(a.row[:0], []*vec.Vector{arg}, i)
	_, after, err = a.values.add(a.ordinal, slot, a.key, a.row, sign)
	return after, err
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
	a.cur.SetNull(int(slot))
	return a.values.walk(a.ordinal, slot, func(_ []byte, _ int64, row []byte) (bool, error) {
		one := vec.NewVector(a.typ, 1)
		if err := vec.AppendDecodedRow([]*vec.Vector{one}, row); err != nil {
			return false, err
		}
		a.cur.SetRow(int(slot), one, 0)
		return false, nil
	})
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
	values  *multiset
	ordinal int
	types   []types.Type // of the arguments
	sel     []int32
	key     []byte
}

func (a *distinctAcc) update(in *aggInput) error {
	a.sel = a.sel[:0]
	for _, i := range in.sel {
		if anyNull(in.args, int(i)) {
			continue
		}
		a.key = appendKeyCols(a.key[:0], in.args, int(i))
		before, after, err := a.values.add(a.ordinal, in.slots[i], a.key, nil, in.sign(i))
		if err != nil {
			return err
		}
		if (before == 0) != (after == 0) {
			a.sel = append(a.sel, i)
		}
	}
	one := *in
	one.sel = a.sel
	return a.accumulator.update(&one)
}
