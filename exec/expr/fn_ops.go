package expr

import (
	"math"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql/types"
)

// The operators that fast.go leaves: numeric arithmetic, shifts, powers and roots, and comparisons of the types that are not machine words.

func init() {
	for _, k := range []string{"interval", "jsonb", "oidvector", "anyarray", "record"} {
		for op, test := range compareTests {
			row(op+"("+k+","+k+")", compareRows(test))
		}
	}
	registerCompare("numeric", "numeric", numericCompare)
	registerNumericArithmetic()
	registerShifts()
	row("^(float8,float8)", floatRow2(power))
	row("|/(float8)", floatRow(squareRoot))
	row("||/(float8)", floatRow(func(x float64) (float64, error) { return math.Cbrt(x), nil }))
}

func registerNumericArithmetic() {
	for name, f := range map[string]func(z, x, y *types.Decimal) error{
		"+": (*types.Decimal).Add, "-": (*types.Decimal).Sub, "*": (*types.Decimal).Mul, "/": (*types.Decimal).Div,
		"%": (*types.Decimal).Mod, "mod": (*types.Decimal).Mod, "div": (*types.Decimal).Quo, "^": (*types.Decimal).Pow,
		"power": (*types.Decimal).Pow, "pow": (*types.Decimal).Pow, "log": func(z, x, y *types.Decimal) error { return z.Log(x, y) },
	} {
		vector(name+"(numeric,numeric)", numericBinary(f))
	}
	for name, f := range map[string]func(z, x *types.Decimal){
		"-": (*types.Decimal).Neg, "+": (*types.Decimal).Set, "@": (*types.Decimal).Abs, "abs": (*types.Decimal).Abs,
		"ceil": (*types.Decimal).Ceil, "ceiling": (*types.Decimal).Ceil, "floor": (*types.Decimal).Floor,
		"round":      func(z, x *types.Decimal) { z.Round(x, 0) },
		"trunc":      func(z, x *types.Decimal) { z.Trunc(x, 0) },
		"trim_scale": (*types.Decimal).TrimScale,
		"sign":       numericSign,
	} {
		vector(name+"(numeric)", numericUnary(func(z, x *types.Decimal) error { f(z, x); return nil }))
	}
	for name, f := range map[string]func(z, x *types.Decimal) error{
		"sqrt": (*types.Decimal).Sqrt, "exp": (*types.Decimal).Exp, "ln": (*types.Decimal).Ln, "log": log10Numeric, "log10": log10Numeric,
	} {
		vector(name+"(numeric)", numericUnary(f))
	}
	vector("round(numeric,int4)", numericScaled((*types.Decimal).Round))
	vector("trunc(numeric,int4)", numericScaled((*types.Decimal).Trunc))
}

func numericSign(z, x *types.Decimal) {
	if x.IsNaN() {
		z.Set(x)
		return
	}
	z.SetInt(int64(x.Sign()))
}

func log10Numeric(z, x *types.Decimal) error { return z.Log(types.NewDecimal(10, 0), x) }

// setDecimal makes row i of out the text of d.
func setDecimal(out *vec.Vector, i int, d *types.Decimal) {
	mark := len(out.Data)
	out.Data = d.Append(out.Data)
	out.SetSince(i, mark)
}

func numericBinary(f func(z, x, y *types.Decimal) error) vecFunc {
	return func(args []*vec.Vector, sel []int32, out *vec.Vector, errs *Errors) {
		var x, y, z types.Decimal
		for _, i := range sel {
			x.SetText(args[0].Str(int(i)))
			y.SetText(args[1].Str(int(i)))
			if err := f(&z, &x, &y); err != nil {
				errs.Add(i, err)
				continue
			}
			setDecimal(out, int(i), &z)
		}
	}
}

func numericUnary(f func(z, x *types.Decimal) error) vecFunc {
	return func(args []*vec.Vector, sel []int32, out *vec.Vector, errs *Errors) {
		var x, z types.Decimal
		for _, i := range sel {
			x.SetText(args[0].Str(int(i)))
			if err := f(&z, &x); err != nil {
				errs.Add(i, err)
				continue
			}
			setDecimal(out, int(i), &z)
		}
	}
}

