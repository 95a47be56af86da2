package exec_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/record"
	"github.com/millracedb/millrace/planner"
)

// timed gives the rows of a batch a rowtime.
func timed(b *vec.Batch, at time.Time) *vec.Batch {
	for i := range b.Rowtime {
		b.Rowtime[i] = at.UnixMilli()
	}
	return b
}

// insertAt inserts rows that are as old as age.
func (h *harness) insertAt(rel *planner.Relation, age time.Duration, rows ...any) {
	h.t.Helper()
	ctx, tx := context.Background(), h.w.tables.Begin(0)
	_, err := tx.Insert(ctx, rel, timed(rowsOf(rel, vec.Insert, rows...), h.clock.Now().Add(-age)))
	require.NoError(h.t, err)
	_, err = tx.Commit(ctx)
	require.NoError(h.t, err)
}

func (h *harness) awaitRows(table string, want ...string) {
	h.t.Helper()
	h.eventually("rows "+table, func() bool { return slices.Equal(h.rows(table), want) })
}

// deletes returns the timestamps of the deletes in a table's topic.
func (h *harness) deletes(table string) (at []int64) {
	h.t.Helper()
	h.eachRecord(h.rels[table].Topic, func(r *record.Record) {
		if r.Value == nil {
			at = append(at, r.Timestamp)
		}
	})
	return at
}

func TestRowsAreDeletedWhenTheirTTLIsOver(t *testing.T) {
	h := newHarness(t, 2)
	h.run(`CREATE TABLE t (id INT PRIMARY KEY, v TEXT) WITH (ttl = '1 hour')`)
	h.run(`CREATE TABLE n AS SELECT v, count(*) AS n FROM t GROUP BY v`)
	rel, ctx := h.rels["t"], context.Background()
	begun := h.clock.Now()
	h.insertAt(rel, 50*time.Minute, 1, "a", 2, "a")
	h.insertAt(rel, 0, 3, "a")
	tx := h.w.tables.Begin(0)
	_, _, err := tx.Read(ctx, rel, []*vec.Vector{rowsOf(rel, vec.Insert, 2, "").Cols[0]}, 1)
	require.NoError(t, err)
	require.NoError(t, tx.Write(rel, timed(rowsOf(rel, vec.UpdateInsert, 2, "a"), begun)))
	_, err = tx.Commit(ctx)
	require.NoError(t, err)
	require.Equal(t, []string{"a|3"}, h.table("n"))

	h.clock.forward(20 * time.Minute)
	h.awaitRows("t", "2|a", "3|a")
	require.Equal(t, []string{"a|2"}, h.table("n"), "a view over the table sees the delete")
	require.Len(t, h.deletes("t"), 1)
	require.InDelta(t, begun.Add(10*time.Minute).UnixMilli(), h.deletes("t")[0], 9*60_000, "a delete has the time at which the row was over")

	h.restart(false)
	require.Equal(t, []string{"2|a", "3|a"}, h.table("t"))
	h.clock.forward(time.Hour)
	h.awaitRows("t")
	require.Empty(t, h.table("n"))
	require.Len(t, h.deletes("t"), 3, "each row is deleted once")
}

func TestARowThatATransactionHoldsIsNotDeletedByTTL(t *testing.T) {
	h := newHarness(t, 1)
	h.run(`CREATE TABLE t (id INT PRIMARY KEY, v TEXT) WITH (ttl = '1 hour')`)
	rel, ctx := h.rels["t"], context.Background()
	h.insertAt(rel, 0, 1, "a", 2, "b", 3, "c")
	held := h.w.tables.Begin(0)
	_, _, err := held.Read(ctx, rel, []*vec.Vector{rowsOf(rel, vec.Insert, 1, "", 2, "").Cols[0]}, 2)
	require.NoError(t, err)
	h.clock.forward(2 * time.Hour)
	h.awaitRows("t", "1|a", "2|b")
	require.NoError(t, held.Write(rel, timed(rowsOf(rel, vec.UpdateInsert, 1, "kept"), h.clock.Now())))
	_, err = held.Commit(ctx)
	require.NoError(t, err)
	h.awaitRows("t", "1|kept")
}

