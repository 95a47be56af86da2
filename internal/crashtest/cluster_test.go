package crashtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/node/nodetest"
	"github.com/millracedb/millrace/internal/testenv"
)

// aroundKill is how long clients write before a node of a cluster is killed and again after: long enough for another to take over.
const aroundKill = 3500 * time.Millisecond

// checkLimit bounds how long a cluster may take to answer after a node came back.
const checkLimit = 240 * time.Second

// cluster is three nodes in processes of their own.
type cluster struct {
	t     *testing.T
	bin   string
	dir   string
	peers string
	pg    [3]string
	raft  [3]string
	nodes [3]*nodetest.Process
}

func startCluster(t *testing.T) *cluster {
	c := &cluster{t: t, bin: nodetest.Build(t), dir: t.TempDir()}
	var peers []string
	for i := range c.nodes {
		c.pg[i], c.raft[i] = nodetest.FreeAddr(t), nodetest.FreeAddr(t)
		peers = append(peers, fmt.Sprintf("%d@%s", i+1, c.raft[i]))
	}
	c.peers = strings.Join(peers, ",")
	var wg sync.WaitGroup
	for i := range c.nodes {
		wg.Go(func() { c.start(i) })
	}
	wg.Wait()
	t.Cleanup(func() {
		for _, p := range c.nodes {
			if p != nil {
				p.Kill()
			}
		}
	})
	require.False(t, t.Failed(), "the cluster does not form")
	return c
}

func (c *cluster) start(i int) {
	c.nodes[i] = nodetest.StartProcess(c.t, c.bin, "--data", filepath.Join(c.dir, fmt.Sprint(i+1)), "--node-id", fmt.Sprint(i+1), "--bootstrap-nodes", c.peers,
		"--raft", c.raft[i], "--pg", c.pg[i], "--http", "off", "--kafka", "off")
}

func (c *cluster) dial(ctx context.Context, i int) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	return pgx.Connect(ctx, fmt.Sprintf("postgres://millrace@%s/millrace?sslmode=disable", c.pg[i]))
}

// write runs clients against any node until ctx ends; one whose connection breaks looks for another node.
func (c *cluster) write(ctx context.Context, w *workload) {
	var wg sync.WaitGroup
	for i := range 3 {
		r := rand.New(rand.NewPCG(w.rand.Uint64(), uint64(i)))
		wg.Go(func() {
			for ctx.Err() == nil {
				conn, err := c.dial(ctx, r.IntN(len(c.nodes)))
				if err != nil {
					continue
				}
				if i == 2 {
					w.copyIn(ctx, conn, r)
				} else {
					w.insert(ctx, conn, r)
				}
				_ = conn.Close(context.WithoutCancel(ctx))
			}
		})
	}
	wg.Wait()
}

// settled dials a node until its queries have caught up, as a client that comes after a failure does.
func (c *cluster) settled(ctx context.Context, i int) *pgx.Conn {
	ctx, cancel := context.WithTimeout(ctx, checkLimit)
	defer cancel()
	for {
		conn, err := c.dial(ctx, i)
		if err == nil {
			if _, err = conn.Exec(ctx, "SELECT count(*) FROM totals"); err == nil {
				return conn
			}
			_ = conn.Close(ctx)
		}
		require.NoError(c.t, ctx.Err(), "node %d does not answer: %v", i+1, err)
	}
}

func TestThreeNodesLoseNothingWhenOneIsKilled(t *testing.T) {
	rounds := testenv.Int(t, "MILLRACE_CLUSTER_ROUNDS", 1)
	seed := uint64(testenv.Int(t, "MILLRACE_SEED", 1))
	t.Logf("seed %d, %d rounds: to repeat, MILLRACE_SEED=%d", seed, rounds, seed)
	w := newWorkload(seed)
	ctx := t.Context()
	c := startCluster(t)
	conn, err := c.dial(ctx, 1)
	require.NoError(t, err)
	create(ctx, t, conn)
	require.NoError(t, conn.Close(ctx))
	for round := range rounds {
		victim := w.rand.IntN(len(c.nodes))
		running, cancel := context.WithTimeout(ctx, 2*aroundKill)
		moment := time.AfterFunc(time.Duration(w.rand.Int64N(int64(aroundKill))), c.nodes[victim].Kill)
		c.write(running, w)
		moment.Stop()
		cancel()
		c.nodes[victim].Kill()
		c.start(victim)
		conn := c.settled(ctx, w.rand.IntN(len(c.nodes)))
		w.check(ctx, t, conn)
		require.NoError(t, conn.Close(ctx))
		t.Logf("round %d, node %d killed: %d rows in events, %d copied", round, victim+1, len(w.mu.acked), len(w.mu.copied))
	}
}
