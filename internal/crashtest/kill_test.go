package crashtest

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// startLimit bounds how long a node may take to be ready again.
const startLimit = 30 * time.Second

func envInt(t *testing.T, name string, def int) int {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		return def
	}
	n, err := strconv.Atoi(v)
	require.NoError(t, err, name)
	return n
}

// process is a node in a process of its own.
type process struct {
	cmd  *exec.Cmd
	addr string
}

// build compiles the server.
func build(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "millrace")
	cmd := exec.Command("go", "build", "-o", bin, "github.com/millracedb/millrace/cmd/millrace")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	return bin
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

// start runs the server and waits for its ready line.
func start(t *testing.T, bin, dir string) *process {
	t.Helper()
	p := &process{addr: freeAddr(t)}
	p.cmd = exec.Command(bin, "serve", "--data", dir, "--pg", p.addr, "--http", "off", "--raft", "off", "--kafka", "off")
	stderr, err := p.cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	ready := make(chan error, 1)
	go func() {
		sc := bufio.NewScanner(stderr)
		var lines []string
		told := false
		for sc.Scan() {
			lines = append(lines, sc.Text())
			if !told && strings.Contains(sc.Text(), "msg=ready") {
				told = true
				ready <- nil
			}
		}
		if !told {
			ready <- fmt.Errorf("the server ended before it was ready:\n%s", strings.Join(lines, "\n"))
		}
	}()
	timer := time.NewTimer(startLimit)
	defer timer.Stop()
	select {
	case err := <-ready:
		require.NoError(t, err)
	case <-timer.C:
		p.kill()
		t.Fatal("the server is not ready in time")
	}
	return p
}

// kill is kill -9.
func (p *process) kill() {
	_ = p.cmd.Process.Signal(syscall.SIGKILL)
	_ = p.cmd.Wait()
}

func (p *process) dial(ctx context.Context) (*pgx.Conn, error) {
	return pgx.Connect(ctx, fmt.Sprintf("postgres://millrace@%s/millrace?sslmode=disable", p.addr))
}

func TestNothingAcknowledgedIsLostOrDoubledByKill9(t *testing.T) {
	rounds := envInt(t, "MILLRACE_KILL_ROUNDS", 3)
	seed := uint64(envInt(t, "MILLRACE_SEED", int(rand.Uint32())))
	t.Logf("seed %d, %d rounds: to repeat, MILLRACE_SEED=%d", seed, rounds, seed)
	bin, dir := build(t), t.TempDir()
	w := newWorkload(seed)
	ctx := t.Context()

	p := start(t, bin, dir)
	conn, err := p.dial(ctx)
	require.NoError(t, err)
	create(ctx, t, conn)
	require.NoError(t, conn.Close(ctx))
	for round := range rounds {
		running, cancel := context.WithTimeout(ctx, startLimit)
		moment := time.AfterFunc(time.Duration(20+w.rand.IntN(700))*time.Millisecond, p.kill)
		err := w.run(running, p.dial)
		moment.Stop()
		cancel()
		require.NoError(t, err)
		p.kill()

		p = start(t, bin, dir)
		conn, err := p.dial(ctx)
		require.NoError(t, err)
		w.check(ctx, t, conn)
		require.NoError(t, conn.Close(ctx))
		t.Logf("round %d: %d rows in events, %d copied", round, len(w.mu.acked), len(w.mu.copied))
	}
	// An orderly stop loses nothing either, and says so by its status.
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, p.cmd.Wait())
}
