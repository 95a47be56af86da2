package node_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/node/nodetest"
)

// TestAClientIsToldWhenItsNodeDoesNotHearTheOneWithTheQueries: the network between the two swallows everything, and ends no connection.
func TestAClientIsToldWhenItsNodeDoesNotHearTheOneWithTheQueries(t *testing.T) {
	t.Parallel() // it waits more than it works
	c := nodetest.StartCluster(t, 3)
	exec(t, nodetest.Connect(t, nodetest.ConnString(c[0].Node)), "CREATE TABLE t (id INT PRIMARY KEY)")
	replicated(t, c[1])
	queries, other := c[0], c[2]
	if texts(t, nodetest.Connect(t, nodetest.ConnString(c[1].Node)), "SELECT id FROM millrace.nodes WHERE queries")[0] == "3" {
		queries, other = c[2], c[1]
	}
	conn, err := pgx.Connect(t.Context(), nodetest.ConnString(other.Node))
	require.NoError(t, err)
	follower, err := pgx.Connect(t.Context(), nodetest.ConnString(other.Node))
	require.NoError(t, err)
	exec(t, conn, "INSERT INTO t VALUES (1)")
	rows, err := follower.Query(t.Context(), "SELECT id FROM t EMIT CHANGES")
	require.NoError(t, err)
	require.True(t, rows.Next())
	followed := make(chan error, 1)
	go func() {
		for rows.Next() {
		}
		followed <- rows.Err()
	}()

	queries.Silence(other, true)
	_, err = conn.Exec(t.Context(), "INSERT INTO t VALUES (2)")
	wantCode(t, err, "40003")
	wantCode(t, told(t, followed), "40001")
	if _, err = conn.Exec(t.Context(), "SELECT 1"); err != nil { // else the queries have moved
		wantCode(t, err, "57P03")
		require.ErrorContains(t, err, "runs the queries") // or nobody does for a moment
	}

	queries.Silence(other, false)
	require.Eventually(t, func() bool { _, err := conn.Exec(t.Context(), "SELECT 1"); return err == nil }, 2*time.Minute, 100*time.Millisecond)
}

func told(t *testing.T, errs <-chan error) error {
	t.Helper()
	select {
	case err := <-errs:
		return err
	case <-time.After(2 * time.Minute):
		t.Fatal("nobody tells the client")
		return nil
	}
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var e *pgconn.PgError
	require.ErrorAs(t, err, &e)
	require.Equal(t, code, e.Code, e.Message)
}
