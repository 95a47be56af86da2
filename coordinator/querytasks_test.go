package coordinator

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// newQuery is a query of so many fragments of four tasks that nobody runs yet.
func newQuery(id uint64, fragments int) QueryTasks {
	q := QueryTasks{ID: id, Home: make([]bool, fragments)}
	for f := range fragments {
		q.Stateful = append(q.Stateful, f > 0)
		q.Nodes = append(q.Nodes, []int32{NoNode, NoNode, NoNode, NoNode})
		q.Leaders = append(q.Leaders, []int32{1, 2, 1, 2})
	}
	return q
}

// deal assigns and remembers; it returns how many tasks moved from a node that is still active, and the tasks of each node.
func deal(active []int32, home int32, queries []QueryTasks, slack int) (moved int, load map[int32]int) {
	load = map[int32]int{}
	is := map[int32]bool{}
	for _, n := range active {
		load[n], is[n] = 0, true
	}
	for q, nodes := range AssignTasks(active, home, queries, slack) {
		for f := range nodes {
			for p, n := range nodes[f] {
				if was := queries[q].Nodes[f][p]; n != was && is[was] {
					moved++
				}
				load[n]++
			}
		}
		queries[q].Nodes = nodes
	}
	return moved, load
}

func TestAThirdNodeTakesItsShareOf500QueriesAndNoOthersMove(t *testing.T) {
	var queries []QueryTasks
	for id := range uint64(500) {
		queries = append(queries, newQuery(id, 2))
	}
	const tasks = 500 * 2 * 4
	moved, load := deal([]int32{1, 2}, 1, queries, 1)
	require.Zero(t, moved)
	require.Equal(t, map[int32]int{1: tasks / 2, 2: tasks / 2}, load)
	moved, load = deal([]int32{1, 2, 3}, 1, queries, 1)
	require.Equal(t, load[3], moved, "what moves goes to the new node")
	require.InDelta(t, tasks/3, load[3], 1)
	require.InDelta(t, load[1], load[2], 1)
	spread := 0
	for _, q := range queries {
		on := map[int32]bool{}
		for _, nodes := range q.Nodes {
			for _, n := range nodes {
				on[n] = true
			}
		}
		if len(on) == 3 {
			spread++
		}
	}
	require.Equal(t, len(queries), spread, "each query has tasks on each node")

	on3 := tasksOf(queries, 3)
	moved, _ = deal([]int32{1, 2, 3}, 1, queries, 1)
	require.Zero(t, moved, "nothing has changed")
	moved, load = deal([]int32{1, 2}, 1, queries, 1)
	require.Zero(t, moved, "only the tasks of the node that went have others")
	require.Equal(t, map[int32]int{1: tasks / 2, 2: tasks / 2}, load)
	moved, load = deal([]int32{1, 2, 3}, 1, queries, 1)
	require.Equal(t, load[3], moved)
	same := 0
	for task := range tasksOf(queries, 3) {
		if on3[task] {
			same++
		}
	}
	require.Greater(t, same, load[3]*3/4, "a node that comes back gets what it has state of")
}

func tasksOf(queries []QueryTasks, node int32) map[taskRef]bool {
	out := map[taskRef]bool{}
	for q := range queries {
		for f, nodes := range queries[q].Nodes {
			for p, n := range nodes {
				if n == node {
					out[taskRef{q, f, p}] = true
				}
			}
		}
	}
	return out
}

func TestTasksOfOneQueryAreSpread(t *testing.T) {
	queries := []QueryTasks{newQuery(1, 1)}
	_, load := deal([]int32{1, 2, 3}, 1, queries, 1)
	require.Len(t, load, 3)
	for n, tasks := range load {
		require.GreaterOrEqual(t, tasks, 1, "node %d", n)
	}
	queries[0].Home = []bool{true}
	_, load = deal([]int32{1, 2, 3}, 2, queries, 1)
	require.Equal(t, map[int32]int{1: 0, 2: 4, 3: 0}, load, "what is bound to a node is there")
}

func TestTasksOfANodeThatWentGoToTheirStandbys(t *testing.T) {
	var queries []QueryTasks
	for id := range uint64(100) {
		queries = append(queries, newQuery(id, 2))
	}
	nodes := []int32{1, 2, 3}
	deal(nodes, 1, queries, 1)
	standby := map[taskRef]int32{}
	for task := range tasksOf(queries, 3) {
		if task.fragment == 1 {
			s := Standbys(nodes, 3, queries[task.query].ID, task.fragment, task.partition, 1)
			require.Len(t, s, 1)
			require.NotEqual(t, int32(3), s[0])
			standby[task] = s[0]
		}
	}
	require.NotEmpty(t, standby)
	moved, load := deal([]int32{1, 2}, 1, queries, 1)
	require.Zero(t, moved, "the tasks of the others stay")
	require.Equal(t, load[1], load[2])
	kept := 0
	for task, node := range standby {
		if queries[task.query].Nodes[task.fragment][task.partition] == node {
			kept++
		}
	}
	require.Greater(t, kept, len(standby)*9/10)
	require.Equal(t, []int32{2}, Standbys([]int32{1, 2}, 1, 7, 0, 0, 3), "there are no more")
	require.Empty(t, Standbys([]int32{1}, 1, 7, 0, 0, 1))
}

// TestAssignmentIsCompleteStickyAndBalanced tries histories of nodes and queries that come and go.
func TestAssignmentIsCompleteStickyAndBalanced(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		queries := []QueryTasks{}
		next := uint64(1)
		for range rapid.IntRange(1, 8).Draw(t, "steps") {
			switch rapid.IntRange(0, 2).Draw(t, "change") {
			case 0:
				queries = append(queries, newQuery(next, rapid.IntRange(1, 3).Draw(t, "fragments")))
				next++
			case 1:
				if len(queries) > 0 {
					queries = queries[1:]
				}
			}
			active := rapid.SliceOfNDistinct(rapid.Int32Range(1, 5), 1, 5, rapid.ID).Draw(t, "active")
			slack := rapid.IntRange(1, 4).Draw(t, "slack")
			before := fmt.Sprint(queries)
			moved, load := deal(active, active[0], queries, slack)
			require.Len(t, load, len(active), "every task has an active node")
			low, high := 1<<30, 0
			for _, n := range load {
				low, high = min(low, n), max(high, n)
			}
			require.LessOrEqual(t, high-low, slack, before)
			again, _ := deal(active, active[0], queries, slack)
			require.Zero(t, again, "moved %d, then again", moved)
		}
	})
}
