package exec

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
)

// runs reports whether a task runs here.
func (r *Runner) runs(k TaskKey) bool {
	r.mu.Lock()
	t := r.mu.tasks[k]
	r.mu.Unlock()
	if t == nil {
		return false
	}
	select {
	case <-t.done:
		return false
	default:
		return true
	}
}

func (r *Runner) find(query uint64) *progress {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mu.progress[query]
}

// ErrNotHere says that no task of a query has run on this node.
var ErrNotHere error = sqlerr.New(sqlerr.ObjectNotInPrerequisiteState, "the query does not run on this node")

// Frontier returns, per input partition of a query's tasks here (repartition topics too), the next offset whose effects are
// committed and readable.
func (r *Runner) Frontier(query uint64) map[TopicPartition]int64 {
	if p := r.find(query); p != nil {
		frontier, _ := p.snapshot()
		return frontier
	}
	return nil
}

// Outputs returns the end offsets of what a query's tasks here have written since they started.
func (r *Runner) Outputs(query uint64) map[TopicPartition]int64 {
	if p := r.find(query); p != nil {
		_, outputs := p.snapshot()
		return outputs
	}
	return nil
}

// WaitFrontier returns when the tasks of a fragment here have taken in everything below positions. A query that is paused, has failed or does not
// run here is a 55000 at once; a task that runs elsewhere is waited for as long as ctx lasts.
func (r *Runner) WaitFrontier(ctx context.Context, query uint64, fragment uint32, positions []PartitionOffset) error {
	p := r.find(query)
	if p == nil {
		return ErrNotHere
	}
	return p.wait(ctx, fragment, positions)
}

// WaitThrough waits until everything below the base positions has come out at the end of a query, through all its fragments,
// and returns how far the query's sink was written by then. Positions of topics that the query does not read are ignored.
func (r *Runner) WaitThrough(ctx context.Context, plan *planner.Persistent, query uint64, base map[TopicPartition]int64) (map[TopicPartition]int64, error) {
	p := r.find(query)
	if p == nil {
		return nil, ErrNotHere
	}
	for _, f := range plan.Fragments { // inputs come before what reads them
		positions, err := r.Due(ctx, f, base)
		if err != nil {
			return nil, err
		}
		if err := p.wait(ctx, f.ID, positions); err != nil {
			return nil, err
		}
	}
	_, written := p.snapshot()
	ends := map[TopicPartition]int64{}
	for tp, end := range written {
		if plan.Sink != nil && tp.Topic == plan.Sink.Rel.Topic {
			ends[tp] = end
		}
	}
	return ends, nil
}

// Due are the positions that a fragment has to reach so that everything below the base positions has come out of it, once it has come out of the fragments before it.
func (r *Runner) Due(ctx context.Context, f *planner.Fragment, base map[TopicPartition]int64) ([]PartitionOffset, error) {
	positions, err := r.exchanged(ctx, f)
	if err != nil {
		return nil, err
	}
	for _, topic := range sourceTopics(f) {
		for tp, at := range base {
			if tp.Topic == topic {
				positions = append(positions, PartitionOffset{TopicPartition: tp, Offset: at})
			}
		}
	}
	return positions, nil
}

// exchanged are the ends of the repartition topics that a fragment reads: what the fragments before it have written, in this life
// of the node or an earlier one. It is all that is replicated, not only what is stable: what is waited for may lie above a transaction that went down with a node and is not aborted yet.
// A partition without rows counts too: its task may have a row to give all the same, that of an
// aggregate without GROUP BY.
func (r *Runner) exchanged(ctx context.Context, f *planner.Fragment) ([]PartitionOffset, error) {
	var out []PartitionOffset
	for _, s := range f.Sources {
		x, ok := s.(*planner.Exchange)
		if !ok {
			continue
		}
		for p := range f.Partitions {
			tp := TopicPartition{x.Topic, p}
			o, err := r.cfg.Log.Offsets(ctx, tp)
			if err != nil {
				return nil, err
			}
			out = append(out, PartitionOffset{TopicPartition: tp, Offset: o.HighWatermark})
		}
	}
	return out, nil
}

// FragmentGroup returns the group in which a fragment commits its offsets: group itself, or for a fragment that reads a topic that
// an earlier one reads too, as in a self-join, group with the fragment's number.
func FragmentGroup(group string, plan *planner.Persistent, f *planner.Fragment) string {
	for _, other := range plan.Fragments {
		if other == f {
			break
		}
		if sharesTopic(other, f) {
			return GroupOfFragment(group, f.ID)
		}
	}
	return group
}

// GroupOfFragment is the name of the group that a fragment has to itself, where FragmentGroup says that it needs one.
func GroupOfFragment(group string, fragment uint32) string {
	return fmt.Sprintf("%s-%d", group, fragment)
}

func sharesTopic(a, b *planner.Fragment) bool {
	topics := sourceTopics(a)
	return slices.ContainsFunc(sourceTopics(b), func(t string) bool { return slices.Contains(topics, t) })
}

// TaskInputs are the partitions that the task of a fragment with this partition number reads.
func TaskInputs(f *planner.Fragment, partition int32) []TopicPartition {
	var in []TopicPartition
	for _, topic := range sourceTopics(f) {
		if tp := (TopicPartition{topic, partition}); !slices.Contains(in, tp) {
			in = append(in, tp)
		}
	}
	return in
}

func sourceTopics(f *planner.Fragment) []string {
	var topics []string
	for _, s := range f.Sources {
		switch s := s.(type) {
		case *planner.Scan:
			topics = append(topics, s.Rel.Topic)
		case *planner.Exchange:
			topics = append(topics, s.Topic)
		}
	}
	return topics
}

// Status returns the state of a query here and the error it failed with.
func (r *Runner) Status(query uint64) (QueryState, error) {
	p := r.find(query)
	if p == nil {
		return QueryPaused, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.state, p.mu.err
}

// Stats returns what the tasks of a query here have done, by fragment and partition.
func (r *Runner) Stats(query uint64) []TaskStats {
	p := r.find(query)
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []TaskStats
	for k, s := range p.mu.stats {
		s.Fragment, s.Partition = k.Fragment, k.Partition
		s.RowsPerSecond = s.rate.as(r.cfg.Clock.Now())
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b TaskStats) int {
		return cmp.Or(cmp.Compare(a.Fragment, b.Fragment), cmp.Compare(a.Partition, b.Partition))
	})
	return all
}

// TaskStats are the counters of one task: those of rows for ever, the others since it started.
type TaskStats struct {
	Fragment  uint32
	Partition int32
	RowCounts
	RowsPerSecond float64 // of RowsIn, over the last few seconds
	Errors        ErrorCounts
	Commits       int64
	StateBytes    int64         // of rows in memory
	StreamTime    int64         // ms, math.MinInt64 before anything was read
	Time          time.Duration // that the operators took
	Lag           int64         // records known to be readable and not read
	// Operators are the nodes of the fragment, the sink or exchange first, each before its inputs.
	Operators []OperatorStats

	rate rate // of RowsIn
}

// OperatorStats say what one node of a fragment has done since its task last began.
type OperatorStats struct {
	Node       planner.Node  // of the plan: do not change it
	Rows       int64         // that left the node; of the root, those written
	Time       time.Duration // that it took, without fetching and waiting
	StateBytes int64         // of its rows in memory
}
