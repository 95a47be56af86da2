package expr_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/exec/bounded"
	"github.com/millracedb/millrace/exec/expr"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// pg records the golden files anew: its value is psql's connection string of a PostgreSQL 15 server with a UTF-8 database of the C.UTF-8
// locale and TimeZone UTC.
var pg = flag.String("pg", "", "record the golden files from the PostgreSQL 15 server at this connection string")

// noRelations is a catalog without relations.
type noRelations struct{}

func (noRelations) Relation(_ context.Context, _, name string) (*planner.Relation, error) {
	return nil, sqlerr.New(sqlerr.UndefinedTable, "relation %q does not exist", name)
}

func (noRelations) Type(context.Context, string, string) (types.Type, bool) {
	return types.Type{}, false
}

func (c noRelations) Inside(*planner.Relation) planner.Catalog { return c }

// query runs a statement over no relations and returns its rows in psql's unaligned form.
func query(text string) (string, error) {
	stmts, err := sql.Parse(text, sql.Options{})
	if err != nil {
		return "", err
	}
	p := planner.Planner{Catalog: noRelations{}}
	plan, err := p.PlanQuery(context.Background(), stmts[0].Statement.(*sql.Query), nil)
	if err != nil {
		return "", err
	}
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	env := &expr.Env{Ctx: context.Background(), Text: &types.Settings{Zone: time.UTC, Now: now}, NowMicros: now.UnixMicro(), StatementMicros: now.UnixMicro()}
	it, err := bounded.Open(&bounded.Query{Env: env}, plan.Root)
	if err != nil {
		return "", err
	}
	defer it.Close()
	var out strings.Builder
	cols := plan.Root.Props().Cols
	for {
		b, err := it.Next()
		if err != nil {
			return "", err
		}
		if b == nil {
			return strings.TrimSuffix(out.String(), "\n"), nil
		}
		for i := range b.Len() {
			for k, c := range plan.Columns {
				if k > 0 {
					out.WriteByte('|')
				}
				if v := b.Cols[c]; !v.IsNull(i) {
					out.WriteString(types.FormatText(cols[c].Type, v.Datum(i), env.Text))
				} else {
					out.WriteString("∅")
				}
			}
			out.WriteByte('\n')
		}
	}
}

func describe(text string, err error) string {
	if err != nil {
		e := sqlerr.From(err)
		return "ERROR " + string(e.Code) + " " + e.Message
	}
	return text
}

// recorded returns what PostgreSQL answers to each query.
func recorded(t *testing.T, queries []string) []string {
	t.Helper()
	var script strings.Builder
	script.WriteString("\\set VERBOSITY verbose\n\\pset tuples_only on\n\\pset format unaligned\n\\pset null ∅\n")
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
		if _, rest, isError := strings.Cut(a, "ERROR:  "); isError {
			for _, end := range []string{"\nLINE ", "\nDETAIL", "\nHINT", "\nCONTEXT", "\nLOCATION"} {
				rest, _, _ = strings.Cut(rest, end)
			}
			code, message, _ := strings.Cut(rest, ": ")
			a = "ERROR " + code + " " + message
		}
		answers[i] = a
	}
	return answers
}

// TestQueriesAnswerAsPostgreSQLDoes runs the queries of testdata/*.sql, one a line, and compares with what PostgreSQL 15 answered.
func TestQueriesAnswerAsPostgreSQLDoes(t *testing.T) {
	files, err := filepath.Glob("testdata/*.sql")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".sql"), func(t *testing.T) { compareFile(t, f) })
	}
}

func compareFile(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var queries []string
	for _, line := range strings.Split(string(text), "\n") {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "--") {
			queries = append(queries, line)
		}
	}
	golden := strings.TrimSuffix(file, ".sql") + ".golden"
	if *pg != "" {
		var out bytes.Buffer
		for i, a := range recorded(t, queries) {
			fmt.Fprintf(&out, "%s\n%s\n\n", queries[i], indent(a))
		}
		require.NoError(t, os.WriteFile(golden, out.Bytes(), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	blocks := strings.Split(strings.TrimSuffix(string(want), "\n\n"), "\n\n")
	require.Len(t, blocks, len(queries), "record %s anew", golden)
	for i, q := range queries {
		if got := q + "\n" + indent(describe(query(q))); got != blocks[i] {
			t.Errorf("\nPostgreSQL %s\nMillrace   %s", blocks[i], got)
		}
	}
}

func indent(s string) string { return "\t" + strings.ReplaceAll(s, "\n", "\n\t") }