// numericScaled is round(x, n) and its like; n is clamped to what a numeric can show, as in PostgreSQL.
func numericScaled(f func(z, x *types.Decimal, scale int)) vecFunc {
	return func(args []*vec.Vector, sel []int32, out *vec.Vector, _ *Errors) {
		var x, z types.Decimal
		for _, i := range sel {
			x.SetText(args[0].Str(int(i)))
			f(&z, &x, int(min(max(args[1].I64[i], -types.MaxNumericIntDigits), types.MaxNumericScale)))
			setDecimal(out, int(i), &z)
		}
	}
}

func numericCompare(test func(int) bool) vecFunc {
	return func(args []*vec.Vector, sel []int32, out *vec.Vector, _ *Errors) {
		for _, i := range sel {
			out.I64[i] = b2i(test(types.CompareNumeric(args[0].Str(int(i)), args[1].Str(int(i)))))
		}
	}
}

// registerShifts registers << and >>. Like PostgreSQL's, they are those of the machine: the count is taken modulo the word's width
// (32 bits for smallint), and bits that leave the type are lost.
func registerShifts() {
	shift := func(left bool, wrap func(int64) int64, mask int64) vecFunc {
		return func(args []*vec.Vector, sel []int32, out *vec.Vector, _ *Errors) {
			for _, i := range sel {
				n := uint64(args[1].I64[i] & mask)
				if left {
					out.I64[i] = wrap(args[0].I64[i] << n)
				} else {
					out.I64[i] = args[0].I64[i] >> n
				}
			}
		}
	}
	for _, k := range []struct {
		name string
		wrap func(int64) int64
		mask int64
	}{
		{"int2", func(x int64) int64 { return int64(int16(x)) }, 31},
		{"int4", func(x int64) int64 { return int64(int32(x)) }, 31},
		{"int8", func(x int64) int64 { return x }, 63},
	} {
		vector("<<("+k.name+",int4)", shift(true, k.wrap, k.mask))
		vector(">>("+k.name+",int4)", shift(false, k.wrap, k.mask))
	}
}

// floatRow makes an implementation of a function of one float; the result must be finite if the argument is.
func floatRow(f func(float64) (float64, error)) rowFunc {
	return func(_ *Call, a []types.Datum) (types.Datum, error) {
		r, err := f(a[0].F)
		return types.FloatDatum(r), err
	}
}

func floatRow2(f func(x, y float64) (float64, error)) rowFunc {
	return func(_ *Call, a []types.Datum) (types.Datum, error) {
		r, err := f(a[0].F, a[1].F)
		return types.FloatDatum(r), err
	}
}

var errNegativeRoot = sqlerr.New("2201F", "cannot take square root of a negative number")

func squareRoot(x float64) (float64, error) {
	if x < 0 {
		return 0, errNegativeRoot
	}
	return math.Sqrt(x), nil
}

// power is x ^ y with PostgreSQL's errors; math.Pow has its special cases of NaN, infinities and zero (C99).
func power(x, y float64) (float64, error) {
	switch {
	case math.IsNaN(x) || math.IsNaN(y):
		return math.Pow(x, y), nil
	case x == 0 && y < 0:
		return 0, sqlerr.New("2201F", "zero raised to a negative power is undefined")
	case x < 0 && !math.IsInf(x, 0) && !math.IsInf(y, 0) && y != math.Floor(y):
		return 0, sqlerr.New("2201F", "a negative number raised to a non-integer power yields a complex result")
	}
	r := math.Pow(x, y)
	if !math.IsInf(x, 0) && !math.IsInf(y, 0) {
		if math.IsInf(r, 0) {
			return 0, errFloatOverflow
		}
		if r == 0 && x != 0 {
			return 0, errFloatUnderflow
		}
	}
	return r, nil
}
