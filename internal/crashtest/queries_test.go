//go:build scale && linux

package crashtest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
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
	c.exec(ctx, fmt.Sprintf("INSERT INTO s SELECT i %% %d, i FROM generate_series(1, %d) AS g(i)", queryKeys, n))
	c.rows += int64(n)
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
	share := len(before) / 3
	var after map[string]ran
	ticker := time.NewTicker(lookAtTasks)
	defer ticker.Stop()
	for after = c.tasks(ctx); len(after) < len(before) || load(after)[2] < share; after = c.tasks(ctx) {
		require.Less(t, time.Since(begin), scaleLimit, "tasks by node: %v", load(after))
		<-ticker.C
	}
	c.note("a third node joins: until it runs its share", "%.1f s", time.Since(begin).Seconds())
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
	c.note("1 row inserted, until all queries have it", "%.2f s", c.insert(ctx, 1).Seconds())
	c.print()
	require.Zero(t, between+stopped)
}
