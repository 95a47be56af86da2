package lifeline

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/millracedb/millrace/internal/clock"
)

const (
	// DialEvery is how often the port of a node is dialled whose life line has ended.
	DialEvery = 100 * time.Millisecond
	// dialTimeout bounds one attempt.
	dialTimeout = time.Second
	// openTimeout bounds the opening of a life line.
	openTimeout = 5 * time.Second

	epochLen = 8 // bytes with which a life line begins
	// What is said on one: by the voter that it takes it, by the node that it counts from here on, by either side that it ends in order.
	taken    = 't'
	counts   = 'c'
	farewell = 'f'
)

// ErrClosed: the voter takes no life lines any more.
var ErrClosed = errors.New("lifeline: closed")

var errProtocol = errors.New("lifeline: this is no life line")

// WitnessOptions are what NewWitness needs. All must be set.
type WitnessOptions struct {
	// Dial makes a connection to the node port of a node and hangs up.
	Dial func(ctx context.Context, node int32) error
	// Counts reports whether a registration is the newest of its node and not fenced: else it does not matter what became of its process.
	Counts func(node int32, epoch uint64) bool
	// OnDeath is told that a process was seen to die. It must return soon.
	OnDeath func()
	Clock   clock.Clock
	Logger  *slog.Logger
}

// Witness is what this node sees of the processes of others. It is safe for concurrent use.
type Witness struct {
	opts   WitnessOptions
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu struct {
		sync.Mutex
		witness
		conns  map[int32]net.Conn // the newest life line of each node, while it is read
		closed bool
	}
}

// NewWitness returns one. Close ends it.
func NewWitness(opts WitnessOptions) *Witness {
	w := &Witness{opts: opts}
	w.mu.conns = map[int32]net.Conn{}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	return w
}

// Close ends all life lines in order, and waits until nobody looks at one any more.
func (w *Witness) Close() {
	w.mu.Lock()
	w.mu.closed = true
	w.mu.Unlock()
	w.cancel()
	w.wg.Wait()
}

// Alive notes a sign of life of a node: a heartbeat.
func (w *Witness) Alive(node int32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.alive(node)
}

// Dead reports whether the process that registered with an epoch has been seen to die, and since when that is certain.
func (w *Witness) Dead(node int32, epoch uint64) (since time.Time, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mu.dead(node, epoch)
}

// Doubts reports whether the process of a node may have died: its life line has ended as with it, and its port has refused a connection since.
func (w *Witness) Doubts(node int32) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.mu.seen[node]
	return s != nil && s.gone && s.refused > 0
}

// Death is that of the process that has registered a node with an epoch.
type Death struct {
	Node  int32
	Epoch uint64
}

// Deaths are those that were seen and count.
func (w *Witness) Deaths() []Death {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []Death
	for node, s := range w.mu.seen {
		if _, ok := w.mu.dead(node, s.epoch); ok && w.opts.Counts(node, s.epoch) {
			out = append(out, Death{node, s.epoch})
		}
	}
	return out
}

// Take reads a life line of a node to its end, and finds out what that means. It returns when there is no more to be found out, or soon after ctx ends or Close is called. It closes conn.
func (w *Witness) Take(ctx context.Context, conn net.Conn, node int32) error {
	defer func() { _ = conn.Close() }() // nothing was written that matters
	w.mu.Lock()
	if w.mu.closed {
		w.mu.Unlock()
		return ErrClosed
	}
	w.wg.Add(1) // under the lock, so that Close waits for it
	w.mu.Unlock()
	defer w.wg.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(w.ctx, cancel)()

	epoch, err := w.greet(conn)
	if err != nil {
		return err
	}
	line := w.begin(conn, node, epoch)
	if how := await(ctx, conn); w.end(conn, node, line, how) {
		w.ask(ctx, node, epoch, line)
	}
	return nil
}

// greet opens a life line and returns the epoch that it is of.
func (w *Witness) greet(conn net.Conn) (epoch uint64, err error) {
	if err := conn.SetDeadline(w.opts.Clock.Now().Add(openTimeout)); err != nil {
		return 0, err
	}
	var head [epochLen]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return 0, err
	}
	epoch = binary.BigEndian.Uint64(head[:])
	if _, err := conn.Write([]byte{taken}); err != nil {
		return 0, err
	}
	if _, err := io.ReadFull(conn, head[:1]); err != nil {
		return 0, err // whoever gives up before it counts may be alive
	}
	if head[0] != counts {
		return 0, errProtocol
	}
	return epoch, conn.SetDeadline(time.Time{})
}

// begin notes a life line in place of the one before, which it closes.
func (w *Witness) begin(conn net.Conn, node int32, epoch uint64) (line uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if old := w.mu.conns[node]; old != nil {
		_ = old.Close() // the node has made another one since
	}
	w.mu.conns[node] = conn
	return w.mu.opened(node, epoch)
}

// end notes the end of a life line, and reports whether the port of the node is to be asked.
func (w *Witness) end(conn net.Conn, node int32, line uint64, how End) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mu.conns[node] == conn {
		delete(w.mu.conns, node)
	}
	return w.mu.ended(node, line, how)
}

// ask dials the port of a node until it does not matter any more.
func (w *Witness) ask(ctx context.Context, node int32, epoch, line uint64) {
	for told := false; w.opts.Counts(node, epoch); {
		limited, cancel := context.WithTimeout(ctx, dialTimeout)
		err := w.opts.Dial(limited, node)
		cancel()
		if ctx.Err() != nil {
			return
		}
		w.mu.Lock()
		w.mu.dialled(node, line, errors.Is(err, syscall.ECONNREFUSED), w.opts.Clock.Now())
		newer := w.mu.newest(node, line) == nil
		_, dead := w.mu.dead(node, epoch)
		w.mu.Unlock()
		if newer {
			return
		}
		if dead && !told {
			told = true
			w.opts.Logger.Info("the process of a node has ended: its connection has, and its port refuses others", "node", node, "epoch", epoch)
			w.opts.OnDeath()
		}
		if !clock.Wait(ctx, w.opts.Clock, DialEvery) {
			return
		}
	}
}

// await reads a life line to its end. When ctx ends it says farewell and closes it, which is an end in order too.
func await(ctx context.Context, conn net.Conn) End {
	stop := context.AfterFunc(ctx, func() {
		_, _ = conn.Write([]byte{farewell}) // who does not hear it takes this process for dead a little later, when it is
		_ = conn.Close()
	})
	defer stop()
	var b [1]byte
	switch n, err := conn.Read(b[:]); {
	case ctx.Err() != nil, n > 0 && b[0] == farewell:
		return InOrder
	case errors.Is(err, io.EOF):
		return Stream
	case errors.Is(err, syscall.ECONNRESET):
		return Reset
	}
	return Unknown
}
