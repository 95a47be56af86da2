package replication

import (
	"sync/atomic"
	"time"

	"github.com/millracedb/millrace/internal/clock"
)

// lease is the time for which a node may serve as leader: the controller names no other leaders before it is over. It is asked for the time at each request, for a process that was frozen goes on with
// requests before anything in it has noticed.
type lease struct {
	clk   clock.Clock
	begun time.Time
	until atomic.Int64 // nanoseconds after begun; 0: without end
	cut   atomic.Bool  // it is over whatever the time
}

func newLease(clk clock.Clock) *lease { return &lease{clk: clk, begun: clk.Now()} }

func (l *lease) over() bool {
	if l.cut.Load() {
		return true
	}
	until := l.until.Load()
	return until != 0 && int64(l.clk.Since(l.begun)) > until
}

// ServeUntil says until when this node may serve as leader, unless CutOff or a later call says otherwise. A node to which it is never said has no such limit.
func (m *Manager) ServeUntil(t time.Time) { m.lease.until.Store(max(1, int64(t.Sub(m.lease.begun)))) }
