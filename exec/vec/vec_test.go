package vec_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/sql/types"
)

var schema = []types.Type{types.Of(types.Int8), types.Of(types.Float8), types.Of(types.Text)}

func drawRow(t *rapid.T) []types.Datum {
	row := []types.Datum{
		types.IntDatum(rapid.Int64().Draw(t, "i")),
		types.FloatDatum(rapid.Float64().Draw(t, "f")),
		types.BytesDatum(rapid.String().Draw(t, "s")),
	}
	for c := range row {
		if rapid.IntRange(0, 3).Draw(t, "null") == 0 {
			row[c] = types.NullDatum
		}
	}
	return row
}

func drawBatch(t *rapid.T, maxRows int) (*vec.Batch, [][]types.Datum) {
	b := vec.NewBatch(schema, 0)
	var rows [][]types.Datum
	for range rapid.IntRange(0, maxRows).Draw(t, "rows") {
		row := drawRow(t)
		rows = append(rows, row)
		b.AppendDatums(row, vec.Op(rapid.IntRange(0, 3).Draw(t, "op")), 7)
	}
	return b, rows
}

func TestBatchGivesBackTheRowsItWasGiven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b, rows := drawBatch(t, 200)
		require.Equal(t, len(rows), b.Len())
		for i, row := range rows {
			require.Equal(t, row, b.Row(i))
		}
	})
}

func TestGatherPicksRowsAndPutsNullsForMissingOnes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		src, rows := drawBatch(t, 150)
		if src.Len() == 0 {
			return
		}
		dst, before := drawBatch(t, 100)
		sel := rapid.SliceOf(rapid.Int32Range(-1, int32(src.Len()-1))).Draw(t, "sel")
		for c := range schema {
			dst.Cols[c].AppendGather(src.Cols[c], sel)
			for i, row := range before {
				require.Equal(t, row[c], dst.Cols[c].Datum(i))
			}
			for k, i := range sel {
				want := types.NullDatum
				if i != vec.NoRow {
					want = rows[i][c]
				}
				require.Equal(t, want, dst.Cols[c].Datum(len(before)+k))
			}
		}
	})
}

func TestRollbackTakesAwayWhatWasAppendedSinceTheMark(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b, rows := drawBatch(t, 130)
		more, _ := drawBatch(t, 130)
		for c, col := range b.Cols {
			mark := col.Mark()
			col.AppendRange(more.Cols[c], 0, more.Len())
			col.Rollback(mark)
			col.AppendRange(more.Cols[c], 0, more.Len())
			for i := range rows {
				require.Equal(t, rows[i][c], col.Datum(i))
			}
			for i := range more.Len() {
				require.Equal(t, more.Cols[c].Datum(i), col.Datum(len(rows)+i))
			}
		}
	})
}

func TestSetInAnyOrderKeepsEachRowsOwnValue(t *testing.T) {
	v := vec.NewVector(types.Of(types.Text), 0)
	v.ResetLen(70)
	for i := 69; i >= 0; i-- {
		if i%7 == 0 {
			v.SetNull(i)
			continue
		}
		v.SetString(i, fmt.Sprint("v", i))
	}
	v.SetString(7, "again")
	for i := range 70 {
		switch {
		case i == 7:
			require.Equal(t, "again", v.Str(i))
			require.False(t, v.IsNull(i))
		case i%7 == 0:
			require.True(t, v.IsNull(i))
		default:
			require.Equal(t, fmt.Sprint("v", i), v.Str(i))
		}
	}
	v.ResetLen(3)
	require.False(t, v.HasNulls())
	require.Equal(t, "", v.Str(2))
}

func TestFillHoldsAConstantOnce(t *testing.T) {
	v := vec.NewVector(types.Of(types.Text), 0)
	v.Fill(types.BytesDatum("abc"), 1000)
	require.Equal(t, 1000, v.Len())
	require.Equal(t, "abc", v.Str(999))
	require.Len(t, v.Data, 3)
	v.Fill(types.NullDatum, 65)
	require.True(t, v.IsNull(64))
	require.Equal(t, 0, v.Valid.Count(65))
}

