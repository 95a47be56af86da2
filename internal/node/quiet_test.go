package node_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/node/nodetest"
)

// complaints keeps the lines of a log that ask for somebody's attention: errors. On a machine where heartbeats are missed there are warnings with reason.
type complaints struct {
	mu    sync.Mutex
	lines []string
}

func (c *complaints) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(c, &slog.HandlerOptions{Level: slog.LevelError}))
}

// Write implements io.Writer.
func (c *complaints) Write(line []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lines = append(c.lines, strings.TrimSpace(string(line)))
	return len(line), nil
}

func (c *complaints) said() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lines
}

// TestNothingToComplainOfWhereNodesStartAndStopInOrder: an operator who reads ERROR only is not called when a cluster forms, each of its nodes is restarted, and all stop.
func TestNothingToComplainOfWhereNodesStartAndStopInOrder(t *testing.T) {
	t.Parallel() // it waits more than it works
	var said complaints
	c := nodetest.StartCluster(t, 3, func(m *nodetest.Member) { m.Logger = said.logger().With("node", m.ID) })
	conn := nodetest.Connect(t, nodetest.ConnString(c[1].Node))
	exec(t, conn, "CREATE TABLE a (id INT PRIMARY KEY, v INT)", "CREATE TABLE b AS SELECT id, v FROM a WHERE v > 0", "INSERT INTO a VALUES (1, 1)")
	require.NoError(t, conn.Close(context.Background()))
	for _, m := range c {
		m.Stop()
		m.Start()
		replicated(t, m)
	}
	for _, m := range c {
		m.Stop()
	}
	require.Empty(t, said.said())
}
