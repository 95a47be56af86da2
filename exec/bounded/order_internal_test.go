package bounded

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/millracedb/millrace/exec/expr"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// drawKey draws a value of a few that are apart in all that matters: near each other, with a long beginning in common, at the ends of their type.
func drawKey(t *rapid.T, k types.Kind) types.Datum {
	if rapid.IntRange(0, 5).Draw(t, "null") == 0 {
		return types.NullDatum
	}
	switch k {
	case types.Int8:
		return types.IntDatum(rapid.SampledFrom([]int64{math.MinInt64, -1, 0, 1, 2, math.MaxInt64}).Draw(t, "int"))
	case types.Float8:
		return types.FloatDatum(rapid.SampledFrom([]float64{math.Inf(-1), -1.5, math.Copysign(0, -1), 0, 1e-300, 3, math.Inf(1), math.NaN()}).Draw(t, "float"))
	case types.Numeric:
		return types.BytesDatum(rapid.SampledFrom([]string{"-Infinity", "-12.5", "0", "0.001", "12345678901234567890", "12345678901234567891", "NaN"}).Draw(t, "numeric"))
	}
	return types.BytesDatum(rapid.SampledFrom([]string{"", "\x00", "a", "a\x00", "beginning-1", "beginning-2", "beginning", "\xc3\xa4"}).Draw(t, "text"))
}

// TestSortedRowsAreInTheOrderOfAllKeys compares with a stable sort that looks at all keys of each pair.
func TestSortedRowsAreInTheOrderOfAllKeys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows, keys := &rowSet{}, &sortKeys{}
		for range rapid.IntRange(1, 3).Draw(t, "keys") {
			k := types.Of(rapid.SampledFrom([]types.Kind{types.Int8, types.Float8, types.Numeric, types.Text}).Draw(t, "type"))
			rows.schema = append(rows.schema, k)
			keys.by = append(keys.by, planner.SortKey{
				Expr: &planner.ColumnRef{Ord: len(keys.by), Typ: k}, Desc: rapid.Bool().Draw(t, "desc"), NullsFirst: rapid.Bool().Draw(t, "nulls first"),
			})
		}
		for range rapid.IntRange(0, 4).Draw(t, "batches") {
			b := vec.NewBatch(rows.schema, 0)
			for range rapid.IntRange(1, 12).Draw(t, "rows") {
				row := make([]types.Datum, len(rows.schema))
				for c := range row {
					row[c] = drawKey(t, rows.schema[c].Kind)
				}
				b.AppendDatums(row, vec.Insert, 0)
			}
			rows.batches, rows.n, keys.cols = append(rows.batches, b), rows.n+b.Len(), append(keys.cols, b.Cols)
		}
		want := rows.refs()
		slices.SortStableFunc(want, func(a, b rowRef) int {
			for k, key := range keys.by {
				x, y := keys.cols[a.batch][k].Datum(int(a.row)), keys.cols[b.batch][k].Datum(int(b.row))
				if c := compareKey(key, x, y); c != 0 {
					return c
				}
			}
			return 0
		})
		got, err := keys.order(nil, rows)
		require.NoError(t, err)
		require.Equal(t, want, got)
	})
}

func TestIntegersAreNumberedAsTheyCome(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var x intIndex
		want, order := map[int64]int32{}, []int64(nil)
		step := rapid.SampledFrom([]int64{1, -1, 1 << 32, 1 << 56, 0x9e3779b9}).Draw(t, "step")
		for range rapid.IntRange(0, 600).Draw(t, "adds") {
			key := step * rapid.Int64Range(-100, 100).Draw(t, "key")
			n, fresh := x.add(key)
			known, ok := want[key]
			require.Equal(t, !ok, fresh)
			if !ok {
				known = int32(len(order))
				want[key], order = known, append(order, key)
			}
			require.Equal(t, known, n)
		}
		for key := int64(-100); key <= 100; key++ {
			n, ok := want[step*key]
			if !ok {
				n = -1
			}
			require.Equal(t, n, x.find(step*key))
		}
		require.Equal(t, order, x.keys)
	})
}

// batches is a source of the same batches for every scan.
type batches []*vec.Batch

func (s batches) Scan(context.Context, *planner.Scan, [][]types.Datum) (Iter, error) {
	return &setIter{batches: s}, nil
}

// TestTheFirstRowsAreThoseOfTheWholeSort compares a sort that keeps the first rows only with one that keeps all, over more rows than it keeps at a time.
func TestTheFirstRowsAreThoseOfTheWholeSort(t *testing.T) {
	schema := []types.Type{types.Of(types.Int8), types.Of(types.Int8)}
	scan := &planner.Scan{P: planner.Props{Cols: []planner.Col{{Name: "a", Type: schema[0]}, {Name: "b", Type: schema[1]}}}, Rel: &planner.Relation{}, Cols: []int{0, 1}}
	for _, spread := range []int64{1, 7, 9999} {
		for _, nulls := range []int64{2, 50} {
			var source batches
			for n := int64(0); n < 6000; {
				b := vec.NewBatch(schema, 0)
				for range 500 {
					a := types.IntDatum(n * 7919 % spread)
					if n%nulls == 0 {
						a = types.NullDatum
					}
					b.AppendDatums([]types.Datum{a, types.IntDatum(n)}, vec.Insert, 0)
					n++
				}
				source = append(source, b)
			}
			read := func(open func(*Query) (Iter, error)) (got []int64) {
				it, err := open(&Query{Env: &expr.Env{Ctx: t.Context()}, Source: source})
				require.NoError(t, err)
				defer it.Close()
				for {
					b, err := it.Next()
					require.NoError(t, err)
					if b == nil {
						return got
					}
					got = append(got, b.Cols[1].I64...)
				}
			}
			for way := range 4 {
				sort := &planner.Sort{P: scan.P, In: scan, By: []planner.SortKey{{Expr: &planner.ColumnRef{Typ: schema[0]}, Desc: way&1 > 0, NullsFirst: way&2 > 0}}}
				want := read(func(q *Query) (Iter, error) { return q.openSort(sort) })
				for _, limit := range []int{1, 100} {
					require.Equal(t, want[:limit], read(func(q *Query) (Iter, error) { return q.openTopN(sort, limit) }))
				}
			}
		}
	}
}
