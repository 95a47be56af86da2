package engine

import (
	"slices"

	"github.com/millracedb/millrace/coordinator"
	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/replication/metadata"
)

// The tasks of persistent queries are dealt out to the nodes: the query node chooses, for all queries together (coordinator.AssignTasks), and writes into the metadata what has changed. Every node
// reads there which tasks are its own, claims their partitions in the query's group, and runs them.

// alone reports whether there is no other node that could run a task.
func (e *Engine) alone(img *metadata.Image) bool {
	if e.opts.Peers == nil {
		return true
	}
	for k := range img.Brokers() {
		if k.ID != e.opts.NodeID {
			return false
		}
	}
	return true
}

// taskNodes are the nodes that run the tasks of a query, by fragment and partition. What was not dealt out yet runs on the query node.
func (e *Engine) taskNodes(img *metadata.Image, oid metadata.OID, plan *planner.Persistent) [][]int32 {
	home, ok := img.QueryNode()
	if e.alone(img) {
		home = e.opts.NodeID
	} else if !ok {
		home = metadata.NoLeader
	}
	stored := lastNodes(img, oid, plan)
	for i, f := range plan.Fragments {
		for p, n := range stored[i] {
			if n == metadata.NoLeader || atHome(plan, f) || e.alone(img) {
				stored[i][p] = home
			}
		}
	}
	return stored
}

// activeNodes are the nodes that may run tasks, in order.
func activeNodes(img *metadata.Image) []int32 {
	var active []int32
	for k := range img.Brokers() {
		if !k.Fenced && !k.Draining && !img.Drained(k.ID) {
			active = append(active, k.ID)
		}
	}
	slices.Sort(active)
	return active
}

// standbys are the nodes that keep the state of a query's tasks besides those that run them, by fragment and partition; none for those without a changelog.
func standbys(img *metadata.Image, oid metadata.OID, q *runningQuery, nodes [][]int32) [][][]int32 {
	active := activeNodes(img)
	out := make([][][]int32, len(nodes))
	for i, f := range q.plan.Fragments {
		out[i] = make([][]int32, len(nodes[i]))
		for p, node := range nodes[i] {
			if f.Stateful && q.standbys > 0 {
				out[i][p] = coordinator.Standbys(active, node, uint64(oid), i, p, q.standbys)
			}
		}
	}
	return out
}

// standbysOf are the standbys of a query's tasks, by task.
func (e *Engine) standbysOf(oid uint64) map[exec.TaskKey][]int32 {
	q, ok := e.super.query(uint32(oid))
	img := e.meta.Image()
	if !ok || e.alone(img) {
		return nil
	}
	out := map[exec.TaskKey][]int32{}
	for i, fragment := range standbys(img, metadata.OID(oid), q, e.taskNodes(img, metadata.OID(oid), q.plan)) {
		for p, nodes := range fragment {
			out[exec.TaskKey{Query: oid, Fragment: q.plan.Fragments[i].ID, Partition: int32(p)}] = nodes
		}
	}
	return out
}

// lastNodes are the nodes that the metadata has for the tasks of a query; NoLeader for those that were not dealt out since the plan has them.
func lastNodes(img *metadata.Image, oid metadata.OID, plan *planner.Persistent) [][]int32 {
	stored := img.TaskNodes(oid)
	nodes := make([][]int32, len(plan.Fragments))
	for i, f := range plan.Fragments {
		nodes[i] = slices.Repeat([]int32{metadata.NoLeader}, int(f.Partitions))
		if len(stored) == len(nodes) && len(stored[i]) == len(nodes[i]) {
			copy(nodes[i], stored[i])
		}
	}
	return nodes
}

// atHome reports whether a fragment runs on the query node only: the one that writes an ordinary table, whose owner is there, or notifications.
func atHome(plan *planner.Persistent, f *planner.Fragment) bool {
	if plan.Sink == nil {
		return true
	}
	_, writes := f.Root.(*planner.Sink)
	return writes && (plan.Sink.Rel.Ordinary || plan.Sink.Rel.OID < uint32(metadata.FirstOID))
}

// driftShare is how much fuller than the emptiest a node may be before tasks move though no node has come or gone: this part of what a node has on average.
const driftShare = 2

// dealOut chooses nodes for the tasks that have none, on the query node, and returns the image to go on from.
func (s *supervisor) dealOut(img *metadata.Image) *metadata.Image {
	if home, ok := img.QueryNode(); !ok || home != s.e.opts.NodeID || s.e.opts.Worker || s.e.alone(img) {
		return img
	}
	active := s.readyNodes(img)
	oids, tasks := s.tasksOf(img)
	b := s.e.meta.NewBatch()
	slack := 1
	if slices.Equal(active, img.DealtNodes()) {
		total := 0
		for _, q := range tasks {
			for _, f := range q.Nodes {
				total += len(f)
			}
		}
		slack = max(2, total/max(len(active), 1)/driftShare)
	} else if len(active) > 0 {
		b.SetDealtNodes(active)
	}
	for i, nodes := range coordinator.AssignTasks(active, s.e.opts.NodeID, tasks, slack) {
		if !slices.EqualFunc(nodes, tasks[i].Nodes, slices.Equal) {
			b.SetTaskNodes(oids[i], nodes)
		}
	}
	if b.Len() == 0 {
		return img
	}
	for oid := range img.QueriesWithTasks() {
		if _, ok := img.Object(oid); !ok {
			b.ForgetTaskNodes(oid)
		}
	}
	if _, err := s.e.meta.Apply(s.ctx, b); err != nil {
		if s.ctx.Err() == nil {
			s.e.logger.Warn("tasks of queries are not dealt out yet", "err", err)
		}
		s.retry = true
		return img
	}
	return s.e.meta.Image()
}

// tasksOf are the tasks of all queries of an image, with the nodes that they have.
func (s *supervisor) tasksOf(img *metadata.Image) (oids []metadata.OID, tasks []coordinator.QueryTasks) {
	for _, o := range queries(img) {
		q, ok := s.query(uint32(o.OID))
		if !ok || q.version != o.Version { // it may have been replaced
			if q, _ = s.known(img, o); q == nil {
				continue
			}
		}
		t := coordinator.QueryTasks{ID: uint64(o.OID), Nodes: lastNodes(img, o.OID, q.plan)}
		for i, f := range q.plan.Fragments {
			t.Home = append(t.Home, atHome(q.plan, f))
			t.Leaders = append(t.Leaders, leaders(img, f))
			t.Stateful = append(t.Stateful, f.Stateful)
			if t.Home[i] {
				t.Nodes[i] = slices.Repeat([]int32{s.e.opts.NodeID}, int(f.Partitions))
			}
		}
		oids, tasks = append(oids, o.OID), append(tasks, t)
	}
	return oids, tasks
}

// leaders are the nodes that lead what the tasks of a fragment read first.
func leaders(img *metadata.Image, f *planner.Fragment) []int32 {
	out := slices.Repeat([]int32{metadata.NoLeader}, int(f.Partitions))
	in := exec.TaskInputs(f, 0)
	if len(in) == 0 {
		return out
	}
	if t, ok := img.Topic(in[0].Topic); ok {
		for p := range out {
			if r, ok := t.Partition(int32(p)); ok {
				out[p] = r.Leader
			}
		}
	}
	return out
}
