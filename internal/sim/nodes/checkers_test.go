package nodes

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

// The checkers find what they are there for.

func TestTheRowCheckerFindsWhatIsWrong(t *testing.T) {
	lost, gone := errors.New("connection reset"), &pgconn.PgError{Code: "40003"}
	no := &pgconn.PgError{Code: "57P03"}
	told := func() *rowLog {
		l := newRowLog()
		l.told(l.take(2), nil)  // 0, 1
		l.told(l.take(2), lost) // 2, 3
		l.told(l.take(2), gone) // 4, 5
		l.told(l.take(2), no)   // 6, 7
		return l
	}
	rows := func(ids ...int64) map[int64]int {
		have := map[int64]int{}
		for _, id := range ids {
			have[id]++
		}
		return have
	}
	for _, sound := range []map[int64]int{rows(0, 1), rows(0, 1, 2, 3), rows(0, 1, 4, 5), rows(0, 1, 2, 3, 4, 5)} {
		counts, wrong := told().compare(sound)
		require.Empty(t, wrong)
		require.Len(t, counts, len(sound))
	}
	for what, have := range map[string]map[int64]int{
		"missing": rows(0, 2, 3), "doubled": rows(0, 1, 1), "half a statement": rows(0, 1, 2), "refused": rows(0, 1, 6, 7), "never written": rows(0, 1, 99), "unknown, twice": rows(0, 1, 4, 5, 5),
	} {
		_, wrong := told().compare(have)
		require.Len(t, wrong, 1, what)
	}
}

func TestTheAggregateCheckerFindsWhatIsWrong(t *testing.T) {
	want := map[string]cell{"a": {2, 5}, "b": {1, 1}}
	require.Empty(t, differCells(want, map[string]cell{"a": {2, 5}, "b": {1, 1}}))
	for what, have := range map[string]map[string]cell{
		"missing": {"a": {2, 5}}, "doubled": {"a": {4, 10}, "b": {1, 1}}, "too many": {"a": {2, 5}, "b": {1, 1}, "c": {1, 1}},
	} {
		require.Len(t, differCells(want, have), 1, what)
	}
}
