package exec_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/exec/memlog"
	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
)

// pipelineOfThree makes a filter, a table over it and a table over that, and a join with a table.
func pipelineOfThree(h *harness) {
	h.run(`CREATE STREAM s (id INT KEY, k TEXT, x INT) WITH (topic = 's')`)
	h.run(`CREATE TABLE d (k TEXT PRIMARY KEY, name TEXT) WITH (topic = 'd')`)
	h.run(`CREATE STREAM f AS SELECT id, k, x FROM s WHERE x >= 0`)
	h.run(`CREATE TABLE c AS SELECT k, count(*) AS n, sum(x) AS total FROM f GROUP BY k`)
	h.run(`CREATE TABLE j AS SELECT c.k, c.n, c.total, d.name FROM c LEFT JOIN d ON c.k = d.k`)
}

// oracle is what the tables must hold for rows put so far.
type oracle struct {
	n, total map[string]int
	names    map[string]string
}

func newOracle() *oracle {
	return &oracle{n: map[string]int{}, total: map[string]int{}, names: map[string]string{}}
}

func (o *oracle) put(h *harness, rng *rand.Rand, rows int) {
	for range rows {
		k, x := fmt.Sprintf("k%d", rng.IntN(5)), rng.IntN(20)-4
		h.put("s", fmt.Sprintf(`{"id":%d,"k":"%s","x":%d}`, rng.IntN(100), k, x))
		if x >= 0 {
			o.n[k]++
			o.total[k] += x
		}
	}
	k := fmt.Sprintf("k%d", rng.IntN(5))
	if rng.IntN(3) == 0 {
		h.put("d", `-{"k":"`+k+`"}`)
		delete(o.names, k)
		return
	}
	o.names[k] = fmt.Sprint("n", rng.IntN(9))
	h.put("d", fmt.Sprintf(`{"k":"%s","name":"%s"}`, k, o.names[k]))
}

func (o *oracle) rows() (rows []string) {
	for k, n := range o.n {
		name := "NULL"
		if v, ok := o.names[k]; ok {
			name = v
		}
		rows = append(rows, fmt.Sprintf("%s|%d|%d|%s", k, n, o.total[k], name))
	}
	return rows
}

func TestRestartWithStateReadsNoInputAgain(t *testing.T) {
	h := newHarness(t, 2)
	pipelineOfThree(h)
	rng, o := rand.New(rand.NewPCG(1, 2)), newOracle()
	o.put(h, rng, 50)
	require.ElementsMatch(t, o.rows(), h.table("j"))
	read := h.log.Fetched("s") + h.log.Fetched("f")
	h.restart(true)
	require.ElementsMatch(t, o.rows(), h.table("j"))
	require.Equal(t, read, h.log.Fetched("s")+h.log.Fetched("f"), "no input is read twice")
	o.put(h, rng, 20)
	require.ElementsMatch(t, o.rows(), h.table("j"))
}

func TestStateThatWasDeletedComesBackFromTheChangelog(t *testing.T) {
	h := newHarness(t, 2)
	pipelineOfThree(h)
	rng, o := rand.New(rand.NewPCG(3, 4)), newOracle()
	for range 3 {
		o.put(h, rng, 30)
		require.ElementsMatch(t, o.rows(), h.table("j"))
		h.restart(false)
		require.ElementsMatch(t, o.rows(), h.table("j"))
	}
}

func TestRowsThatFailedStayCountedWhereATaskHasNoStateAtAll(t *testing.T) {
	h := newHarness(t, 2)
	h.run(`CREATE STREAM s (id INT KEY, x INT) WITH (topic = 's')`)
	h.run(`CREATE STREAM f AS SELECT id, 10 / x AS y FROM s`)
	failed := func() (n int64) {
		h.settle("f")
		for _, s := range h.w.runner.Stats(h.queries["f"].oid) {
			n += s.Errors.Eval
		}
		return n
	}
	for round := range int64(3) {
		h.put("s", `{"id":1,"x":0}`, `{"id":2,"x":0}`, `{"id":3,"x":1}`, `{"id":4,"x":0}`)
		require.Equal(t, 3*(round+1), failed())
		h.restart(false)
		require.Equal(t, 3*(round+1), failed(), "another node takes over, which has nothing")
	}
}

