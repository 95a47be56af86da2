package exec

import "math/big"

// merger is an accumulator of which two slots can be made one, as session windows need when a row joins them.
type merger interface {
	// merge adds what is in slot src to slot dst. src is not used any more.
	merge(dst, src int32) error
}

func (a *countAcc) merge(dst, src int32) error {
	a.n[dst] += a.n[src]
	return nil
}

func (a *boolAcc) merge(dst, src int32) error {
	for i := range a.n {
		a.n[i][dst] += a.n[i][src]
	}
	return nil
}

// merge keeps the better of two values. Input whose rows can leave has no sessions, so there are no others to look after.
func (a *extremeAcc) merge(dst, src int32) error {
	if a.cur.IsNull(int(src)) {
		return nil
	}
	if a.cur.IsNull(int(dst)) || a.better(a.cur, int(src), int(dst)) {
		a.cur.SetRow(int(dst), a.cur, int(src))
	}
	return nil
}

func (a *intSum) merge(dst, src int32) error {
	a.n[dst] += a.n[src]
	lo := a.lo[dst] + a.lo[src]
	a.hi[dst] += a.hi[src]
	if lo < a.lo[src] {
		a.hi[dst]++
	}
	a.lo[dst] = lo
	return nil
}

func (a *floatSum) merge(dst, src int32) error {
	d, s := &a.sums[dst], &a.sums[src]
	n := d.n + s.n
	for _, x := range s.parts {
		d.add(x, 1)
	}
	d.n = n
	d.nan, d.plus, d.minus = d.nan+s.nan, d.plus+s.plus, d.minus+s.minus
	return nil
}

func (a *numericSum) merge(dst, src int32) error {
	d, s := &a.sums[dst], &a.sums[src]
	d.n, d.nan, d.plus, d.minus = d.n+s.n, d.nan+s.nan, d.plus+s.plus, d.minus+s.minus
	d.scales = growTo(d.scales, len(s.scales))
	for i, n := range s.scales {
		d.scales[i] += n
	}
	if s.coeff == nil {
		return nil
	}
	if d.coeff == nil {
		d.coeff = new(big.Int)
	}
	if s.scale > d.scale {
		d.coeff.Mul(d.coeff, pow10(s.scale-d.scale))
		d.scale = s.scale
	}
	add := new(big.Int).Mul(s.coeff, pow10(d.scale-s.scale))
	d.coeff.Add(d.coeff, add)
	return nil
}
