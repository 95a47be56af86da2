package crashtest

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/node"
	"github.com/millracedb/millrace/internal/node/nodetest"
)

// writeFor is how long clients write before the node is stopped, at the least.
const writeFor = 500 * time.Millisecond

// writeTo has clients write to a node until each kind of statement was acknowledged once more.
func (w *workload) writeTo(t *testing.T, n *node.Node) {
	t.Helper()
	inserted, copied := len(w.mu.acked), len(w.mu.copied)
	for len(w.mu.acked) == inserted || len(w.mu.copied) == copied {
		conns, err := connectAll(t.Context(), func(ctx context.Context) (*pgx.Conn, error) { return pgx.Connect(ctx, nodetest.ConnString(n)) })
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), writeFor)
		w.write(ctx, conns)
		cancel()
	}
}

// withNode runs f on a node on fs, which then stops in order.
func withNode(t *testing.T, fs *fsys.Mem, f func(n *node.Node, conn *pgx.Conn)) {
	t.Helper()
	n, err := nodetest.Open(t.Context(), node.Config{FS: fs})
	require.NoError(t, err)
	conn, err := pgx.Connect(t.Context(), nodetest.ConnString(n))
	require.NoError(t, err)
	f(n, conn)
	require.NoError(t, conn.Close(t.Context()))
	require.NoError(t, n.Close())
}

// rowsRead is how many rows the tasks of all persistent queries have read, over all runs of the node.
func rowsRead(t *testing.T, conn *pgx.Conn) (rows int64) {
	t.Helper()
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT sum(rows_in)::bigint FROM millrace.queries").Scan(&rows))
	return rows
}

// written returns files on which clients have written, what they wrote, and how many rows queries read of that.
func written(t *testing.T) (fs *fsys.Mem, w *workload, read int64) {
	t.Helper()
	fs, w = fsys.NewMem(), newWorkload(1)
	withNode(t, fs, func(n *node.Node, conn *pgx.Conn) {
		create(t.Context(), t, conn)
		w.writeTo(t, n)
		w.check(t.Context(), t, conn)
		read = rowsRead(t, conn)
		require.Positive(t, read)
	})
	return fs, w, read
}

func TestRestartWithItsStateReadsNoInputAgain(t *testing.T) {
	fs, w, read := written(t)
	withNode(t, fs, func(_ *node.Node, conn *pgx.Conn) {
		w.check(t.Context(), t, conn)
		require.Equal(t, read, rowsRead(t, conn))
	})
}

func TestAnswersAreComputedAgainWithoutLocalState(t *testing.T) {
	fs, w, _ := written(t)
	require.NoError(t, fs.RemoveAll(nodetest.Dir+"/state"))
	withNode(t, fs, func(n *node.Node, conn *pgx.Conn) {
		w.check(t.Context(), t, conn)
		// What comes now goes on where the old state ended.
		w.writeTo(t, n)
		w.check(t.Context(), t, conn)
	})
}
