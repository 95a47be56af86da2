package exec

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCountsOfEarlierReleasesAreRead(t *testing.T) {
	errs, rows := ErrorCounts{Late: 1, Eval: 2, Decode: 3, Unkept: 4}, RowCounts{RowsIn: 5, RowsOut: 6, SourceRows: 7, SinkRows: 8}
	for text, want := range map[string]RowCounts{"9 9 9 9": rows, "": rows, "of an administrator": rows, "1 2 3 4 9 9 9": rows, "9 9 9 9 1 2 3 4": {RowsIn: 1, RowsOut: 2, SourceRows: 3, SinkRows: 4}} {
		e, r := errs, rows
		parseCounts(text, &e, &r)
		require.Equal(t, want, r, "%q", text)
	}
	e, r := ErrorCounts{}, RowCounts{}
	parseCounts(countsText(errs, rows), &e, &r)
	require.Equal(t, errs, e)
	require.Equal(t, rows, r)
	for _, times := range []string{"", "\x02\x04\x06", rowsMark, "\x00" + rowsMark, "\xff" + rowsMark} {
		rest, r := cutRowCounts(appendRowCounts([]byte(times), rows))
		require.Equal(t, times, string(rest))
		require.Equal(t, rows, r)
		rest, r = cutRowCounts([]byte(times))
		require.Equal(t, times, string(rest), "without counts")
		require.Zero(t, r)
	}
}
