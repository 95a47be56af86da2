package engine

import (
	"cmp"
	"slices"
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

// farStats are the counters that other nodes have told, by node, while somebody looks at those of some or all queries: each node is asked once. A later look asks again, for it may come after a
// read that has waited for the tasks.
type farStats map[int32]map[uint64][]taskCount

// of returns the counters of a node; none if it does not answer, which is not tried again.
func (f farStats) of(e *Engine, node int32) map[uint64][]taskCount {
	stats, ok := f[node]
	if ok {
		return stats
	}
	a, err := e.ask(e.super.ctx, node, question{Kind: "stats"})
	if err != nil {
		e.logger.Debug("counters of queries are not known", "node", node, "err", err)
	}
	f[node] = a.Stats
	return a.Stats
}

// stats are the counters of a query's tasks, wherever they run, by fragment and partition.
func (e *Engine) stats(oid uint64, far farStats) []taskCount {
	q, ok := e.super.query(uint32(oid))
	if !ok {
		return nil
	}
	var out []taskCount
	for _, node := range e.super.nodesOf(q) {
		if node == e.opts.NodeID {
			out = append(out, e.ownCounts(oid)...)
		} else {
			out = append(out, far.of(e, node)[oid]...)
		}
	}
	slices.SortFunc(out, func(a, b taskCount) int {
		return cmp.Or(cmp.Compare(a.Fragment, b.Fragment), cmp.Compare(a.Partition, b.Partition))
	})
	return out
}
