package exec_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/sqlerr"
)

// TestBulkLoadKeepsEveryRow loads enough rows that the partitions are encoded side by side and the buffers grow often.
func TestBulkLoadKeepsEveryRow(t *testing.T) {
	const batches, perBatch = 4, 2000
	h := newHarness(t, 2)
	h.run(`CREATE TABLE t (id INT PRIMARY KEY, v TEXT)`)
	rel := h.rels["t"]
	tx := h.w.tables.Begin(0)
	var want []string
	for b := range batches {
		var rows []any
		for i := range perBatch {
			id, v := b*perBatch+i, strings.Repeat("v", i%300)
			rows, want = append(rows, id, v), append(want, fmt.Sprintf("%d|%s", id, v))
		}
		existing, err := tx.Insert(t.Context(), rel, rowsOf(rel, vec.Insert, rows...))
		require.NoError(t, err)
		require.Empty(t, existing)
	}
	existing, err := tx.Insert(t.Context(), rel, rowsOf(rel, vec.Insert, 17, "again"))
	require.NoError(t, err)
	require.Equal(t, []int32{0}, existing, "the transaction's own row")
	_, err = tx.Commit(t.Context())
	require.NoError(t, err)
	slices.Sort(want)
	got := h.rows("t")
	slices.Sort(got)
	require.Equal(t, want, got)
	require.Equal(t, []int32{0}, h.insert(rel, 17, "later"), "the keys are there for others")
}

func TestTransactionBufferIsALimit(t *testing.T) {
	h := newHarness(t, 2)
	h.run(`CREATE TABLE t (id INT PRIMARY KEY, v TEXT)`)
	tx := h.w.tables.Begin(1000)
	defer tx.Rollback()
	_, err := tx.Insert(t.Context(), h.rels["t"], rowsOf(h.rels["t"], vec.Insert, 1, strings.Repeat("v", 2000)))
	require.Equal(t, sqlerr.OutOfMemory, sqlerr.CodeOf(err))
}
