package expr

import (
	"math"
	"slices"
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// OrderedSet is an ordered-set aggregate, one with WITHIN GROUP (PostgreSQL docs, tables 9.63 and 9.64). It is given the rows in the order that
// WITHIN GROUP asks for.
type OrderedSet interface {
	// Add takes count rows whose ordered values are vals. It returns false when no further row matters. Texts are copied if they are kept.
	Add(vals []types.Datum, count int64) (more bool)
	Result() (types.Datum, error)
}

// NewOrderedSet makes the aggregate a over n rows with the given direct arguments.
func NewOrderedSet(a *planner.Agg, direct []types.Datum, n int64) (OrderedSet, error) {
	switch a.Func.Name {
	case "percentile_cont":
		return newPercentile(a, direct[0], n, true)
	case "percentile_disc":
		return newPercentile(a, direct[0], n, false)
	case "mode":
		return &modeSet{typ: a.OrderBy[0].Expr.Type()}, nil
	case "rank", "dense_rank", "percent_rank", "cume_dist":
		h := &hypothetical{name: a.Func.Name, by: a.OrderBy, n: n}
		for i, k := range a.OrderBy {
			h.key = AppendSortKey(h.key, k, direct[i])
		}
		return h, nil
	}
	return nil, sqlerr.New(sqlerr.FeatureNotSupported, "aggregate %s is not supported yet", a.Func.ID())
}

// KeepsNulls reports whether rows whose ordered value is NULL count for an ordered-set aggregate.
func KeepsNulls(f *planner.Func) bool { return f.Variadic }

// percentile finds the values at fractions of the rows.
type percentile struct {
	n         int64
	cont      bool
	typ, elem types.Type // of the result, and of one value of it
	many      bool
	fractions []types.Datum
	vals      map[int64]types.Datum // of the rows that are asked for
	at        int64
}

func newPercentile(a *planner.Agg, fraction types.Datum, n int64, cont bool) (*percentile, error) {
	p := &percentile{n: n, cont: cont, typ: a.Typ, elem: a.OrderBy[0].Expr.Type(), vals: map[int64]types.Datum{}}
	p.fractions = []types.Datum{fraction}
	if t := a.Args[0].Type(); t.Kind == types.Array {
		p.many, p.fractions = true, nil
		if fraction.Null {
			p.n = 0
		}
		for it := types.NewElements(fraction.S); it.Next(*t.Elem); {
			p.fractions = append(p.fractions, it.Value)
		}
	}
	for _, f := range p.fractions {
		if f.Null {
			continue
		}
		if !(f.F >= 0 && f.F <= 1) {
			return nil, sqlerr.New(sqlerr.NumericValueOutOfRange, "percentile value %g is not between 0 and 1", f.F)
		}
		if n > 0 {
			lo, hi := p.place(f.F)
			p.vals[lo], p.vals[hi] = types.NullDatum, types.NullDatum
		}
	}
	return p, nil
}

// place returns the rows, from 0, that a fraction lies between.
func (p *percentile) place(f float64) (lo, hi int64) {
	if !p.cont {
		row := max(int64(math.Ceil(f*float64(p.n)))-1, 0)
		return row, row
	}
	x := f * float64(p.n-1)
	return int64(math.Floor(x)), int64(math.Ceil(x))
}

func (p *percentile) Add(vals []types.Datum, count int64) bool {
	missing := 0
	for row, d := range p.vals {
		switch {
		case row >= p.at && row < p.at+count:
			d = vals[0]
			d.S = strings.Clone(d.S)
			p.vals[row] = d
		case row >= p.at+count:
			missing++
		}
	}
	p.at += count
	return missing > 0
}

func (p *percentile) Result() (types.Datum, error) {
	if p.n == 0 {
		return types.NullDatum, nil
	}
	var out []types.Datum
	for _, f := range p.fractions {
		d := types.NullDatum
		if !f.Null {
			var err error
			if d, err = p.value(f.F); err != nil {
				return d, err
			}
		}
		out = append(out, d)
	}
	if !p.many {
		return out[0], nil
	}
	return types.ArrayDatum(*p.typ.Elem, out), nil
}

func (p *percentile) value(f float64) (types.Datum, error) {
	first, second := p.place(f)
	lo, hi := p.vals[first], p.vals[second]
	if first == second {
		return lo, nil
	}
	part := f*float64(p.n-1) - float64(first)
	if p.elem.Kind != types.Interval {
		return types.FloatDatum(lo.F + part*(hi.F-lo.F)), nil
	}
	diff, err := types.IntervalOf(hi).Sub(types.IntervalOf(lo))
	if err == nil {
		diff, err = diff.Mul(part)
	}
	if err == nil {
		diff, err = diff.Add(types.IntervalOf(lo))
	}
	return diff.Datum(), err
}

// modeSet is the most frequent value, the first of several.
type modeSet struct {
	typ       types.Type
	best, cur types.Datum
	most, run int64
}

func (m *modeSet) Add(vals []types.Datum, count int64) bool {
	if m.run == 0 || types.Compare(m.typ, m.cur, vals[0]) != 0 {
		m.cur, m.run = vals[0], 0
		m.cur.S = strings.Clone(m.cur.S)
	}
	if m.run += count; m.run > m.most {
		m.best, m.most = m.cur, m.run
	}
	return true
}

func (m *modeSet) Result() (types.Datum, error) {
	if m.most == 0 {
		return types.NullDatum, nil
	}
	return m.best, nil
}

// hypothetical is the rank that a row would have among the others.
type hypothetical struct {
	name               string
	by                 []planner.SortKey
	key, cur, last     []byte
	n                  int64
	before, upTo, kind int64 // rows before it, rows before it or equal, distinct rows before it
}

func (h *hypothetical) Add(vals []types.Datum, count int64) bool {
	h.cur = h.cur[:0]
	for i, k := range h.by {
		h.cur = AppendSortKey(h.cur, k, vals[i])
	}
	switch c := strings.Compare(string(h.cur), string(h.key)); {
	case c < 0:
		h.before += count
		if h.kind == 0 || string(h.cur) != string(h.last) {
			h.kind++
		}
		h.last = append(h.last[:0], h.cur...)
	case c > 0:
		return false
	}
	h.upTo += count
	return true
}

func (h *hypothetical) Result() (types.Datum, error) {
	switch h.name {
	case "rank":
		return types.IntDatum(h.before + 1), nil
	case "dense_rank":
		return types.IntDatum(h.kind + 1), nil
	case "percent_rank":
		if h.n == 0 {
			return types.FloatDatum(0), nil
		}
		return types.FloatDatum(float64(h.before) / float64(h.n)), nil
	}
	return types.FloatDatum(float64(h.upTo+1) / float64(h.n+1)), nil
}

// AppendSortKey appends bytes that compare as d, a value of the sort key, sorts.
func AppendSortKey(dst []byte, k planner.SortKey, d types.Datum) []byte {
	t := k.Expr.Type()
	if k.NullsFirst != k.Desc { // not where the encoding has them
		place := byte(1)
		if d.Null {
			place = 2
			if k.NullsFirst {
				place = 0
			}
		}
		dst = append(dst, place)
	}
	if k.Desc {
		return types.AppendKeyDesc(dst, t, d)
	}
	return types.AppendKey(dst, t, d)
}

// ImplementedOrderedSet reports whether NewOrderedSet knows the aggregate.
func ImplementedOrderedSet(f *planner.Func) bool {
	return slices.Contains([]string{"percentile_cont", "percentile_disc", "mode", "rank", "dense_rank", "percent_rank", "cume_dist"}, f.Name)
}
