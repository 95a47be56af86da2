// Package nodetest opens nodes for the tests that look at a whole node from outside, as a client does.
//
// Start makes one that lasts as long as its test; Open makes one that the test closes and opens again, or lets crash. Either listens for
// PostgreSQL clients on a free port of loopback and for nothing else. ConnString is what a client connects with. Build and StartProcess run the
// server as a process of its own, which can be killed.
package nodetest

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/node"
)

// Dir is the data directory of nodes whose configuration names none; it is in memory.
const Dir = "/data"

// Open opens a node. Where cfg says nothing the node has its files in memory, in Dir, and listens to PostgreSQL clients alone.
func Open(ctx context.Context, cfg node.Config) (*node.Node, error) {
	if cfg.Dir == "" {
		cfg.Dir = Dir
	}
	if cfg.FS == nil {
		cfg.FS = fsys.NewMem()
	}
	for _, addr := range []*string{&cfg.HTTP, &cfg.Raft, &cfg.Kafka} {
		if *addr == "" {
			*addr = node.Off
		}
	}
	cfg.PG = "127.0.0.1:0"
	return node.Open(ctx, cfg)
}

// Start opens a node as Open does and closes it when the test ends. An error of either fails the test.
func Start(tb testing.TB, cfg node.Config) *node.Node {
	tb.Helper()
	n, err := Open(context.WithoutCancel(tb.Context()), cfg)
	if err != nil {
		tb.Fatalf("starting a node: %v", err)
	}
	tb.Cleanup(func() {
		if err := n.Close(); err != nil {
			tb.Errorf("stopping the node: %v", err)
		}
	})
	return n
}

// ConnString is the connection string of n's database "millrace".
func ConnString(n *node.Node) string {
	return fmt.Sprintf("postgres://millrace@%s/millrace?sslmode=disable", n.PGAddr())
}

// Connect connects to the server at connString; the connection is closed when the test ends.
func Connect(tb testing.TB, connString string) *pgx.Conn {
	tb.Helper()
	conn, err := pgx.Connect(tb.Context(), connString)
	if err != nil {
		tb.Fatalf("connecting: %v", err)
	}
	tb.Cleanup(func() { _ = conn.Close(context.WithoutCancel(tb.Context())) })
	return conn
}

// Texts runs a query and returns the rows as the server sends them in text format, NULL as "NULL".
func Texts(ctx context.Context, conn *pgx.Conn, query string) ([][]string, error) {
	r := conn.PgConn().ExecParams(ctx, query, nil, nil, nil, nil).Read()
	rows := make([][]string, len(r.Rows))
	for i, row := range r.Rows {
		for _, v := range row {
			if v == nil {
				rows[i] = append(rows[i], "NULL")
			} else {
				rows[i] = append(rows[i], string(v))
			}
		}
	}
	return rows, r.Err
}
