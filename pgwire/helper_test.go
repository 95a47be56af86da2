package pgwire

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/millracedb/millrace/internal/clock"
)

// testTimeout bounds what a test waits for; reaching it is a failure.
const testTimeout = 2 * time.Minute

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func testConfig(b Backend) Config {
	return Config{Backend: b, Clock: clock.Real, Rand: rand.Reader, Logger: slog.New(slog.DiscardHandler)}
}

// serve starts a server with config on a loopback port; the test's end closes it.
func serve(t testing.TB, config Config) (*Server, string) {
	t.Helper()
	s, err := New(config)
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		require.NoError(t, s.Close())
		require.ErrorIs(t, <-done, ErrServerClosed)
		require.Zero(t, s.Connections())
	})
	return s, l.Addr().String()
}

// serveFake starts a server over a new fake backend.
func serveFake(t testing.TB) (*fakeBackend, string) {
	t.Helper()
	b := newFakeBackend()
	_, addr := serve(t, testConfig(b))
	return b, addr
}

// rawClient speaks the protocol message by message.
type rawClient struct {
	t  testing.TB
	nc net.Conn
	*pgproto3.Frontend
	pid int32
	key []byte
}

func dial(t testing.TB, addr string) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	require.NoError(t, nc.SetDeadline(clock.Real.Now().Add(testTimeout)))
	t.Cleanup(func() { nc.Close() })
	return nc
}

func newRawClient(t testing.TB, nc net.Conn) *rawClient {
	return &rawClient{t: t, nc: nc, Frontend: pgproto3.NewFrontend(nc, nc)}
}

// connectRaw connects and starts a session, up to the first ReadyForQuery.
func connectRaw(t testing.TB, addr string) *rawClient {
	t.Helper()
	c := newRawClient(t, dial(t, addr))
	c.startup(map[string]string{"user": "alice"}, pgproto3.ProtocolVersion30)
	c.until("ReadyForQuery")
	return c
}

func (c *rawClient) startup(params map[string]string, version uint32) {
	c.t.Helper()
	c.sendAll(&pgproto3.StartupMessage{ProtocolVersion: version, Parameters: params})
}

func (c *rawClient) sendAll(messages ...pgproto3.FrontendMessage) {
	c.t.Helper()
	for _, m := range messages {
		c.Send(m)
	}
	require.NoError(c.t, c.Flush())
}

// until returns the messages up to the first of type name, each as one line.
func (c *rawClient) until(name string) []string {
	c.t.Helper()
	var lines []string
	for {
		m, err := c.Receive()
		require.NoError(c.t, err, "after %q", lines)
		if k, ok := m.(*pgproto3.BackendKeyData); ok {
			c.pid, c.key = int32(k.ProcessID), append([]byte(nil), k.SecretKey...)
		}
		line := render(m)
		lines = append(lines, line)
		if typeName(m) == name {
			return lines
		}
	}
}

func (c *rawClient) query(sql string) []string {
	c.t.Helper()
	c.sendAll(&pgproto3.Query{String: sql})
	return c.until("ReadyForQuery")
}

// cancel sends a CancelRequest and waits until the server has dealt with it.
func (c *rawClient) cancel(addr string, key []byte) {
	c.t.Helper()
	nc := dial(c.t, addr)
	p, err := (&pgproto3.CancelRequest{ProcessID: uint32(c.pid), SecretKey: key}).Encode(nil)
	require.NoError(c.t, err)
	_, err = nc.Write(p)
	require.NoError(c.t, err)
	_, err = nc.Read(make([]byte, 1))
	require.ErrorIs(c.t, err, io.EOF)
}

func receive[T any](t testing.TB, ch <-chan T) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	select {
	case v := <-ch:
		return v
	case <-ctx.Done():
		require.FailNow(t, "nothing came")
		panic("unreachable")
	}
}
