package engine

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/replication/metadata"
)

// where are the nodes that run the tasks of a fragment, by partition, and whether it should have none; changed ends when that changes.
func (s *supervisor) where(q *runningQuery, f *planner.Fragment) (nodes []int32, paused bool, changed context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(q.plan.Fragments, f); i >= 0 && i < len(q.nodes) {
		nodes = q.nodes[i]
	}
	return nodes, q.paused, q.placed
}

// placed returns a context that ends when a task of a query gets another node, or ends here.
func (s *supervisor) placed(q *runningQuery) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	return q.placed
}

// nodesOf are the nodes that run a query's tasks, each once, in order.
func (s *supervisor) nodesOf(q *runningQuery) []int32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Compact(slices.Sorted(slices.Values(slices.Concat(q.nodes...))))
}

// place notes where a query's tasks run, and returns those that run here and are to run elsewhere.
func (s *supervisor) place(oid metadata.OID, q *runningQuery, nodes [][]int32, paused bool) (leave []exec.TaskKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.EqualFunc(q.nodes, nodes, slices.Equal) || q.paused != paused {
		q.movedLocked()
	}
	q.nodes, q.paused = nodes, paused
	for i, f := range q.plan.Fragments {
		for p := range f.Partitions {
			k := exec.TaskKey{Query: uint64(oid), Fragment: f.ID, Partition: p}
			if _, ok := q.own[k]; ok && nodes[i][p] != s.e.opts.NodeID {
				leave = append(leave, k)
			}
		}
	}
	return leave
}

func (q *runningQuery) movedLocked() {
	q.move()
	q.placed, q.move = context.WithCancel(q.life)
}

// halt ends tasks here, all at the same time.
func (s *supervisor) halt(tasks []exec.TaskKey) {
	s.mu.Lock()
	moved := map[*runningQuery]bool{}
	tasks = slices.DeleteFunc(tasks, func(k exec.TaskKey) bool {
		q := s.mu.running[metadata.OID(k.Query)]
		if q == nil {
			return true
		}
		_, ok := q.own[k]
		delete(q.own, k)
		moved[q] = moved[q] || ok
		return !ok
	})
	for q, is := range moved {
		if is {
			q.movedLocked()
		}
	}
	s.mu.Unlock()
	if len(tasks) > 0 {
		s.e.runner.Stop(tasks...)
	}
}

// disown notes that no task of a query runs here any more.
func (s *supervisor) disown(q *runningQuery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(q.own)
	q.movedLocked()
}

// lost is told by the runner that a task ended because another node took over. If this node should run it all the same, it takes it up again.
func (s *supervisor) lost(spec exec.TaskSpec, err error) {
	s.e.logger.Warn("task lost its partition", "query", spec.Name, "partition", spec.Partition, "err", err)
	if s.e.opts.Peers == nil {
		return
	}
	s.mu.Lock()
	s.mu.over[spec.Key()] = struct{}{}
	s.mu.Unlock()
	s.lookAgain()
}

// takeBack clears away tasks whose claims are over, and pauses before they are claimed again: by now another node may have them. False when the supervisor ends.
func (s *supervisor) takeBack() bool {
	taken := false
	for over := s.takeOver(); len(over) > 0; over = s.takeOver() { // what the tasks that have ended by now told
		taken = true
		s.halt(slices.Collect(maps.Keys(over)))
	}
	return !taken || clock.Wait(s.ctx, s.e.clock, restartPause)
}

func (s *supervisor) takeOver() map[exec.TaskKey]struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	over := s.mu.over
	s.mu.over = map[exec.TaskKey]struct{}{}
	return over
}

// missing are the tasks of a query that are to run here and do not, by fragment.
func (s *supervisor) missing(oid metadata.OID, q *runningQuery) map[*planner.Fragment][]exec.TaskKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[*planner.Fragment][]exec.TaskKey{}
	for i, f := range q.plan.Fragments {
		for p := range f.Partitions {
			k := exec.TaskKey{Query: uint64(oid), Fragment: f.ID, Partition: p}
			if _, ok := q.own[k]; !ok && q.nodes[i][p] == s.e.opts.NodeID {
				out[f] = append(out[f], k)
			}
		}
	}
	return out
}

// followTasks makes this node a standby of those tasks of a query that it is to be one of.
func (s *supervisor) followTasks(img *metadata.Image, o *metadata.Object, q *runningQuery) error {
	follow := map[exec.TaskKey]*planner.Fragment{}
	if q.standbys > 0 && !s.e.alone(img) {
		for i, fragment := range standbys(img, o.OID, q, s.e.taskNodes(img, o.OID, q.plan)) {
			for p, on := range fragment {
				if slices.Contains(on, s.e.opts.NodeID) {
					f := q.plan.Fragments[i]
					follow[exec.TaskKey{Query: uint64(o.OID), Fragment: f.ID, Partition: int32(p)}] = f
				}
			}
		}
	}
	s.e.runner.StopStandbys(func(k exec.TaskKey) bool { return k.Query == uint64(o.OID) && follow[k] == nil })
	for k, f := range follow {
		spec := exec.TaskSpec{Query: k.Query, Name: o.Name, Plan: q.plan, Fragment: f, Partition: k.Partition, StateRetention: s.stateRetention()}
		if err := s.e.runner.StartStandby(spec); err != nil {
			return err
		}
	}
	return nil
}

// maxStandbys bounds num_standby_replicas.
const maxStandbys = 4

// standbyReplicas is the setting with which a query was made; queries of earlier releases have its default.
func standbyReplicas(settings map[string]string) int {
	n, err := strconv.Atoi(newSettings(settings).must("num_standby_replicas"))
	if err != nil {
		return 0
	}
	return n
}

// movedStateAge is how old local state may be that a task goes on from: another node may have run it meanwhile, and tombstones of its changelog are kept for twice as long
// (Kafka's delete.retention.ms).
const movedStateAge = 12 * time.Hour

// stateRetention is movedStateAge where there are nodes that a task can move to.
func (s *supervisor) stateRetention() time.Duration {
	if s.e.alone(s.e.meta.Image()) {
		return 0
	}
	return movedStateAge
}
