package expr

import (
	"bytes"
	"cmp"
	"math"
	"math/bits"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql/types"
)

// The operators on machine types, over vectors. Integer arithmetic fails on overflow (22003) and division by zero (22012) as in
// PostgreSQL; float arithmetic fails on overflow and underflow of finite operands.

var (
	errDivisionByZero = sqlerr.New(sqlerr.DivisionByZero, "division by zero")
	errFloatOverflow  = sqlerr.New(sqlerr.NumericValueOutOfRange, "value out of range: overflow")
	errFloatUnderflow = sqlerr.New(sqlerr.NumericValueOutOfRange, "value out of range: underflow")
)

type intKind struct {
	name     string // as in function IDs
	sqlName  string
	min, max int64
	rank     int
}

var intKinds = []intKind{
	{"int2", "smallint", math.MinInt16, math.MaxInt16, 1},
	{"int4", "integer", math.MinInt32, math.MaxInt32, 2},
	{"int8", "bigint", math.MinInt64, math.MaxInt64, 3},
}

func (k intKind) outOfRange() error {
	return sqlerr.New(sqlerr.NumericValueOutOfRange, "%s out of range", k.sqlName)
}

func init() {
	for _, l := range intKinds {
		registerIntOps(l)
		k := l
		vector("-("+l.name+")", intUnary(k, func(x int64) (int64, bool) { return -x, x != math.MinInt64 }))
		vector("+("+l.name+")", intUnary(k, func(x int64) (int64, bool) { return x, true }))
		vector("~("+l.name+")", intUnary(k, func(x int64) (int64, bool) { return ^x, true }))
		for _, name := range []string{"abs", "@"} {
			vector(name+"("+l.name+")", intUnary(k, func(x int64) (int64, bool) { return max(x, -x), x != math.MinInt64 }))
		}
	}
	for _, k := range []string{"float4", "float8"} {
		registerFloatOps(k)
	}
	registerCompare("bool", "bool", intCompare)
	for _, k := range []string{"date", "time", "timestamp", "timestamptz", "oid", "anyenum"} {
		registerCompare(k, k, intCompare)
	}
	for _, k := range []string{"text", "bytea", "uuid", "name", "char"} {
		registerCompare(k, k, bytesCompare)
	}
}

func registerIntOps(k intKind) {
	sig := "(" + k.name + "," + k.name + ")"
	vector("+"+sig, intBinary(k, func(a, b int64) (int64, bool) { c := a + b; return c, (c > a) == (b > 0) }))
	vector("-"+sig, intBinary(k, func(a, b int64) (int64, bool) { c := a - b; return c, (c < a) == (b > 0) }))
	vector("*"+sig, intBinary(k, mulInt))
	vector("/"+sig, intDivide(k, func(a, b int64) (int64, bool) { return a / b, a != math.MinInt64 || b != -1 }))
	modulo := intDivide(k, func(a, b int64) (int64, bool) {
		if b == -1 {
			return 0, true
		}
		return a % b, true
	})
	vector("%"+sig, modulo)
	vector("mod"+sig, modulo)
	vector("&"+sig, intBinary(k, func(a, b int64) (int64, bool) { return a & b, true }))
	vector("|"+sig, intBinary(k, func(a, b int64) (int64, bool) { return a | b, true }))
	vector("#"+sig, intBinary(k, func(a, b int64) (int64, bool) { return a ^ b, true }))
	registerCompare(k.name, k.name, intCompare)
}

func mulInt(a, b int64) (int64, bool) {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	// Signed high word: correct the unsigned product for negative operands.
	shi := int64(hi)
	if a < 0 {
		shi -= b
	}
	if b < 0 {
		shi -= a
	}
	c := int64(lo)
	return c, shi == c>>63
}

func intUnary(k intKind, f func(int64) (int64, bool)) vecFunc {
	return func(args []*vec.Vector, sel []int32, out *vec.Vector, errs *Errors) {
		a := args[0].I64
		for _, i := range sel {
			c, ok := f(a[i])
			if !ok || c < k.min || c > k.max {
				errs.Add(i, k.outOfRange())
			}
			out.I64[i] = c
		}
	}
}

func intBinary(k intKind, f func(a, b int64) (int64, bool)) vecFunc {
	return func(args []*vec.Vector, sel []int32, out *vec.Vector, errs *Errors) {
		a, b, o := args[0].I64, args[1].I64, out.I64
		for _, i := range sel {
			c, ok := f(a[i], b[i])
			if !ok || c < k.min || c > k.max {
				errs.Add(i, k.outOfRange())
			}
			o[i] = c
		}
	}
}

func intDivide(k intKind, f func(a, b int64) (int64, bool)) vecFunc {
	return func(args []*vec.Vector, sel []int32, out *vec.Vector, errs *Errors) {
		a, b, o := args[0].I64, args[1].I64, out.I64
		for _, i := range sel {
			if b[i] == 0 {
				errs.Add(i, errDivisionByZero)
				continue
			}
			c, ok := f(a[i], b[i])
			if !ok || c < k.min || c > k.max {
				errs.Add(i, k.outOfRange())
			}
			o[i] = c
		}
	}
}

