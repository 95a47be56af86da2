package kafka_test

import (
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/node"
	"github.com/millracedb/millrace/internal/node/nodetest"
)

// TestAServerThatEndsResetsConnectionsOnWhichItHasSaidNothing: clients take an end in good order there for a server that wants something else of them, and give up what they were to produce.
func TestAServerThatEndsResetsConnectionsOnWhichItHasSaidNothing(t *testing.T) {
	n, err := nodetest.Open(t.Context(), node.Config{Kafka: "127.0.0.1:0"})
	require.NoError(t, err)
	dial := func() net.Conn {
		nc, err := net.Dial("tcp", n.KafkaAddr().String())
		require.NoError(t, err)
		t.Cleanup(func() { _ = nc.Close() })
		require.NoError(t, nc.SetReadDeadline(time.Now().Add(2*time.Minute)))
		return nc
	}
	answered, silent := dial(), dial()
	req := kmsg.NewPtrApiVersionsRequest()
	_, err = answered.Write(kmsg.NewRequestFormatter().AppendRequest(nil, req, 1))
	require.NoError(t, err)
	var size [4]byte
	_, err = io.ReadFull(answered, size[:])
	require.NoError(t, err)
	require.NoError(t, n.Close())
	_, err = io.Copy(io.Discard, answered)
	require.NoError(t, err, "it ends in good order")
	_, err = io.Copy(io.Discard, silent)
	require.ErrorIs(t, err, syscall.ECONNRESET)
}
