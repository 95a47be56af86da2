package exec

import (
	"encoding/binary"
	"errors"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// accumulator is one aggregate's running values, one per slot (a group in memory). Retracting a row that was added gives
// exactly the value from before, for every aggregate here.
type accumulator interface {
	// grow makes slots up to n, new ones empty.
	grow(n int)
	// update takes in rows.
	update(in *aggInput) error
	// merge adds what is in slot src of an accumulator of the same call to slot dst. An accumulator that keeps rows in the state takes them from itself alone, and they
	// leave src; with others src stays as it is.
	merge(dst int32, from accumulator, src int32) error
	// result appends the aggregate's value in slot to out.
	result(slot int32, out *vec.Vector) error
	// encode appends the slot's value to dst; decode reads it back into slot and returns the rest.
	encode(dst []byte, slot int32) []byte
	decode(slot int32, src []byte) (rest []byte, err error)
	memSize() int64
}

// refresher is an accumulator that looks its value up again in state after rows came or left. refresh is called before encode and result of a slot
// that changed.
type refresher interface {
	refresh(slot int32) error
}

// aggInput is a batch of rows as one aggregate sees it.
type aggInput struct {
	batch *vec.Batch
	slots []int32       // the slot of each row
	sel   []int32       // the rows that count
	args  []*vec.Vector // the arguments
	order []*vec.Vector // the expressions of ORDER BY
}

// sign is 1 for a row that joins and -1 for one that leaves.
func (in *aggInput) sign(i int32) int64 { return rowSign(in.batch.Ops, i) }

var errCorruptAccumulator = errors.New("corrupt accumulator in state")

// newAccumulator returns what makes the accumulators of a call.
func newAccumulator(o *aggregateOp, a *planner.Agg, ordinal int) (func() accumulator, error) {
	extreme := a.Func.Name == "min" || a.Func.Name == "max"
	build := plainAccumulator(o, a, ordinal)
	switch {
	case build == nil:
		return newKept(o, a, ordinal)
	case extreme && o.updating:
		o.keeping = append(o.keeping, ordinal)
	case a.Distinct && !extreme:
		o.keeping = append(o.keeping, ordinal)
		var ts []types.Type
		for _, x := range a.Args {
			ts = append(ts, x.Type())
		}
		return func() accumulator {
			return &distinctAcc{accumulator: build(), values: &o.values, ordinal: ordinal, types: ts}
		}, nil
	}
	return build, nil
}

// plainAccumulator returns the accumulator of an aggregate that can undo a row from its running value, and of min and max; nil for the
// others.
func plainAccumulator(o *aggregateOp, a *planner.Agg, ordinal int) func() accumulator {
	arg := types.Of(types.Int8)
	if len(a.Args) > 0 {
		arg = a.Args[0].Type()
	}
	switch name := a.Func.Name; name {
	case "count":
		return func() accumulator { return &countAcc{star: len(a.Args) == 0} }
	case "sum", "avg":
		return newSum(name == "avg", arg)
	case "sum_list":
		return newSumList(*arg.Elem)
	case "min", "max":
		return func() accumulator {
			return &extremeAcc{max: name == "max", typ: arg, updating: o.updating, values: &o.values, ordinal: ordinal}
		}
	case "bool_and", "every":
		return func() accumulator { return &boolAcc{and: true} }
	case "bool_or":
		return func() accumulator { return &boolAcc{} }
	case "bit_and", "bit_or", "bit_xor":
		return func() accumulator { return &bitAcc{name: name, width: arg.Kind} }
	default:
		return newStatistic(a)
	}
}

// rowSign is 1 for a row that joins and -1 for one that leaves.
func rowSign(ops []vec.Op, i int32) int64 {
	if ops == nil {
		return 1
	}
	return ops[i].Sign()
}

// countAcc is count(*) and count(x).
type countAcc struct {
	star bool
	n    []int64
}

func (a *countAcc) grow(n int) { a.n = growTo(a.n, n) }

func (a *countAcc) update(in *aggInput) error {
	slots, ops := in.slots, in.batch.Ops
	if a.star || !in.args[0].HasNulls() {
		for _, i := range in.sel {
			a.n[slots[i]] += rowSign(ops, i)
		}
		return nil
	}
	for _, i := range in.sel {
		if !in.args[0].IsNull(int(i)) {
			a.n[slots[i]] += rowSign(ops, i)
		}
	}
	return nil
}

func (a *countAcc) result(slot int32, out *vec.Vector) error {
	out.AppendInt(a.n[slot])
	return nil
}

func (a *countAcc) encode(dst []byte, slot int32) []byte {
	return binary.AppendVarint(dst, a.n[slot])
}

func (a *countAcc) decode(slot int32, src []byte) (rest []byte, err error) {
	a.n[slot], rest, err = takeVarint(src)
	return rest, err
}

func (a *countAcc) memSize() int64 { return int64(8 * cap(a.n)) }

// boolAcc is bool_and, every and bool_or: how many values are true and how many false.
type boolAcc struct {
	and bool
	n   [2][]int64
}

func (a *boolAcc) grow(n int) {
	for i := range a.n {
		a.n[i] = growTo(a.n[i], n)
	}
}

func (a *boolAcc) update(in *aggInput) error {
	arg := in.args[0]
	for _, i := range in.sel {
		if !arg.IsNull(int(i)) {
			a.n[arg.I64[i]&1][in.slots[i]] += in.sign(i)
		}
	}
	return nil
}

func (a *boolAcc) result(slot int32, out *vec.Vector) error {
	no, yes := a.n[0][slot], a.n[1][slot]
	switch {
	case no+yes == 0:
		out.AppendNull()
	case a.and:
		out.AppendInt(boolInt(no == 0))
	default:
		out.AppendInt(boolInt(yes > 0))
	}
	return nil
}

func (a *boolAcc) encode(dst []byte, slot int32) []byte {
	return binary.AppendVarint(binary.AppendVarint(dst, a.n[0][slot]), a.n[1][slot])
}

func (a *boolAcc) decode(slot int32, src []byte) (rest []byte, err error) {
	rest = src
	for i := range a.n {
		if a.n[i][slot], rest, err = takeVarint(rest); err != nil {
			return nil, err
		}
	}
	return rest, nil
}

func (a *boolAcc) memSize() int64 { return int64(8 * (cap(a.n[0]) + cap(a.n[1]))) }

func boolInt(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// growTo returns s with n zeroed or older elements.
func growTo[T any](s []T, n int) []T {
	for len(s) < n {
		var zero T
		s = append(s, zero)
	}
	return s
}

func takeVarint(src []byte) (int64, []byte, error) {
	x, n := binary.Varint(src)
	if n <= 0 {
		return 0, nil, errCorruptAccumulator
	}
	return x, src[n:], nil
}

// takeBytes reads a length and that many bytes; they alias src.
func takeBytes(src []byte) (b, rest []byte, err error) {
	length, n := binary.Uvarint(src)
	if n <= 0 || length > uint64(len(src)-n) {
		return nil, nil, errCorruptAccumulator
	}
	return src[n : n+int(length)], src[n+int(length):], nil
}
