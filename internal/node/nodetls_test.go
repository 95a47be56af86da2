package node_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/node"
	"github.com/millracedb/millrace/internal/node/nodetest"
	"github.com/millracedb/millrace/internal/peer"
	"github.com/millracedb/millrace/internal/peer/peertest"
)

func TestNodesWithCertificatesFormAClusterThatNoStrangerJoins(t *testing.T) {
	t.Parallel() // it waits more than it works
	ca := peertest.NewAuthority(t)
	c := nodetest.StartCluster(t, 3, func(m *nodetest.Member) { m.TLS = ca.Node(t, peer.NodeName(m.ID)) })
	exec(t, nodetest.Connect(t, nodetest.ConnString(c[1].Node)), "CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
	replicated(t, c[2])
	require.Equal(t, []string{"1"}, texts(t, nodetest.Connect(t, nodetest.ConnString(c[2].Node)), "SELECT id FROM t"))

	stranger := nodetest.NewMember(t, 4, c[0].Addr)
	for why, tls := range map[string]*peer.TLS{
		"it asks for TLS": nil,
		"its certificate is not one of this cluster":           peertest.NewAuthority(t).Node(t, peer.NodeName(4)),
		"does not accept this node's certificate":              peertest.NewAuthority(t).Stranger(t, ca, peer.NodeName(4)),
		fmt.Sprintf("needs the DNS name %s", peer.NodeName(4)): ca.Node(t, peer.NodeName(1)),
	} {
		stranger.TLS = tls
		require.ErrorContains(t, stranger.TryStart(), why)
	}
	stranger.TLS = ca.Node(t, peer.NodeName(4))
	stranger.Start()
	eventually(t, c[:1], []string{"[4]"}, "SELECT count(*) FROM millrace.nodes WHERE state = 'online'")
}

func TestANodeListensBeyondLoopbackWithACertificate(t *testing.T) {
	cfg := node.Config{Dir: "/data", Raft: "0.0.0.0:7433"}
	cfg.EnsureDefaults()
	require.ErrorContains(t, cfg.Validate(), "--node-tls-cert")
	cfg.NodeTLS = peertest.NewAuthority(t).Node(t, peer.NodeName(1))
	require.NoError(t, cfg.Validate())
}