func TestRowsAreCountedForEver(t *testing.T) {
	h := newHarness(t, 2)
	h.run(`CREATE STREAM s (id INT KEY, x INT) WITH (topic = 's')`)
	h.run(`CREATE STREAM f AS SELECT id, x FROM s WHERE x > 0`)
	h.run(`CREATE TABLE c AS SELECT x, count(*) AS n FROM s GROUP BY x`)
	counted := func(name string) (n exec.RowCounts) {
		h.settle(name)
		for _, s := range h.w.runner.Stats(h.queries[name].oid) {
			n.SourceRows += s.SourceRows
			n.SinkRows += s.SinkRows
		}
		return n
	}
	for round := range int64(8) {
		h.log.SetFault([]memlog.Fault{memlog.None, memlog.Unavailable, memlog.UnknownCommit, memlog.UnknownAbort}[round%4])
		h.put("s", `{"id":1,"x":0}`, `{"id":2,"x":1}`, `{"id":3,"x":2}`, `{"id":4,"x":3}`)
		require.Equal(t, exec.RowCounts{SourceRows: 4 * (round + 1), SinkRows: 3 * (round + 1)}, counted("f"), "what is read again counts once")
		results := counted("c").SinkRows
		h.restart(round%2 == 0)
		require.Equal(t, exec.RowCounts{SourceRows: 4 * (round + 1), SinkRows: 3 * (round + 1)}, counted("f"))
		require.Equal(t, exec.RowCounts{SourceRows: 4 * (round + 1), SinkRows: results}, counted("c"))
	}
}

func TestFaultsOfTheLogLoseAndDoubleNothing(t *testing.T) {
	h := newHarness(t, 2)
	pipelineOfThree(h)
	rng, o := rand.New(rand.NewPCG(5, 6)), newOracle()
	faults := []memlog.Fault{memlog.None, memlog.Unavailable, memlog.UnknownCommit, memlog.UnknownAbort, memlog.UnknownTopic}
	for i := range 30 {
		h.log.SetFault(faults[i%len(faults)])
		o.put(h, rng, 10)
		if i%5 == 4 {
			h.restart(rng.IntN(2) == 0)
		}
	}
	require.ElementsMatch(t, o.rows(), h.table("j"), h.failure("j"))
}

// TestWorkersHandTasksOverWithoutLoss moves all tasks between two workers in one process while rows come in.
func TestWorkersHandTasksOverWithoutLoss(t *testing.T) {
	h := newHarness(t, 2)
	pipelineOfThree(h)
	other := h.newWorker("v", fsys.NewMem())
	rng, o := rand.New(rand.NewPCG(7, 8)), newOracle()
	workers := []*worker{h.w, other}
	where := map[string]int{}
	for range 8 {
		o.put(h, rng, 20)
		for name, q := range h.queries {
			for _, f := range q.plan.Fragments {
				for p := range f.Partitions {
					id := fmt.Sprint(name, f.ID, p)
					if rng.IntN(2) == 0 {
						h.move(workers[where[id]], workers[1-where[id]], q, f, p)
						where[id] = 1 - where[id]
					}
				}
			}
		}
	}
	h.eventually("the tables agree", func() bool {
		return fmt.Sprint(sorted(o.rows())) == fmt.Sprint(h.rows("j"))
	})
}

// move stops a task here and starts it there.
func (h *harness) move(from, to *worker, q *query, f *planner.Fragment, p int32) {
	from.runner.Stop(exec.TaskKey{Query: q.oid, Fragment: f.ID, Partition: p})
	require.NoError(h.t, to.runner.Start(h.spec(to, q, f, p)))
}

