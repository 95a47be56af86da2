package engine_test

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/node/nodetest"
)

// TestScansOfManyBatches reads a table that is larger than what a query reads by itself: whole, in part, with the block's own rows, and after a column was added.
func TestScansOfManyBatches(t *testing.T) {
	c := nodetest.Connect(t, nodetest.ConnString(shared)).PgConn()
	run := func(sql string) string {
		results, err := c.Exec(t.Context(), sql).ReadAll()
		require.NoError(t, err, sql)
		if last := results[len(results)-1]; len(last.Rows) > 0 {
			return string(last.Rows[len(last.Rows)-1][0])
		}
		return ""
	}
	const rows = 60_000
	run("CREATE TABLE scanned (id INT PRIMARY KEY, v TEXT)")
	_, err := c.CopyFrom(t.Context(), lines(rows, nil), "COPY scanned FROM STDIN")
	require.NoError(t, err)
	require.Equal(t, fmt.Sprint(rows), run("SELECT count(*) FROM scanned"))
	require.Equal(t, fmt.Sprint(rows), run("SELECT count(*) FROM scanned a JOIN scanned b ON a.id = b.id AND a.v = b.v"))
	require.Equal(t, fmt.Sprint(rows-1), run("SELECT id FROM scanned ORDER BY id OFFSET 59999"))
	require.Equal(t, "value 58999", run("SELECT v FROM scanned ORDER BY v DESC LIMIT 1 OFFSET 5555"))

	run("BEGIN; DECLARE d CURSOR FOR SELECT id FROM scanned")
	run("FETCH 10000 FROM d") // the reading goroutine runs, and its batches are not all taken
	run("CLOSE d; DELETE FROM scanned WHERE id >= 30000; UPDATE scanned SET v = 'own' WHERE id % 1000 = 0; INSERT INTO scanned VALUES (70000, 'own')")
	require.Equal(t, "30001", run("SELECT count(*) FROM scanned"))
	require.Equal(t, "31", run("SELECT count(*) FROM scanned WHERE v = 'own'"))
	run("ROLLBACK")

	run("ALTER TABLE scanned ADD COLUMN more INT DEFAULT 7")
	require.Equal(t, fmt.Sprint(7*rows), run("SELECT sum(more) FROM scanned"))
	_, err = c.Exec(t.Context(), "SELECT 1 / (id - 50000) FROM scanned").ReadAll()
	var e *pgconn.PgError
	require.ErrorAs(t, err, &e)
	require.Equal(t, "22012", e.Code, "an error of a row ends the scan, and the connection goes on")
	run("DROP TABLE scanned")
}
