package exec_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// loadRows is more than the lock table's map takes of one transaction.
const loadRows = 10_000

// numbered are rows with the ids from..to-1 and a value each.
func numbered(rel *planner.Relation, op vec.Op, from, to int, value string) *vec.Batch {
	b := exec.NewRowBatch(rel, to-from)
	for i := from; i < to; i++ {
		b.AppendDatums([]types.Datum{types.IntDatum(int64(i)), types.BytesDatum(fmt.Sprint(value, i))}, op, 1000)
	}
	return b
}

func (h *harness) keyOf(rel *planner.Relation, id int) []*vec.Vector {
	return []*vec.Vector{numbered(rel, vec.Insert, id, id+1, "").Cols[0]}
}

// load inserts loadRows rows in batches, as COPY does.
func (h *harness) load(tx *exec.WriteTx, rel *planner.Relation) {
	h.t.Helper()
	for from := 0; from < loadRows; from += 2000 {
		existing, err := tx.Insert(context.Background(), rel, numbered(rel, vec.Insert, from, from+2000, "a"))
		require.NoError(h.t, err)
		require.Empty(h.t, existing)
	}
}

func TestLoadHoldsTheLocksOfAllItsRows(t *testing.T) {
	h := newHarness(t, 2)
	h.run(`CREATE TABLE t (id INT PRIMARY KEY, v TEXT)`)
	rel, ctx := h.rels["t"], context.Background()
	load, other := h.w.tables.Begin(0), h.w.tables.Begin(0)
	h.load(load, rel)
	short, cancel := context.WithTimeout(ctx, time.Millisecond)
	_, _, err := other.Read(short, rel, h.keyOf(rel, loadRows-1), 1)
	cancel()
	require.ErrorIs(t, err, context.DeadlineExceeded, "the last row of a load is locked")
	_, found, err := other.Read(ctx, rel, h.keyOf(rel, loadRows), 1)
	require.NoError(t, err, "the row behind it is not")
	require.Equal(t, []bool{false}, found)
	waited := make(chan error, 1)
	go func() {
		rows, found, err := other.Read(ctx, rel, h.keyOf(rel, loadRows-1), 1)
		if err == nil && (!found[0] || rowText(rows, 0) != fmt.Sprintf("%d|a%[1]d", loadRows-1)) {
			err = fmt.Errorf("the row is not there")
		}
		waited <- err
	}()
	_, err = load.Commit(ctx)
	require.NoError(t, err)
	require.NoError(t, <-waited, "the end of the load gives its locks to those who wait")
	other.Rollback()
	again := h.w.tables.Begin(0)
	_, _, err = again.Read(ctx, rel, h.keyOf(rel, loadRows-1), 1)
	require.NoError(t, err)
	again.Rollback()
}

func TestDeadlockWithALoadIsFound(t *testing.T) {
	h := newHarness(t, 2)
	h.run(`CREATE TABLE t (id INT PRIMARY KEY, v TEXT)`)
	rel, ctx := h.rels["t"], context.Background()
	load, other := h.w.tables.Begin(0), h.w.tables.Begin(0)
	_, _, err := other.Read(ctx, rel, h.keyOf(rel, loadRows), 1)
	require.NoError(t, err)
	h.load(load, rel)
	ends := make(chan error, 2)
	lock := func(tx *exec.WriteTx, id int) {
		_, _, err := tx.Read(ctx, rel, h.keyOf(rel, id), 1)
		if err != nil {
			tx.Rollback()
		}
		ends <- err
	}
	go lock(load, loadRows)
	go lock(other, loadRows-1)
	// The one who is let through may be heard before the one who gave way for it.
	codes := []sqlerr.Code{sqlerr.CodeOf(<-ends), sqlerr.CodeOf(<-ends)}
	require.ElementsMatch(t, []sqlerr.Code{sqlerr.DeadlockDetected, sqlerr.CodeOf(nil)}, codes)
	load.Rollback()
	other.Rollback()
}

func TestLoadThatIsChangedBeforeItsCommit(t *testing.T) {
	want := func(f func(i int) string) []string {
		var rows []string
		for i := range loadRows {
			if row := f(i); row != "" {
				rows = append(rows, fmt.Sprintf("%d|%s", i, row))
			}
		}
		return rows
	}
	for name, c := range map[string]struct {
		change func(*harness, *exec.WriteTx, *planner.Relation)
		want   []string
	}{
		"not at all": {func(*harness, *exec.WriteTx, *planner.Relation) {}, want(func(i int) string { return fmt.Sprint("a", i) })},
		"rows updated and deleted": {func(h *harness, tx *exec.WriteTx, rel *planner.Relation) {
			require.NoError(h.t, tx.Write(rel, numbered(rel, vec.UpdateInsert, 3, 5, "b")))
			require.NoError(h.t, tx.Write(rel, numbered(rel, vec.Delete, 7000, 7002, "")))
		}, want(func(i int) string {
			switch i {
			case 3, 4:
				return fmt.Sprint("b", i)
			case 7000, 7001:
				return ""
			}
			return fmt.Sprint("a", i)
		})},
		"all taken back, and part of it done again": {func(h *harness, tx *exec.WriteTx, rel *planner.Relation) {
			tx.RollbackTo(nil)
			existing, err := tx.Insert(context.Background(), rel, numbered(rel, vec.Insert, 1000, 3000, "c"))
			require.NoError(h.t, err)
			require.Empty(h.t, existing)
		}, want(func(i int) string {
			if i < 1000 || i >= 3000 {
				return ""
			}
			return fmt.Sprint("c", i)
		})},
		"a second load that overlaps": {func(h *harness, tx *exec.WriteTx, rel *planner.Relation) {
			existing, err := tx.Insert(context.Background(), rel, numbered(rel, vec.Insert, loadRows-1000, loadRows, "d"))
			require.NoError(h.t, err)
			require.Len(h.t, existing, 1000)
		}, want(func(i int) string { return fmt.Sprint("a", i) })},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, 3)
			h.run(`CREATE TABLE t (id INT PRIMARY KEY, v TEXT)`)
			rel := h.rels["t"]
			tx := h.w.tables.Begin(0)
			h.load(tx, rel)
			c.change(h, tx, rel)
			_, err := tx.Commit(context.Background())
			require.NoError(t, err)
			require.Equal(t, sorted(c.want), h.rows("t"), "in the rows")
			h.restart(false)
			require.Equal(t, sorted(c.want), h.table("t"), "in the topic")
		})
	}
}
