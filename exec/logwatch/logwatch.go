// Package logwatch tells the subscribers of an exec.Log of progress in partitions that are led elsewhere, by long polls: one to each leader at a time, about all partitions that somebody
// wants to hear of. How a leader is found and polled is the Source's business.
//
// A Watcher polls while Run runs. Debugging starts at Watcher.Run.
package logwatch

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/internal/clock"
)

const (
	// PollWait is how long a leader should hold a poll when nothing is new; a new subscription is heard of after that.
	PollWait = 100 * time.Millisecond
	// pollPause is the time between polls that fail.
	pollPause = 250 * time.Millisecond
)

// ErrHere is what a Source says of a partition that needs no polls, since it wakes its subscribers itself.
var ErrHere = errors.New("the partition is led here")

// Position is what is known of a partition; both bounds are -1 before the first poll.
type Position struct {
	exec.TopicPartition
	HighWatermark, LastStable int64
}

// Progress is what a poll told of a partition.
type Progress struct {
	Position
	Err error // it could not be asked: the leader has moved, or there is none
}

// Source finds and polls leaders. It is used by several goroutines at once.
type Source interface {
	// Moved returns a channel that is closed when leaders may have moved; nil where nobody tells.
	Moved() <-chan struct{}
	// Leader returns the node that leads a partition, or ErrHere.
	Leader(ctx context.Context, tp exec.TopicPartition) (node int32, err error)
	// Poll waits, about PollWait, until the node knows more of one of the partitions than known says, and returns what it knows; partitions without news may be left out.
	Poll(ctx context.Context, node int32, known []Position) ([]Progress, error)
}

// Watcher holds the subscriptions.
type Watcher struct {
	source Source
	clock  clock.Clock
	some   chan struct{} // capacity one: tells an idle loop that there is a subscription
	mu     struct {
		sync.Mutex
		parts map[exec.TopicPartition]*watched
	}
}

// watched is a partition that somebody wants to hear of.
type watched struct {
	wakes      map[*subscription]struct{}
	high, last int64
	joined     uint64 // counts subscriptions: what a poll tells that began before the newest one is not taken for known
}

type subscription struct{ wake chan<- struct{} }

// New makes a Watcher without subscriptions.
func New(s Source, c clock.Clock) *Watcher {
	w := &Watcher{source: s, clock: c, some: make(chan struct{}, 1)}
	w.mu.parts = map[exec.TopicPartition]*watched{}
	return w
}

// Subscribe does what exec.Log's Subscribe promises, while Run runs.
func (w *Watcher) Subscribe(tp exec.TopicPartition, wake chan<- struct{}) (cancel func()) {
	s := &subscription{wake}
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.mu.parts[tp]
	if p == nil {
		p = &watched{wakes: map[*subscription]struct{}{}, high: -1, last: -1}
		w.mu.parts[tp] = p
	}
	p.wakes[s] = struct{}{}
	// Who comes may know less than those before it, or another topic of the same name: the next poll tells it something.
	p.high, p.last = -1, -1
	p.joined++
	notify(w.some)
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(p.wakes, s)
		if len(p.wakes) == 0 && w.mu.parts[tp] == p {
			delete(w.mu.parts, tp)
		}
	}
}

func notify(wake chan<- struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}

// Run polls until ctx ends.
func (w *Watcher) Run(ctx context.Context) {
	for ctx.Err() == nil {
		moved := w.source.Moved()
		byLeader, joined, missing := w.positions(ctx)
		if len(byLeader) == 0 && !missing {
			select {
			case <-w.some:
			case <-moved:
			case <-ctx.Done():
			}
			continue
		}
		failed := len(byLeader) == 0
		var wg sync.WaitGroup
		var mu sync.Mutex
		for node, known := range byLeader {
			wg.Go(func() {
				ok := w.poll(ctx, node, known, joined)
				mu.Lock()
				defer mu.Unlock()
				failed = failed || !ok
			})
		}
		wg.Wait()
		if failed {
			clock.Wait(ctx, w.clock, pollPause)
		}
	}
}

// positions groups what has to be polled by leader, and counts the subscriptions of each partition. missing says that a leader is not known: its watchers are woken, for they may find out
// why.
func (w *Watcher) positions(ctx context.Context) (byLeader map[int32][]Position, joined map[exec.TopicPartition]uint64, missing bool) {
	w.mu.Lock()
	var known []Position
	joined = make(map[exec.TopicPartition]uint64, len(w.mu.parts))
	for tp, p := range w.mu.parts {
		known = append(known, Position{tp, p.high, p.last})
		joined[tp] = p.joined
	}
	w.mu.Unlock()
	byLeader = map[int32][]Position{}
	for _, k := range known {
		node, err := w.source.Leader(ctx, k.TopicPartition)
		switch {
		case errors.Is(err, ErrHere):
			w.forget(k.TopicPartition)
		case err != nil:
			missing = true
			w.learn(Progress{Position: k, Err: err}, joined)
		default:
			byLeader[node] = append(byLeader[node], k)
		}
	}
	return byLeader, joined, missing
}

func (w *Watcher) poll(ctx context.Context, node int32, known []Position, joined map[exec.TopicPartition]uint64) (ok bool) {
	news, err := w.source.Poll(ctx, node, known)
	if err != nil {
		for _, k := range known {
			w.learn(Progress{Position: k, Err: err}, joined)
		}
		return false
	}
	ok = true
	for _, n := range news {
		w.learn(n, joined)
		ok = ok && n.Err == nil
	}
	return ok
}

// learn notes progress and wakes who waits for it. joined is how many subscriptions there were when it was asked for.
func (w *Watcher) learn(n Progress, joined map[exec.TopicPartition]uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.mu.parts[n.TopicPartition]
	if p == nil || n.Err == nil && n.HighWatermark == p.high && n.LastStable == p.last {
		return
	}
	if n.Err == nil && p.joined == joined[n.TopicPartition] {
		p.high, p.last = n.HighWatermark, n.LastStable
	}
	for s := range p.wakes {
		notify(s.wake)
	}
}

// forget makes the first poll of a partition that has moved away tell something new.
func (w *Watcher) forget(tp exec.TopicPartition) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p := w.mu.parts[tp]; p != nil {
		p.high, p.last = -1, -1
	}
}
