package peer

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// raftLayer is the port as raft's network transport sees it.
type raftLayer struct {
	p      *Port
	member func(addr string) string
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

var _ raft.StreamLayer = (*raftLayer)(nil)

func newRaftLayer(p *Port, member func(addr string) string) *raftLayer {
	return &raftLayer{p: p, member: member, conns: make(chan net.Conn), closed: make(chan struct{})}
}

// Raft returns a new stream layer for raft.NewNetworkTransport, in place of the one before. Closing it, as the transport does, ends raft's part of the port only. member is the directory of raft's member
// at an address, empty if there is none: raft asks an address for a vote and believes whoever answers there, and a machine with an empty disk must not vote in the name of the one whose address it has.
func (p *Port) Raft(member func(addr string) string) raft.StreamLayer {
	l := newRaftLayer(p, member)
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

// Dial connects to the member of the group at an address, and to nobody else. timeout bounds it.
func (l *raftLayer) Dial(addr raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(l.p.ctx, timeout)
	defer cancel()
	conn, from, err := l.p.Dial(ctx, string(addr), StreamRaft)
	if err != nil {
		return nil, err
	}
	want := l.member(string(addr))
	if string(addr) == l.p.Addr() {
		want = l.p.hello().DirectoryID // it may have another address now than the group knows
	}
	if from.DirectoryID != want {
		_ = conn.Close() // nothing was said
		return nil, fmt.Errorf("%w: at %s is data directory %q, the member of the metadata group there is %q", ErrRefused, addr, from.DirectoryID, want)
	}
	return conn, nil
}

// advertised is an address that is only a text: it may be a name.
type advertised string

func (advertised) Network() string  { return "tcp" }
func (a advertised) String() string { return string(a) }
