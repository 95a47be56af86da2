package exec

import (
	"encoding/binary"
	"math/big"
	"math/bits"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql/types"
)

// newSum returns the accumulator of sum or avg over arg, nil if there is none. The result types are PostgreSQL's (docs, 9.21): sum of smallint and
// integer is bigint, of bigint and numeric is numeric; avg of those is numeric; over floats both are floats.
func newSum(avg bool, arg types.Type) func() accumulator {
	switch arg.Kind {
	case types.Int2, types.Int4, types.Int8:
		return func() accumulator { return &intSum{avg: avg, wide: arg.Kind == types.Int8} }
	case types.Float4, types.Float8:
		return func() accumulator { return &floatSum{avg: avg, single: arg.Kind == types.Float4} }
	case types.Numeric:
		return func() accumulator { return &numericSum{avg: avg} }
	case types.Interval:
		return func() accumulator { return &intervalSum{avg: avg} }
	default:
		return nil
	}
}

// intSum sums integers in 128 bits, which no count of rows overflows.
type intSum struct {
	avg, wide bool
	n         []int64
	lo        []uint64
	hi        []int64
}

func (a *intSum) grow(n int) {
	a.n, a.lo, a.hi = growTo(a.n, n), growTo(a.lo, n), growTo(a.hi, n)
}

func (a *intSum) update(in *aggInput) error {
	arg, ops, slots := in.args[0], in.batch.Ops, in.slots
	nulls := arg.HasNulls()
	for _, i := range in.sel {
		if nulls && arg.IsNull(int(i)) {
			continue
		}
		a.add(slots[i], arg.I64[i], rowSign(ops, i))
	}
	return nil
}

func (a *intSum) add(s int32, x, sign int64) {
	if sign > 0 {
		a.n[s]++
		lo, carry := bits.Add64(a.lo[s], uint64(x), 0)
		a.lo[s], a.hi[s] = lo, a.hi[s]+x>>63+int64(carry)
		return
	}
	a.n[s]--
	lo, borrow := bits.Sub64(a.lo[s], uint64(x), 0)
	a.lo[s], a.hi[s] = lo, a.hi[s]-x>>63-int64(borrow)
}

func (a *intSum) big(slot int32) *big.Int {
	z := new(big.Int).Lsh(big.NewInt(a.hi[slot]), 64)
	return z.Add(z, new(big.Int).SetUint64(a.lo[slot]))
}

func (a *intSum) result(slot int32, out *vec.Vector) error {
	small := int64(a.lo[slot])
	fits := a.hi[slot] == small>>63
	switch {
	case a.n[slot] == 0:
		out.AppendNull()
	case a.avg:
		return appendAverage(out, a.big(slot).String(), a.n[slot])
	case a.wide:
		out.AppendString(a.big(slot).String())
	case fits:
		out.AppendInt(small)
	default:
		return sqlerr.New(sqlerr.NumericValueOutOfRange, "bigint out of range")
	}
	return nil
}

func (a *intSum) encode(dst []byte, slot int32) []byte {
	dst = binary.AppendVarint(dst, a.n[slot])
	dst = binary.AppendVarint(dst, a.hi[slot])
	return binary.AppendVarint(dst, int64(a.lo[slot]))
}

func (a *intSum) decode(slot int32, src []byte) (rest []byte, err error) {
	rest = src
	var lo int64
	for _, p := range []*int64{&a.n[slot], &a.hi[slot], &lo} {
		if *p, rest, err = takeVarint(rest); err != nil {
			return nil, err
		}
	}
	a.lo[slot] = uint64(lo)
	return rest, nil
}

func (a *intSum) memSize() int64 { return int64(8 * (cap(a.n) + cap(a.lo) + cap(a.hi))) }

// appendAverage appends sum/n as PostgreSQL divides numerics.
func appendAverage(out *vec.Vector, sum string, n int64) error {
	var q types.Decimal
	if err := q.Div(types.DecimalOf(sum), types.NewDecimal(n, 0)); err != nil {
		return err
	}
	out.AppendString(q.String())
	return nil
}

// numericSum sums numerics exactly. The result has the largest scale among the rows that are in it, so scales are counted.
type numericSum struct {
	avg  bool
	sums []numericState
}

type numericState struct {
	n                int64
	nan, plus, minus int64
	scale            int // of coeff
	coeff            *big.Int
	scales           []int64 // rows by scale
}

func (a *numericSum) grow(n int) { a.sums = growTo(a.sums, n) }

