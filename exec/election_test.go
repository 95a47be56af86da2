package exec_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/planner"
)

// A leader that has just been elected does not know for a moment how far the ones before it had come (KIP-207). What has been told to be there is waited for, and not taken for gone.

// elect makes the next n fetches of a topic find such a leader; of every topic, each on its own, if none is given.
func (h *harness) elect(n int, topic string) { h.log.Elections(firstOf(n, topic)) }

// depose makes them find a node that does not know that it leads no more.
func (h *harness) depose(n int, topic string) { h.log.Deposed(firstOf(n, topic)) }

// firstOf says yes to the first n fetches of each partition of a topic, or of all.
func firstOf(n int, topic string) func(exec.TopicPartition) bool {
	left := map[exec.TopicPartition]int{}
	return func(tp exec.TopicPartition) bool {
		if topic != "" && tp.Topic != topic {
			return false
		}
		if _, ok := left[tp]; !ok {
			left[tp] = n
		}
		left[tp]--
		return left[tp] >= 0
	}
}

func TestAStreamIsReadToItsEndThoughLeadersChange(t *testing.T) {
	h := newHarness(t, 2)
	h.run(`CREATE STREAM s (id INT KEY, k TEXT) WITH (topic = 's')`)
	for i := range 20 {
		h.put("s", fmt.Sprintf(`{"id":%d,"k":"x"}`, i))
	}
	rel := h.rels["s"]
	scan, err := exec.OpenStreamScan(t.Context(), h.log, clock.Real, &planner.Scan{
		Rel: rel, Cols: []int{0}, P: planner.Props{Cols: []planner.Col{{Name: "id", Type: rel.Columns[0].Type}}},
	}, nil)
	require.NoError(t, err)
	defer scan.Close()
	h.elect(3, "")
	rows := 0
	for {
		b, err := scan.Next(t.Context())
		require.NoError(t, err)
		if b == nil {
			break
		}
		rows += b.Len()
	}
	require.Equal(t, 20, rows)
}

func TestRowsAreReplacedToTheLastThoughLeadersChange(t *testing.T) {
	h := newHarness(t, 2)
	h.run(`CREATE TABLE a (id INT PRIMARY KEY, v INT) WITH (topic = 'a')`)
	h.run(`CREATE TABLE b (id INT PRIMARY KEY, v INT) WITH (topic = 'b')`)
	for i := range 20 {
		h.put("a", fmt.Sprintf(`{"id":%d,"v":1}`, i))
		h.put("b", fmt.Sprintf(`{"id":%d,"v":2}`, i+5))
	}
	h.elect(3, "")
	require.NoError(t, h.w.tables.ReplaceRows(t.Context(), "a", "b"))
	h.log.Elections(nil)
	require.Equal(t, h.table("b"), h.table("a"))
}

func TestStateIsReplayedToItsEndThoughLeadersChange(t *testing.T) {
	h := newHarness(t, 2)
	pipelineOfThree(h)
	rng, o := rand.New(rand.NewPCG(13, 14)), newOracle()
	for range 4 {
		o.put(h, rng, 20)
		require.ElementsMatch(t, o.rows(), h.table("j"))
		h.elect(3, "")
		h.restart(false)
	}
	o.put(h, rng, 20)
	require.ElementsMatch(t, o.rows(), h.table("j"), h.failure("j"))
}

func TestAQueryGoesOnThoughAnOldLeaderKnowsLessThanItHasRead(t *testing.T) {
	h := newHarness(t, 2)
	pipelineOfThree(h)
	rng, o := rand.New(rand.NewPCG(15, 16)), newOracle()
	for range 3 {
		o.put(h, rng, 20)
		require.ElementsMatch(t, o.rows(), h.table("j"), h.failure("j"))
		h.depose(3, "")
		h.restart(true)
	}
	o.put(h, rng, 20)
	require.ElementsMatch(t, o.rows(), h.table("j"), h.failure("j"))
}

func TestAStreamRowSeesTheTableRowsBeforeItThoughLeadersChange(t *testing.T) {
	h := newHarness(t, 1)
	h.run(`CREATE STREAM s (k TEXT KEY, id INT) WITH (topic = 's', partitioner = 'murmur2')`)
	h.run(`CREATE TABLE d (k TEXT PRIMARY KEY, name TEXT) WITH (topic = 'd', partitioner = 'murmur2')`)
	h.run(`CREATE STREAM named AS SELECT s.k, s.id, d.name FROM s LEFT JOIN d ON s.k = d.k`)
	var want []string
	for i := range 10 {
		q := h.queries["named"]
		for _, f := range q.plan.Fragments {
			for p := range f.Partitions {
				h.w.runner.Stop(exec.TaskKey{Query: q.oid, Fragment: f.ID, Partition: p})
			}
		}
		h.put("d", fmt.Sprintf(`{"k":"k%d","name":"n%d"}`, i, i))
		h.put("s", fmt.Sprintf(`{"id":%d,"k":"k%d"}`, i, i))
		want = append(want, fmt.Sprintf(`{"id":%d,"name":"n%d"}`, i, i))
		h.elect(20, "d")
		h.start(h.w, q, func(int32) bool { return true })
		h.ends(context.Background(), "named")
	}
	h.log.Elections(nil)
	require.ElementsMatch(t, want, h.records(h.rels["named"].Topic))
}

// TestAStreamInAUnionWithItselfCountsTwiceThoughLeadersChange: only one position of a partition can be committed.
func TestAStreamInAUnionWithItselfCountsTwiceThoughLeadersChange(t *testing.T) {
	h := newHarness(t, 1)
	h.run(`CREATE STREAM s (id INT KEY, k TEXT) WITH (topic = 's')`)
	h.run(`CREATE TABLE c AS SELECT k, count(*) AS n FROM (SELECT k FROM s UNION ALL SELECT k FROM s) u GROUP BY k`)
	for range 5 {
		for i := range 10 {
			h.put("s", fmt.Sprintf(`{"id":%d,"k":"x"}`, i))
		}
		var fetches atomic.Int64
		h.log.Elections(func(tp exec.TopicPartition) bool { return tp.Topic == "s" && fetches.Add(1) > 1 })
		h.restart(true)
		h.eventually("one side has read and the other finds new leaders", func() bool { return fetches.Load() > 4 })
	}
	h.log.Elections(nil)
	h.restart(true)
	require.Equal(t, []string{"x|100"}, h.table("c"), h.failure("c"))
}
