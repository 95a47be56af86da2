package peer

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
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
		for {
			if err := serveNext(ctx, conn, from, serve); err != nil {
				if ctx.Err() == nil && !errors.Is(err, io.EOF) {
					p.opts.Logger.Debug("node port: call", "node", from.NodeID, "err", err)
				}
				return
			}
		}
	})
}

// frames are buffers for requests and responses. A connection has its own only while a request is served: most are idle, and one may have carried a frame of many megabytes.
var frames = sync.Pool{New: func() any { return new([]byte) }}

// serveNext waits for a request, serves it and sends the response. It returns io.EOF when the other side has hung up instead.
func serveNext(ctx context.Context, conn net.Conn, from Hello, serve Serve) error {
	n, err := readFrameHead(conn)
	if err != nil {
		return err
	}
	in, out := frames.Get().(*[]byte), frames.Get().(*[]byte)
	defer func() {
		frames.Put(in)
		frames.Put(out)
	}()
	if *in, err = readFrameBody(conn, *in, n); err != nil {
		return err
	}
	resp, err := answer(ctx, from, *in, (*out)[:0], serve)
	if err != nil {
		return err
	}
	*out = resp
	_, err = conn.Write(resp)
	return err
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

// readFrameHead reads the length of the next frame.
func readFrameHead(r io.Reader) (int, error) {
	var head [frameHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > MaxFrame {
		return 0, fmt.Errorf("%w: %d bytes", errFrame, n)
	}
	return int(n), nil
}

// readFrameBody reads the n bytes of a frame, into buf if that is large enough.
func readFrameBody(r io.Reader, buf []byte, n int) ([]byte, error) {
	if cap(buf) < n {
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
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // a half-read response cannot be gone on with
	resp, err := roundTrip(conn, req)
	closed := !stop()
	switch {
	case err == nil && !closed:
		c.keep(addr, conn)
		return resp, nil
	case err == nil:
		return resp, nil // it came while ctx ended
	case closed:
		err = context.Cause(ctx)
	}
	_ = conn.Close() // the call's error says more
	if !errors.Is(err, context.Canceled) {
		c.drop(addr)
	}
	return nil, fmt.Errorf("peer: %s of %s: %w", kmsg.NameForKey(req.Key()), addr, err)
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
	kept := !c.mu.closed && len(c.mu.idle[addr]) < idlePerNode
	if kept {
		c.mu.idle[addr] = append(c.mu.idle[addr], conn)
	}
	c.mu.Unlock()
	if !kept {
		_ = conn.Close() // it is idle
	}
}

// drop closes the idle connections to a node that one of them has just lost: the others are as old.
func (c *Caller) drop(addr string) {
	c.mu.Lock()
	idle := c.mu.idle[addr]
	delete(c.mu.idle, addr)
	c.mu.Unlock()
	closeAll(idle)
}

// closeAll closes connections; it is called without the lock, since with TLS a farewell is written first.
func closeAll(idle []net.Conn) {
	for _, conn := range idle {
		_ = conn.Close() // it is idle
	}
}

// Close closes the idle connections. Calls in progress end with their contexts or with the port.
func (c *Caller) Close() {
	c.mu.Lock()
	c.mu.closed = true
	idle := slices.Concat(slices.Collect(maps.Values(c.mu.idle))...)
	clear(c.mu.idle)
	c.mu.Unlock()
	closeAll(idle)
}

// roundTrip sends one request and reads its response.
func roundTrip(conn net.Conn, req kmsg.Request) (kmsg.Response, error) {
	formatter := kmsg.NewRequestFormatter()
	if _, err := conn.Write(formatter.AppendRequest(nil, req, 0)); err != nil {
		return nil, err
	}
	n, err := readFrameHead(conn)
	if err != nil {
		return nil, err
	}
	frame, err := readFrameBody(conn, nil, n)
	if err != nil {
		return nil, err
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
