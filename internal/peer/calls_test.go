package peer

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
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

// answering opens the port of node 2, whose calls serve answers.
func answering(t *testing.T, serve Serve) *Port {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := New(Options{Hello: hello(2), Listener: l, Clock: clock.Real, Logger: slog.New(slog.DiscardHandler)})
	p.HandleCalls(serve)
	p.Start()
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

// calling returns the calls of node 1, whose connections go through wrap.
func calling(t *testing.T, wrap func(net.Conn) net.Conn) *Caller {
	t.Helper()
	p := start(t, hello(1))
	dial := p.opts.Dial
	p.opts.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
		conn, err := dial(ctx, addr)
		if err != nil {
			return nil, err
		}
		return wrap(conn), nil
	}
	c := NewCaller(p)
	t.Cleanup(c.Close)
	return c
}

func envelope(data string) *kmsg.EnvelopeRequest {
	req := kmsg.NewPtrEnvelopeRequest()
	req.RequestData = []byte(data)
	return req
}

// counted counts what is read, and tells when it has come to an amount.
type counted struct {
	net.Conn
	bytes, at int
	then      func()
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.bytes += n; c.then != nil && c.bytes == c.at {
		c.then()
	}
	return n, err
}

func TestACallWhoseTimeEndsAsItsAnswerComesLeavesTheNextOneAConnection(t *testing.T) {
	b := answering(t, func(_ context.Context, _ Hello, req kmsg.Request) (kmsg.Response, error) {
		resp := req.ResponseKind().(*kmsg.EnvelopeResponse)
		resp.ResponseData = req.(*kmsg.EnvelopeRequest).RequestData
		return resp, nil
	})
	var conns []*counted
	c := calling(t, func(conn net.Conn) net.Conn {
		conns = append(conns, &counted{Conn: conn})
		return conns[len(conns)-1]
	})
	call := func(ctx context.Context, data string) {
		t.Helper()
		resp, err := c.Call(ctx, b.Addr(), envelope(data))
		require.NoError(t, err)
		require.Equal(t, data, string(resp.(*kmsg.EnvelopeResponse).ResponseData))
	}
	call(t.Context(), "1")
	conn := conns[0]
	before := conn.bytes
	call(t.Context(), "2")
	ctx, cancel := context.WithCancel(t.Context())
	conn.at, conn.then = conn.bytes+conn.bytes-before, cancel

	call(ctx, "3")
	require.Error(t, ctx.Err())
	call(t.Context(), "4")
	require.Len(t, conns, 2)
}

func TestConnectionsThatAreIdleHoldNothingOfTheLargeFramesThatTheyHaveCarried(t *testing.T) {
	const conns, size = 8, 4 << 20
	var there sync.WaitGroup // so that each request has a connection of its own
	there.Add(conns)
	data := make([]byte, size)
	b := answering(t, func(_ context.Context, _ Hello, req kmsg.Request) (kmsg.Response, error) {
		there.Done()
		there.Wait()
		resp := req.ResponseKind().(*kmsg.EnvelopeResponse)
		resp.ResponseData = data
		return resp, nil
	})
	c := calling(t, func(conn net.Conn) net.Conn { return conn })
	before := heap()
	var calls sync.WaitGroup
	for range conns {
		calls.Go(func() {
			_, err := c.Call(t.Context(), b.Addr(), envelope(""))
			assert.NoError(t, err)
		})
	}
	calls.Wait()
	c.mu.Lock()
	require.Len(t, c.mu.idle[b.Addr()], conns)
	c.mu.Unlock()
	require.Less(t, heap()-before, int64(conns*size/2))
}

// heap is what is in use once all that can be is collected: pools keep things for two collections.
func heap() int64 {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
