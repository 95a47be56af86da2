package node_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/node/nodetest"
)

// TestAPausedQueryWritesNothingMoreWhicheverNodeRunsIt: PAUSE has ended the tasks when it returns.
func TestAPausedQueryWritesNothingMoreWhicheverNodeRunsIt(t *testing.T) {
	t.Parallel() // it waits more than it works
	const queries = 6
	c := nodetest.StartCluster(t, 3)
	conn := nodetest.Connect(t, nodetest.ConnString(c[0].Node))
	exec(t, conn, "CREATE STREAM s (v INT)")
	for i := range queries {
		exec(t, conn, fmt.Sprintf("CREATE STREAM q%d AS SELECT v FROM s", i))
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer func() {
		cancel()
		wg.Wait()
	}()
	writer := nodetest.Connect(t, nodetest.ConnString(c[1].Node))
	wg.Go(func() {
		for ctx.Err() == nil {
			_, _ = writer.Exec(ctx, "INSERT INTO s VALUES (1)") // a write that fails changes nothing here
		}
	})
	const written = "SELECT sum(high_watermark) FROM millrace.partitions WHERE topic = '%s'"
	for round := range 3 {
		for i := range queries {
			q := fmt.Sprintf("q%d", i)
			exec(t, conn, "PAUSE "+q)
			before := texts(t, conn, fmt.Sprintf(written, q))
			for range 10 {
				exec(t, conn, "INSERT INTO s VALUES (2)")
			}
			require.Equal(t, before, texts(t, conn, fmt.Sprintf(written, q)), "round %d: %s goes on", round, q)
			exec(t, conn, "RESUME "+q)
		}
	}
}

// TestNotificationsReachWhoListensThroughAnyNode sends them from each node to sessions that came over each, before and after the node dies that serves them all.
func TestNotificationsReachWhoListensThroughAnyNode(t *testing.T) {
	t.Parallel() // it waits more than it works
	c := nodetest.StartCluster(t, 3)
	heard := func(conn *pgx.Conn, want string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		n, err := conn.WaitForNotification(ctx)
		require.NoError(t, err)
		require.Equal(t, "news "+want, n.Channel+" "+n.Payload)
	}
	talk := func(members []*nodetest.Member, round string) {
		t.Helper()
		var conns []*pgx.Conn
		for _, m := range members {
			conn := nodetest.Connect(t, nodetest.ConnString(m.Node))
			exec(t, conn, "LISTEN news")
			conns = append(conns, conn)
		}
		for i, from := range conns {
			exec(t, from, fmt.Sprintf("NOTIFY news, '%s %d'", round, i))
			for _, to := range conns {
				heard(to, fmt.Sprintf("%s %d", round, i))
			}
		}
	}
	talk(c, "before")
	replicated(t, c[1])
	c[0].Kill() // it has the sessions
	eventually(t, c[1:], []string{"[1]"}, "SELECT count(*) FROM millrace.nodes WHERE queries AND state = 'online' AND id <> 1")
	talk(c[1:], "after")
}
