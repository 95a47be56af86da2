package exec

import (
	"bytes"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestThingsAreOrderedByTheirKeys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var x keyIndex
		prefix := rapid.SampledFrom([]string{"", "\x01", "a long beginning"}).Draw(t, "prefix")
		for _, k := range rapid.SliceOfDistinct(rapid.StringN(0, 12, -1), rapid.ID[string]).Draw(t, "keys") {
			x.add([]byte(prefix + k))
		}
		list := make([]int32, x.len())
		for i := range list {
			list[i] = int32(i) + 7
		}
		number := func(n int32) int32 { return n - 7 }
		want := slices.SortedFunc(slices.Values(list), func(a, b int32) int { return bytes.Compare(x.key(a-7), x.key(b-7)) })
		if rapid.Bool().Draw(t, "ordered") {
			copy(list, want)
		}
		x.order(list, number)
		require.Equal(t, want, append([]int32(nil), list...))
	})
}
