package nodes

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/anishathalye/porcupine"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
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

func TestTheRecordCheckerFindsWhatIsWrong(t *testing.T) {
	value := func(name string, n int) string { return fmt.Sprintf(`{"producer": "%s", "n": %d}`, name, n) }
	sound := func() map[place]string {
		return map[place]string{{0, 0}: value("p1", 1), {0, 1}: value("p1", 3), {1, 0}: value("p1", 2), {0, 2}: value("p2", 1)}
	}
	acked := map[string]place{value("p1", 1): {0, 0}, value("p1", 3): {0, 1}, value("p2", 1): {0, 2}}
	counts, wrong := compareRecords(sound(), acked)
	require.Empty(t, wrong)
	require.Equal(t, map[string]cell{"p1": {3, 6}, "p2": {1, 1}}, counts)
	for what, change := range map[string]func(map[place]string){
		"missing":                 func(r map[place]string) { delete(r, place{0, 2}) },
		"doubled":                 func(r map[place]string) { r[place{2, 0}] = value("p1", 2) },
		"out of order":            func(r map[place]string) { r[place{1, 1}] = value("p2", 5); r[place{1, 2}] = value("p2", 4) },
		"something else is there": func(r map[place]string) { r[place{0, 2}] = value("p2", 9) },
	} {
		records := sound()
		change(records)
		_, wrong := compareRecords(records, acked)
		require.Len(t, wrong, 1, what)
	}
	p := &producers{}
	p.mu.read = map[place]string{{0, 0}: "before"}
	require.Len(t, p.note(kgo.Fetches{{Topics: []kgo.FetchTopic{{Partitions: []kgo.FetchPartition{{Records: []*kgo.Record{{Value: []byte("after")}}}}}}}}), 1)
}

func TestTheBooksTellHalfATransfer(t *testing.T) {
	b := &bank{}
	b.mu.of = map[int64]transfer{0: {1, 2, 30}}
	balances, spent := b.books(map[int64]bool{0: true})
	require.Empty(t, differCells(map[string]cell{"1": {1, 30}}, spent))
	require.Equal(t, cell{total: openingBalance - 30}, balances["1"])
	require.Equal(t, cell{total: openingBalance + 30}, balances["2"])
	balances["2"] = cell{total: openingBalance}
	whole, _ := b.books(map[int64]bool{0: true})
	require.Len(t, differCells(whole, balances), 1)
}

func TestTheOrderCheckerFindsAStaleAnswer(t *testing.T) {
	op := func(kind string, answer nameAnswer, call, end int64) porcupine.Operation {
		return porcupine.Operation{ClientId: int(call), Input: nameOp{kind: kind}, Output: answer, Call: call, Return: end}
	}
	require.True(t, linear([]porcupine.Operation{op("create", done, 1, 2), op("look", done, 3, 4), op("drop", done, 5, 6), op("look", already, 7, 8)}))
	require.True(t, linear([]porcupine.Operation{op("create", unknown, 1, math.MaxInt64), op("look", already, 3, 4), op("look", done, 5, 6)}), "it comes to pass late")
	require.False(t, linear([]porcupine.Operation{op("create", done, 1, 2), op("look", already, 3, 4)}), "a read on a node that lags")
	require.False(t, linear([]porcupine.Operation{op("create", done, 1, 2), op("create", done, 3, 4)}), "made twice")
	require.False(t, linear([]porcupine.Operation{op("create", unknown, 1, math.MaxInt64), op("look", done, 3, 4), op("look", already, 5, 6)}), "it goes again")
}

func TestTheLogCheckersFindWhatIsWrong(t *testing.T) {
	data := func(base, id int64, epoch int16) batch {
		return batch{base: base, last: base, id: id, epoch: epoch, data: true, crc: uint32(base)}
	}
	marker := func(base, id int64, commit bool) batch {
		return batch{base: base, last: base, id: id, epoch: 9, control: true, commit: commit}
	}
	whole := logs{
		"a-0": {data(0, 1, 3), marker(1, 1, true), data(2, 1, 4), data(3, 2, 4), marker(4, 2, true), marker(5, 1, false)},
		"b-0": {data(0, 1, 3), marker(1, 1, true), marker(2, 1, false), data(3, 1, 5)},
	}
	require.Empty(t, torn(whole))
	require.Empty(t, apart(whole, whole))
	require.Len(t, torn(logs{"a-0": whole["a-0"], "b-0": {data(0, 1, 3), marker(1, 1, false), data(3, 1, 4), marker(4, 1, true)}}), 2)

	behind := logs{"events-0": {data(0, 1, 3)}}
	ahead := logs{"events-0": {data(0, 1, 3), data(1, 1, 3)}}
	require.Empty(t, apart(behind, ahead))
	other := data(0, 1, 3)
	other.crc = 77
	require.Len(t, apart(behind, logs{"events-0": {other}}), 1)
	require.Empty(t, apart(logs{"totals-0": {data(0, 1, 3)}}, logs{"totals-0": {other}}), "it may have been cleaned")
	require.Len(t, apart(logs{"totals-0": {data(0, 1, 3)}}, logs{"totals-0": {data(0, 1, 4)}}), 1)
}
