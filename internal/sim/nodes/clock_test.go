package nodes

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/millracedb/millrace/internal/clock/clocktest"
)

const (
	// maxWrong bounds how far a machine's time of day is ahead of the right one, or behind it.
	maxWrong = 6 * time.Hour
	// maxDrift bounds by how much of a second a machine's second is too long or too short.
	maxDrift = 0.02
)

// newClock makes the clock of a machine, which is wrong from the start.
func (w *world) newClock(m *machine) {
	rng := rand.New(rand.NewPCG(w.seed, 1000+uint64(m.id)))
	m.clock = clocktest.NewWrong(1 + maxDrift*(2*rng.Float64()-1))
	w.setClock(m, rng)
}

// setClock sets the time of day of a machine, to one that is wrong by less than a second or by hours. The node goes on with it.
func (w *world) setClock(m *machine, rng *rand.Rand) {
	scale := []time.Duration{time.Second, time.Minute, time.Hour, maxWrong}[rng.IntN(4)]
	ahead := between(rng, -scale, scale)
	m.clock.Set(ahead)
	w.trace.printf("the clock of %s is ahead by %v", m.ip, ahead)
}

// setSomeClock is a fault.
func setSomeClock(_ context.Context, w *world, rng *rand.Rand) { w.setClock(w.some(rng), rng) }
