package sql

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/clients/sent"
	"github.com/millracedb/millrace/internal/sqlerr"
)

// requireRoundTrip parses text, prints it, parses the print and requires the same trees and the same print.
func requireRoundTrip(t testing.TB, text string, opts Options) []string {
	t.Helper()
	first, err := Parse(text, opts)
	require.NoError(t, err, text)
	var prints []string
	for _, f := range first {
		printed := String(f.Statement)
		again, err := Parse(printed, Options{})
		require.NoError(t, err, "print of %s\n%s", text, printed)
		require.Len(t, again, 1, printed)
		require.True(t, Equal(f.Statement, again[0].Statement), "%s\nprints as %s\nwhich prints as %s", text, printed, String(again[0].Statement))
		require.Equal(t, printed, String(again[0].Statement))
		prints = append(prints, printed)
	}
	return prints
}

// TestStatements runs the scripts of testdata/parse: "parse" prints the statements of its input as the deparser does and
// checks that the print parses to the same tree; "tree" prints an expression with all parentheses; "error" prints
// SQLSTATE, position (from 1, in bytes) and message.
func TestStatements(t *testing.T) {
	datadriven.Walk(t, "testdata/parse", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			opts := Options{}
			if d.HasArg("ksql") {
				opts.Dialect = KSQL
			}
			switch d.Cmd {
			case "parse":
				if _, err := Parse(d.Input, opts); err != nil {
					return describe(err)
				}
				return strings.Join(requireRoundTrip(t, d.Input, opts), "\n") + "\n"
			case "tree":
				e, err := ParseExpr(d.Input, opts)
				if err != nil {
					return describe(err)
				}
				requireRoundTrip(t, "SELECT "+d.Input, opts)
				return tree(e) + "\n"
			case "error":
				_, err := Parse(d.Input, opts)
				if err == nil {
					return "accepted\n"
				}
				return describe(err)
			}
			t.Fatalf("unknown command %s", d.Cmd)
			return ""
		})
	})
}

func describe(err error) string {
	e := sqlerr.From(err)
	s := fmt.Sprintf("%s %d: %s\n", e.Code, e.Position, e.Message)
	if e.Hint != "" {
		s += "hint: " + e.Hint + "\n"
	}
	return s
}

// clientQueries returns the statements that clients send.
func clientQueries(t testing.TB) []string {
	all, err := sent.All()
	require.NoError(t, err)
	out := make([]string, len(all))
	for i, s := range all {
		out[i] = s.Numbered()
	}
	return out
}

func TestEveryClientQueryParsesAndRoundTrips(t *testing.T) {
	for _, q := range clientQueries(t) {
		requireRoundTrip(t, q, Options{})
	}
}

func TestStatementsKeepTheirText(t *testing.T) {
	text := " ;; -- first\n select 1 ; /* x */ select $3, $1 from t;  "
	all, err := Parse(text, Options{})
	require.NoError(t, err)
	require.Len(t, all, 2)
	require.Equal(t, "select 1", all[0].Text)
	require.Equal(t, "select $3, $1 from t", all[1].Text)
	for _, s := range all {
		require.Equal(t, s.Text, text[s.Start:s.Start+len(s.Text)])
	}
	require.Equal(t, 0, all[0].Params)
	require.Equal(t, 3, all[1].Params)
}

func TestTextWithoutStatementsIsEmpty(t *testing.T) {
	for _, text := range []string{"", " ", ";", "-- x", "/* x */ ;;"} {
		all, err := Parse(text, Options{})
		require.NoError(t, err)
		require.Empty(t, all)
		one, err := ParseOne(text, Options{})
		require.NoError(t, err)
		require.Nil(t, one.Statement)
	}
}

func TestParseOneRefusesSeveralStatements(t *testing.T) {
	_, err := ParseOne("select 1; select 2", Options{})
	require.Equal(t, sqlerr.SyntaxError, sqlerr.CodeOf(err))
}

