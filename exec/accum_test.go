package exec

import (
	"fmt"
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// feed gives values to slot 0, with one operation for all.
func feed(t require.TestingT, a accumulator, col *vec.Vector, op vec.Op) {
	ops := make([]vec.Op, col.Len())
	for i := range ops {
		ops[i] = op
	}
	batch := &vec.Batch{Ops: ops}
	batch.SetLen(col.Len())
	require.NoError(t, a.update(&aggInput{batch: batch, slots: make([]int32, col.Len()), sel: vec.All(nil, col.Len()), args: []*vec.Vector{col}}))
}

func valueOf(t require.TestingT, a accumulator, typ types.Type) types.Datum {
	out := vec.NewVector(typ, 1)
	require.NoError(t, a.result(0, out))
	return out.Datum(0)
}

// TestFloatSumIsExactUnderRetraction adds and takes out random values and compares with the exact sum of what is left.
func TestFloatSumIsExactUnderRetraction(t *testing.T) {
	value := rapid.OneOf(rapid.Float64Range(-1e3, 1e3), rapid.SampledFrom([]float64{1e300, -1e300, 1e-300, 0.1, 1e16, 5e-324}))
	rapid.Check(t, func(t *rapid.T) {
		kept := rapid.SliceOfN(value, 1, 20).Draw(t, "kept")
		gone := rapid.SliceOfN(value, 0, 20).Draw(t, "gone")
		in, out := vec.NewVector(types.Of(types.Float8), 0), vec.NewVector(types.Of(types.Float8), 0)
		exact := new(big.Float).SetPrec(4000)
		for _, x := range kept {
			in.AppendFloat(x)
			exact.Add(exact, new(big.Float).SetFloat64(x))
		}
		for _, x := range append(gone, math.NaN(), math.Inf(1), math.Inf(-1)) {
			in.AppendFloat(x)
			out.AppendFloat(x)
		}
		a := &floatSum{}
		a.grow(1)
		feed(t, a, in, vec.Insert)
		require.True(t, math.IsNaN(valueOf(t, a, types.Of(types.Float8)).F))
		feed(t, a, out, vec.Delete)
		want, _ := exact.Float64()
		require.Equal(t, want, valueOf(t, a, types.Of(types.Float8)).F)
	})
}

func TestSumsHavePostgresTypesAndScales(t *testing.T) {
	numeric := func(texts ...string) *vec.Vector {
		v := vec.NewVector(types.Of(types.Numeric), 0)
		for _, s := range texts {
			v.AppendString(s)
		}
		return v
	}
	a := &numericSum{}
	a.grow(1)
	feed(t, a, numeric("1.10", "2", "0.005"), vec.Insert)
	require.Equal(t, "3.105", valueOf(t, a, types.Of(types.Numeric)).S)
	feed(t, a, numeric("0.005"), vec.Delete)
	require.Equal(t, "3.10", valueOf(t, a, types.Of(types.Numeric)).S, "the scale goes with the row that had it")
	feed(t, a, numeric("NaN"), vec.Insert)
	require.Equal(t, "NaN", valueOf(t, a, types.Of(types.Numeric)).S)
	feed(t, a, numeric("NaN", "1.10", "2"), vec.Delete)
	require.True(t, valueOf(t, a, types.Of(types.Numeric)).Null, "the sum of nothing is NULL")

	wide := vec.NewVector(types.Of(types.Int8), 0)
	for range 3 {
		wide.AppendInt(math.MaxInt64)
	}
	s := &intSum{wide: true}
	s.grow(1)
	feed(t, s, wide, vec.Insert)
	require.Equal(t, "27670116110564327421", valueOf(t, s, types.Of(types.Numeric)).S)
	narrow := &intSum{}
	narrow.grow(1)
	feed(t, narrow, wide, vec.Insert)
	require.ErrorContains(t, narrow.result(0, vec.NewVector(types.Of(types.Int8), 1)), "bigint out of range")
	feed(t, narrow, wide, vec.Delete)
	feed(t, narrow, wide, vec.Delete)
	require.Error(t, narrow.result(0, vec.NewVector(types.Of(types.Int8), 1)), "below the range too")
}

// TestAccumulatorsReadWhatTheyWrite encodes and decodes the aggregates that keep a running value, in a random state.
func TestAccumulatorsReadWhatTheyWrite(t *testing.T) {
	names := map[types.Kind][]string{
		types.Int4: {"count", "sum", "avg", "min", "max", "bit_and", "bit_xor", "var_pop"}, types.Int8: {"sum", "avg", "min", "bit_or", "stddev"},
		types.Float8: {"sum", "avg", "max", "var_samp"}, types.Numeric: {"sum", "avg", "min", "variance"}, types.Bool: {"bool_and", "bool_or", "every"},
		types.Interval: {"sum", "avg", "max"},
	}
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom([]types.Kind{types.Int4, types.Int8, types.Float8, types.Numeric, types.Bool, types.Interval}).Draw(t, "type")
		name := rapid.SampledFrom(names[kind]).Draw(t, "aggregate")
		typ := types.Of(kind)
		agg := &planner.Agg{Func: &planner.Func{Name: name}, Args: []planner.Expr{&planner.ColumnRef{Typ: typ}}, Typ: resultType(name, kind)}
		build, err := newAccumulator(&aggregateOp{}, agg, 0)
		require.NoError(t, err)
		a, b := build(), build()
		a.grow(1)
		b.grow(2)
		col := vec.NewVector(typ, 0)
		for range rapid.IntRange(0, 5).Draw(t, "values") {
			appendRandom(t, col)
		}
		feed(t, a, col, vec.Insert)
		enc := a.encode(nil, 0)
		rest, err := b.decode(1, append(enc, 7))
		require.NoError(t, err)
		require.Equal(t, []byte{7}, rest)
		require.Equal(t, enc, b.encode(nil, 1))
		for n := range enc {
			_, err := b.decode(1, enc[:n])
			require.Error(t, err, "cut after %d bytes", n)
		}
		// What comes and leaves again leaves nothing behind.
		before := valueOf(t, a, agg.Typ)
		more := vec.NewVector(typ, 0)
		for range rapid.IntRange(1, 5).Draw(t, "passing values") {
			appendRandom(t, more)
		}
		if name != "min" && name != "max" { // these look into their state, which this test has not
			feed(t, a, more, vec.Insert)
			feed(t, a, more, vec.Delete)
			require.Equal(t, before, valueOf(t, a, agg.Typ))
		}
	})
}

