package pgdump

import (
	"context"
	_ "embed"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/millracedb/millrace/internal/node"
	"github.com/millracedb/millrace/internal/node/nodetest"
	"github.com/millracedb/millrace/internal/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

//go:embed schema.sql
var schema string

// questions are asked of every copy, which must give the same answers.
var questions = []string{
	"SELECT * FROM authors ORDER BY id",
	"SELECT * FROM books ORDER BY id",
	`SELECT * FROM shop."Line Items" ORDER BY 1, 2`,
	"SELECT * FROM notes ORDER BY 1, 2, 3",
	"SELECT * FROM ids ORDER BY 1",
	"SELECT * FROM cheap",
	"SELECT * FROM shop.all_of_it ORDER BY 1, 2",
	"SELECT nextval('extra'), nextval('authors_id_seq')",
	"INSERT INTO ids (v) VALUES ('fifteen') RETURNING id",
	"INSERT INTO books (author, title) VALUES (9, 'new') ON CONFLICT (title) DO NOTHING RETURNING id",
	"INSERT INTO books (id, author, title) VALUES (1, 9, 'newer') ON CONFLICT (id) DO UPDATE SET title = excluded.title RETURNING author, title",
	"SELECT conname, contype::text, pg_get_constraintdef(oid) LIKE 'CHECK%' FROM pg_constraint WHERE conrelid IN ('books'::regclass, 'authors'::regclass) ORDER BY 1",
	"SELECT indexname FROM pg_indexes WHERE tablename IN ('authors', 'books', 'Line Items', 'notes', 'ids') ORDER BY 1",
	"SELECT column_name, data_type, is_nullable, is_identity FROM information_schema.columns WHERE table_name IN ('authors', 'books', 'Line Items', 'notes', 'ids', 'cheap') ORDER BY table_name, ordinal_position",
	"SELECT obj_description('books'::regclass, 'pg_class'), col_description('books'::regclass, 3)",
}

func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil && os.Getenv(pgtest.Optional) == "1" {
		t.Skipf("%s is not installed", name)
	}
	require.NoError(t, err)
	return path
}

// perRun are the lines of a dump that no two have in common.
var perRun = regexp.MustCompile(`(?m)^\\(un)?restrict .*\n`)

func dump(t *testing.T, conn string, args ...string) string {
	t.Helper()
	var errs strings.Builder
	cmd := exec.CommandContext(t.Context(), program(t, "pg_dump"), append(args, "--no-owner", conn)...)
	cmd.Stderr = &errs
	out, err := cmd.Output()
	require.NoError(t, err, errs.String())
	require.Empty(t, errs.String())
	return perRun.ReplaceAllString(string(out), "")
}

func restore(t *testing.T, conn, text string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program(t, "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", conn)
	cmd.Stdin = strings.NewReader(text)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	require.NotContains(t, string(out), "ERROR")
}

func connect(t *testing.T, conn string) *pgx.Conn {
	t.Helper()
	c, err := pgx.Connect(t.Context(), conn)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

// answers are the answers to all questions, as text.
func answers(t *testing.T, conn string) []string {
	t.Helper()
	c := connect(t, conn)
	var out []string
	for _, q := range questions {
		results, err := c.PgConn().Exec(t.Context(), q).ReadAll()
		require.NoError(t, err, q)
		for _, r := range results {
			for _, row := range r.Rows {
				var cells []string
				for _, v := range row {
					if v == nil {
						cells = append(cells, "NULL")
						continue
					}
					cells = append(cells, string(v))
				}
				out = append(out, q+": "+strings.Join(cells, " | "))
			}
		}
	}
	return out
}

func millrace(t *testing.T) string {
	t.Helper()
	return nodetest.ConnString(nodetest.Start(t, node.Config{}))
}

// database makes a database of the server whose database postgres a connection string names.
func database(t *testing.T, server, name string) string {
	t.Helper()
	_, err := connect(t, server).Exec(t.Context(), "CREATE DATABASE "+name)
	require.NoError(t, err)
	return strings.Replace(server, "/postgres?", "/"+name+"?", 1)
}

func TestDumpsAreReadByMillraceAndPostgres(t *testing.T) {
	first, second, third := millrace(t), millrace(t), millrace(t)
	restore(t, first, schema)
	// What PostgreSQL has no words for stays out of the dump, and views over it.
	restore(t, first, `
		CREATE STREAM readings (v int);
		CREATE TABLE counts AS SELECT v, count(*) AS n FROM readings GROUP BY v;
		CREATE TABLE kept (k int PRIMARY KEY) WITH (topic = 'kept');
		CREATE VIEW over_counts AS SELECT * FROM counts;
		CREATE VIEW over_view AS SELECT * FROM over_counts, books;
		CREATE VIEW over_catalog AS SELECT * FROM millrace.topics;`)

	ours := dump(t, first)
	for _, name := range []string{"readings", "counts", "kept", "over_"} {
		require.NotContains(t, ours, name)
	}
	restore(t, second, ours)
	require.Equal(t, ours, dump(t, second), "a dump of what a dump has made")

	server := pgtest.Start(t)
	theirs := database(t, server, "restored")
	restore(t, theirs, ours)
	restore(t, third, dump(t, theirs))
	inserts := database(t, server, "inserts")
	restore(t, inserts, dump(t, first, "--inserts", "--no-privileges"))

	made := database(t, server, "made") // the oracle
	restore(t, made, schema)
	want := answers(t, made)
	for name, conn := range map[string]string{
		"Millrace": first, "restored by Millrace": second, "restored by PostgreSQL": theirs, "and by Millrace from there": third, "restored from INSERTs": inserts,
	} {
		require.Equal(t, want, answers(t, conn), name)
	}
}
