package crashtest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/node/nodetest"
	"github.com/millracedb/millrace/internal/testenv"
)

// startLimit bounds how long clients write to a node before it is killed for good.
const startLimit = 120 * time.Second

// process is a node in a process of its own.
type process struct {
	*nodetest.Process
	addr string
}

// start runs the server and waits for its ready line.
func start(t *testing.T, bin, dir string) *process {
	t.Helper()
	addr := nodetest.FreeAddr(t)
	return &process{nodetest.StartProcess(t, bin, "--data", dir, "--pg", addr, "--http", "off", "--raft", "off", "--kafka", "off"), addr}
}

func (p *process) dial(ctx context.Context) (*pgx.Conn, error) {
	return pgx.Connect(ctx, fmt.Sprintf("postgres://millrace@%s/millrace?sslmode=disable", p.addr))
}

func TestNothingAcknowledgedIsLostOrDoubledByKill9(t *testing.T) {
	rounds := testenv.Int(t, "MILLRACE_KILL_ROUNDS", 3)
	seed := uint64(testenv.Int(t, "MILLRACE_SEED", 1))
	t.Logf("seed %d, %d rounds: to repeat, MILLRACE_SEED=%d", seed, rounds, seed)
	bin, dir := nodetest.Build(t), t.TempDir()
	w := newWorkload(seed)
	ctx := t.Context()

	p := start(t, bin, dir)
	conn, err := p.dial(ctx)
	require.NoError(t, err)
	create(ctx, t, conn)
	require.NoError(t, conn.Close(ctx))
	for round := range rounds {
		conns, err := connectAll(ctx, p.dial)
		require.NoError(t, err)
		running, cancel := context.WithTimeout(ctx, startLimit)
		moment := time.AfterFunc(time.Duration(20+w.rand.IntN(700))*time.Millisecond, p.Kill)
		w.write(running, conns)
		moment.Stop()
		cancel()
		p.Kill()

		p = start(t, bin, dir)
		conn, err := p.dial(ctx)
		require.NoError(t, err)
		w.check(ctx, t, conn)
		require.NoError(t, conn.Close(ctx))
		t.Logf("round %d: %d rows in events, %d copied", round, len(w.mu.acked), len(w.mu.copied))
	}
	// An orderly stop loses nothing either, and says so by its status.
	require.NoError(t, p.Stop())
}
