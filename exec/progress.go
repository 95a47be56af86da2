package exec

import (
	"context"
	"maps"
	"sync"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// QueryState is where a query stands on this node.
type QueryState uint8

// The states.
const (
	QueryRunning QueryState = iota
	QueryPaused
	QueryFailed
)

// String returns the state as SHOW QUERIES prints it.
func (s QueryState) String() string {
	switch s {
	case QueryPaused:
		return "PAUSED"
	case QueryFailed:
		return "FAILED"
	default:
		return "RUNNING"
	}
}

// progress is how far the tasks of one query on this node have come. Tasks publish, waiters wait.
type progress struct {
	name string
	mu   struct {
		sync.Mutex
		frontier map[fragmentInput]int64  // next offset whose effects are committed and readable
		outputs  map[TopicPartition]int64 // end of what was written
		state    QueryState
		err      error
		changed  chan struct{} // closed at the next change
		stats    map[TaskKey]TaskStats
	}
}

// fragmentInput is a partition as one fragment reads it: in a self-join two do.
type fragmentInput struct {
	fragment uint32
	tp       TopicPartition
}

func newProgress(name string) *progress {
	p := &progress{name: name}
	p.mu.frontier = map[fragmentInput]int64{}
	p.mu.outputs = map[TopicPartition]int64{}
	p.mu.stats = map[TaskKey]TaskStats{}
	p.mu.changed = make(chan struct{})
	return p
}

func (p *progress) changedLocked() {
	close(p.mu.changed)
	p.mu.changed = make(chan struct{})
}

// publish notes what a task has committed.
func (p *progress) publish(inputs []PartitionOffset, outputs map[TopicPartition]int64, key TaskKey, stats TaskStats) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, o := range inputs {
		in := fragmentInput{key.Fragment, o.TopicPartition}
		p.mu.frontier[in] = max(p.mu.frontier[in], o.Offset)
	}
	for tp, end := range outputs {
		p.mu.outputs[tp] = max(p.mu.outputs[tp], end)
	}
	p.mu.stats[key] = stats
	p.changedLocked()
}

// forget drops what tasks have told that are no longer here. A task reads the partitions of its number.
func (p *progress) forget(tasks []TaskKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, k := range tasks {
		delete(p.mu.stats, k)
		maps.DeleteFunc(p.mu.frontier, func(in fragmentInput, _ int64) bool {
			return in.fragment == k.Fragment && in.tp.Partition == k.Partition
		})
	}
	p.changedLocked()
}

func (p *progress) setState(s QueryState, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.state == QueryFailed && s == QueryPaused {
		return
	}
	p.mu.state, p.mu.err = s, err
	p.changedLocked()
}

// reachedLocked reports whether a fragment has taken in everything below o.
func (p *progress) reachedLocked(fragment uint32, o PartitionOffset) bool {
	at, ok := p.mu.frontier[fragmentInput{fragment, o.TopicPartition}]
	return ok && at >= o.Offset
}

// wait returns when a fragment's frontier has reached all positions. It says at once when the query is paused or has failed.
func (p *progress) wait(ctx context.Context, fragment uint32, positions []PartitionOffset) error {
	for {
		p.mu.Lock()
		reached := true
		for _, o := range positions {
			if reached = p.reachedLocked(fragment, o); !reached {
				break
			}
		}
		state, err, changed := p.mu.state, p.mu.err, p.mu.changed
		p.mu.Unlock()
		switch {
		case reached:
			return nil
		case state == QueryPaused:
			return sqlerr.New(sqlerr.ObjectNotInPrerequisiteState, "query %q is paused", p.name).WithHint("RESUME it to bring its results up to date.")
		case state == QueryFailed:
			return sqlerr.New(sqlerr.ObjectNotInPrerequisiteState, "query %q has failed: %w", p.name, err)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// snapshot returns the frontier, the lowest where several fragments read a partition, and the ends of what was written.
func (p *progress) snapshot() (frontier, outputs map[TopicPartition]int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	frontier = map[TopicPartition]int64{}
	for in, at := range p.mu.frontier {
		if other, ok := frontier[in.tp]; !ok || at < other {
			frontier[in.tp] = at
		}
	}
	return frontier, maps.Clone(p.mu.outputs)
}
