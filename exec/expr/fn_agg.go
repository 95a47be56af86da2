package expr

import (
	"math"
	"math/big"
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql/types"
)

// The aggregates (PostgreSQL docs, 9.21).

func aggregate(id string, n newAccumulator) { register(aggregates, id, n) }

func init() {
	count := func(*Env, []types.Type, types.Type) Accumulator { return new(countAcc) }
	aggregate("count()", count)
	aggregate("count(any)", count)
	aggregate("count_distinct(any)", count) // the planner makes it count(DISTINCT)
	for _, k := range []string{"int2", "int4", "int8"} {
		aggregate("sum("+k+")", func(_ *Env, _ []types.Type, ret types.Type) Accumulator {
			return &intSum{small: ret.Kind == types.Int8}
		})
		aggregate("avg("+k+")", func(*Env, []types.Type, types.Type) Accumulator { return &intSum{mean: true} })
	}
	for _, k := range []string{"float4", "float8"} {
		aggregate("sum("+k+")", func(_ *Env, _ []types.Type, ret types.Type) Accumulator {
			return &floatSum{single: ret.Kind == types.Float4}
		})
		aggregate("avg("+k+")", func(*Env, []types.Type, types.Type) Accumulator { return &floatSum{mean: true} })
	}
	aggregate("sum(numeric)", func(*Env, []types.Type, types.Type) Accumulator { return &numericSum{} })
	aggregate("avg(numeric)", func(*Env, []types.Type, types.Type) Accumulator { return &numericSum{mean: true} })
	aggregate("sum(interval)", func(*Env, []types.Type, types.Type) Accumulator { return &intervalSum{} })
	aggregate("avg(interval)", func(*Env, []types.Type, types.Type) Accumulator { return &intervalSum{mean: true} })
	for _, k := range []string{
		"int2", "int4", "int8", "float4", "float8", "numeric", "text", "date", "time", "timestamp", "timestamptz", "interval", "oid", "anyarray", "anyenum",
	} {
		aggregate("min("+k+")", func(_ *Env, args []types.Type, _ types.Type) Accumulator { return &extreme{typ: args[0], sign: -1} })
		aggregate("max("+k+")", func(_ *Env, args []types.Type, _ types.Type) Accumulator { return &extreme{typ: args[0], sign: 1} })
	}
	for _, name := range []string{"bool_and", "every"} {
		aggregate(name+"(bool)", func(*Env, []types.Type, types.Type) Accumulator { return &extreme{typ: boolType, sign: -1} })
	}
	aggregate("bool_or(bool)", func(*Env, []types.Type, types.Type) Accumulator { return &extreme{typ: boolType, sign: 1} })
	for _, k := range []string{"text", "bytea"} {
		aggregate("string_agg("+k+","+k+")", func(*Env, []types.Type, types.Type) Accumulator { return new(stringAgg) })
	}
	aggregate("array_agg(anyelement)", func(_ *Env, args []types.Type, _ types.Type) Accumulator { return &arrayAgg{elem: args[0]} })
}

type countAcc int64

func (c *countAcc) Add([]types.Datum) error {
	*c++
	return nil
}

func (c *countAcc) Result() (types.Datum, error) { return types.IntDatum(int64(*c)), nil }

// intSum adds integers in a word, and in a big integer what overflowed the word.
type intSum struct {
	sum   int64
	over  *big.Int
	n     int64
	small bool // the result is a bigint
	mean  bool
}

func (s *intSum) Add(a []types.Datum) error {
	s.add(a[0].I)
	return nil
}

func (s *intSum) add(x int64) {
	s.n++
	c := s.sum + x
	if (c > s.sum) == (x > 0) {
		s.sum = c
		return
	}
	if s.over == nil {
		s.over = new(big.Int)
	}
	s.over.Add(s.over, big.NewInt(s.sum))
	s.sum = x
}

func (s *intSum) Result() (types.Datum, error) {
	if s.n == 0 {
		return types.NullDatum, nil
	}
	if s.over == nil && s.small && !s.mean {
		return types.IntDatum(s.sum), nil
	}
	total := big.NewInt(s.sum)
	if s.over != nil {
		total.Add(total, s.over)
	}
	if s.small {
		if !total.IsInt64() {
			return types.NullDatum, intKinds[2].outOfRange()
		}
		return types.IntDatum(total.Int64()), nil
	}
	d := types.DecimalOf(total.String())
	if s.mean {
		if err := d.Div(d, types.NewDecimal(s.n, 0)); err != nil {
			return types.NullDatum, err
		}
	}
	return d.Datum(), nil
}

