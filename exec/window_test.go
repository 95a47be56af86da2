package exec_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/exec/memlog"
)

// windowRows are the rows of a stream by key, as times in ms, and what windows over them must give.
type windowRows map[string][]int

func (r windowRows) put(h *harness, rng *rand.Rand, rows int) {
	for range rows {
		k, t := fmt.Sprintf("k%d", rng.IntN(3)), rng.IntN(100_000)
		h.put("s", fmt.Sprintf(`{"id":%d,"k":"%s","_t":%d}`, rng.IntN(100), k, t))
		r[k] = append(r[k], t)
	}
}

// sessions are key, start, end and number of rows of each session.
func (r windowRows) sessions(gap int) (rows []string) {
	for k, times := range r {
		slices.Sort(times)
		first := 0
		for i, t := range times {
			if i+1 == len(times) || times[i+1]-t > gap {
				rows = append(rows, fmt.Sprintf("%s|%d|%d|%d", k, times[first], t, i+1-first))
				first = i + 1
			}
		}
	}
	return sorted(rows)
}

// hops are key, start and number of rows of each window.
func (r windowRows) hops(size, advance int) (rows []string) {
	for k, times := range r {
		counts := map[int]int{}
		for _, t := range times {
			for start := t - t%advance; start+size > t; start -= advance {
				counts[start]++
			}
		}
		for start, n := range counts {
			rows = append(rows, fmt.Sprintf("%s|%d|%d", k, start, n))
		}
	}
	return sorted(rows)
}

const ms = `(extract(epoch FROM %s) * 1000)::INT`

// TestWindowsOfRowsInAnyOrder puts rows of random times, so that sessions are joined and lengthened at both ends and windows filled in any
// order, while tasks lose their memory, their state, and commits whose outcome is not known.
func TestWindowsOfRowsInAnyOrder(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			rng, rows := rand.New(rand.NewPCG(seed, 17)), windowRows{}
			h := newHarness(t, 1+int32(seed%3))
			if seed%2 == 1 {
				h.memory = 1 // nothing outlives a commit
				h.restart(true)
			}
			h.run(`CREATE STREAM s (id INT KEY, k TEXT) WITH (topic = 's')`)
			h.run(fmt.Sprintf(`CREATE TABLE sessions AS SELECT k, %s AS a, %s AS b, count(*) AS n FROM s WINDOW SESSION (1 SECOND) GROUP BY k`,
				fmt.Sprintf(ms, "windowstart"), fmt.Sprintf(ms, "windowend")))
			h.run(fmt.Sprintf(`CREATE TABLE hops AS SELECT k, %s AS a, count(*) AS n FROM s WINDOW HOPPING (SIZE 7 SECONDS, ADVANCE BY 3 SECONDS)
				GROUP BY k`, fmt.Sprintf(ms, "windowstart")))
			for round := range 8 {
				h.log.SetFault([]memlog.Fault{memlog.None, memlog.UnknownCommit, memlog.UnknownAbort}[rng.IntN(3)])
				rows.put(h, rng, 20)
				if rng.IntN(3) == 0 {
					h.restart(rng.IntN(2) == 0)
				}
				h.settle("sessions")
				h.settle("hops")
				require.Equal(t, rows.sessions(1000), visibleRows(h, "sessions"), "round %d", round)
				require.Equal(t, rows.hops(7000, 3000), visibleRows(h, "hops"), "round %d", round)
			}
		})
	}
}

func TestFinalSessionsComeOnceOverRestarts(t *testing.T) {
	h := newHarness(t, 2)
	h.memory = 1 // sessions that close are not in memory
	h.restart(true)
	h.run(`CREATE STREAM s (id INT KEY, city TEXT) WITH (topic = 's')`)
	h.run(`CREATE TABLE w AS SELECT city, count(*) AS n FROM s WINDOW SESSION (1 SECOND) GROUP BY city EMIT FINAL`)
	h.put("s", `{"id":1,"city":"a","_t":1000}`, `{"id":1,"city":"b","_t":1500}`, `{"id":1,"city":"a","_t":2000}`)
	h.settle("w")
	h.restart(true)
	h.put("s", `{"id":1,"city":"a","_t":2900}`) // joins a's session, which ends b's: 1500 and the gap are over
	h.eventually("b's session closes", func() bool { return len(h.records("w")) == 1 })
	h.restart(false)
	h.put("s", `{"id":1,"city":"b","_t":1501}`)
	h.settle("w")
	h.restart(true) // with nothing more to come, the wall clock ends a's session
	h.eventually("the last session closes", func() bool { return len(h.records("w")) >= 2 })
	require.Equal(t, []string{`{"n":1}`, `{"n":3}`}, sorted(h.records("w")))
	late := 0
	for _, row := range h.records(errorsTopic) {
		if strings.Contains(row, `"kind":"late"`) {
			late++
		}
	}
	require.Equal(t, 1, late)
}

