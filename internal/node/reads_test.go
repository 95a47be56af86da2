package node_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/node/nodetest"
)

// readsOnly is what a client's start-up packet says to read on its own node.
const readsOnly = "&options=-c%20default_transaction_read_only%3Don"

// connectReader connects to a node to read there. It waits until the node has the rows of all tables, so that the session is not relayed.
func connectReader(t *testing.T, m *nodetest.Member) *pgx.Conn {
	t.Helper()
	ctx := within(t)
	for {
		conn := nodetest.Connect(t, nodetest.ConnString(m.Node)+readsOnly)
		if conn.PgConn().ParameterStatus("in_hot_standby") == "on" {
			return conn
		}
		require.NoError(t, conn.Close(ctx))
		require.NoError(t, ctx.Err())
		<-time.After(20 * time.Millisecond)
	}
}

// TestEveryNodeReadsWhatWasAcknowledged: a row that a client was told of is seen by the next statement on any node, through a view too, by key, by index, in a snapshot, and after ALTER by its new shape.
func TestEveryNodeReadsWhatWasAcknowledged(t *testing.T) {
	t.Parallel() // it waits more than it works
	c := nodetest.StartCluster(t, 3)
	writer := nodetest.Connect(t, nodetest.ConnString(c[0].Node))
	exec(t, writer, "CREATE TABLE t (id INT PRIMARY KEY, v INT)", "CREATE INDEX by_v ON t (v)",
		"CREATE MATERIALIZED VIEW sums AS SELECT v % 3 AS k, count(*) AS n, sum(v) AS s FROM t GROUP BY v % 3", "CREATE MATERIALIZED VIEW total AS SELECT sum(n) AS n FROM sums",
		"CREATE STREAM log (v INT)")
	readers := []*pgx.Conn{connectReader(t, c[1]), connectReader(t, c[2])}
	ctx := within(t)
	for i := 1; i <= 30; i++ {
		exec(t, writer, fmt.Sprintf("INSERT INTO t VALUES (%d, %d)", i, i), fmt.Sprintf("INSERT INTO log VALUES (%d)", i))
		for _, r := range readers {
			var v int
			require.NoError(t, r.QueryRow(ctx, "SELECT v FROM t WHERE id = $1", i).Scan(&v))
			require.Equal(t, i, v)
			require.Equal(t, []string{fmt.Sprint(i)}, texts(t, r, fmt.Sprintf("SELECT id FROM t WHERE v = %d", i)))
			require.Equal(t, []string{fmt.Sprint(i)}, texts(t, r, "SELECT n FROM total"))
			require.Equal(t, []string{fmt.Sprint(i * (i + 1) / 2)}, texts(t, r, "SELECT sum(s) FROM sums"))
			require.Equal(t, []string{fmt.Sprint(i)}, texts(t, r, "SELECT count(*) FROM log"))
		}
	}
	for i := range 5 {
		exec(t, writer, fmt.Sprintf("ALTER TABLE t ADD COLUMN c%d INT DEFAULT 1", i), fmt.Sprintf("UPDATE t SET c%d = 2 WHERE id <= 10", i),
			fmt.Sprintf("CREATE OR REPLACE MATERIALIZED VIEW sums AS SELECT v %% 3 AS k, count(*) AS n, sum(v) + %d AS s FROM t GROUP BY v %% 3", i))
		for _, r := range readers {
			require.Equal(t, []string{"40"}, texts(t, r, fmt.Sprintf("SELECT sum(c%d) FROM t", i)))
			require.Equal(t, []string{fmt.Sprint(465 + 3*i)}, texts(t, r, "SELECT sum(s) FROM sums"))
		}
	}
	exec(t, writer, "DROP MATERIALIZED VIEW total", "CREATE TABLE fresh (id INT PRIMARY KEY)", "INSERT INTO fresh VALUES (1)")
	for _, r := range readers {
		_, err := r.Exec(ctx, "SELECT * FROM total")
		require.Equal(t, "42P01", code(err), err)
		require.Equal(t, []string{"1"}, texts(t, r, "SELECT id FROM fresh"))
	}
}

