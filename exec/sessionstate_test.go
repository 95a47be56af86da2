package exec_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/exec"
)

// The tags of an aggregate's state, as docs/formats/state.md has them.
const (
	tagGroups byte = 0
	tagValues byte = 1
	tagTimers byte = 2
	tagSpans  byte = 4
)

// partitions calls f with the state of each task of a query. The query does not run.
func (h *harness) partitions(name string, f func(exec.StatePartition)) {
	q := h.queries[name]
	for _, fr := range q.plan.Fragments {
		for p := range fr.Partitions {
			part, err := h.w.state.Partition(exec.StateID{Object: q.oid, Fragment: fr.ID, Partition: p})
			require.NoError(h.t, err)
			f(part)
			require.NoError(h.t, part.Close())
		}
	}
}

// eachStateRow calls f with the rows of a task's operators.
func (h *harness) eachStateRow(part exec.StateReader, f func(op uint32, key []byte)) {
	for op := range uint32(16) {
		it, err := part.Iter(op, nil, nil)
		require.NoError(h.t, err)
		for it.Next() {
			f(op, bytes.Clone(it.Key()))
		}
		require.NoError(h.t, it.Close())
	}
}

// stateRows counts the rows of a query's state by their tags.
func (h *harness) stateRows(name string) map[byte]int {
	q, n := h.queries[name], map[byte]int{}
	for _, fr := range q.plan.Fragments {
		for p := range fr.Partitions {
			r := h.w.state.Reader(exec.StateID{Object: q.oid, Fragment: fr.ID, Partition: p})
			h.eachStateRow(r, func(_ uint32, key []byte) { n[key[0]]++ })
		}
	}
	return n
}

// timersOfTheirOwn makes the state of a query what releases wrote in which each session had a timer.
func (h *harness) timersOfTheirOwn(name string) {
	h.w.runner.StopQuery(h.queries[name].oid)
	h.partitions(name, func(part exec.StatePartition) {
		b := part.NewBatch(0, 0)
		h.eachStateRow(part, func(op uint32, key []byte) {
			switch key[0] {
			case tagSpans:
				b.Delete(op, key)
			case tagGroups: // a session ends at its birth at the earliest
				birth := key[len(key)-8:]
				b.Set(op, slices.Concat([]byte{tagTimers}, birth, key[1:]), nil)
			}
		})
		require.NoError(h.t, b.Commit())
	})
	h.start(h.w, h.queries[name], func(int32) bool { return true })
}

// TestSessionsAreForgottenWhenTheyAreOver: the state holds a row for each open session and a few timers, and nothing when all are over, in memory
// or not, and after a start on a directory of a release with a timer for each session.
func TestSessionsAreForgottenWhenTheyAreOver(t *testing.T) {
	for _, memory := range []int64{0, 1} {
		for _, old := range []bool{false, true} {
			t.Run(fmt.Sprintf("memory=%d,old=%t", memory, old), func(t *testing.T) {
				h := newHarness(t, 1)
				h.memory, h.idle = memory, time.Hour
				h.restart(true)
				h.run(`CREATE STREAM s (id INT KEY, k TEXT) WITH (topic = 's')`)
				h.run(`CREATE TABLE w AS SELECT k, count(*) AS n FROM s WINDOW SESSION (100 MILLISECONDS, GRACE PERIOD 1 HOUR) GROUP BY k`)
				for i := range 20 {
					h.put("s", fmt.Sprintf(`{"id":1,"k":"a","_t":%d}`, 1000*i), fmt.Sprintf(`{"id":1,"k":"b","_t":%d}`, 1000*i+50))
				}
				h.settle("w")
				require.Equal(t, map[byte]int{tagGroups: 40, tagSpans: 2}, h.stateRows("w"))
				if old {
					h.timersOfTheirOwn("w")
					require.Equal(t, map[byte]int{tagGroups: 40, tagTimers: 40}, h.stateRows("w"))
				}
				const later = 4 * 3_600_000
				h.put("s", fmt.Sprintf(`{"id":1,"k":"c","_t":%d}`, later))
				h.settle("w")
				h.put("s", fmt.Sprintf(`{"id":1,"k":"c","_t":%d}`, later+1))
				h.settle("w")
				require.Equal(t, map[byte]int{tagGroups: 1, tagSpans: 1}, h.stateRows("w"))
				require.Len(t, visibleRows(h, "w"), 41)
			})
		}
	}
}

// TestSessionsThatComeAndGoBetweenTwoCommitsLeaveNoState: of what closes with the commit that shows it nothing is kept, values of aggregates
// among it.
func TestSessionsThatComeAndGoBetweenTwoCommitsLeaveNoState(t *testing.T) {
	for _, window := range []string{"TUMBLING (SIZE 10 MILLISECONDS, GRACE PERIOD 0 SECONDS)", "SESSION (10 MILLISECONDS, GRACE PERIOD 0 SECONDS)"} {
		t.Run(window, func(t *testing.T) {
			h := newHarness(t, 1)
			h.idle = time.Hour
			h.run(`CREATE STREAM s (id INT KEY, k TEXT) WITH (topic = 's')`)
			for i := range 20 {
				h.put("s", fmt.Sprintf(`{"id":%d,"k":"a","_t":%d}`, i%3, 1000*i))
			}
			h.run(fmt.Sprintf(`CREATE TABLE w AS SELECT k, count(DISTINCT id) AS ids, windowstart AS ws FROM s WINDOW %s GROUP BY k`, window))
			h.settle("w")
			require.Len(t, visibleRows(h, "w"), 20)
			h.put("s", `{"id":1,"k":"b","_t":30000}`)
			h.settle("w")
			rows := h.stateRows("w") // of the window that is open
			require.Equal(t, 1, rows[tagGroups])
			require.Equal(t, 1, rows[tagValues])
			require.Zero(t, rows[tagTimers])
		})
	}
}

// TestSessionsOfDirectoriesWrittenBeforeGrow: a session whose timer is its own is lengthened and goes all the same.
func TestSessionsOfDirectoriesWrittenBeforeGrow(t *testing.T) {
	h := newHarness(t, 1)
	h.idle = time.Hour
	h.run(`CREATE STREAM s (id INT KEY, k TEXT) WITH (topic = 's')`)
	h.run(`CREATE TABLE w AS SELECT k, count(*) AS n FROM s WINDOW SESSION (1 SECOND, GRACE PERIOD 1 SECOND) GROUP BY k`)
	h.put("s", `{"id":1,"k":"a","_t":1000}`)
	h.settle("w")
	h.timersOfTheirOwn("w")
	for at := 2000; at < 10_000; at += 1000 {
		h.put("s", fmt.Sprintf(`{"id":1,"k":"a","_t":%d}`, at), fmt.Sprintf(`{"id":1,"k":"b","_t":%d}`, at))
		h.settle("w")
	}
	require.Equal(t, []string{"a|9", "b|8"}, visibleRows(h, "w"))
	h.put("s", `{"id":1,"k":"c","_t":30000}`)
	h.settle("w")
	h.put("s", `{"id":1,"k":"c","_t":30001}`)
	h.settle("w")
	require.Equal(t, map[byte]int{tagGroups: 1, tagSpans: 1}, h.stateRows("w"))
	require.Equal(t, []string{"a|9", "b|8", "c|2"}, visibleRows(h, "w"))
}
