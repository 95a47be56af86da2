package peer

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/millracedb/millrace/internal/clock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func hello(node int32) Hello {
	return Hello{ClusterID: "c1", NodeID: node, DirectoryID: string('a' + node), Release: "0.1.0", FeatureMin: 1, FeatureMax: 3}
}

// start opens a port on loopback that answers Kafka streams by an echo.
func start(t *testing.T, h Hello) *Port {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := New(Options{
		Hello: h, Listener: l, Clock: clock.Real, Logger: slog.New(slog.DiscardHandler),
		Dial: func(ctx context.Context, addr string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", addr)
		},
	})
	p.Handle(StreamKafka, func(_ context.Context, c net.Conn, from Hello) {
		defer func() { _ = c.Close() }()
		_, _ = c.Write([]byte{byte(from.NodeID)})
		_, _ = io.Copy(c, c)
	})
	p.Start()
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

func TestNodesGreetAndOpenAStream(t *testing.T) {
	a, b := start(t, hello(1)), start(t, hello(2))
	c, from, err := a.Dial(t.Context(), b.Addr(), StreamKafka)
	require.NoError(t, err)
	require.Equal(t, hello(2), from)
	_, err = c.Write([]byte("x"))
	require.NoError(t, err)
	got := make([]byte, 2)
	_, err = io.ReadFull(c, got)
	require.NoError(t, err)
	require.Equal(t, []byte{1, 'x'}, got)
	require.NoError(t, c.Close())
}

func TestStrangersAreRefusedWithTheReason(t *testing.T) {
	b := start(t, hello(2))
	for name, c := range map[string]struct {
		change func(h *Hello)
		why    string
	}{
		"another cluster":         {func(h *Hello) { h.ClusterID = "c2" }, `cluster "c2", not "c1"`},
		"the same node id":        {func(h *Hello) { h.NodeID = 2 }, "two nodes have the id 2"},
		"a release too old":       {func(h *Hello) { h.FeatureMin, h.FeatureMax = 0, 0 }, "knows 0 at most"},
		"a release too new":       {func(h *Hello) { h.FeatureMin, h.FeatureMax = 4, 9 }, "needs feature level 4"},
		"a node without identity": {func(h *Hello) { h.DirectoryID = "" }, "names no node"},
	} {
		t.Run(name, func(t *testing.T) {
			h := hello(1)
			c.change(&h)
			_, _, err := start(t, h).Dial(t.Context(), b.Addr(), StreamKafka)
			require.ErrorIs(t, err, ErrRefused)
			require.ErrorContains(t, err, c.why)
		})
	}
}

// TestANodeHearsThatItsClusterHasOutgrownIt from those that it asks, if they are of its cluster; not from one whose release is too new for the cluster.
func TestANodeHearsThatItsClusterHasOutgrownIt(t *testing.T) {
	for name, c := range map[string]struct {
		change func(h *Hello)
		hears  bool
	}{
		"the cluster was raised": {func(h *Hello) { h.FeatureMin, h.FeatureMax, h.Level = 4, 4, 4 }, true},
		"another cluster":        {func(h *Hello) { h.FeatureMin, h.FeatureMax, h.Level, h.ClusterID = 4, 4, 4, "c2" }, false},
		"a release too new":      {func(h *Hello) { h.FeatureMin, h.FeatureMax, h.Level = 4, 5, 3 }, false},
	} {
		t.Run(name, func(t *testing.T) {
			h := hello(2)
			c.change(&h)
			a, b := start(t, hello(1)), start(t, h)
			var heard error
			a.opts.OnOutgrown = func(err error) { heard = err }
			_, err := a.Probe(t.Context(), b.Addr())
			require.ErrorIs(t, err, ErrRefused)
			require.Equal(t, c.hears, heard != nil)
			if c.hears {
				require.ErrorContains(t, heard, "start release 0.1.0 or newer here")
			}
		})
	}
}

func TestGarbageIsHungUpOnWithoutAnAnswer(t *testing.T) {
	b := start(t, hello(2))
	for name, bytes := range map[string][]byte{
		"http":              []byte("GET / HTTP/1.1\r\n\r\n"),
		"a kafka request":   {0, 0, 0, 20, 0, 18, 0, 3, 0, 0, 0, 1},
		"a huge hello":      append([]byte(magic), frameVersion, 0xff, 0xff),
		"a malformed hello": append([]byte(magic), frameVersion, 0, 2, 0xff, 0xff),
	} {
		t.Run(name, func(t *testing.T) {
			c, err := net.Dial("tcp", b.Addr())
			require.NoError(t, err)
			_, err = c.Write(bytes)
			require.NoError(t, err)
			got, _ := io.ReadAll(c) // a reset, for what was not read, is as good as an end
			require.Empty(t, got)
			require.NoError(t, c.Close())
		})
	}
}

func TestAStreamWithoutHandlerIsHungUpOn(t *testing.T) {
	a, b := start(t, hello(1)), start(t, hello(2))
	c, _, err := a.Dial(t.Context(), b.Addr(), StreamSession)
	require.NoError(t, err)
	_, err = c.Read(make([]byte, 1))
	require.Error(t, err)
	require.NoError(t, c.Close())
}

func TestSomethingElseThatListensIsNotANode(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err == nil {
			_, _ = c.Write([]byte("220 mail.example ESMTP\r\n"))
			_ = c.Close()
		}
	}()
	_, _, err = start(t, hello(1)).Dial(t.Context(), l.Addr().String(), StreamRaft)
	require.ErrorIs(t, err, ErrNotMillrace)
	<-done
	require.NoError(t, l.Close())
}

func TestASilentPeerIsGivenUpOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		l := &oneConn{conn: far, closed: make(chan struct{})}
		p := New(Options{Hello: hello(1), Listener: l, Advertise: "n1", Clock: clock.Real, Logger: slog.New(slog.DiscardHandler)})
		p.Start()
		begin := time.Now()
		_, err := near.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF)
		require.Equal(t, HelloTimeout, time.Since(begin))
		require.NoError(t, p.Close())
		require.NoError(t, near.Close())
	})
}

// oneConn is a listener that accepts one connection.
type oneConn struct {
	conn   net.Conn
	closed chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	if c := l.conn; c != nil {
		l.conn = nil
		return c, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}
func (l *oneConn) Close() error   { close(l.closed); return nil }
func (l *oneConn) Addr() net.Addr { return advertised("n1") }

func TestRaftRunsOverThePort(t *testing.T) {
	a, b := start(t, hello(1)), start(t, hello(2))
	member := hello(2).DirectoryID
	ta := raft.NewNetworkTransport(a.Raft(func(string) string { return member }), 1, time.Minute, io.Discard)
	tb := raft.NewNetworkTransport(b.Raft(nil), 1, time.Minute, io.Discard)
	done := make(chan struct{})
	go func() {
		defer close(done)
		rpc := <-tb.Consumer()
		rpc.Respond(&raft.TimeoutNowResponse{}, nil)
	}()
	var resp raft.TimeoutNowResponse
	require.NoError(t, ta.TimeoutNow("2", raft.ServerAddress(b.Addr()), &raft.TimeoutNowRequest{}, &resp))
	<-done
	ta.CloseStreams()
	for _, member = range []string{"of the node that died there", ""} {
		require.ErrorIs(t, ta.TimeoutNow("2", raft.ServerAddress(b.Addr()), &raft.TimeoutNowRequest{}, &resp), ErrRefused, "whose raft would answer in its name")
	}
	require.NoError(t, ta.Close())
	require.NoError(t, tb.Close())
}

func TestCloseEndsOpenStreams(t *testing.T) {
	a, b := start(t, hello(1)), start(t, hello(2))
	c, _, err := a.Dial(t.Context(), b.Addr(), StreamKafka)
	require.NoError(t, err)
	require.NoError(t, b.Close())
	_, err = io.ReadAll(c)
	_ = err // an end or a reset, as it comes
	require.NoError(t, a.Close())
	_, _, err = a.Dial(t.Context(), b.Addr(), StreamKafka)
	require.Error(t, err)
}

func FuzzHello(f *testing.F) {
	h := hello(1)
	f.Add(h.encode(""))
	f.Add(h.encode("no"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, refusal, err := readHello(bytes.NewReader(b))
		if err != nil {
			return
		}
		if len(got.encode(refusal)) > headLen+maxHello {
			return // fields given in a longer form than ours
		}
		again, refusal2, err := readHello(bytes.NewReader(got.encode(refusal)))
		require.NoError(t, err)
		require.Equal(t, got, again)
		require.Equal(t, refusal, refusal2)
	})
}
