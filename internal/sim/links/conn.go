package links

import (
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// chunk is what one write has put on the way.
type chunk struct {
	data []byte
	at   time.Time // when it arrives
	fin  bool      // it is the end of the stream, without data
}

// Conn is one end of a connection. All of it is under the network's lock.
type Conn struct {
	host  *Host
	local *net.TCPAddr
	peer  *Conn

	in     []chunk // under way to this end, or arrived and not read
	inSize int
	closed bool
	reset  bool
	cut    bool          // the network has ended its stream: see Network.Finish
	wake   chan struct{} // closed when anything changes for this end; nil while nobody waits

	readBy, writeBy time.Time // deadlines; zero for none
}

var _ net.Conn = (*Conn)(nil)

// wakeLocked has those who wait look again.
func (c *Conn) wakeLocked() {
	if c.wake != nil {
		close(c.wake)
		c.wake = nil
	}
}

// waitLocked returns a channel that is closed when something changes.
func (c *Conn) waitLocked() <-chan struct{} {
	if c.wake == nil {
		c.wake = make(chan struct{})
	}
	return c.wake
}

// resetLocked ends this end as the other's reset does.
func (c *Conn) resetLocked() {
	c.reset = true
	c.in, c.inSize = nil, 0
	delete(c.host.n.mu.conns, c)
	c.wakeLocked()
}

// abandonLocked ends the connection as the kernel does for a process that is no more: with a reset if something had come that the process had not read.
func (c *Conn) abandonLocked() {
	switch now := c.host.n.clock.Now(); {
	case c.closed || c.reset || c.peer.closed || c.peer.reset:
	case c.inSize > 0 && !c.stuckLocked() && !c.in[0].at.After(now):
		c.peer.resetLocked()
	default:
		c.peer.putLocked(chunk{fin: true})
	}
}

// finishLocked ends what is read here, and takes no more writes.
func (c *Conn) finishLocked() {
	if c.cut {
		return
	}
	c.cut = true
	c.putLocked(chunk{fin: true})
}

// stuckLocked reports whether nothing arrives here now.
func (c *Conn) stuckLocked() bool {
	from := c.peer.host
	return from.down && from.silent || c.host.n.mu.held[way{from.ip, c.host.ip}]
}

// putLocked puts a chunk on the way to this end.
func (c *Conn) putLocked(k chunk) {
	n := c.host.n
	k.at = n.clock.Now().Add(n.delay(c.peer.host.ip, c.host.ip))
	if l := len(c.in); l > 0 && c.in[l-1].at.After(k.at) {
		k.at = c.in[l-1].at // in order
	}
	c.in = append(c.in, k)
	c.inSize += len(k.data)
	c.wakeLocked()
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	for {
		n, wait, at, err := c.read(p)
		if wait == nil {
			return n, c.opError("read", err)
		}
		c.await(wait, at)
	}
}

// await waits until the channel is closed or, unless at is zero, until then.
func (c *Conn) await(wait <-chan struct{}, at time.Time) {
	clock := c.host.n.clock
	if at.IsZero() {
		<-wait
		return
	}
	t := clock.NewTimer(at.Sub(clock.Now()))
	defer t.Stop()
	select {
	case <-wait:
	case <-t.C():
	}
}

// read reads what has arrived, or says for what, and at most until when, to wait.
func (c *Conn) read(p []byte) (n int, wait <-chan struct{}, at time.Time, err error) {
	net := c.host.n
	net.mu.Lock()
	defer net.mu.Unlock()
	now := net.clock.Now()
	until := c.readBy
	if err := c.brokenLocked(until, now); err != nil || len(p) == 0 {
		return 0, nil, at, err
	}
	if !c.stuckLocked() {
		for len(c.in) > 0 && !c.in[0].at.After(now) && n < len(p) {
			if c.in[0].fin {
				if n == 0 {
					err = io.EOF
				}
				return n, nil, at, err
			}
			n += c.takeLocked(p[n:])
		}
		if n > 0 {
			c.peer.wakeLocked() // there is room again
			return n, nil, at, nil
		}
		if len(c.in) > 0 {
			at = c.in[0].at
		}
	}
	if at.IsZero() || !until.IsZero() && until.Before(at) {
		at = until
	}
	return 0, c.waitLocked(), at, nil
}

// takeLocked takes bytes off the first chunk.
func (c *Conn) takeLocked(p []byte) int {
	k := &c.in[0]
	n := copy(p, k.data)
	c.inSize -= n
	if k.data = k.data[n:]; len(k.data) == 0 {
		c.in = c.in[1:]
	}
	return n
}

// brokenLocked says why this end cannot be used.
func (c *Conn) brokenLocked(until, now time.Time) error {
	switch {
	case c.closed:
		return net.ErrClosed
	case c.reset:
		return syscall.ECONNRESET
	case !until.IsZero() && !until.After(now):
		return os.ErrDeadlineExceeded
	}
	return nil
}

// Write implements net.Conn.
func (c *Conn) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		wait, until, err := c.write(p)
		if err != nil {
			return 0, c.opError("write", err)
		}
		if wait == nil {
			return len(p), nil
		}
		c.await(wait, until)
	}
}

// write writes p, or says for what, and at most until when, to wait.
func (c *Conn) write(p []byte) (wait <-chan struct{}, until time.Time, err error) {
	net := c.host.n
	net.mu.Lock()
	defer net.mu.Unlock()
	now := net.clock.Now()
	until = c.writeBy
	if err := c.brokenLocked(until, now); err != nil {
		return nil, until, err
	}
	if c.cut {
		return nil, until, syscall.EPIPE
	}
	if c.peer.closed || c.peer.reset {
		if n := len(c.in); n > 0 && c.in[n-1].fin && !c.stuckLocked() && !c.in[n-1].at.After(now) {
			return nil, until, syscall.EPIPE
		}
		return nil, until, nil // nobody reads it, but that is not known here
	}
	if c.peer.inSize >= window {
		return c.waitLocked(), until, nil
	}
	c.peer.putLocked(chunk{data: append([]byte(nil), p...)})
	return nil, until, nil
}

// Close implements net.Conn. What has been written still arrives.
func (c *Conn) Close() error {
	n := c.host.n
	n.mu.Lock()
	defer n.mu.Unlock()
	if c.closed {
		return c.opError("close", net.ErrClosed)
	}
	c.closed = true
	c.in, c.inSize = nil, 0
	c.wakeLocked()
	delete(n.mu.conns, c)
	if !c.reset && !c.peer.closed && !c.peer.reset {
		c.peer.putLocked(chunk{fin: true})
	}
	return nil
}

func (c *Conn) opError(op string, err error) error {
	if err == nil || err == io.EOF { //nolint:errorlint // it is made here, and readers compare it so
		return err
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.peer.local, Err: err}
}

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return c.peer.local }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error { return c.setDeadlines(&t, &t) }

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.setDeadlines(&t, nil) }

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.setDeadlines(nil, &t) }

func (c *Conn) setDeadlines(read, write *time.Time) error {
	n := c.host.n
	n.mu.Lock()
	defer n.mu.Unlock()
	if c.closed {
		return c.opError("set", net.ErrClosed)
	}
	if read != nil {
		c.readBy = *read
	}
	if write != nil {
		c.writeBy = *write
	}
	c.wakeLocked()
	return nil
}
