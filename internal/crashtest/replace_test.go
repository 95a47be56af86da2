package crashtest

import (
	"context"
	"fmt"
	"math/rand"
	randv2 "math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/node"
	"github.com/millracedb/millrace/internal/node/nodetest"
	"github.com/millracedb/millrace/internal/testenv"
)

const (
	replaceIt = "CREATE OR REPLACE TABLE t AS SELECT k, count(*) AS n, sum(v) AS v FROM s WHERE v >= 100 GROUP BY k"
	// maxReplaceOperations is about how many calls that change files a replacement takes.
	maxReplaceOperations = 300
)

// replaceable returns files with a stream of 400 rows, a table of its groups, and a sum over that.
func replaceable(t *testing.T) *fsys.Mem {
	t.Helper()
	fs := fsys.NewMem()
	withNode(t, fs, func(_ *node.Node, conn *pgx.Conn) {
		for _, q := range []string{
			"CREATE STREAM s (k INT, v INT)", "INSERT INTO s SELECT g % 20, g FROM generate_series(0, 399) AS g",
			"CREATE TABLE t AS SELECT k, count(*) AS n FROM s GROUP BY k", "CREATE TABLE above AS SELECT sum(n)::bigint AS n, count(*) AS groups FROM t",
		} {
			_, err := conn.Exec(t.Context(), q)
			require.NoError(t, err, q)
		}
	})
	return fs
}

// replaceUntil runs the replacement on a copy of fs that loses power before the nth call which changes a file, and returns what is left.
func replaceUntil(t *testing.T, fs *fsys.Mem, n int64, cfg vfs.CrashCloneCfg) *fsys.Mem {
	t.Helper()
	d := crashAt(fs, n, newWorkload(1), cfg)
	node, err := nodetest.Open(t.Context(), node.Config{FS: d.Mem})
	require.NoError(t, err)
	conn, err := pgx.Connect(t.Context(), nodetest.ConnString(node))
	require.NoError(t, err)
	d.armed.Store(true)
	_, err = conn.Exec(t.Context(), replaceIt)
	d.Inject(nil)
	require.NoError(t, err)
	require.NoError(t, conn.Close(context.WithoutCancel(t.Context())))
	require.NoError(t, node.Close())
	select {
	case <-d.crashed:
		return d.after
	default:
		return d.CrashClone(vfs.CrashCloneCfg{})
	}
}

func TestAResultIsReplacedWhollyOrNotAtAllByPowerLoss(t *testing.T) {
	seeds := testenv.Int(t, "MILLRACE_CRASH_SEEDS", 5)
	first := int64(testenv.Int(t, "MILLRACE_SEED", 1))
	base := replaceable(t)
	for seed := first; seed < first+int64(seeds); seed++ {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			rng := rand.New(rand.NewSource(seed))
			cfg := vfs.CrashCloneCfg{UnsyncedDataPercent: 50 * rng.Intn(3) % 101, RNG: randv2.New(randv2.NewPCG(uint64(seed), 1))}
			left := replaceUntil(t, base.CrashClone(vfs.CrashCloneCfg{}), 1+rng.Int63n(maxReplaceOperations), cfg)
			withNode(t, left, func(_ *node.Node, conn *pgx.Conn) { checkReplaced(t, conn) })
		})
	}
}

// checkReplaced checks that t has the rows of the one query or of the other, that above follows, and that t can be replaced again.
func checkReplaced(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	state := func() (groups, rows, above int64) {
		t.Helper()
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT count(*), sum(n)::bigint FROM t").Scan(&groups, &rows))
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT n FROM above WHERE groups = 20").Scan(&above))
		return groups, rows, above
	}
	groups, rows, above := state()
	require.Equal(t, int64(20), groups)
	require.Contains(t, []int64{400, 300}, rows, "the rows of the old query, or of the new one")
	require.Equal(t, rows, above)
	for _, q := range []string{"INSERT INTO s VALUES (3, 1000)", replaceIt} {
		_, err := conn.Exec(t.Context(), q)
		require.NoError(t, err, q)
	}
	_, rows, above = state()
	require.Equal(t, int64(301), rows)
	require.Equal(t, rows, above)
	_, err := conn.Exec(t.Context(), "DROP STREAM s CASCADE")
	require.NoError(t, err)
	var left int64
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT count(*) FROM millrace.queries").Scan(&left))
	require.Zero(t, left)
	var topics int64
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT count(*) FROM millrace.topics WHERE name LIKE '\\_millrace\\_replacement%'").Scan(&topics))
	require.Zero(t, topics)
}
