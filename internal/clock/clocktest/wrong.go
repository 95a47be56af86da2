// Package clocktest has a clock for tests that is wrong as those of machines are: its time of day is ahead or behind and jumps, and its second is not quite one. What only measures how much time has
// passed must not notice the first, and leave room for the second.
//
// Its times have monotonic readings, in bubbles of testing/synctest too, where those of the runtime have none.
package clocktest

import (
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/millracedb/millrace/internal/clock"
)

// Wrong is such a clock. Make one with NewWrong. It is safe for concurrent use.
type Wrong struct {
	begin time.Time
	rate  float64
	ahead atomic.Int64 // nanoseconds
}

var _ clock.Clock = (*Wrong)(nil)

// NewWrong returns a clock that is right as yet and counts rate seconds in a second.
func NewWrong(rate float64) *Wrong { return &Wrong{begin: time.Now(), rate: rate} }

// Set has the time of day jump to one that is so far ahead of the right one, or behind if it is less than zero.
func (c *Wrong) Set(ahead time.Duration) { c.ahead.Store(int64(ahead)) }

// Now implements clock.Clock.
func (c *Wrong) Now() time.Time {
	passed := time.Duration(float64(time.Since(c.begin)) * c.rate)
	return withMonotonic(time.Now().Add(time.Duration(c.ahead.Load())), passed)
}

// Since implements clock.Clock.
func (c *Wrong) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

// NewTimer implements clock.Clock.
func (c *Wrong) NewTimer(d time.Duration) clock.Timer { return timer{time.NewTimer(c.right(d)), c} }

// right is how long what the clock takes for d really is, or a nanosecond more: a timer never fires before its time.
func (c *Wrong) right(d time.Duration) time.Duration {
	if d <= 0 {
		return d
	}
	return time.Duration(float64(d)/c.rate) + 1
}

// Deadline implements clock.Clock.
func (c *Wrong) Deadline(d time.Duration) time.Time { return time.Now().Add(c.right(d)) }

type timer struct {
	*time.Timer
	c *Wrong
}

func (t timer) C() <-chan time.Time { return t.Timer.C }

func (t timer) Reset(d time.Duration) bool { return t.Timer.Reset(t.c.right(d)) }

// layout is how package time keeps a time with a monotonic reading, of which it makes none but the process's own.
type layout struct {
	wall uint64 // a bit that says that there is one, seconds since 1885, and nanoseconds in 30 bits
	ext  int64  // the reading, in nanoseconds
	loc  *time.Location
}

var year1885 = time.Date(1885, 1, 1, 0, 0, 0, 0, time.UTC).Unix()

// withMonotonic is a time of day with a monotonic reading.
func withMonotonic(day time.Time, reading time.Duration) time.Time {
	t := layout{1<<63 | uint64(day.Unix()-year1885)<<30 | uint64(day.Nanosecond()), int64(reading), time.Local}
	return *(*time.Time)(unsafe.Pointer(&t))
}
