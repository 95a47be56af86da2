package exec

import (
	"encoding/binary"
	"math"
	"math/big"

	"github.com/millracedb/millrace/exec/expr"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// newStatistic returns the accumulator of variance, correlation and regression (PostgreSQL docs, table 9.62), nil for other aggregates. Sums,
// and sums of squares and products, are exact, so a row that leaves takes out all that it brought.
func newStatistic(a *planner.Agg) func() accumulator {
	switch a.Func.Name {
	case "var_pop", "var_samp", "variance", "stddev_pop", "stddev_samp", "stddev", "stddev_sample":
		if a.Typ.Kind == types.Numeric {
			return func() accumulator {
				return &numericVariance{name: a.Func.Name, text: a.Args[0].Type().Kind == types.Numeric}
			}
		}
	case "corr", "correlation", "covar_pop", "covar_samp", "regr_avgx", "regr_avgy", "regr_count", "regr_intercept", "regr_r2", "regr_slope",
		"regr_sxx", "regr_sxy", "regr_syy":
	default:
		return nil
	}
	return func() accumulator { return &floatMoments{name: a.Func.Name} }
}

// numericVariance is variance and standard deviation of integers and numerics.
type numericVariance struct {
	name          string
	text          bool // values are numeric texts
	sums          []struct{ sum, squares numericState }
	value, square types.Decimal
}

func (a *numericVariance) grow(n int) { a.sums = growTo(a.sums, n) }

func (a *numericVariance) update(in *aggInput) error {
	arg := in.args[0]
	for _, i := range in.sel {
		if arg.IsNull(int(i)) {
			continue
		}
		if a.text {
			a.value.SetText(arg.Str(int(i)))
		} else {
			a.value.SetInt(arg.I64[i])
		}
		if err := a.square.Mul(&a.value, &a.value); err != nil {
			return err
		}
		s, sign := &a.sums[in.slots[i]], in.sign(i)
		if err := s.sum.add(a.value.String(), sign); err != nil {
			return err
		}
		if err := s.squares.add(a.square.String(), sign); err != nil {
			return err
		}
	}
	return nil
}

func (a *numericVariance) result(slot int32, out *vec.Vector) error {
	s := &a.sums[slot]
	d, err := expr.NumericVariance(a.name, s.sum.n, types.DecimalOf(s.sum.text()), types.DecimalOf(s.squares.text()))
	if err == nil {
		out.AppendDatum(d)
	}
	return err
}

func (a *numericVariance) encode(dst []byte, slot int32) []byte {
	return a.sums[slot].squares.encode(a.sums[slot].sum.encode(dst))
}

func (a *numericVariance) decode(slot int32, src []byte) (rest []byte, err error) {
	if rest, err = a.sums[slot].sum.decode(src); err != nil {
		return nil, err
	}
	return a.sums[slot].squares.decode(rest)
}

func (a *numericVariance) memSize() int64 { return int64(2 * numericStateBytes * cap(a.sums)) }

// floatMoments is every statistic over one or two columns of floats. Rows with a NULL take no part.
type floatMoments struct {
	name string
	sums []momentSums
}

type momentSums struct {
	n                int64
	x, y, xx, xy, yy floatState
}

func (s *momentSums) parts() []*floatState { return []*floatState{&s.x, &s.y, &s.xx, &s.xy, &s.yy} }

func (a *floatMoments) grow(n int) { a.sums = growTo(a.sums, n) }

func (a *floatMoments) update(in *aggInput) error {
	for _, i := range in.sel {
		if anyNull(in.args, int(i)) {
			continue
		}
		s, sign := &a.sums[in.slots[i]], in.sign(i)
		s.n += sign
		// The arguments of a statistic over two columns are Y, X.
		x := in.args[len(in.args)-1].F64[i]
		s.x.add(x, sign)
		s.xx.addProduct(x, x, sign)
		if len(in.args) == 2 {
			y := in.args[0].F64[i]
			s.y.add(y, sign)
			s.yy.addProduct(y, y, sign)
			s.xy.addProduct(x, y, sign)
		}
	}
	return nil
}

// addProduct adds x*y exactly: the product rounded, and what rounding took from it. Products that are not finite are counted apart by add.
func (s *floatState) addProduct(x, y float64, sign int64) {
	p := x * y
	s.add(p, sign)
	if e := math.FMA(x, y, -p); e != 0 && !math.IsNaN(e) && !math.IsInf(e, 0) {
		s.add(e, sign)
	}
}

// momentBits is a precision in which the sums of doubles and their products are exact.
const momentBits = 4400

func (s *floatState) big() *big.Float {
	sum := new(big.Float).SetPrec(momentBits)
	for _, x := range s.parts {
		sum.Add(sum, big.NewFloat(x))
	}
	return sum
}

func (s *floatState) finite() bool { return s.nan == 0 && s.plus == 0 && s.minus == 0 }

// centered is the sum of the products of the distances of x and y from their means: (n*sum(xy) - sum(x)*sum(y)) / n.
func (s *momentSums) centered(x, y, xy *floatState) float64 {
	if !x.finite() || !y.finite() || !xy.finite() {
		return math.NaN()
	}
	n := new(big.Float).SetPrec(momentBits).SetInt64(s.n)
	a := new(big.Float).SetPrec(momentBits).Mul(n, xy.big())
	a.Sub(a, new(big.Float).SetPrec(momentBits).Mul(x.big(), y.big()))
	out, _ := a.Quo(a, n).Float64()
	return out
}

func (a *floatMoments) result(slot int32, out *vec.Vector) error {
	s := &a.sums[slot]
	m := expr.Moments{N: s.n}
	if s.n > 0 {
		m.X, m.Y = s.x.sum(), s.y.sum()
		m.XX, m.XY, m.YY = s.centered(&s.x, &s.x, &s.xx), s.centered(&s.x, &s.y, &s.xy), s.centered(&s.y, &s.y, &s.yy)
	}
	out.AppendDatum(m.Statistic(a.name))
	return nil
}

func (a *floatMoments) encode(dst []byte, slot int32) []byte {
	s := &a.sums[slot]
	dst = binary.AppendVarint(dst, s.n)
	for _, p := range s.parts() {
		dst = p.encode(dst)
	}
	return dst
}

func (a *floatMoments) decode(slot int32, src []byte) (rest []byte, err error) {
	s := &a.sums[slot]
	if s.n, rest, err = takeVarint(src); err != nil {
		return nil, err
	}
	for _, p := range s.parts() {
		if rest, err = p.decode(rest); err != nil {
			return nil, err
		}
	}
	return rest, nil
}

func (a *floatMoments) memSize() int64 { return int64(5 * floatStateBytes * cap(a.sums)) }
