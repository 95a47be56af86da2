package exec_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// rowsOf builds a batch of (id int, v text) rows with the operation op.
func rowsOf(rel *planner.Relation, op vec.Op, rows ...any) *vec.Batch {
	b := exec.NewRowBatch(rel, len(rows)/2)
	for i := 0; i < len(rows); i += 2 {
		b.AppendDatums([]types.Datum{types.IntDatum(int64(rows[i].(int))), types.BytesDatum(rows[i+1].(string))}, op, 1000)
	}
	return b
}

func (h *harness) insert(rel *planner.Relation, rows ...any) []int32 {
	h.t.Helper()
	tx := h.w.tables.Begin(0)
	existing, err := tx.Insert(context.Background(), rel, rowsOf(rel, vec.Insert, rows...))
	require.NoError(h.t, err)
	_, err = tx.Commit(context.Background())
	require.NoError(h.t, err)
	return existing
}

func TestInsertKeepsKeysUnique(t *testing.T) {
	h := newHarness(t, 3)
	h.run(`CREATE TABLE t (id INT PRIMARY KEY, v TEXT)`)
	rel := h.rels["t"]
	require.Empty(t, h.insert(rel, 1, "a", 2, "b", 3, "c"))
	require.Equal(t, []int32{1, 3}, h.insert(rel, 4, "d", 2, "x", 5, "e", 5, "f"), "a key that is there, and one twice in the statement")
	require.Equal(t, []string{"1|a", "2|b", "3|c", "4|d", "5|e"}, h.rows("t"))
	h.restart(false)
	require.Equal(t, []string{"1|a", "2|b", "3|c", "4|d", "5|e"}, h.table("t"), "the topic has it all")
}

func TestTransactionSeesItsOwnRowsAndRollsBack(t *testing.T) {
	h := newHarness(t, 2)
	h.run(`CREATE TABLE t (id INT PRIMARY KEY, v TEXT)`)
	rel, ctx := h.rels["t"], context.Background()
	h.insert(rel, 1, "a", 2, "b")
	tx := h.w.tables.Begin(0)
	keys := []*vec.Vector{rowsOf(rel, vec.Insert, 1, "", 2, "", 9, "").Cols[0]}
	rows, found, err := tx.Read(ctx, rel, keys, 3)
	require.NoError(t, err)
	require.Equal(t, []bool{true, true, false}, found)
	require.Equal(t, "2|b", rowText(rows, 1))
	require.NoError(t, tx.Write(rel, rowsOf(rel, vec.UpdateInsert, 1, "a2")))
	at := tx.Savepoint()
	require.NoError(t, tx.Write(rel, rowsOf(rel, vec.Delete, 1, "", 2, "")))
	_, found, err = tx.Read(ctx, rel, keys, 3)
	require.NoError(t, err)
	require.Equal(t, []bool{false, false, false}, found)
	tx.RollbackTo(at)
	rows, found, err = tx.Read(ctx, rel, keys, 3)
	require.NoError(t, err)
	require.Equal(t, []bool{true, true, false}, found)
	require.Equal(t, "1|a2", rowText(rows, 0))
	ends, err := tx.Commit(ctx)
	require.NoError(t, err)
	require.Len(t, ends, 1)
	require.Equal(t, []string{"1|a2", "2|b"}, h.rows("t"))
	undone := h.w.tables.Begin(0)
	_, err = undone.Insert(ctx, rel, rowsOf(rel, vec.Insert, 7, "x"))
	require.NoError(t, err)
	undone.Rollback()
	require.Equal(t, []string{"1|a2", "2|b"}, h.rows("t"))
}

