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
