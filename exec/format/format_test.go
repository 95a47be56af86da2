package format_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/millracedb/millrace/exec/format"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql/types"
)

// columnsOf makes columns of "name type" pairs.
func columnsOf(t testing.TB, defs ...string) []format.Column {
	t.Helper()
	cols := make([]format.Column, len(defs))
	for i, def := range defs {
		name, typ, _ := strings.Cut(def, " ")
		switch typ {
		case "numeric(6,2)":
			cols[i] = format.Column{Name: name, Type: types.NumericOf(6, 2)}
			continue
		case "map":
			cols[i] = format.Column{Name: name, Type: types.MapOf(types.Of(types.Int4))}
			continue
		case "struct":
			cols[i] = format.Column{Name: name, Type: types.StructOf(
				types.Field{Name: "x", Type: types.Of(types.Int4)}, types.Field{Name: "y", Type: types.Of(types.Text)})}
			continue
		}
		found, ok := types.Lookup(typ)
		require.True(t, ok, typ)
		cols[i] = format.Column{Name: name, Type: found}
	}
	return cols
}

func batchOf(cols []format.Column, wanted []int) *vec.Batch {
	schema := make([]types.Type, len(wanted))
	for i, c := range wanted {
		schema[i] = cols[c].Type
	}
	return vec.NewBatch(schema, 0)
}

