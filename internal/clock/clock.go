// Package clock is the seam for time: product code never calls time.Now or starts a timer by itself, it asks the Clock it
// was given (the linter holds that), so that tests and simulation decide what time it is.
package clock

import (
	"context"
	"time"
)

// Clock tells time and makes timers. It is safe for concurrent use.
type Clock interface {
	// Now returns the current wall-clock time with a monotonic reading where there is one.
	Now() time.Time
	// Since returns the time passed since t, by the monotonic reading where t has one.
	Since(t time.Time) time.Duration
	// NewTimer returns a timer that fires once after d.
	NewTimer(d time.Duration) Timer
	// Deadline returns the moment after d as connections (net.Conn) understand it: they go by the machine's clock, whatever clock this is.
	Deadline(d time.Duration) time.Time
}

// Timer is a single-shot timer. Stop and Reset follow time.Timer of Go 1.23 and later: no stale value is ever received.
type Timer interface {
	C() <-chan time.Time
	Stop() bool
	Reset(d time.Duration) bool
}

// Wait lets d pass. It returns false, at once, when ctx ends before.
func Wait(ctx context.Context, c Clock, d time.Duration) bool {
	timer := c.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C():
		return true
	case <-ctx.Done():
		return false
	}
}

// Real is the machine's clock.
var Real Clock = realClock{}

type realClock struct{}

func (realClock) Now() time.Time                  { return time.Now() }
func (realClock) Since(t time.Time) time.Duration { return time.Since(t) }
func (realClock) NewTimer(d time.Duration) Timer  { return realTimer{time.NewTimer(d)} }

func (realClock) Deadline(d time.Duration) time.Time { return time.Now().Add(d) }

type realTimer struct{ *time.Timer }

func (t realTimer) C() <-chan time.Time { return t.Timer.C }
