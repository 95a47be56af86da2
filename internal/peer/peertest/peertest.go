// Package peertest makes certificates of nodes for tests.
package peertest

import (
	"testing"

	"github.com/millracedb/millrace/internal/certtest"
	"github.com/millracedb/millrace/internal/peer"
)

// Authority vouches for the nodes of a cluster.
type Authority struct{ *certtest.Authority }

// NewAuthority makes an authority that nobody else trusts.
func NewAuthority(tb testing.TB) Authority {
	tb.Helper()
	return Authority{certtest.NewAuthority(tb)}
}

// Node is what a node with a certificate for the given DNS names uses; it takes certificates of the same authority.
func (a Authority) Node(tb testing.TB, names ...string) *peer.TLS {
	tb.Helper()
	return a.Stranger(tb, a, names...)
}

// Stranger is Node of one that takes certificates of another authority.
func (a Authority) Stranger(tb testing.TB, trusted Authority, names ...string) *peer.TLS {
	tb.Helper()
	return peer.NewTLS(a.Sign(tb, "node", names...), trusted.Pool)
}
