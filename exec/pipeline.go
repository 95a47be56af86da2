package exec

import (
	"context"
	"math"
	"time"
)

// pipeline is a plan, or a fragment of one, made runnable.
type pipeline struct {
	sources []*source
	ops     []operator // inputs before those they feed
	windows []*aggregateOp
	writer  *exchangeWriter // the root, if it is one
	sink    *sinkOp         // the root, if it is one
}

// ready returns the source to take from next, nil if all are drained: tables before the streams that look them up, else the one
// with the lowest first time.
func (p *pipeline) ready(ctx context.Context) (*source, error) {
	var best *source
	for _, s := range p.sources {
		ok, err := s.fetch(ctx)
		if err != nil {
			return nil, err
		}
		if ok && (best == nil || s.isTable && !best.isTable || s.isTable == best.isTable && s.firstTime() < best.firstTime()) {
			best = s
		}
	}
	return best, nil
}

// streamTime is the lowest time of the driving sources, idle ones left out; when all are idle, the highest. data is the same
// without what the wall clock has added.
func (p *pipeline) streamTime(wall time.Time) (at, data int64, idle bool) {
	low := int64(math.MaxInt64)
	at, data, idle = noTime, noTime, true
	for _, s := range p.sources {
		if !s.drives {
			continue
		}
		now := s.times.advance(wall, wall.Sub(s.heardAt))
		at, data = max(at, now), max(data, s.times.data())
		if !s.times.allIdle {
			idle, low = false, min(low, now)
		}
	}
	if !idle {
		return low, low, false
	}
	return at, data, true
}

// markIdle notes topics that are read to their end and have been silent for the timeout. An exchange's writers say it themselves.
func (p *pipeline) markIdle(wall time.Time, timeout time.Duration) {
	for _, s := range p.sources {
		if s.scan != nil && s.drained() && wall.Sub(s.heardAt) >= timeout {
			s.times.heard(0, noTime, true)
		}
	}
}

// hasClosable reports whether a window is open that is over at stream time now.
func (p *pipeline) hasClosable(now int64) bool {
	for _, w := range p.windows {
		if w.minOpen != math.MaxInt64 && w.minOpen != math.MinInt64 && w.closed(w.minOpen, now) {
			return true
		}
	}
	return false
}

// flush flushes all operators at stream time now; an exchange's writer tells data, the time that rows alone prove.
func (p *pipeline) flush(now, data int64) error {
	for _, op := range p.ops {
		at := now
		if p.writer != nil && op == operator(p.writer) {
			at = data
		}
		if err := op.flush(at); err != nil {
			return err
		}
	}
	return nil
}

func (p *pipeline) close() {
	for _, s := range p.sources {
		s.close()
	}
}
