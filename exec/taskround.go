package exec

import (
	"slices"
	"time"
)

// A round of a task ends when its inputs are drained, when it is full, or when it has lasted for the commit interval. A task with state writes
// each group once a round, however many rows have changed it: to the changelog, the state, the result's topic, and there its readers take it up. So while such a
// task is behind, a round lasts for several commit intervals, and inputs that are drained for the moment do not end it: the writers of an
// exchange say in their blocks whether they go on.

const (
	// catchUpIntervals is how many commit intervals a round lasts while the task is behind.
	catchUpIntervals = 5
	// behindRecords is how far from the end of a topic a task is behind.
	behindRecords = 10_000
)

// roundTime is how long the present round may last.
func (t *task) roundTime() time.Duration {
	if t.catchesUp() {
		return catchUpIntervals * t.spec.CommitInterval
	}
	return t.spec.CommitInterval
}

// catchesUp reports whether the task has state and is behind.
func (t *task) catchesUp() bool {
	return t.spec.Fragment.Stateful && slices.ContainsFunc(t.pipe.sources, (*source).behind)
}

// endRound begins the next round. What writers have announced holds for the round in which it was read: one that dies may have nothing to say to this task when
// it comes back.
func (t *task) endRound() {
	t.rowsIn = 0
	for _, s := range t.pipe.sources {
		clear(s.more)
	}
}

// behind reports whether much more is to be read than is at hand.
func (s *source) behind() bool {
	return s.end-s.position() > behindRecords && s.scan != nil || slices.Contains(s.more, true)
}

// roundFull reports whether the round has no room for more.
func (t *task) roundFull() bool {
	held := t.env.output.bytes
	if t.pipe.sink != nil {
		held += t.pipe.sink.heldBytes()
	}
	if t.pipe.table != nil {
		held += t.pipe.table.heldBytes()
	}
	return held > maxRoundOutput || t.cx.state.full()
}

// commitBetween commits a round that ends before its inputs are drained, or so it may be.
func (t *task) commitBetween() error {
	if w := t.pipe.writer; w != nil {
		next, err := t.pipe.ready(t.ctx, t.wake)
		if err != nil {
			return err
		}
		w.more = next != nil
		defer func() { w.more = false }()
	}
	return t.commit()
}

// gathers returns how long a round whose inputs are drained is to wait for what is on its way, 0 for a round that ends.
func (t *task) gathers() time.Duration {
	if t.rowsIn == 0 || !t.catchesUp() {
		return 0
	}
	return t.roundTime() - t.r.cfg.Clock.Since(t.begun)
}

// gather waits until there is more to read, or the time is over.
func (t *task) gather(left time.Duration) error {
	timer := t.r.cfg.Clock.NewTimer(left)
	defer timer.Stop()
	select {
	case <-t.ctx.Done():
		return t.ctx.Err()
	case <-t.wake:
		t.pipe.woken()
	case <-timer.C():
	}
	return nil
}
