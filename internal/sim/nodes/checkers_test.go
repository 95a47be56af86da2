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

func TestTheRegisterCheckerFindsWhatIsWrong(t *testing.T) {
	at := func(call, end int64, op registerOp, answer registerAnswer) porcupine.Operation {
		return porcupine.Operation{ClientId: int(call), Input: op, Output: answer, Call: call, Return: end}
	}
	write := func(call, value int64) porcupine.Operation {
		return at(call, call+1, registerOp{value: value}, registerAnswer{value: value})
	}
	read := func(call, value int64) porcupine.Operation {
		return at(call, call+1, registerOp{}, registerAnswer{value: value})
	}
	swap := func(call, want, value, answer int64) porcupine.Operation {
		return at(call, call+1, registerOp{want: want, value: value}, registerAnswer{value: answer})
	}
	lost := func(call, value int64) porcupine.Operation {
		return at(call, math.MaxInt64, registerOp{value: value}, registerAnswer{unknown: true})
	}
	for what, sound := range map[string][]porcupine.Operation{
		"in order": {write(1, 7), read(3, 7), swap(5, 7, 8, 8), read(7, 8), swap(9, 7, 9, 0), read(11, 8)},
		"late":     {lost(1, 5), read(3, 0), read(5, 5)},
		"never":    {lost(1, 5), read(3, 0), write(5, 6), read(7, 6)},
	} {
		require.True(t, registersLinear(sound)[0], what)
	}
	for what, broken := range map[string][]porcupine.Operation{
		"a stale read":          {write(1, 7), read(3, 0)},
		"a lost write":          {write(1, 7), write(3, 8), read(5, 7)},
		"a write that goes":     {lost(1, 5), read(3, 5), read(5, 0)},
		"two for one":           {write(1, 7), swap(3, 7, 8, 8), swap(5, 7, 9, 9)},
		"refused without cause": {write(1, 7), swap(3, 7, 8, 0)},
	} {
		require.False(t, registersLinear(broken)[0], what)
	}
}

func TestThePipelineCheckerFindsWhatIsWrong(t *testing.T) {
	in := map[place]string{{0, 0}: "a", {1, 0}: "b"}
	require.Empty(t, moved(in, map[place]string{{0, 0}: "b", {0, 2}: "a"}))
	for what, out := range map[string]map[place]string{
		"missing": {{0, 0}: "a"}, "twice": {{0, 0}: "a", {0, 1}: "b", {1, 0}: "a"}, "never there": {{0, 0}: "a", {0, 1}: "b", {1, 0}: "c"},
	} {
		require.Len(t, moved(in, out), 1, what)
	}
	require.Len(t, misplaced(in, map[string]place{"a": {0, 0}, "b": {1, 1}}), 1)
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
