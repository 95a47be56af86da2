package peer

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// raftLayer is the port as raft's network transport sees it.
type raftLayer struct {
	p      *Port
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

var _ raft.StreamLayer = (*raftLayer)(nil)

func newRaftLayer(p *Port) *raftLayer {
	return &raftLayer{p: p, conns: make(chan net.Conn), closed: make(chan struct{})}
}

// Raft returns a new stream layer for raft.NewNetworkTransport, in place of the one before. Closing it, as the transport does, ends raft's part of the port only.
func (p *Port) Raft() raft.StreamLayer {
	l := newRaftLayer(p)
	_ = p.raft.Swap(l).Close() // it only closes a channel
	return l
}

// take is the handler of raft's streams: it waits for the transport to accept.
func (l *raftLayer) take(_ context.Context, conn net.Conn, _ Hello) {
	select {
	case l.conns <- conn:
	case <-l.closed:
		_ = conn.Close() // nobody is there to use it
	}
}

func (l *raftLayer) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *raftLayer) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *raftLayer) Addr() net.Addr { return advertised(l.p.Addr()) }

// Dial connects to another node's raft. timeout bounds it.
func (l *raftLayer) Dial(addr raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(l.p.ctx, timeout)
	defer cancel()
	conn, _, err := l.p.Dial(ctx, string(addr), StreamRaft)
	return conn, err
}

// advertised is an address that is only a text: it may be a name.
type advertised string

func (advertised) Network() string  { return "tcp" }
func (a advertised) String() string { return string(a) }
