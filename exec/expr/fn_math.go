package expr

import (
	"math"
	"math/big"
	"sort"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql/types"
)

// Mathematical functions (PostgreSQL docs, 9.3). Those of numerics over vectors are in fn_ops.go.

func init() {
	registerFloatFunctions()
	registerTrigonometry()
	registerIntegerFunctions()
	row("scale(numeric)", func(_ *Call, a []types.Datum) (types.Datum, error) {
		if d := types.DecimalOf(a[0].S); d.IsFinite() {
			return types.IntDatum(int64(d.Scale())), nil
		}
		return types.NullDatum, nil
	})
	row("min_scale(numeric)", func(_ *Call, a []types.Datum) (types.Datum, error) {
		if d := types.DecimalOf(a[0].S); d.IsFinite() {
			return types.IntDatum(int64(d.MinScale())), nil
		}
		return types.NullDatum, nil
	})
	row("width_bucket(float8,float8,float8,int4)", func(_ *Call, a []types.Datum) (types.Datum, error) {
		n, err := widthBucket(a[0].F, a[1].F, a[2].F, a[3].I)
		return types.IntDatum(n), err
	})
	row("width_bucket(numeric,numeric,numeric,int4)", func(_ *Call, a []types.Datum) (types.Datum, error) {
		n, err := widthBucketNumeric(types.DecimalOf(a[0].S), types.DecimalOf(a[1].S), types.DecimalOf(a[2].S), a[3].I)
		return types.IntDatum(n), err
	})
	row("random()", func(c *Call, _ []types.Datum) (types.Datum, error) {
		if c.Env.Random == nil {
			return types.NullDatum, sqlerr.New(sqlerr.FeatureNotSupported, "random() is not available here")
		}
		return types.FloatDatum(c.Env.Random()), nil
	})
}

// exact makes a function that cannot fail.
func exact(f func(float64) float64) rowFunc {
	return floatRow(func(x float64) (float64, error) { return f(x), nil })
}

func registerFloatFunctions() {
	for name, f := range map[string]func(float64) float64{
		"ceil": math.Ceil, "ceiling": math.Ceil, "floor": math.Floor, "round": math.RoundToEven, "trunc": math.Trunc,
		"cbrt": math.Cbrt, "radians": func(x float64) float64 { return x * (math.Pi / 180) },
	} {
		row(name+"(float8)", exact(f))
	}
	row("sign(float8)", exact(func(x float64) float64 {
		switch {
		case x > 0:
			return 1
		case x < 0:
			return -1
		}
		return 0
	}))
	row("degrees(float8)", floatRow(func(x float64) (float64, error) {
		r := x / (math.Pi / 180)
		if math.IsInf(r, 0) && !math.IsInf(x, 0) {
			return 0, errFloatOverflow
		}
		return r, nil
	}))
	row("sqrt(float8)", floatRow(squareRoot))
	row("power(float8,float8)", floatRow2(power))
	row("pow(float8,float8)", floatRow2(power))
	row("exp(float8)", floatRow(func(x float64) (float64, error) {
		r := math.Exp(x)
		if math.IsInf(r, 1) && !math.IsInf(x, 1) {
			return 0, errFloatOverflow
		}
		if r == 0 && !math.IsInf(x, -1) {
			return 0, errFloatUnderflow
		}
		return r, nil
	}))
	row("ln(float8)", floatRow(logarithm(math.Log)))
	row("log(float8)", floatRow(logarithm(math.Log10)))
	row("log10(float8)", floatRow(logarithm(math.Log10)))
	row("pi()", func(*Call, []types.Datum) (types.Datum, error) { return types.FloatDatum(math.Pi), nil })
}

func logarithm(f func(float64) float64) func(float64) (float64, error) {
	return func(x float64) (float64, error) {
		switch {
		case x == 0:
			return 0, sqlerr.New("2201E", "cannot take logarithm of zero")
		case x < 0:
			return 0, sqlerr.New("2201E", "cannot take logarithm of a negative number")
		}
		return f(x), nil
	}
}

