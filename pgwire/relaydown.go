package pgwire

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
)

// follow gives the client what its session's server sends, and goes on with the next server when that has gone. It returns why the connection ends.
func (r *relay) follow(far net.Conn, out *bufio.Reader) error {
	for {
		err := r.fromServer(out)
		_ = far.Close()
		if r.over || r.c.out.err != nil {
			return errDisconnected
		}
		if r.c.ctx.Err() != nil {
			return r.farewell()
		}
		r.c.logger.Debug("the session's server has gone", "err", err)
		if err := r.lose(); err != nil {
			r.c.end(err)
			return r.farewell()
		}
		if far, out, err = r.resume(); err != nil {
			r.c.end(err)
			return r.farewell()
		}
	}
}

// farewell tells the client why its connection ends, unless it has gone or has half a message.
func (r *relay) farewell() error {
	err := context.Cause(r.c.ctx)
	if r.torn || r.over || errors.Is(err, errDisconnected) {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.c.sendFatal(err)
	return err
}

// fromServer gives the client what its session's server sends, until that goes or the session ends.
func (r *relay) fromServer(out *bufio.Reader) error {
	for r.c.out.err == nil {
		if _, err := r.message(out); err != nil {
			return err
		}
	}
	return r.c.out.err
}

// message takes a message of the server and returns its type. Those for the client wait in its writer until nothing more is at hand.
func (r *relay) message(in *bufio.Reader) (typ byte, err error) {
	if in.Buffered() < headerBytes {
		r.out.flush()
	}
	head, err := in.Peek(headerBytes)
	if err != nil {
		return 0, err
	}
	typ, size := head[0], int(binary.BigEndian.Uint32(head[1:]))+1
	switch typ {
	case msgProgress, msgLeave, msgFarewell, 'Z', 'S':
		m, err := r.whole(in, size)
		if err != nil {
			return typ, err
		}
		return typ, r.note(typ, m)
	case 'A', 'N':
	case 'E':
		r.answering, r.failed = true, true
	case 'G':
		r.answering, r.copying = true, true
	default:
		r.answering = true
	}
	return typ, r.pass(in, size)
}

// whole reads a message that the relay must understand.
func (r *relay) whole(in *bufio.Reader, size int) ([]byte, error) {
	if size > maxOpeningBytes {
		return nil, fmt.Errorf("pgwire: a message of %d bytes from the session's server", size)
	}
	if in.Buffered() < size {
		r.out.flush()
	}
	if size <= in.Size() {
		m, err := in.Peek(size)
		if err == nil {
			_, err = in.Discard(size)
		}
		return m, err
	}
	return readBody(in, nil, size)
}

// note takes in what the relay must know.
func (r *relay) note(typ byte, m []byte) error {
	body := m[headerBytes:]
	switch typ {
	case msgFarewell:
		r.over = true
	case msgLeave:
		r.left = true
	case msgProgress:
		handled, grown, err := readProgress(body, r.state)
		if err != nil {
			return err
		}
		r.handled = handled
		if r.stateBytes += grown; r.stateBytes > MaxStateBytes {
			r.state[StateBound] = "What the session has prepared is larger than what another node can take over."
		}
	case 'S':
		b := bodyOf(body)
		name, value := b.string(), b.string()
		if have, ok := r.params[name]; !ok || have != value {
			r.params[name] = value
			r.out.parameterStatus(name, value)
		}
	case 'Z':
		return r.ready(m)
	}
	return nil
}

func bodyOf(p []byte) *body { return &body{rest: p} }

// ready ends a unit of work. The first one of a server is not for the client.
func (r *relay) ready(m []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	status := TxStatus(m[len(m)-1])
	if r.mu.far == nil {
		r.mu.status = status
		return nil
	}
	r.answering, r.failed, r.copying = false, false, false
	r.mu.status = status
	r.mu.untold = false
	full := r.mu.sent.full()
	r.mu.sent.answered(r.handled)
	if full {
		r.changedLocked()
	}
	r.out.buf = append(r.out.buf, m...)
	if r.mu.draining && r.restsLocked() {
		r.out.flush()
		return errGone
	}
	return nil
}

// pass gives the client a message as it is. It is held until all of it is there, if it is not too long.
func (r *relay) pass(in *bufio.Reader, size int) error {
	out := r.out
	if in.Buffered() < size || len(out.buf) >= relayBufferBytes {
		out.flush()
	}
	start := len(out.buf)
	for left := size; left > 0; {
		if _, err := in.Peek(1); err != nil {
			if !r.torn {
				out.buf = out.buf[:start]
			}
			return io.ErrUnexpectedEOF
		}
		p, _ := in.Peek(min(left, in.Buffered())) // they are there
		out.buf = append(out.buf, p...)
		left -= len(p)
		_, _ = in.Discard(len(p)) // they are there
		if size > maxWholeBytes && left > 0 && len(out.buf) >= relayBufferBytes {
			r.torn = true
			out.flush()
			if out.err != nil {
				return out.err
			}
		}
	}
	r.torn = false
	return nil
}
