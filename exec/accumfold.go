package exec

import (
	"bytes"
	"slices"

	"github.com/millracedb/millrace/exec/expr"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql/types"
)

// refresh computes the value of a slot from the rows that are kept. An error of the aggregate itself is the slot's until its rows change; one
// of the state is returned.
func (a *keptAcc) refresh(slot int32) error {
	s := &a.slots[slot]
	if !s.stale {
		return nil
	}
	s.stale = false
	if a.keep.limit > 0 && !a.keep.updating {
		if err := a.values.cut(a.ordinal, slot, a.keep.limit, a.keep.once); err != nil {
			return err
		}
	}
	f, err := a.fold(slot)
	var d types.Datum
	if err == nil {
		d, err = f.result()
	}
	if s.err = nil; err != nil {
		if sqlerr.CodeOf(err) == sqlerr.InternalError {
			return err
		}
		s.err, d = err, types.NullDatum
	}
	a.setValue(s, d)
	return nil
}

// keptFold walks the rows of a slot.
type keptFold struct {
	a    *keptAcc
	acc  expr.Accumulator
	set  expr.OrderedSet
	cols []*vec.Vector
	row  []types.Datum
	held []heldRow // rows that wait to be put in order
	seen int64
}

// heldRow is a row of which the order is not that of the walk.
type heldRow struct {
	place []byte
	row   []types.Datum
}

func (a *keptAcc) fold(slot int32) (*keptFold, error) {
	f := &keptFold{a: a, row: make([]types.Datum, len(a.types))}
	for _, t := range a.types {
		f.cols = append(f.cols, vec.NewVector(t, 1))
	}
	var err error
	if a.keep.set {
		f.set, err = expr.NewOrderedSet(a.agg, a.direct, a.slots[slot].n)
	} else {
		f.acc, err = expr.NewAccumulator(a.cx.env, a.agg.Func, a.types, a.agg.Typ)
	}
	if err != nil {
		return nil, err
	}
	return f, a.values.walk(a.ordinal, slot, f.take)
}

// take takes count rows of one key.
func (f *keptFold) take(key []byte, count int64, payload []byte) (more bool, err error) {
	enc, place, err := f.a.rowOf(key, payload)
	if err != nil {
		return false, err
	}
	for _, c := range f.cols {
		c.Reset()
	}
	if err := vec.AppendDecodedRow(f.cols, enc); err != nil {
		return false, err
	}
	for i, c := range f.cols {
		f.row[i] = c.View(0)
	}
	if f.a.keep.once {
		count = 1
	}
	limit := f.a.keep.limit
	if limit > 0 {
		count = min(count, limit-f.seen)
	}
	f.seen += count
	more = limit == 0 || f.seen < limit
	switch {
	case f.set != nil:
		return f.set.Add(f.row, count), nil
	case f.a.keep.byValue || f.a.keep.last:
		for range count {
			f.hold(place)
		}
		return more, nil
	}
	if many, ok := f.acc.(expr.CountedAccumulator); ok {
		return more, many.AddCount(f.row, count)
	}
	for range count {
		if err := f.acc.Add(f.row); err != nil {
			return false, err
		}
	}
	return more, nil
}

func (f *keptFold) hold(place []byte) {
	h := heldRow{place: bytes.Clone(place), row: make([]types.Datum, len(f.row))}
	for i, c := range f.cols {
		h.row[i] = c.Datum(0)
	}
	f.held = append(f.held, h)
}

func (f *keptFold) result() (types.Datum, error) {
	if f.set != nil {
		return f.set.Result()
	}
	if f.a.keep.last {
		slices.Reverse(f.held)
	} else {
		slices.SortStableFunc(f.held, func(x, y heldRow) int { return bytes.Compare(x.place, y.place) })
	}
	for _, h := range f.held {
		if err := f.acc.Add(h.row); err != nil {
			return types.NullDatum, err
		}
	}
	return f.acc.Result()
}
