package node_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/node/nodetest"
)

// upToDate are the copies of tables by what they are, and whether each of them has all that its topic holds.
const upToDate = "SELECT count(*) FILTER (WHERE role = 'serves'), count(*) FILTER (WHERE role = 'standby'), bool_and(lag = 0) FROM millrace.table_copies"

// TestWhoTakesTheTablesOverHasTheirRows: the node that serves them dies, or stops in order, and the next one reads nothing again. Rows, indexes, results of queries and what was replaced are right
// there, and the one that comes back becomes a standby.
func TestWhoTakesTheTablesOverHasTheirRows(t *testing.T) {
	t.Parallel() // it waits more than it works
	const rows = 3000
	c := nodetest.StartCluster(t, 3)
	conn := nodetest.Connect(t, nodetest.ConnString(c[1].Node))
	exec(t, conn, "CREATE TABLE t (id INT PRIMARY KEY, v TEXT, n INT) WITH (partitions = 4)", "CREATE INDEX by_n ON t (n)",
		"CREATE TABLE nokey (v INT) WITH (partitions = 2)", "CREATE TABLE old (id INT PRIMARY KEY) WITH (partitions = 1, ttl = '90 days')",
		"CREATE MATERIALIZED VIEW totals AS SELECT n, count(*) AS c FROM t GROUP BY n",
		fmt.Sprintf("INSERT INTO t SELECT i, 'row ' || i, i %% 10 FROM generate_series(1, %d) i", rows), "INSERT INTO nokey SELECT i FROM generate_series(1, 100) i",
		"INSERT INTO old SELECT i FROM generate_series(1, 10) i",
		"ALTER TABLE t ADD COLUMN more INT DEFAULT 7", "UPDATE t SET more = 8 WHERE id <= 100", "DELETE FROM t WHERE id > 2900",
		"CREATE OR REPLACE MATERIALIZED VIEW totals AS SELECT n, count(*) AS c, sum(id) AS s FROM t GROUP BY n")
	const copies = 4 + 2 + 1 + 4
	check := func(members []*nodetest.Member, nokey int) {
		t.Helper()
		eventually(t, members, []string{"[2900 100 20400]"}, "SELECT count(*), count(*) FILTER (WHERE more = 8), sum(more) FROM t")
		eventually(t, members, []string{"[290]"}, "SELECT count(*) FROM t WHERE n = 3")
		eventually(t, members, []string{"[row 77]"}, "SELECT v FROM t WHERE id = 77")
		eventually(t, members, []string{"[10 2900 4206450]"}, "SELECT count(*), sum(c), sum(s) FROM totals")
		eventually(t, members, []string{fmt.Sprintf("[%d]", nokey)}, "SELECT count(*) FROM nokey")
	}
	check(c, 100)
	replicated(t, c[0])
	eventually(t, c, []string{fmt.Sprintf("[%d %d t]", copies, 2*copies)}, upToDate)

	c[0].Kill() // it served them
	rest := c[1:]
	check(rest, 100)
	eventually(t, rest, []string{fmt.Sprintf("[%d %d t]", copies, copies)}, upToDate)
	eventually(t, rest, []string{"[0]"}, "SELECT sum(rows_read) FROM millrace.table_copies WHERE role = 'serves'")
	exec(t, conn, "INSERT INTO nokey SELECT i FROM generate_series(101, 200) i", "INSERT INTO old VALUES (11)")
	check(rest, 200)

	c[0].Start()
	require.NotNil(t, c[0].Node)
	replicated(t, c[1])
	eventually(t, c, []string{fmt.Sprintf("[%d %d t]", copies, 2*copies)}, upToDate)
	served := texts(t, conn, "SELECT id FROM millrace.nodes WHERE queries")[0]
	for _, m := range rest {
		if fmt.Sprint(m.ID) == served {
			m.Stop() // in order
		} else {
			rest = []*nodetest.Member{c[0], m}
		}
	}
	check(rest, 200)
	eventually(t, rest, []string{fmt.Sprintf("[%d %d t]", copies, copies)}, upToDate)
	eventually(t, rest, []string{"[0]"}, "SELECT sum(rows_read) FROM millrace.table_copies WHERE role = 'serves'")
}