// floatSum adds in the order of the rows, as PostgreSQL does.
type floatSum struct {
	sum    float64
	n      int64
	single bool
	mean   bool
}

func (s *floatSum) Add(a []types.Datum) error { return s.add(a[0].F) }

func (s *floatSum) add(x float64) error {
	sum := s.sum + x
	if s.single && !s.mean {
		sum = float64(float32(sum))
	}
	if math.IsInf(sum, 0) && !math.IsInf(s.sum, 0) && !math.IsInf(x, 0) {
		return errFloatOverflow
	}
	s.sum = sum
	s.n++
	return nil
}

func (s *floatSum) Result() (types.Datum, error) {
	switch {
	case s.n == 0:
		return types.NullDatum, nil
	case s.mean:
		return types.FloatDatum(s.sum / float64(s.n)), nil
	default:
		return types.FloatDatum(s.sum), nil
	}
}

type numericSum struct {
	sum, x types.Decimal
	n      int64
	mean   bool
}

func (s *numericSum) Add(a []types.Datum) error {
	s.x.SetText(a[0].S)
	s.n++
	return s.sum.Add(&s.sum, &s.x)
}

func (s *numericSum) Result() (types.Datum, error) {
	if s.n == 0 {
		return types.NullDatum, nil
	}
	if !s.mean {
		return s.sum.Datum(), nil
	}
	var mean types.Decimal
	if err := mean.Div(&s.sum, types.NewDecimal(s.n, 0)); err != nil {
		return types.NullDatum, err
	}
	return mean.Datum(), nil
}

type intervalSum struct {
	sum  types.IntervalValue
	n    int64
	mean bool
}

func (s *intervalSum) Add(a []types.Datum) error {
	s.n++
	var err error
	s.sum, err = s.sum.Add(types.IntervalOf(a[0]))
	return err
}

func (s *intervalSum) Result() (types.Datum, error) {
	if s.n == 0 {
		return types.NullDatum, nil
	}
	if !s.mean {
		return s.sum.Datum(), nil
	}
	iv, err := s.sum.Div(float64(s.n))
	return iv.Datum(), err
}

// extreme keeps the largest value (sign 1) or the smallest (-1).
type extreme struct {
	typ  types.Type
	sign int
	best types.Datum
	some bool
}

func (e *extreme) Add(a []types.Datum) error {
	if !e.some || types.Compare(e.typ, a[0], e.best)*e.sign > 0 {
		e.best, e.some = a[0], true
		e.best.S = strings.Clone(a[0].S)
	}
	return nil
}

func (e *extreme) Result() (types.Datum, error) {
	if !e.some {
		return types.NullDatum, nil
	}
	return e.best, nil
}

// stringAgg joins the values that are not NULL; the delimiter of each row goes before its value.
type stringAgg struct {
	out  []byte
	some bool
}

func (s *stringAgg) Add(a []types.Datum) error {
	if a[0].Null {
		return nil
	}
	if s.some && !a[1].Null {
		s.out = append(s.out, a[1].S...)
	}
	if len(s.out)+len(a[0].S) > maxTextBytes {
		return errTextTooLarge
	}
	s.out = append(s.out, a[0].S...)
	s.some = true
	return nil
}

func (s *stringAgg) Result() (types.Datum, error) {
	if !s.some {
		return types.NullDatum, nil
	}
	return types.BytesDatum(string(s.out)), nil
}

type arrayAgg struct {
	elem types.Type
	list []types.Datum
}

func (g *arrayAgg) Add(a []types.Datum) error {
	if len(g.list) >= types.MaxArrayElements {
		return errArrayTooLarge
	}
	d := a[0]
	d.S = strings.Clone(d.S)
	g.list = append(g.list, d)
	return nil
}

func (g *arrayAgg) Result() (types.Datum, error) {
	if g.list == nil {
		return types.NullDatum, nil
	}
	return types.ArrayDatum(g.elem, g.list), nil
}

var errArrayTooLarge = sqlerr.New(sqlerr.ProgramLimitExceeded, "array size exceeds the maximum allowed (%d)", types.MaxArrayElements)
