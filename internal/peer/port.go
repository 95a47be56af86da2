package peer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/millracedb/millrace/internal/clock"
)

const (
	// HelloTimeout bounds the greeting, from the first byte to the stream type.
	HelloTimeout = 5 * time.Second
	// MaxConns is how many connections a port has, accepted and dialled, when it accepts no more.
	MaxConns = 1024
	// acceptPause is the wait after an Accept that failed, for lack of file descriptors as a rule.
	acceptPause = 100 * time.Millisecond
)

// StreamType says what a connection carries after the greeting.
type StreamType byte

// The stream types. Numbers are for ever.
const (
	StreamRaft  StreamType = 1
	StreamKafka StreamType = 2
	// 3 was a connection of a PostgreSQL client from its first byte on.
	StreamProbe   StreamType = 4 // nothing follows: the greeting was all
	StreamSession StreamType = 5 // a session of a PostgreSQL client of the other node, or a request to cancel what one runs
	StreamLife    StreamType = 6 // nothing, for as long as the process of the node that has opened it lives (package lifeline)
)

// Handler takes over a connection: it must close it, and return soon after ctx ends or the connection is closed under it.
type Handler func(ctx context.Context, conn net.Conn, from Hello)

// Options are what New needs. All but TLS and Advertise must be set.
type Options struct {
	Hello    Hello
	TLS      *TLS
	Listener net.Listener // the port owns it
	// Dial connects to another node's port.
	Dial func(ctx context.Context, addr string) (net.Conn, error)
	// Advertise is the address under which other nodes reach this one; empty is the listener's own.
	Advertise string
	Clock     clock.Clock
	Logger    *slog.Logger
	// Level is the feature level that the cluster works at, as far as the node knows: who does not know it is refused. Default: none.
	Level func() uint32
	// OnOutgrown is told that another node of the cluster works at a level that this one does not know. Default: nobody is.
	OnOutgrown func(error)
}

// Port is a node's port. Register handlers, then Start it.
type Port struct {
	opts     Options
	handlers map[StreamType]Handler
	raft     atomic.Pointer[raftLayer]
	ctx      context.Context
	cancel   context.CancelFunc
	wg       sync.WaitGroup

	mu struct {
		sync.Mutex
		hello  Hello
		conns  map[*portConn]struct{}
		closed bool
	}
}

// SetHello changes what the node says of itself, once it knows which cluster it belongs to.
func (p *Port) SetHello(h Hello) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.hello = h
}

func (p *Port) hello() Hello {
	p.mu.Lock()
	h := p.mu.hello
	p.mu.Unlock()
	if p.opts.Level != nil {
		h.Level = p.opts.Level()
		h.FeatureMin = max(h.FeatureMin, h.Level)
	}
	return h
}

// DirectoryID is what the node says that its data directory is, by which it knows its own port.
func (p *Port) DirectoryID() string { return p.hello().DirectoryID }

// IsCopy reports whether what greets as h is another process on this node's data directory, or on a copy of it.
func (p *Port) IsCopy(h Hello) bool {
	own := p.hello()
	return h.NodeID == own.NodeID && h.DirectoryID == own.DirectoryID && h.Process != "" && h.Process != own.Process
}

// New makes a port that does not listen yet.
func New(opts Options) *Port {
	if opts.Advertise == "" {
		opts.Advertise = opts.Listener.Addr().String()
	}
	p := &Port{opts: opts, handlers: map[StreamType]Handler{}}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.mu.conns = map[*portConn]struct{}{}
	p.mu.hello = opts.Hello
	p.raft.Store(newRaftLayer(p, nil)) // nobody dials through it
	p.handlers[StreamRaft] = func(ctx context.Context, c net.Conn, from Hello) { p.raft.Load().take(ctx, c, from) }
	p.handlers[StreamProbe] = func(_ context.Context, c net.Conn, _ Hello) { _ = c.Close() } // nothing was written since the greeting
	return p
}

// Handle registers the handler of a stream type. Call it before Start.
func (p *Port) Handle(t StreamType, h Handler) { p.handlers[t] = h }

// Addr is the address that other nodes know.
func (p *Port) Addr() string { return p.opts.Advertise }

// Start begins to accept.
func (p *Port) Start() { p.wg.Go(p.accept) }

func (p *Port) accept() {
	for {
		conn, err := p.opts.Listener.Accept()
		if err == nil {
			p.admit(conn)
			continue
		}
		if errors.Is(err, net.ErrClosed) || p.ctx.Err() != nil {
			return
		}
		p.opts.Logger.Error("node port: accepting", "err", err)
		if !clock.Wait(p.ctx, p.opts.Clock, acceptPause) {
			return
		}
	}
}

// portConn is a connection that the port knows until it is closed.
type portConn struct {
	net.Conn          // with TLS, if there is any
	raw      net.Conn // what Close of the port closes: it says nothing and waits for nobody
	p        *Port
}

func (c *portConn) Close() error {
	c.p.mu.Lock()
	delete(c.p.mu.conns, c)
	c.p.mu.Unlock()
	return c.Conn.Close()
}

// track makes conn one that Close closes; nil if the port is closed or, for an accepted one, full.
func (p *Port) track(conn net.Conn, accepted bool) *portConn {
	c := &portConn{Conn: p.secure(conn, accepted), raw: conn, p: p}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.closed || accepted && len(p.mu.conns) >= MaxConns {
		_ = conn.Close() // it has carried nothing
		return nil
	}
	p.mu.conns[c] = struct{}{}
	if accepted {
		p.wg.Add(1) // under the lock, so that Close waits for it
	}
	return c
}

