package nodetest

import (
	"net"
	"net/netip"
	"syscall"
	"testing"
)

// FreeAddr returns an address of loopback that nobody else is given before the test ends, however often somebody begins and ends to listen there: a socket is bound to it that does not listen.
// Linux lets another one, with SO_REUSEADDR as Go sets it, be bound to the same address and listen, but picks the port for nobody who asks for any, neither to listen nor to connect from
// (socket(7), ip(7)).
func FreeAddr(tb testing.TB) string {
	tb.Helper()
	addr, err := reserve(tb)
	if err != nil {
		tb.Fatalf("reserving a port: %v", err)
	}
	return addr
}

func reserve(tb testing.TB) (string, error) {
	syscall.ForkLock.RLock() // no child may inherit the socket
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return "", err
	}
	tb.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return "", err
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: netip.MustParseAddr("127.0.0.1").As4()}); err != nil {
		return "", err
	}
	sa, err := syscall.Getsockname(fd)
	if err != nil {
		return "", err
	}
	in := sa.(*syscall.SockaddrInet4)
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.AddrFrom4(in.Addr), uint16(in.Port))).String(), nil
}
