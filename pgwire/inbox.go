package pgwire

import (
	"context"
	"sync"
)

// message is a message from the client, not yet decoded. body belongs to the inbox and is reused after release.
type message struct {
	typ     byte
	tooLong int // the length of a body that was read away for being over the limit; else 0
	body    []byte
}

// inbox is the bounded queue between a connection's reader and its executor, one goroutine each. The slots keep small
// bodies, so that steady traffic allocates nothing.
type inbox struct {
	// wake, of capacity 1, tells the executor to look again: there is a message, the reader ended, or something else of the
	// connection changed.
	wake  chan struct{}
	space chan struct{} // of capacity 1: tells the reader that a slot was released

	mu struct {
		sync.Mutex
		slots   [maxQueuedMessages]message
		head, n int   // published messages, the one the executor works on included
		bytes   int   // of their bodies
		err     error // why the reader ended; nil while it runs
	}
}

func newInbox() *inbox {
	return &inbox{wake: make(chan struct{}, 1), space: make(chan struct{}, 1)}
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// reserve waits until there is room for a body of size bytes and returns the slot to fill; publish makes it visible.
func (q *inbox) reserve(ctx context.Context, size int) (*message, error) {
	for {
		if m := q.tryReserve(size); m != nil {
			return m, nil
		}
		signal(q.wake)
		select {
		case <-q.space:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (q *inbox) tryReserve(size int) *message {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.mu.n == maxQueuedMessages || (q.mu.bytes > 0 && q.mu.bytes+size > maxQueuedBytes) {
		return nil
	}
	m := &q.mu.slots[(q.mu.head+q.mu.n)%maxQueuedMessages]
	m.tooLong = 0
	m.body = m.body[:0]
	return m
}

// publish hands the reserved slot to the executor without waking it: the reader does that when it has read all there is.
func (q *inbox) publish(m *message) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.mu.n++
	q.mu.bytes += len(m.body)
}

// end notes that the reader stopped, and why. Messages published before it stay readable.
func (q *inbox) end(err error) {
	q.mu.Lock()
	q.mu.err = err
	q.mu.Unlock()
	signal(q.wake)
}

// peek returns the oldest message, or nil and, once the reader has ended, the reason.
func (q *inbox) peek() (*message, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.mu.n == 0 {
		return nil, q.mu.err
	}
	return &q.mu.slots[q.mu.head], nil
}

// following returns the type of the message after the oldest, 0 when it has not come yet.
func (q *inbox) following() byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.mu.n < 2 {
		return 0
	}
	return q.mu.slots[(q.mu.head+1)%maxQueuedMessages].typ
}

// release frees the oldest message, whose body must not be used any more.
func (q *inbox) release() {
	q.mu.Lock()
	m := &q.mu.slots[q.mu.head]
	q.mu.bytes -= len(m.body)
	if cap(m.body) > maxRetainedBody {
		m.body = nil
	}
	q.mu.head = (q.mu.head + 1) % maxQueuedMessages
	q.mu.n--
	q.mu.Unlock()
	signal(q.space)
}
