package pgcatalog_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"sort"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/engine/pgcatalog"
	"github.com/millracedb/millrace/internal/sqlerr"
)

// pg, when given, is a PostgreSQL 15 with a database and a superuser called millrace, to record from: with -rewrite testdata/postgres.txt, and always
// testdata/columns.golden.
var pg = flag.String("pg", "", "connection string of a PostgreSQL 15 to record testdata from")

func connect(t *testing.T) *pgconn.PgConn {
	t.Helper()
	conn, err := pgconn.Connect(context.Background(), *pg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close(context.Background())) })
	return conn
}

// answer is the text of a result.
func answer(cols []string, rows [][]string, code, message string) string {
	if code != "" {
		return "ERROR " + code + ": " + message + "\n"
	}
	var b strings.Builder
	b.WriteString(strings.Join(cols, " ") + "\n")
	for _, r := range rows {
		b.WriteString(strings.TrimRight(strings.Join(r, "|"), " ") + "\n")
	}
	return b.String()
}

func (w *fakeWorld) answer(text string) string {
	cols, rows, err := w.query(text)
	if err != nil {
		e := sqlerr.From(err)
		return answer(nil, nil, string(e.Code), e.Message)
	}
	return answer(cols, rows, "", "")
}

// substitutes are the types that stand for PostgreSQL's, by OID: pg_node_tree, aclitem[], xid, pg_lsn, inet, anyarray.
var substitutes = map[uint32]uint32{194: 25, 1034: 1009, 28: 20, 3220: 25, 869: 25, 2277: 25}

func substitute(oid uint32) uint32 {
	if s, ok := substitutes[oid]; ok {
		return s
	}
	return oid
}

// ask runs a query on PostgreSQL inside of a transaction with a savepoint.
func ask(conn *pgconn.PgConn, text string) string {
	ctx := context.Background()
	conn.Exec(ctx, "SAVEPOINT s").Close()
	results := conn.Exec(ctx, text)
	var cols []string
	var rows [][]string
	for results.NextResult() {
		r := results.ResultReader()
		for _, f := range r.FieldDescriptions() {
			cols = append(cols, fmt.Sprintf("%s:%d", f.Name, substitute(f.DataTypeOID)))
		}
		for r.NextRow() {
			var row []string
			for _, v := range r.Values() {
				if v == nil {
					row = append(row, "NULL")
				} else {
					row = append(row, string(v))
				}
			}
			rows = append(rows, row)
		}
	}
	var pe *pgconn.PgError
	if errors.As(results.Close(), &pe) {
		conn.Exec(ctx, "ROLLBACK TO s").Close()
		return answer(nil, nil, pe.Code, pe.Message)
	}
	return answer(cols, rows, "", "")
}

// TestCatalogAnswersLikePostgreSQL runs queries over tables that both systems can have.
func TestCatalogAnswersLikePostgreSQL(t *testing.T) {
	ask := newWorld(t, bothTables...).answer
	if *pg != "" {
		ask = postgres(t)
	}
	datadriven.RunTest(t, "testdata/postgres.txt", func(t *testing.T, d *datadriven.TestData) string { return ask(d.Input) })
}

func postgres(t *testing.T) func(string) string {
	conn := connect(t)
	for _, s := range append([]string{"BEGIN"}, bothTables...) {
		require.NoError(t, conn.Exec(context.Background(), s).Close())
	}
	return func(text string) string { return ask(conn, text) }
}

// TestCatalogShowsStreamsAndQueries runs queries over what only Millrace has.
func TestCatalogShowsStreamsAndQueries(t *testing.T) {
	w := newWorld(t, append(append([]string{}, bothTables...), millraceOnly...)...)
	datadriven.RunTest(t, "testdata/millrace.txt", func(t *testing.T, d *datadriven.TestData) string { return w.answer(d.Input) })
}

