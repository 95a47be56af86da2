package exec

import (
	"math"
	"time"

	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/planner"
)

// opCount is what a node of the plan has done in a task: the rows that left it, and the time it took, without what it waited for and without
// what the operators took that it fed.
type opCount struct {
	node planner.Node
	rows int64
	took time.Duration
}

// meter divides the time of a task among its operators. The clock is read when a batch goes from one to the next, never for a row.
type meter struct {
	clock clock.Clock
	rest  opCount // what is no operator's: fetching, committing, waiting
	now   *opCount
	since time.Time
}

func newMeter(c clock.Clock) *meter {
	m := &meter{clock: c, since: c.Now()}
	m.now = &m.rest
	return m
}

// enter begins the time of an operator and returns whose time it was: enter that one again afterwards.
func (m *meter) enter(c *opCount) (was *opCount) {
	now := m.clock.Now()
	was = m.now
	was.took += now.Sub(m.since)
	m.now, m.since = c, now
	return was
}

// rateSpan is how far a rate looks back: what happened that long ago counts for a third of what happens now.
const rateSpan = 10 * time.Second

// rate counts what happens in a second, as of late.
type rate struct {
	perSecond float64 // as of at, as if nothing had happened before began
	seen      int64   // how much had happened by then
	began, at time.Time
}

// total notes how much has happened by now.
func (r *rate) total(now time.Time, n int64) {
	if r.began.IsZero() {
		r.began, r.at = now, now
	}
	r.perSecond = r.perSecond*fading(now.Sub(r.at)) + float64(n-r.seen)/rateSpan.Seconds()
	r.seen, r.at = n, now
}

// as is the rate as of now: of what is younger than rateSpan, the average since it began, a second ago at the least.
func (r *rate) as(now time.Time) float64 {
	return r.perSecond * fading(now.Sub(r.at)) / (1 - fading(max(now.Sub(r.began), time.Second)))
}

// fading is what remains of the weight of something as old as that.
func fading(age time.Duration) float64 { return math.Exp(-max(age, 0).Seconds() / rateSpan.Seconds()) }