func TestRowsOfClosedWindowsLeaveByRetention(t *testing.T) {
	h := newHarness(t, 2)
	h.run(`CREATE STREAM s (id INT KEY, k TEXT) WITH (topic = 's')`)
	h.run(`CREATE TABLE w AS SELECT k, count(*) AS n FROM s
		WINDOW HOPPING (SIZE 2 HOURS, ADVANCE BY 1 HOUR, GRACE PERIOD 0 HOURS, RETENTION 3 HOURS) GROUP BY k`)
	h.run(`CREATE TABLE total AS SELECT k, sum(n) AS n FROM w GROUP BY k`)
	h.put("s", `{"id":1,"k":"a","_t":36000000}`, `{"id":1,"k":"a","_t":37800000}`)
	h.settle("w")
	require.Equal(t, []string{"a|2", "a|2"}, visibleRows(h, "w"))
	for _, keep := range []bool{true, false} {
		h.restart(keep)
		h.put("s", `{"id":1,"k":"b","_t":50040000}`)
		h.settle("w")
	}
	require.Equal(t, []string{"a|2", "a|2", "b|2", "b|2"}, visibleRows(h, "w"))
	h.restart(false)
	h.put("s", `{"id":1,"k":"b","_t":50400000}`) // the window from 9:00 to 11:00 leaves
	h.settle("w")
	h.eventually("it leaves", func() bool { return slices.Equal([]string{"a|2", "b|1", "b|2", "b|3"}, visibleRows(h, "w")) })
	h.settle("total")
	require.Equal(t, []string{"a|4", "b|6"}, visibleRows(h, "total"))
}

// TestHoppingWindowsGiveTheSameWhetherRowsAreAddedByPanesOrOneByOne compares aggregates that a window takes over from its panes with the same ones beside an
// aggregate that keeps its rows, and so has every row added to every window: over rows that come late, change and go.
func TestHoppingWindowsGiveTheSameWhetherRowsAreAddedByPanesOrOneByOne(t *testing.T) {
	const aggregates = `k, %[1]s AS a, count(*) AS n, count(x) FILTER (WHERE x > 3) AS big, sum(x) AS s, sum(x::DOUBLE PRECISION / 3) AS f, avg(x::NUMERIC) AS v,
		max(x) AS hi, min(x) AS lo, bool_or(x > 7) AS o, bit_xor(x) AS b, stddev(x) AS d`
	const window = `FROM %[2]s WINDOW HOPPING (SIZE 7 SECONDS, ADVANCE BY 2 SECONDS, GRACE PERIOD %[3]s) GROUP BY k`
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			rng, h := rand.New(rand.NewPCG(seed, 18)), newHarness(t, 1+int32(seed%2))
			h.run(`CREATE STREAM s (id INT KEY, k TEXT, x INT) WITH (topic = 's')`)
			h.run(`CREATE TABLE u (id INT PRIMARY KEY, k TEXT, x INT) WITH (topic = 'u')`)
			h.idle = time.Hour
			relations := map[string]string{"s": "1 DAY", "u": "1 DAY"}
			if h.parts == 1 { // else it is chance which rows are late
				relations["s"] = "5 SECONDS"
			}
			for from, grace := range relations {
				start := fmt.Sprintf(ms, "windowstart")
				columns := aggregates
				if from == "u" { // those of max and min keep rows that may leave
					columns = strings.ReplaceAll(aggregates, "max(x) AS hi, min(x) AS lo,", "")
				}
				h.run(fmt.Sprintf(`CREATE TABLE panes_%[2]s AS SELECT `+columns+` `+window, start, from, grace))
				h.run(fmt.Sprintf(`CREATE TABLE rows_%[2]s AS SELECT `+columns+`, array_agg(x) AS kept `+window, start, from, grace))
			}
			for round := range 6 {
				for range 30 {
					row := fmt.Sprintf(`{"id":%d,"k":"k%d","x":%d,"_t":%d}`, rng.IntN(20), rng.IntN(3), rng.IntN(10), 10_000*round+rng.IntN(20_000))
					h.put("s", row)
					if rng.IntN(6) == 0 {
						row = "-" + row
					}
					h.put("u", row)
				}
				for from := range relations {
					h.settle("panes_" + from)
					h.settle("rows_" + from)
					var want []string
					for _, row := range visibleRows(h, "rows_"+from) {
						want = append(want, row[:strings.LastIndexByte(row, '|')])
					}
					require.NotEmpty(t, want)
					require.Equal(t, sorted(want), visibleRows(h, "panes_"+from), "round %d", round)
				}
			}
		})
	}
}
