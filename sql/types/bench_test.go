package types_test

import (
	"testing"
	"time"

	"github.com/millracedb/millrace/sql/types"
)

// benchValues are one usual value of the types that matter most.
var benchValues = []struct{ typ, text string }{
	{"int8", "1234567890"},
	{"float8", "12.75"},
	{"numeric", "12345.67"},
	{"text", "some short text"},
	{"timestamp", "2026-11-21 20:39:34.967"},
	{"timestamptz", "2026-11-21 20:39:34.967+00"},
	{"interval", "1 day 02:03:04"},
	{"uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
	{"jsonb", `{"a": 1, "b": [true, null]}`},
}

func forEachBenchValue(b *testing.B, f func(b *testing.B, t types.Type, text string, d types.Datum)) {
	for _, v := range benchValues {
		typ, _ := typeOf(v.typ)
		d, err := types.ParseText(typ, v.text, nil)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(v.typ, func(b *testing.B) {
			b.ReportAllocs()
			f(b, typ, v.text, d)
		})
	}
}

func BenchmarkParseText(b *testing.B) {
	forEachBenchValue(b, func(b *testing.B, t types.Type, text string, _ types.Datum) {
		for b.Loop() {
			if _, err := types.ParseText(t, text, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkAppendText(b *testing.B) {
	set := &types.Settings{Zone: time.UTC}
	var buf []byte
	forEachBenchValue(b, func(b *testing.B, t types.Type, _ string, d types.Datum) {
		for b.Loop() {
			buf = types.AppendText(buf[:0], t, d, set)
		}
	})
}

func BenchmarkAppendBinary(b *testing.B) {
	var buf []byte
	forEachBenchValue(b, func(b *testing.B, t types.Type, _ string, d types.Datum) {
		for b.Loop() {
			buf = types.AppendBinary(buf[:0], t, d)
		}
	})
}

func BenchmarkAppendKey(b *testing.B) {
	var buf []byte
	forEachBenchValue(b, func(b *testing.B, t types.Type, _ string, d types.Datum) {
		for b.Loop() {
			buf = types.AppendKey(buf[:0], t, d)
		}
	})
}

func BenchmarkHash(b *testing.B) {
	forEachBenchValue(b, func(b *testing.B, t types.Type, _ string, d types.Datum) {
		for b.Loop() {
			types.Hash(t, d)
		}
	})
}

func BenchmarkDecimal(b *testing.B) {
	ops := []struct {
		name string
		f    func(z, x, y *types.Decimal) error
	}{{"add", (*types.Decimal).Add}, {"mul", (*types.Decimal).Mul}, {"div", (*types.Decimal).Div}}
	for _, op := range ops {
		b.Run(op.name, func(b *testing.B) {
			b.ReportAllocs()
			var x, y, z types.Decimal
			var buf []byte
			for b.Loop() { // as a kernel does: two texts in, one out
				x.SetText("12345.67")
				y.SetText("-3.5")
				if err := op.f(&z, &x, &y); err != nil {
					b.Fatal(err)
				}
				buf = z.Append(buf[:0])
			}
		})
	}
}
