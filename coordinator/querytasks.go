package coordinator

import (
	"cmp"
	"encoding/binary"
	"hash/fnv"
	"slices"
)

// NoNode is where a task runs that nobody was told to run.
const NoNode int32 = -1

// QueryTasks are the tasks of one persistent query, each by fragment and partition.
type QueryTasks struct {
	ID uint64
	// Nodes run the tasks by the last assignment; NoNode for those that are new.
	Nodes [][]int32
	// Leaders lead what the tasks read: of nodes that are as good, that one gets the task.
	Leaders [][]int32
	// Stateful marks the fragments that a standby can hold the state of.
	Stateful []bool
	// Home marks the fragments that run on the home node and nowhere else.
	Home []bool
}

// AssignTasks deals out the tasks of all queries to the active nodes, and returns for each query the nodes of its tasks, by fragment and partition. It is sticky: a task stays where it is while
// its node is active. One whose node has gone goes to its standby, unless that has its share of tasks already. The others go to the nodes with the fewest tasks, and of those to the one with the fewest of the same query. Then tasks move from the fullest node to the emptiest until no
// two are further apart than slack: no more of them than must, and the same ones again when a node comes back. The result depends on nothing but the arguments.
func AssignTasks(active []int32, home int32, queries []QueryTasks, slack int) [][][]int32 {
	a := assignor{queries: queries, load: map[int32]int{}, of: make([]map[int32]int, len(queries)), nodes: make([][][]int32, len(queries)), first: make([][]int, len(queries)), hashes: map[int32][]uint64{}}
	a.active = slices.Sorted(slices.Values(active))
	for _, n := range a.active {
		a.load[n] = 0
	}
	var orphans []taskRef
	count := 0
	for q := range queries {
		a.of[q], a.nodes[q] = map[int32]int{}, make([][]int32, len(queries[q].Nodes))
		for f, last := range queries[q].Nodes {
			a.nodes[q][f] = slices.Repeat([]int32{NoNode}, len(last))
			a.first[q] = append(a.first[q], count)
			count += len(last)
			for p, node := range last {
				t := taskRef{q, f, p}
				if queries[q].Home[f] {
					node = home
				}
				if _, ok := a.load[node]; ok {
					a.put(t, node)
				} else if !queries[q].Home[f] {
					orphans = append(orphans, t)
				}
			}
		}
	}
	if len(a.active) == 0 {
		return a.nodes
	}
	a.takeOver(orphans)
	for _, t := range orphans {
		if a.nodes[t.query][t.fragment][t.partition] == NoNode {
			a.put(t, a.best(t))
		}
	}
	for a.level(max(slack, 1)) {
	}
	return a.nodes
}

// Standbys are the nodes that keep the state of a task that runs on another: so many of the active ones, the first to take over first. As AssignTasks, it goes by nothing but its arguments; without the
// node of the task the same nodes come first.
func Standbys(active []int32, running int32, query uint64, fragment, partition, n int) []int32 {
	hash := func(node int32) uint64 { return taskHash(query, fragment, partition, node) }
	others := slices.DeleteFunc(slices.Clone(active), func(node int32) bool { return node == running })
	slices.SortFunc(others, func(x, y int32) int { return cmp.Or(cmp.Compare(hash(y), hash(x)), cmp.Compare(x, y)) })
	return others[:min(n, len(others))]
}

// takeOver gives tasks whose node has gone to their standbys, as long as those have less than their share.
func (a *assignor) takeOver(orphans []taskRef) {
	total := len(orphans)
	for _, n := range a.load {
		total += n
	}
	share := total / len(a.active)
	for _, t := range orphans {
		q := &a.queries[t.query]
		if last := q.Nodes[t.fragment][t.partition]; last == NoNode || !q.Stateful[t.fragment] {
			continue
		}
		if to := Standbys(a.active, NoNode, q.ID, t.fragment, t.partition, 1)[0]; a.load[to] < share {
			a.put(t, to)
		}
	}
}

type taskRef struct{ query, fragment, partition int }

type assignor struct {
	active  []int32
	queries []QueryTasks
	nodes   [][][]int32
	load    map[int32]int      // tasks by node
	of      []map[int32]int    // the same, by query
	first   [][]int            // the number of the first task of each fragment among all tasks
	hashes  map[int32][]uint64 // by node and number of the task
}

