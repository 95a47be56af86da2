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

// TestLoadsOfMegabytesInAnyOrder loads so much that the state takes the rows as a table, in the order of keys and in none, over rows that are there, with some
// of its own rows replaced and deleted; into one partition and into several.
func TestLoadsOfMegabytesInAnyOrder(t *testing.T) {
	for _, partitions := range []int32{1, 2} {
		h := newHarness(t, partitions)
		h.run(`CREATE TABLE t (id INT PRIMARY KEY, v TEXT)`)
		rel := h.rels["t"]
		rows := 18 * int(partitions)
		const per = 1000
		v := strings.Repeat("v", 150)
		for round := range 2 {
			tx := h.w.tables.Begin(0)
			for b := range rows {
				if round == 1 {
					b = (b*7 + 5) % rows // each once, in another order
				}
				var list []any
				for i := range per {
					list = append(list, 2*(b*per+i)+round, fmt.Sprint(v, round))
				}
				existing, err := tx.Insert(t.Context(), rel, rowsOf(rel, vec.Insert, list...))
				require.NoError(t, err)
				require.Empty(t, existing)
			}
			_, _, err := tx.Read(t.Context(), rel, rowsOf(rel, vec.Insert, round, "", 100+round, "").Cols[:1], 2)
			require.NoError(t, err)
			require.NoError(t, tx.Write(rel, rowsOf(rel, vec.Delete, round, "")))
			require.NoError(t, tx.Write(rel, rowsOf(rel, vec.Insert, 100+round, "replaced")))
			_, err = tx.Commit(t.Context())
			require.NoError(t, err)
		}
		got := h.rows("t")
		require.Len(t, got, 2*rows*per-2)
		require.Contains(t, got, "100|replaced")
		require.Contains(t, got, "101|replaced")
		require.Contains(t, got, fmt.Sprintf("%d|%s1", 2*rows*per-1, v))
		require.NotContains(t, got, "0|"+v+"0")
		require.Equal(t, []int32{0}, h.insert(rel, 7, "again"))
		require.Empty(t, h.insert(rel, 0, "again"), "it was deleted")
	}
}

func TestTransactionBufferIsALimit(t *testing.T) {
	h := newHarness(t, 2)
	h.run(`CREATE TABLE t (id INT PRIMARY KEY, v TEXT)`)
	tx := h.w.tables.Begin(1000)
	defer tx.Rollback()
	_, err := tx.Insert(t.Context(), h.rels["t"], rowsOf(h.rels["t"], vec.Insert, 1, strings.Repeat("v", 2000)))
	require.Equal(t, sqlerr.OutOfMemory, sqlerr.CodeOf(err))
}