// TestASessionThatReadsDoesWhatReadingTakes and refuses the rest.
func TestASessionThatReadsDoesWhatReadingTakes(t *testing.T) {
	t.Parallel() // it waits more than it works
	c := nodetest.StartCluster(t, 3)
	writer := nodetest.Connect(t, nodetest.ConnString(c[0].Node))
	exec(t, writer, "CREATE TABLE t (id INT PRIMARY KEY, v TEXT)", "INSERT INTO t VALUES (1, 'a'), (2, 'b')", "CREATE SEQUENCE s", "CREATE STREAM log (v INT)",
		"CREATE MATERIALIZED VIEW n AS SELECT count(*) AS n FROM t")
	r := connectReader(t, c[1])
	ctx := within(t)

	for _, statement := range []string{
		"SHOW TABLES", "SHOW QUERIES", "SHOW NODES", "SHOW PARTITIONS", "SHOW GROUPS", "SHOW SETTINGS", "SHOW MOVES", "DESCRIBE t", "SHOW CREATE t", "EXPLAIN SELECT * FROM t", "EXPLAIN ANALYZE SELECT * FROM t",
		"SELECT * FROM millrace.tasks", "SELECT * FROM millrace.table_copies", "SELECT * FROM pg_stat_activity", "SELECT * FROM pg_class", "SELECT * FROM information_schema.tables",
		"SET TimeZone = 'UTC'", "PREPARE p AS SELECT * FROM t", "EXECUTE p", "DEALLOCATE p", "BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT * FROM t", "COMMIT", "LISTEN news", "SELECT last_value FROM s",
		"COPY t TO STDOUT", "BEGIN", "DECLARE k CURSOR FOR SELECT * FROM t", "FETCH ALL FROM k", "COMMIT", "DISCARD ALL", "SET consistency = 'eventual'", "SELECT * FROM t WHERE id = 1", "RESET consistency",
	} {
		_, err := r.Exec(ctx, statement, pgx.QueryExecModeSimpleProtocol)
		require.NoError(t, err, statement)
	}
	require.Equal(t, []string{"on t"}, texts(t, r, "SELECT current_setting('transaction_read_only'), pg_is_in_recovery()"))
	require.NotEmpty(t, texts(t, r, "SHOW GROUPS"), "the node that coordinates them is asked")

	for _, statement := range []string{
		"INSERT INTO t VALUES (3, 'c')", "UPDATE t SET v = 'x'", "DELETE FROM t", "TRUNCATE t", "INSERT INTO log VALUES (1)", "WITH x AS (DELETE FROM t RETURNING id) SELECT * FROM x",
		"CREATE TABLE u (id INT)", "CREATE TEMPORARY TABLE u (id INT)", "CREATE STREAM u AS SELECT * FROM log", "CREATE MATERIALIZED VIEW u AS SELECT count(*) AS n FROM t", "DROP TABLE t", "ALTER TABLE t ADD COLUMN w INT",
		"CREATE ROLE u", "GRANT SELECT ON t TO PUBLIC", "COMMENT ON TABLE t IS 'x'", "CREATE INDEX ON t (v)", "ALTER NODE 3 DRAIN", "NOTIFY news", "SELECT pg_notify('news', '')", "SELECT nextval('s')",
		"SELECT setval('s', 7)", "EXPLAIN ANALYZE DELETE FROM t", "BEGIN READ WRITE", "PAUSE n", "INSERT INTO log SELECT v FROM log EMIT CHANGES", "CREATE SCHEMA u",
	} {
		_, err := r.Exec(ctx, statement, pgx.QueryExecModeSimpleProtocol)
		require.Equal(t, "25006", code(err), "%s: %v", statement, err)
		require.Contains(t, hintOf(err), "on node 2", statement)
		_, err = r.Exec(ctx, "ROLLBACK")
		require.NoError(t, err)
	}
	_, err := r.PgConn().CopyFrom(ctx, strings.NewReader("9\tz\n"), "COPY t FROM STDIN")
	require.Equal(t, "25006", code(err), err)
	require.Equal(t, []string{"2"}, texts(t, writer, "SELECT count(*) FROM t"))

	require.NoError(t, r.PgConn().CancelRequest(ctx), "nothing runs")
	slow := make(chan error, 1)
	go func() {
		_, err := r.Exec(ctx, "SELECT pg_sleep(600)")
		slow <- err
	}()
	for running := true; running; { // until it is cancelled: the request may come before the statement
		require.NoError(t, r.PgConn().CancelRequest(ctx))
		select {
		case err = <-slow:
			running = false
		case <-time.After(50 * time.Millisecond):
		}
	}
	require.Equal(t, "57014", code(err), err)
}

