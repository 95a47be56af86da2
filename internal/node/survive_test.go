package node_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/node/nodetest"
)

// patience bounds what waits for other nodes.
const patience = 3 * time.Minute

// within is a context for one statement.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func hintOf(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Hint
	}
	return ""
}

// TestASessionOutlivesEveryNodeButItsOwn has sessions in all states when the node dies that ran them; their clients are connected to another.
func TestASessionOutlivesEveryNodeButItsOwn(t *testing.T) {
	t.Parallel() // it waits more than it works
	c := nodetest.StartCluster(t, 3)
	ctx := within(t)
	connect := func() *pgx.Conn { return nodetest.Connect(t, nodetest.ConnString(c[1].Node)) }
	idle, block, committing, failed, giving, cursor, temp := connect(), connect(), connect(), connect(), connect(), connect(), connect()

	exec(t, idle, "CREATE TABLE t (id INT PRIMARY KEY, v TEXT)", "CREATE SEQUENCE s", "CREATE STREAM readings (v INT)",
		"SET TimeZone = 'Europe/Berlin'", "SET app.mine = 'kept'", "PREPARE byid (int) AS SELECT v FROM t WHERE id = $1", "SELECT nextval('s')")
	_, err := idle.Prepare(ctx, "add", "INSERT INTO t VALUES ($1, $2)")
	require.NoError(t, err)
	_, err = idle.Exec(ctx, "add", 1, "one")
	require.NoError(t, err)
	for _, conn := range []*pgx.Conn{block, committing, failed, giving} {
		exec(t, conn, "SET DateStyle = 'ISO, DMY'", "BEGIN", "SET LOCAL DateStyle = 'ISO, YMD'")
	}
	exec(t, block, "INSERT INTO t VALUES (100, 'of a block')")
	exec(t, committing, "INSERT INTO t VALUES (200, 'of another')")
	_, err = failed.Exec(ctx, "SELECT 1/0")
	require.Equal(t, "22012", code(err))
	exec(t, cursor, "DECLARE c CURSOR WITH HOLD FOR SELECT id FROM t")
	exec(t, temp, "CREATE TEMPORARY TABLE mine (v INT)")
	pids := texts(t, idle, "SELECT pg_backend_pid()")
	replicated(t, c[1])
	c[0].Kill() // it ran the sessions

	_, err = idle.Exec(ctx, "add", 2, "two")
	require.NoError(t, err)
	require.Equal(t, []string{"two"}, texts(t, idle, "EXECUTE byid (2)"))
	require.Equal(t, []string{"1"}, texts(t, idle, "SELECT currval('s')"))
	require.Equal(t, []string{"Europe/Berlin"}, texts(t, idle, "SHOW TimeZone"))
	require.Equal(t, []string{"kept"}, texts(t, idle, "SELECT current_setting('app.mine')"))
	require.Equal(t, pids, texts(t, idle, "SELECT pg_backend_pid()"))
	require.Equal(t, []string{"add", "byid"}, texts(t, idle, "SELECT name FROM pg_prepared_statements WHERE name IN ('add', 'byid') ORDER BY name"))

	_, err = block.Exec(ctx, "INSERT INTO t VALUES (101, 'more of it')")
	require.Equal(t, "40001", code(err), err)
	require.Equal(t, byte('E'), block.PgConn().TxStatus())
	_, err = block.Exec(ctx, "SELECT 1")
	require.Equal(t, "25P02", code(err), err)
	exec(t, block, "ROLLBACK")

	_, err = committing.Exec(ctx, "COMMIT")
	require.Equal(t, "40001", code(err), err)
	require.Equal(t, byte('I'), committing.PgConn().TxStatus())

	_, err = failed.Exec(ctx, "SELECT 1")
	require.Equal(t, "25P02", code(err), err)
	exec(t, failed, "ROLLBACK")
	exec(t, giving, "ROLLBACK") // it would not have been told of anything anyway
	for _, conn := range []*pgx.Conn{block, committing, failed, giving} {
		require.Equal(t, "ISO, DMY", conn.PgConn().ParameterStatus("DateStyle"))
		require.Equal(t, []string{"ISO, DMY"}, texts(t, conn, "SHOW DateStyle"))
		require.Equal(t, []string{"one", "two"}, texts(t, conn, "SELECT v FROM t ORDER BY id"))
	}

	_, err = cursor.Exec(ctx, "FETCH 1 FROM c")
	require.Equal(t, "34000", code(err), err)
	require.Equal(t, "DECLARE it again.", hintOf(err))
	exec(t, cursor, "DECLARE c CURSOR WITH HOLD FOR SELECT id FROM t", "FETCH 1 FROM c")

	_, err = temp.Exec(ctx, "SELECT * FROM mine")
	require.Error(t, err)
	require.True(t, temp.IsClosed(), "it goes on without its temporary table: %v", err)
}