// resultType is the type of an aggregate over a kind of value, as in the planner's tables.
func resultType(name string, arg types.Kind) types.Type {
	switch {
	case name == "count", name == "sum" && arg == types.Int4:
		return types.Of(types.Int8)
	case name == "min", name == "max", name[:3] == "bit", arg == types.Bool, arg == types.Interval, arg == types.Float8:
		return types.Of(arg)
	default:
		return types.Of(types.Numeric)
	}
}

func appendRandom(t *rapid.T, col *vec.Vector) {
	switch col.Type.Kind {
	case types.Bool:
		col.AppendInt(rapid.Int64Range(0, 1).Draw(t, "bool"))
	case types.Int4:
		col.AppendInt(int64(rapid.Int32().Draw(t, "int")))
	case types.Int8:
		col.AppendInt(rapid.Int64Range(-1<<60, 1<<60).Draw(t, "bigint"))
	case types.Float8:
		col.AppendFloat(rapid.Float64Range(-1e100, 1e100).Draw(t, "float"))
	case types.Interval:
		col.AppendDatum(types.IntervalValue{Months: rapid.Int32Range(-99, 99).Draw(t, "months"), Micros: rapid.Int64Range(-1e9, 1e9).Draw(t, "micros")}.Datum())
	default:
		col.AppendString(fmt.Sprint(rapid.Int32().Draw(t, "numeric"), ".5"))
	}
}
