package types

import (
	"math/big"
	"strings"

	"github.com/cockroachdb/apd/v3"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// The scales of division (PostgreSQL 15 docs, 8.1.2 and 9.3): at least minSigDigits significant digits, at most
// maxDisplayScale digits after the point.
const (
	minSigDigits    = 16
	maxDisplayScale = 1000
)

var exact = apd.Context{MaxExponent: apd.MaxExponent, MinExponent: apd.MinExponent}

// Add sets z to x + y, whose scale is the larger of the two. z may be x or y.
func (z *Decimal) Add(x, y *Decimal) error { return z.sum(x, y, false) }

// Sub sets z to x - y, whose scale is the larger of the two. z may be x or y.
func (z *Decimal) Sub(x, y *Decimal) error { return z.sum(x, y, true) }

func (z *Decimal) sum(x, y *Decimal, minus bool) error {
	if !x.IsFinite() || !y.IsFinite() {
		z.sumSpecial(x, y, minus)
		return nil
	}
	op := exact.Add
	if minus {
		op = exact.Sub
	}
	if _, err := op(&z.d, &x.d, &y.d); err != nil {
		return numericFormatOverflow()
	}
	return z.check()
}

func (z *Decimal) sumSpecial(x, y *Decimal, minus bool) {
	yNegative := y.d.Negative != minus
	switch {
	case x.IsNaN() || y.IsNaN(), x.IsInf() && y.IsInf() && x.d.Negative != yNegative:
		z.setSpecial("NaN")
	case x.IsInf() && x.d.Negative, !x.IsInf() && yNegative:
		z.setSpecial("-Infinity")
	default:
		z.setSpecial("Infinity")
	}
}

// check normalizes the sign of zero and refuses what numeric cannot hold.
func (z *Decimal) check() error {
	if z.d.Coeff.Sign() == 0 {
		z.d.Negative = false
		return nil
	}
	// Only a long coefficient can be out of range, and then counting its digits does not matter.
	if z.d.Coeff.BitLen() > 64 && z.d.NumDigits()+int64(z.d.Exponent) > MaxNumericIntDigits {
		return numericFormatOverflow()
	}
	return nil
}

// Mul sets z to x * y, whose scale is the sum of the two. z may be x or y.
func (z *Decimal) Mul(x, y *Decimal) error {
	if !x.IsFinite() || !y.IsFinite() {
		z.mulSpecial(x, y)
		return nil
	}
	if x.d.NumDigits()+y.d.NumDigits()+int64(x.d.Exponent)+int64(y.d.Exponent) > MaxNumericIntDigits+1 {
		return numericFormatOverflow()
	}
	if _, err := exact.Mul(&z.d, &x.d, &y.d); err != nil {
		return numericFormatOverflow()
	}
	if z.Scale() > MaxNumericScale {
		z.Round(z, MaxNumericScale)
	}
	return z.check()
}

func (z *Decimal) mulSpecial(x, y *Decimal) {
	sx, sy := x.Sign(), y.Sign()
	switch {
	case x.IsNaN() || y.IsNaN() || sx == 0 || sy == 0:
		z.setSpecial("NaN")
	case sx == sy:
		z.setSpecial("Infinity")
	default:
		z.setSpecial("-Infinity")
	}
}

func divisionByZero() error { return sqlerr.New(sqlerr.DivisionByZero, "division by zero") }

// Div sets z to x / y with the scale that PostgreSQL chooses, rounded half away from zero. Division by zero is 22012.
// z may be x or y.
func (z *Decimal) Div(x, y *Decimal) error {
	if !x.IsFinite() || !y.IsFinite() {
		return z.divSpecial(x, y)
	}
	if y.Sign() == 0 {
		return divisionByZero()
	}
	z.quo(x, y, divScale(x, y))
	return z.check()
}

func (z *Decimal) divSpecial(x, y *Decimal) error {
	switch {
	case x.IsNaN() || y.IsNaN() || x.IsInf() && y.IsInf():
		z.setSpecial("NaN")
	case x.IsInf():
		switch {
		case y.Sign() == 0:
			return divisionByZero()
		case x.Sign() == y.Sign():
			z.setSpecial("Infinity")
		default:
			z.setSpecial("-Infinity")
		}
	default: // finite by infinite
		z.SetInt(0)
	}
	return nil
}

// quo sets z to x / y, both finite and y not zero, rounded half away from zero to scale digits.
func (z *Decimal) quo(x, y *Decimal, scale int) {
	negative := x.d.Negative != y.d.Negative
	var num, den, rem apd.BigInt
	num.Set(&x.d.Coeff)
	den.Set(&y.d.Coeff)
	shift := scale + y.Scale() - x.Scale()
	if shift >= 0 {
		mulPow10(&num, shift)
	} else {
		mulPow10(&den, -shift)
	}
	z.d.Coeff.QuoRem(&num, &den, &rem)
	rem.Add(&rem, &rem)
	if rem.Cmp(&den) >= 0 {
		z.d.Coeff.Add(&z.d.Coeff, apd.NewBigInt(1))
	}
	z.d.Form, z.d.Exponent, z.d.Negative = apd.Finite, int32(-scale), negative
}

// mulPow10 multiplies b by 10^n.
func mulPow10(b *apd.BigInt, n int) {
	if n == 0 {
		return
	}
	var p apd.BigInt
	if n <= 18 {
		pow := int64(1)
		for range n {
			pow *= 10
		}
		p.SetInt64(pow)
	} else {
		p.Exp(apd.NewBigInt(10), apd.NewBigInt(int64(n)), nil)
	}
	b.Mul(b, &p)
}

// divScale chooses a quotient's scale as PostgreSQL's numeric does, which counts in groups of four decimal digits.
func divScale(x, y *Decimal) int {
	wx, fx := leadingGroup(x)
	wy, fy := leadingGroup(y)
	qweight := wx - wy
	if fx <= fy {
		qweight--
	}
	scale := minSigDigits - qweight*4
	scale = max(scale, x.Scale(), y.Scale(), 0)
	return min(scale, maxDisplayScale)
}

// leadingGroup returns the weight (power of 10,000) and the value of the first group of four digits, aligned at the
// point, that is not zero.
func leadingGroup(x *Decimal) (weight, group int) {
	if x.d.Coeff.Sign() == 0 {
		return 0, 0
	}
	var buf [64]byte
	digits := x.d.Coeff.Append(buf[:0], 10)
	point := len(digits) - x.Scale() // digits before the point; may be negative
	top := point - 1                 // decimal weight of the first digit
	weight = floorDiv(top, 4)
	take := top - weight*4 + 1 // how many of the first digits belong to the leading group
	for i := range take {
		group *= 10
		if i < len(digits) {
			group += int(digits[i] - '0')
		}
	}
	return weight, group
}

func floorDiv(a, b int) int {
	q := a / b
	if a%b != 0 && (a < 0) != (b < 0) {
		q--
	}
	return q
}

// Mod sets z to the remainder of x / y truncated towards zero: it has the sign of x and the larger of the scales.
func (z *Decimal) Mod(x, y *Decimal) error {
	switch {
	case x.IsNaN() || y.IsNaN():
		z.setSpecial("NaN")
		return nil
	case y.IsFinite() && y.Sign() == 0:
		return divisionByZero()
	case x.IsInf():
		z.setSpecial("NaN")
		return nil
	case y.IsInf():
		z.Set(x)
		return nil
	}
	scale := max(x.Scale(), y.Scale())
	negative := x.d.Negative
	var num, den, quo apd.BigInt
	num.Set(&x.d.Coeff)
	den.Set(&y.d.Coeff)
	mulPow10(&num, scale-x.Scale())
	mulPow10(&den, scale-y.Scale())
	quo.QuoRem(&num, &den, &z.d.Coeff)
	z.d.Form, z.d.Exponent, z.d.Negative = apd.Finite, int32(-scale), negative
	return z.check()
}

// Neg sets z to -x.
func (z *Decimal) Neg(x *Decimal) {
	z.Set(x)
	if !z.IsNaN() && z.Sign() != 0 {
		z.d.Negative = !z.d.Negative
	}
}

// Abs sets z to |x|.
func (z *Decimal) Abs(x *Decimal) {
	z.Set(x)
	z.d.Negative = false
}

// Round sets z to x rounded half away from zero to scale digits after the point, also negative ones; the result shows
// max(scale, 0) digits.
func (z *Decimal) Round(x *Decimal, scale int) { z.rescale(x, scale, true) }

// Trunc sets z to x cut towards zero to scale digits after the point.
func (z *Decimal) Trunc(x *Decimal, scale int) { z.rescale(x, scale, false) }

// rescale serves round(), trunc() and typmods. The scale is clipped to what numeric can hold.
func (z *Decimal) rescale(x *Decimal, scale int, round bool) {
	z.Set(x)
	if !z.IsFinite() {
		return
	}
	scale = min(max(scale, -MaxNumericIntDigits), MaxNumericScale)
	drop := z.Scale() - scale
	if drop <= 0 {
		mulPow10(&z.d.Coeff, -drop)
		z.d.Exponent = int32(-scale)
		return
	}
	if int64(drop) > z.d.NumDigits() {
		z.d.Coeff.SetInt64(0)
	} else {
		z.cutDigits(drop, round)
	}
	if scale < 0 {
		mulPow10(&z.d.Coeff, -scale)
		scale = 0
	}
	z.d.Exponent = int32(-scale)
	if z.d.Coeff.Sign() == 0 {
		z.d.Negative = false
	}
}

// cutDigits drops the last n digits of the coefficient.
func (z *Decimal) cutDigits(n int, round bool) {
	var rem apd.BigInt
	den := apd.NewBigInt(1)
	mulPow10(den, n)
	z.d.Coeff.QuoRem(&z.d.Coeff, den, &rem)
	rem.Add(&rem, &rem)
	if round && rem.Cmp(den) >= 0 {
		z.d.Coeff.Add(&z.d.Coeff, apd.NewBigInt(1))
	}
}

// Floor sets z to the largest integer not above x, and Ceil to the smallest not below.
func (z *Decimal) Floor(x *Decimal) { z.toward(x, -1) }

// Ceil sets z to the smallest integer not below x.
func (z *Decimal) Ceil(x *Decimal) { z.toward(x, 1) }

func (z *Decimal) toward(x *Decimal, sign int) {
	var cut Decimal
	cut.Trunc(x, 0)
	if x.IsFinite() && x.Sign() == sign && cut.Cmp(x) != 0 {
		one := NewDecimal(int64(sign), 0)
		_, _ = exact.Add(&cut.d, &cut.d, &one.d) // integers of bounded size: exact
	}
	z.Set(&cut)
}

// Cmp compares by value, scale aside; NaN equals itself and is greatest.
func (z *Decimal) Cmp(x *Decimal) int {
	if z.IsNaN() || x.IsNaN() {
		switch {
		case z.IsNaN() && x.IsNaN():
			return 0
		case z.IsNaN():
			return 1
		}
		return -1
	}
	return z.d.Cmp(&x.d)
}

// applyNumericMod rounds to numeric(p,s) and refuses what has more than p-s digits before the point.
func applyNumericMod(t Type, d Datum) (Datum, error) {
	precision, scale, ok := t.NumericMod()
	if !ok {
		return d, nil
	}
	if fitsNumericMod(d.S, precision, scale) {
		return d, nil
	}
	z := DecimalOf(d.S)
	if z.IsNaN() {
		return d, nil
	}
	overflow := func(detail string, args ...any) error {
		return sqlerr.New(sqlerr.NumericValueOutOfRange, "numeric field overflow").WithDetail(detail, args...)
	}
	if z.IsInf() {
		return NullDatum, overflow("A field with precision %d, scale %d cannot hold an infinite value.", precision, scale)
	}
	z.Round(z, scale)
	if z.Sign() != 0 && int(z.d.NumDigits())-z.Scale() > precision-scale {
		if precision == scale {
			return NullDatum, overflow("A field with precision %d, scale %d must round to an absolute value less than 1.", precision, scale)
		}
		return NullDatum, overflow("A field with precision %d, scale %d must round to an absolute value less than 10^%d.",
			precision, scale, precision-scale)
	}
	return z.Datum(), nil
}

// fitsNumericMod is the fast path of applyNumericMod: a number that has just the scale and few enough digits.
func fitsNumericMod(s string, precision, scale int) bool {
	digits := strings.TrimPrefix(s, "-")
	point := strings.IndexByte(digits, '.')
	if point < 0 {
		point = len(digits)
		if scale != 0 {
			return false
		}
	} else if len(digits)-point-1 != scale {
		return false
	}
	return point <= precision-scale && digits != "" && digits[0] >= '0' && digits[0] <= '9'
}

// Digits is the finite z times 10^scale, where scale is at least z's own.
func (z *Decimal) Digits(scale int) *big.Int {
	out := new(big.Int).Set(z.d.Coeff.MathBigInt())
	if z.d.Negative {
		out.Neg(out)
	}
	return out.Mul(out, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale-z.Scale())), nil))
}

// DecimalFromDigits is the reverse of Digits. The error is that of a number that numeric does not hold.
func DecimalFromDigits(digits *big.Int, scale int) (*Decimal, error) {
	z := &Decimal{}
	z.d.Form, z.d.Negative, z.d.Exponent = apd.Finite, digits.Sign() < 0, int32(-scale)
	z.d.Coeff.SetMathBigInt(new(big.Int).Abs(digits))
	return z, z.check()
}
