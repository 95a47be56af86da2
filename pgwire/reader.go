package pgwire

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"slices"

	"github.com/millracedb/millrace/internal/sqlerr"
)

const (
	headerBytes = 5 // type and length
	// readStep bounds how much of a body is allocated before its bytes have come, so that a lying length costs little.
	readStep = 1 << 20
)

// read is the reader goroutine: it cuts the input into messages until the client goes, and so notices that while a query
// runs. A client that is gone, by end of file or Terminate, ends the connection's context.
func (c *conn) read(r *bufio.Reader) {
	err := c.readMessages(r)
	var e *sqlerr.Error
	if !errors.As(err, &e) {
		c.end(errDisconnected)
		err = errDisconnected
	}
	c.in.end(err)
}

// readMessages returns when there is nothing more to read: a *sqlerr.Error is to be told to the client.
func (c *conn) readMessages(r *bufio.Reader) error {
	var head [headerBytes]byte
	for {
		if !completeMessage(r) {
			signal(c.in.wake)
		}
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return err
		}
		typ, length := head[0], int64(binary.BigEndian.Uint32(head[1:]))-4
		switch {
		case typ == 'X':
			return errDisconnected
		case !isFrontendType(typ):
			return fatal(sqlerr.New(sqlerr.ProtocolViolation, "invalid frontend message type %d", typ))
		case length < 0:
			return fatal(sqlerr.New(sqlerr.ProtocolViolation, "invalid length of message type %q", string(typ)))
		}
		if err := c.readMessage(r, typ, int(length)); err != nil {
			return err
		}
	}
}

// readMessage reads a body into the inbox, or reads it away when it is too long.
func (c *conn) readMessage(r *bufio.Reader, typ byte, length int) error {
	tooLong := length > c.server.config.MaxMessageBytes
	size := length
	if tooLong {
		size = 0
	}
	m, err := c.in.reserve(c.ctx, size)
	if err != nil {
		return err
	}
	m.typ = typ
	if tooLong {
		m.tooLong = length
		_, err = io.CopyN(io.Discard, r, int64(length))
	} else {
		m.body, err = readBody(r, m.body, length)
	}
	if err != nil {
		return err
	}
	c.in.publish(m)
	return nil
}

// readBody reads n bytes into dst, growing it as they come.
func readBody(r io.Reader, dst []byte, n int) ([]byte, error) {
	for len(dst) < n {
		step := min(n-len(dst), readStep)
		at := len(dst)
		dst = slices.Grow(dst, step)[:at+step]
		if _, err := io.ReadFull(r, dst[at:]); err != nil {
			return dst[:0], err
		}
	}
	return dst, nil
}

// completeMessage tells whether a whole message is in the buffer: then the executor need not be woken before it is read.
func completeMessage(r *bufio.Reader) bool {
	if r.Buffered() < headerBytes {
		return false
	}
	head, err := r.Peek(headerBytes)
	return err == nil && int64(r.Buffered()) > int64(binary.BigEndian.Uint32(head[1:]))
}

func isFrontendType(typ byte) bool {
	switch typ {
	case 'B', 'C', 'D', 'E', 'F', 'H', 'P', 'Q', 'S', 'X', 'c', 'd', 'f':
		return true
	}
	return false
}
