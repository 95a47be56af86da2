package types_test

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/millracedb/millrace/sql/types"
)

// moreOrderInputs are values that sort interestingly, beside those of values.txt.
var moreOrderInputs = map[string][]string{
	"text":    {"", "a", "aa", "ab", "b", "A", "é", "a b"},
	"bytea":   {`\x00`, `\x0000`, `\x0001`, `\x00ff`, `\x01`, `\xff`, `\xff00`},
	"numeric": {"1.01", "1.001", "-1.01", "-1.001", "0.1", "0.01", "0.09", "10", "9", "99", "100", "-100", "-99", "123.4", "123.40", "1230", "12300"},
	"jsonb": {
		`{"a":1}`, `{"a":2}`, `{"b":1}`, `{"a":1,"b":2}`, `[1]`, `[2]`, `[1,2]`, `[[]]`, `[{}]`, `"a"`, `"b"`, `"aa"`, `-1`, `-1.5`, `10`, `9`, `false`,
		`[null]`, `["a"]`, `{"a":[]}`, `{"a":null}`, `{"aa":1}`, `1.00`,
	},
	"interval": {"30 days", "1 mon", "720:00:00", "29 days 24:00", "-30 days", "-1 mon", "1 us"},
	"float8":   {"-1", "-2", "2", "-1e300", "1e-300", "-1e-300"},
	"int4[]":   {"{1}", "{1,2}", "{2}", "{1,NULL}", "{NULL}", "{-1}"},
	"text[]":   {"{a}", "{ab}", "{a,b}", "{A}"},
}

func orderInputs(t *testing.T) map[string][]string {
	inputs := map[string][]string{}
	for _, c := range readValues(t) {
		typ, _ := typeOf(c.typ)
		_, err := types.ParseText(typ, c.input, nil)
		if err != nil || typ.Kind == types.JSON || typ.Mod >= 0 || len(c.input) > 100 || c.input == "1e131071" || strings.ContainsAny(c.input, "\t\n") {
			continue
		}
		inputs[c.typ] = append(inputs[c.typ], c.input)
	}
	for typ, more := range moreOrderInputs {
		inputs[typ] = append(inputs[typ], more...)
	}
	return inputs
}

// ranksOf orders the values by less and numbers them; equal values share a number.
func ranksOf(n int, compare func(i, j int) int) string {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, compare)
	ranks := make([]string, n)
	rank := 0
	for k, i := range order {
		if k == 0 || compare(order[k-1], i) != 0 {
			rank++
		}
		ranks[i] = fmt.Sprint(rank)
	}
	return strings.Join(ranks, " ")
}

func TestCompareKeysAndHashAgreeWithPostgreSQLsOrder(t *testing.T) {
	var cases []opCase
	inputs := orderInputs(t)
	names := make([]string, 0, len(inputs))
	for name := range inputs {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		typ, _ := typeOf(name)
		var quoted []string
		var values []types.Datum
		for i, s := range inputs[name] {
			d, err := types.ParseText(typ, s, nil)
			require.NoError(t, err, s)
			values = append(values, d)
			quoted = append(quoted, fmt.Sprintf("(%d,%s::%s)", i, quote(s), name))
		}
		query := "string_agg(r::text, ' ' order by i) from (select i, dense_rank() over (order by v) r from (values " +
			strings.Join(quoted, ",") + ") t(i, v)) q"
		cases = append(cases, opCase{query, func() string { return checkOrder(t, typ, values) }})
	}
	checkGolden(t, "testdata/order.golden", cases)
}

// checkOrder returns the ranks by Compare after holding that keys and hashes agree with it.
func checkOrder(t *testing.T, typ types.Type, values []types.Datum) string {
	values = append(slices.Clone(values), types.NullDatum)
	for _, a := range values {
		for _, b := range values {
			want := types.Compare(typ, a, b)
			ka, kb := types.AppendKey(nil, typ, a), types.AppendKey(nil, typ, b)
			require.Equal(t, want, bytes.Compare(ka, kb), "%s: %v and %v: %x %x", typ, a, b, ka, kb)
			da, db := types.AppendKeyDesc(nil, typ, a), types.AppendKeyDesc(nil, typ, b)
			require.Equal(t, -want, bytes.Compare(da, db), "%s descending: %v and %v", typ, a, b)
			if want == 0 {
				require.Equal(t, types.Hash(typ, a), types.Hash(typ, b), "%s: %v and %v", typ, a, b)
			}
		}
		checkKeyDecodes(t, typ, a)
	}
	n := len(values) - 1
	return ranksOf(n, func(i, j int) int { return types.Compare(typ, values[i], values[j]) })
}

func checkKeyDecodes(t *testing.T, typ types.Type, d types.Datum) {
	back, rest, err := types.DecodeKey(typ, append(types.AppendKey(nil, typ, d), "rest"...))
	require.NoError(t, err)
	require.Equal(t, "rest", string(rest))
	require.Equal(t, 0, types.Compare(typ, d, back), "%s: %v read back as %v", typ, d, back)
	back, rest, err = types.DecodeKeyDesc(typ, append(types.AppendKeyDesc(nil, typ, d), "rest"...))
	require.NoError(t, err)
	require.Equal(t, "rest", string(rest))
	require.Equal(t, 0, types.Compare(typ, d, back))
}

func TestKeysOfDecimalsKeepTheirOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(label string) types.Datum {
			coeff := rapid.Int64Range(-99999, 99999).Draw(t, label)
			return types.NewDecimal(coeff, rapid.IntRange(0, 8).Draw(t, label+" scale")).Datum()
		}
		a, b := draw("a"), draw("b")
		want := types.DecimalOf(a.S).Cmp(types.DecimalOf(b.S))
		num := types.Of(types.Numeric)
		require.Equal(t, want, types.Compare(num, a, b))
		require.Equal(t, want, bytes.Compare(types.AppendKey(nil, num, a), types.AppendKey(nil, num, b)))
	})
}

func TestKeyOfNumericWithScaleGivesItsZerosBack(t *testing.T) {
	typ := types.NumericOf(10, 2)
	d, _, err := types.DecodeKey(typ, types.AppendKey(nil, typ, types.BytesDatum("1.50")))
	require.NoError(t, err)
	require.Equal(t, "1.50", d.S)
}

func TestStructsCompareFieldByField(t *testing.T) {
	typ := types.StructOf(types.Field{Name: "a", Type: types.Of(types.Int4)}, types.Field{Name: "b", Type: types.Of(types.Text)})
	row := func(a int64, b string) types.Datum {
		return types.StructDatum(typ.Fields, []types.Datum{types.IntDatum(a), types.BytesDatum(b)})
	}
	values := []types.Datum{row(-1, "z"), row(1, "a"), row(1, "b"), types.StructDatum(typ.Fields, []types.Datum{types.IntDatum(1), types.NullDatum}), row(2, "")}
	for i := range values {
		for j := range values {
			require.Equal(t, cmp.Compare(i, j), types.Compare(typ, values[i], values[j]))
			require.Equal(t, cmp.Compare(i, j), bytes.Compare(types.AppendKey(nil, typ, values[i]), types.AppendKey(nil, typ, values[j])))
		}
		checkKeyDecodes(t, typ, values[i])
	}
}

func FuzzDecodeKey(f *testing.F) {
	kinds := []types.Type{
		types.Of(types.Int8), types.Of(types.Numeric), types.Of(types.JSONB), types.Of(types.Text), types.Of(types.Interval),
		types.ArrayOf(types.Of(types.Text)), types.Of(types.Float8),
	}
	for i, t := range kinds {
		f.Add(uint8(i), types.AppendKey(nil, t, types.NullDatum))
	}
	f.Add(uint8(2), types.AppendKey(nil, kinds[2], types.BytesDatum(`{"a": [1, "x", null]}`)))
	f.Fuzz(func(t *testing.T, kind uint8, src []byte) {
		typ := kinds[int(kind)%len(kinds)]
		d, rest, err := types.DecodeKey(typ, src)
		if err == nil && len(rest) > len(src) {
			t.Fatal("more left than there was")
		}
		_ = d
	})
}

func FuzzParseTextNeverPanics(f *testing.F) {
	f.Add(uint8(types.Interval), "1 year 2 mons -3 days 04:05:06.7")
	f.Add(uint8(types.TimestampTZ), "Sat Nov 21 20:39:34.5 2026 America/New_York BC")
	f.Add(uint8(types.JSONB), `{"a":[1,2.50,{"b":"\u00e9"}],"a":null}`)
	f.Add(uint8(types.Numeric), "-12.340e5")
	f.Add(uint8(types.Bytea), `\x00ff`)
	f.Fuzz(func(t *testing.T, kind uint8, s string) {
		typ := types.Of(types.Kind(int(kind) % int(types.Void)))
		if typ.Kind == types.Array || typ.Kind == types.Map || typ.Kind == types.Struct {
			typ = types.ArrayOf(types.Of(types.Text))
		}
		d, err := types.ParseText(typ, s, nil)
		if err != nil {
			return
		}
		again, err := types.ParseText(typ, types.FormatText(typ, d, nil), nil)
		require.NoError(t, err, "%s %q printed as %q", typ, s, types.FormatText(typ, d, nil))
		require.Equal(t, 0, types.Compare(typ, d, again), "%s %q", typ, s)
	})
}

func FuzzParseBinaryNeverPanics(f *testing.F) {
	f.Add(uint8(types.Numeric), []byte{0, 1, 0, 0, 0, 0, 0, 2, 0, 1})
	f.Add(uint8(types.Array), types.AppendBinary(nil, types.ArrayOf(types.Of(types.Text)), types.ArrayDatum(types.Of(types.Text), []types.Datum{types.BytesDatum("x")})))
	f.Fuzz(func(t *testing.T, kind uint8, src []byte) {
		typ := types.Of(types.Kind(int(kind) % int(types.Void)))
		if typ.Kind == types.Array || typ.Kind == types.Map || typ.Kind == types.Struct {
			typ = types.ArrayOf(types.Of(types.Text))
		}
		d, err := types.ParseBinary(typ, src)
		if err != nil {
			return
		}
		if typ.Kind.Storage() == types.StoreFloat && math.IsNaN(d.F) {
			return
		}
		again, err := types.ParseBinary(typ, types.AppendBinary(nil, typ, d))
		require.NoError(t, err)
		require.Equal(t, 0, types.Compare(typ, d, again))
	})
}