// TestAPushQueryOnANodeThatReadsHasEachChangeOnce: its rows first, then what changes, while another writes.
func TestAPushQueryOnANodeThatReadsHasEachChangeOnce(t *testing.T) {
	t.Parallel() // it waits more than it works
	c := nodetest.StartCluster(t, 3)
	writer := nodetest.Connect(t, nodetest.ConnString(c[0].Node))
	exec(t, writer, "CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t SELECT i FROM generate_series(1, 50) i")
	reader, ear := connectReader(t, c[1]), connectReader(t, c[2])
	ctx := within(t)
	exec(t, ear, "LISTEN news")
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		for i := 51; i <= 200; i++ {
			if _, err := writer.Exec(ctx, "INSERT INTO t VALUES ($1)", i); err != nil {
				t.Errorf("writing: %v", err)
				return
			}
		}
		if _, err := writer.Exec(ctx, "NOTIFY news, 'done'"); err != nil {
			t.Errorf("notifying: %v", err)
		}
	})
	rows, err := reader.Query(ctx, "SELECT id FROM t EMIT CHANGES LIMIT 200")
	require.NoError(t, err)
	seen := map[int]int{}
	for rows.Next() {
		var id int
		require.NoError(t, rows.Scan(&id))
		seen[id]++
	}
	require.NoError(t, rows.Err())
	require.Len(t, seen, 200)
	n, err := ear.WaitForNotification(ctx)
	require.NoError(t, err)
	require.Equal(t, "done", n.Payload)
}

// TestASessionThatReadsOutlivesTheNodeThatServesTheTables: it is not told of the take-over, but that its node, or another, serves the tables by then.
func TestASessionThatReadsOutlivesTheNodeThatServesTheTables(t *testing.T) {
	t.Parallel() // it waits more than it works
	c := nodetest.StartCluster(t, 3)
	writer := nodetest.Connect(t, nodetest.ConnString(c[1].Node))
	exec(t, writer, "CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
	readers := []*pgx.Conn{connectReader(t, c[1]), connectReader(t, c[2])}
	exec(t, readers[0], "PREPARE n AS SELECT count(*) FROM t")
	exec(t, readers[1], "PREPARE n AS SELECT count(*) FROM t")
	replicated(t, c[1])
	c[0].Kill() // it served the tables
	ctx := within(t)
	for i := 2; i <= 20; i++ {
		for {
			_, err := writer.Exec(ctx, "INSERT INTO t VALUES ($1) ON CONFLICT DO NOTHING", i)
			if err == nil {
				break
			}
			require.Equal(t, "40003", code(err), err)
		}
		for _, r := range readers {
			for {
				got, err := nodetest.Texts(ctx, r, "EXECUTE n")
				if err == nil {
					require.Equal(t, [][]string{{fmt.Sprint(i)}}, got, "after %d rows", i)
					break
				}
				require.Contains(t, []string{"57P03", "40001", "55000"}, code(err), err)
				require.False(t, r.IsClosed())
				require.NoError(t, ctx.Err())
			}
		}
	}
}

// TestANodeThatIsCutOffReadsNothingStale: under consistency = latest it says that it cannot, from the first moment on, whoever writes meanwhile.
func TestANodeThatIsCutOffReadsNothingStale(t *testing.T) {
	t.Parallel() // it waits more than it works
	c := nodetest.StartCluster(t, 3)
	writer := nodetest.Connect(t, nodetest.ConnString(c[0].Node))
	exec(t, writer, "CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)", "CREATE MATERIALIZED VIEW n AS SELECT count(*) AS n FROM t")
	r := connectReader(t, c[2])
	replicated(t, c[0])
	ctx := within(t)
	read := func() (string, error) {
		var n int
		err := r.QueryRow(ctx, "SELECT n FROM n").Scan(&n)
		return fmt.Sprint(n), err
	}
	got, err := read()
	require.NoError(t, err)
	require.Equal(t, "1", got)
	exec(t, r, "SET read_wait = '500ms'")
	silent := func(silent bool) {
		c[2].Silence(c[0], silent)
		c[2].Silence(c[1], silent)
	}
	silent(true)
	exec(t, writer, "INSERT INTO t VALUES (2)")
	for range 3 {
		got, err := read()
		require.Error(t, err, "it read %s", got)
		var pg *pgconn.PgError
		require.ErrorAs(t, err, &pg)
		require.Equal(t, "57P03", pg.Code, "%s: %s", pg.Message, pg.Hint)
	}
	silent(false)
	for {
		if got, err = read(); err == nil {
			break
		}
		require.NoError(t, ctx.Err())
	}
	require.Equal(t, "2", got)
}
