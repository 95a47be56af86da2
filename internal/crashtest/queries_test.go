//go:build scale && linux

package crashtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/testenv"
)

// queryRows are inserted at once, over queryKeys keys.
const queryRows, queryKeys = 1000, 100

// lookAtTasks is how often the tasks are looked at: there are thousands, and each node has to tell of its own.
const lookAtTasks = time.Second

// queryCluster is a cluster with persistent queries over one stream, every second a filter, the others counts by key.
type queryCluster struct {
	*bigCluster
	conn    *pgx.Conn
	queries int
	rows    int64
}

func (c *queryCluster) exec(ctx context.Context, statement string) {
	c.t.Helper()
	_, err := c.conn.Exec(ctx, statement)
	require.NoError(c.t, err, statement)
}

// insert inserts n rows and returns how long it took until all queries had them.
func (c *queryCluster) insert(ctx context.Context, n int) time.Duration {
	c.t.Helper()
	begin := time.Now()
	c.write(ctx, n)
	for i := range c.queries / 2 {
		var got int64
		require.NoError(c.t, c.conn.QueryRow(ctx, fmt.Sprintf("SELECT sum(n)::bigint FROM count_%d", i)).Scan(&got))
		require.Equal(c.t, c.rows, got, "count_%d", i)
	}
	return time.Since(begin)
}

// ran is where a task runs, and how often it has committed since it started.
type ran struct {
	node    int32
	commits int64
}

// write inserts n rows. A node that was killed may leave open whether they are written; who asked has to look.
func (c *queryCluster) write(ctx context.Context, n int) {
	c.t.Helper()
	for want := c.rows + int64(n); c.rows < want; {
		_, err := c.conn.Exec(ctx, fmt.Sprintf("INSERT INTO s SELECT i %% %d, i FROM generate_series(1, %d) AS g(i)", queryKeys, n))
		if inDoubt, ok := errors.AsType[*pgconn.PgError](err); ok && inDoubt.Code == "40003" {
			require.NoError(c.t, c.conn.QueryRow(ctx, "SELECT count(*) FROM s").Scan(&c.rows))
			continue
		}
		require.NoError(c.t, err)
		c.rows += int64(n)
	}
}

func (c *queryCluster) tasks(ctx context.Context) map[string]ran {
	c.t.Helper()
	rows, err := c.conn.Query(ctx, "SELECT query || '/' || fragment || '/' || partition, node, commits FROM millrace.tasks")
	require.NoError(c.t, err)
	out := map[string]ran{}
	var task string
	var r ran
	_, err = pgx.ForEachRow(rows, []any{&task, &r.node, &r.commits}, func() error {
		out[task] = r
		return nil
	})
	require.NoError(c.t, err)
	return out
}

func load(tasks map[string]ran) (n [3]int) {
	for _, r := range tasks {
		n[r.node-1]++
	}
	return n
}

func TestAThirdNodeTakesItsShareOfHundredsOfQueries(t *testing.T) {
	ctx := t.Context()
	c := &queryCluster{bigCluster: startBigCluster(t, 2), queries: testenv.Int(t, "MILLRACE_QUERIES", 500)}
	var err error
	c.conn, err = pgx.Connect(ctx, fmt.Sprintf("postgres://millrace@%s/millrace?sslmode=disable", c.pg[0]))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.conn.Close(context.WithoutCancel(ctx))) })
	c.exec(ctx, "SET read_wait = '60s'")
	c.exec(ctx, "CREATE STREAM s (k bigint KEY, v bigint)")
	begin := time.Now()
	for i := range c.queries / 2 {
		c.exec(ctx, fmt.Sprintf("CREATE STREAM kept_%d AS SELECT k, v FROM s WHERE v %% 10 = %d", i, i%10))
		c.exec(ctx, fmt.Sprintf("CREATE TABLE count_%d AS SELECT k, count(*) AS n FROM s WHERE v > %d GROUP BY k", i, -i-1))
	}
	c.note(fmt.Sprintf("%d queries made", c.queries), "%.1f s", time.Since(begin).Seconds())
	c.insert(ctx, queryRows)
	c.note(fmt.Sprintf("%d rows inserted, until all queries have them", queryRows), "%.2f s", c.insert(ctx, queryRows).Seconds())
	c.note("1 row inserted, until all queries have it", "%.2f s", c.insert(ctx, 1).Seconds())
	c.note("processor time of two nodes, idle", "%s", c.cpu(idleFor, 2, func() { <-time.After(idleFor) }))

	before := c.tasks(ctx)
	n := load(before)
	begin = time.Now()
	c.start(2)
	after := c.spread(ctx, len(before), 3)
	c.note("a third node joins: until it runs its share", "%.1f s", time.Since(begin).Seconds())
	c.note("1 row inserted at once after that, until all queries have it", "%.2f s", c.insert(ctx, 1).Seconds())
	m := load(after)
	c.note("tasks a node, before and after", "%d, %d; %d, %d, %d", n[0], n[1], m[0], m[1], m[2])
	between, stopped := 0, 0
	for task, now := range after {
		switch was := before[task]; {
		case now.node == 3:
		case now.node != was.node:
			between++
		case now.commits < was.commits:
			stopped++
		}
	}
	c.note("tasks that moved between the nodes that were there, and that were stopped though they stay", "%d, %d", between, stopped)

	c.nodes[2].Kill()
	c.note("the third is killed, and 1 row inserted at once: until all queries have it", "%.2f s", c.insert(ctx, 1).Seconds())
	c.spread(ctx, len(before), 2)
	begin = time.Now()
	c.start(2)
	c.spread(ctx, len(before), 3)
	c.note("it comes back: until it runs its share", "%.1f s", time.Since(begin).Seconds())
	c.note("1 row inserted at once after that, until all queries have it", "%.2f s", c.insert(ctx, 1).Seconds())
	require.NoError(t, c.nodes[2].Stop())
	c.note("it stops in order, and 1 row is inserted at once: until all queries have it", "%.2f s", c.insert(ctx, 1).Seconds())
	c.print()
	require.Zero(t, between+stopped)
}

// spread waits until the first n nodes run all tasks, each its share, and returns them.
func (c *queryCluster) spread(ctx context.Context, tasks, n int) map[string]ran {
	c.t.Helper()
	begin := time.Now()
	ticker := time.NewTicker(lookAtTasks)
	defer ticker.Stop()
	for {
		now := c.tasks(ctx)
		l := load(now)
		if len(now) == tasks && slices.Min(l[:n]) >= tasks/n {
			return now
		}
		require.Less(c.t, time.Since(begin), scaleLimit, "tasks by node: %v", l)
		<-ticker.C
	}
}
