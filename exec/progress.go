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
		frontier map[TopicPartition]int64 // next offset whose effects are committed and readable
		outputs  map[TopicPartition]int64 // end of what was written
		state    QueryState
		err      error
		changed  chan struct{} // closed at the next change
		stats    map[taskKey]TaskStats
	}
}

func newProgress(name string) *progress {
	p := &progress{name: name}
	p.mu.frontier = map[TopicPartition]int64{}
	p.mu.outputs = map[TopicPartition]int64{}
	p.mu.stats = map[taskKey]TaskStats{}
	p.mu.changed = make(chan struct{})
	return p
}

func (p *progress) changedLocked() {
	close(p.mu.changed)
	p.mu.changed = make(chan struct{})
}

// publish notes what a task has committed.
func (p *progress) publish(inputs []PartitionOffset, outputs map[TopicPartition]int64, key taskKey, stats TaskStats) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, o := range inputs {
		p.mu.frontier[o.TopicPartition] = max(p.mu.frontier[o.TopicPartition], o.Offset)
	}
	for tp, end := range outputs {
		p.mu.outputs[tp] = max(p.mu.outputs[tp], end)
	}
	p.mu.stats[key] = stats
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

// wait returns when the frontier has reached all positions. It says at once when the query is paused or has failed.
func (p *progress) wait(ctx context.Context, positions []PartitionOffset) error {
	for {
		p.mu.Lock()
		reached := true
		for _, o := range positions {
			if at, ok := p.mu.frontier[o.TopicPartition]; !ok || at < o.Offset {
				reached = false
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

func (p *progress) snapshot() (frontier, outputs map[TopicPartition]int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.mu.frontier), maps.Clone(p.mu.outputs)
}
