package exec

import (
	"bytes"
	"math/big"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/sql/types"
)

// How accumulators make one slot of two, when a row joins two sessions, or add what a pane of hopping windows has gained to a window. Input with sessions
// only grows.

func (a *countAcc) merge(dst int32, from accumulator, src int32) error {
	a.n[dst] += from.(*countAcc).n[src]
	return nil
}

func (a *boolAcc) merge(dst int32, from accumulator, src int32) error {
	for i := range a.n {
		a.n[i][dst] += from.(*boolAcc).n[i][src]
	}
	return nil
}

func (a *bitAcc) merge(dst int32, from accumulator, src int32) error {
	other := from.(*bitAcc)
	a.n[dst] += other.n[src]
	for b, count := range other.bits[int(src)*bitsPerSlot:][:bitsPerSlot] {
		a.bits[int(dst)*bitsPerSlot+b] += count
	}
	return nil
}

func (a *extremeAcc) merge(dst int32, from accumulator, src int32) error {
	other := from.(*extremeAcc)
	if other.cur.IsNull(int(src)) {
		return nil
	}
	if a.cur.IsNull(int(dst)) || a.better(other.cur, int(src), int(dst)) {
		a.cur.SetRow(int(dst), other.cur, int(src))
	}
	return nil
}

func (a *intSum) merge(dst int32, from accumulator, src int32) error {
	other := from.(*intSum)
	a.n[dst] += other.n[src]
	lo := a.lo[dst] + other.lo[src]
	a.hi[dst] += other.hi[src]
	if lo < other.lo[src] {
		a.hi[dst]++
	}
	a.lo[dst] = lo
	return nil
}

func (a *intervalSum) merge(dst int32, from accumulator, src int32) error {
	d, s := &a.sums[dst], &from.(*intervalSum).sums[src]
	d.n, d.months, d.days, d.micros = d.n+s.n, d.months+s.months, d.days+s.days, d.micros+s.micros
	return nil
}

func (a *floatSum) merge(dst int32, from accumulator, src int32) error {
	a.sums[dst].merge(&from.(*floatSum).sums[src])
	return nil
}

func (s *floatState) merge(src *floatState) {
	n := s.n + src.n
	for _, x := range src.parts {
		s.add(x, 1)
	}
	s.n = n
	s.nan, s.plus, s.minus = s.nan+src.nan, s.plus+src.plus, s.minus+src.minus
}

func (a *numericSum) merge(dst int32, from accumulator, src int32) error {
	a.sums[dst].merge(&from.(*numericSum).sums[src])
	return nil
}

func (s *numericState) merge(src *numericState) {
	s.n, s.nan, s.plus, s.minus = s.n+src.n, s.nan+src.nan, s.plus+src.plus, s.minus+src.minus
	s.scales = growTo(s.scales, len(src.scales))
	for i, n := range src.scales {
		s.scales[i] += n
	}
	if src.coeff == nil {
		return
	}
	if s.coeff == nil {
		s.coeff = new(big.Int)
	}
	if src.scale > s.scale {
		s.coeff.Mul(s.coeff, pow10(src.scale-s.scale))
		s.scale = src.scale
	}
	s.coeff.Add(s.coeff, new(big.Int).Mul(src.coeff, pow10(s.scale-src.scale)))
}

func (a *numericVariance) merge(dst int32, from accumulator, src int32) error {
	d, s := &a.sums[dst], &from.(*numericVariance).sums[src]
	d.sum.merge(&s.sum)
	d.squares.merge(&s.squares)
	return nil
}

func (a *floatMoments) merge(dst int32, from accumulator, src int32) error {
	d, s := &a.sums[dst], &from.(*floatMoments).sums[src]
	d.n += s.n
	parts := s.parts()
	for i, p := range d.parts() {
		p.merge(parts[i])
	}
	return nil
}

func (a *listSum) merge(dst int32, from accumulator, src int32) error {
	return a.accumulator.merge(dst, from.(*listSum).accumulator, src)
}

// merge counts the values of both, and takes those that were in both out once.
func (a *distinctAcc) merge(dst int32, from accumulator, src int32) error {
	if err := a.accumulator.merge(dst, from.(*distinctAcc).accumulator, src); err != nil {
		return err
	}
	return a.values.move(a.ordinal, src, func(key []byte, count int64, _ []byte) error {
		before, _, err := a.values.add(a.ordinal, dst, key, nil, count)
		if err != nil || before == 0 {
			return err
		}
		return a.takeOut(dst, key)
	})
}

// takeOut takes the value with the given key out of a slot.
func (a *distinctAcc) takeOut(slot int32, key []byte) error {
	one := aggInput{batch: &vec.Batch{Ops: []vec.Op{vec.Delete}}, slots: []int32{slot}, sel: []int32{0}}
	for _, t := range a.types {
		d, rest, err := types.DecodeKey(t, key)
		if err != nil {
			return errCorruptAccumulator
		}
		key = rest
		v := vec.NewVector(t, 1)
		v.AppendDatum(d)
		one.args = append(one.args, v)
	}
	return a.accumulator.update(&one)
}

func (a *keptAcc) merge(dst int32, _ accumulator, src int32) error {
	a.slots[dst].stale = true
	return a.values.move(a.ordinal, src, func(key []byte, count int64, payload []byte) error {
		if a.keep.byValue && !a.keep.updating {
			return a.values.keepLeast(a.ordinal, dst, key, payload)
		}
		before, after, err := a.values.add(a.ordinal, dst, key, payload, count)
		a.slots[dst].n += after - before
		return err
	})
}

// move takes all rows of a slot out and gives them to f.
func (m *multiset) move(ordinal int, slot int32, f func(key []byte, count int64, payload []byte) error) error {
	type row struct {
		key, payload []byte
		count        int64
	}
	var rows []row
	err := m.walk(ordinal, slot, func(key []byte, count int64, payload []byte) (bool, error) {
		rows = append(rows, row{bytes.Clone(key), bytes.Clone(payload), count})
		return true, nil
	})
	if err != nil {
		return err
	}
	for _, r := range rows {
		if err := m.table.del(m.groupOf(ordinal, m.slotKey(slot)), r.key); err != nil {
			return err
		}
		if err := f(r.key, r.count, r.payload); err != nil {
			return err
		}
	}
	return nil
}
