package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/replication/metadata"
)

// through waits until a query has brought everything below base through, fragment by fragment, on whichever nodes their tasks run.
func (w *waiter) through(ctx context.Context, q *runningQuery, oid uint32, base positions) error {
	for _, f := range q.plan.Fragments {
		due, err := w.e.runner.Due(ctx, f, base)
		if err != nil {
			return err
		}
		if err := w.e.waitFragment(ctx, q, oid, f, due); err != nil {
			if errors.Is(err, errPaused) {
				return w.notRunning(oid)
			}
			return err
		}
	}
	return nil
}

// errPaused: nobody is to run the tasks that are waited for.
var errPaused = errors.New("the query is paused or has failed")

// waitFragment waits until the tasks of a fragment have taken in everything below the positions, whichever nodes run them.
func (e *Engine) waitFragment(ctx context.Context, q *runningQuery, oid uint32, f *planner.Fragment, due []exec.PartitionOffset) error {
	for len(due) > 0 {
		nodes, paused, changed := e.super.where(q, f)
		byNode := map[int32][]exec.PartitionOffset{}
		for _, o := range due {
			node := metadata.NoLeader
			if int(o.Partition) < len(nodes) {
				node = nodes[o.Partition]
			}
			byNode[node] = append(byNode[node], o)
		}
		delete(byNode, metadata.NoLeader)
		wctx, stop := mergeDone(ctx, changed)
		reached, err := e.reached(wctx, oid, f, byNode)
		stop()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && changed.Err() == nil:
			return err
		}
		due = slices.DeleteFunc(slices.Clone(due), func(o exec.PartitionOffset) bool { return slices.Contains(reached, o) })
		if len(due) == 0 {
			return nil
		}
		if paused {
			return errPaused
		}
		if !clock.Wait(ctx, e.clock, askPause) {
			return ctx.Err()
		}
	}
	return nil
}

// reached asks all nodes at the same time to wait for what their tasks have to take in, and returns what they have.
func (e *Engine) reached(ctx context.Context, oid uint32, f *planner.Fragment, byNode map[int32][]exec.PartitionOffset) (reached []exec.PartitionOffset, failed error) {
	type result struct {
		due  []exec.PartitionOffset
		done bool
		err  error
	}
	results := make(chan result, len(byNode))
	ask := func(node int32, due []exec.PartitionOffset) {
		r := result{due: due}
		if node == e.opts.NodeID {
			r.err = e.runner.WaitFrontier(ctx, uint64(oid), f.ID, due)
			r.done = r.err == nil
		} else {
			r.done, r.err = e.askReached(ctx, node, oid, f.ID, due)
		}
		if errors.Is(r.err, exec.ErrUnavailable) || errors.Is(r.err, exec.ErrNotHere) {
			r.err = nil // asked again, there or elsewhere
		}
		results <- r
	}
	for node, due := range byNode {
		if len(byNode) == 1 {
			ask(node, due)
		} else {
			go ask(node, due)
		}
	}
	for range byNode {
		r := <-results
		if r.done {
			reached = append(reached, r.due...)
		} else if failed == nil {
			failed = r.err
		}
	}
	return reached, failed
}

// waitAll is waitFragment for a task that reads what the fragment writes. It ends with the task, or when there is nothing to be waited for any more, and the task starts over.
func (e *Engine) waitAll(ctx context.Context, query uint64, fragment uint32, due []exec.PartitionOffset) error {
	q, ok := e.super.query(uint32(query))
	if !ok {
		return exec.ErrUnavailable
	}
	i := slices.IndexFunc(q.plan.Fragments, func(f *planner.Fragment) bool { return f.ID == fragment })
	if i < 0 {
		return exec.ErrUnavailable
	}
	ctx, stop := mergeDone(ctx, q.life)
	defer stop()
	if err := e.waitFragment(ctx, q, uint32(query), q.plan.Fragments[i], due); err != nil {
		return fmt.Errorf("%w: %w", exec.ErrUnavailable, err)
	}
	return nil
}
