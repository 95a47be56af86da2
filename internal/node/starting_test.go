package node_test

import (
	"context"
	"log/slog"
	"net"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/node"
	"github.com/millracedb/millrace/internal/node/nodetest"
)

// TestANodeThatStartsSaysSoOrIsNotThere: a client that comes before the node serves is not kept waiting. PostgreSQL clients are told; the Kafka port is open only when it is served. It is opened last, and
// at that moment the test looks.
func TestANodeThatStartsSaysSoOrIsNotThere(t *testing.T) {
	t.Parallel()                   // it waits more than it works
	const kafka = "127.0.0.1:9092" // no port of the machine: the test listens elsewhere
	pg, serves, release := make(chan string, 1), make(chan struct{}), make(chan struct{})
	var tried net.Listener
	listen := func(addr string) (net.Listener, error) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		switch {
		case err != nil:
		case addr != kafka:
			select {
			case pg <- l.Addr().String(): // the last one of the node port, then PostgreSQL's
			default:
				<-pg
				pg <- l.Addr().String()
			}
		case tried == nil:
			tried = l
		default:
			close(serves)
			<-release
		}
		return l, err
	}
	opened := make(chan *node.Node, 1)
	go func() {
		n, err := nodetest.Open(context.WithoutCancel(t.Context()), node.Config{Listen: listen, Raft: "127.0.0.1:0", Kafka: kafka, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Errorf("starting the node: %v", err)
		}
		opened <- n
	}()
	<-serves
	_, err := net.Dial("tcp", tried.Addr().String())
	require.Error(t, err, "it was only tried")
	at := "postgres://millrace@" + <-pg + "/millrace?sslmode=disable"
	_, err = pgx.Connect(t.Context(), at)
	var told *pgconn.PgError
	require.ErrorAs(t, err, &told)
	require.Equal(t, "57P03", told.Code)
	require.Equal(t, "the database system is starting up", told.Message)
	close(release)
	n := <-opened
	require.NotNil(t, n)
	conn := nodetest.Connect(t, at)
	exec(t, conn, "CREATE TABLE t (id INT PRIMARY KEY)")
	require.NoError(t, conn.Close(t.Context()))
	require.NoError(t, n.Close())
}