const columnsQuery = `SELECT n.nspname || '.' || c.relname, CASE WHEN c.relkind = 'r' THEN c.oid ELSE 0 END, c.relkind, a.attname,
	coalesce(nullif(t.typbasetype, 0), t.oid), a.attnotnull
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_type t ON t.oid = a.atttypid
	WHERE a.attnum > 0 AND c.relkind IN ('r', 'v') AND n.nspname IN ('pg_catalog', 'information_schema') ORDER BY 1, a.attnum`

// TestVirtualTablesHavePostgreSQLsColumns compares names, order, types and nullability of all columns, and the OIDs of tables.
func TestVirtualTablesHavePostgreSQLsColumns(t *testing.T) {
	const file = "testdata/columns.golden"
	if *pg != "" {
		results, err := connect(t).Exec(context.Background(), columnsQuery).ReadAll()
		require.NoError(t, err)
		var b strings.Builder
		for _, r := range results[0].Rows {
			if schema, name, _ := strings.Cut(string(r[0]), "."); pgcatalog.Lookup(schema, name) == nil {
				continue
			}
			for i, v := range r {
				fmt.Fprintf(&b, "%s%s", map[bool]string{true: " "}[i > 0], v)
			}
			b.WriteByte('\n')
		}
		require.NoError(t, os.WriteFile(file, []byte(b.String()), 0o600))
	}
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	want := map[string][]string{}
	for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		var table, kind, column, notNull string
		var oid, typ uint32
		_, err := fmt.Sscan(line, &table, &oid, &kind, &column, &typ, &notNull)
		require.NoError(t, err, line)
		want[table] = append(want[table], fmt.Sprintln(oid, kind, column, substitute(typ), notNull))
	}
	checked := 0
	for _, r := range pgcatalog.Relations() {
		name := r.Schema + "." + r.Name
		if r.Schema == "millrace" {
			require.NotContains(t, want, name)
			continue
		}
		kind, oid := "v", uint32(0)
		if strings.Contains(want[name][0], " r ") {
			kind, oid = "r", r.OID
		}
		var got []string
		for _, c := range r.Columns {
			got = append(got, fmt.Sprintln(oid, kind, c.Name, c.Type.OID(), map[bool]string{true: "t", false: "f"}[c.NotNull]))
		}
		require.Equal(t, want[name], got, name)
		checked++
	}
	require.Greater(t, checked, 100)
}

// TestOIDsAreStable keeps the OIDs that belong to others from changing: clients may store them.
func TestOIDsAreStable(t *testing.T) {
	w := newWorld(t, bothTables...)
	_, rows, err := w.query(`SELECT c.oid, c.relname FROM pg_class c WHERE c.oid > 16384`)
	require.NoError(t, err)
	require.Equal(t, [][]string{
		{"16400", "users"},
		{"2147500048", "users_pkey"},
		{"16401", "orders"},
		{"2147500049", "orders_pkey"},
		{"16402", "Mixed Case"},
		{"2147500050", "Mixed Case_pkey"},
	}, rows)
	_, rows, err = w.query(`SELECT oid, proname FROM pg_proc WHERE proname IN ('now', 'pg_table_is_visible', 'array_in')`)
	require.NoError(t, err)
	sort.Slice(rows, func(i, j int) bool { return rows[i][1] < rows[j][1] })
	require.Equal(t, [][]string{{"750", "array_in"}, {"832665486", "now"}, {"626001554", "pg_table_is_visible"}}, rows)
}

// TestEveryOIDIsUniqueInItsCatalog looks for a number given twice.
func TestEveryOIDIsUniqueInItsCatalog(t *testing.T) {
	w := newWorld(t, append(append([]string{}, bothTables...), millraceOnly...)...)
	for _, r := range pgcatalog.Relations() {
		if len(r.Columns) == 0 || r.Columns[0].Name != "oid" {
			continue
		}
		_, rows, err := w.query("SELECT oid, count(*) FROM " + r.Schema + "." + r.Name + " GROUP BY oid HAVING count(*) > 1")
		require.NoError(t, err)
		require.Empty(t, rows, r.Name)
	}
}
