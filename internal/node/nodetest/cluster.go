package nodetest

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/node"
	"github.com/millracedb/millrace/internal/peer"
)

// openLimit is how long nodes have to form a cluster or to come back into it.
const openLimit = 3 * time.Minute

// Member is a node of a cluster under test. Its file system outlives the node, so that it can be started again.
type Member struct {
	ID   int32
	Addr string // of its node port
	FS   *fsys.Mem
	*node.Node

	// Join is the node port of a node whose cluster this one joins; empty for one of those that StartCluster has formed.
	Join string
	// TLS is what it shows other nodes; nil for nothing.
	TLS *peer.TLS
	// Rack is where it says it is.
	Rack string
	// HTTP is where health and metrics are served; empty for nowhere.
	HTTP string
	// Logger takes its log; nil: stderr if MILLRACE_LOG is set, else nowhere.
	Logger *slog.Logger
	// Release and FeatureMax are those of an older program; empty for this one's.
	Release    string
	FeatureMax uint32

	tb    testing.TB
	peers []node.BootstrapNode
	net   *network
}

// NewMember makes a node that does not run yet, on a port of loopback, blank. It joins the cluster of the node at join; with an empty join it is alone.
func NewMember(tb testing.TB, id int32, join string) *Member {
	tb.Helper()
	m := &Member{ID: id, Addr: FreeAddr(tb), FS: fsys.NewMem(), Join: join, tb: tb}
	tb.Cleanup(m.Stop)
	return m
}

// StartCluster forms a cluster of n nodes on real ports of loopback, files in memory, and closes it with the test. Each node is prepared before any starts.
func StartCluster(tb testing.TB, n int, prepare ...func(*Member)) []*Member {
	tb.Helper()
	members := make([]*Member, n)
	var peers []node.BootstrapNode
	for i := range members {
		m := NewMember(tb, int32(i+1), "")
		members[i] = m
		for _, p := range prepare {
			p(m)
		}
		peers = append(peers, node.BootstrapNode{ID: m.ID, Addr: m.Addr})
	}
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i, m := range members {
		m.peers = peers
		wg.Go(func() { errs[i] = m.TryStart() })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		tb.Fatalf("forming a cluster: %v", err)
	}
	return members
}

// Start starts the node on its files and waits until it serves.
func (m *Member) Start() {
	m.tb.Helper()
	if err := m.TryStart(); err != nil {
		m.tb.Errorf("starting node %d: %v", m.ID, err)
	}
}

// TryStart is Start for a node that may be refused.
func (m *Member) TryStart() error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(m.tb.Context()), openLimit)
	defer cancel()
	if m.net == nil {
		m.net = &network{}
	}
	logger := m.Logger
	switch {
	case logger != nil:
	case os.Getenv("MILLRACE_LOG") == "":
		logger = slog.New(slog.DiscardHandler)
	default:
		logger = slog.New(slog.NewTextHandler(os.Stderr, nil)).With("n", m.ID)
	}
	n, err := Open(ctx, node.Config{
		NodeID: m.ID, NodeTLS: m.TLS, Rack: m.Rack, Release: m.Release, FeatureMax: m.FeatureMax, FS: m.FS, Raft: m.Addr, BootstrapNodes: m.peers, JoinAddr: m.Join, Listen: m.net.listen, Dial: m.net.dial, Kafka: "127.0.0.1:0", HTTP: m.HTTP, Logger: logger,
	})
	if err != nil {
		return err
	}
	m.Node = n
	return nil
}

// Stop stops the node in order; a node that does not run is left alone.
func (m *Member) Stop() {
	m.tb.Helper()
	if m.Node == nil {
		return
	}
	if err := m.Close(); err != nil {
		m.tb.Errorf("stopping node %d: %v", m.ID, err)
	}
	m.Node, m.net = nil, nil
}

