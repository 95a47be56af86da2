package expr

import (
	"slices"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql/types"
)

// The set-returning functions (PostgreSQL docs, 9.25).

func init() {
	for _, k := range []string{"int4", "int8"} {
		setFn("generate_series("+k+","+k+")", intSeries)
		setFn("generate_series("+k+","+k+","+k+")", intSeries)
	}
	setFn("generate_series(numeric,numeric)", numericSeries)
	setFn("generate_series(numeric,numeric,numeric)", numericSeries)
	setFn("generate_series(timestamp,timestamp,interval)", timeSeries)
	setFn("generate_series(timestamptz,timestamptz,interval)", timeSeries)
	unnest := func(c *Call, a []types.Datum) Rows { return values(c.elements(0, a[0])) }
	setFn("unnest(anyarray)", unnest)
	setFn("explode(anyarray)", unnest)
	setFn("cube_explode(anyarray)", cubeExplode)
	setFn("generate_subscripts(anyarray,int4)", subscripts)
	setFn("generate_subscripts(anyarray,int4,bool)", subscripts)
	setFn("_pg_expandarray(anyarray)", func(c *Call, a []types.Datum) Rows {
		return func(yield func([]types.Datum, error) bool) {
			for i, d := range c.elements(0, a[0]) {
				if !yield([]types.Datum{d, types.IntDatum(int64(i) + 1)}, nil) {
					return
				}
			}
		}
	})
	setFn("regexp_matches(text,text)", regexpMatches)
	setFn("regexp_matches(text,text,text)", regexpMatches)
	setFn("regexp_split_to_table(text,text)", func(c *Call, a []types.Datum) Rows {
		re, err := remember(c, a[1].S, "", compileRegexp)
		if err != nil {
			return failed(err)
		}
		return values(types.ArrayElements(types.Of(types.Text), textArray(splits(re, a[0].S)).S))
	})
	for _, id := range []string{"string_to_table(text,text)", "string_to_table(text,text,text)"} {
		setFn(id, func(_ *Call, a []types.Datum) Rows {
			if a[0].Null {
				return values(nil)
			}
			return values(splitText(a))
		})
	}
	setFn("aclexplode(text[])", func(*Call, []types.Datum) Rows { return values(nil) })
}

// values yields one column.
func values(list []types.Datum) Rows {
	return func(yield func([]types.Datum, error) bool) {
		for i := range list {
			if !yield(list[i:i+1], nil) {
				return
			}
		}
	}
}

func failed(err error) Rows {
	return func(yield func([]types.Datum, error) bool) { yield(nil, err) }
}

var errZeroStep = sqlerr.New(sqlerr.InvalidParameterValue, "step size cannot equal zero")

// intSeries ends where the next value would leave int64 or pass the end.
func intSeries(_ *Call, a []types.Datum) Rows {
	step := int64(1)
	if len(a) > 2 {
		step = a[2].I
	}
	if step == 0 {
		return failed(errZeroStep)
	}
	return func(yield func([]types.Datum, error) bool) {
		row := make([]types.Datum, 1)
		for x := a[0].I; step > 0 && x <= a[1].I || step < 0 && x >= a[1].I; {
			row[0] = types.IntDatum(x)
			next := x + step
			if !yield(row, nil) || (next > x) != (step > 0) {
				return
			}
			x = next
		}
	}
}

func numericSeries(_ *Call, a []types.Datum) Rows {
	x, end, step := types.DecimalOf(a[0].S), types.DecimalOf(a[1].S), types.NewDecimal(1, 0)
	if len(a) > 2 {
		step = types.DecimalOf(a[2].S)
	}
	for i, d := range []*types.Decimal{x, end, step} {
		what := []string{"start value", "stop value", "step size"}[i]
		switch {
		case d.IsNaN():
			return failed(sqlerr.New(sqlerr.InvalidParameterValue, "%s cannot be NaN", what))
		case d.IsInf():
			return failed(sqlerr.New(sqlerr.InvalidParameterValue, "%s cannot be infinity", what))
		}
	}
	sign := step.Sign()
	if sign == 0 {
		return failed(errZeroStep)
	}
	return func(yield func([]types.Datum, error) bool) {
		for x.Cmp(end)*sign <= 0 {
			if !yield([]types.Datum{x.Datum()}, nil) {
				return
			}
			if err := x.Add(x, step); err != nil {
				yield(nil, err)
				return
			}
		}
	}
}

func timeSeries(c *Call, a []types.Datum) Rows {
	step := types.IntervalOf(a[2])
	sign := step.Cmp(types.IntervalValue{})
	if sign == 0 {
		return failed(errZeroStep)
	}
	zoned := c.Args[0].Kind == types.TimestampTZ
	return func(yield func([]types.Datum, error) bool) {
		for x := a[0].I; sign > 0 && x <= a[1].I || sign < 0 && x >= a[1].I; {
			if !yield([]types.Datum{types.IntDatum(x)}, nil) || types.IsInfinite(x) {
				return
			}
			zone := zoneOf(c.Env)
			if !zoned {
				zone = nil
			}
			var err error
			if x, err = addInterval(x, step, false, zone); err != nil {
				yield(nil, err)
				return
			}
		}
	}
}

func subscripts(c *Call, a []types.Datum) Rows {
	n, first := types.ArrayLen(a[0].S), firstSubscript(c.Args[0])
	if a[1].I != 1 {
		n = 0
	}
	list := make([]types.Datum, n)
	for i := range list {
		list[i] = types.IntDatum(first + int64(i))
	}
	if len(a) > 2 && a[2].I != 0 {
		slices.Reverse(list)
	}
	return values(list)
}

// regexpMatches yields the groups of the first match, or with the flag g of all.
func regexpMatches(c *Call, a []types.Datum) Rows {
	flags := ""
	if len(a) > 2 {
		flags = a[2].S
	}
	re, err := remember(c, a[1].S, flags, compileRegexp)
	if err != nil {
		return failed(err)
	}
	return func(yield func([]types.Datum, error) bool) {
		for _, m := range allMatches(re, a[0].S) {
			if !yield([]types.Datum{groups(a[0].S, re, m)}, nil) || !re.global {
				return
			}
		}
	}
}

// maxCube bounds the elements that cube_explode makes 2^n rows of.
const maxCube = 20

// cubeExplode yields the array with each subset of its elements that are not NULL replaced by NULL, the array itself last (ksqlDB's CUBE_EXPLODE).
func cubeExplode(c *Call, a []types.Datum) Rows {
	elem, list := elemOf(c.Args[0]), c.elements(0, a[0])
	var bits []int // of each element that can be replaced, the first in the highest bit
	for i := len(list) - 1; i >= 0; i-- {
		if !list[i].Null {
			bits = append(bits, i)
		}
	}
	if len(bits) > maxCube {
		return failed(sqlerr.New(sqlerr.ProgramLimitExceeded, "cube_explode takes at most %d elements, not %d", maxCube, len(bits)))
	}
	return func(yield func([]types.Datum, error) bool) {
		for kept := range 1 << len(bits) {
			row := slices.Clone(list)
			for bit, i := range bits {
				if kept>>bit&1 == 0 {
					row[i] = types.NullDatum
				}
			}
			if !yield([]types.Datum{types.ArrayDatum(elem, row)}, nil) {
				return
			}
		}
	}
}
