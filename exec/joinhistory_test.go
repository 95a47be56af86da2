package exec_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/record"
)

// historyStart is the time that minutes of these tests count from.
const historyStart = 1_700_000_000_000

func atMinute(m int) int64 { return historyStart + int64(m)*60_000 }

// historyHarness joins the stream s with the table t, which has a history of an hour, into j.
func historyHarness(t *testing.T, partitions int32) *harness {
	h := newHarness(t, partitions)
	h.idle = time.Hour // nothing but rows moves time
	h.run(`CREATE TABLE t (id INT PRIMARY KEY, v TEXT) WITH (topic = 't', history = '1 hour')`)
	h.run(`CREATE STREAM s (id INT, x INT) WITH (topic = 's')`)
	h.run(`CREATE STREAM j AS SELECT x, v FROM s LEFT JOIN t ON s.id = t.id`)
	return h
}

func (h *harness) version(id, minute int, v string) {
	h.put("t", fmt.Sprintf(`{"id":%d,"v":%q,"_t":%d}`, id, v, atMinute(minute)))
}

// joined puts a row into s and returns what it is joined with.
func (h *harness) joined(id, minute int) string {
	h.t.Helper()
	before := h.records("j")
	h.put("s", fmt.Sprintf(`{"id":%d,"x":%d,"_t":%d}`, id, minute, atMinute(minute)))
	h.settle("j")
	fresh := newRecords(before, h.records("j"))
	if len(fresh) == 0 {
		return "late"
	}
	require.Len(h.t, fresh, 1, h.failure("j"))
	var row struct {
		X int
		V *string
	}
	require.NoError(h.t, json.Unmarshal([]byte(fresh[0]), &row))
	require.Equal(h.t, minute, row.X)
	if row.V == nil {
		return "none"
	}
	return *row.V
}

// newRecords are the records of now that were not there before, whatever partition they are in.
func newRecords(before, now []string) []string {
	seen := map[string]int{}
	for _, r := range before {
		seen[r]++
	}
	var out []string
	for _, r := range now {
		if seen[r]--; seen[r] < 0 {
			out = append(out, r)
		}
	}
	return out
}

func TestAStreamJoinsATableWithHistoryAsOfItsRowsTimes(t *testing.T) {
	h := historyHarness(t, 1)
	h.version(1, 0, "a")
	h.version(1, 10, "b")
	h.put("t", fmt.Sprintf(`-{"id":1,"_t":%d}`, atMinute(20)))
	h.version(1, 30, "c")
	h.version(2, 5, "other")
	for _, c := range []struct {
		minute int
		want   string
	}{{-5, "none"}, {0, "a"}, {9, "a"}, {10, "b"}, {15, "b"}, {20, "none"}, {29, "none"}, {35, "c"}, {6, "a"}} {
		require.Equal(t, c.want, h.joined(1, c.minute), "minute %d", c.minute)
	}
	require.Equal(t, "other", h.joined(2, 36))

	h.version(1, 12, "late row")
	require.Equal(t, "b", h.joined(1, 11))
	require.Equal(t, "late row", h.joined(1, 13), "a row of the table that comes late is seen by those that come later still")
	require.Equal(t, "none", h.joined(1, 25))
	h.version(1, 30, "c2")
	require.Equal(t, "c2", h.joined(1, 37), "of two of one time the later one counts")

	for _, keepState := range []bool{true, false} {
		h.restart(keepState)
		require.Equal(t, "late row", h.joined(1, 13))
		require.Equal(t, "c2", h.joined(1, 38))
	}
}

func TestVersionsLeaveWhenTheHistoryIsOver(t *testing.T) {
	h := historyHarness(t, 1)
	h.version(1, 0, "a")
	h.version(1, 10, "b")
	h.put("t", fmt.Sprintf(`-{"id":1,"_t":%d}`, atMinute(20)))
	h.version(1, 30, "c")
	h.version(2, 0, "never changed")
	h.version(3, 0, "deleted")
	h.put("t", fmt.Sprintf(`-{"id":3,"_t":%d}`, atMinute(20)))
	require.Equal(t, "c", h.joined(1, 119))
	require.Equal(t, "c", h.joined(1, 120))
	require.Equal(t, "c", h.joined(1, 40), "before the horizon, but the row has not changed since")
	require.Equal(t, "never changed", h.joined(2, 5))
	require.Equal(t, "late", h.joined(1, 5))
	require.Equal(t, "late", h.joined(1, 25))
	require.Equal(t, "late", h.joined(3, 5))
	require.Equal(t, "none", h.joined(3, 60))
	require.Equal(t, "late", h.joined(9, 5), "whether there was a row is not known")
	require.Len(t, h.records(errorsTopic), 4, "they are kept")

	h.restart(false) // what was forgotten is not in the changelog either
	require.Equal(t, "late", h.joined(1, 5))
	require.Equal(t, "c", h.joined(1, 40))
	require.Equal(t, 2, h.live(), "a version for each row that is there")
}

// live counts the rows of state that the changelogs of j have by now.
func (h *harness) live() (n int) {
	h.t.Helper()
	for _, f := range h.queries["j"].plan.Fragments {
		if f.Changelog == "" {
			continue
		}
		rows := map[string]bool{}
		h.eachRecord(f.Changelog, func(r *record.Record) { rows[string(r.Key)] = r.Value != nil })
		for key, there := range rows {
			if there && key[3] != 0xfe { // the task's times
				n++
			}
		}
	}
	return n
}

// TestAsOfJoinsAgreeWithAModel joins rows in random order with versions in random order, over exchanges, restarts and several partitions.
func TestAsOfJoinsAgreeWithAModel(t *testing.T) {
	h := historyHarness(t, 3)
	rng := rand.New(rand.NewPCG(3, 4))
	model := map[int]map[int]string{} // id, minute: version
	for step := range 120 {
		id, minute := rng.IntN(4), rng.IntN(50)
		if step%40 == 39 {
			h.restart(rng.IntN(2) == 0)
		}
		if model[id] == nil {
			model[id] = map[int]string{}
		}
		switch rng.IntN(5) {
		case 0, 1:
			model[id][minute] = fmt.Sprint("v", step)
			h.version(id, minute, model[id][minute])
		case 2:
			model[id][minute] = "none"
			h.put("t", fmt.Sprintf(`-{"id":%d,"_t":%d}`, id, atMinute(minute)))
		default:
			want, latest := "none", -1
			for began, v := range model[id] {
				if began <= minute && began > latest {
					want, latest = v, began
				}
			}
			require.Equal(t, want, h.joined(id, minute), "step %d: row %d at minute %d of %v", step, id, minute, model[id])
		}
	}
}

func TestAPushQueryJoinsAsOfItsRowsTimes(t *testing.T) {
	h := historyHarness(t, 2)
	h.version(1, 0, "a")
	h.version(1, 10, "b")
	h.put("s", fmt.Sprintf(`{"id":1,"x":5,"_t":%d}`, atMinute(5)), fmt.Sprintf(`{"id":1,"x":15,"_t":%d}`, atMinute(15)))
	p := h.push(`SELECT x, v FROM s JOIN t ON s.id = t.id EMIT CHANGES LIMIT 2`)
	require.ElementsMatch(t, []string{"+I 5|a", "+I 15|b"}, h.next(p, 2))
}
