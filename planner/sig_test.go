package planner

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEverySignatureHasItsOwnID(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range Functions() {
		id := f.ID()
		require.False(t, seen[id], "two overloads share %s", id)
		seen[id] = true
		require.NotContains(t, id, "unknown")
		require.False(t, f.Kind == AggregateFunc && f.Volatility == Volatile, id)
		require.Equal(t, strings.ToLower(id), id)
	}
	for _, id := range []string{"+(int4,int4)", "=(text,text)", "count()", "sum(int8)", "concat(any...)", "unnest(anyarray)"} {
		require.True(t, seen[id], id)
	}
}