func TestLocksHoldUntilTheEndAndDeadlocksAreFound(t *testing.T) {
	h := newHarness(t, 2)
	h.run(`CREATE TABLE t (id INT PRIMARY KEY, v TEXT)`)
	rel, ctx := h.rels["t"], context.Background()
	h.insert(rel, 1, "a", 2, "b")
	key := func(id int) []*vec.Vector { return []*vec.Vector{rowsOf(rel, vec.Insert, id, "").Cols[0]} }
	one, two := h.w.tables.Begin(0), h.w.tables.Begin(0)
	lock := func(tx *exec.WriteTx, id int) error {
		_, _, err := tx.Read(ctx, rel, key(id), 1)
		return err
	}
	require.NoError(t, lock(one, 1))
	require.NoError(t, lock(two, 2))
	short, cancel := context.WithTimeout(ctx, time.Millisecond)
	_, _, err := two.Read(short, rel, key(1), 1)
	cancel()
	require.ErrorIs(t, err, context.DeadlineExceeded, "a wait can be cancelled")
	type end struct {
		tx  *exec.WriteTx
		err error
	}
	ends := make(chan end, 2)
	go func() { ends <- end{one, lock(one, 2)} }()
	go func() { ends <- end{two, lock(two, 1)} }()
	loser := <-ends
	require.Equal(t, sqlerr.DeadlockDetected, sqlerr.CodeOf(loser.err))
	loser.tx.Rollback()
	winner := <-ends
	require.NoError(t, winner.err)
	winner.tx.Rollback()
}

func TestConcurrentWritersOfOneRowLoseNoUpdate(t *testing.T) {
	h := newHarness(t, 2)
	h.run(`CREATE TABLE t (id INT PRIMARY KEY, v TEXT)`)
	rel, ctx := h.rels["t"], context.Background()
	h.insert(rel, 1, "", 2, "")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				tx := h.w.tables.Begin(0)
				rows, _, err := tx.Read(ctx, rel, []*vec.Vector{rowsOf(rel, vec.Insert, 1, "", 2, "").Cols[0]}, 2)
				if err == nil {
					for i := range 2 {
						rows.Cols[1].SetString(i, string(rows.Cols[1].Bytes(i))+"x")
					}
					err = tx.Write(rel, rows)
				}
				if err == nil {
					_, err = tx.Commit(ctx)
				}
				tx.Rollback()
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for _, row := range h.rows("t") {
		require.Len(t, row, 2+160)
	}
}

func TestRowsWithoutKeyGetHiddenOnes(t *testing.T) {
	h := newHarness(t, 3)
	h.run(`CREATE TABLE t (v TEXT)`)
	rel := h.rels["t"]
	for range 3 {
		tx := h.w.tables.Begin(0)
		b := exec.NewRowBatch(rel, 2)
		for i := range 2 {
			b.AppendDatums([]types.Datum{types.BytesDatum(fmt.Sprint(i)), types.NullDatum}, vec.Insert, 1)
		}
		existing, err := tx.Insert(context.Background(), rel, b)
		require.NoError(t, err)
		require.Empty(t, existing)
		_, err = tx.Commit(context.Background())
		require.NoError(t, err)
		h.restart(true)
		h.settle("t")
	}
	require.Len(t, h.rows("t"), 6)
}

func TestOwnershipMovesWithAllRows(t *testing.T) {
	h := newHarness(t, 2)
	h.run(`CREATE TABLE t (id INT PRIMARY KEY, v TEXT)`)
	rel, ctx := h.rels["t"], context.Background()
	h.insert(rel, 1, "a", 2, "b", 3, "c")
	late := h.w.tables.Begin(0)
	_, err := late.Insert(ctx, rel, rowsOf(rel, vec.Insert, 4, "lost"))
	require.NoError(t, err)

	h.w.tables.StopTable(rel.OID)
	_, err = late.Commit(ctx)
	require.Equal(t, sqlerr.SerializationFailure, sqlerr.CodeOf(err), "the old owner writes nothing more")
	other := h.newWorker("v", fsys.NewMem())
	for p := range rel.Partitions {
		require.NoError(t, other.tables.Own(rel, p))
	}
	h.w = other
	require.Equal(t, []int32{1}, h.insert(rel, 4, "d", 2, "x"))
	require.Equal(t, []string{"1|a", "2|b", "3|c", "4|d"}, h.rows("t"))
}
