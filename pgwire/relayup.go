package pgwire

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"
	"time"

	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/sqlerr"
)

// batch is what the client has sent and its server is about to get: whole messages.
type batch struct {
	bytes []byte
	ends  []int // of the messages in bytes
}

// message returns the type and body of the i-th message.
func (b *batch) message(i int) (typ byte, body []byte) {
	from := 0
	if i > 0 {
		from = b.ends[i-1]
	}
	m := b.bytes[from:b.ends[i]]
	return m[0], m[headerBytes:]
}

func (b *batch) clear() { b.bytes, b.ends = b.bytes[:0], b.ends[:0] }

// dropFirst takes the first n messages off.
func (b *batch) dropFirst(n int) {
	if n == 0 {
		return
	}
	at := b.ends[n-1]
	b.bytes = append(b.bytes[:0], b.bytes[at:]...)
	b.ends = append(b.ends[:0], b.ends[n:]...)
	for i := range b.ends {
		b.ends[i] -= at
	}
}

// fromClient hands on what the client sends until it goes. What has come is sent together.
func (r *relay) fromClient(in *bufio.Reader) error {
	for {
		if !completeMessage(in) || len(r.batch.bytes) >= relayBufferBytes {
			if err := r.send(); err != nil {
				return err
			}
		}
		head, err := in.Peek(headerBytes)
		if err != nil {
			return errDisconnected
		}
		typ, size := head[0], int64(binary.BigEndian.Uint32(head[1:]))+1
		switch {
		case typ == 'X':
			return errDisconnected
		case !isFrontendType(typ) || size < headerBytes:
			return r.violation(head)
		case size > int64(in.Size()):
			err = r.sendLong(in, typ, size)
		default:
			err = r.take(in, int(size))
		}
		if err != nil {
			return err
		}
	}
}

// take puts the next message into the batch.
func (r *relay) take(in *bufio.Reader, size int) error {
	m, err := in.Peek(size)
	if err != nil {
		return errDisconnected
	}
	r.batch.bytes = append(r.batch.bytes, m...)
	r.batch.ends = append(r.batch.ends, len(r.batch.bytes))
	_, err = in.Discard(size)
	return err
}

// violation hands on bytes that are no message, and leaves it to the session's server to end it.
func (r *relay) violation(head []byte) error {
	if err := r.send(); err != nil {
		return err
	}
	if far := r.server(); far != nil {
		_, _ = far.Write(head) // follow sees it if it has gone
	}
	<-r.c.ctx.Done()
	return context.Cause(r.c.ctx)
}

func (r *relay) server() net.Conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mu.far
}

// send gives the batch to the session's server. When that has gone it waits for the next one, and refuses the batch when it waits too long.
func (r *relay) send() error {
	if len(r.batch.ends) == 0 {
		return nil
	}
	defer r.batch.clear()
	far, err := r.admit(func() bool {
		r.skipLocked()
		for i := range r.batch.ends {
			typ, body := r.batch.message(i)
			r.mu.sent.add(typ, body, true)
		}
		return len(r.batch.ends) > 0
	}, r.refuseLocked)
	if far != nil {
		_, _ = far.Write(r.batch.bytes) // follow sees it if it has gone, and what has become of the batch is unknown then
	}
	return err
}

// skipLocked takes what the client still sends of a unit of work that has failed out of the batch.
func (r *relay) skipLocked() {
	n := 0
	for n < len(r.batch.ends) && r.mu.skipping {
		if typ, _ := r.batch.message(n); typ == 'S' {
			r.mu.skipping = false // the server answers it
			break
		}
		n++
	}
	r.batch.dropFirst(n)
}

// sendLong hands on a message that is longer than the buffer as it comes.
func (r *relay) sendLong(in *bufio.Reader, typ byte, size int64) error {
	if err := r.send(); err != nil {
		return err
	}
	far, err := r.admit(func() bool {
		if r.mu.skipping {
			return false
		}
		r.mu.sent.add(typ, nil, false)
		return true
	}, func() {
		r.tellLocked([]Message{{Type: typ}}, nobody(r.mu.why))
	})
	if err != nil {
		return err
	}
	to := io.Discard
	if far != nil {
		to = &deaf{far}
	}
	if _, err := io.CopyN(to, in, size); err != nil {
		return errDisconnected
	}
	return nil
}

// deaf writes until that fails, and then nowhere.
type deaf struct{ w io.Writer }

func (d *deaf) Write(p []byte) (int, error) {
	if d.w != nil {
		if _, err := d.w.Write(p); err != nil {
			d.w = nil
		}
	}
	return len(p), nil
}

// admit waits for a server and calls begin, under the lock, just before something is sent there; begin returns false if there is nothing to send after all. When it has waited too long it
// calls refuse. It returns nil where nothing is to be sent.
func (r *relay) admit(begin func() bool, refuse func()) (net.Conn, error) {
	clk := r.c.server.config.Clock
	var timer clock.Timer
	var late <-chan time.Time
	defer func() {
		if timer != nil {
			timer.Stop()
		}
	}()
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		if r.mu.far != nil && !r.mu.sent.full() {
			if !begin() {
				return nil, nil
			}
			return r.mu.far, nil
		}
		if r.mu.far == nil && timer == nil {
			timer = clk.NewTimer(upstreamWait)
			late = timer.C()
		}
		changed := r.mu.changed
		r.mu.Unlock()
		waited := false
		select {
		case <-changed:
		case <-late:
			waited = true
		case <-r.c.ctx.Done():
		}
		r.mu.Lock()
		if r.c.ctx.Err() != nil {
			return nil, context.Cause(r.c.ctx)
		}
		if waited && r.mu.far == nil {
			refuse()
			return nil, nil
		}
		if waited {
			timer, late = nil, nil
		}
	}
}

// refuseLocked answers the batch: there is no server.
func (r *relay) refuseLocked() {
	r.skipLocked()
	messages := make([]Message, len(r.batch.ends))
	for i := range messages {
		messages[i].Type, messages[i].Body = r.batch.message(i)
	}
	r.tellLocked(messages, nobody(r.mu.why))
}

// tellLocked answers messages of the client with an error for each unit of work; what comes yet of the last one is skipped. There is no server that could answer at the same time.
func (r *relay) tellLocked(messages []Message, e *sqlerr.Error) {
	told := false
	for _, m := range messages {
		switch m.Type {
		case 'd', 'c', 'f', 'H': // they are not answered
			continue
		}
		if r.mu.skipping && m.Type != 'S' {
			continue
		}
		if !told && !r.mu.skipping {
			r.c.out.problem('E', e, severityError, "")
			told = true
		}
		r.mu.skipping = !endsUnit(m.Type)
		if !r.mu.skipping {
			told = false
			r.readyForQuery()
		}
	}
	r.c.out.flush()
}
