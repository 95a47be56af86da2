package nodetest

import (
	"net"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAReservedAddressCanBeListenedOnAgainAndAgain(t *testing.T) {
	addr := FreeAddr(t)
	_, err := net.Dial("tcp", addr)
	require.ErrorIs(t, err, syscall.ECONNREFUSED, "nobody listens there")
	for range 3 {
		l, err := net.Listen("tcp", addr)
		require.NoError(t, err)
		near, err := net.Dial("tcp", addr)
		require.NoError(t, err)
		far, err := l.Accept()
		require.NoError(t, err)
		_, err = net.Listen("tcp", addr)
		require.ErrorIs(t, err, syscall.EADDRINUSE, "it is listened on")
		require.NoError(t, l.Close()) // with a connection open, as when a node is killed
		defer func() { require.NoError(t, near.Close()) }()
		defer func() { require.NoError(t, far.Close()) }()
	}
}