var errInputRange = sqlerr.New(sqlerr.NumericValueOutOfRange, "input is out of range")

func registerTrigonometry() {
	for name, f := range map[string]func(float64) float64{
		"sin": math.Sin, "cos": math.Cos, "tan": math.Tan, "cot": func(x float64) float64 { return 1 / math.Tan(x) },
	} {
		row(name+"(float8)", floatRow(func(x float64) (float64, error) {
			if math.IsInf(x, 0) {
				return 0, errInputRange
			}
			return f(x), nil
		}))
	}
	for name, f := range map[string]func(float64) float64{"asin": math.Asin, "acos": math.Acos} {
		row(name+"(float8)", floatRow(within(f, -1, 1)))
	}
	row("atan(float8)", exact(math.Atan))
	row("atan2(float8,float8)", floatRow2(func(x, y float64) (float64, error) { return math.Atan2(x, y), nil }))
	row("asinh(float8)", exact(math.Asinh))
	row("acosh(float8)", floatRow(within(math.Acosh, 1, math.Inf(1))))
	row("atanh(float8)", floatRow(within(math.Atanh, -1, 1)))
	row("sinh(float8)", exact(math.Sinh))
	row("cosh(float8)", exact(math.Cosh))
	row("tanh(float8)", exact(math.Tanh))
}

// within makes a function that takes numbers from low to high, and NaN.
func within(f func(float64) float64, low, high float64) func(float64) (float64, error) {
	return func(x float64) (float64, error) {
		if x < low || x > high {
			return 0, errInputRange
		}
		return f(x), nil
	}
}

func registerIntegerFunctions() {
	for _, k := range []intKind{intKinds[1], intKinds[2]} {
		sig := "(" + k.name + "," + k.name + ")"
		row("gcd"+sig, func(_ *Call, a []types.Datum) (types.Datum, error) {
			g, ok := gcd(a[0].I, a[1].I)
			if !ok || g > k.max {
				return types.NullDatum, k.outOfRange()
			}
			return types.IntDatum(g), nil
		})
		row("lcm"+sig, func(_ *Call, a []types.Datum) (types.Datum, error) {
			x, y := a[0].I, a[1].I
			if x == 0 || y == 0 {
				return types.IntDatum(0), nil
			}
			g, ok := gcd(x, y)
			if !ok {
				return types.NullDatum, k.outOfRange()
			}
			l, ok := mulInt(x/g, y)
			if l = max(l, -l); !ok || l < 0 || l > k.max {
				return types.NullDatum, k.outOfRange()
			}
			return types.IntDatum(l), nil
		})
	}
	row("gcd(numeric,numeric)", numericDivisor(func(g, _, _ *big.Int) *big.Int { return g }))
	row("lcm(numeric,numeric)", numericDivisor(func(g, a, b *big.Int) *big.Int {
		if g.Sign() == 0 {
			return g
		}
		l := new(big.Int).Quo(a, g)
		return l.Abs(l.Mul(l, b))
	}))
	row("width_bucket(anyelement,anyarray)", bucketOf)
	row("factorial(int8)", func(_ *Call, a []types.Datum) (types.Datum, error) {
		n := a[0].I
		switch {
		case n < 0:
			return types.NullDatum, sqlerr.New(sqlerr.NumericValueOutOfRange, "factorial of a negative number is undefined")
		case n > maxFactorial:
			return types.NullDatum, sqlerr.New(sqlerr.NumericValueOutOfRange, "value overflows numeric format")
		}
		return types.BytesDatum(new(big.Int).MulRange(1, max(n, 1)).String()), nil
	})
}

