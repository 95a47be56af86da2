package node_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/node/nodetest"
)

func TestThreeNodesFormAClusterAndEachAnswersSQL(t *testing.T) {
	t.Parallel() // it waits more than it works
	c := nodetest.StartCluster(t, 3)
	conns := make([]*pgx.Conn, 3)
	for i, m := range c {
		conns[i] = nodetest.Connect(t, nodetest.ConnString(m.Node))
	}
	exec(t, conns[0], "CREATE TABLE t (id INT PRIMARY KEY, v TEXT)", "INSERT INTO t VALUES (1, 'one')")
	exec(t, conns[1], "CREATE MATERIALIZED VIEW n AS SELECT count(*) AS n FROM t", "INSERT INTO t VALUES (2, 'two')")
	exec(t, conns[2], "INSERT INTO t VALUES (3, 'three')")
	for _, conn := range conns {
		require.Equal(t, []string{"3"}, texts(t, conn, "SELECT n FROM n"))
		require.Equal(t, []string{"1 online", "2 online", "3 online"}, texts(t, conn, "SELECT id, state FROM millrace.nodes ORDER BY id"))
	}
}

// eventually runs a query on a new connection to any of the nodes until it gives the rows, or the time is over.
func eventually(t *testing.T, members []*nodetest.Member, want []string, query string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	var last any
	for i := 0; ctx.Err() == nil; i++ {
		m := members[i%len(members)]
		if m.Node == nil {
			continue
		}
		got, err := once(ctx, m, query)
		if err == nil && fmt.Sprint(got) == fmt.Sprint(want) {
			return
		}
		last = fmt.Sprint(got, err)
		<-time.After(20 * time.Millisecond)
	}
	t.Fatalf("%s: want %v; last: %v", query, want, last)
}

func once(ctx context.Context, m *nodetest.Member, query string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, nodetest.ConnString(m.Node))
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close(ctx) }()
	rows, err := nodetest.Texts(ctx, conn, query)
	var out []string
	for _, r := range rows {
		out = append(out, fmt.Sprint(r))
	}
	return out, err
}

func TestAcknowledgedRowsSurviveTheNodeThatRunsTheQueries(t *testing.T) {
	t.Parallel() // it waits more than it works
	c := nodetest.StartCluster(t, 3)
	conn := nodetest.Connect(t, nodetest.ConnString(c[1].Node))
	exec(t, conn, "CREATE TABLE t (id INT PRIMARY KEY, v INT)", "CREATE MATERIALIZED VIEW s AS SELECT count(*) AS n, sum(v) AS v FROM t")
	next := 0
	insert := func(n int) {
		for range n {
			next++
			eventually(t, c, nil, fmt.Sprintf("INSERT INTO t VALUES (%d, %d) ON CONFLICT (id) DO NOTHING", next, next))
		}
	}
	insert(20)
	victim := c[0] // it runs the queries
	replicated(t, victim)
	victim.Kill()
	eventually(t, c, []string{fmt.Sprint([]string{fmt.Sprint(next), fmt.Sprint(next * (next + 1) / 2)})}, "SELECT n, v FROM s")
	insert(1)
	victim.Start()
	require.NotNil(t, victim.Node)
	eventually(t, []*nodetest.Member{victim}, []string{fmt.Sprint([]string{fmt.Sprint(next)})}, "SELECT n FROM s")
}
