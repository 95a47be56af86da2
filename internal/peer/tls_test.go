package peer_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/peer"
	"github.com/millracedb/millrace/internal/peer/peertest"
)

func startTLS(t *testing.T, node int32, tls *peer.TLS, prepare ...func(*peer.Port)) *peer.Port {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := peer.New(peer.Options{
		Hello: peer.Hello{ClusterID: "c1", NodeID: node, DirectoryID: string('a' + node)}, TLS: tls, Listener: l, Clock: clock.Real, Logger: slog.New(slog.DiscardHandler),
		Dial: func(ctx context.Context, addr string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", addr)
		},
	})
	p.Handle(peer.StreamKafka, func(_ context.Context, c net.Conn, _ peer.Hello) {
		defer func() { _ = c.Close() }()
		_, _ = io.Copy(c, c)
	})
	for _, f := range prepare {
		f(p)
	}
	p.Start()
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

func TestNodesShowEachOtherCertificates(t *testing.T) {
	ca := peertest.NewAuthority(t)
	b := startTLS(t, 2, ca.Node(t, "node-2.millrace"))
	for name, certificate := range map[string]*peer.TLS{"for the node": ca.Node(t, "node-1.millrace"), "for all nodes": ca.Node(t, "*.millrace")} {
		t.Run(name, func(t *testing.T) {
			c, from, err := startTLS(t, 1, certificate).Dial(t.Context(), b.Addr(), peer.StreamKafka)
			require.NoError(t, err)
			require.EqualValues(t, 2, from.NodeID)
			_, err = c.Write([]byte("echo"))
			require.NoError(t, err)
			got := make([]byte, 4)
			_, err = io.ReadFull(c, got)
			require.NoError(t, err)
			require.Equal(t, "echo", string(got))
			require.NoError(t, c.Close())
		})
	}
}

// TestTheEndOfAProcessIsTheEndOfItsStreams, which TLS must not make an error of: package lifeline tells it from a reset.
func TestTheEndOfAProcessIsTheEndOfItsStreams(t *testing.T) {
	ca := peertest.NewAuthority(t)
	for name, tls := range map[string][2]*peer.TLS{"with TLS": {ca.Node(t, "node-1.millrace"), ca.Node(t, "node-2.millrace")}, "without": {}} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan error, 1)
			b := startTLS(t, 2, tls[1], func(p *peer.Port) {
				p.Handle(peer.StreamLife, func(_ context.Context, c net.Conn, _ peer.Hello) {
					defer func() { _ = c.Close() }()
					_, err := c.Read(make([]byte, 1))
					ended <- err
				})
			})
			a := startTLS(t, 1, tls[0])
			_, _, err := a.Dial(t.Context(), b.Addr(), peer.StreamLife)
			require.NoError(t, err)
			require.NoError(t, a.Close(), "it closes its connections without a word, as the kernel would")
			require.Equal(t, io.EOF, <-ended)
		})
	}
}

func TestWithoutACertificateOfTheClusterNobodyIsLetIn(t *testing.T) {
	ca := peertest.NewAuthority(t)
	ours := ca.Node(t, "node-2.millrace")
	for name, c := range map[string]struct {
		dials, answers *peer.TLS
		why            string
	}{
		"a stranger's certificate":           {peertest.NewAuthority(t).Node(t, "node-1.millrace"), ours, "not one of this cluster"},
		"another node's certificate":         {ca.Node(t, "node-3.millrace"), ours, "needs the DNS name node-1.millrace"},
		"no TLS":                             {nil, ours, "it asks for TLS"},
		"the other side has no TLS":          {ca.Node(t, "node-1.millrace"), nil, "TLS"},
		"the other side shows another's":     {ca.Node(t, "node-1.millrace"), ca.Node(t, "node-5.millrace"), "needs the DNS name node-2.millrace"},
		"the other side shows none of names": {ca.Node(t, "node-1.millrace"), ca.Node(t), "needs the DNS name node-2.millrace"},
	} {
		t.Run(name, func(t *testing.T) {
			b := startTLS(t, 2, c.answers)
			_, _, err := startTLS(t, 1, c.dials).Dial(t.Context(), b.Addr(), peer.StreamKafka)
			require.ErrorContains(t, err, c.why)
		})
	}
}

// TestAStrangerThatChecksNothingIsTurnedAway: one that takes any certificate and shows one that the cluster's authority has not signed is told so when it first reads.
func TestAStrangerThatChecksNothingIsTurnedAway(t *testing.T) {
	ca, other := peertest.NewAuthority(t), peertest.NewAuthority(t)
	b := startTLS(t, 2, ca.Node(t, "node-2.millrace"))
	_, _, err := startTLS(t, 1, other.Stranger(t, ca, "node-1.millrace")).Dial(t.Context(), b.Addr(), peer.StreamKafka)
	require.ErrorIs(t, err, peer.ErrRefused)
	require.ErrorContains(t, err, "does not accept this node's certificate")
}