func (a *assignor) put(t taskRef, node int32) {
	at := &a.nodes[t.query][t.fragment][t.partition]
	if *at != NoNode {
		a.load[*at]--
		a.of[t.query][*at]--
	}
	*at = node
	a.load[node]++
	a.of[t.query][node]++
}

// best is the node for a task that has none.
func (a *assignor) best(t taskRef) int32 {
	best := a.active[0]
	for _, n := range a.active[1:] {
		switch d := a.load[n] - a.load[best]; {
		case d < 0 || d == 0 && a.rank(t, n).above(a.rank(t, best)):
			best = n
		}
	}
	return best
}

// rank says how well a task fits a node.
type rank struct {
	others int // tasks of the query there: the fewer the better
	leads  bool
	hash   uint64
}

func (a *assignor) rank(t taskRef, node int32) rank {
	return rank{a.of[t.query][node], a.queries[t.query].Leaders[t.fragment][t.partition] == node, a.hash(t, node)}
}

func (r rank) above(o rank) bool {
	if r.others != o.others {
		return r.others < o.others
	}
	if r.leads != o.leads {
		return r.leads
	}
	return r.hash > o.hash
}

// level moves one task from the fullest node that has one to give to the emptiest; false if they are near enough.
func (a *assignor) level(slack int) bool {
	low := slices.MinFunc(a.active, func(x, y int32) int { return a.load[x] - a.load[y] })
	byLoad := slices.SortedStableFunc(slices.Values(a.active), func(x, y int32) int { return a.load[y] - a.load[x] })
	for len(byLoad) > 0 && a.load[byLoad[0]]-a.load[low] > slack {
		full := byLoad[:1]
		for len(full) < len(byLoad) && a.load[byLoad[len(full)]] == a.load[full[0]] {
			full = byLoad[:len(full)+1]
		}
		if t, ok := a.toGive(full, low); ok {
			a.put(t, low)
			return true
		}
		byLoad = byLoad[len(full):]
	}
	return false
}

// toGive is the task on one of the nodes that fits another best; false if they have none that may move.
func (a *assignor) toGive(from []int32, to int32) (give taskRef, found bool) {
	var best rank
	hashes := a.hashesFor(to)
	for q, fragments := range a.nodes {
		there := a.of[q][to]
		for f, nodes := range fragments {
			if a.queries[q].Home[f] {
				continue
			}
			for p, n := range nodes {
				if !slices.Contains(from, n) {
					continue
				}
				// A query that crowds one node gives first.
				r := rank{there - a.of[q][n], a.queries[q].Leaders[f][p] == to, hashes[a.first[q][f]+p]}
				if !found || r.above(best) {
					give, best, found = taskRef{q, f, p}, r, true
				}
			}
		}
	}
	return give, found
}

func (a *assignor) hash(t taskRef, node int32) uint64 {
	return a.hashesFor(node)[a.first[t.query][t.fragment]+t.partition]
}

// hashesFor are the hashes of all tasks for a node. Every move compares those of thousands.
func (a *assignor) hashesFor(node int32) []uint64 {
	hashes := a.hashes[node]
	if hashes == nil {
		for q := range a.queries {
			for f, tasks := range a.queries[q].Nodes {
				for p := range tasks {
					hashes = append(hashes, taskHash(a.queries[q].ID, f, p, node))
				}
			}
		}
		a.hashes[node] = hashes
	}
	return hashes
}

// taskHash is that of rendezvous hashing: it makes the same choice again whatever else is there.
func taskHash(query uint64, fragment, partition int, node int32) uint64 {
	var b [20]byte
	binary.BigEndian.PutUint64(b[:], query)
	binary.BigEndian.PutUint32(b[8:], uint32(fragment))
	binary.BigEndian.PutUint32(b[12:], uint32(partition))
	binary.BigEndian.PutUint32(b[16:], uint32(node))
	h := fnv.New64a()
	_, _ = h.Write(b[:]) // it never fails
	return mix(h.Sum64())
}

// mix spreads the differences of short inputs over all bits (the finalizer of MurmurHash3).
func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