// Kill takes the node from the network between one byte and the next, and leaves on its files what was synced: a power loss.
func (m *Member) Kill() {
	m.tb.Helper()
	m.net.end()
	m.FS = m.FS.CrashClone(vfs.CrashCloneCfg{})
	_ = m.Close() // nobody hears of it any more, and it cannot end in order
	m.Node, m.net = nil, nil
}

// Wipe gives the node an empty disk.
func (m *Member) Wipe() { m.FS = fsys.NewMem() }

// CutOff takes the node off the network, both ways, as long as it runs.
func (m *Member) CutOff() { m.net.Cut() }

// Reconnect ends CutOff.
func (m *Member) Reconnect() { m.net.heal() }

// Silence has nothing pass between two nodes, without an end to their connections; or lets it pass again, on new ones.
func (m *Member) Silence(other *Member, silent bool) {
	m.net.silence(other.Addr, silent)
	other.net.silence(m.Addr, silent)
}

// network is a node's way to others, that can be cut.
type network struct {
	mu    sync.Mutex
	cut   bool
	conns map[net.Conn]struct{}
	// listeners are all that were opened.
	listeners []net.Listener
	// silent are addresses to which nothing passes.
	silent map[string]bool
}

var errCut = errors.New("the network is cut")

func (n *network) listen(addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	return n.accepts(l), nil
}

func (n *network) accepts(l net.Listener) net.Listener {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.listeners = append(n.listeners, l)
	return &cutListener{l, n}
}

func (n *network) dial(ctx context.Context, addr string) (net.Conn, error) {
	var d net.Dialer
	if n.swallows(addr) {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return n.track(&dialled{Conn: c, n: n, to: addr, closed: make(chan struct{})})
}

func (n *network) silence(addr string, silent bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.silent == nil {
		n.silent = map[string]bool{}
	}
	n.silent[addr] = silent
}

func (n *network) swallows(addr string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.silent[addr]
}

// dialled is a connection to another node. Once something of it was swallowed the rest is too.
type dialled struct {
	net.Conn
	n    *network
	to   string
	lost atomic.Bool

	once   sync.Once
	closed chan struct{}
}

func (c *dialled) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

func (c *dialled) swallows() bool {
	if c.n.swallows(c.to) {
		c.lost.Store(true)
	}
	return c.lost.Load()
}

func (c *dialled) Read(p []byte) (int, error) {
	for {
		n, err := c.Conn.Read(p)
		if !c.swallows() || errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		if err != nil {
			<-c.closed // the end is swallowed too
		}
	}
}

func (c *dialled) Write(p []byte) (int, error) {
	if c.swallows() {
		return len(p), nil
	}
	return c.Conn.Write(p)
}

func (n *network) track(c net.Conn) (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cut {
		reset(c)
		return nil, errCut
	}
	if n.conns == nil {
		n.conns = map[net.Conn]struct{}{}
	}
	n.conns[c] = struct{}{}
	return c, nil
}

// Cut breaks all connections and lets no new ones come.
func (n *network) Cut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut = true
	for c := range n.conns {
		_ = c.Close() // as the kernel does for a process that dies
	}
	n.conns = nil
}

// reset refuses a connection. Who has just connected and reads an end of the stream takes that for an answer: kgo asks whether it should have used TLS, and does not try again.
func reset(c net.Conn) {
	tcp, ok := c.(*net.TCPConn)
	if d, dialled := c.(*dialled); dialled {
		tcp, ok = d.Conn.(*net.TCPConn)
	}
	if ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

// end is Cut, and has new connections refused, as the kernel does when a process has ended.
func (n *network) end() {
	n.mu.Lock()
	for _, l := range n.listeners {
		_ = l.Close() // nobody accepts from it any more
	}
	n.mu.Unlock()
	n.Cut()
}

func (n *network) heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut = false
}

type cutListener struct {
	net.Listener
	n *network
}

func (l *cutListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c, err := l.n.track(c); err == nil {
			return c, nil
		}
	}
}