func TestLimitsAreClearErrors(t *testing.T) {
	deep := func(open, mid, shut string, n int) string {
		return strings.Repeat(open, n) + mid + strings.Repeat(shut, n)
	}
	for name, text := range map[string]string{
		"parentheses":     "select " + deep("(", "1", ")", 100000),
		"open":            "select " + strings.Repeat("(", 100000),
		"subqueries":      deep("(select ", "1", ")", 5000),
		"calls":           "select " + deep("f(", "1", ")", 5000),
		"cases":           "select " + deep("case when ", "1", " then 1 end", 5000),
		"casts":           "select 1" + strings.Repeat("::int", 100000),
		"members":         "select a" + strings.Repeat("->b", 100000),
		"subscripts":      "select a" + strings.Repeat("[1]", 100000),
		"operators":       "select 1" + strings.Repeat("+1", 100000),
		"concatenation":   "select 'a'" + strings.Repeat("||'a'", 100000),
		"not":             "select " + strings.Repeat("not ", 100000) + "a",
		"signs":           "select " + strings.Repeat("- ", 100000) + "a",
		"prefix":          "select " + strings.Repeat("~ ", 100000) + "a",
		"tests":           "select a" + strings.Repeat(" is null", 100000),
		"nested operator": "select " + deep("f(1+", "1", "+1+1+1+1+1+1+1)", 999),
		"conditions":      "select a" + strings.Repeat(" and a", 200000),
		"unions":          "select 1" + strings.Repeat(" union select 1", 100000),
		"joins":           "select 1 from a" + strings.Repeat(" cross join a", 100000),
		"joined tables":   "select 1 from " + deep("(a join ", "b", " on true)", 100000),
		"types":           "select 1::" + deep("array<", "int", ">", 5000),
		"arrays":          "select array" + deep("[", "1", "]", 5000),
		"lambdas":         "select f(" + strings.Repeat("x => ", 5000) + "1)",
		"grouping":        "select 1 group by " + deep("grouping sets (", "a", ")", 5000),
		"explain":         strings.Repeat("explain ", 5000) + "select 1",
		"prepare":         strings.Repeat("prepare a as ", 5000) + "select 1",
	} {
		_, err := Parse(text, Options{})
		require.Equal(t, sqlerr.StatementTooComplex, sqlerr.CodeOf(err), "%s: %v", name, err)
	}
	_, err := Parse("select '"+strings.Repeat("x", 100)+"'", Options{MaxStatement: 50})
	require.Equal(t, sqlerr.ProgramLimitExceeded, sqlerr.CodeOf(err))
}

func TestWideStatementsParse(t *testing.T) {
	for name, text := range map[string]string{
		"or":     "select a = 1" + strings.Repeat(" or a = 1", 20000),
		"in":     "select a in (-1" + strings.Repeat(", -1", 20000) + ")",
		"values": "insert into t values (1, -2)" + strings.Repeat(", (1, -2)", 20000),
		"calls":  "select f(1 + 1" + strings.Repeat(", 1 + 1", 20000) + ")",
		"nested": "select " + strings.Repeat("(", 900) + "1" + strings.Repeat(")", 900),
	} {
		all, err := Parse(text, Options{})
		require.NoError(t, err, name)
		again, err := Parse(String(all[0].Statement), Options{})
		require.NoError(t, err, name)
		require.True(t, Equal(all[0].Statement, again[0].Statement), name)
	}
}

func TestBytesThatAreNotTextAreRefused(t *testing.T) {
	for _, text := range []string{"select '\xff'", "select 1\x00", "select E'\\xff'", "select E'\\000'"} {
		_, err := Parse(text, Options{})
		require.Equal(t, sqlerr.CharacterNotInRepertoire, sqlerr.CodeOf(err), "%q: %v", text, err)
	}
}