// TestAStandbyTakesOverWithoutReplayingWhatItHasSeen has another worker follow a query's changelogs, and then run its tasks.
func TestAStandbyTakesOverWithoutReplayingWhatItHasSeen(t *testing.T) {
	h := newHarness(t, 2)
	h.run(`CREATE STREAM s (id INT KEY, k TEXT) WITH (topic = 's')`)
	h.run(`CREATE TABLE c AS SELECT k, count(*) AS n FROM s GROUP BY k`)
	put := func(from, to int) {
		for i := from; i < to; i++ {
			h.put("s", fmt.Sprintf(`{"id":%d,"k":"k%d"}`, i, i%4))
		}
	}
	put(0, 40)
	h.ends(context.Background(), "c")
	other, q := h.newWorker("v", fsys.NewMem()), h.queries["c"]
	var follows *planner.Fragment
	for _, f := range q.plan.Fragments {
		for p := range f.Partitions {
			if err := other.runner.StartStandby(h.spec(other, q, f, p)); f.Stateful {
				require.NoError(t, err)
				require.NoError(t, other.runner.StartStandby(h.spec(other, q, f, p)), "it follows already")
				follows = f
			} else {
				require.ErrorContains(t, err, "no changelog")
			}
		}
	}
	put(40, 80) // the standbys follow while it grows
	h.ends(context.Background(), "c")
	h.eventually("the standbys have all", func() bool {
		snap := other.state.Snapshot()
		defer func() { require.NoError(t, snap.Close()) }()
		for p := range follows.Partitions {
			_, m, ok, err := snap.Partition(exec.StateID{Object: q.oid, Fragment: follows.ID, Partition: p})
			require.NoError(t, err)
			o, err := h.log.Offsets(t.Context(), exec.TopicPartition{Topic: follows.Changelog, Partition: p})
			require.NoError(t, err)
			if o.LastStable > 0 && (!ok || m.Changelog < o.LastStable) {
				return false
			}
		}
		return true
	})
	h.w.runner.StopQuery(q.oid)
	read := h.log.Fetched(follows.Changelog)
	h.start(other, q, func(int32) bool { return true })
	put(80, 100)
	h.eventually("the other worker goes on", func() bool {
		return fmt.Sprint(h.rows("c")) == "[k0|25 k1|25 k2|25 k3|25]"
	})
	require.Equal(t, read, h.log.Fetched(follows.Changelog), "nothing was replayed")
}

// TestFencedWorkerCommitsNothing takes all tasks over from a worker that is thought dead and is not.
func TestFencedWorkerCommitsNothing(t *testing.T) {
	h := newHarness(t, 2)
	pipelineOfThree(h)
	rng, o := rand.New(rand.NewPCG(9, 10)), newOracle()
	o.put(h, rng, 40)
	other := h.newWorker("v", fsys.NewMem())
	other.gen++
	require.NoError(t, other.runner.Fence(context.Background(), h.w.runner.LaneIDs()))
	for _, q := range h.queries {
		h.log.SetGeneration("query-"+q.name, other.gen)
		h.start(other, q, func(int32) bool { return true })
	}
	o.put(h, rng, 40)
	h.eventually("the tables agree", func() bool { return fmt.Sprint(sorted(o.rows())) == fmt.Sprint(h.rows("j")) })
	o.put(h, rng, 40)
	h.eventually("the tables still agree", func() bool { return fmt.Sprint(sorted(o.rows())) == fmt.Sprint(h.rows("j")) })
}

func sorted(rows []string) []string {
	slices.Sort(rows)
	return rows
}

func TestClosedWindowStaysClosedOverRestarts(t *testing.T) {
	h := newHarness(t, 2)
	h.run(`CREATE STREAM s (id INT KEY, city TEXT, _t BIGINT) WITH (topic = 's')`)
	h.run(`CREATE TABLE w AS SELECT city, count(*) AS n FROM s WINDOW TUMBLING (SIZE 1 SECOND) GROUP BY city EMIT FINAL`)
	h.put("s", `{"id":1,"city":"a","_t":1000}`, `{"id":1,"city":"b","_t":1500}`, `{"id":1,"city":"a","_t":2500}`)
	h.eventually("the first window closes", func() bool { return len(h.records("w")) >= 2 }) // and the last one by the wall clock, when it likes
	for _, keep := range []bool{true, false} {
		h.restart(keep)
		h.put("s", `{"id":1,"city":"a","_t":1001}`)
		h.settle("w")
	}
	h.eventually("the last window closes", func() bool { return len(h.records("w")) >= 3 })
	require.ElementsMatch(t, []string{`{"n":1}`, `{"n":1}`, `{"n":1}`}, h.records("w"), "no window twice, none with a late row")
	late := 0
	for _, row := range h.records(errorsTopic) {
		if strings.Contains(row, `"kind":"late"`) {
			late++
		}
	}
	require.Equal(t, 2, late, "each late row is kept once")
}

func TestPausedQuerySaysSoAndResumes(t *testing.T) {
	h := newHarness(t, 2)
	pipelineOfThree(h)
	rng, o := rand.New(rand.NewPCG(11, 12)), newOracle()
	o.put(h, rng, 10)
	h.settle("j")
	q := h.queries["c"]
	h.w.runner.PauseQuery(q.oid, nil)
	o.put(h, rng, 10)
	_, err := h.w.runner.WaitThrough(context.Background(), q.plan, q.oid, h.ends(context.Background(), "f"))
	require.Equal(t, sqlerr.ObjectNotInPrerequisiteState, sqlerr.CodeOf(err))
	require.ErrorContains(t, err, `"c" is paused`)
	h.start(h.w, q, func(int32) bool { return true })
	require.ElementsMatch(t, o.rows(), h.table("j"))
}

