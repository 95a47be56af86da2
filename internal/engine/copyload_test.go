package engine_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/node/nodetest"
)

// lines are COPY data of n rows with the ids from 0 on, but for those in instead.
func lines(n int, instead map[int]string) *strings.Reader {
	var b strings.Builder
	for i := range n {
		line, ok := instead[i]
		if !ok {
			line = fmt.Sprintf("%d\tvalue %d", i, i)
		}
		b.WriteString(line + "\n")
	}
	return strings.NewReader(b.String())
}

// TestCopyOfManyBatches loads more than is inserted at a time: what comes behind is parsed while what came before is inserted.
func TestCopyOfManyBatches(t *testing.T) {
	c := nodetest.Connect(t, nodetest.ConnString(shared)).PgConn()
	const rows = 30_000
	run := func(sql string) string {
		results, err := c.Exec(t.Context(), sql).ReadAll()
		require.NoError(t, err, sql)
		if last := results[len(results)-1]; len(last.Rows) == 1 {
			return string(last.Rows[0][0])
		}
		return ""
	}
	load := func(target string, instead map[int]string) (int64, *pgconn.PgError) {
		tag, err := c.CopyFrom(t.Context(), lines(rows, instead), "COPY "+target+" FROM STDIN")
		var e *pgconn.PgError
		if !errors.As(err, &e) {
			require.NoError(t, err)
		}
		return tag.RowsAffected(), e
	}
	run("CREATE TABLE load (id INT PRIMARY KEY, v TEXT)")
	n, e := load("load", nil)
	require.Nil(t, e)
	require.EqualValues(t, rows, n)
	require.Equal(t, fmt.Sprint(rows), run("SELECT count(*) FROM load WHERE v = 'value ' || id"))

	run("CREATE TABLE twice (id INT PRIMARY KEY, v TEXT)")
	_, e = load("twice", map[int]string{7000: "17\tagain", 12_000: "no number\tx"})
	require.NotNil(t, e)
	require.Equal(t, "23505", e.Code, "the first row that is wrong is told, though a later one was parsed before it was inserted")
	_, e = load("twice", map[int]string{9000: "no number\tx", 20_000: "17\tagain"})
	require.NotNil(t, e)
	require.Equal(t, "22P02", e.Code)
	require.Contains(t, e.Detail, "line 9001")
	require.Equal(t, "0", run("SELECT count(*) FROM twice"), "a COPY is all or nothing")

	run("BEGIN")
	n, e = load("twice", nil)
	require.Nil(t, e)
	require.EqualValues(t, rows, n)
	run("SAVEPOINT s; UPDATE twice SET v = 'changed' WHERE id < 100")
	run("ROLLBACK TO s; DELETE FROM twice WHERE id >= 20000")
	run("COMMIT")
	require.Equal(t, "20000", run("SELECT count(*) FROM twice WHERE v = 'value ' || id"))

	run("CREATE STREAM loaded (id INT, v TEXT)")
	_, e = load("loaded", map[int]string{rows - 1: "no number\tx"})
	require.NotNil(t, e)
	require.Equal(t, "22P02", e.Code)
	n, e = load("loaded", nil)
	require.Nil(t, e)
	require.EqualValues(t, rows, n)
	run("DROP TABLE load; DROP TABLE twice; DROP STREAM loaded")
}

// TestLoadsIntoAUniqueColumn adds rows by the thousand, whose values are looked for all at once: one that is there is found, but not if its row goes in the same
// transaction, and NULLs equal nothing.
func TestLoadsIntoAUniqueColumn(t *testing.T) {
	c := nodetest.Connect(t, nodetest.ConnString(shared)).PgConn()
	run := func(sql string) (string, *pgconn.PgError) {
		results, err := c.Exec(t.Context(), sql).ReadAll()
		var e *pgconn.PgError
		if errors.As(err, &e) {
			return "", e
		}
		require.NoError(t, err, sql)
		if last := results[len(results)-1]; len(last.Rows) == 1 {
			return string(last.Rows[0][0]), nil
		}
		return "", nil
	}
	must := func(sql string) string {
		got, e := run(sql)
		require.Nil(t, e, sql)
		return got
	}
	const rows = 20_000
	must("CREATE TABLE once (id INT PRIMARY KEY, v TEXT UNIQUE)")
	_, err := c.CopyFrom(t.Context(), lines(rows, map[int]string{11: "11\t\\N", 12: "12\t\\N"}), "COPY once FROM STDIN")
	require.NoError(t, err)
	more := func(v string) string {
		return "INSERT INTO once SELECT g + 20000, " + v + " FROM generate_series(1, 10000) AS s(g)"
	}
	_, e := run(more("CASE WHEN g = 9000 THEN 'value 7' ELSE 'more ' || g END"))
	require.NotNil(t, e)
	require.Equal(t, "23505", e.Code)
	require.Contains(t, e.Detail, "(v)=(value 7)")
	_, e = run(more("'more ' || g % 9999"))
	require.NotNil(t, e)
	require.Equal(t, "23505", e.Code, "two rows of one statement")
	require.Equal(t, fmt.Sprint(rows), must("SELECT count(*) FROM once"))
	must("BEGIN; DELETE FROM once WHERE id = 7; " + more("CASE WHEN g = 9000 THEN 'value 7' WHEN g > 9990 THEN NULL ELSE 'more ' || g END") + "; COMMIT")
	require.Equal(t, "29000", must("SELECT id FROM once WHERE v = 'value 7'"))
	require.Equal(t, fmt.Sprint(rows-1+10_000), must("SELECT count(*) FROM once"))
	must("DROP TABLE once")
}
