package crashtest

import (
	"context"
	"fmt"
	"math/rand"
	randv2 "math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/node"
	"github.com/millracedb/millrace/internal/node/nodetest"
	"github.com/millracedb/millrace/internal/testenv"
)

const (
	// crashRounds is how often one directory crashes.
	crashRounds = 3
	// maxOperations bounds the moment of a crash, counted in calls that change files.
	maxOperations = 4000
	// roundLimit ends a round whose moment does not come.
	roundLimit = 120 * time.Second
)

// disk is a file system that loses power once.
type disk struct {
	*fsys.Mem
	left    atomic.Int64 // calls that change files until the crash, once armed
	armed   atomic.Bool
	crashed chan struct{} // closed once after holds what is left
	after   *fsys.Mem
}

// crashAt makes fs lose power, once armed, before the nth call that changes a file. Of what was not synced survives what cfg says. Nothing is
// told to clients of w while the copy is made, so it has the effects of all that they were told before.
func crashAt(fs *fsys.Mem, n int64, w *workload, cfg vfs.CrashCloneCfg) *disk {
	d := &disk{Mem: fs, crashed: make(chan struct{})}
	d.left.Store(n)
	fs.Inject(func(op fsys.Op, _ string) error {
		switch op {
		case fsys.OpCreate, fsys.OpWrite, fsys.OpSync, fsys.OpSyncDir, fsys.OpSyncFS, fsys.OpRename, fsys.OpRemove, fsys.OpTruncate:
			if d.armed.Load() && d.left.Add(-1) == 0 {
				d.crash(w, cfg)
			}
		}
		return nil
	})
	return d
}

func (d *disk) crash(w *workload, cfg vfs.CrashCloneCfg) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.crashed = true
	d.after = d.CrashClone(cfg)
	close(d.crashed)
}

// life runs a node on the files of d until they crash, and returns what is left of them. In the first life tables and queries are made
// before a crash can come; in others it may come while the node starts.
func (d *disk) life(w *workload, t reporter, first bool) *fsys.Mem {
	ctx, cancel := context.WithTimeout(context.Background(), roundLimit)
	defer cancel()
	go func() {
		select {
		case <-d.crashed:
			cancel()
		case <-ctx.Done():
		}
	}()
	d.armed.Store(!first)
	n, err := nodetest.Open(context.WithoutCancel(ctx), node.Config{FS: d.Mem})
	require.NoError(t, err)
	defer n.Close() // where a check does not let it come to the end
	dial := func(ctx context.Context) (*pgx.Conn, error) { return pgx.Connect(ctx, nodetest.ConnString(n)) }
	if first {
		conn, err := dial(context.Background())
		require.NoError(t, err)
		create(context.Background(), t, conn)
		require.NoError(t, conn.Close(context.Background()))
		d.armed.Store(true)
	}
	conns, err := connectAll(ctx, dial)
	if ctx.Err() == nil {
		require.NoError(t, err)
	}
	w.write(ctx, conns)
	d.Inject(nil)
	require.NoError(t, n.Close())
	select {
	case <-d.crashed:
		return d.after
	default:
		return d.CrashClone(vfs.CrashCloneCfg{})
	}
}

// crashes is one seed: a directory that loses power again and again, each time checked by the next node on what is left. skip says which
// syncs do nothing, survives how many percent of what was not synced are left, one of these each time.
func crashes(t reporter, seed int64, survives []int, skip func(op fsys.Op, path string) bool) *workload {
	rng := rand.New(rand.NewSource(seed))
	w := newWorkload(uint64(seed))
	fs := fsys.NewMem()
	for round := range crashRounds {
		fs.SkipSyncs(skip)
		d := crashAt(fs, 1+rng.Int63n(1+rng.Int63n(maxOperations)), w, vfs.CrashCloneCfg{
			UnsyncedDataPercent: survives[rng.Intn(len(survives))], RNG: randv2.New(randv2.NewPCG(uint64(seed), rng.Uint64())),
		})
		fs = d.life(w, t, round == 0)
		fs = checkAfter(t, fs, w)
	}
	return w
}

// checkAfter opens a node on what a crash left, and checks it; the node then stops in order.
func checkAfter(t reporter, fs *fsys.Mem, w *workload) *fsys.Mem {
	w.mu.Lock()
	w.mu.crashed = false
	w.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	n, err := nodetest.Open(ctx, node.Config{FS: fs})
	require.NoError(t, err, "opening after the crash")
	defer func() { require.NoError(t, n.Close()) }()
	conn, err := pgx.Connect(ctx, nodetest.ConnString(n))
	require.NoError(t, err)
	defer conn.Close(context.WithoutCancel(ctx))
	w.check(ctx, t, conn)
	return fs
}

func TestNothingAcknowledgedIsLostOrDoubledByPowerLoss(t *testing.T) {
	seeds := testenv.Int(t, "MILLRACE_CRASH_SEEDS", 5)
	first := int64(testenv.Int(t, "MILLRACE_SEED", 1))
	for seed := first; seed < first+int64(seeds); seed++ {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Logf("to repeat: MILLRACE_SEED=%d MILLRACE_CRASH_SEEDS=1 go test -run PowerLoss ./internal/crashtest", seed)
			w := crashes(t, seed, []int{0, 50, 90}, nil)
			t.Logf("%d rows in events, %d copied", len(w.mu.acked), len(w.mu.copied))
		})
	}
}
