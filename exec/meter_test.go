package exec

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/clock"
)

// handClock is moved by hand.
type handClock struct {
	clock.Clock
	now time.Time
}

func (c *handClock) Now() time.Time          { return c.now }
func (c *handClock) advance(d time.Duration) { c.now = c.now.Add(d) }

func TestMeterGivesEachOperatorItsOwnTimeAlone(t *testing.T) {
	c := &handClock{now: time.Unix(0, 0)}
	m := newMeter(c)
	var scan, filter, sink opCount
	c.advance(time.Second) // fetching
	was := m.enter(&scan)
	c.advance(2 * time.Second)
	above := m.enter(&filter)
	c.advance(3 * time.Second)
	top := m.enter(&sink)
	c.advance(4 * time.Second)
	m.enter(top)
	c.advance(5 * time.Second)
	m.enter(above)
	c.advance(6 * time.Second)
	m.enter(was)
	require.Equal(t, []time.Duration{time.Second, 8 * time.Second, 8 * time.Second, 4 * time.Second},
		[]time.Duration{m.rest.took, scan.took, filter.took, sink.took})
}

func TestRateIsThatOfLateAndTheAverageAtFirst(t *testing.T) {
	now := time.Unix(1000, 0)
	var r rate
	require.Zero(t, r.as(now))
	total := int64(0)
	step := func(n int64) {
		now = now.Add(100 * time.Millisecond)
		total += n
		r.total(now, total)
	}
	r.total(now, 0)
	for range 50 {
		step(10)
	}
	require.InDelta(t, 100, r.as(now), 2, "after 5 s of 100 a second")
	for range 600 {
		step(10)
	}
	require.InDelta(t, 100, r.as(now), 2)
	for range 600 {
		step(100)
	}
	require.InDelta(t, 1000, r.as(now), 20, "a minute at ten times the rate")
	require.InDelta(t, 0, r.as(now.Add(2*time.Minute)), 1, "nothing for two minutes")
}

// BenchmarkMeter is what a batch costs an operator because its time is counted.
func BenchmarkMeter(b *testing.B) {
	m := newMeter(clock.Real)
	var c opCount
	for b.Loop() {
		m.enter(m.enter(&c))
	}
}