func (a *numericSum) update(in *aggInput) error {
	arg := in.args[0]
	for _, i := range in.sel {
		if !arg.IsNull(int(i)) {
			if err := a.sums[in.slots[i]].add(arg.Str(int(i)), in.sign(i)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *numericState) add(text string, sign int64) error {
	s.n += sign
	switch text {
	case "NaN":
		s.nan += sign
		return nil
	case "Infinity":
		s.plus += sign
		return nil
	case "-Infinity":
		s.minus += sign
		return nil
	}
	coeff, scale, ok := parseNumeric(text)
	if !ok {
		return sqlerr.New(sqlerr.DataCorrupted, "%q is not a canonical numeric", text)
	}
	s.scales = growTo(s.scales, scale+1)
	s.scales[scale] += sign
	if s.coeff == nil {
		s.coeff = new(big.Int)
	}
	if scale > s.scale {
		s.coeff.Mul(s.coeff, pow10(scale-s.scale))
		s.scale = scale
	}
	coeff.Mul(coeff, pow10(s.scale-scale))
	if sign < 0 {
		coeff.Neg(coeff)
	}
	s.coeff.Add(s.coeff, coeff)
	return nil
}

// parseNumeric splits a finite canonical text into its digits and how many of them follow the point.
func parseNumeric(text string) (coeff *big.Int, scale int, ok bool) {
	digits := make([]byte, 0, len(text))
	point := -1
	for i := range len(text) {
		if text[i] == '.' {
			point = i
			continue
		}
		digits = append(digits, text[i])
	}
	if point >= 0 {
		scale = len(text) - point - 1
	}
	coeff, ok = new(big.Int).SetString(string(digits), 10)
	return coeff, scale, ok
}

func pow10(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

func (a *numericSum) result(slot int32, out *vec.Vector) error {
	s := &a.sums[slot]
	switch {
	case s.n == 0:
		out.AppendNull()
	case a.avg && s.finite():
		return appendAverage(out, s.text(), s.n)
	default:
		out.AppendString(s.text())
	}
	return nil
}

func (s *numericState) finite() bool { return s.nan == 0 && s.plus == 0 && s.minus == 0 }

// text prints the sum, a finite one with the largest scale in use.
func (s *numericState) text() string {
	switch {
	case s.nan > 0, s.plus > 0 && s.minus > 0:
		return "NaN"
	case s.plus > 0:
		return "Infinity"
	case s.minus > 0:
		return "-Infinity"
	}
	scale := 0
	for i, n := range s.scales {
		if n != 0 {
			scale = i
		}
	}
	coeff := new(big.Int)
	if s.coeff != nil {
		coeff.Quo(s.coeff, pow10(s.scale-scale)) // exact: no row in it has more digits
	}
	digits := new(big.Int).Abs(coeff).String()
	for len(digits) <= scale {
		digits = "0" + digits
	}
	if scale > 0 {
		digits = digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
	}
	if coeff.Sign() < 0 {
		return "-" + digits
	}
	return digits
}

func (a *numericSum) encode(dst []byte, slot int32) []byte { return a.sums[slot].encode(dst) }

func (s *numericState) encode(dst []byte) []byte {
	for _, x := range []int64{s.n, s.nan, s.plus, s.minus, int64(s.scale), int64(len(s.scales))} {
		dst = binary.AppendVarint(dst, x)
	}
	for _, x := range s.scales {
		dst = binary.AppendVarint(dst, x)
	}
	var coeff []byte
	if s.coeff != nil {
		coeff = s.coeff.Append(nil, 10)
	}
	return append(binary.AppendUvarint(dst, uint64(len(coeff))), coeff...)
}

// maxNumericScale is PostgreSQL's limit on digits after the point.
const maxNumericScale = 16383

func (a *numericSum) decode(slot int32, src []byte) (rest []byte, err error) {
	return a.sums[slot].decode(src)
}

func (s *numericState) decode(src []byte) (rest []byte, err error) {
	*s = numericState{}
	rest = src
	var scale, count int64
	for _, p := range []*int64{&s.n, &s.nan, &s.plus, &s.minus, &scale, &count} {
		if *p, rest, err = takeVarint(rest); err != nil {
			return nil, err
		}
	}
	if scale < 0 || scale > maxNumericScale || count < 0 || count > maxNumericScale+1 {
		return nil, errCorruptAccumulator
	}
	s.scale = int(scale)
	s.scales = make([]int64, count)
	for i := range s.scales {
		if s.scales[i], rest, err = takeVarint(rest); err != nil {
			return nil, err
		}
	}
	digits, rest, err := takeBytes(rest)
	if err != nil || len(digits) == 0 {
		return rest, err
	}
	coeff, ok := new(big.Int).SetString(string(digits), 10)
	if !ok {
		return nil, errCorruptAccumulator
	}
	s.coeff = coeff
	return rest, nil
}

// numericStateBytes is what one numeric sum takes, about.
const numericStateBytes = 160

func (a *numericSum) memSize() int64 { return int64(numericStateBytes * cap(a.sums)) }