func TestAQueryThatFailedOnAnotherNodeSaysWhyAndResumes(t *testing.T) {
	h := newHarness(t, 2)
	pipelineOfThree(h)
	rng, o := rand.New(rand.NewPCG(11, 12)), newOracle()
	q := h.queries["c"]
	h.w.runner.PauseQuery(q.oid, errors.New("division by zero"))
	o.put(h, rng, 10)
	_, err := h.w.runner.WaitThrough(context.Background(), q.plan, q.oid, h.ends(context.Background(), "f"))
	require.Equal(t, sqlerr.ObjectNotInPrerequisiteState, sqlerr.CodeOf(err))
	require.ErrorContains(t, err, `"c" has failed: division by zero`)
	h.start(h.w, q, func(int32) bool { return true })
	require.ElementsMatch(t, o.rows(), h.table("j"))
}

func TestQueryThatCannotRunIsMarkedFailed(t *testing.T) {
	h := newHarness(t, 1)
	h.run(`CREATE STREAM s (id INT KEY, x INT) WITH (topic = 's')`)
	h.run(`CREATE STREAM f AS SELECT id, x FROM s`)
	q := h.queries["f"]
	h.w.runner.StopQuery(q.oid)
	q.plan.Sink.Rel.Topic = "gone"
	h.start(h.w, q, func(int32) bool { return true })
	h.eventually("the query fails", func() bool {
		state, err := h.w.runner.Status(q.oid)
		return state == exec.QueryFailed && errors.Is(err, exec.ErrUnknownTopic)
	})
	err := h.w.runner.WaitFrontier(context.Background(), q.oid, q.plan.Fragments[0].ID, []exec.PartitionOffset{{Offset: 1}})
	require.Equal(t, sqlerr.ObjectNotInPrerequisiteState, sqlerr.CodeOf(err))
}

func TestDamagedStateIsRebuilt(t *testing.T) {
	h := newHarness(t, 1)
	h.run(`CREATE STREAM s (id INT KEY, k TEXT) WITH (topic = 's')`)
	h.run(`CREATE TABLE c AS SELECT k, count(*) AS n FROM s GROUP BY k`)
	h.put("s", `{"id":1,"k":"a"}`, `{"id":2,"k":"b"}`)
	require.Equal(t, []string{"a|1", "b|1"}, h.table("c"))
	q := h.queries["c"]
	h.w.runner.StopQuery(q.oid)
	damaged := 0
	for _, f := range q.plan.Fragments {
		for p := range f.Partitions {
			damaged += h.damage(exec.StateID{Object: q.oid, Fragment: f.ID, Partition: p})
		}
	}
	require.Positive(t, damaged)
	h.start(h.w, q, func(int32) bool { return true })
	h.put("s", `{"id":3,"k":"a"}`)
	require.Equal(t, []string{"a|2", "b|1"}, h.table("c"))
}

// damage spoils the rows of a partition of state and returns how many.
func (h *harness) damage(id exec.StateID) int {
	part, err := h.w.state.Partition(id)
	require.NoError(h.t, err)
	b, rows := part.NewBatch(0, 0), 0
	for op := range uint32(16) {
		it, err := part.Iter(op, nil, nil)
		require.NoError(h.t, err)
		for ; it.Next(); rows++ {
			b.Set(op, it.Key(), []byte{0xff})
		}
		require.NoError(h.t, it.Close())
	}
	require.NoError(h.t, b.Commit())
	require.NoError(h.t, part.Close())
	return rows
}

func TestTasksStopWhileTheLogIsDown(t *testing.T) {
	h := newHarness(t, 2)
	pipelineOfThree(h)
	rng, o := rand.New(rand.NewPCG(13, 14)), newOracle()
	o.put(h, rng, 10)
	h.settle("j")
	h.log.SetFault(memlog.Down)
	o.put(h, rng, 10)
	for _, q := range h.queries {
		h.w.runner.PauseQuery(q.oid, nil)
	}
	h.log.SetFault(memlog.None)
	for _, q := range h.queries {
		h.start(h.w, q, func(int32) bool { return true })
	}
	require.ElementsMatch(t, o.rows(), h.table("j"))
}
