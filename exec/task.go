package exec

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/clock"
)

// task runs one fragment on one partition. Its goroutine owns everything below it; others only cancel it and read progress.
type task struct {
	r        *Runner
	spec     TaskSpec
	lane     *committer
	progress *progress
	ctx      context.Context
	cancel   context.CancelFunc
	done     chan struct{}
	wake     chan struct{}

	env   taskEnv
	pipe  *pipeline
	cx    *opContext
	state StatePartition

	dataTime  int64     // stream time that rows alone prove
	counts    string    // as they were committed with the offsets
	before    int64     // RowsOut when this session began
	begun     time.Time // when the round got its first row
	rowsIn    int64     // in this round
	rebuild   bool      // local state was found damaged: the next session does without
	changelog PartitionOffset
	epoch     int32
	stats     TaskStats
	outputs   map[TopicPartition]int64
}

// Limits of a round.
const (
	maxRoundOutput = 8 << 20 // bytes
	taskRetryMin   = 50 * time.Millisecond
	taskRetryMax   = 5 * time.Second
	taskHealthy    = 2 * taskRetryMax // a task that has run for so long is well again
	idleTick       = time.Second      // how often a silent task looks at the clock
)

var (
	// errReload: what is in memory is not what is committed; start again from that.
	errReload = errors.New("reload the task")
	// errTopicGone: a topic that the task needs is not there, by what this node knows.
	errTopicGone = errors.New("a topic of the query is gone")
)

// run starts the task over as long as that helps.
func (t *task) run() {
	defer close(t.done)
	defer t.cancel()
	pause := retryPause{}
	for t.ctx.Err() == nil {
		begun := t.r.cfg.Clock.Now()
		err := t.session()
		if t.ctx.Err() != nil || t.r.ctx.Err() != nil { // the runner's end comes to hundreds of tasks one after the other, and what they wait for may hear of it before they do
			return
		}
		switch {
		case errors.Is(err, ErrStaleGeneration), errors.Is(err, ErrFenced):
			t.r.cfg.Logger.Info("task lost", "query", t.spec.Name, "fragment", t.spec.Fragment.ID, "partition", t.spec.Partition, "err", err)
			t.r.cfg.OnLost(t.spec, err)
			return
		case damagedState(err) && !t.rebuild:
			t.r.cfg.Logger.Error("state of a task is damaged, it is rebuilt", "query", t.spec.Name, "fragment", t.spec.Fragment.ID, "partition", t.spec.Partition, "err", err)
			t.rebuild = true
		case errors.Is(err, errTopicGone):
			// As a rule the query is being dropped, with its topics. If it is not, who is told of the failure says so.
			t.r.cfg.Logger.Info("topic of a task is gone", "query", t.spec.Name, "fragment", t.spec.Fragment.ID, "partition", t.spec.Partition, "err", err)
			t.fail(err)
			return
		case errors.Is(err, errReload), errors.Is(err, ErrUnknownOutcome), errors.Is(err, ErrUnavailable), errors.Is(err, ErrUnknownTopic):
			// Another node may not have heard of a topic yet, a coordinator that has just taken over for one; if the topic is gone, setUp finds that.
			t.r.cfg.Logger.Info("task starts over", "query", t.spec.Name, "fragment", t.spec.Fragment.ID, "partition", t.spec.Partition, "err", err)
		default:
			t.r.cfg.Logger.Error("task failed", "query", t.spec.Name, "fragment", t.spec.Fragment.ID, "partition", t.spec.Partition, "err", err)
			t.fail(err)
			return
		}
		if !clock.Wait(t.ctx, t.r.cfg.Clock, pause.after(t.r.cfg.Clock.Since(begun))) {
			return
		}
	}
}

// fail says that the task will not run again.
func (t *task) fail(err error) {
	t.progress.setState(QueryFailed, err)
	t.r.cfg.OnFailed(t.spec.Query, t.spec.Partition, err)
}

// retryPause is the pause before a task starts over. It grows with each, until the task has run for a while again.
type retryPause struct{ last time.Duration }

