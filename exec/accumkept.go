package exec

import (
	"encoding/binary"

	"github.com/millracedb/millrace/exec/expr"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// keptAcc is an aggregate that cannot undo a row from a running value: its rows are state, one state row each (equal ones together), in the order
// in which the aggregate takes them, and a commit that shows a changed group computes its value from them. What is held by slot is that value.
//
// The key of a row is ORDER BY, or what the aggregate itself sorts by; then, where the order of rows matters, the row's place; then, where equal
// keys may have different rows, the row.
type keptAcc struct {
	agg     *planner.Agg
	cx      *opContext
	values  *multiset
	ordinal int
	keep    keptRows
	direct  []types.Datum // of an ordered-set aggregate
	types   []types.Type  // of the columns that are kept
	change  []int         // the change key of updating input

	slots []keptSlot
	bytes int64 // of values
	key   []byte
	row   []byte
	val   []byte
}

// keptRows says which rows are kept, and in which order.
type keptRows struct {
	set      bool // an ordered-set aggregate: the rows are those of WITHIN GROUP
	strict   bool // rows with a NULL do not count
	place    bool // the place of rows matters: each is kept by itself
	last     bool // the last row comes first
	once     bool // rows with the same key count once
	greatest bool // sorted by the value, the greatest first
	byValue  bool // by value, each with its place: of input that only grows the first place alone
	updating bool
	arrival  bool  // a row's place is the order in which it came
	limit    int64 // how many rows matter, 0 for all; of input that only grows no others are kept
}

type keptSlot struct {
	n     int64 // rows
	came  int64 // rows that ever came, where their order is their place
	value types.Datum
	stale bool
	err   error
}

// newKept returns what makes the accumulators of an aggregate that keeps its rows.
func newKept(o *aggregateOp, a *planner.Agg, ordinal int) (func() accumulator, error) {
	k := keptAcc{agg: a, cx: o.cx, values: &o.values, ordinal: ordinal, change: o.n.In.Props().ChangeKey}
	if err := k.plan(o.updating); err != nil {
		return nil, err
	}
	o.keeping = append(o.keeping, ordinal)
	return func() accumulator {
		acc := k
		return &acc
	}, nil
}

func (a *keptAcc) plan(updating bool) (err error) {
	f := a.agg.Func
	a.keep = keptRows{strict: !f.NotStrict, updating: updating, once: a.agg.Distinct, place: f.Ordered && !a.agg.Distinct}
	a.keep.arrival = a.agg.Arrival && !updating
	if f.Kind == planner.OrderedSetFunc {
		return a.planSet()
	}
	for _, x := range a.agg.Args {
		a.types = append(a.types, x.Type())
	}
	if _, err = expr.NewAccumulator(a.cx.env, f, a.types, a.agg.Typ); err != nil {
		return err
	}
	switch f.Name {
	case "latest_by_offset", "earliest_by_offset":
		return a.planByOffset()
	case "topk", "topkdistinct":
		a.keep.greatest, a.keep.once = true, a.keep.once || f.Name == "topkdistinct"
		a.keep.limit, err = a.constant(1)
	case "attr":
		a.keep.once, a.keep.limit = true, 2 // two values are enough to tell that they differ
	case "collect_set":
		a.keep.byValue = a.keep.place && len(a.agg.OrderBy) == 0
	}
	return err
}

func (a *keptAcc) planSet() error {
	a.keep.set, a.keep.strict = true, !expr.KeepsNulls(a.agg.Func)
	for _, k := range a.agg.OrderBy {
		a.types = append(a.types, k.Expr.Type())
	}
	for _, x := range a.agg.Args {
		d, err := expr.Eval(x, a.cx.env)
		if err != nil {
			return err
		}
		a.direct = append(a.direct, d)
	}
	_, err := expr.NewOrderedSet(a.agg, a.direct, 0)
	return err
}

// planByOffset reads how many values are wanted, and whether NULLs are left out. In an order of one's own the last are at the end, so all rows
// are kept.
func (a *keptAcc) planByOffset() error {
	a.keep.strict, a.keep.limit = true, 1
	for i, t := range a.types[1:] {
		x, err := a.constant(i + 1)
		if err != nil {
			return err
		}
		if t.Kind == types.Bool {
			a.keep.strict = x != 0
		} else {
			a.keep.limit = x
		}
	}
	if latest := a.agg.Func.Name == "latest_by_offset"; latest && len(a.agg.OrderBy) == 0 {
		a.keep.last = true
	} else if latest {
		a.keep.limit = 0
	}
	return nil
}

// constant evaluates argument i, which is the same for all rows. NULL counts as 1: true, or one value.
func (a *keptAcc) constant(i int) (int64, error) {
	d, err := expr.Eval(a.agg.Args[i], a.cx.env)
	if err != nil || d.Null {
		return 1, err
	}
	if d.I < 1 && a.types[i].Kind != types.Bool {
		return 0, sqlerr.New(sqlerr.InvalidParameterValue, "the number of values of %s must be positive", a.agg.Func.Name)
	}
	return d.I, nil
}

func (a *keptAcc) grow(n int) {
	for len(a.slots) < n {
		a.slots = append(a.slots, keptSlot{value: types.NullDatum, stale: true}) // what it is without rows, the aggregate says
	}
}

func (a *keptAcc) update(in *aggInput) error {
	cols := in.args
	if a.keep.set {
		cols = in.order
	}
	for _, i := range in.sel {
		if a.keep.strict && anyNull(cols, int(i)) {
			continue
		}
		slot := in.slots[i]
		s := &a.slots[slot]
		s.stale = true
		payload := a.encodeRow(in, cols, int(i))
		if a.keep.byValue && !a.keep.updating {
			if err := a.values.keepLeast(a.ordinal, slot, a.key, payload); err != nil {
				return err
			}
			continue
		}
		before, after, err := a.values.add(a.ordinal, slot, a.key, payload, in.sign(i))
		if err != nil {
			return err
		}
		s.n += after - before
	}
	return nil
}

// encodeRow makes the key of row i and returns what is kept with it: the length of the key before the row, or the place and the row, or the
// row.
func (a *keptAcc) encodeRow(in *aggInput, cols []*vec.Vector, i int) []byte {
	a.key = a.key[:0]
	for k, by := range a.agg.OrderBy {
		a.key = expr.AppendSortKey(a.key, by, in.order[k].View(i))
	}
	a.row = vec.AppendEncodedRow(a.row[:0], cols, i)
	a.val = a.val[:0]
	switch {
	case a.keep.byValue:
		a.key = appendKeyCols(a.key, cols, i)
		mark := len(a.key)
		a.key = a.appendPlace(a.key, in, i)
		a.val = binary.AppendUvarint(a.val, uint64(len(a.key)-mark))
		a.val = append(append(a.val, a.key[mark:]...), a.row...)
		if !a.keep.updating {
			a.key = a.key[:mark]
		}
		return a.val
	case a.keep.place:
		mark := len(a.key)
		a.key = a.appendPlace(a.key, in, i)
		if a.keep.last {
			for k := mark; k < len(a.key); k++ {
				a.key[k] = ^a.key[k]
			}
		}
		a.val = binary.AppendUvarint(a.val, uint64(len(a.key)))
		a.key = append(a.key, a.row...)
		return a.val
	case a.keep.greatest:
		a.key = types.AppendKeyDesc(a.key, a.types[0], cols[0].View(i))
	case !a.keep.set:
		a.key = appendKeyCols(a.key, cols, i)
	}
	return a.row
}

// appendPlace appends what orders rows for which nothing else does: rowtime, and then the place in the source, or for rows that update their
// change key, for those have no place of their own.
func (a *keptAcc) appendPlace(dst []byte, in *aggInput, i int) []byte {
	b := in.batch
	switch {
	case a.keep.arrival:
		s := &a.slots[in.slots[i]]
		s.came++
		return appendTime(dst, s.came)
	case !a.keep.updating:
		return appendPosition(dst, b, i)
	}
	dst = appendTime(dst, rowtimeOf(b, i))
	for _, k := range a.change {
		dst = types.AppendKey(dst, b.Cols[k].Type, b.Cols[k].View(i))
	}
	return dst
}

// rowOf returns the encoded row that encodeRow kept, and its place where the aggregate keeps rows by value.
func (a *keptAcc) rowOf(key, payload []byte) (row, place []byte, err error) {
	switch {
	case a.keep.byValue:
		place, row, err = takeBytes(payload)
		return row, place, err
	case a.keep.place:
		at, n := binary.Uvarint(payload)
		if n <= 0 || at > uint64(len(key)) {
			return nil, nil, errCorruptAccumulator
		}
		return key[at:], nil, nil
	}
	return payload, nil, nil
}

func (a *keptAcc) result(slot int32, out *vec.Vector) error {
	s := &a.slots[slot]
	if s.err != nil {
		return s.err
	}
	out.AppendDatum(s.value)
	return nil
}

func (a *keptAcc) encode(dst []byte, slot int32) []byte {
	s := &a.slots[slot]
	one := vec.NewVector(a.agg.Typ, 1)
	one.AppendDatum(s.value)
	row := vec.AppendEncodedRow(a.val[:0], []*vec.Vector{one}, 0)
	dst = binary.AppendVarint(dst, s.n)
	if a.keep.arrival {
		dst = binary.AppendVarint(dst, s.came)
	}
	return append(binary.AppendUvarint(dst, uint64(len(row))), row...)
}

func (a *keptAcc) decode(slot int32, src []byte) (rest []byte, err error) {
	s := &a.slots[slot]
	*s = keptSlot{}
	if s.n, src, err = takeVarint(src); err != nil {
		return nil, err
	}
	if a.keep.arrival {
		if s.came, src, err = takeVarint(src); err != nil {
			return nil, err
		}
	}
	row, rest, err := takeBytes(src)
	if err != nil {
		return nil, err
	}
	one := vec.NewVector(a.agg.Typ, 1)
	if err := vec.AppendDecodedRow([]*vec.Vector{one}, row); err != nil {
		return nil, err
	}
	a.setValue(s, one.Datum(0))
	return rest, nil
}

func (a *keptAcc) setValue(s *keptSlot, d types.Datum) {
	a.bytes += int64(len(d.S) - len(s.value.S))
	s.value = d
}

// keptSlotBytes is what a slot takes beside its value's bytes.
const keptSlotBytes = 88

func (a *keptAcc) memSize() int64 { return a.bytes + int64(keptSlotBytes*cap(a.slots)) }
