package exec

import (
	"encoding/binary"
	"math"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql/types"
)

// bitAcc is bit_and, bit_or and bit_xor: for each bit, how many values have it.
type bitAcc struct {
	name  string
	width types.Kind
	n     []int64
	bits  []int64 // bitsPerSlot counts a slot
}

const bitsPerSlot = 64

func (a *bitAcc) grow(n int) { a.n, a.bits = growTo(a.n, n), growTo(a.bits, n*bitsPerSlot) }

func (a *bitAcc) update(in *aggInput) error {
	arg := in.args[0]
	for _, i := range in.sel {
		if arg.IsNull(int(i)) {
			continue
		}
		slot, sign := int(in.slots[i]), in.sign(i)
		a.n[slot] += sign
		x := uint64(arg.I64[i])
		for b := 0; x != 0; b, x = b+1, x>>1 {
			a.bits[slot*bitsPerSlot+b] += sign * int64(x&1)
		}
	}
	return nil
}

func (a *bitAcc) result(slot int32, out *vec.Vector) error {
	n := a.n[slot]
	if n == 0 {
		out.AppendNull()
		return nil
	}
	var x uint64
	for b, count := range a.bits[int(slot)*bitsPerSlot:][:bitsPerSlot] {
		set := count > 0
		switch a.name {
		case "bit_and":
			set = count == n
		case "bit_xor":
			set = count&1 == 1
		}
		if set {
			x |= 1 << b
		}
	}
	out.AppendInt(int64(x))
	return nil
}

func (a *bitAcc) encode(dst []byte, slot int32) []byte {
	dst = binary.AppendVarint(dst, a.n[slot])
	for _, count := range a.bits[int(slot)*bitsPerSlot:][:bitsPerSlot] {
		dst = binary.AppendVarint(dst, count)
	}
	return dst
}

func (a *bitAcc) decode(slot int32, src []byte) (rest []byte, err error) {
	if a.n[slot], rest, err = takeVarint(src); err != nil {
		return nil, err
	}
	counts := a.bits[int(slot)*bitsPerSlot:][:bitsPerSlot]
	for b := range counts {
		if counts[b], rest, err = takeVarint(rest); err != nil {
			return nil, err
		}
	}
	return rest, nil
}

func (a *bitAcc) memSize() int64 { return int64(8 * (cap(a.n) + cap(a.bits))) }

// intervalSum is sum and avg of intervals, whose months, days and microseconds are summed apart.
type intervalSum struct {
	avg  bool
	sums []struct{ n, months, days, micros int64 }
}

func (a *intervalSum) grow(n int) { a.sums = growTo(a.sums, n) }

func (a *intervalSum) update(in *aggInput) error {
	arg := in.args[0]
	for _, i := range in.sel {
		if arg.IsNull(int(i)) {
			continue
		}
		s, sign, iv := &a.sums[in.slots[i]], in.sign(i), types.IntervalOf(arg.View(int(i)))
		s.n += sign
		s.months += sign * int64(iv.Months)
		s.days += sign * int64(iv.Days)
		s.micros += sign * iv.Micros
	}
	return nil
}

func (a *intervalSum) result(slot int32, out *vec.Vector) (err error) {
	s := &a.sums[slot]
	if s.n == 0 {
		out.AppendNull()
		return nil
	}
	if s.months != int64(int32(s.months)) || s.days != int64(int32(s.days)) {
		return sqlerr.New(sqlerr.DatetimeFieldOverflow, "interval out of range")
	}
	iv := types.IntervalValue{Micros: s.micros, Days: int32(s.days), Months: int32(s.months)}
	if a.avg {
		if iv, err = iv.Div(float64(s.n)); err != nil {
			return err
		}
	}
	out.AppendDatum(iv.Datum())
	return nil
}

func (a *intervalSum) encode(dst []byte, slot int32) []byte {
	s := &a.sums[slot]
	for _, x := range []int64{s.n, s.months, s.days, s.micros} {
		dst = binary.AppendVarint(dst, x)
	}
	return dst
}

func (a *intervalSum) decode(slot int32, src []byte) (rest []byte, err error) {
	s := &a.sums[slot]
	rest = src
	for _, p := range []*int64{&s.n, &s.months, &s.days, &s.micros} {
		if *p, rest, err = takeVarint(rest); err != nil {
			return nil, err
		}
	}
	return rest, nil
}

func (a *intervalSum) memSize() int64 { return int64(32 * cap(a.sums)) }

// listSum is sum_list: the sum of the elements of arrays.
type listSum struct {
	accumulator
	elem types.Type
	one  *vec.Vector
}

func newSumList(elem types.Type) func() accumulator {
	build := newSum(false, elem)
	return func() accumulator { return &listSum{accumulator: build(), elem: elem, one: vec.NewVector(elem, 0)} }
}

func (a *listSum) update(in *aggInput) error {
	arg := in.args[0]
	for _, i := range in.sel {
		if arg.IsNull(int(i)) {
			continue
		}
		a.one.Reset()
		for it := types.NewElements(arg.Str(int(i))); it.Next(a.elem); {
			a.one.AppendDatum(it.Value)
		}
		if err := a.accumulator.update(a.elements(in, i)); err != nil {
			return err
		}
	}
	return nil
}

// elements is the array of row i as rows of its slot.
func (a *listSum) elements(in *aggInput, i int32) *aggInput {
	n := a.one.Len()
	rows := &aggInput{batch: &vec.Batch{}, slots: make([]int32, n), sel: vec.All(nil, n), args: []*vec.Vector{a.one}}
	for k := range n {
		rows.slots[k] = in.slots[i]
	}
	if in.sign(i) < 0 {
		rows.batch.Ops = make([]vec.Op, n)
		for k := range n {
			rows.batch.Ops[k] = vec.Delete
		}
	}
	return rows
}

// appendPosition appends a row's place in its stream, so that bytes compare as places do: rowtime, source partition, offset and ordinal.
func appendPosition(dst []byte, b *vec.Batch, i int) []byte {
	dst = appendTime(dst, rowtimeOf(b, i))
	if s := b.Source; s.Has(i) {
		dst = binary.BigEndian.AppendUint32(dst, uint32(s.Partition[i])^1<<31)
		dst = appendTime(dst, s.Offset[i])
		dst = binary.BigEndian.AppendUint32(dst, uint32(s.Ordinal[i])^(math.MaxInt32+1))
	}
	return dst
}
