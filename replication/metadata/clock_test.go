package metadata

import (
	"sync"
	"time"

	"github.com/millracedb/millrace/internal/clock"
)

// manualClock is a clock whose timers fire when the test says so.
type manualClock struct {
	clock.Clock
	mu     sync.Mutex
	timers []chan time.Time
}

func newManualClock() *manualClock { return &manualClock{Clock: clock.Real} }

type manualTimer chan time.Time

func (t manualTimer) C() <-chan time.Time      { return t }
func (t manualTimer) Stop() bool               { return true }
func (t manualTimer) Reset(time.Duration) bool { return true }

func (c *manualClock) Deadline(d time.Duration) time.Time { return clock.Real.Deadline(d) }

func (c *manualClock) NewTimer(time.Duration) clock.Timer {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := make(chan time.Time, 1)
	c.timers = append(c.timers, t)
	return manualTimer(t)
}

// fire lets every timer made so far fire.
func (c *manualClock) fire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.timers {
		select {
		case t <- c.Now():
		default:
		}
	}
}
