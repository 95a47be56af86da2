package vec_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/sql/types"
)

func TestTextAndBinaryFormsAppendTheSameValue(t *testing.T) {
	for kind, text := range map[types.Kind]string{
		types.Int4: "42", types.Float8: "1.5", types.Numeric: "1.50", types.Text: "x y", types.Bytea: `\x00ff`, types.Timestamp: "2026-11-21 20:39:34",
		types.UUID: "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", types.JSONB: `{"a": 1}`, types.Interval: "1 day",
	} {
		v := vec.NewVector(types.Of(kind), 0)
		src := []byte(text)
		require.NoError(t, v.AppendText(src, nil))
		clear(src) // the vector must not alias it
		wire := types.AppendBinary(nil, v.Type, v.View(0))
		require.NoError(t, v.AppendBinary(wire))
		clear(wire)
		require.Equal(t, text, types.FormatText(v.Type, v.Datum(0), nil))
		require.Equal(t, v.Datum(0), v.Datum(1))
	}
}

func TestBadFormsAppendNothing(t *testing.T) {
	v := vec.NewVector(types.Of(types.Int4), 0)
	require.Error(t, v.AppendText([]byte("x"), nil))
	require.Error(t, v.AppendBinary([]byte("xyz")))
	w := vec.NewVector(types.Of(types.Text), 0)
	require.Error(t, w.AppendBinary([]byte("a\x00b")))
	require.Equal(t, 0, v.Len()+w.Len())
}

func BenchmarkAppendTextForm(b *testing.B) {
	cols := []*vec.Vector{
		vec.NewVector(types.Of(types.Int8), 1024), vec.NewVector(types.Of(types.Text), 1024), vec.NewVector(types.NumericOf(10, 2), 1024),
		vec.NewVector(types.Of(types.TimestampTZ), 1024),
	}
	fields := [][]byte{[]byte("1234567"), []byte("some short text"), []byte("12345.67"), []byte("2026-11-21 20:39:34.967+00")}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if n++; n%1024 == 0 {
			for _, c := range cols {
				c.Reset()
			}
		}
		for i, c := range cols {
			if err := c.AppendText(fields[i], nil); err != nil {
				b.Fatal(err)
			}
		}
	}
}
