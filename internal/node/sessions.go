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

	"github.com/millracedb/millrace/internal/engine"
	"github.com/millracedb/millrace/internal/peer"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/pgwire"
	"github.com/millracedb/millrace/replication/metadata"
)

// What a stream of type StreamSession is for, its first byte.
const (
	forSession       byte = 1 // the other side answers with a byte, accepted or not, and the index of its metadata; what follows is for pgwire.Server.Take
	forCancel        byte = 2 // a process id: cancel what its session runs
	forCancelRequest byte = 3 // a process id and a key: a client of yours asks for that

	accepted byte = 1
	declined byte = 0

	// takeWait is how long a node keeps a session waiting that has come before it has taken up the duty.
	takeWait = 2 * time.Second
	// dialRest is how long a node that could not be reached, or did not run the sessions, is left alone: all sessions of this node want to go there.
	dialRest = 100 * time.Millisecond
	// maxCancelKey bounds the key of a request to cancel.
	maxCancelKey = 256
)

// The ids of brokers are as distinct as the numbers of servers are: this compiles only then.
var _ [pgwire.Numbers]struct{} = [metadata.IDClasses]struct{}{}

// sessions leads the clients of this node to the node that runs the sessions: pgwire relays their messages there, over the node port or, where the sessions run here, within the process. So a client may use
// any node, and a session outlives all but that one. One that only reads runs on the client's node, if that has the rows of all tables.
type sessions struct {
	engine.Door
	n      *Node
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	mu     struct {
		sync.Mutex
		streams  map[*stream]struct{}
		attended map[int32]struct{} // nodes that are asked whether they are there
		// refused was a node in vain, rests until then; why is what a client is told of that.
		refused int32
		rests   time.Time
		why     error
	}
}