func (p *Port) admit(conn net.Conn) {
	c := p.track(conn, true)
	if c == nil {
		if p.ctx.Err() == nil {
			p.opts.Logger.Warn("node port: too many connections", "from", conn.RemoteAddr(), "limit", MaxConns)
		}
		return
	}
	go func() {
		defer p.wg.Done()
		from, h, err := p.welcome(c)
		if err != nil {
			level := slog.LevelWarn
			if p.ctx.Err() != nil || errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET) {
				level = slog.LevelDebug // it hung up, or this node did: one of them stops
			}
			p.opts.Logger.Log(p.ctx, level, "node port: turned away", "from", conn.RemoteAddr(), "err", err)
			_ = c.Close() // the greeting's error says more
			return
		}
		h(p.ctx, c, from)
	}()
}

// welcome is the accepting side of the greeting.
func (p *Port) welcome(c *portConn) (Hello, Handler, error) {
	if err := c.SetDeadline(p.opts.Clock.Deadline(HelloTimeout)); err != nil {
		return Hello{}, nil, err
	}
	if err := p.handshake(c); err != nil {
		return Hello{}, nil, err
	}
	from, _, err := readHello(c)
	if err != nil {
		return Hello{}, nil, err
	}
	own := p.hello()
	why := cmp.Or(own.objection(from), nameObjection(c, from))
	if _, err := c.Write(own.encode(why)); err != nil {
		return Hello{}, nil, err
	}
	if why != "" {
		return Hello{}, nil, fmt.Errorf("%w: %s", ErrRefused, why)
	}
	var t [1]byte
	if _, err := c.Read(t[:]); err != nil {
		return Hello{}, nil, fmt.Errorf("peer: reading the stream type: %w", err)
	}
	h, ok := p.handlers[StreamType(t[0])]
	if !ok {
		return Hello{}, nil, fmt.Errorf("%w: stream type %d", ErrRefused, t[0])
	}
	if StreamType(t[0]) != StreamProbe && (own.ClusterID == "" || from.ClusterID == "") {
		return Hello{}, nil, fmt.Errorf("%w: node %d", ErrNotYet, from.NodeID)
	}
	return from, h, c.SetDeadline(time.Time{})
}

// Dial connects to the port at addr, greets, and opens a stream. The connection is the caller's to close; the port closes it too when it is
// closed itself.
func (p *Port) Dial(ctx context.Context, addr string, t StreamType) (net.Conn, Hello, error) {
	ctx, cancel := context.WithTimeout(ctx, HelloTimeout)
	defer cancel()
	conn, err := p.opts.Dial(ctx, addr)
	if err != nil {
		return nil, Hello{}, fmt.Errorf("peer: dialling %s: %w", addr, err)
	}
	c := p.track(conn, false)
	if c == nil {
		return nil, Hello{}, net.ErrClosed
	}
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(p.opts.Clock.Deadline(0)) }) // its failure is the connection's, seen below
	from, err := p.greet(c, t)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err == nil {
		err = c.SetDeadline(time.Time{})
	}
	if err != nil {
		_ = c.Close() // the greeting's error says more
		return nil, Hello{}, fmt.Errorf("peer: greeting %s: %w", addr, err)
	}
	return c, from, nil
}

// greet is the dialling side of the greeting.
func (p *Port) greet(c *portConn, t StreamType) (Hello, error) {
	if err := p.handshake(c); err != nil {
		return Hello{}, err
	}
	own := p.hello()
	if _, err := c.Write(own.encode("")); err != nil {
		return Hello{}, err
	}
	from, refusal, err := readHello(c)
	if old := own.outgrown(from); err == nil && old != nil && p.opts.OnOutgrown != nil {
		p.opts.OnOutgrown(old)
	}
	switch {
	case err != nil:
		return Hello{}, tlsError(err)
	case refusal != "":
		return Hello{}, fmt.Errorf("%w by node %d: %s", ErrRefused, from.NodeID, shown(refusal))
	}
	if why := cmp.Or(own.objection(from), nameObjection(c, from)); why != "" {
		return Hello{}, fmt.Errorf("%w: %s", ErrRefused, why)
	}
	if t != StreamProbe && (own.ClusterID == "" || from.ClusterID == "") {
		return Hello{}, fmt.Errorf("%w: node %d", ErrNotYet, from.NodeID)
	}
	_, err = c.Write([]byte{byte(t)})
	return from, err
}

// Probe asks the port at addr who it is, and hangs up. A node that belongs to no cluster yet answers too, with an empty cluster id.
func (p *Port) Probe(ctx context.Context, addr string) (Hello, error) {
	c, from, err := p.Dial(ctx, addr, StreamProbe)
	if err != nil {
		return Hello{}, err
	}
	return from, c.Close()
}

// Close stops listening, closes every connection that the port made or accepted, and waits for the handlers.
func (p *Port) Close() error {
	p.cancel()
	err := p.opts.Listener.Close()
	_ = p.raft.Load().Close() // it only closes a channel
	p.mu.Lock()
	p.mu.closed = true
	for c := range p.mu.conns {
		_ = c.raw.Close() // whoever uses it sees that
	}
	p.mu.Unlock()
	p.wg.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