// numericDivisor makes gcd or lcm of numerics from the greatest common divisor of their digits.
func numericDivisor(of func(g, a, b *big.Int) *big.Int) rowFunc {
	return func(_ *Call, args []types.Datum) (types.Datum, error) {
		x, y := types.DecimalOf(args[0].S), types.DecimalOf(args[1].S)
		if !x.IsFinite() || !y.IsFinite() {
			return types.BytesDatum("NaN"), nil
		}
		scale := max(x.Scale(), y.Scale(), 0)
		a, b := x.Digits(scale), y.Digits(scale)
		g := new(big.Int).GCD(nil, nil, new(big.Int).Abs(a), new(big.Int).Abs(b))
		out, err := types.DecimalFromDigits(of(g, a, b), scale)
		if err != nil {
			return types.NullDatum, err
		}
		return out.Datum(), nil
	}
}

// bucketOf is the number of the bucket of a[0] among those that the array's values, which are sorted, begin.
func bucketOf(c *Call, a []types.Datum) (types.Datum, error) {
	elem := elemOf(c.Args[1])
	bounds := c.elements(1, a[1])
	for _, b := range bounds {
		if b.Null {
			return types.NullDatum, sqlerr.New(sqlerr.NullValueNotAllowed, "thresholds array must not contain NULLs")
		}
	}
	n := sort.Search(len(bounds), func(i int) bool { return types.Compare(elem, bounds[i], a[0]) > 0 })
	return types.IntDatum(int64(n)), nil
}

// maxFactorial is the largest number whose factorial a numeric holds.
const maxFactorial = 32177

// gcd is the greatest common divisor; false if it is 2^63.
func gcd(a, b int64) (int64, bool) {
	for b != 0 {
		if b == -1 {
			return 1, true
		}
		a, b = b, a%b
	}
	if a == math.MinInt64 {
		return 0, false
	}
	return max(a, -a), true
}

func bucketError(message string) error {
	return sqlerr.New("2201G", "%s", message)
}

func widthBucket(x, low, high float64, count int64) (int64, error) {
	switch {
	case count <= 0:
		return 0, bucketError("count must be greater than zero")
	case math.IsNaN(x) || math.IsNaN(low) || math.IsNaN(high):
		return 0, bucketError("operand, lower bound, and upper bound cannot be NaN")
	case math.IsInf(low, 0) || math.IsInf(high, 0):
		return 0, bucketError("lower and upper bounds must be finite")
	case low == high:
		return 0, bucketError("lower bound cannot equal upper bound")
	}
	n := int64(0)
	past := x >= high
	before := x < low
	if low > high {
		before, past = x > low, x <= high
	}
	switch {
	case before:
	case past:
		n = count + 1
	default:
		n = min(int64((x-low)/(high-low)*float64(count)), count-1) + 1
	}
	if n > math.MaxInt32 {
		return 0, intKinds[1].outOfRange()
	}
	return n, nil
}

func widthBucketNumeric(x, low, high *types.Decimal, count int64) (int64, error) {
	switch {
	case count <= 0:
		return 0, bucketError("count must be greater than zero")
	case x.IsNaN() || low.IsNaN() || high.IsNaN():
		return 0, bucketError("operand, lower bound, and upper bound cannot be NaN")
	case low.IsInf() || high.IsInf():
		return 0, bucketError("lower and upper bounds must be finite")
	}
	order := low.Cmp(high)
	if order == 0 {
		return 0, bucketError("lower bound cannot equal upper bound")
	}
	switch {
	case x.Cmp(low)*order > 0:
		return 0, nil
	case x.Cmp(high)*order <= 0:
		if count == math.MaxInt32 {
			return 0, intKinds[1].outOfRange()
		}
		return count + 1, nil
	}
	// (x - low) * count / (high - low), cut to an integer
	var part, span types.Decimal
	for _, err := range []error{part.Sub(x, low), span.Sub(high, low), part.Mul(&part, types.NewDecimal(count, 0)), part.Quo(&part, &span)} {
		if err != nil {
			return 0, err
		}
	}
	n, err := part.Int(types.Int4)
	return n + 1, err
}