func newSessions(n *Node) *sessions {
	s := &sessions{n: n, Door: engine.Door{Clock: n.cfg.Clock, RequirePassword: n.cfg.RequirePassword, Insecure: n.cfg.Insecure}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.mu.streams, s.mu.attended = map[*stream]struct{}{}, map[int32]struct{}{}
	return s
}

// start is called when there is metadata. No client is admitted before.
func (s *sessions) start() {
	s.Meta = s.n.meta
	s.wg.Go(s.watch)
}

// close stops the watch. The server of clients has been closed before.
func (s *sessions) close() {
	s.mu.Lock()
	s.cancel() // under the lock, so that keep begins nothing behind it
	s.mu.Unlock()
	s.wg.Wait()
}

// watch ends the streams to a node that does not run the sessions any more. It may not be able to do that itself.
func (s *sessions) watch() {
	for {
		img, changed := s.n.meta.Watch()
		if id, ok := img.QueryNode(); ok {
			s.end(func(f *stream) bool { return f.node != id && !f.taken })
		}
		select {
		case <-changed:
		case <-s.ctx.Done():
			return
		}
	}
}

// Dial implements pgwire.Upstream. Who cannot be served because this node has lost the cluster is told what it knows.
func (s *sessions) Dial(ctx context.Context, reads bool) (net.Conn, error) {
	conn, err := s.dial(ctx, reads)
	if err != nil && s.n.repl.IsCutOff() {
		return nil, s.n.errCutOff()
	}
	return conn, err
}

func (s *sessions) dial(ctx context.Context, reads bool) (net.Conn, error) {
	if w := s.n.work.Load(); reads && w != nil && w.engine.ServesReads() {
		near, far := net.Pipe()
		w.pg.Take(far)
		return near, nil
	}
	id, ok := s.n.meta.Image().QueryNode()
	if !ok {
		return nil, errNotReady
	}
	if id == s.n.identity.NodeID {
		ctx, cancel := context.WithTimeout(ctx, takeWait)
		defer cancel()
		d := s.n.awaitDuty(ctx)
		if d == nil {
			return nil, errNotReady
		}
		near, far := net.Pipe()
		d.pg.Take(far)
		return near, nil
	}
	s.mu.Lock()
	resting, why := s.mu.refused == id && s.n.cfg.Clock.Now().Before(s.mu.rests), s.mu.why
	s.mu.Unlock()
	if resting {
		return nil, why
	}
	f, err := s.dialSession(ctx, id)
	if err == nil {
		return f, nil
	}
	if !errors.Is(err, errNotReady) {
		s.n.cfg.Logger.Debug("the node that runs the queries cannot be reached", "node", id, "err", err)
		err = sqlerr.New(sqlerr.CannotConnectNow, "node %d cannot reach node %d, which runs the queries", s.n.identity.NodeID, id).
			WithHint("Try again, or connect to another node.")
	}
	if now, _ := s.n.meta.Image().QueryNode(); ctx.Err() == nil && now == id {
		s.mu.Lock()
		s.mu.refused, s.mu.rests, s.mu.why = id, s.n.cfg.Clock.Now().Add(dialRest), err
		s.mu.Unlock()
	}
	return nil, err
}

func (s *sessions) dialSession(ctx context.Context, id int32) (net.Conn, error) {
	conn, err := s.dialNode(ctx, id, []byte{forSession})
	if err != nil {
		return nil, err
	}
	f := s.keep(conn, id, false)
	if now, ok := s.n.meta.Image().QueryNode(); ok && now != id { // the watch may have looked before
		return nil, errors.Join(errNotReady, f.Close())
	}
	if err := s.welcomed(ctx, f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// dialNode opens a stream to a node and says what it is for.
func (s *sessions) dialNode(ctx context.Context, id int32, head []byte) (net.Conn, error) {
	addr, err := s.n.peerAddr(id)
	if err != nil {
		return nil, err
	}
	conn, _, err := s.n.port.Dial(ctx, addr, peer.StreamSession)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write(head); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// welcomed waits until the other side has accepted a session, and this node knows of the roles that it knows of.
func (s *sessions) welcomed(ctx context.Context, conn net.Conn) error {
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	var answer [9]byte
	if _, err := io.ReadFull(conn, answer[:]); err != nil {
		return err
	}
	if answer[0] != accepted {
		return errNotReady
	}
	return s.n.repl.WaitIndex(ctx, binary.BigEndian.Uint64(answer[1:]))
}

// Cancel implements pgwire.Upstream.
func (s *sessions) Cancel(ctx context.Context, pid int32) {
	if w := s.n.work.Load(); w != nil {
		w.pg.CancelSession(pid) // if it only reads
	}
	id, ok := s.n.meta.Image().QueryNode()
	if !ok {
		return
	}
	if d := s.n.duty.Load(); id == s.n.identity.NodeID && d != nil {
		d.pg.CancelSession(pid)
		return
	}
	s.ask(ctx, id, binary.BigEndian.AppendUint32([]byte{forCancel}, uint32(pid)))
}

// CancelRequest implements pgwire.Upstream.
func (s *sessions) CancelRequest(ctx context.Context, pid int32, key []byte) {
	if len(key) > maxCancelKey {
		return
	}
	head := binary.BigEndian.AppendUint32([]byte{forCancelRequest}, uint32(pid))
	head = append(binary.BigEndian.AppendUint16(head, uint16(len(key))), key...)
	for k := range s.n.meta.Image().Brokers() {
		if k.ID != s.n.identity.NodeID && pgwire.Number(k.ID) == pgwire.Number(pid) {
			s.ask(ctx, k.ID, head)
		}
	}
}

// ask sends a request to cancel, which is not answered.
func (s *sessions) ask(ctx context.Context, id int32, head []byte) {
	if conn, err := s.dialNode(ctx, id, head); err == nil { // else there is nothing to cancel
		_ = conn.Close()
	}
}

// Judge implements pgwire.Upstream.
func (s *sessions) Judge(state pgwire.State, unanswered []pgwire.Message) pgwire.Effects {
	return engine.Judge(state, unanswered)
}

// takeSession takes a stream that another node has opened for a client of its own.
func (n *Node) takeSession(ctx context.Context, conn net.Conn, from peer.Hello) {
	if err := n.takeStream(ctx, conn, from.NodeID); err != nil {
		_ = conn.Close() // the other side tries elsewhere
	}
}

func (n *Node) takeStream(ctx context.Context, conn net.Conn, from int32) error {
	var head [5]byte
	if _, err := io.ReadFull(conn, head[:1]); err != nil {
		return err
	}
	d := n.duty.Load()
	if head[0] == forSession {
		ctx, cancel := context.WithTimeout(ctx, takeWait)
		defer cancel()
		if d = nil; n.served.Load() != nil {
			d = n.awaitDuty(ctx)
		}
		answer := []byte{declined}
		if d != nil {
			answer = []byte{accepted}
		}
		answer = binary.BigEndian.AppendUint64(answer, n.metaIndex())
		if _, err := conn.Write(answer); err != nil || d == nil {
			return errNotReady
		}
		d.pg.Take(n.sessions.keep(conn, from, true)) // they are opened before the duty is
		return nil
	}
	if _, err := io.ReadFull(conn, head[1:]); err != nil {
		return err
	}
	pid := int32(binary.BigEndian.Uint32(head[1:]))
	switch front := n.front.Load(); {
	case head[0] == forCancel && d != nil:
		d.pg.CancelSession(pid)
	case head[0] == forCancelRequest && front != nil:
		key, err := readKey(conn)
		if err != nil {
			return err
		}
		front.CancelRequest(pid, key)
	}
	return conn.Close()
}

// metaIndex is how far the metadata is known here; 0 before there is any.
func (n *Node) metaIndex() uint64 {
	if n.duty.Load() == nil {
		return 0
	}
	return n.meta.Image().Index()
}

func readKey(conn net.Conn) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint16(size[:])
	if n > maxCancelKey {
		return nil, fmt.Errorf("a key of %d bytes", n)
	}
	key := make([]byte, n)
	_, err := io.ReadFull(conn, key)
	return key, err
}

// serveFront takes the connections of PostgreSQL clients, in a cluster. They are refused while the node starts or stops. A node alone runs their sessions itself, for ever.
func (n *Node) serveFront() error {
	n.sessions = newSessions(n)
	front, err := pgwire.New(pgwire.Config{
		Upstream: n.sessions, Admit: n.admit, Number: n.identity.NodeID, Clock: n.cfg.Clock, Rand: n.cfg.Rand, Logger: n.cfg.Logger, TLS: n.cfg.TLS,
	})
	if err != nil {
		return err
	}
	n.front.Store(front)
	n.serve("pg", func() error { return front.Serve(n.listeners.pg) })
	return nil
}

// admit refuses clients while this node starts or stops: another one may take them.
func (n *Node) admit() error {
	switch {
	case n.ready.Load():
		return nil
	case n.opened.Load():
		return sqlerr.New(sqlerr.CannotConnectNow, "the database system is shutting down").WithDetail("Node %d is stopping.", n.identity.NodeID).WithHint("Connect to another node.")
	}
	return sqlerr.New(sqlerr.CannotConnectNow, "the database system is starting up").WithDetail("Node %d is starting.", n.identity.NodeID).WithHint("Try again, or connect to another node.")
}
