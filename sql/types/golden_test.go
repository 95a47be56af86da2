package types_test

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql/types"
)

// pg, when given, is a PostgreSQL 15 to record the golden files from; without it they are what the tests compare with.
var pg = flag.String("pg", "", "connection string of a PostgreSQL 15 to record testdata/*.golden from")

// zones are the settings of TimeZone under which every value is read and printed.
var zones = []string{"UTC", "America/New_York"}

type valueCase struct{ typ, input string }

func readValues(t *testing.T) []valueCase {
	t.Helper()
	data, err := os.ReadFile("testdata/values.txt")
	require.NoError(t, err)
	var cases []valueCase
	typ := ""
	for _, line := range strings.Split(strings.TrimSuffix(string(data), "\n"), "\n") {
		_, isType := typeOf(strings.TrimSuffix(strings.TrimPrefix(line, "["), "]"))
		switch {
		case strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]") && isType:
			typ = line[1 : len(line)-1]
		case strings.HasPrefix(line, `"`):
			text, err := strconv.Unquote(line)
			require.NoError(t, err, line)
			cases = append(cases, valueCase{typ, text})
		default:
			cases = append(cases, valueCase{typ, line})
		}
	}
	return cases
}

// typeOf reads the type names of the test files: those of Lookup, with modifiers.
func typeOf(name string) (types.Type, bool) {
	base, args, hasMod := strings.Cut(strings.TrimSuffix(name, ")"), "(")
	typ, ok := types.Lookup(strings.Trim(base, `"`))
	if !ok || !hasMod {
		return typ, ok
	}
	p, s, _ := strings.Cut(args, ",")
	precision, _ := strconv.Atoi(p)
	scale, _ := strconv.Atoi(s)
	switch typ.Kind {
	case types.Numeric:
		return types.NumericOf(precision, scale), true
	case types.Varchar:
		return types.VarcharOf(precision), true
	}
	typ.Mod = int32(precision)
	return typ, true
}

func settings(t *testing.T, zone string) *types.Settings {
	t.Helper()
	loc, err := time.LoadLocation(zone)
	require.NoError(t, err)
	return &types.Settings{Zone: loc}
}

func describeError(err error) string {
	e := sqlerr.From(err)
	return fmt.Sprintf("ERROR %s %s", e.Code, e.Message)
}

// long texts are cut in the golden file.
func shorten(s string) string {
	if len(s) <= 300 {
		return s
	}
	return fmt.Sprintf("%s... (%d bytes)", s[:100], len(s))
}

func goldenLine(zone string, c valueCase, result string) string {
	return fmt.Sprintf("%s\t%s\t%q\t%s\n", zone, c.typ, c.input, shorten(result))
}

// ours reads and prints a value as Millrace does; binary must read back to the same value.
func ours(t *testing.T, zone string, c valueCase) string {
	typ, _ := typeOf(c.typ)
	set := settings(t, zone)
	d, err := types.ParseText(typ, c.input, set)
	if err != nil {
		return describeError(err)
	}
	wire := types.AppendBinary(nil, typ, d)
	back, err := types.ParseBinary(typ, wire)
	require.NoError(t, err, "%s %q", c.typ, c.input)
	require.Equal(t, 0, types.Compare(typ, d, back), "%s %q", c.typ, c.input)
	again, err := types.ParseText(typ, types.FormatText(typ, d, set), set)
	require.NoError(t, err, "%s %q", c.typ, c.input)
	require.Equal(t, 0, types.Compare(typ, d, again), "%s %q", c.typ, c.input)
	return fmt.Sprintf("%s %s", types.AppendJSONString(nil, types.FormatText(typ, d, set)), hex.EncodeToString(wire))
}

