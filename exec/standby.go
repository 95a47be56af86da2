package exec

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/millracedb/millrace/internal/clock"
)

// standby keeps the state of a task that runs on another node up to its changelog, so that this node can take the task over without replaying all of it. Its goroutine owns the state until it is
// stopped, which the start of the task waits for.
type standby struct {
	r      *Runner
	spec   TaskSpec
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}
	wake   chan struct{}
}

// StartStandby begins to follow the changelog of a task that has one and runs elsewhere. One that is followed already is left alone.
func (r *Runner) StartStandby(spec TaskSpec) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.mu.closed:
		return errRunnerClosed
	case r.mu.standbys[spec.Key()] != nil:
		return nil
	case !spec.Fragment.Stateful:
		return fmt.Errorf("fragment %d of query %q has no changelog", spec.Fragment.ID, spec.Name)
	}
	s := &standby{r: r, spec: spec, done: make(chan struct{}), wake: make(chan struct{}, 1)}
	s.ctx, s.cancel = context.WithCancel(r.ctx)
	r.mu.standbys[spec.Key()] = s
	go s.run()
	return nil
}

// StopStandbys ends those that are chosen, and waits.
func (r *Runner) StopStandbys(which func(TaskKey) bool) {
	var stopped []*standby
	r.mu.Lock()
	for k, s := range r.mu.standbys {
		if which(k) {
			stopped = append(stopped, s)
			s.cancel()
			delete(r.mu.standbys, k)
		}
	}
	r.mu.Unlock()
	for _, s := range stopped {
		<-s.done
	}
}

// run follows until it is stopped. What fails is tried again: nothing depends on a standby.
func (s *standby) run() {
	defer close(s.done)
	defer s.cancel()
	for pause := taskRetryMin; s.ctx.Err() == nil; pause = min(2*pause, taskRetryMax) {
		err := s.follow()
		if s.ctx.Err() != nil {
			return
		}
		s.r.cfg.Logger.Info("a standby begins again", "query", s.spec.Name, "fragment", s.spec.Fragment.ID, "partition", s.spec.Partition, "err", err)
		clock.Wait(s.ctx, s.r.cfg.Clock, pause)
	}
}

// follow applies the changelog from the mark on as it grows.
func (s *standby) follow() (err error) {
	tp := TopicPartition{Topic: s.spec.Fragment.Changelog, Partition: s.spec.Partition}
	state, err := s.r.cfg.State.Partition(StateID{Object: s.spec.Query, Fragment: s.spec.Fragment.ID, Partition: s.spec.Partition})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, state.Close()) }()
	cancel, err := s.r.cfg.Log.Subscribe(tp, s.wake)
	if err != nil {
		return err
	}
	defer cancel()
	bounds, err := s.r.cfg.Log.Offsets(s.ctx, tp)
	if err != nil {
		return err
	}
	mark, ok, err := state.Mark()
	if err != nil || !ok || !s.spec.trusted(mark, bounds, s.r.cfg.Clock.Now()) { // one that does not decode is as good as none
		if err := state.Clear(); err != nil {
			return err
		}
		mark = Mark{Changelog: bounds.LogStart, ChangelogEpoch: bounds.LeaderEpoch}
	}
	reader := logReader{log: s.r.cfg.Log, timer: s.r.cfg.Clock, tp: tp, offset: mark.Changelog}
	for {
		more, err := reader.apply(s.ctx, state, &mark)
		if err != nil {
			return err
		}
		if more {
			continue
		}
		if err := s.await(); err != nil {
			return err
		}
	}
}

// standbyTick is how often a standby looks though nothing has told it of more.
const standbyTick = 10 * time.Second

func (s *standby) await() error {
	timer := s.r.cfg.Clock.NewTimer(standbyTick)
	defer timer.Stop()
	select {
	case <-s.wake:
	case <-timer.C():
	case <-s.ctx.Done():
	}
	return s.ctx.Err()
}
