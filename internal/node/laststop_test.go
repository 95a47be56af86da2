package node_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/node/nodetest"
)

// TestTheLastNodeOfAClusterStopsInOrderToo: nothing that it commits reaches enough replicas any more.
func TestTheLastNodeOfAClusterStopsInOrderToo(t *testing.T) {
	t.Parallel() // it waits more than it works
	c := nodetest.StartCluster(t, 3)
	writer, err := pgx.Connect(t.Context(), nodetest.ConnString(c[0].Node)) // the first node runs the queries
	require.NoError(t, err)
	exec(t, writer, "CREATE STREAM s (id INT, k TEXT)", "CREATE TABLE n AS SELECT k, count(*) AS n FROM s GROUP BY k")
	done := make(chan struct{})
	go func() {
		defer close(done)
		for err := error(nil); err == nil; {
			_, err = writer.Exec(t.Context(), "INSERT INTO s SELECT g, 'k' || g % 7 FROM generate_series(1, 50) g")
		}
	}()
	c[1].Stop()
	c[2].Stop()
	stopped := make(chan error, 1)
	go func() { stopped <- c[0].Close() }()
	select {
	case <-stopped: // with or without an error
	case <-time.After(2 * time.Minute):
		t.Fatal("the last node does not stop")
	}
	<-done
	c[0].Node = nil
}
