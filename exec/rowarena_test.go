package exec

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestAnArenaGivesBackItsRows keeps rows of all sizes, forgets some of them, and releases all, again and again with the same chunks.
func TestAnArenaGivesBackItsRows(t *testing.T) {
	var pool chunkPool
	rapid.Check(t, func(t *rapid.T) {
		a := rowArena{pool: &pool}
		type kept struct {
			at   rowPlace
			fill byte
		}
		var rows []kept
		want := int64(0)
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				n := rapid.SampledFrom([]int{0, 1, 100, minRowChunk, 10_000, maxRowChunk - 1, maxRowChunk, maxRowChunk + 1}).Draw(t, "bytes")
				fill := byte(len(rows))
				at := a.add(func(dst []byte) []byte { return append(dst, bytes.Repeat([]byte{fill}, n)...) })
				require.EqualValues(t, n, at.len)
				rows, want = append(rows, kept{at, fill}), want+int64(n)
			},
			"truncate": func(t *rapid.T) {
				if len(rows) == 0 {
					return
				}
				n := rapid.IntRange(0, len(rows)-1).Draw(t, "left")
				for _, r := range rows[n:] {
					want -= int64(r.at.len)
				}
				a.truncate(rows[n].at)
				rows = rows[:n]
			},
			"release": func(*rapid.T) {
				a.release()
				rows, want = nil, 0
			},
			"": func(t *rapid.T) {
				require.Equal(t, want, a.size())
				for _, r := range rows {
					require.Equal(t, bytes.Repeat([]byte{r.fill}, int(r.at.len)), a.row(r.at))
				}
			},
		})
	})
}
