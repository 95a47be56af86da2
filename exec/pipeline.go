package exec

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/millracedb/millrace/planner"
)

// pipeline is a plan, or a fragment of one, made runnable.
type pipeline struct {
	sources []*source
	ops     []counted // inputs before those they feed
	m       *meter
	windows []*aggregateOp
	joins   []*streamJoin
	expires *expireOp       // before the sink, nil without ttl
	writer  *exchangeWriter // the root, if it is one
	sink    *sinkOp         // the root, if it is one
	table   *tableSink      // the root, if it is one
	counts  []*opCount
}

// counted is an operator with the counters of the node that it is a part of.
type counted struct {
	operator
	at *opCount
}

// count makes the counters of n.
func (p *pipeline) count(n planner.Node) *opCount {
	c := &opCount{node: n}
	p.counts = append(p.counts, c)
	return c
}

// operatorStats are the counters of all nodes, the root first.
func (p *pipeline) operatorStats(st *taskState) []OperatorStats {
	stats := make([]OperatorStats, len(p.counts))
	for i, c := range p.counts {
		stats[i] = OperatorStats{Node: c.node, Rows: c.rows, Time: c.took}
		if id := c.node.Props().OpID; id != 0 {
			stats[i].StateBytes = st.sizeOf(id)
		}
	}
	return stats
}

// woken notes that there may be more to read.
func (p *pipeline) woken() {
	for _, s := range p.sources {
		s.quiet = false
	}
}

// ready returns the source to take from next, nil if all are drained: tables before the streams that look them up, else the one
// with the lowest first time.
// A source that was drained is asked again once wake has told of more.
func (p *pipeline) ready(ctx context.Context, wake <-chan struct{}) (*source, error) {
	select {
	case <-wake:
		p.woken()
	default:
	}
	var best *source
	for _, s := range p.sources {
		if s.quiet {
			continue
		}
		ok, err := s.fetch(ctx)
		if err != nil {
			return nil, err
		}
		s.quiet = !ok
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

// hasDue reports whether a window may be over that is not closed, a row of one be due to leave, or a join keep what is over.
func (p *pipeline) hasDue(now int64) bool {
	return slices.ContainsFunc(p.windows, func(w *aggregateOp) bool { return w.hasDue(heldBack(now, w.held)) }) ||
		slices.ContainsFunc(p.joins, (*streamJoin).due) || p.expires != nil && p.expires.hasDue(now)
}

// needsClock reports whether something happens as time goes on, without rows.
func (p *pipeline) needsClock() bool {
	return len(p.windows)+len(p.joins) > 0 || p.expires != nil || p.writer != nil && p.writer.closing
}

// resume tells the operators that the committed stream time is now.
func (p *pipeline) resume(now int64) error {
	for _, w := range p.windows {
		w.now = heldBack(now, w.held)
	}
	for _, j := range p.joins {
		if err := j.resume(); err != nil {
			return err
		}
	}
	return nil
}

// flush flushes all operators at stream time now; an exchange's writer tells data, the time that rows alone prove.
func (p *pipeline) flush(now, data int64) error {
	for _, op := range p.ops {
		at := now
		if p.writer != nil && op.operator == operator(p.writer) {
			at = data
		}
		if err := p.flushOne(op, at); err != nil {
			return err
		}
	}
	return nil
}

// flushOne flushes an operator, in its own time.
func (p *pipeline) flushOne(op counted, now int64) error {
	was := p.m.enter(op.at)
	defer p.m.enter(was)
	return op.flush(now)
}

func (p *pipeline) close() {
	for _, s := range p.sources {
		s.close()
	}
}
