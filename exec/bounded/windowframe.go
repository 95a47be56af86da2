package bounded

import (
	"sort"
	"time"

	"github.com/millracedb/millrace/exec/expr"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// frame says which rows of the partition a row's aggregate sees (PostgreSQL docs, 4.2.8).
type frame struct {
	w          *windower
	mode       string
	start, end bound
	exclude    string
	fromStart  bool // it begins with the partition
}

// bound is one end of a frame: no offset and not current is unbounded.
type bound struct {
	current, preceding, unbounded bool
	rows                          int64       // offset of ROWS and GROUPS
	by                            types.Datum // offset of RANGE
	typ                           types.Type
}

func (w *windower) newFrame() (*frame, error) {
	f := &frame{w: w, mode: "range", start: bound{unbounded: true, preceding: true}, end: bound{current: true}, fromStart: true}
	n := w.n.Frame
	if n == nil {
		return f, nil
	}
	f.mode = n.Mode
	if n.Exclude != "NO OTHERS" {
		f.exclude = n.Exclude
	}
	var err error
	if f.start, err = w.newBound(n.Start, n.Mode, "starting"); err != nil {
		return nil, err
	}
	if f.end, err = w.newBound(n.End, n.Mode, "ending"); err != nil {
		return nil, err
	}
	f.fromStart = f.start.unbounded
	if f.mode == "range" && (n.Start.Offset != nil || n.End.Offset != nil) && len(w.n.OrderBy) != 1 {
		return nil, sqlerr.New(sqlerr.WindowingError, "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column")
	}
	return f, nil
}

func (w *windower) newBound(b planner.FrameBound, mode, which string) (bound, error) {
	out := bound{current: b.Current, preceding: b.Preceding, unbounded: b.Unbounded}
	if b.Offset == nil {
		return out, nil
	}
	d, err := expr.Eval(b.Offset, w.q.Env)
	if err != nil {
		return out, err
	}
	if d.Null {
		return out, sqlerr.New("22004", "frame %s offset must not be null", which)
	}
	if mode != "range" {
		if d.I < 0 {
			return out, sqlerr.New("22013", "frame %s offset must not be negative", which)
		}
		out.rows = d.I
		return out, nil
	}
	return out, w.rangeOffset(&out, b.Offset.Type(), d)
}

// rangeOffset converts the offset of a RANGE frame to the type that is added to the order's key: intervals for times, the key's own type for numbers.
func (w *windower) rangeOffset(out *bound, t types.Type, d types.Datum) error {
	if len(w.n.OrderBy) != 1 {
		return nil // newFrame refuses it
	}
	key := w.n.OrderBy[0].Expr.Type()
	want := key
	switch key.Kind {
	case types.Date, types.Time, types.Timestamp, types.TimestampTZ, types.Interval:
		want = types.Of(types.Interval)
	case types.Int2, types.Int4, types.Int8:
		want = types.Of(types.Int8)
	case types.Float4, types.Float8, types.Numeric:
	default:
		return sqlerr.New(sqlerr.FeatureNotSupported, "RANGE with offset PRECEDING/FOLLOWING is not supported for column type %s", key)
	}
	want.Mod = -1
	var err error
	if out.by, err = expr.CastDatum(w.q.Env, t, want, d, true); err != nil {
		return err
	}
	out.typ = want
	zero := types.IntDatum(0)
	switch want.Kind {
	case types.Interval:
		zero = types.IntervalValue{}.Datum()
	case types.Numeric:
		zero = types.BytesDatum("0")
	}
	if types.Compare(want, out.by, zero) < 0 {
		return sqlerr.New("22013", "invalid preceding or following size in window function")
	}
	return nil
}

// bounds returns the frame of row i as a half-open range of rows of the partition; from <= to.
func (f *frame) bounds(i int) (from, to int, err error) {
	n := f.w.size()
	if from, err = f.edge(&f.start, i, false); err != nil {
		return 0, 0, err
	}
	if to, err = f.edge(&f.end, i, true); err != nil {
		return 0, 0, err
	}
	from, to = min(max(from, 0), n), min(max(to, 0), n)
	return from, max(from, to), nil
}

// edge returns the first row of the frame, or with last the row behind the last.
func (f *frame) edge(b *bound, i int, last bool) (int, error) {
	switch {
	case b.unbounded && b.preceding:
		return 0, nil
	case b.unbounded:
		return f.w.size(), nil
	}
	offset := b.rows
	if b.preceding {
		offset = -offset
	}
	switch f.mode {
	case "rows":
		at := int64(i) + min(max(offset, -int64(f.w.size())), int64(f.w.size()))
		if last {
			at++
		}
		return int(at), nil
	case "groups":
		groups := int64(len(f.w.starts) - 1)
		g := int64(f.w.group[i]) + min(max(offset, -groups-1), groups+1)
		if last {
			g++
		}
		return f.w.starts[min(max(g, 0), groups)], nil
	}
	if b.current {
		from, to := f.w.peers(i)
		if last {
			return to, nil
		}
		return from, nil
	}
	return f.rangeEdge(b, i, last)
}

// rangeEdge finds the edge at the value of row i's key plus or minus the offset. A NULL key has the NULLs as its frame.
func (f *frame) rangeEdge(b *bound, i int, last bool) (int, error) {
	key := f.w.order.by[0]
	value := func(k int) types.Datum {
		r := f.w.ref(k)
		return f.w.order.cols[r.batch][0].View(int(r.row))
	}
	v := value(i)
	if v.Null {
		from, to := f.w.peers(i)
		if last {
			return to, nil
		}
		return from, nil
	}
	target, beyond := f.add(key.Expr.Type(), v, b, b.preceding != key.Desc)
	// NULLs lie at one end; the search is over the rows between.
	lo, hi := 0, f.w.size()
	if value(0).Null {
		lo = f.w.starts[1]
	}
	if value(hi - 1).Null {
		hi = f.w.starts[len(f.w.starts)-2]
	}
	if beyond { // off the end of the type in the direction of the offset
		if b.preceding {
			return lo, nil
		}
		return hi, nil
	}
	at := lo + sort.Search(hi-lo, func(k int) bool {
		c := compareKey(key, value(lo+k), target)
		return c > 0 || c == 0 && !last
	})
	return at, nil
}

// add returns the key plus (or minus) the offset, as a value of the key's type; beyond is true if that is out of its range.
func (f *frame) add(t types.Type, v types.Datum, b *bound, minus bool) (sum types.Datum, beyond bool) {
	switch t.Kind {
	case types.Float4, types.Float8:
		if minus {
			return types.FloatDatum(v.F - b.by.F), false
		}
		return types.FloatDatum(v.F + b.by.F), false
	case types.Numeric:
		var z types.Decimal
		op := z.Add
		if minus {
			op = z.Sub
		}
		err := op(types.DecimalOf(v.S), types.DecimalOf(b.by.S))
		return z.Datum(), err != nil
	case types.Int2, types.Int4, types.Int8:
		d := b.by.I
		if minus {
			d = -d
		}
		s := v.I + d
		return types.IntDatum(s), (s > v.I) != (d > 0) && d != 0
	}
	return f.addTime(t, v, types.IntervalOf(b.by), minus)
}

func (f *frame) addTime(t types.Type, v types.Datum, iv types.IntervalValue, minus bool) (types.Datum, bool) {
	if minus {
		var err error
		if iv, err = iv.Neg(); err != nil {
			return v, true
		}
	}
	switch t.Kind {
	case types.Interval:
		sum, err := types.IntervalOf(v).Add(iv)
		return sum.Datum(), err != nil
	case types.Time:
		us := v.I + iv.Micros
		return types.IntDatum(us), false
	case types.Date:
		us, err := types.DateToTimestamp(v.I)
		if err == nil {
			us, err = types.AddInterval(us, iv)
		}
		day := types.TimestampToDate(us)
		return types.IntDatum(day), err != nil
	case types.TimestampTZ:
		zone := time.UTC
		if s := f.w.q.Env.Text; s != nil && s.Zone != nil {
			zone = s.Zone
		}
		us, err := types.AddIntervalTZ(v.I, iv, zone)
		return types.IntDatum(us), err != nil
	default:
		us, err := types.AddInterval(v.I, iv)
		return types.IntDatum(us), err != nil
	}
}

// excluded reports whether EXCLUDE takes row k from the frame of row i.
func (f *frame) excluded(i, k int) bool {
	switch f.exclude {
	case "CURRENT ROW":
		return i == k
	case "GROUP":
		return f.w.group[i] == f.w.group[k]
	case "TIES":
		return i != k && f.w.group[i] == f.w.group[k]
	default:
		return false
	}
}
