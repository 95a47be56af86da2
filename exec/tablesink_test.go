package exec_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/exec/memlog"
	"github.com/millracedb/millrace/exec/vec"
)

// feeding returns the name of the query that writes a table.
func (h *harness) feeding(table string) string {
	for name, q := range h.queries {
		if q.plan.Sink.Rel.Name == table && q.plan.SinkTopic == nil {
			return name
		}
	}
	return ""
}

// fed waits until the query that writes an ordinary table has taken in what it reads, and returns the table's rows.
func (h *harness) fed(table string) []string {
	h.t.Helper()
	ctx := context.Background()
	q := h.queries[h.feeding(table)]
	base := map[exec.TopicPartition]int64{}
	for _, read := range q.plan.Reads {
		for tp, at := range h.ends(ctx, read.Name) {
			base[tp] = at
		}
	}
	_, err := h.w.runner.WaitThrough(ctx, q.plan, q.oid, base)
	require.NoError(h.t, err)
	return h.rows(table)
}

// TestContinuousInsertWritesATableExactlyOnce counts rows of a stream into a table, with faults of the log, restarts, and a client that writes the
// same table.
func TestContinuousInsertWritesATableExactlyOnce(t *testing.T) {
	h := newHarness(t, 2)
	h.run(`CREATE STREAM s (k TEXT KEY) WITH (topic = 's')`)
	h.run(`CREATE TABLE counts (k TEXT PRIMARY KEY, n BIGINT)`)
	h.run(`INSERT INTO counts SELECT k, count(*) FROM s GROUP BY k EMIT CHANGES`)
	rng, n := rand.New(rand.NewPCG(11, 12)), map[string]int{}
	for round := range 20 {
		h.log.SetFault([]memlog.Fault{memlog.None, memlog.Unavailable, memlog.UnknownCommit, memlog.UnknownAbort}[round%4])
		for range 10 {
			k := fmt.Sprint("k", rng.IntN(6))
			n[k]++
			h.put("s", fmt.Sprintf(`{"k":"%s"}`, k))
		}
		if round%5 == 4 {
			h.log.SetFault(memlog.None)
			h.restart(rng.IntN(2) == 0)
			h.upsertCount("mine", round)
		}
	}
	h.log.SetFault(memlog.None)
	want := []string{"mine|19"}
	for k, count := range n {
		want = append(want, fmt.Sprintf("%s|%d", k, count))
	}
	slices.Sort(want)
	require.Equal(t, want, h.fed("counts"), h.failure(h.feeding("counts")))
}

// upsertCount writes a row as a client does.
func (h *harness) upsertCount(k string, n int) {
	h.t.Helper()
	rel, ctx := h.rels["counts"], context.Background()
	row := exec.NewRowBatch(rel, 1)
	row.Cols[0].AppendString(k)
	row.Cols[1].AppendInt(int64(n))
	row.AppendOp(vec.UpdateInsert)
	row.SetLen(1)
	tx := h.w.tables.Begin(0)
	_, _, err := tx.Read(ctx, rel, row.Cols[:1], 1)
	require.NoError(h.t, err)
	require.NoError(h.t, tx.Write(rel, row))
	_, err = tx.Commit(ctx)
	require.NoError(h.t, err)
}

// TestContinuousInsertWaitsForTheLocksOfATransaction leaves a key locked while a row for it comes in.
func TestContinuousInsertWaitsForTheLocksOfATransaction(t *testing.T) {
	h := newHarness(t, 1)
	h.run(`CREATE STREAM s (k TEXT KEY, n BIGINT) WITH (topic = 's')`)
	h.run(`CREATE TABLE counts (k TEXT PRIMARY KEY, n BIGINT)`)
	h.run(`INSERT INTO counts SELECT k, n FROM s EMIT CHANGES`)
	rel, ctx := h.rels["counts"], context.Background()
	row := exec.NewRowBatch(rel, 1)
	row.Cols[0].AppendString("a")
	row.Cols[1].AppendInt(1)
	row.AppendOp(vec.UpdateInsert)
	row.SetLen(1)
	tx := h.w.tables.Begin(0)
	_, _, err := tx.Read(ctx, rel, row.Cols[:1], 1)
	require.NoError(t, err)
	h.put("s", `{"k":"a","n":2}`)
	require.NoError(t, tx.Write(rel, row))
	_, err = tx.Commit(ctx)
	require.NoError(t, err)
	require.Equal(t, []string{"a|2"}, h.fed("counts"), "the row that waited for the lock came last")
}
