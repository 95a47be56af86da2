package expr

import (
	"math"

	"github.com/millracedb/millrace/sql/types"
)

// The statistical aggregates (PostgreSQL docs, table 9.62). Over integers and numerics they are exact, over floats they follow the
// recurrence of Youngs and Cramer, as PostgreSQL does.

func init() {
	for _, name := range []string{"var_pop", "var_samp", "variance", "stddev_pop", "stddev_samp", "stddev", "stddev_sample"} {
		for _, k := range []string{"int2", "int4", "int8", "numeric"} {
			aggregate(name+"("+k+")", func(_ *Env, args []types.Type, _ types.Type) Accumulator {
				return &numericVariance{name: name, text: args[0].Kind == types.Numeric}
			})
		}
		for _, k := range []string{"float4", "float8"} {
			aggregate(name+"("+k+")", func(*Env, []types.Type, types.Type) Accumulator { return &floatMoments{name: name} })
		}
	}
	for _, name := range []string{
		"corr", "correlation", "covar_pop", "covar_samp", "regr_avgx", "regr_avgy", "regr_count", "regr_intercept", "regr_r2", "regr_slope",
		"regr_sxx", "regr_sxy", "regr_syy",
	} {
		aggregate(name+"(float8,float8)", func(*Env, []types.Type, types.Type) Accumulator { return &floatMoments{name: name} })
	}
}

// numericVariance sums values and their squares.
type numericVariance struct {
	name          string
	text          bool // values are numeric texts
	n             int64
	sum, sum2     types.Decimal
	value, square types.Decimal
}

func (v *numericVariance) Add(a []types.Datum) error {
	v.n++
	if v.text {
		v.value.SetText(a[0].S)
	} else {
		v.value.SetInt(a[0].I)
	}
	if err := v.square.Mul(&v.value, &v.value); err != nil {
		return err
	}
	if err := v.sum.Add(&v.sum, &v.value); err != nil {
		return err
	}
	return v.sum2.Add(&v.sum2, &v.square)
}

func (v *numericVariance) Result() (types.Datum, error) {
	return NumericVariance(v.name, v.n, &v.sum, &v.sum2)
}

// NumericVariance returns variance or standard deviation, as name says, of n values with this sum and this sum of squares, with PostgreSQL's
// number of digits.
func NumericVariance(name string, n int64, sum, sum2 *types.Decimal) (types.Datum, error) {
	pop := name == "var_pop" || name == "stddev_pop"
	if n == 0 || n == 1 && !pop {
		return types.NullDatum, nil
	}
	if !sum.IsFinite() || !sum2.IsFinite() {
		return types.DecimalOf("NaN").Datum(), nil
	}
	count, less := types.NewDecimal(n, 0), types.NewDecimal(n, 0)
	if !pop {
		less = types.NewDecimal(n-1, 0)
	}
	var a, b, divisor, out types.Decimal
	for _, err := range []error{a.Mul(count, sum2), b.Mul(sum, sum), divisor.Mul(count, less)} {
		if err != nil {
			return types.NullDatum, err
		}
	}
	if err := a.Sub(&a, &b); err != nil {
		return types.NullDatum, err
	}
	if a.Sign() <= 0 {
		return types.NewDecimal(0, 0).Datum(), nil
	}
	if err := out.Div(&a, &divisor); err != nil {
		return types.NullDatum, err
	}
	if name[0] == 's' { // stddev
		scale := out.Scale()
		if err := out.Sqrt(&out); err != nil {
			return types.NullDatum, err
		}
		out.Round(&out, scale)
	}
	return out.Datum(), nil
}

// Moments are what the statistics over pairs of floats are computed from: sums, and sums of products of the distances from the means. Y comes
// before X in the arguments (PostgreSQL docs, table 9.62).
type Moments struct {
	N          int64
	X, Y       float64
	XX, XY, YY float64
}

// floatMoments is every statistic over one or two float columns.
type floatMoments struct {
	name string
	m    Moments
}

func (f *floatMoments) Add(a []types.Datum) error {
	if len(a) == 1 {
		return f.m.add(a[0].F, 0)
	}
	return f.m.add(a[1].F, a[0].F)
}

func (m *Moments) add(x, y float64) error {
	m.N++
	m.X += x
	m.Y += y
	if m.N == 1 {
		if !finite(x) {
			m.XX, m.XY = math.NaN(), math.NaN()
		}
		if !finite(y) {
			m.YY, m.XY = math.NaN(), math.NaN()
		}
		return nil
	}
	n := float64(m.N)
	dx, dy := x*n-m.X, y*n-m.Y
	scale := 1 / (n * (n - 1))
	m.XX += dx * dx * scale
	m.YY += dy * dy * scale
	m.XY += dx * dy * scale
	for _, s := range []float64{m.X, m.Y, m.XX, m.YY, m.XY} {
		if math.IsInf(s, 0) && finite(x) && finite(y) && finite(m.X-x) && finite(m.Y-y) {
			return errFloatOverflow
		}
	}
	return nil
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

func (f *floatMoments) Result() (types.Datum, error) { return f.m.Statistic(f.name), nil }

// Statistic returns the statistic called name.
func (m *Moments) Statistic(name string) types.Datum {
	n := float64(m.N)
	if name == "regr_count" {
		return types.IntDatum(m.N)
	}
	if m.N == 0 {
		return types.NullDatum
	}
	switch name {
	case "var_pop":
		return types.FloatDatum(m.XX / n)
	case "stddev_pop":
		return types.FloatDatum(math.Sqrt(m.XX / n))
	case "covar_pop":
		return types.FloatDatum(m.XY / n)
	case "regr_avgx":
		return types.FloatDatum(m.X / n)
	case "regr_avgy":
		return types.FloatDatum(m.Y / n)
	case "regr_sxx":
		return types.FloatDatum(m.XX)
	case "regr_sxy":
		return types.FloatDatum(m.XY)
	case "regr_syy":
		return types.FloatDatum(m.YY)
	case "var_samp", "variance", "stddev_samp", "stddev", "stddev_sample", "covar_samp":
		return m.sample(name)
	}
	return m.regression(name)
}

// sample is a statistic that estimates from a sample.
func (m *Moments) sample(name string) types.Datum {
	if m.N < 2 {
		return types.NullDatum
	}
	less := float64(m.N - 1)
	switch name {
	case "covar_samp":
		return types.FloatDatum(m.XY / less)
	case "var_samp", "variance":
		return types.FloatDatum(m.XX / less)
	}
	return types.FloatDatum(math.Sqrt(m.XX / less))
}

func (m *Moments) regression(name string) types.Datum {
	if m.XX == 0 || m.YY == 0 && (name == "corr" || name == "correlation") {
		return types.NullDatum
	}
	switch name {
	case "regr_slope":
		return types.FloatDatum(m.XY / m.XX)
	case "regr_intercept":
		return types.FloatDatum((m.Y - m.X*m.XY/m.XX) / float64(m.N))
	case "regr_r2":
		if m.YY == 0 {
			return types.FloatDatum(1)
		}
		return types.FloatDatum(m.XY * m.XY / (m.XX * m.YY))
	}
	return types.FloatDatum(m.XY / math.Sqrt(m.XX*m.YY))
}
