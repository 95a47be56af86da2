package peer

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// MaxFrame bounds a request or response between nodes, in bytes: a fetch of replicas is the largest, and asks for half of it.
	MaxFrame = 32 << 20
	// idlePerNode is how many idle connections for calls are kept to each address: as many as the lanes and the readers of a few dozen tasks use side by side.
	idlePerNode = 32

	frameHead = 4 // bytes of its length
)

var errFrame = errors.New("peer: malformed frame")

// Serve answers one request of another node. The request's bytes are its own until it returns.
type Serve func(ctx context.Context, from Hello, req kmsg.Request) (kmsg.Response, error)

// HandleCalls has serve answer requests on Kafka streams, one at a time on each connection: Kafka's frames and headers (kmsg), of whatever keys serve knows. An error of
// serve hangs up. Call it before Start.
func (p *Port) HandleCalls(serve Serve) {
	p.Handle(StreamKafka, func(ctx context.Context, conn net.Conn, from Hello) {
		defer func() { _ = conn.Close() }() // both sides have seen the end or the error
		stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
		defer stop()
		var in, out []byte
		for {
			var err error
			if in, err = readFrame(conn, in); err != nil {
				return // the other side hung up
			}
			if out, err = answer(ctx, from, in, out[:0], serve); err == nil {
				_, err = conn.Write(out)
			}
			if err != nil {
				if ctx.Err() == nil {
					p.opts.Logger.Debug("node port: call", "node", from.NodeID, "err", err)
				}
				return
			}
		}
	})
}

// answer serves one request frame and appends the response frame to out.
func answer(ctx context.Context, from Hello, in, out []byte, serve Serve) ([]byte, error) {
	r := kbin.Reader{Src: in}
	key, version, correlation := r.Int16(), r.Int16(), r.Int32()
	req := kmsg.RequestForKey(key)
	if !r.Ok() || req == nil {
		return nil, fmt.Errorf("%w: key %d", errFrame, key)
	}
	req.SetVersion(version)
	r.NullableString()
	if req.IsFlexible() {
		kmsg.SkipTags(&r)
	}
	if !r.Ok() {
		return nil, errFrame
	}
	if err := req.ReadFrom(r.Src); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", errFrame, kmsg.NameForKey(key), err)
	}
	resp, err := serve(ctx, from, req)
	if err != nil {
		return nil, err
	}
	out = append(out, 0, 0, 0, 0)
	out = binary.BigEndian.AppendUint32(out, uint32(correlation))
	if resp.IsFlexible() {
		out = append(out, 0) // no tags
	}
	out = resp.AppendTo(out)
	if len(out)-frameHead > MaxFrame {
		return nil, fmt.Errorf("%w: a response of %d bytes", errFrame, len(out))
	}
	binary.BigEndian.PutUint32(out, uint32(len(out)-frameHead))
	return out, nil
}

// readFrame reads one frame without its length, into buf if that is large enough.
func readFrame(r io.Reader, buf []byte) ([]byte, error) {
	var head [frameHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > MaxFrame {
		return nil, fmt.Errorf("%w: %d bytes", errFrame, n)
	}
	if uint32(cap(buf)) < n {
		buf = make([]byte, n)
	}
	_, err := io.ReadFull(r, buf[:n])
	return buf[:n], err
}

// Caller makes requests of other nodes over a Port. It is safe for concurrent use; requests that run at the same time have a connection each.
type Caller struct {
	port *Port
	mu   struct {
		sync.Mutex
		idle   map[string][]net.Conn
		failed map[string]bool // no connection could be made the last time
		closed bool
	}
}

// NewCaller returns a Caller over p.
func NewCaller(p *Port) *Caller {
	c := &Caller{port: p}
	c.mu.idle, c.mu.failed = map[string][]net.Conn{}, map[string]bool{}
	return c
}

// Call sends req to the node port at addr and returns its response. An error says that it is not known whether the request was carried out, unless it is ErrUnreachable.
func (c *Caller) Call(ctx context.Context, addr string, req kmsg.Request) (kmsg.Response, error) {
	conn, err := c.take(ctx, addr)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	resp, err := roundTrip(ctx, conn, req)
	if err != nil {
		_ = conn.Close() // the call's error says more
		c.drop(addr)
		return nil, fmt.Errorf("peer: %s of %s: %w", kmsg.NameForKey(req.Key()), addr, err)
	}
	c.keep(addr, conn)
	return resp, nil
}

// ErrUnreachable: no connection could be made, so the request was surely not carried out.
var ErrUnreachable = errors.New("peer: node cannot be reached")

func (c *Caller) take(ctx context.Context, addr string) (net.Conn, error) {
	c.mu.Lock()
	if idle := c.mu.idle[addr]; len(idle) > 0 {
		conn := idle[len(idle)-1]
		c.mu.idle[addr] = idle[:len(idle)-1]
		c.mu.Unlock()
		return conn, nil
	}
	c.mu.Unlock()
	conn, _, err := c.port.Dial(ctx, addr, StreamKafka)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		delete(c.mu.failed, addr)
	} else if ctx.Err() == nil {
		c.mu.failed[addr] = true
	}
	return conn, err
}

// Unreachable reports whether the last attempt to connect to addr has failed, other than by the end of its context.
func (c *Caller) Unreachable(addr string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.failed[addr]
}

func (c *Caller) keep(addr string, conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.closed || len(c.mu.idle[addr]) >= idlePerNode {
		_ = conn.Close() // it is idle
		return
	}
	c.mu.idle[addr] = append(c.mu.idle[addr], conn)
}

// drop closes the idle connections to a node that one of them has just lost: the others are as old.
func (c *Caller) drop(addr string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.mu.idle[addr] {
		_ = conn.Close() // it is idle
	}
	delete(c.mu.idle, addr)
}

// Close closes the idle connections. Calls in progress end with their contexts or with the port.
func (c *Caller) Close() {
	c.mu.Lock()
	c.mu.closed = true
	addrs := make([]string, 0, len(c.mu.idle))
	for addr := range c.mu.idle {
		addrs = append(addrs, addr)
	}
	c.mu.Unlock()
	for _, addr := range addrs {
		c.drop(addr)
	}
}

// roundTrip sends one request and reads its response.
func roundTrip(ctx context.Context, conn net.Conn, req kmsg.Request) (kmsg.Response, error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // a half-read response cannot be gone on with
	defer stop()
	formatter := kmsg.NewRequestFormatter()
	if _, err := conn.Write(formatter.AppendRequest(nil, req, 0)); err != nil {
		return nil, callError(ctx, err)
	}
	frame, err := readFrame(conn, nil)
	if err != nil {
		return nil, callError(ctx, err)
	}
	resp := req.ResponseKind()
	r := kbin.Reader{Src: frame}
	r.Int32()
	if resp.IsFlexible() {
		kmsg.SkipTags(&r)
	}
	if !r.Ok() {
		return nil, errFrame
	}
	if err := resp.ReadFrom(r.Src); err != nil {
		return nil, fmt.Errorf("%w: %w", errFrame, err)
	}
	return resp, nil
}

func callError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
