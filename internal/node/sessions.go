package node

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/millracedb/millrace/internal/peer"
	"github.com/millracedb/millrace/internal/sqlerr"
)

const (
	// sessionWait is how long a new connection waits for a node that runs the queries, while that changes.
	sessionWait = 10 * time.Second
	// sessionPause is the time between two looks.
	sessionPause = 50 * time.Millisecond
	// maxPassedOn bounds the connections of PostgreSQL clients that this node passes on at a time.
	maxPassedOn = 10_000
	// maxClientAddr bounds the text of a client's address.
	maxClientAddr = 256
	// passBuffer is the size of the buffer of each direction of a connection that is passed on.
	passBuffer = 32 << 10

	accepted byte = 1
	declined byte = 0
)

// sessions brings connections of PostgreSQL clients to the node that runs the queries: those that reach it go to its server, those that reach another are passed on to it byte by
// byte over the node port, from the first byte of the client on. So a client may use any node. On the node port such a connection begins with the client's address, which
// decides about authentication, and one byte from the other side that says whether it was accepted.
type sessions struct {
	n      *Node
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	conns  chan net.Conn // to the server that runs now
	slots  chan struct{}
}

func newSessions(n *Node) *sessions {
	s := &sessions{n: n, conns: make(chan net.Conn), slots: make(chan struct{}, maxPassedOn)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// close ends the connections that are passed on, and waits. The listener has been closed before.
func (s *sessions) close() {
	s.cancel()
	s.wg.Wait()
}

// accept takes the connections of clients until l is closed.
func (s *sessions) accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		switch {
		case errors.Is(err, net.ErrClosed) || err != nil && s.ctx.Err() != nil:
			return
		case err != nil:
			s.n.cfg.Logger.Warn("cannot accept a connection", "err", err)
			if s.n.pause(s.ctx, lookPause) != nil {
				return
			}
			continue
		}
		if s.n.duty.Load() != nil {
			select {
			case s.conns <- conn:
				continue
			default: // the server is at the one before
			}
		}
		select {
		case s.slots <- struct{}{}:
			s.wg.Go(func() {
				defer func() { <-s.slots }()
				s.bring(conn)
			})
		default:
			_ = conn.Close() // there are too many
		}
	}
}

// bring takes a client's connection to where the queries run.
func (s *sessions) bring(conn net.Conn) {
	ctx, cancel := context.WithTimeout(s.ctx, sessionWait)
	defer cancel()
	for {
		if s.offer(ctx, conn) {
			return
		}
		far, err := s.dial(ctx, conn.RemoteAddr())
		if err == nil {
			pass(s.ctx, conn, far)
			return
		}
		if s.n.pause(ctx, sessionPause) != nil {
			s.refuse(conn)
			return
		}
	}
}

// offer gives the connection to the server of this node, if the queries run here.
func (s *sessions) offer(ctx context.Context, conn net.Conn) bool {
	if s.n.duty.Load() == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, sessionPause)
	defer cancel()
	select {
	case s.conns <- conn:
		return true
	case <-ctx.Done():
		return false
	}
}

// dial connects to the node on which the queries run.
func (s *sessions) dial(ctx context.Context, client net.Addr) (net.Conn, error) {
	id, ok := s.n.meta.Image().QueryNode()
	if !ok || id == s.n.identity.NodeID || s.n.port == nil {
		return nil, errNotReady
	}
	addr, err := s.n.peerAddr(id)
	if err != nil {
		return nil, err
	}
	far, _, err := s.n.port.Dial(ctx, addr, peer.StreamQuery)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = far.Close() })
	defer stop()
	text := client.String()
	head := append(binary.BigEndian.AppendUint16(nil, uint16(len(text))), text...)
	var answer [1]byte
	if _, err = far.Write(head); err == nil {
		_, err = io.ReadFull(far, answer[:])
	}
	if err == nil && answer[0] != accepted {
		err = errNotReady
	}
	if err != nil {
		return nil, errors.Join(err, far.Close())
	}
	return far, nil
}

// refuse tells a client that there is no node for it.
func (s *sessions) refuse(conn net.Conn) {
	defer func() { _ = conn.Close() }() // it is refused
	if conn.SetDeadline(s.n.cfg.Clock.Now().Add(time.Second)) != nil {
		return
	}
	e := pgproto3.ErrorResponse{
		Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: string(sqlerr.CannotConnectNow), Message: "no node of the cluster runs the queries now",
		Hint: "A majority of the nodes must be up and reach each other. Try again.",
	}
	if b, err := e.Encode(nil); err == nil {
		_, _ = conn.Write(b) // the client may be gone
	}
}

// pass copies both ways until either side ends or ctx does.
func pass(ctx context.Context, a, b net.Conn) {
	closeBoth := func() {
		_ = a.Close() // copies see it
		_ = b.Close()
	}
	defer context.AfterFunc(ctx, closeBoth)()
	var wg sync.WaitGroup
	one := func(dst, src net.Conn) {
		_, _ = io.CopyBuffer(struct{ io.Writer }{dst}, struct{ io.Reader }{src}, make([]byte, passBuffer)) // an end is an end
		closeBoth()
	}
	wg.Go(func() { one(a, b) })
	one(b, a)
	wg.Wait()
}

// takeSession takes a connection that another node passes on.
func (n *Node) takeSession(ctx context.Context, conn net.Conn, _ peer.Hello) {
	c, err := readClient(conn)
	d := n.duty.Load()
	if err != nil || d == nil {
		_, _ = conn.Write([]byte{declined}) // the other side tries elsewhere
		_ = conn.Close()
		return
	}
	if _, err := conn.Write([]byte{accepted}); err != nil {
		_ = conn.Close() // the other side is gone
		return
	}
	s := n.sessions // it was there before the duty
	select {
	case s.conns <- c:
	case <-ctx.Done():
		_ = conn.Close() // the node stops
	case <-s.ctx.Done():
		_ = conn.Close()
	}
}

// passedConn is a client's connection that came over another node.
type passedConn struct {
	net.Conn
	client clientAddr
}

func (c *passedConn) RemoteAddr() net.Addr { return c.client }

// clientAddr is the text of an address on another node.
type clientAddr string

func (clientAddr) Network() string  { return "tcp" }
func (a clientAddr) String() string { return string(a) }

func readClient(conn net.Conn) (net.Conn, error) {
	var head [2]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint16(head[:])
	if size > maxClientAddr {
		return nil, fmt.Errorf("a client's address of %d bytes", size)
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(conn, text); err != nil {
		return nil, err
	}
	return &passedConn{conn, clientAddr(text)}, nil
}

// listener is what one server accepts from; closing it leaves the others alone.
func (s *sessions) listener() net.Listener {
	return &sessionListener{s: s, closed: make(chan struct{})}
}

type sessionListener struct {
	s      *sessions
	once   sync.Once
	closed chan struct{}
}

func (l *sessionListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.s.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *sessionListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *sessionListener) Addr() net.Addr { return l.s.n.addrs.pg }