func registerFloatOps(k string) {
	sig := "(" + k + "," + k + ")"
	single := k == "float4"
	vector("+"+sig, floatBinary(single, func(a, b float64) float64 { return a + b }, false))
	vector("-"+sig, floatBinary(single, func(a, b float64) float64 { return a - b }, false))
	vector("*"+sig, floatBinary(single, func(a, b float64) float64 { return a * b }, true))
	vector("/"+sig, floatDivide(single))
	registerCompare(k, k, floatCompare)
	vector("-("+k+")", floatUnary(func(a float64) float64 { return -a }))
	vector("+("+k+")", floatUnary(func(a float64) float64 { return a }))
	for _, name := range []string{"abs", "@"} {
		vector(name+"("+k+")", floatUnary(math.Abs))
	}
}

func floatUnary(f func(float64) float64) vecFunc {
	return func(args []*vec.Vector, sel []int32, out *vec.Vector, _ *Errors) {
		for _, i := range sel {
			out.F64[i] = f(args[0].F64[i])
		}
	}
}

// floatBinary applies f; product says that a zero result of operands that are not zero is an underflow.
func floatBinary(single bool, f func(a, b float64) float64, product bool) vecFunc {
	return func(args []*vec.Vector, sel []int32, out *vec.Vector, errs *Errors) {
		a, b, o := args[0].F64, args[1].F64, out.F64
		for _, i := range sel {
			c := f(a[i], b[i])
			if single {
				c = float64(float32(c))
			}
			if math.IsInf(c, 0) && !math.IsInf(a[i], 0) && !math.IsInf(b[i], 0) {
				errs.Add(i, errFloatOverflow)
			}
			if product && c == 0 && a[i] != 0 && b[i] != 0 {
				errs.Add(i, errFloatUnderflow)
			}
			o[i] = c
		}
	}
}

func floatDivide(single bool) vecFunc {
	return func(args []*vec.Vector, sel []int32, out *vec.Vector, errs *Errors) {
		a, b, o := args[0].F64, args[1].F64, out.F64
		for _, i := range sel {
			if b[i] == 0 && !math.IsNaN(a[i]) {
				errs.Add(i, errDivisionByZero)
				continue
			}
			c := a[i] / b[i]
			if single {
				c = float64(float32(c))
			}
			if math.IsInf(c, 0) && !math.IsInf(a[i], 0) {
				errs.Add(i, errFloatOverflow)
			}
			if c == 0 && a[i] != 0 && !math.IsInf(b[i], 0) {
				errs.Add(i, errFloatUnderflow)
			}
			o[i] = c
		}
	}
}

// comparison holds one vecFunc per comparison operator of a representation.
type comparison func(test func(c int) bool) vecFunc

var compareTests = map[string]func(int) bool{
	"=":  func(c int) bool { return c == 0 },
	"<>": func(c int) bool { return c != 0 },
	"<":  func(c int) bool { return c < 0 },
	"<=": func(c int) bool { return c <= 0 },
	">":  func(c int) bool { return c > 0 },
	">=": func(c int) bool { return c >= 0 },
}

func registerCompare(l, r string, cmpOf comparison) {
	for op, test := range compareTests {
		vector(op+"("+l+","+r+")", cmpOf(test))
	}
}

func intCompare(test func(int) bool) vecFunc {
	lt, eq, gt := b2i(test(-1)), b2i(test(0)), b2i(test(1))
	return func(args []*vec.Vector, sel []int32, out *vec.Vector, _ *Errors) {
		a, b, o := args[0].I64, args[1].I64, out.I64
		for _, i := range sel {
			switch {
			case a[i] < b[i]:
				o[i] = lt
			case a[i] > b[i]:
				o[i] = gt
			default:
				o[i] = eq
			}
		}
	}
}

// floatCompare orders NaN above everything and equal to itself, as PostgreSQL does.
func floatCompare(test func(int) bool) vecFunc {
	return func(args []*vec.Vector, sel []int32, out *vec.Vector, _ *Errors) {
		a, b, o := args[0].F64, args[1].F64, out.I64
		for _, i := range sel {
			// cmp.Compare has NaN lowest; compare the other way round where one is NaN.
			c := cmp.Compare(a[i], b[i])
			if math.IsNaN(a[i]) != math.IsNaN(b[i]) {
				c = -c
			}
			o[i] = b2i(test(c))
		}
	}
}

func bytesCompare(test func(int) bool) vecFunc {
	equality := test(-1) == test(1)
	same, other := b2i(test(0)), b2i(test(1))
	return func(args []*vec.Vector, sel []int32, out *vec.Vector, _ *Errors) {
		a, b, o := args[0], args[1], out.I64
		for _, i := range sel {
			x, y := a.Bytes(int(i)), b.Bytes(int(i))
			switch {
			case !equality:
				o[i] = b2i(test(bytes.Compare(x, y)))
			case bytes.Equal(x, y):
				o[i] = same
			default:
				o[i] = other
			}
		}
	}
}

// compareRows is a comparison over boxed values of one type, for the types without a vector form.
func compareRows(test func(int) bool) rowFunc {
	return func(c *Call, args []types.Datum) (types.Datum, error) {
		return types.BoolDatum(test(types.Compare(c.Args[0], args[0], args[1]))), nil
	}
}
