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
	talk := func(conns []*pgx.Conn, round string) {
		t.Helper()
		for i, from := range conns {
			exec(t, from, fmt.Sprintf("NOTIFY news, '%s %d'", round, i))
			for _, to := range conns {
				heard(to, fmt.Sprintf("%s %d", round, i))
			}
		}
	}
	var conns []*pgx.Conn
	for _, m := range c {
		conn := nodetest.Connect(t, nodetest.ConnString(m.Node))
		exec(t, conn, "LISTEN news")
		conns = append(conns, conn)
	}
	talk(conns, "before")
	replicated(t, c[1])
	c[0].Kill() // it has the sessions
	talk(conns[1:], "after")
}

// TestNoNotificationIsMissedWhileTheSessionsMove has one session notify without a pause, and another that only listens, when the node dies that runs both.
func TestNoNotificationIsMissedWhileTheSessionsMove(t *testing.T) {
	t.Parallel() // it waits more than it works
	c := nodetest.StartCluster(t, 3)
	ctx := within(t)
	ear, mouth := nodetest.Connect(t, nodetest.ConnString(c[1].Node)), nodetest.Connect(t, nodetest.ConnString(c[2].Node))
	exec(t, ear, "LISTEN news", "LISTEN others")
	replicated(t, c[1])
	killed := make(chan struct{})
	var sure, all []string
	var mouths sync.WaitGroup
	mouths.Go(func() {
		after := 0
		for i := 0; after < 5 && ctx.Err() == nil; i++ {
			n := fmt.Sprint(i)
			all = append(all, n)
			_, err := mouth.Exec(ctx, "SELECT pg_notify('news', $1)", n)
			if err == nil {
				sure = append(sure, n)
			} else if nodetest.Code(err) != "40003" && !nodetest.Unchanged(err) {
				t.Errorf("notifying: %v", err)
				return
			}
			select {
			case <-killed:
				after++
			default:
			}
		}
		if err := nodetest.Exec(ctx, mouth, "NOTIFY others, 'end'"); err != nil {
			t.Errorf("the last one: %v", err)
		}
	})
	c[0].Kill() // it has the sessions
	close(killed)
	var got []string
	for {
		n, err := ear.WaitForNotification(ctx)
		require.NoError(t, err)
		if n.Channel == "others" {
			break
		}
		got = append(got, n.Payload)
	}
	mouths.Wait()
	require.Subset(t, got, sure)
	next := 0
	for _, n := range all { // each at most once, in order
		if next < len(got) && got[next] == n {
			next++
		}
	}
	require.Equal(t, len(got), next, "heard %v of %v", got, all)
}