func TestTTLIsSetAndTakenBack(t *testing.T) {
	h := newHarness(t, 1)
	h.run(`CREATE TABLE t (id INT PRIMARY KEY, v TEXT)`)
	with := *h.rels["t"]
	with.TTLMs = time.Hour.Milliseconds()
	h.insertAt(&with, 2*time.Hour, 1, "old")
	h.insertAt(&with, 0, 2, "new")
	h.w.tables.Alter(&with)
	h.awaitRows("t", "2|new")
	h.w.tables.Alter(h.rels["t"])
	h.insertAt(h.rels["t"], 2*time.Hour, 3, "old")
	require.Equal(t, []string{"2|new", "3|old"}, h.rows("t"))
	h.w.tables.Alter(&with)
	h.awaitRows("t", "2|new")
}

func TestManyRowsAreDeletedByTTLAtOnce(t *testing.T) {
	h := newHarness(t, 2)
	h.run(`CREATE TABLE t (id INT PRIMARY KEY, v TEXT) WITH (ttl = '1 hour')`)
	var rows []any
	for i := range 5000 {
		rows = append(rows, i, "x")
	}
	h.insertAt(h.rels["t"], 0, rows...)
	h.insertAt(h.rels["t"], -30*time.Minute, 7000, "later")
	h.clock.forward(61 * time.Minute)
	h.awaitRows("t", "7000|later")
	require.Len(t, h.deletes("t"), 5000)
}

// TestRowsOfAResultAreDeletedWhenStreamTimeHasReachedTheirTTL goes by the time of the stream, with restarts in between.
func TestRowsOfAResultAreDeletedWhenStreamTimeHasReachedTheirTTL(t *testing.T) {
	h := newHarness(t, 1)
	h.idle = time.Hour // nothing but rows moves time
	h.run(`CREATE STREAM s (k TEXT KEY) WITH (topic = 's')`)
	h.run(`CREATE TABLE t WITH (ttl = '10 minutes') AS SELECT k, count(*) AS n FROM s GROUP BY k`)
	h.run(`CREATE TABLE u AS SELECT count(*) AS live FROM t`)
	at := func(minute int, k string) {
		h.put("s", fmt.Sprintf(`{"k":%q,"_t":%d}`, k, 1_700_000_000_000+int64(minute)*60_000))
	}
	at(0, "a")
	at(1, "b")
	require.Equal(t, []string{"a|1", "b|1"}, h.table("t"))
	at(5, "a")
	at(11, "c")
	require.Equal(t, []string{"a|2", "c|1"}, h.table("t"), "a row that changed lives longer")
	require.Equal(t, []string{"2"}, h.table("u"), "it is a change for those who read the table")
	h.restart(true)
	at(14, "c")
	require.Equal(t, []string{"a|2", "c|2"}, h.table("t"))
	h.restart(false)
	at(15, "d")
	require.Equal(t, []string{"c|2", "d|1"}, h.table("t"))
	at(16, "a")
	require.Equal(t, []string{"a|3", "c|2", "d|1"}, h.table("t"), "a count goes on")
	require.Equal(t, []string{"3"}, h.table("u"))
	require.Equal(t, []int64{1_700_000_660_000, 1_700_000_900_000}, h.deletes("t"), "each as of its end")
}

// TestRowsOfAResultAreDeletedWhileItsSourceIsIdle goes by the wall clock.
func TestRowsOfAResultAreDeletedWhileItsSourceIsIdle(t *testing.T) {
	h := newHarness(t, 2)
	h.run(`CREATE STREAM s (k INT, v TEXT) WITH (topic = 's')`)
	h.run(`CREATE TABLE t (PRIMARY KEY (k)) WITH (ttl = '1 hour') AS SELECT k, v FROM s`)
	h.put("s", `{"k":1,"v":"a"}`, `{"k":2,"v":"b"}`)
	require.Equal(t, []string{"1|a", "2|b"}, h.table("t"))
	h.eventually("rows are gone", func() bool {
		h.clock.forward(time.Hour) // again and again: idle time counts from when a source is known to be idle
		return len(h.rows("t")) == 0
	})
}