func TestEncodedRowDecodesToItselfAndToWiderSchemas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b, rows := drawBatch(t, 20)
		wide := vec.NewBatch(append(append([]types.Type{}, schema...), types.Of(types.Int4)), 0)
		for i, row := range rows {
			enc := vec.AppendEncodedRow(nil, b.Cols, i)
			require.NoError(t, vec.AppendDecodedRow(wide.Cols, enc))
			for c := range row {
				require.Equal(t, row[c], wide.Cols[c].Datum(i))
			}
			require.True(t, wide.Cols[3].IsNull(i))
		}
	})
}

func TestDamagedRowLeavesTheColumnsAsTheyWere(t *testing.T) {
	b := vec.NewBatch(schema, 0)
	b.AppendDatums([]types.Datum{types.IntDatum(300), types.FloatDatum(math.Pi), types.BytesDatum("hello")}, vec.Insert, 0)
	enc := vec.AppendEncodedRow(nil, b.Cols, 0)
	for n := range enc {
		dst := vec.NewBatch(schema, 0)
		require.ErrorIs(t, vec.AppendDecodedRow(dst.Cols, enc[:n]), vec.ErrCorruptRow)
		for _, col := range dst.Cols {
			require.Equal(t, 0, col.Len())
		}
	}
}

func TestOpsStayAbsentUntilARowIsNotAnInsert(t *testing.T) {
	b := vec.NewBatch(schema[:1], 0)
	for range 3 {
		b.AppendDatums([]types.Datum{types.IntDatum(1)}, vec.Insert, 0)
	}
	require.Nil(t, b.Ops)
	b.AppendDatums([]types.Datum{types.IntDatum(1)}, vec.Delete, 0)
	require.Equal(t, []vec.Op{vec.Insert, vec.Insert, vec.Insert, vec.Delete}, b.Ops)
	c := vec.NewBatch(schema[:1], 0)
	c.AppendGather(b, []int32{0, 3})
	require.Equal(t, "+I @0 1\n-D @0 1\n", c.String())
}

func BenchmarkGatherText(b *testing.B) {
	src := vec.NewVector(types.Of(types.Text), 1024)
	sel := vec.All(nil, 1024)
	for range sel {
		src.AppendString("a short text")
	}
	dst := vec.NewVector(types.Of(types.Text), 1024)
	b.ReportAllocs()
	for b.Loop() {
		dst.Reset()
		dst.AppendGather(src, sel)
	}
}

// TestSomeColumnsOfARowAreThoseOfTheWhole: reading a part of a row gives what reading all of it does, and what does not decode grows nothing.
func TestSomeColumnsOfARowAreThoseOfTheWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b, _ := drawBatch(t, 20)
		if b.Len() == 0 {
			return
		}
		stored := b.Cols[:rapid.IntRange(0, len(b.Cols)).Draw(t, "stored columns")]
		src := vec.AppendEncodedRow(nil, stored, b.Len()-1)
		wanted := rapid.SliceOfN(rapid.Bool(), 0, len(schema)).Draw(t, "wanted")
		whole, part := vec.NewBatch(schema, 0), vec.NewBatch(schema, 0)
		require.NoError(t, vec.AppendDecodedRow(whole.Cols, src))
		require.NoError(t, vec.AppendDecodedColumns(part.Cols, wanted, src))
		for c, col := range part.Cols {
			if c >= len(wanted) || !wanted[c] {
				require.Zero(t, col.Len())
				continue
			}
			require.Equal(t, 1, col.Len())
			require.Equal(t, whole.Cols[c].Datum(0), col.Datum(0))
		}
		part = vec.NewBatch(schema, 0)
		if err := vec.AppendDecodedColumns(part.Cols, wanted, src[:rapid.IntRange(0, len(src)-1).Draw(t, "cut")]); err != nil {
			require.ErrorIs(t, err, vec.ErrCorruptRow)
			for _, col := range part.Cols {
				require.Zero(t, col.Len())
			}
		}
	})
}
