package lifeline

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/clock"
)

// childEnv tells a process of this test that it is the one to be killed, and to whom it is to hold a life line.
const childEnv = "MILLRACE_LIFELINE_CHILD"

// child listens, says where, holds a life line and waits for its end.
func child(voter string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	h := Hold(HolderOptions{
		Epoch: epoch, OnLost: func() {}, Clock: clock.Real,
		Dial: func(ctx context.Context, addr string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", addr)
		},
	})
	h.Update([]Voter{{ID: "v", Addr: voter}})
	fmt.Println(l.Addr())
	for {
		if _, err := l.Accept(); err != nil {
			panic(err)
		}
	}
}

// TestTheKernelTellsOfAProcessThatWasKilled is what the simulated network must be like.
func TestTheKernelTellsOfAProcessThatWasKilled(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+l.Addr().String())
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	port, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)

	died := make(chan struct{})
	w := NewWitness(WitnessOptions{
		Dial: func(ctx context.Context, _ int32) error {
			var d net.Dialer
			c, err := d.DialContext(ctx, "tcp", strings.TrimSpace(port))
			if err == nil {
				err = c.Close()
			}
			return err
		},
		Counts: func(int32, uint64) bool { return true }, OnDeath: func() { close(died) }, Clock: clock.Real, Logger: slog.New(slog.DiscardHandler),
	})
	conn, err := l.Accept()
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- w.Take(context.Background(), conn, first) }()
	require.Eventually(t, func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.mu.conns[first] != nil
	}, testLimit, DialEvery)
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait() // it was killed
	<-died
	_, dead := w.Dead(first, epoch)
	require.True(t, dead)
	w.Close()
	require.NoError(t, <-done)
}