func TestWhatFollowsSetDialectIsReadInIt(t *testing.T) {
	text := "SELECT a FROM t; SET dialect = 'ksql'; SELECT a, `b` FROM T; SET dialect TO millrace; SELECT A FROM T"
	parsed, err := Parse(text, Options{})
	require.NoError(t, err)
	var got []string
	for _, p := range parsed {
		got = append(got, String(p.Statement))
		require.Equal(t, p.Text, text[p.Start:p.Start+len(p.Text)])
	}
	require.Equal(t, []string{"SELECT a FROM t", "SET dialect TO 'ksql'", `SELECT "A", b FROM "T"`, "SET dialect TO 'millrace'", "SELECT a FROM t"}, got)

	_, err = Parse("SET dialect = 'ksql'; SELECT `a` FROM t WHERE )", Options{})
	require.Equal(t, sqlerr.SyntaxError, sqlerr.CodeOf(err))
	require.Equal(t, 47, sqlerr.From(err).Position)

	_, err = Parse(strings.Repeat("SET dialect = ksql; SET dialect = millrace;", maxSwitches), Options{})
	require.Equal(t, sqlerr.StatementTooComplex, sqlerr.CodeOf(err))
}

func TestDialectsFoldNamesTheirWay(t *testing.T) {
	text := "select Foo, \"Bar\", Count(*) from Baz"
	require.Equal(t, []string{`SELECT foo, "Bar", count(*) FROM baz`}, requireRoundTrip(t, text, Options{}))
	require.Equal(t, []string{`SELECT "FOO", "Bar", count(*) FROM "BAZ"`}, requireRoundTrip(t, text, Options{Dialect: KSQL}))
	_, err := Parse("select `x` from t", Options{})
	require.Error(t, err)
	text = "select a collate pg_catalog.default, b::pg_catalog.text from t"
	require.Equal(t, []string{`SELECT "A" COLLATE pg_catalog."default", "B"::pg_catalog.text FROM "T"`}, requireRoundTrip(t, text, Options{Dialect: KSQL}))
	require.Equal(t, []string{`SELECT x FROM "T"`}, requireRoundTrip(t, "select `x` from t", Options{Dialect: KSQL}))
}

func TestParserMayBeUsedFromManyGoroutines(t *testing.T) {
	queries := clientQueries(t)
	want := make([]string, len(queries))
	for i, q := range queries {
		want[i] = printAll(q)
	}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range queries {
				n := (i*7 + g*13) % len(queries)
				if got := printAll(queries[n]); got != want[n] {
					t.Errorf("%s\nprints as %s", queries[n], got)
				}
			}
		})
	}
	wg.Wait()
}

// printAll prints the statements of a text, or its error.
func printAll(text string) string {
	all, err := Parse(text, Options{})
	if err != nil {
		return describe(err)
	}
	var b strings.Builder
	for _, s := range all {
		b.WriteString(String(s.Statement) + ";")
	}
	return b.String()
}

func TestInternalFailureIsAnErrorAndNotAPanic(t *testing.T) {
	err := run("select 1", Options{}, func(*parser) { panic(errors.New("broken")) })
	require.Equal(t, sqlerr.InternalError, sqlerr.CodeOf(err))
	_, err = Parse("select 1", Options{})
	require.NoError(t, err)
}

func BenchmarkParse(b *testing.B) {
	for _, bench := range []struct{ name, text string }{
		{"one", "select 1"},
		{"select", `SELECT c.name, count(*) AS n, sum(o.amount * (1 - o.discount)) AS total, max(o.placed_at)
			FROM orders o JOIN customers c ON c.id = o.customer_id LEFT JOIN regions r ON r.id = c.region_id
			WHERE o.placed_at >= now() - INTERVAL '7 days' AND o.status IN ('paid', 'sent') AND c.country <> 'XX'
			GROUP BY c.name HAVING sum(o.amount) > 1000 ORDER BY total DESC LIMIT 20`},
		{"insert", "INSERT INTO t (a, b, c) VALUES ($1, $2, $3)"},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(bench.text, Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// scripts returns the inputs of testdata/parse.
func scripts(t testing.TB) []string {
	files, err := filepath.Glob("testdata/parse/*")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	var out []string
	for _, f := range files {
		b, err := os.ReadFile(f)
		require.NoError(t, err)
		for block := range strings.SplitSeq(string(b), "\n\n") {
			if input, _, ok := strings.Cut(block, "\n----"); ok {
				_, input, _ = strings.Cut(input, "\n")
				out = append(out, input)
			}
		}
	}
	return out
}
