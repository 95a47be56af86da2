package copyfmt

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// decode reads input in pieces of size bytes and writes each row as its fields joined by |, NULL as <null>.
func decode(t testing.TB, options Options, columns, size int, input string) ([]string, error) {
	d, err := NewDecoder(options, names(columns))
	require.NoError(t, err)
	var rows []string
	drain := func() error {
		for {
			fields, err := d.Next()
			if fields == nil || err != nil {
				return err
			}
			var row []string
			for _, f := range fields {
				if f.Null {
					row = append(row, "<null>")
				} else {
					row = append(row, string(f.Value))
				}
			}
			rows = append(rows, strings.Join(row, "|"))
		}
	}
	for len(input) > 0 {
		n := min(size, len(input))
		d.Write([]byte(input[:n]))
		input = input[n:]
		if err := drain(); err != nil {
			return rows, err
		}
	}
	d.Finish()
	return rows, drain()
}

func names(n int) (columns []string) {
	for i := range n {
		columns = append(columns, string(rune('a'+i)))
	}
	return columns
}

func csv(change func(*Options)) Options {
	o := Defaults(CSV)
	if change != nil {
		change(&o)
	}
	return o
}

func text(change func(*Options)) Options {
	o := Defaults(Text)
	if change != nil {
		change(&o)
	}
	return o
}

// decoderCases are what PostgreSQL 15 makes of the same input, but for \. inside of a line.
var decoderCases = []struct {
	name    string
	options Options
	columns int
	input   string
	rows    []string
	err     string
}{
	{"text", text(nil), 2, "1\ta\n2\tb\n", []string{"1|a", "2|b"}, ""},
	{"text without last line end", text(nil), 2, "1\ta\n2\tb", []string{"1|a", "2|b"}, ""},
	{"text null and empty", text(nil), 2, "\\N\t\n\\\\N\tx\\N\n", []string{"<null>|", `\N|xN`}, ""},
	{"text escapes", text(nil), 1, `\b\f\n\r\t\v\\\q` + "\n" + `\101\x41\x4g\7` + "\n", []string{"\b\f\n\r\t\v\\q", "AA\x04g\a"}, ""},
	{"text escaped delimiter and line end", text(nil), 2, "a\\\tb\tc\\\nd\n", []string{"a\tb|c\nd"}, ""},
	{"text backslashes before the line end", text(nil), 1, "a\\\\\nb\n", []string{"a\\", "b"}, ""},
	{"text end marker", text(nil), 1, "a\n\\.\nb\n", []string{"a"}, ""},
	{"text CRLF", text(nil), 2, "1\ta\r\n2\tb\r\n", []string{"1|a", "2|b"}, ""},
	{"text CR", text(nil), 2, "1\ta\r2\tb\r", []string{"1|a", "2|b"}, ""},
	{"text stray CR", text(nil), 1, "a\nb\rc\n", []string{"a"}, "literal carriage return found in data (22P04, Line 2 of the COPY data.)"},
	{"text stray LF", text(nil), 1, "a\r\nb\nc\r\n", []string{"a"}, "literal newline found in data (22P04, Line 2 of the COPY data.)"},
	{"text too many", text(nil), 1, "a\nb\tc\n", []string{"a"}, "extra data after last expected column (22P04, Line 2 of the COPY data.)"},
	{"text too few", text(nil), 3, "a\tb\n", nil, `missing data for column "c" (22P04, Line 1 of the COPY data.)`},
	{"text own delimiter and null", text(func(o *Options) { o.Delimiter, o.Null = '|', "nil" }), 2, "nil|\\|\n", []string{"<null>||"}, ""},
	{"text header", text(func(o *Options) { o.Header = HeaderOn }), 1, "any\tthing\nx\n", []string{"x"}, ""},
	{"text no columns", text(nil), 0, "\n\n", []string{"", ""}, ""},
	{"csv", csv(nil), 2, "1,a\n2,b\n", []string{"1|a", "2|b"}, ""},
	{"csv null and empty", csv(nil), 2, ",\"\"\n", []string{"<null>|"}, ""},
	{"csv quotes", csv(nil), 2, "\"a,\"\"b\"\"\",\"c\nd\"\nab\"c,d\"e,f\n", []string{"a,\"b\"|c\nd", "abc,de|f"}, ""},
	{"csv escape", csv(func(o *Options) { o.Escape = '\\' }), 2, `"a\"b\\c\d",e` + "\n", []string{`a"b\c\d|e`}, ""},
	{"csv quote and delimiter of one's own", csv(func(o *Options) { o.Quote, o.Escape, o.Delimiter = '\'', '\'', ';' }), 2, "'a;''b';\"c\n", []string{`a;'b|"c`}, ""},
	{"csv force", csv(func(o *Options) { o.ForceNull, o.ForceNotNull = []bool{true, false}, []bool{false, true} }), 2, "\"\",\n", []string{"<null>|"}, ""},
	{"csv unterminated", csv(nil), 1, "a\n\"b\nc\n", []string{"a"}, "unterminated CSV quoted field (22P04, Line 4 of the COPY data.)"},
	{"csv quoted breaks of another kind", csv(nil), 1, "a\n\"b\r\nc\rd\"\n", []string{"a", "b\r\nc\rd"}, ""},
	{"csv stray CR", csv(nil), 1, "a\nb\rc\n", []string{"a"}, "unquoted carriage return found in data (22P04, Line 2 of the COPY data.)"},
	{"csv header match", csv(func(o *Options) { o.Header = HeaderMatch }), 2, "a,b\n1,2\n", []string{"1|2"}, ""},
	{"csv header mismatch", csv(func(o *Options) { o.Header = HeaderMatch }), 2, "a,c\n1,2\n", nil, `column name mismatch in header line field 2: got "c", expected "b" (22P04, Line 1 of the COPY data.)`},
	{"csv header count", csv(func(o *Options) { o.Header = HeaderMatch }), 2, "a,b,c,d\n", nil, "wrong number of fields in header line: got 4, expected 2 (22P04, Line 1 of the COPY data.)"},
	{"csv end marker", csv(nil), 1, "a\n\\.\nb\n", []string{"a"}, ""},
	{"binary", Defaults(Binary), 2, header + "\x00\x02\x00\x00\x00\x01x\xff\xff\xff\xff" + "\xff\xff", []string{"x|<null>"}, ""},
	{"binary with extension", Defaults(Binary), 1, header[:15] + "\x00\x00\x00\x02zz\x00\x01\x00\x00\x00\x00\xff\xff", []string{""}, ""},
	{"binary signature", Defaults(Binary), 1, "PGCOPY\r\n", nil, "COPY file signature not recognized (22P04, Row 0 of the COPY data.)"},
	{"binary count", Defaults(Binary), 1, header + "\x00\x02", nil, "row field count is 2, expected 1 (22P04, Row 1 of the COPY data.)"},
	{"binary size", Defaults(Binary), 1, header + "\x00\x01\xff\xff\xff\xfe", nil, "invalid field size (22P04, Row 1 of the COPY data.)"},
	{"binary torn", Defaults(Binary), 1, header + "\x00\x01\x00\x00\x00\x09x", nil, "unexpected EOF in COPY data (22P04, Row 1 of the COPY data.)"},
	{"binary flags", Defaults(Binary), 1, header[:11] + "\x80\x00\x00\x00\x00\x00\x00\x00", nil, "unrecognized critical flags in COPY file header (22P04, Row 0 of the COPY data.)"},
}

