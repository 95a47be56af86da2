package exec

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestSessionOrderKeepsRunsSorted compares random histories of three runs with plain slices.
func TestSessionOrderKeepsRunsSorted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var order sessionOrder
		runs, want := make([]sessionRun, 3), make([][]sessionRef, 3)
		for slot := range rapid.IntRange(0, 200).Draw(t, "steps") {
			n := rapid.IntRange(0, len(runs)-1).Draw(t, "run")
			start := rapid.Int64Range(-50, 50).Draw(t, "start")
			at := order.after(runs[n], start)
			for i, ref := range want[n] {
				require.Equal(t, i >= at, ref.start > start)
			}
			if rapid.IntRange(0, 3).Draw(t, "kind") == 0 {
				from := rapid.IntRange(0, at).Draw(t, "from")
				order.remove(&runs[n], from, at)
				want[n] = slices.Delete(want[n], from, at)
			} else {
				ref := sessionRef{start, int32(slot)}
				order.insert(&runs[n], at, ref)
				want[n] = slices.Insert(want[n], at, ref)
			}
			for i := range runs {
				require.ElementsMatch(t, want[i], order.of(runs[i]))
				require.True(t, slices.Equal(want[i], order.of(runs[i])))
			}
		}
		require.LessOrEqual(t, len(order.refs), 4*200)
	})
}
