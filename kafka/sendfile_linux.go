package kafka

import (
	"errors"
	"net"

	"golang.org/x/sys/unix"
)

// sendFile sends n bytes of a file from pos on. The position of the descriptor is neither used nor moved, so any number of readers can share it. done is false if
// the kernel cannot do it for this file; then nothing has been sent.
func sendFile(conn *net.TCPConn, fd uintptr, pos, n int64) (done bool, _ error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return false, err
	}
	start := pos
	var failed error
	err = raw.Write(func(socket uintptr) bool {
		for n > 0 {
			sent, err := unix.Sendfile(int(socket), int(fd), &pos, int(n))
			switch {
			case errors.Is(err, unix.EINTR):
			case errors.Is(err, unix.EAGAIN):
				return false // called again when the socket takes more
			case err != nil:
				failed = err
				return true
			case sent == 0:
				failed = errFileShort
				return true
			}
			n -= int64(max(sent, 0))
		}
		return true
	})
	if pos == start && (errors.Is(failed, unix.EINVAL) || errors.Is(failed, unix.ENOSYS)) {
		return false, nil
	}
	return true, errors.Join(err, failed)
}