func TestTextAndBinaryFormsAreThoseOfPostgreSQL(t *testing.T) {
	got := map[string]string{}
	var keys, queries []string
	var lines []func(result string) string
	for _, zone := range zones {
		for _, c := range readValues(t) {
			if zone != "UTC" && c.typ != "timestamptz" {
				continue
			}
			key := goldenLine(zone, c, "")
			keys = append(keys, key)
			got[key] = goldenLine(zone, c, ours(t, zone, c))
			lines = append(lines, func(result string) string { return goldenLine(zone, c, result) })
			queries = append(queries, valueQuery(zone, c))
		}
	}
	if *pg != "" {
		var want bytes.Buffer
		for i, answer := range theirs(t, queries) {
			want.WriteString(lines[i](answer))
		}
		require.NoError(t, os.WriteFile("testdata/text.golden", want.Bytes(), 0o644))
	}
	golden, err := os.ReadFile("testdata/text.golden")
	require.NoError(t, err)
	recorded := strings.SplitAfter(string(golden), "\n")
	require.Len(t, recorded, len(keys)+1)
	for i, key := range keys {
		if recorded[i] != got[key] {
			t.Errorf("\nPostgreSQL %sMillrace   %s", recorded[i], got[key])
		}
	}
}

// sendFunctions name what makes a type's binary form in PostgreSQL, where it is not the type's name with _send.
var sendFunctions = map[string]string{
	"bool": "boolsend", "int2": "int2send", "int4": "int4send", "int8": "int8send", "float4": "float4send", "float8": "float8send",
	"text": "textsend", "varchar": "varcharsend", "bytea": "byteasend", "oid": "oidsend", `"char"`: "charsend", "name": "namesend",
	"int2vector": "int2vectorsend", "oidvector": "oidvectorsend",
}

func sendFunction(typ string) string {
	base, _, _ := strings.Cut(typ, "(")
	if strings.HasSuffix(base, "[]") {
		return "array_send"
	}
	if f, ok := sendFunctions[base]; ok {
		return f
	}
	return base + "_send"
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// theirs returns PostgreSQL's answers to the queries, each of one text column and one row, by running psql.
func theirs(t *testing.T, queries []string) []string {
	t.Helper()
	var script strings.Builder
	script.WriteString("\\set VERBOSITY verbose\n\\pset tuples_only on\n\\pset format unaligned\n")
	for _, q := range queries {
		script.WriteString("\\echo @@next\n" + q + ";\n")
	}
	cmd := exec.Command("psql", "-X", "-q", *pg)
	cmd.Stdin = strings.NewReader(script.String())
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	answers := strings.Split(string(out), "@@next\n")[1:]
	require.Len(t, answers, len(queries))
	for i, a := range answers {
		a = strings.TrimSuffix(a, "\n")
		if rest, isError := strings.CutPrefix(a, "ERROR:  "); isError {
			line, _, _ := strings.Cut(rest, "\nLINE 1")
			line, _, _ = strings.Cut(line, "\nDETAIL")
			line, _, _ = strings.Cut(line, "\nHINT")
			line, _, _ = strings.Cut(line, "\nCONTEXT")
			line, _, _ = strings.Cut(line, "\nLOCATION")
			code, message, _ := strings.Cut(line, ": ")
			a = "ERROR " + code + " " + message
		}
		answers[i] = a
	}
	return answers
}

// valueQuery asks for the text form quoted as JSON, a blank, and the binary form.
func valueQuery(zone string, c valueCase) string {
	text := "v::text"
	if c.typ == "bool" { // the cast prints the word, the output function one letter
		text = "left(v::text, 1)"
	}
	result := "to_json(" + text + ")::text || ' ' || encode(" + sendFunction(c.typ) + "(v), 'hex')"
	if strings.HasPrefix(c.typ, "varchar(") { // a cast would cut the value; an assignment does not
		return "drop table if exists recorder; create temp table recorder (v " + c.typ + "); insert into recorder values (" +
			quote(c.input) + "); select " + result + " from recorder"
	}
	return "set timezone = '" + zone + "'; select " + result + " from (select " + quote(c.input) + "::" + c.typ + " v) q"
}
