package types

import (
	"math"

	"github.com/cockroachdb/apd/v3"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// SQLSTATEs of numeric functions.
const (
	invalidArgumentForLog   sqlerr.Code = "2201E"
	invalidArgumentForPower sqlerr.Code = "2201F"
)

// guardDigits are computed beyond those asked for, so that rounding comes out right.
const guardDigits = 10

// log10e is the logarithm of e to base 10, from natural exponents to decimal digits.
const log10e = 0.434294481903252

// maxExpArgument bounds what exp() takes: beyond it the result has more digits than a numeric keeps.
const maxExpArgument = 6000

// resultScale keeps a scale that a function chose between the scales of its arguments and the limit.
func resultScale(scale int, args ...*Decimal) int {
	for _, a := range args {
		scale = max(scale, a.Scale())
	}
	return min(max(scale, 0), maxDisplayScale)
}

func precise(digits int) *apd.Context {
	c := apd.BaseContext.WithPrecision(uint32(max(digits, 1) + guardDigits))
	c.Rounding = apd.RoundHalfUp
	c.Traps = 0
	return c
}

// roundFrom sets z to what a function computed, rounded to scale.
func (z *Decimal) roundFrom(d *apd.Decimal, scale int) error {
	if d.Form != apd.Finite || d.NumDigits()+int64(d.Exponent) > MaxNumericIntDigits {
		return numericFormatOverflow()
	}
	var x Decimal
	x.d.Set(d)
	if x.d.Exponent > 0 {
		mulPow10(&x.d.Coeff, int(x.d.Exponent))
		x.d.Exponent = 0
	}
	z.Round(&x, scale)
	return nil
}

// Sqrt sets z to the square root of x; 2201F for a negative number.
func (z *Decimal) Sqrt(x *Decimal) error {
	if x.IsNaN() {
		z.Set(x)
		return nil
	}
	if x.Sign() < 0 {
		return sqlerr.New(invalidArgumentForPower, "cannot take square root of a negative number")
	}
	if x.IsInf() {
		z.Set(x)
		return nil
	}
	weight, _ := leadingGroup(x)
	scale := resultScale(minSigDigits-(2*weight+1), x)
	var out apd.Decimal
	if _, err := precise(2*max(weight, 0)+2+scale).Sqrt(&out, &x.d); err != nil {
		return numericFormatOverflow()
	}
	return z.roundFrom(&out, scale)
}

func (z *Decimal) setZero(scale int) {
	z.SetInt(0)
	z.d.Exponent = int32(-scale)
}

// approx returns a finite x as a float, infinite if it is beyond them.
func (z *Decimal) approx() float64 {
	f, err := z.d.Float64()
	if err != nil && !math.IsInf(f, 0) {
		return 0
	}
	return f
}

// Exp sets z to e raised to x.
func (z *Decimal) Exp(x *Decimal) error {
	switch {
	case x.IsNaN() || x.IsInf() && x.Sign() > 0:
		z.Set(x)
		return nil
	case x.IsInf():
		z.SetInt(0)
		return nil
	}
	return z.expScaled(x, x.approx(), x)
}

// expScaled sets z to e raised to x, about val, with a scale not below those of args.
func (z *Decimal) expScaled(x *Decimal, val float64, args ...*Decimal) error {
	weight := int(min(max(val*log10e, -2000), 2000))
	scale := resultScale(minSigDigits-weight, args...)
	if math.Abs(val) >= maxExpArgument {
		if val > 0 {
			return numericFormatOverflow()
		}
		z.setZero(scale)
		return nil
	}
	var out apd.Decimal
	if _, err := precise(max(weight+1, 0)+scale).Exp(&out, &x.d); err != nil {
		return numericFormatOverflow()
	}
	return z.roundFrom(&out, scale)
}

// lnWeight estimates the decimal weight of the logarithm of x, as PostgreSQL does to choose scales.
func lnWeight(x *Decimal) int {
	if x.Cmp(NewDecimal(9, 1)) >= 0 && x.Cmp(NewDecimal(11, 1)) <= 0 {
		var diff Decimal
		if err := diff.Sub(x, NewDecimal(1, 0)); err != nil || diff.Sign() == 0 {
			return 0
		}
		weight, group := leadingGroup(&diff)
		return weight*4 + int(math.Log10(float64(group)))
	}
	return int(math.Log10(math.Abs(lnOf(x))))
}

// checkLog refuses what has no logarithm.
func checkLog(args ...*Decimal) error {
	for _, x := range args {
		if x.Sign() < 0 {
			return sqlerr.New(invalidArgumentForLog, "cannot take logarithm of a negative number")
		}
	}
	for _, x := range args {
		if x.Sign() == 0 {
			return sqlerr.New(invalidArgumentForLog, "cannot take logarithm of zero")
		}
	}
	return nil
}

// Ln sets z to the natural logarithm of x; 2201E unless x is positive.
func (z *Decimal) Ln(x *Decimal) error {
	if err := checkLog(x); err != nil {
		return err
	}
	if !x.IsFinite() {
		z.Set(x)
		return nil
	}
	weight := lnWeight(x)
	scale := resultScale(minSigDigits-weight, x)
	var out apd.Decimal
	if _, err := precise(max(weight, 0)+1+scale).Ln(&out, &x.d); err != nil {
		return numericFormatOverflow()
	}
	return z.roundFrom(&out, scale)
}

// Log sets z to the logarithm of x to a base; 2201E unless both are positive, 22012 for base 1.
func (z *Decimal) Log(base, x *Decimal) error {
	if base.IsNaN() || x.IsNaN() {
		z.setSpecial("NaN")
		return nil
	}
	err := checkLog(base)
	if !base.IsFinite() || !x.IsFinite() || err == nil {
		err = checkLog(base, x) // PostgreSQL looks at both signs first when one is infinite
	}
	if err != nil {
		return err
	}
	switch {
	case base.IsInf() && x.IsInf():
		z.setSpecial("NaN")
		return nil
	case base.IsInf():
		z.SetInt(0)
		return nil
	case x.IsInf():
		z.Set(x)
		return nil
	}
	baseWeight, weight := lnWeight(base), lnWeight(x)
	scale := resultScale(minSigDigits-(weight-baseWeight), base, x)
	ctx := precise(scale + max(weight, 0) + max(-baseWeight, 0) + 2)
	var lnBase, lnX, out apd.Decimal
	if _, err := ctx.Ln(&lnBase, &base.d); err != nil {
		return numericFormatOverflow()
	}
	if _, err := ctx.Ln(&lnX, &x.d); err != nil {
		return numericFormatOverflow()
	}
	if lnBase.IsZero() {
		return divisionByZero()
	}
	if _, err := ctx.Quo(&out, &lnX, &lnBase); err != nil {
		return numericFormatOverflow()
	}
	return z.roundFrom(&out, scale)
}

// Pow sets z to x raised to y; 2201F for zero to a negative power and for a negative number to a fraction.
func (z *Decimal) Pow(x, y *Decimal) error {
	if !x.IsFinite() || !y.IsFinite() {
		return z.powSpecial(x, y)
	}
	if x.Sign() == 0 && y.Sign() < 0 {
		return sqlerr.New(invalidArgumentForPower, "zero raised to a negative power is undefined")
	}
	var whole Decimal
	whole.Trunc(y, 0)
	isWhole := whole.Cmp(y) == 0
	if x.Sign() < 0 && !isWhole {
		return sqlerr.New(invalidArgumentForPower, "a negative number raised to a non-integer power yields a complex result")
	}
	if isWhole {
		if n, err := whole.Int(Int4); err == nil {
			return z.powInt(x, n)
		}
	}
	if x.Sign() == 0 {
		z.setZero(minSigDigits)
		return nil
	}
	return z.powReal(x, y, &whole, isWhole)
}

func (z *Decimal) powSpecial(x, y *Decimal) error {
	one := NewDecimal(1, 0)
	switch {
	case y.IsFinite() && y.Sign() == 0, x.IsFinite() && x.Cmp(one) == 0:
		z.SetInt(1)
		return nil
	case x.IsNaN() || y.IsNaN():
		z.setSpecial("NaN")
		return nil
	case x.IsFinite() && x.Sign() == 0 && y.Sign() < 0:
		return sqlerr.New(invalidArgumentForPower, "zero raised to a negative power is undefined")
	case x.IsInf() && x.Sign() < 0 && y.IsFinite():
		var whole Decimal
		if whole.Trunc(y, 0); whole.Cmp(y) != 0 {
			return sqlerr.New(invalidArgumentForPower, "a negative number raised to a non-integer power yields a complex result")
		}
	}
	a, _ := x.Float64()
	b, _ := y.Float64()
	if x.IsFinite() && math.Abs(a) == 1 && x.Cmp(one) != 0 { // next to one but not one, or minus one
		cmp := new(Decimal)
		cmp.Abs(x)
		a = 1 + 0.5*float64(cmp.Cmp(one))
	}
	switch f := math.Pow(a, b); {
	case math.IsInf(f, 0):
		z.setSpecial(string(appendFloat(nil, f, 64)))
	default:
		z.SetInt(int64(f)) // zero or one
	}
	return nil
}

// powInt raises to an integer. The result shows at least 16 digits after the point, as in PostgreSQL 15.
func (z *Decimal) powInt(x *Decimal, n int64) error {
	scale := resultScale(minSigDigits, x)
	weight := 0.0 // decimal weight of the result
	if x.Sign() != 0 {
		var abs Decimal
		abs.Abs(x)
		weight = max(lnOf(&abs)*float64(n)*log10e, 0)
	}
	if weight >= MaxNumericIntDigits {
		return numericFormatOverflow()
	}
	exp := apd.New(n, 0)
	var out apd.Decimal
	ctx := precise(scale + int(weight) + 1)
	if _, err := ctx.Pow(&out, &x.d, exp); err != nil {
		return numericFormatOverflow()
	}
	if out.Form == apd.NaN { // zero to the power of zero
		out.Set(apd.New(1, 0))
	}
	return z.roundFrom(&out, scale)
}

// lnOf is the natural logarithm of a positive number as a float.
func lnOf(x *Decimal) float64 {
	var lead apd.BigInt
	lead.Set(&x.d.Coeff)
	shift := int64(0)
	if digits := x.d.NumDigits(); digits > 15 {
		shift = digits - 15
		den := apd.NewBigInt(1)
		mulPow10(den, int(shift))
		lead.Quo(&lead, den)
	}
	return math.Log(float64(lead.Int64())) + float64(shift+int64(x.d.Exponent))*math.Ln10
}

// powReal computes e^(y ln x).
func (z *Decimal) powReal(x, y, whole *Decimal, isWhole bool) error {
	var base Decimal
	base.Abs(x)
	val := lnOf(&base) * y.approx()
	if math.Abs(val) > maxExpArgument*1.003 {
		if val > 0 {
			return numericFormatOverflow()
		}
		z.setZero(maxDisplayScale)
		return nil
	}
	digits := int(math.Abs(val*log10e)) + 1
	ctx := precise(2*digits + resultScale(minSigDigits-int(val*log10e), x, y))
	var ln, product apd.Decimal
	if _, err := ctx.Ln(&ln, &base.d); err != nil {
		return numericFormatOverflow()
	}
	if _, err := ctx.Mul(&product, &ln, &y.d); err != nil {
		return numericFormatOverflow()
	}
	negative := x.Sign() < 0 && isWhole && whole.d.Coeff.Bit(0) == 1
	var arg Decimal
	arg.d.Set(&product)
	if err := z.expScaled(&arg, val, x, y); err != nil {
		return err
	}
	if negative {
		z.Neg(z)
	}
	return nil
}

// Quo sets z to x / y cut towards zero to an integer, as div() does.
func (z *Decimal) Quo(x, y *Decimal) error {
	if !x.IsFinite() || !y.IsFinite() {
		return z.divSpecial(x, y)
	}
	if y.Sign() == 0 {
		return divisionByZero()
	}
	var rem, whole Decimal
	if err := rem.Mod(x, y); err != nil {
		return err
	}
	if err := whole.Sub(x, &rem); err != nil {
		return err
	}
	z.quo(&whole, y, 0)
	return z.check()
}

// MinScale returns the digits after the point that are needed.
func (z *Decimal) MinScale() int {
	_, frac := cutPoint(z.String())
	return len(frac)
}

// TrimScale sets z to x without zeros at the end.
func (z *Decimal) TrimScale(x *Decimal) {
	z.Set(x)
	if x.IsFinite() {
		z.Round(x, x.MinScale())
	}
}

// cutPoint splits canonical text at the point and drops zeros at the end.
func cutPoint(s string) (whole, frac string) {
	m := shortestNumeric(s)
	for i := range len(m) {
		if m[i] == '.' {
			return m[:i], m[i+1:]
		}
	}
	return m, ""
}