const header = signature + "\x00\x00\x00\x00\x00\x00\x00\x00"

func TestDecoderReadsWhatPostgresReadsHoweverItIsCut(t *testing.T) {
	for _, tc := range decoderCases {
		t.Run(tc.name, func(t *testing.T) {
			for _, size := range []int{1, 2, 3, 1 << 20} {
				rows, err := decode(t, tc.options, tc.columns, size, tc.input)
				if tc.err == "" {
					require.NoError(t, err)
				} else {
					require.Error(t, err)
					e := sqlerr.From(err)
					require.Equal(t, tc.err, fmt.Sprintf("%s (%s, %s)", e.Message, e.Code, e.Detail))
				}
				require.Equal(t, tc.rows, rows, "in pieces of %d", size)
			}
		})
	}
}

func TestDecoderRefusesRowsOverTheLimit(t *testing.T) {
	d, err := NewDecoder(Defaults(Text), names(1))
	require.NoError(t, err)
	piece := bytes.Repeat([]byte("x"), 8<<20)
	for range MaxRowBytes/len(piece) + 1 {
		d.Write(piece)
		var row []Field
		if row, err = d.Next(); err != nil {
			break
		}
		require.Nil(t, row)
	}
	require.Equal(t, sqlerr.ProgramLimitExceeded, sqlerr.CodeOf(err))
}

func TestEncoderWritesWhatPostgresWrites(t *testing.T) {
	for _, tc := range []struct {
		name    string
		options Options
		values  []string // <null> is NULL
		want    string
	}{
		{"text", text(nil), []string{"a\tb\n\\", "<null>", "\b\f\r\v\x01é"}, "a\\tb\\n\\\\\t\\N\t\\b\\f\\r\\v\x01é\n"},
		{"text delimiter", text(func(o *Options) { o.Delimiter = '|' }), []string{"a|b\t", "c"}, "a\\|b\\t|c\n"},
		{"text header", text(func(o *Options) { o.Header = HeaderOn }), []string{"x"}, "a\nx\n"},
		{"csv", csv(nil), []string{"a,b", "", "<null>", `c"d`, "e\nf", "g"}, "\"a,b\",\"\",,\"c\"\"d\",\"e\nf\",g\n"},
		{"csv force quote", csv(func(o *Options) { o.ForceQuote = []bool{false, true, true} }), []string{"a", "b", "<null>"}, "a,\"b\",\n"},
		{"csv escape", csv(func(o *Options) { o.Escape = '\\' }), []string{`a"b\c`}, `"a\"b\\c"` + "\n"},
		{"csv end marker", csv(nil), []string{`\.`}, "\"\\.\"\n"},
		{"csv header", csv(func(o *Options) { o.Header = HeaderOn }), []string{"x", "y"}, "a,b\nx,y\n"},
		{"binary", Defaults(Binary), []string{"x", "<null>"}, header + "\x00\x02\x00\x00\x00\x01x\xff\xff\xff\xff\xff\xff"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			require.Equal(t, tc.want, encode(t, tc.options, len(tc.values), tc.values))
		})
	}
}