// TestStatementsUnderWayAreToldWhatBecameOfThem: a node dies while others' clients write, read and follow. Every write is there or was told to be in doubt, and no client connects again.
func TestStatementsUnderWayAreToldWhatBecameOfThem(t *testing.T) {
	t.Parallel() // it waits more than it works
	c := nodetest.StartCluster(t, 3)
	ctx := within(t)
	first := nodetest.Connect(t, nodetest.ConnString(c[1].Node))
	exec(t, first, "CREATE TABLE t (id INT PRIMARY KEY, v INT)", "CREATE STREAM s (v INT)", "INSERT INTO s VALUES (1), (2)")

	push := nodetest.Connect(t, nodetest.ConnString(c[2].Node))
	exec(t, push, "SET auto_offset_reset = 'earliest'")
	rows, err := push.Query(ctx, "SELECT v FROM s EMIT CHANGES")
	require.NoError(t, err)
	for range 2 {
		require.True(t, rows.Next(), "%v", rows.Err())
	}
	replicated(t, c[1])

	const writers = 4
	type outcome struct{ sure, unsure int }
	outcomes := make([]outcome, writers)
	var wg sync.WaitGroup
	killed := make(chan struct{})
	for w := range writers {
		conn := nodetest.Connect(t, nodetest.ConnString(c[1+w%2].Node))
		wg.Go(func() {
			after := 0
			for i := 0; after < 5 && ctx.Err() == nil; i++ {
				_, err := conn.Exec(ctx, "INSERT INTO t VALUES ($1, $2)", w*1_000_000+i, w)
				select {
				case <-killed:
					after++
				default:
				}
				switch {
				case err == nil:
					outcomes[w].sure++
				case nodetest.Code(err) == "40003":
					outcomes[w].unsure++
				case nodetest.Unchanged(err):
				default:
					t.Errorf("writer %d: %v", w, err)
					return
				}
			}
		})
	}
	reader := nodetest.Connect(t, nodetest.ConnString(c[2].Node))
	wg.Go(func() {
		after := 0
		for after < 5 && ctx.Err() == nil {
			var n int
			if err := reader.QueryRow(ctx, "SELECT count(*) FROM t").Scan(&n); err != nil && !nodetest.Unchanged(err) {
				t.Errorf("reader: %v", err)
				return
			}
			select {
			case <-killed:
				after++
			default:
			}
		}
	})
	c[0].Kill() // it ran the sessions
	close(killed)
	require.False(t, rows.Next())
	require.Equal(t, "40001", code(rows.Err()), rows.Err())
	wg.Wait()
	for w, o := range outcomes {
		got := texts(t, first, fmt.Sprintf("SELECT count(*) FROM t WHERE v = %d", w))
		var n int
		_, err := fmt.Sscan(got[0], &n)
		require.NoError(t, err)
		require.True(t, o.sure <= n && n <= o.sure+o.unsure, "writer %d: %d rows of %+v", w, n, o)
	}
	require.Equal(t, []string{"1", "2"}, texts(t, push, "SELECT v FROM s ORDER BY v"))
}

// TestSessionsFollowTheQueriesInOrder: a node is drained, and the clients of every node, that one among them, notice nothing.
func TestSessionsFollowTheQueriesInOrder(t *testing.T) {
	t.Parallel() // it waits more than it works
	c := nodetest.StartCluster(t, 3)
	ctx := within(t)
	var conns []*pgx.Conn
	for _, m := range c {
		conns = append(conns, nodetest.Connect(t, nodetest.ConnString(m.Node)))
	}
	exec(t, conns[0], "CREATE TABLE t (id INT PRIMARY KEY)")
	replicated(t, c[1])
	exec(t, conns[1], "ALTER NODE 1 DRAIN")
	id := 0
	moved := func() bool {
		for _, conn := range conns {
			id++
			_, err := conn.Exec(ctx, "INSERT INTO t VALUES ($1)", id)
			if err != nil && nodetest.Code(err) != "40003" && !nodetest.Unchanged(err) {
				t.Fatal(err)
			}
		}
		var got int
		err := conns[0].QueryRow(ctx, "SELECT id FROM millrace.nodes WHERE queries").Scan(&got)
		return err == nil && got != 1
	}
	for !moved() {
		require.NoError(t, ctx.Err())
	}
	for _, conn := range conns {
		require.False(t, conn.IsClosed())
	}
}