// after returns the pause after a session that lasted so long.
func (p *retryPause) after(lasted time.Duration) time.Duration {
	if lasted >= taskHealthy || p.last == 0 {
		p.last = taskRetryMin
	} else {
		p.last = min(2*p.last, taskRetryMax)
	}
	return p.last
}

// damagedState reports whether err says that a row of local state does not decode. The changelog has what it should be.
func damagedState(err error) bool {
	return errors.Is(err, vec.ErrCorruptRow) || errors.Is(err, errCorruptAccumulator) || errors.Is(err, errCorruptTimes)
}

// session runs from the committed state until something goes wrong or the task is stopped.
func (t *task) session() (err error) {
	defer func() { err = errors.Join(err, t.tearDown()) }()
	if err := t.setUp(); err != nil {
		return err
	}
	for {
		if err := t.ctx.Err(); err != nil {
			return err
		}
		worked, err := t.work()
		if err != nil {
			return err
		}
		if worked {
			continue
		}
		if left := t.gathers(); left > 0 {
			if err := t.gather(left); err != nil {
				return err
			}
			continue
		}
		if err := t.commit(); err != nil {
			return err
		}
		if err := t.await(); err != nil {
			return err
		}
	}
}

// work takes one batch from one input, tables before the streams that look them up, else the one with the lowest first
// time. It commits when the round is full or has lasted long enough. It reports false when all inputs are drained.
func (t *task) work() (bool, error) {
	best, err := t.pipe.ready(t.ctx, t.wake)
	if err != nil {
		return false, err
	}
	if best == nil {
		return false, nil
	}
	if !best.isTable && best.fresh {
		best.fresh = false
		if err := t.catchUpTables(); err != nil {
			return false, err
		}
	}
	return true, t.step(best)
}

func (t *task) step(s *source) error {
	now := t.r.cfg.Clock.Now()
	if t.rowsIn == 0 {
		t.begun = now
	}
	before := s.rows
	if err := s.step(t.ctx, now); err != nil {
		return err
	}
	t.rowsIn += max(s.rows-before, 1)
	t.stats.RowsIn += s.rows - before
	if s.scan != nil {
		t.stats.SourceRows += s.rows - before
	}
	t.advanceTime(now)
	if t.roundFull() || now.Sub(t.begun) >= t.roundTime() {
		return t.commitBetween()
	}
	return nil
}

// advanceTime moves the task's stream time and reports whether everything it reads is idle.
func (t *task) advanceTime(now time.Time) (idle bool) {
	at, data, idle := t.pipe.streamTime(now)
	t.cx.now = max(t.cx.now, at)
	t.dataTime = max(t.dataTime, data)
	if t.pipe.writer != nil {
		t.pipe.writer.header.idle = idle
	}
	return idle
}

// await waits until an input may have more, or time has to be looked at.
func (t *task) await() error {
	pause, w := idleTick, t.pipe.writer
	if w != nil && w.wantsTime(t.dataTime, w.header.idle) {
		pause = exchangeTimeEvery
	}
	timer := t.r.cfg.Clock.NewTimer(pause)
	defer timer.Stop()
	var tick <-chan time.Time
	if t.pipe.needsClock() {
		tick = timer.C()
	}
	select {
	case <-t.ctx.Done():
		return t.ctx.Err()
	case <-t.wake:
		t.pipe.woken()
		return nil
	case <-tick:
	}
	now := t.r.cfg.Clock.Now()
	t.pipe.markIdle(now, t.spec.IdleTimeout)
	idle := t.advanceTime(now)
	if w != nil && w.wantsTime(t.dataTime, idle) {
		return t.commitRound()
	}
	if t.pipe.hasDue(t.cx.now) {
		return t.commitRound()
	}
	return nil
}

func (t *task) tearDown() (err error) {
	if t.pipe != nil {
		t.pipe.close()
		err = t.cx.state.endReads()
		t.pipe = nil
	}
	if t.state != nil {
		err = errors.Join(err, t.state.Close())
		t.state = nil
	}
	if err != nil {
		return fmt.Errorf("close state: %w", err)
	}
	return nil
}
