package kafka

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// conn is one connection. The reader takes a request, starts it, and queues the answer for the writer, so answers leave in the order of the
// requests, whatever they wait for.
type conn struct {
	server *Server
	raw    net.Conn // as it was accepted
	nc     net.Conn // the same, or TLS over it; set before the writer starts
	in     *bufio.Reader
	log    *slog.Logger
	ctx    context.Context // ends with the connection, or when the server closes
	cancel context.CancelFunc

	out []byte // of responses; the writer's

	clientID string // of the request in progress; the reader's
	software string // name and version as ApiVersions told; the reader's

	encrypted bool         // by TLS
	user      string       // who has authenticated; the reader's, as the rest
	sasl      saslExchange // while a client authenticates
	hangUp    error        // why the connection ends after this answer

	session *fetchSession // nil without one; the reader's

	answered bool         // once at least; the writer's, until it has ended
	asked    atomic.Int64 // when the client last asked for a partition or a coordinator, in nanoseconds since 1970; 0: never

	pause  time.Duration // before the next request is read, by a quota; the reader's
	waited time.Duration // of the request in progress, for something to happen; the reader's
}

// answer is a response on its way.
type answer struct {
	correlation int32
	// finish waits for the response; nil if there is none to send (acks=0) because all went well.
	finish func() response
	held   int64 // bytes of the budget
}

// errHangUp ends a connection where the protocol has no other way to say that something is wrong.
var errHangUp = errors.New("a produce request without acks failed")

func newConn(s *Server, nc net.Conn) *conn {
	c := &conn{server: s, raw: nc, nc: nc, in: bufio.NewReaderSize(nc, readBufferBytes), log: s.config.Logger.With("client", nc.RemoteAddr().String())}
	c.ctx, c.cancel = context.WithCancel(s.ctx)
	return c
}

// serve is the life of the connection.
func (c *conn) serve() {
	defer func() {
		if !c.answered && c.server.ctx.Err() != nil {
			reset(c.raw)
		}
		_ = c.raw.Close()
	}()
	defer c.cancel()
	if err := c.begin(); err != nil {
		c.log.Debug("connection closed", "err", err)
		return
	}
	answers := make(chan answer, maxInFlight)
	var writer sync.WaitGroup
	writer.Go(func() { c.write(answers) })
	err := c.read(answers)
	c.closeSession()
	c.cancel() // nobody is there to hear what is waited for, such as the rest of a group
	close(answers)
	writer.Wait()
	if err != nil && !errors.Is(err, io.EOF) && c.server.ctx.Err() == nil {
		c.log.Debug("connection closed", "err", err)
	}
}

// reset has a connection end by a reset when it is closed. A server that hangs up in good order before it has answered anything looks to clients like one that wants something else of them, TLS or a
// password: franz-go fails what was to be produced. After a reset they try again.
func reset(nc net.Conn) {
	if tcp, ok := nc.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
}

// stopReading lets the reader take no more requests; those it has are answered.
func (c *conn) stopReading() { _ = c.raw.SetReadDeadline(time.Unix(1, 0)) }

// read takes requests until something is wrong or the connection ends.
func (c *conn) read(answers chan<- answer) error {
	for {
		size, key, err := c.readStart()
		if err != nil {
			return err
		}
		err = checkSize(size, key)
		if c.locked() && size > maxLockedBytes {
			err = errUnauthenticated
		}
		if err != nil {
			c.log.Warn("connection closed", "err", err)
			return err
		}
		cost := int64(size)
		if key != keyProduce {
			cost *= decodeCost
		}
		held, err := c.server.memory.take(c.ctx, cost)
		if err != nil {
			return err
		}
		a, err := c.take(size)
		if keep := min(held, int64(size)); err == nil && held > keep {
			c.server.memory.give(held - keep) // it is decoded: what it really takes is known to be small
			held = keep
		}
		if err != nil {
			c.server.memory.give(held)
			if errors.Is(err, errMalformed) {
				c.log.Warn("connection closed", "err", err)
			}
			return err
		}
		a.held = held
		answers <- a // the writer takes until the channel is closed
		if err := c.rest(); err != nil {
			return err
		}
		if c.hangUp != nil {
			return c.hangUp
		}
	}
}

// readStart waits for a request and returns its size and key.
func (c *conn) readStart() (size int32, key int16, err error) {
	if c.server.ctx.Err() != nil {
		return 0, 0, c.server.ctx.Err()
	}
	deadline := time.Time{}
	if c.locked() {
		deadline = c.server.config.Clock.Deadline(frameTimeout)
	}
	if err := c.nc.SetReadDeadline(deadline); err != nil {
		return 0, 0, err
	}
	if c.server.ctx.Err() != nil { // stopReading may have come before the deadline was taken back
		return 0, 0, c.server.ctx.Err()
	}
	if _, err := c.in.Peek(1); err != nil {
		return 0, 0, err
	}
	if err := c.nc.SetReadDeadline(c.server.config.Clock.Deadline(frameTimeout)); err != nil {
		return 0, 0, err
	}
	b, err := c.in.Peek(sizeBytes)
	if err != nil {
		return 0, 0, err
	}
	size = int32(binary.BigEndian.Uint32(b))
	if size < minRequestBytes {
		return size, 0, nil
	}
	if b, err = c.in.Peek(sizeBytes + 2); err != nil {
		return 0, 0, err
	}
	key = int16(binary.BigEndian.Uint16(b[sizeBytes:]))
	_, err = c.in.Discard(sizeBytes)
	return size, key, err
}

// take reads the body and starts the request.
func (c *conn) take(size int32) (answer, error) {
	body := c.server.buffers.get(int(size))
	defer c.server.buffers.put(body)
	if _, err := io.ReadFull(c.in, body); err != nil {
		return answer{}, err
	}
	return c.start(body)
}

// write sends the answers in order. When that fails it closes the connection, which ends the reader, and goes on taking answers so that the reader
// is never stuck.
func (c *conn) write(answers <-chan answer) {
	broken := false
	for a := range answers {
		if err := c.send(a, broken); err != nil && !broken {
			broken = true
			c.cancel()
			_ = c.raw.Close()
			c.log.Debug("connection closed", "err", err)
		}
		c.server.memory.give(a.held)
	}
}

// send waits for an answer and sends it.
func (c *conn) send(a answer, broken bool) error {
	if a.finish == nil {
		return nil
	}
	resp := a.finish()
	if resp == nil {
		return errHangUp
	}
	f, fetched := resp.(*fetchResponse)
	if fetched {
		defer f.release(c.server.memory)
	}
	switch {
	case broken:
		return nil
	case fetched:
		return c.sendFetch(a.correlation, f)
	}
	return c.sendMessage(a.correlation, resp.(kmsg.Response))
}

func (c *conn) sendMessage(correlation int32, resp kmsg.Response) error {
	out, err := appendResponse(c.out[:0], correlation, resp)
	if err != nil {
		return err
	}
	c.keepOut(out)
	if err := c.nc.SetWriteDeadline(c.server.config.Clock.Deadline(writeTimeout)); err != nil {
		return err
	}
	_, err = c.nc.Write(out)
	c.answered = c.answered || err == nil
	return err
}

// keepOut keeps the buffer of a response for the next one, unless it is large.
func (c *conn) keepOut(out []byte) {
	if c.out = out; cap(out) > keepBufferBytes {
		c.out = nil
	}
}
