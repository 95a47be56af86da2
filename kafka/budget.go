package kafka

import (
	"context"
	"sync"
)

// budget shares a number of bytes among requests, first come first served.
type budget struct {
	total int64
	mu    struct {
		sync.Mutex
		free    int64
		waiting []*budgetWaiter
	}
}

type budgetWaiter struct {
	n     int64
	ready chan struct{}
}

func newBudget(total int64) *budget {
	b := &budget{total: total}
	b.mu.free = total
	return b
}

// take waits until n bytes are free and takes them; a request for more than all takes all. It returns how many it took.
func (b *budget) take(ctx context.Context, n int64) (int64, error) {
	n = min(n, b.total)
	b.mu.Lock()
	if len(b.mu.waiting) == 0 && b.mu.free >= n {
		b.mu.free -= n
		b.mu.Unlock()
		return n, nil
	}
	w := &budgetWaiter{n, make(chan struct{})}
	b.mu.waiting = append(b.mu.waiting, w)
	b.mu.Unlock()
	select {
	case <-w.ready:
		return n, nil
	case <-ctx.Done():
		b.giveUp(w)
		return 0, ctx.Err()
	}
}

// tryTake takes n bytes if they are free at once.
func (b *budget) tryTake(n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.mu.waiting) > 0 || b.mu.free < n {
		return false
	}
	b.mu.free -= n
	return true
}

// giveUp takes w off the list, or gives back what it got in the meantime.
func (b *budget) giveUp(w *budgetWaiter) {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-w.ready:
		b.mu.free += w.n
	default:
		for i, x := range b.mu.waiting {
			if x == w {
				b.mu.waiting = append(b.mu.waiting[:i], b.mu.waiting[i+1:]...)
				break
			}
		}
	}
	b.wakeLocked()
}

func (b *budget) give(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mu.free += n
	b.wakeLocked()
}

func (b *budget) wakeLocked() {
	for len(b.mu.waiting) > 0 && b.mu.waiting[0].n <= b.mu.free {
		w := b.mu.waiting[0]
		b.mu.waiting = b.mu.waiting[1:]
		b.mu.free -= w.n
		close(w.ready)
	}
}
