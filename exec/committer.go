package exec

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/millracedb/millrace/internal/clock"
)

// Limits of a lane's rounds.
const (
	maxRoundTasks  = 256
	commitRetryMin = 10 * time.Millisecond
	commitRetryMax = time.Second
)

// committer owns one lane. While a round is in flight the tasks that become ready gather for the next.
type committer struct {
	log   Log
	clock clock.Clock
	id    string
	queue chan *commitRequest
	done  chan struct{}
	lane  Lane
	over  bool // the lane was fenced: whoever did that has the tasks now
	// patient: tasks wait for a log that takes no writes now; a client's transaction is told at once.
	patient bool
}

// commitRequest is one task's part of a round.
type commitRequest struct {
	commit TaskCommit
	result TaskResult
	err    error
	done   chan struct{}
}

func startCommitter(ctx context.Context, wg *sync.WaitGroup, log Log, c clock.Clock, id string, patient bool) *committer {
	m := &committer{log: log, clock: c, id: id, patient: patient, queue: make(chan *commitRequest, maxRoundTasks), done: make(chan struct{})}
	wg.Go(func() { m.run(ctx) })
	return m
}

// submit commits a task's contribution in some round and returns its outcome.
func (m *committer) submit(ctx context.Context, c TaskCommit) (TaskResult, error) {
	req := &commitRequest{commit: c, done: make(chan struct{})}
	select {
	case m.queue <- req:
	case <-m.done:
		return TaskResult{}, context.Canceled
	case <-ctx.Done():
		return TaskResult{}, ctx.Err()
	}
	// A round that holds the request is not called off for one task: its outcome must be known.
	select {
	case <-req.done:
		return req.result, req.err
	case <-m.done:
		return TaskResult{}, context.Canceled
	}
}

func (m *committer) run(ctx context.Context) {
	defer close(m.done)
	defer func() {
		if m.lane != nil {
			_ = m.lane.Close() // the lane is given up; its open transaction is aborted by who opens it next
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return
		case first := <-m.queue:
			m.round(ctx, m.gather(first))
		}
	}
}

func (m *committer) gather(first *commitRequest) []*commitRequest {
	round := []*commitRequest{first}
	for len(round) < maxRoundTasks {
		select {
		case req := <-m.queue:
			round = append(round, req)
		default:
			return round
		}
	}
	return round
}

// round commits the requests as one transaction and answers each.
func (m *committer) round(ctx context.Context, round []*commitRequest) {
	commits := make([]TaskCommit, len(round))
	for i, req := range round {
		commits[i] = req.commit
	}
	results, err := m.commit(ctx, commits)
	for i, req := range round {
		if err != nil {
			req.err = err
		} else {
			req.result, req.err = results[i], results[i].Err
		}
		close(req.done)
	}
}

// commit tries until the outcome is known or nothing can help. ErrUnavailable means that nothing was committed, so the same
// round is tried again. After an unknown outcome the lane is opened anew at the next round, which settles the transaction.
func (m *committer) commit(ctx context.Context, commits []TaskCommit) ([]TaskResult, error) {
	for pause := commitRetryMin; ; pause = min(2*pause, commitRetryMax) {
		results, err := m.try(ctx, commits)
		if err == nil && len(results) != len(commits) {
			err = fmt.Errorf("lane %s answered for %d of %d tasks", m.id, len(results), len(commits))
		}
		if !m.patient || !errors.Is(err, ErrUnavailable) {
			return results, err
		}
		timer := m.clock.NewTimer(pause)
		select {
		case <-timer.C():
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		}
	}
}

func (m *committer) try(ctx context.Context, commits []TaskCommit) ([]TaskResult, error) {
	if m.over {
		return nil, fmt.Errorf("lane %s: %w", m.id, ErrFenced)
	}
	if m.lane == nil {
		lane, err := m.log.OpenLane(ctx, m.id)
		if err != nil {
			return nil, err
		}
		m.lane = lane
	}
	results, err := m.lane.Commit(ctx, commits)
	if err != nil && !errors.Is(err, ErrUnavailable) {
		_ = m.lane.Close() // whatever is wrong with it, the next round opens it again
		m.lane = nil
		m.over = errors.Is(err, ErrFenced)
	}
	return results, err
}
