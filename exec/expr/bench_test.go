package expr

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

const benchRows = 1024

func function(id string) *planner.Func {
	for _, f := range planner.Functions() {
		if f.ID() == id {
			return f
		}
	}
	panic("no function " + id)
}

// benchmarkCall evaluates a function over a column of generated values and constants behind it.
func benchmarkCall(b *testing.B, id string, value func(i int) types.Datum, consts ...types.Datum) {
	f := function(id)
	call := &planner.Call{Func: f, Typ: f.Ret, Args: []planner.Expr{&planner.ColumnRef{Typ: f.Args[0]}}}
	for i, d := range consts {
		call.Args = append(call.Args, &planner.Const{Typ: f.Args[i+1], Val: d})
	}
	p, err := Compile(call)
	require.NoError(b, err)
	in := vec.NewBatch([]types.Type{f.Args[0]}, benchRows)
	for i := range benchRows {
		in.Cols[0].AppendDatum(value(i))
	}
	in.SetLen(benchRows)
	env, sel := &Env{}, vec.All(nil, benchRows)
	var errs Errors
	b.ReportAllocs()
	for b.Loop() {
		errs.Reset(benchRows)
		p.Eval(env, in, sel, &errs)
	}
	require.NoError(b, errs.First())
	b.ReportMetric(float64(b.N)*benchRows/b.Elapsed().Seconds()/1e6, "Mrows/s")
}

func BenchmarkFunctions(b *testing.B) {
	texts := func(i int) types.Datum { return types.BytesDatum(fmt.Sprintf("The Flight %d from SFO to LAX", i)) }
	numbers := func(i int) types.Datum { return types.BytesDatum(fmt.Sprintf("%d.%02d", i, i%100)) }
	times := func(i int) types.Datum { return types.IntDatum(int64(i) * 3_600_000_000) }
	str := types.BytesDatum
	for _, c := range []struct {
		id     string
		value  func(int) types.Datum
		consts []types.Datum
	}{
		{"+(int8,int8)", func(i int) types.Datum { return types.IntDatum(int64(i)) }, []types.Datum{types.IntDatum(7)}},
		{"=(text,text)", texts, []types.Datum{str("x")}},
		{"~~(text,text)", texts, []types.Datum{str("%SFO%")}},
		{"~(text,text)", texts, []types.Datum{str("^The.*LAX$")}},
		{"lower(text)", texts, nil},
		{"+(numeric,numeric)", numbers, []types.Datum{str("1.5")}},
		{"<(numeric,numeric)", numbers, []types.Datum{str("1.5")}},
		{"substring(text,int4,int4)", texts, []types.Datum{types.IntDatum(5), types.IntDatum(6)}},
		{"regexp_replace(text,text,text)", texts, []types.Datum{str(`\d+`), str("#")}},
		{"+(timestamp,interval)", times, []types.Datum{types.IntervalValue{Days: 1}.Datum()}},
		{"to_char(timestamp,text)", times, []types.Datum{str("YYYY-MM-DD")}},
	} {
		b.Run(c.id, func(b *testing.B) { benchmarkCall(b, c.id, c.value, c.consts...) })
	}
}
