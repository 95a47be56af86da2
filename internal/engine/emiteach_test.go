package engine_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/node/nodetest"
)

// printed are the values of the first records of a topic that have a key, in their order.
func printed(t *testing.T, topic, key, limit string) []string {
	t.Helper()
	conn := nodetest.Connect(t, nodetest.ConnString(shared))
	rows, err := nodetest.Texts(t.Context(), conn, "PRINT '"+topic+"' FROM BEGINNING LIMIT "+limit)
	require.NoError(t, err)
	var out []string
	for _, r := range rows {
		if r[3] == key {
			out = append(out, r[4])
		}
	}
	return out
}

func TestAQueryMadeWithEmitEachWritesOneRecordPerInputRow(t *testing.T) {
	conn := nodetest.Connect(t, nodetest.ConnString(shared))
	exec(t, conn, "CREATE SCHEMA each")
	defer exec(t, conn, "DROP SCHEMA each CASCADE")
	exec(t, conn, "CREATE STREAM each.s (k TEXT, v INT)")
	exec(t, conn, "CREATE TABLE each.t (id INT PRIMARY KEY, g TEXT, v INT)")
	exec(t, conn, "SET emit = 'each'")
	exec(t, conn, "CREATE TABLE each.sums AS SELECT k, sum(v) AS v FROM each.s GROUP BY k")
	exec(t, conn, "CREATE TABLE each.groups AS SELECT g, sum(v) AS v, count(*) AS n FROM each.t GROUP BY g")
	exec(t, conn, "RESET emit")
	exec(t, conn, "INSERT INTO each.s VALUES ('a', 5), ('a', 7), ('b', 1), ('a', 0), ('a', -3)")
	exec(t, conn, "SELECT * FROM each.sums")
	require.Equal(t, []string{`{"v":5}`, `{"v":12}`, `{"v":12}`, `{"v":9}`}, printed(t, "each.sums", "a", "5"))
	exec(t, conn, "INSERT INTO each.t VALUES (1, 'x', 1)")
	exec(t, conn, "SELECT * FROM each.groups")
	exec(t, conn, "UPDATE each.t SET v = 10")
	exec(t, conn, "SELECT * FROM each.groups")
	exec(t, conn, "DELETE FROM each.t")
	exec(t, conn, "SELECT * FROM each.groups")
	require.Equal(t, []string{`{"v":1,"n":1}`, `{"v":10,"n":1}`, "NULL"}, printed(t, "each.groups", "x", "3"))
}