func encode(t require.TestingT, options Options, columns int, rows ...[]string) string {
	e, err := NewEncoder(options, names(columns))
	require.NoError(t, err)
	out := e.Header(nil)
	for _, row := range rows {
		out = e.RowStart(out)
		for i, v := range row {
			out = e.Field(out, i, []byte(v), v == "<null>")
		}
		out = e.RowEnd(out)
	}
	return string(e.Trailer(out))
}

func TestDecoderReadsBackWhatTheEncoderWrites(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		options := Defaults(Kind(rapid.IntRange(int(Text), int(Binary)).Draw(r, "kind")))
		if options.Kind == CSV && rapid.Bool().Draw(r, "escape") {
			options.Escape = '\\'
		}
		columns := rapid.IntRange(1, 4).Draw(r, "columns")
		value := rapid.OneOf(rapid.StringMatching(`[ab,"\\\n\r\t.N]{0,6}`), rapid.Just("<null>"), rapid.Just(`\.`), rapid.Just(`\N`))
		rows := rapid.SliceOf(rapid.SliceOfN(value, columns, columns)).Draw(r, "rows")
		var want []string
		for _, row := range rows {
			want = append(want, strings.Join(row, "|"))
		}
		got, err := decode(t, options, columns, rapid.IntRange(1, 40).Draw(r, "piece"), encode(r, options, columns, rows...))
		require.NoError(r, err)
		require.Equal(r, want, got)
	})
}

func TestValidateNamesTheOption(t *testing.T) {
	for want, options := range map[string]Options{
		"COPY delimiter must be a single one-byte character":             text(func(o *Options) { o.Delimiter = 0xe9 }),
		"COPY delimiter cannot be newline or carriage return":            text(func(o *Options) { o.Delimiter = '\n' }),
		`COPY delimiter cannot be "a"`:                                   text(func(o *Options) { o.Delimiter = 'a' }),
		"COPY delimiter must not appear in the NULL specification":       csv(func(o *Options) { o.Null = "a,b" }),
		"COPY null representation cannot use newline or carriage return": csv(func(o *Options) { o.Null = "\n" }),
		"COPY delimiter and quote must be different":                     csv(func(o *Options) { o.Quote = ',' }),
		"CSV quote character must not appear in the NULL specification":  csv(func(o *Options) { o.Null = `"` }),
		"COPY quote must be a single one-byte character":                 csv(func(o *Options) { o.Quote = 0 }),
		"cannot specify DELIMITER, NULL or HEADER in BINARY mode":        {Kind: Binary, Delimiter: ','},
	} {
		_, err := NewDecoder(options, nil)
		require.ErrorContains(t, err, want)
	}
}

func FuzzDecoderDoesNotMindTheCut(f *testing.F) {
	for _, tc := range decoderCases {
		f.Add([]byte(tc.input), uint8(tc.options.Kind), uint8(tc.columns), uint8(2))
	}
	f.Fuzz(func(t *testing.T, input []byte, kind, columns, size uint8) {
		options := Defaults(Kind(kind % 3))
		whole, wholeErr := decode(t, options, int(columns%8), len(input)+1, string(input))
		cut, cutErr := decode(t, options, int(columns%8), int(size)+1, string(input))
		require.Equal(t, whole, cut)
		require.Equal(t, fmt.Sprint(wholeErr), fmt.Sprint(cutErr))
	})
}

func benchmarkDecoder(b *testing.B, options Options, row string) {
	chunk := []byte(strings.Repeat(row, 65536/len(row)))
	d, err := NewDecoder(options, names(5))
	require.NoError(b, err)
	b.SetBytes(int64(len(chunk)))
	b.ReportAllocs()
	for b.Loop() {
		d.Write(chunk)
		for {
			fields, err := d.Next()
			if err != nil {
				b.Fatal(err)
			}
			if fields == nil {
				break
			}
		}
	}
}

func BenchmarkDecodeText(b *testing.B) {
	benchmarkDecoder(b, Defaults(Text), "12345\tSan Francisco\t37.6213\t2026-11-21 20:28:02\t\\N\n")
}

func BenchmarkDecodeTextEscapes(b *testing.B) {
	benchmarkDecoder(b, Defaults(Text), "12345\tSan\\tFrancisco\t37.6213\t2026-11-21 20:28:02\ta\\\\b\n")
}

func BenchmarkDecodeCSV(b *testing.B) {
	benchmarkDecoder(b, Defaults(CSV), "12345,San Francisco,37.6213,2026-11-21 20:28:02,x\n")
}

func BenchmarkDecodeCSVQuoted(b *testing.B) {
	benchmarkDecoder(b, Defaults(CSV), "12345,\"San Francisco, \"\"SFO\"\"\",37.6213,2026-11-21 20:28:02,x\n")
}