func all(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// decode reads one record and returns the row in its text forms, or the error.
func decode(t testing.TB, s format.Schema, wanted []int, src string) ([]string, error) {
	t.Helper()
	d, err := format.NewDecoder(s, wanted)
	require.NoError(t, err)
	b := batchOf(s.Columns, wanted)
	if err := d.Append(b.Cols, []byte(src)); err != nil {
		for _, c := range b.Cols {
			require.Equal(t, 0, c.Len(), "an error must leave the columns as they were")
		}
		return nil, err
	}
	row := make([]string, len(wanted))
	for i, c := range b.Cols {
		require.Equal(t, 1, c.Len())
		if row[i] = "NULL"; !c.IsNull(0) {
			row[i] = types.FormatText(c.Type, c.Datum(0), nil)
		}
	}
	return row, nil
}

func encode(t testing.TB, s format.Schema, row ...string) string {
	t.Helper()
	e, err := format.NewEncoder(s)
	require.NoError(t, err)
	b := batchOf(s.Columns, all(len(s.Columns)))
	for i, c := range s.Columns {
		if row[i] == "NULL" {
			b.Cols[i].AppendNull()
			continue
		}
		d, err := types.ParseText(c.Type, row[i], nil)
		require.NoError(t, err)
		b.Cols[i].AppendDatum(d)
	}
	out, err := e.AppendRow(nil, b.Cols, 0)
	require.NoError(t, err)
	return string(out)
}

func TestJSONReadsEveryTypeInEveryForm(t *testing.T) {
	for _, c := range []struct{ typ, json, want string }{
		{"bool", `true`, "t"},
		{"bool", `"false"`, "f"},
		{"int2", `-32768`, "-32768"},
		{"int4", `12`, "12"},
		{"int4", `"12"`, "12"},
		{"int4", `1.0`, "1"},
		{"int4", `1e3`, "1000"},
		{"int8", `9223372036854775807`, "9223372036854775807"},
		{"int8", `-9223372036854775808`, "-9223372036854775808"},
		{"float4", `0.1`, "0.1"},
		{"float8", `-1.5e3`, "-1500"},
		{"float8", `"NaN"`, "NaN"},
		{"float8", `"-Infinity"`, "-Infinity"},
		{"float8", `-0`, "-0"},
		{"numeric", `1.50`, "1.50"},
		{"numeric", `1e2`, "100"},
		{"numeric", `"12.30"`, "12.30"},
		{"numeric", `"NaN"`, "NaN"},
		{"numeric", `123456789012345678901234567890.12`, "123456789012345678901234567890.12"},
		{"numeric(6,2)", `1.5`, "1.50"},
		{"numeric(6,2)", `1.500`, "1.50"},
		{"text", `"plain"`, "plain"},
		{"text", `"a\u00e9\n\"\ud83d\ude00"`, "aé\n\"😀"},
		{"text", `12.50`, "12.50"},
		{"text", `true`, "true"},
		{"text", `{"b": 1, "a": [2]}`, `{"b": 1, "a": [2]}`},
		{"text", `[1, 2]`, `[1, 2]`},
		{"varchar", `"x"`, "x"},
		{"bytea", `"AP8="`, `\x00ff`},
		{"date", `"2026-11-21"`, "2026-11-21"},
		{"date", `20778`, "2026-11-21"},
		{"date", `"20778"`, "2026-11-21"},
		{"date", `-1`, "1969-12-31"},
		{"time", `"04:05:06.7"`, "04:05:06.7"},
		{"time", `14706700`, "04:05:06.7"},
		{"timestamp", `"2026-11-21T20:39:34.967"`, "2026-11-21 20:39:34.967"},
		{"timestamp", `"2026-11-21 20:39:34"`, "2026-11-21 20:39:34"},
		{"timestamp", `1795293574967`, "2026-11-21 20:39:34.967"},
		{"timestamptz", `"2026-11-21T20:39:34.967Z"`, "2026-11-21 20:39:34.967+00"},
		{"timestamptz", `"2026-11-21T20:39:34+01:00"`, "2026-11-21 19:39:34+00"},
		{"timestamptz", `1795293574967`, "2026-11-21 20:39:34.967+00"},
		{"timestamptz", `1795293574967.125`, "2026-11-21 20:39:34.967125+00"},
		{"timestamptz", `"1795293574967"`, "2026-11-21 20:39:34.967+00"},
		{"timestamptz", `"infinity"`, "infinity"},
		{"interval", `"P1Y2M3DT4H5M6.7S"`, "1 year 2 mons 3 days 04:05:06.7"},
		{"interval", `"2 hours"`, "02:00:00"},
		{"uuid", `"A0EEBC99-9c0b-4ef8-bb6d-6bb9bd380a11"`, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
		{"jsonb", `{"bb":1,"a":[1, 2.50]}`, `{"a": [1, 2.50], "bb": 1}`},
		{"jsonb", `null`, "null"},
		{"json", `{ "b":1 }`, `{ "b":1 }`},
		{"int4[]", `[1,null,3]`, "{1,NULL,3}"},
		{"text[]", `["a b",1]`, `{"a b",1}`},
		{"map", `{"b":1,"a":"2"}`, `{"a": 2, "b": 1}`},
		{"struct", `{"Y":"s","x":1,"z":0}`, `{"x":1,"y":"s"}`},
		{"struct", `{}`, `{"x":null,"y":null}`},
		{"int4", `null`, "NULL"},
		{"text", `null`, "NULL"},
		{"timestamp", `null`, "NULL"},
		{"map", `null`, "NULL"},
	} {
		s := format.Schema{Format: "json", Columns: columnsOf(t, "v "+c.typ)}
		got, err := decode(t, s, []int{0}, `{"v":`+c.json+`}`)
		require.NoError(t, err, "%s %s", c.typ, c.json)
		require.Equal(t, c.want, got[0], "%s %s", c.typ, c.json)
		s.Unwrapped = true
		got, err = decode(t, s, []int{0}, " "+c.json+" ")
		require.NoError(t, err, "%s %s", c.typ, c.json)
		require.Equal(t, c.want, got[0], "%s %s bare", c.typ, c.json)
	}
}

func TestJSONRefusesWhatATypeCannotHold(t *testing.T) {
	for _, c := range []struct {
		typ, json string
		code      sqlerr.Code
	}{
		{"bool", `1`, sqlerr.InvalidTextRepresentation},
		{"int4", `1.5`, sqlerr.NumericValueOutOfRange},
		{"int4", `2147483648`, sqlerr.NumericValueOutOfRange},
		{"int2", `32768`, sqlerr.NumericValueOutOfRange},
		{"int8", `9223372036854775808`, sqlerr.NumericValueOutOfRange},
		{"int4", `true`, sqlerr.InvalidTextRepresentation},
		{"int4", `"x"`, sqlerr.InvalidTextRepresentation},
		{"int4", `{}`, sqlerr.InvalidTextRepresentation},
		{"float8", `1e400`, sqlerr.NumericValueOutOfRange},
		{"float8", `1e-400`, sqlerr.NumericValueOutOfRange},
		{"numeric(6,2)", `1.505`, sqlerr.NumericValueOutOfRange},
		{"numeric(6,2)", `10000`, sqlerr.NumericValueOutOfRange},
		{"numeric", `1e200000`, sqlerr.NumericValueOutOfRange},
		{"text", `"\u0000"`, sqlerr.UntranslatableCharacter},
		{"text", `"\ud83d"`, sqlerr.InvalidTextRepresentation},
		{"bytea", `"not base64!"`, sqlerr.InvalidTextRepresentation},
		{"date", `"2026-02-30"`, sqlerr.DatetimeFieldOverflow},
		{"date", `1.5`, sqlerr.NumericValueOutOfRange},
		{"timestamp", `"soon"`, sqlerr.InvalidDatetimeFormat},
		{"timestamp", `1e30`, sqlerr.NumericValueOutOfRange},
		{"time", `86400001`, sqlerr.DatetimeFieldOverflow},
		{"uuid", `"x"`, sqlerr.InvalidTextRepresentation},
		{"jsonb", `{"a":1e100000}`, sqlerr.NumericValueOutOfRange},
		{"int4[]", `{}`, sqlerr.InvalidTextRepresentation},
		{"int4[]", `["x"]`, sqlerr.InvalidTextRepresentation},
		{"map", `[1]`, sqlerr.InvalidTextRepresentation},
	} {
		s := format.Schema{Format: "json", Columns: columnsOf(t, "before int4", "v "+c.typ)}
		_, err := decode(t, s, []int{0, 1}, `{"before":1,"v":`+c.json+`}`)
		require.Error(t, err, "%s %s", c.typ, c.json)
		require.Equal(t, c.code, sqlerr.CodeOf(err), "%s %s: %v", c.typ, c.json, err)
		require.Contains(t, err.Error(), `column "v"`)
	}
}

func TestMalformedJSONIsRefusedWhicheverFieldsAreWanted(t *testing.T) {
	s := format.Schema{Format: "json", Columns: columnsOf(t, "a int4", "b text")}
	for _, src := range []string{
		``, ` `, `null`, `1`, `[]`, `{`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{"a":1}x`, `{"a":1}{}`, `{a:1}`, `{"a":01}`, `{"c":1.}`, `{"c":.5}`,
		`{"c":1e}`, `{"c":-}`, `{"c":tru}`, `{"c":nul}`, `{"c":"x}`, `{"c":"\x"}`, `{"c":"\u12"}`, "{\"c\":\"a\nb\"}", "{\"c\":\"\xff\"}", `{"c":[1,]}`, `{"c":[1 2]}`,
		`{"c":{"d"}}`, `{"c":{1:2}}`, `{,}`, `{"c":` + strings.Repeat("[", 1001) + strings.Repeat("]", 1001) + `}`, `{"a":1 "b":2}`, "{\"a\":1}\x00",
	} {
		for _, wanted := range [][]int{{0, 1}, {0}, {}} {
			_, err := decode(t, s, wanted, src)
			require.Error(t, err, "%q", src)
			require.NotEqual(t, sqlerr.InternalError, sqlerr.CodeOf(err), "%q", src)
		}
	}
}

func TestJSONNamesMatchExactlyElseIgnoringCase(t *testing.T) {
	s := format.Schema{Format: "json", Columns: columnsOf(t, "id int4", "Name text", "ID int4")}
	for _, c := range []struct {
		src  string
		want []string
	}{
		{`{"id":1,"Name":"n","ID":2}`, []string{"1", "n", "2"}},
		{`{"ID":2,"NAME":"n"}`, []string{"NULL", "n", "2"}},
		{`{"name":"exact loses to","Name":"exact"}`, []string{"NULL", "exact", "NULL"}},
		{`{"Name":"exact","name":"later"}`, []string{"NULL", "exact", "NULL"}},
		{`{"Id":7}`, []string{"7", "NULL", "NULL"}},
		{`{"id":1,"id":null}`, []string{"NULL", "NULL", "NULL"}},
		{`{"id":null,"id":1}`, []string{"1", "NULL", "NULL"}},
		{`{"Name":"a","Name":"b"}`, []string{"NULL", "b", "NULL"}},
		{`{"\u004eame":"escaped"}`, []string{"NULL", "escaped", "NULL"}},
		{`{"other":{"id":9},"id":3,"more":[{"Name":1}]}`, []string{"3", "NULL", "NULL"}},
		{`{}`, []string{"NULL", "NULL", "NULL"}},
	} {
		got, err := decode(t, s, all(3), c.src)
		require.NoError(t, err, c.src)
		require.Equal(t, c.want, got, c.src)
	}
}

func TestDecoderFollowsRecordsWhoseShapeChanges(t *testing.T) {
	s := format.Schema{Format: "json", Columns: columnsOf(t, "a int4", "b int4", "c int4")}
	d, err := format.NewDecoder(s, []int{2, 0})
	require.NoError(t, err)
	b := batchOf(s.Columns, []int{2, 0})
	for _, src := range []string{
		`{"a":1,"b":2,"c":3}`, `{"a":1,"b":2,"c":3}`, `{"c":4,"b":5,"a":6}`, `{"x":0,"A":7}`, `{"a":bad}`, `{"a":1,"b":2,"c":3}`, `{"a":"bad"}`, `{"b":0}`,
	} {
		_ = d.Append(b.Cols, []byte(src))
	}
	var got []string
	for i := range b.Cols[0].Len() {
		got = append(got, fmt.Sprint(b.Cols[0].Datum(i), b.Cols[1].Datum(i)))
	}
	null, one := fmt.Sprint(types.NullDatum), fmt.Sprint(types.IntDatum(3), types.IntDatum(1))
	require.Equal(t, []string{one, one, fmt.Sprint(types.IntDatum(4), types.IntDatum(6)), null + " " + fmt.Sprint(types.IntDatum(7)), one, null + " " + null}, got)
}

func TestJSONWritesEveryTypeAsDocumented(t *testing.T) {
	for _, c := range []struct{ typ, value, want string }{
		{"bool", "t", "true"},
		{"int4", "-5", "-5"},
		{"float8", "1.5", "1.5"},
		{"float8", "1e300", "1e+300"},
		{"float8", "NaN", `"NaN"`},
		{"float4", "-inf", `"-Infinity"`},
		{"numeric", "1.500", "1.500"},
		{"numeric", "Infinity", `"Infinity"`},
		{"text", "q\"\\\n\x01é", `"q\"\\\n\u0001é"`},
		{"bytea", `\x00ff`, `"AP8="`},
		{"date", "2026-11-21", `"2026-11-21"`},
		{"date", "0044-03-15 BC", `"-0043-03-15"`},
		{"date", "12026-01-01", `"+12026-01-01"`},
		{"time", "04:05:06.7", `"04:05:06.7"`},
		{"timestamp", "2026-11-21 20:39:34.967", `"2026-11-21T20:39:34.967"`},
		{"timestamptz", "2026-11-21 20:39:34+01", `"2026-11-21T19:39:34Z"`},
		{"timestamp", "-infinity", `"-infinity"`},
		{"interval", "1 year 2 mons 3 days 04:05:06.7", `"P1Y2M3DT4H5M6.7S"`},
		{"interval", "0", `"PT0S"`},
		{"interval", "-00:00:01.5", `"PT-1.5S"`},
		{"uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", `"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"`},
		{"jsonb", `{"b":1,"a":null}`, `{"a": null, "b": 1}`},
		{"int4[]", "{1,NULL}", `[1,null]`},
		{"map", `{"b":1}`, `{"b": 1}`},
		{"struct", `{"x":1,"y":"s"}`, `{"x":1,"y":"s"}`},
		{"text", "NULL", "null"},
	} {
		s := format.Schema{Format: "json", Columns: columnsOf(t, "v "+c.typ)}
		require.Equal(t, `{"v":`+c.want+`}`, encode(t, s, c.value), "%s %s", c.typ, c.value)
		s.Unwrapped = true
		require.Equal(t, c.want, encode(t, s, c.value))
	}
	s := format.Schema{Format: "json", Columns: columnsOf(t, "a int4", "b text")}
	require.Equal(t, `{"a":1,"b":null}`, encode(t, s, "1", "NULL"))
	require.Equal(t, `{}`, encode(t, format.Schema{Format: "json"}))
}

func TestEqualKeysHaveEqualBytes(t *testing.T) {
	for _, c := range []struct {
		typ    string
		values []string
		want   string
	}{
		{"numeric", []string{"1", "1.0", "1.00"}, "1"},
		{"numeric", []string{"100", "100.0"}, "100"},
		{"float8", []string{"0", "-0"}, "0"},
		{"float8", []string{"1.0", "1"}, "1"},
		{"interval", []string{"1 mon", "30 days", "720:00:00"}, `"P30D"`},
		{"jsonb", []string{`{"b":1.0,"a":[1, 2]}`, `{"a":[1,2.00],"b":1}`}, `{"a":[1,2],"b":1}`},
		{"jsonb", []string{`"a b: 1.0"`}, `"a b: 1.0"`},
		{"text", []string{"x"}, `"x"`},
		{"text", []string{"NULL"}, `null`},
		{"timestamptz", []string{"2026-11-21 20:39:34+00", "2026-11-21 21:39:34+01"}, `"2026-11-21T20:39:34Z"`},
	} {
		s := format.Schema{Format: "json", Columns: columnsOf(t, "k "+c.typ), Key: true}
		for _, v := range c.values {
			require.Equal(t, c.want, encode(t, s, v), "%s %s", c.typ, v)
		}
	}
	s := format.Schema{Format: "json", Columns: columnsOf(t, "a numeric", "b text"), Key: true}
	require.Equal(t, `{"a":1,"b":null}`, encode(t, s, "1.0", "NULL"))
	require.Equal(t, "\x00", encode(t, format.Schema{Format: "json", Key: true}))
}

func TestKafkaFormatIsThatOfJavasSerializers(t *testing.T) {
	for _, c := range []struct{ typ, value, want string }{
		{"int4", "-2", "fffffffe"},
		{"int8", "258", "0000000000000102"},
		{"float8", "1", "3ff0000000000000"},
		{"float8", "-0", "0000000000000000"},
		{"text", "é", "c3a9"},
		{"text", "", ""},
		{"bytea", `\x0001`, "0001"},
		{"int4", "NULL", ""},
		{"float8", "NULL", ""},
		{"text", "NULL", "00"},
	} {
		for _, key := range []bool{true, false} {
			s := format.Schema{Format: "kafka", Columns: columnsOf(t, "k "+c.typ), Key: key}
			raw := encode(t, s, c.value)
			require.Equal(t, c.want, hex.EncodeToString([]byte(raw)), "%s %s", c.typ, c.value)
			got, err := decode(t, s, []int{0}, raw)
			require.NoError(t, err)
			require.Equal(t, strings.TrimPrefix(c.value, "-0"), strings.TrimPrefix(got[0], "0"), "%s", c.typ)
		}
	}
}

func TestKafkaFormatRefusesWhatItCannotHold(t *testing.T) {
	for _, s := range []format.Schema{
		{Format: "kafka", Columns: columnsOf(t, "a int4", "b int4")},
		{Format: "kafka", Columns: columnsOf(t, "a jsonb")},
		{Format: "none", Columns: columnsOf(t, "a int4")},
		{Format: "xml"},
	} {
		_, err := format.NewEncoder(s)
		require.Error(t, err)
		_, err = format.NewDecoder(s, nil)
		require.NotEqual(t, sqlerr.InternalError, sqlerr.CodeOf(err))
	}
	for typ, src := range map[string]string{"int4": "123", "int8": "1234", "float8": "x", "text": "\xff", "varchar": "a\x00b"} {
		_, err := decode(t, format.Schema{Format: "kafka", Columns: columnsOf(t, "k "+typ)}, []int{0}, src)
		require.ErrorContains(t, err, `column "k"`, typ)
	}
	e, err := format.NewEncoder(format.Schema{Format: "kafka", Columns: columnsOf(t, "k bytea"), Key: true})
	require.NoError(t, err)
	v := vec.NewVector(types.Of(types.Bytea), 0)
	v.AppendNull()
	_, err = e.AppendRow(nil, []*vec.Vector{v}, 0)
	require.Equal(t, sqlerr.NotNullViolation, sqlerr.CodeOf(err))
}

func TestNoneWritesNothing(t *testing.T) {
	e, err := format.NewEncoder(format.Schema{Format: "none", Key: true})
	require.NoError(t, err)
	require.Nil(t, e)
}

func TestRecordWithoutValueIsARowOfNulls(t *testing.T) {
	s := format.Schema{Format: "json", Columns: columnsOf(t, "a int4", "b text")}
	d, err := format.NewDecoder(s, all(2))
	require.NoError(t, err)
	b := batchOf(s.Columns, all(2))
	require.NoError(t, d.Append(b.Cols, nil))
	require.True(t, b.Cols[0].IsNull(0) && b.Cols[1].IsNull(0))
}

// drawDatum draws a value of a kind, with its edges.
func drawDatum(t *rapid.T, typ types.Type) types.Datum {
	if rapid.IntRange(0, 5).Draw(t, "null") == 0 {
		return types.NullDatum
	}
	switch typ.Kind {
	case types.Bool:
		return types.BoolDatum(rapid.Bool().Draw(t, "bool"))
	case types.Int2:
		return types.IntDatum(int64(rapid.Int16().Draw(t, "i")))
	case types.Int4:
		return types.IntDatum(int64(rapid.Int32().Draw(t, "i")))
	case types.Int8:
		return types.IntDatum(rapid.Int64().Draw(t, "i"))
	case types.Float4:
		return types.FloatDatum(float64(rapid.Float32().Draw(t, "f")))
	case types.Float8:
		return types.FloatDatum(rapid.Float64().Draw(t, "f"))
	case types.Numeric:
		return types.NewDecimal(rapid.Int64().Draw(t, "n"), rapid.IntRange(0, 20).Draw(t, "scale")).Datum()
	case types.Bytea:
		return types.BytesDatum(string(rapid.SliceOf(rapid.Byte()).Draw(t, "b")))
	case types.Date:
		return types.IntDatum(rapid.Int64Range(-2440588, 2145042905).Draw(t, "d"))
	case types.Time:
		return types.IntDatum(rapid.Int64Range(0, types.MicrosPerDay).Draw(t, "time"))
	case types.Timestamp, types.TimestampTZ:
		if rapid.IntRange(0, 20).Draw(t, "inf") == 0 {
			return types.IntDatum(math.MaxInt64)
		}
		return types.IntDatum(rapid.Int64Range(-2440588*types.MicrosPerDay, 106751990*types.MicrosPerDay).Draw(t, "ts"))
	case types.Interval:
		return types.IntervalValue{Micros: rapid.Int64().Draw(t, "us"), Days: rapid.Int32().Draw(t, "days"), Months: rapid.Int32().Draw(t, "months")}.Datum()
	case types.UUID:
		return types.BytesDatum(string(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "u")))
	case types.JSONB:
		raw, err := json.Marshal(rapid.MapOf(rapid.String(), rapid.Float64()).Draw(t, "j"))
		require.NoError(t, err)
		text, err := types.CanonicalJSON(string(raw))
		if err != nil {
			return types.NullDatum // a zero byte, which jsonb cannot hold
		}
		return types.BytesDatum(text)
	case types.Array:
		elems := make([]types.Datum, rapid.IntRange(0, 4).Draw(t, "len"))
		for i := range elems {
			elems[i] = drawDatum(t, *typ.Elem)
		}
		return types.ArrayDatum(*typ.Elem, elems)
	}
	return types.BytesDatum(strings.ReplaceAll(rapid.String().Draw(t, "s"), "\x00", ""))
}

func TestEveryTypeRoundTripsThroughJSON(t *testing.T) {
	kinds := []types.Kind{
		types.Bool, types.Int2, types.Int4, types.Int8, types.Float4, types.Float8, types.Numeric, types.Text, types.Varchar, types.Bytea,
		types.Date, types.Time, types.Timestamp, types.TimestampTZ, types.Interval, types.UUID, types.JSONB,
	}
	var cols []format.Column
	for _, k := range kinds {
		cols = append(cols, format.Column{Name: k.String(), Type: types.Of(k)}, format.Column{Name: k.String() + "[]", Type: types.ArrayOf(types.Of(k))})
	}
	s := format.Schema{Format: "json", Columns: cols}
	e, err := format.NewEncoder(s)
	require.NoError(t, err)
	d, err := format.NewDecoder(s, all(len(cols)))
	require.NoError(t, err)
	rapid.Check(t, func(t *rapid.T) {
		in, out := batchOf(cols, all(len(cols))), batchOf(cols, all(len(cols)))
		for i, c := range cols {
			in.Cols[i].AppendDatum(drawDatum(t, c.Type))
		}
		raw, err := e.AppendRow(nil, in.Cols, 0)
		require.NoError(t, err)
		require.NoError(t, d.Append(out.Cols, raw), string(raw))
		for i, c := range cols {
			want, got := in.Cols[i].Datum(0), out.Cols[i].Datum(0)
			if c.Type.Kind == types.Array && c.Type.Elem.Kind == types.JSONB {
				continue // likewise
			}
			require.Equal(t, types.FormatText(c.Type, want, nil), types.FormatText(c.Type, got, nil), "%s in %s", c.Type, raw)
		}
	})
}

func TestEveryScalarTypeRoundTripsThroughDelimited(t *testing.T) {
	kinds := []types.Kind{
		types.Bool, types.Int2, types.Int4, types.Int8, types.Float4, types.Float8, types.Numeric, types.Text, types.Varchar, types.Bytea,
		types.Date, types.Time, types.Timestamp, types.TimestampTZ, types.Interval, types.UUID, types.JSONB,
	}
	var cols []format.Column
	for _, k := range kinds {
		cols = append(cols, format.Column{Name: k.String(), Type: types.Of(k)})
	}
	for _, delimiter := range []byte{0, ';', '\t', ' ', '1', '-'} {
		s := format.Schema{Format: "delimited", Delimiter: delimiter, Columns: cols}
		e, err := format.NewEncoder(s)
		require.NoError(t, err)
		d, err := format.NewDecoder(s, all(len(cols)))
		require.NoError(t, err)
		rapid.Check(t, func(t *rapid.T) {
			in, out := batchOf(cols, all(len(cols))), batchOf(cols, all(len(cols)))
			for i, c := range cols {
				in.Cols[i].AppendDatum(drawDatum(t, c.Type))
			}
			raw, err := e.AppendRow(nil, in.Cols, 0)
			require.NoError(t, err)
			require.NoError(t, d.Append(out.Cols, raw), "%q", raw)
			for i, c := range cols {
				want, got := in.Cols[i].Datum(0), out.Cols[i].Datum(0)
				require.Equal(t, types.FormatText(c.Type, want, nil), types.FormatText(c.Type, got, nil), "%s in %q", c.Type, raw)
			}
		})
	}
}

func FuzzDelimitedDecoder(f *testing.F) {
	cols := columnsOf(f, "a int4", "b text", "c float8", "d jsonb", "e timestamptz", "g numeric(6,2)", "i bytea", "j interval")
	s := format.Schema{Format: "delimited", Columns: cols}
	f.Add([]byte("1,x,1.5,\"{\"\"a\"\": 1}\",2026-11-21T20:39:34Z,1.25,AP8=,P1D"))
	f.Add([]byte(`,"",,,,,,`))
	f.Add([]byte("\"a\"b,"))
	f.Fuzz(func(t *testing.T, src []byte) {
		d, err := format.NewDecoder(s, all(len(cols)))
		require.NoError(t, err)
		b := batchOf(cols, all(len(cols)))
		if err := d.Append(b.Cols, src); err != nil {
			for _, c := range b.Cols {
				require.Equal(t, 0, c.Len())
			}
			return
		}
		e, err := format.NewEncoder(s)
		require.NoError(t, err)
		raw, err := e.AppendRow(nil, b.Cols, 0)
		require.NoError(t, err)
		again := batchOf(cols, all(len(cols)))
		require.NoError(t, d.Append(again.Cols, raw), "%q written as %q", src, raw)
	})
}

func FuzzJSONDecoder(f *testing.F) {
	cols := columnsOf(f, "a int4", "b text", "c float8", "d jsonb", "e timestamptz", "f int4[]", "g numeric(6,2)", "h struct", "i bytea", "j interval")
	s := format.Schema{Format: "json", Columns: cols}
	for _, seed := range []string{
		`{"a":1,"b":"x\u00e9","c":1.5e3,"d":{"x":[1,2]},"e":"2026-11-21T20:39:34Z","f":[1,null],"g":1.25,"h":{"x":1},"i":"AP8=","j":"P1D"}`,
		`{"a":null,"A":2,"a":3}`, `[]`, `{"d":`, `{"b":"\ud800"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		d, err := format.NewDecoder(s, all(len(cols)))
		require.NoError(t, err)
		b := batchOf(cols, all(len(cols)))
		err = d.Append(b.Cols, src)
		if err != nil {
			for _, c := range b.Cols {
				require.Equal(t, 0, c.Len())
			}
			return
		}
		require.True(t, json.Valid(src), "accepted %q", src)
		e, err := format.NewEncoder(s)
		require.NoError(t, err)
		raw, err := e.AppendRow(nil, b.Cols, 0)
		require.NoError(t, err)
		again := batchOf(cols, all(len(cols)))
		require.NoError(t, d.Append(again.Cols, raw), "%q written as %q", src, raw)
	})
}

const flatRecord = `{"id":123456,"name":"some name here","price":12.75,"qty":42,"at":"2026-11-21T20:39:34.967Z"}`

func benchDecode(b *testing.B, wanted []int) {
	s := format.Schema{Format: "json", Columns: columnsOf(b, "id int8", "name text", "price float8", "qty int4", "at timestamptz")}
	d, err := format.NewDecoder(s, wanted)
	require.NoError(b, err)
	batch := batchOf(s.Columns, wanted)
	src := []byte(flatRecord)
	b.ReportAllocs()
	b.SetBytes(int64(len(src)))
	n := 0
	for b.Loop() {
		if n++; n%1024 == 0 {
			batch.Reset()
		}
		if err := d.Append(batch.Cols, src); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeFiveFields(b *testing.B)      { benchDecode(b, all(5)) }
func BenchmarkDecodeTwoOfFiveFields(b *testing.B) { benchDecode(b, []int{0, 3}) }

func BenchmarkEncodeFiveFields(b *testing.B) {
	s := format.Schema{Format: "json", Columns: columnsOf(b, "id int8", "name text", "price float8", "qty int4", "at timestamptz")}
	d, err := format.NewDecoder(s, all(5))
	require.NoError(b, err)
	e, err := format.NewEncoder(s)
	require.NoError(b, err)
	batch := batchOf(s.Columns, all(5))
	require.NoError(b, d.Append(batch.Cols, []byte(flatRecord)))
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		if dst, err = e.AppendRow(dst[:0], batch.Cols, 0); err != nil {
			b.Fatal(err)
		}
	}
}
