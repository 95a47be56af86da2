package lifeline

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/millracedb/millrace/internal/clock"
)

const (
	// retryEvery is how often a voter is asked to take a life line that has not taken one, and one that was lost for long.
	retryEvery = time.Second
	// quickTries is how often it is asked every DialEvery after it was lost.
	quickTries = 50
)

// Voter is a member of the metadata group that votes.
type Voter struct {
	ID   string
	Addr string // of its node port
	Self bool   // it is this node
}

// HolderOptions are what Hold needs. All must be set.
type HolderOptions struct {
	Epoch uint64 // of this node's registration
	// Dial opens a stream of life lines to the node port at addr.
	Dial func(ctx context.Context, addr string) (net.Conn, error)
	// OnLost is told that a majority of the voters have ended their life lines and refuse others. It must return soon.
	OnLost func()
	Clock  clock.Clock
}

// Holder keeps this node's life lines to the voters. It is safe for concurrent use.
type Holder struct {
	opts   HolderOptions
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu struct {
		sync.Mutex
		vital
		voters map[string]Voter         // all of them, as of the last Update
		held   map[string]chan struct{} // to whom a goroutine keeps a life line; a send has it try now
		lost   bool
	}
}

// Hold returns a Holder that keeps none before Update tells it of voters. Close ends it.
func Hold(opts HolderOptions) *Holder {
	h := &Holder{opts: opts}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	h.mu.voters, h.mu.held = map[string]Voter{}, map[string]chan struct{}{}
	return h
}

// Close says farewell to the voters and waits.
func (h *Holder) Close() {
	h.cancel()
	h.wg.Wait()
}

// Update says who votes.
func (h *Holder) Update(voters []Voter) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ctx.Err() != nil {
		return
	}
	clear(h.mu.voters)
	for _, v := range voters {
		h.mu.voters[v.ID] = v
		if !v.Self && h.mu.held[v.ID] == nil {
			back := make(chan struct{}, 1)
			h.mu.held[v.ID] = back
			h.wg.Go(func() { h.hold(v.ID, back) })
		}
	}
}

// Answered says that a voter has answered this node. One that was down takes a life line again from then on, and gets it at once: until it has, it cannot see this process die.
func (h *Holder) Answered(id string) {
	h.note(func(s *vital) {
		if !s.answered(id) {
			return
		}
		select {
		case h.mu.held[id] <- struct{}{}:
		default: // nobody holds one to it, or is about to try
		}
	})
}

// Broken reports whether a voter has ended its life line and not taken another yet: this node should make itself heard.
func (h *Holder) Broken() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.mu.broken()
}

// voter is one as of the last Update. If it does not vote any more, nobody holds a life line to it from here on.
func (h *Holder) voter(id string) (Voter, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	v, ok := h.mu.voters[id]
	if !ok {
		h.mu.forget(id)
		delete(h.mu.held, id)
	}
	return v, ok
}

// hold keeps a life line to a voter as long as it is one. It tries at once when the voter is back.
func (h *Holder) hold(id string, back <-chan struct{}) {
	for tries := quickTries; ; tries++ {
		v, ok := h.voter(id)
		if !ok {
			return
		}
		conn, err := h.open(v.Addr)
		h.note(func(s *vital) {
			if err == nil {
				s.opened(id)
			} else {
				s.dialled(id, errors.Is(err, syscall.ECONNREFUSED))
			}
		})
		if err == nil {
			how := h.await(conn)
			h.note(func(s *vital) { s.ended(id, how) })
			if how == Stream || how == Reset {
				tries = -1
				continue // at once
			}
		}
		wait := retryEvery
		if tries < quickTries {
			wait = DialEvery
		}
		if !h.pause(wait, back) {
			return
		}
	}
}

// pause waits for a while, or until the voter is back. It reports whether to go on.
func (h *Holder) pause(d time.Duration, back <-chan struct{}) bool {
	timer := h.opts.Clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C():
	case <-back:
	case <-h.ctx.Done():
		return false
	}
	return true
}

// await waits for the end of a life line that counts, and closes it, which the other side has done before or hears farewell.
func (h *Holder) await(conn net.Conn) End {
	how := Unknown
	err := conn.SetDeadline(time.Time{})
	if err == nil {
		how = await(h.ctx, conn)
	}
	if how == Unknown {
		_, _ = conn.Write([]byte{farewell}) // it is broken, or should be
	}
	_ = conn.Close()
	return how
}

// note changes what is known, and tells if that means that the voters are lost.
func (h *Holder) note(change func(*vital)) {
	h.mu.Lock()
	change(&h.mu.vital)
	was := h.mu.lost
	h.mu.lost = h.mu.vital.lost(len(h.mu.voters))
	tell := h.mu.lost && !was
	h.mu.Unlock()
	if tell && h.ctx.Err() == nil {
		h.opts.OnLost()
	}
}

// open has the voter at addr take a life line.
func (h *Holder) open(addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(h.ctx, openTimeout)
	defer cancel()
	conn, err := h.opts.Dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(h.opts.Clock.Now()) })
	err = begin(conn, h.opts.Epoch)
	stop()
	if err != nil {
		_ = conn.Close() // it does not count yet
		return nil, fmt.Errorf("lifeline: to %s: %w", addr, err)
	}
	return conn, nil
}

func begin(conn net.Conn, epoch uint64) error {
	if _, err := conn.Write(binary.BigEndian.AppendUint64(nil, epoch)); err != nil {
		return err
	}
	var b [1]byte
	if _, err := io.ReadFull(conn, b[:]); err != nil {
		return err
	}
	if b[0] != taken {
		return errProtocol
	}
	_, err := conn.Write([]byte{counts})
	return err
}
