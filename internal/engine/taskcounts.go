package engine

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/planner"
)

// taskCount is what a task has counted, and where it runs.
type taskCount struct {
	exec.TaskStats
	Node   int32           `json:"node"`
	Counts []operatorCount `json:"counts,omitempty"` // in place of Operators, which refer to the plan of their node
}

// operatorCount is exec.OperatorStats with the name of the node of the plan.
type operatorCount struct {
	Name       string        `json:"name"`
	Rows       int64         `json:"rows"`
	StateBytes int64         `json:"state"`
	Time       time.Duration `json:"time"`
}

// ownCounts are the counters of a query's tasks here.
func (e *Engine) ownCounts(oid uint64) []taskCount {
	var out []taskCount
	for _, s := range e.runner.Stats(oid) {
		c := taskCount{TaskStats: s, Node: e.opts.NodeID}
		for _, o := range s.Operators {
			c.Counts = append(c.Counts, operatorCount{planner.NodeName(o.Node), o.Rows, o.StateBytes, o.Time})
		}
		c.Operators = nil
		out = append(out, c)
	}
	return out
}

// ownStats are the counters of all tasks here, by query.
func (e *Engine) ownStats() map[uint64][]taskCount {
	out := map[uint64][]taskCount{}
	for oid := range e.super.queries() {
		if counts := e.ownCounts(uint64(oid)); len(counts) > 0 {
			out[uint64(oid)] = counts
		}
	}
	return out
}

// stats are the counters of a query's tasks, wherever they run, by fragment and partition; of a node that does not answer there are none.
func (e *Engine) stats(oid uint64) []taskCount {
	q, ok := e.super.query(uint32(oid))
	if !ok {
		return nil
	}
	var out []taskCount
	for _, node := range e.super.nodesOf(q) {
		if node == e.opts.NodeID {
			out = append(out, e.ownCounts(oid)...)
		} else {
			out = append(out, e.far.of(e, node)[oid]...)
		}
	}
	slices.SortFunc(out, func(a, b taskCount) int {
		return cmp.Or(cmp.Compare(a.Fragment, b.Fragment), cmp.Compare(a.Partition, b.Partition))
	})
	return out
}

// farStatsAge is how old the counters of other nodes may be that one statement sees.
const farStatsAge = 50 * time.Millisecond

// farStats remembers the counters of other nodes for a moment, for a statement asks for those of many queries.
type farStats struct {
	mu struct {
		sync.Mutex
		by map[int32]nodeStats
	}
}

type nodeStats struct {
	at    time.Time
	stats map[uint64][]taskCount
}

// of returns the counters of a node.
func (f *farStats) of(e *Engine, node int32) map[uint64][]taskCount {
	f.mu.Lock()
	defer f.mu.Unlock() // so that one asks and the others wait for it
	if s, ok := f.mu.by[node]; ok && e.clock.Since(s.at) < farStatsAge {
		return s.stats
	}
	a, err := e.ask(e.super.ctx, node, question{Kind: "stats"})
	if err != nil {
		e.logger.Debug("counters of queries are not known", "node", node, "err", err)
	}
	if f.mu.by == nil {
		f.mu.by = map[int32]nodeStats{}
	}
	f.mu.by[node] = nodeStats{e.clock.Now(), a.Stats}
	return a.Stats
}
