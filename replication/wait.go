package replication

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
)

// waiter is a goroutine that waits for the high watermark to reach an offset. It gets exactly one answer, unless it takes itself off the list.
type waiter struct {
	offset int64
	epoch  int32
	done   chan error // capacity 1
}

var waiters = sync.Pool{New: func() any { return &waiter{done: make(chan error, 1)} }}

// WaitCommitted waits until what an append wrote is on every in-sync replica. An append with NoSync needs a Flush before.
//
// Errors: NOT_LEADER_OR_FOLLOWER when the leadership in which it was written ends, NOT_ENOUGH_REPLICAS_AFTER_APPEND or REQUEST_TIMED_OUT when ctx ends (the
// records are written all the same), KAFKA_STORAGE_ERROR when the disk fails.
func (p *Partition) WaitCommitted(ctx context.Context, r AppendResult) error {
	return p.wait(ctx, r.LastOffset+1, r.LeaderEpoch)
}

// WaitHighWatermark waits until everything below offset is on every in-sync replica, and starts a sync if that needs one. Errors are those of
// WaitCommitted.
func (p *Partition) WaitHighWatermark(ctx context.Context, offset int64) error {
	if p.HighWatermark() >= offset {
		return nil
	}
	p.Flush(offset)
	return p.wait(ctx, offset, p.LeaderEpoch())
}

// Outlived waits until this replica, which follows another leader since, knows what has become of what it appended as the leader of an epoch, below offset: true if it is on every in-sync replica,
// false if the new leader does not have it, or ctx ends. WaitCommitted cannot tell once the leadership is over.
func (p *Partition) Outlived(ctx context.Context, offset int64, epoch int32) bool {
	wake := make(chan struct{}, 1)
	defer p.Subscribe(wake)()
	for {
		if p.log.EpochAt(offset-1) != epoch {
			return false // it was cut off
		}
		if p.HighWatermark() >= offset {
			return true
		}
		if !p.follows() {
			return false
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return false
		}
	}
}

func (p *Partition) follows() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.followsLocked()
}

// followsLocked reports whether this replica copies another one.
func (p *Partition) followsLocked() bool {
	return p.mu.leader == nil && p.mu.offline == nil && p.mu.follows >= 0
}

// Flush starts making everything below offset durable here and returns at once.
func (p *Partition) Flush(offset int64) {
	if p.log.DurableEnd() < offset {
		p.log.RequestSync()
	}
}

func (p *Partition) wait(ctx context.Context, offset int64, epoch int32) error {
	p.mu.Lock()
	if err := p.servesLocked(epoch); err != nil {
		if p.mu.offline == nil {
			err = kerr.NotLeaderForPartition // whatever was written in that epoch, this leadership cannot speak for it
		}
		p.mu.Unlock()
		return err
	}
	if p.mu.leader.HW() >= offset {
		p.mu.Unlock()
		return nil
	}
	w := waiters.Get().(*waiter)
	w.offset, w.epoch = offset, epoch
	p.mu.waiters = append(p.mu.waiters, w)
	p.mu.Unlock()
	select {
	case err := <-w.done:
		waiters.Put(w)
		return err
	case <-ctx.Done():
		return p.giveUp(ctx, w)
	}
}

// giveUp takes w off the list, or takes the answer that came first.
func (p *Partition) giveUp(ctx context.Context, w *waiter) error {
	p.mu.Lock()
	i := slices.Index(p.mu.waiters, w)
	if i >= 0 {
		p.mu.waiters = slices.Delete(p.mu.waiters, i, i+1)
	}
	enough := p.mu.leader == nil || p.mu.leader.EnoughISR()
	p.mu.Unlock()
	defer waiters.Put(w)
	if i < 0 {
		return <-w.done
	}
	cause := context.Cause(ctx)
	switch {
	case !enough:
		return fmt.Errorf("%w: %w", kerr.NotEnoughReplicasAfterAppend, cause)
	case errors.Is(cause, context.Canceled):
		return cause
	default:
		return fmt.Errorf("%w: %w", kerr.RequestTimedOut, cause)
	}
}

// committedLocked tells the waiters that the high watermark is at hw.
func (p *Partition) committedLocked(hw int64) {
	p.mu.waiters = slices.DeleteFunc(p.mu.waiters, func(w *waiter) bool {
		if w.offset > hw {
			return false
		}
		w.done <- nil
		return true
	})
}

// failLocked tells all waiters that what they wait for will not come.
func (p *Partition) failLocked(err error) {
	for _, w := range p.mu.waiters {
		w.done <- err
	}
	p.mu.waiters = nil
}

// subscription is a channel that wants to hear of progress.
type subscription struct{ wake chan<- struct{} }

// Subscribe has wake sent to, without blocking, whenever the high watermark or the last stable offset has advanced, the log start moved, or the leadership
// changed. wake should have capacity one: a value in it says "look", so a second one has nothing to add. cancel ends it; no send is made after it has returned.
func (p *Partition) Subscribe(wake chan<- struct{}) (cancel func()) {
	s := &subscription{wake}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.subs = append(p.mu.subs, s)
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.mu.subs = slices.DeleteFunc(p.mu.subs, func(x *subscription) bool { return x == s })
	}
}

// wake has those look again who wait.
func (p *Partition) wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wakeLocked()
}

func (p *Partition) wakeLocked() {
	for _, s := range p.mu.subs {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}
