package node

import (
	"context"
	"net"

	"github.com/millracedb/millrace/internal/peer"
)

// lifeLine opens a stream of life lines to the node port at addr (package lifeline).
func (n *Node) lifeLine(ctx context.Context, addr string) (net.Conn, error) {
	conn, _, err := n.port.Dial(ctx, addr, peer.StreamLife)
	return conn, err
}

// takeLifeLine takes one of another node, which must be the one that is registered.
func (n *Node) takeLifeLine(ctx context.Context, conn net.Conn, from peer.Hello) {
	s := n.served.Load()
	if s == nil || s.controller == nil {
		_ = conn.Close() // it asks again
		return
	}
	if k, ok := s.meta.Image().Broker(from.NodeID); !ok || k.Directory.String() != from.DirectoryID {
		_ = conn.Close() // this node does not know it yet, or knows another by that name
		return
	}
	if err := s.controller.TakeLine(ctx, conn, from.NodeID); err != nil && ctx.Err() == nil {
		n.cfg.Logger.Debug("node port: life line", "node", from.NodeID, "err", err)
	}
}
