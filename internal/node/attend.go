package node

import (
	"context"
	"net"
	"time"

	"github.com/millracedb/millrace/internal/clock"
)

// A stream of a session says nothing while its client does not. When the network between two nodes swallows what passes, both would wait for each other until TCP gives up, which takes minutes. So each side
// asks the other, as long as there are streams between them, whether it is there, on a connection of its own each time, and ends the streams when it has had no answer for a while.

const (
	// attendEvery is how often a node is asked that sessions go to or come from, silentMax how long it may fail to answer. That is more than it takes until the controller fences a node which is gone.
	attendEvery = time.Second
	silentMax   = 5 * time.Second
)

// stream is one of a session: to the node that runs it, or from the node of its client.
type stream struct {
	net.Conn
	s     *sessions
	node  int32
	taken bool // it comes from there
}

// Close implements net.Conn.
func (f *stream) Close() error {
	f.s.mu.Lock()
	delete(f.s.mu.streams, f)
	f.s.mu.Unlock()
	return f.Conn.Close()
}

// keep notes a stream, so that it is ended when its other side is silent.
func (s *sessions) keep(conn net.Conn, node int32, taken bool) *stream {
	f := &stream{Conn: conn, s: s, node: node, taken: taken}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.streams[f] = struct{}{}
	if _, attended := s.mu.attended[node]; !attended && s.ctx.Err() == nil {
		s.mu.attended[node] = struct{}{}
		s.wg.Go(func() { s.attend(node) })
	}
	return f
}

// attend asks a node whether it is there, until there are no streams to it or from it.
func (s *sessions) attend(node int32) {
	clk := s.n.cfg.Clock
	for heard := clk.Now(); s.attended(node); {
		if !clock.Wait(s.ctx, clk, attendEvery) {
			return
		}
		err := s.probe(node)
		switch now := clk.Now(); {
		case s.ctx.Err() != nil:
			return
		case err == nil:
			heard = now
		case now.Sub(heard) >= silentMax:
			s.n.cfg.Logger.Warn("a node does not answer: the sessions that it runs for clients of this node, or this one for its clients, are taken for lost", "node", node, "err", err)
			s.end(func(f *stream) bool { return f.node == node })
			heard = now
		}
	}
}

// attended reports whether there are streams to a node or from it. If not, attend ends.
func (s *sessions) attended(node int32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for f := range s.mu.streams {
		if f.node == node {
			return true
		}
	}
	delete(s.mu.attended, node)
	return false
}

func (s *sessions) probe(node int32) error {
	ctx, cancel := context.WithTimeout(s.ctx, silentMax)
	defer cancel()
	addr, err := s.n.peerAddr(node)
	if err == nil {
		_, err = s.n.port.Probe(ctx, addr)
	}
	return err
}

// end closes streams. Who uses them sees that.
func (s *sessions) end(which func(*stream) bool) {
	var old []*stream
	s.mu.Lock()
	for f := range s.mu.streams {
		if which(f) {
			old = append(old, f)
		}
	}
	s.mu.Unlock()
	for _, f := range old {
		_ = f.Close() // it is given up
	}
}
