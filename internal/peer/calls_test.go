package peer

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/clock"
)

func TestANodeIsUnreachableFromWhenNobodyListensThereUntilSomebodyDoes(t *testing.T) {
	b := start(t, hello(2))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	dead := false
	a := New(Options{
		Hello: hello(1), Listener: l, Clock: clock.Real, Logger: slog.New(slog.DiscardHandler),
		Dial: func(ctx context.Context, addr string) (net.Conn, error) {
			if dead {
				return nil, errors.New("refused")
			}
			var d net.Dialer
			return d.DialContext(ctx, "tcp", addr)
		},
	})
	a.Start()
	t.Cleanup(func() { require.NoError(t, a.Close()) })
	c := NewCaller(a)
	t.Cleanup(c.Close)
	connect := func(ctx context.Context) error {
		conn, err := c.take(ctx, b.Addr())
		if err == nil {
			require.NoError(t, conn.Close())
		}
		return err
	}

	require.NoError(t, connect(t.Context()))
	require.False(t, c.Unreachable(b.Addr()))
	dead = true
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.Error(t, connect(ended))
	require.False(t, c.Unreachable(b.Addr()), "who gives up knows nothing")
	_, err = c.Call(t.Context(), b.Addr(), kmsg.NewPtrEnvelopeRequest())
	require.ErrorIs(t, err, ErrUnreachable)
	require.True(t, c.Unreachable(b.Addr()))
	dead = false
	require.NoError(t, connect(t.Context()))
	require.False(t, c.Unreachable(b.Addr()))
}
