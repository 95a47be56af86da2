package exec

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
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
	committerOptions
}

type committerOptions struct {
	patient bool // tasks wait for a log that takes no writes now; a client's transaction is told at once
	regain  bool // a lane that was fenced is opened again for the next round
}

// commitRequest is one task's part of a round.
type commitRequest struct {
	ctx    context.Context // of the task
	commit TaskCommit
	claim  atomic.Bool // set by who decides first: the round that takes it, or the task that gives up waiting in the queue
	result TaskResult
	err    error
	done   chan struct{}
}

func startCommitter(ctx context.Context, wg *sync.WaitGroup, log Log, c clock.Clock, id string, opts committerOptions) *committer {
	m := &committer{log: log, clock: c, id: id, committerOptions: opts, queue: make(chan *commitRequest, maxRoundTasks), done: make(chan struct{})}
	wg.Go(func() { m.run(ctx) })
	return m
}

// submit commits a task's contribution in some round and returns its outcome.
func (m *committer) submit(ctx context.Context, c TaskCommit) (TaskResult, error) {
	req := &commitRequest{ctx: ctx, commit: c, done: make(chan struct{})}
	select {
	case m.queue <- req:
	case <-m.done:
		return TaskResult{}, context.Canceled
	case <-ctx.Done():
		return TaskResult{}, ctx.Err()
	}
	stopped := ctx.Done()
	for {
		select {
		case <-req.done:
			return req.result, req.err
		case <-m.done:
			return TaskResult{}, context.Canceled
		case <-stopped:
			if req.claim.CompareAndSwap(false, true) {
				return TaskResult{}, ctx.Err()
			}
			stopped = nil // a round that holds the request is not called off for one task: its outcome must be known
		}
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
			m.round(ctx, slices.DeleteFunc(m.gather(first), func(req *commitRequest) bool { return !req.claim.CompareAndSwap(false, true) }))
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

// round commits the requests as one transaction and answers each. ErrUnavailable means that nothing was committed, so what is
// left of the round is tried again; tasks that were stopped meanwhile leave it. After an unknown outcome the lane is opened
// anew at the next round, which settles the transaction.
func (m *committer) round(ctx context.Context, round []*commitRequest) {
	for pause := commitRetryMin; len(round) > 0; pause = min(2*pause, commitRetryMax) {
		results, err := m.try(ctx, round)
		if err == nil && len(results) != len(round) {
			err = fmt.Errorf("lane %s answered for %d of %d tasks", m.id, len(results), len(round))
		}
		if !errors.Is(err, ErrUnavailable) {
			answer(round, results, err)
			return
		}
		if !clock.Wait(ctx, m.clock, pause) {
			answer(round, nil, ctx.Err())
			return
		}
		round = slices.DeleteFunc(round, func(req *commitRequest) bool {
			gone := req.ctx.Err() != nil
			if gone {
				answer([]*commitRequest{req}, nil, req.ctx.Err())
			}
			return gone
		})
	}
}

func answer(round []*commitRequest, results []TaskResult, err error) {
	for i, req := range round {
		if err != nil {
			req.err = err
		} else {
			req.result, req.err = results[i], results[i].Err
		}
		close(req.done)
	}
}

// try opens the lane if it must and runs one transaction.
func (m *committer) try(ctx context.Context, round []*commitRequest) ([]TaskResult, error) {
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
	commits := make([]TaskCommit, len(round))
	for i, req := range round {
		commits[i] = req.commit
	}
	results, err := m.lane.Commit(ctx, commits)
	if err != nil && !errors.Is(err, ErrUnavailable) {
		_ = m.lane.Close() // whatever is wrong with it, the next round opens it again
		m.lane = nil
		m.over = errors.Is(err, ErrFenced) && !m.regain
	}
	return results, err
}
