package exec_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/exec/memlog"
	"github.com/millracedb/millrace/internal/record"
)

// fact is a row of one of the two streams that the tests below join.
type fact struct {
	k  string // "" for NULL
	v  int
	at int64
}

func (f fact) json() string {
	k := "null"
	if f.k != "" {
		k = `"` + f.k + `"`
	}
	return fmt.Sprintf(`{"k":%s,"v":%d,"_t":%d}`, k, f.v, f.at)
}

// joinCase is a join of l and r, and what it means.
type joinCase struct {
	kind          string
	before, after int64
	grace         int64
	cond          bool // further: l.v <= r.v + 20
}

func (c joinCase) query() string {
	on := "l.k = r.k"
	if c.cond {
		on += " AND l.v <= r.v + 20"
	}
	return fmt.Sprintf("SELECT l.k AS lk, l.v AS lv, r.k AS rk, r.v AS rv FROM l %s JOIN r WITHIN (%d MILLISECONDS, %d MILLISECONDS) "+
		"GRACE PERIOD %d MILLISECONDS ON %s", c.kind, c.before, c.after, c.grace, on)
}

// rows is the join by definition.
func (c joinCase) rows(l, r []fact) (rows []string) {
	row := func(f *fact) string {
		if f == nil {
			return "NULL|NULL"
		}
		if f.k == "" {
			return fmt.Sprint("NULL|", f.v)
		}
		return fmt.Sprint(f.k, "|", f.v)
	}
	found := make([]bool, len(r))
	for i := range l {
		alone := true
		for k := range r {
			if l[i].k == "" || l[i].k != r[k].k || r[k].at < l[i].at-c.before || r[k].at > l[i].at+c.after || c.cond && l[i].v > r[k].v+20 {
				continue
			}
			alone, found[k] = false, true
			rows = append(rows, row(&l[i])+"|"+row(&r[k]))
		}
		if alone && (c.kind == "LEFT" || c.kind == "FULL") {
			rows = append(rows, row(&l[i])+"|"+row(nil))
		}
	}
	for k := range r {
		if !found[k] && (c.kind == "RIGHT" || c.kind == "FULL") {
			rows = append(rows, row(nil)+"|"+row(&r[k]))
		}
	}
	sort.Strings(rows)
	return rows
}

// joined reads the rows that a join has written, as joinCase.rows gives them.
func joined(h *harness, topic string) (rows []string) {
	for _, v := range h.records(topic) {
		var m struct {
			LK, RK *string
			LV, RV *int
		}
		require.NoError(h.t, json.Unmarshal([]byte(v), &m))
		text := func(k *string, v *int) string {
			s := "NULL|"
			if k != nil {
				s = *k + "|"
			}
			if v == nil {
				return s + "NULL"
			}
			return s + fmt.Sprint(*v)
		}
		rows = append(rows, text(m.LK, m.LV)+"|"+text(m.RK, m.RV))
	}
	sort.Strings(rows)
	return rows
}

// TestStreamJoinsEqualTheirDefinition joins two streams of rows that are out of order by no more than the grace, through restarts with and
// without the local state and faults of the log, and compares with the join of all rows.
func TestStreamJoinsEqualTheirDefinition(t *testing.T) {
	seeds := uint64(24)
	if testing.Short() {
		seeds = 6
	}
	for seed := range seeds {
		rng := rand.New(rand.NewPCG(seed, 17))
		c := joinCase{
			kind: []string{"INNER", "LEFT", "RIGHT", "FULL"}[seed%4], before: rng.Int64N(400), after: rng.Int64N(400),
			grace: rng.Int64N(300), cond: rng.IntN(2) == 0,
		}
		h := newHarness(t, 1+rng.Int32N(3))
		h.idle = time.Hour
		h.run(`CREATE STREAM l (k TEXT, v INT) WITH (topic = 'l')`)
		h.run(`CREATE STREAM r (k TEXT, v INT) WITH (topic = 'r')`)
		h.run(`CREATE STREAM j AS ` + c.query())
		var l, r []fact
		now := int64(1000)
		for round := range 8 {
			h.log.SetFault([]memlog.Fault{memlog.None, memlog.Unavailable, memlog.UnknownCommit, memlog.UnknownAbort}[round%4])
			for range 30 {
				now += rng.Int64N(40)
				f := fact{k: []string{"a", "b", "c", ""}[rng.IntN(4)], v: rng.IntN(100), at: max(0, now-rng.Int64N(c.grace+1))}
				if rng.IntN(2) == 0 {
					l = append(l, f)
					h.put("l", f.json())
				} else {
					r = append(r, f)
					h.put("r", f.json())
				}
			}
			if round%3 == 2 {
				h.settle("j")
				h.restart(rng.IntN(2) == 0)
			}
		}
		endStreams(h, now+10_000)
		want := c.rows(l, r)
		h.waitRows(func() bool { return len(joined(h, "j")) >= len(want) })
		require.Equal(t, want, joined(h, "j"), "seed %d, %d partitions: %s\n%s", seed, h.parts, c.query(), h.failure("j"))
		require.Empty(t, h.records(errorsTopic))
		h.w.close()
	}
}

// endStreams moves the time of all partitions of l and r, so that nothing waits.
func endStreams(h *harness, at int64) {
	for p := range int64(h.parts) {
		h.put("l", fact{k: "end of l", at: at + p}.json())
		h.put("r", fact{k: "end of r", at: at + p}.json())
	}
	h.settle("j")
}

// waitRows waits a while: a task that has nothing to write tells its time a little later.
func (h *harness) waitRows(there func() bool) {
	for end := time.Now().Add(2 * time.Minute); !there() && time.Now().Before(end); {
		h.settle("j")
	}
}

func TestStreamJoinWalksAKeyWithManyRows(t *testing.T) {
	h := newHarness(t, 1)
	h.idle = time.Hour
	h.run(`CREATE STREAM l (k TEXT, v INT) WITH (topic = 'l')`)
	h.run(`CREATE STREAM r (k TEXT, v INT) WITH (topic = 'r')`)
	h.run(`CREATE STREAM j AS ` + joinCase{kind: "FULL", before: 1 << 30, after: 1 << 30, cond: true}.query())
	const n = 5000
	for i := range n {
		h.put("l", fact{"a", i % 100, int64(1000 + i)}.json())
	}
	h.settle("j")
	h.restart(false)
	h.put("r", fact{"a", 30, 3000}.json(), fact{"a", 79, 3000}.json())
	h.settle("j")
	require.Len(t, joined(h, "j"), n/100*51+n)
}

// TestStreamJoinLetsRowsGo holds that what can match no more leaves the state.
func TestStreamJoinLetsRowsGo(t *testing.T) {
	h := newHarness(t, 1)
	h.idle = time.Hour
	h.run(`CREATE STREAM l (k TEXT, v INT) WITH (topic = 'l')`)
	h.run(`CREATE STREAM r (k TEXT, v INT) WITH (topic = 'r')`)
	h.run(`CREATE STREAM j AS ` + joinCase{kind: "LEFT", before: 100, after: 100, grace: 10}.query())
	for i := range 2000 {
		at := int64(10_000 + 10*i)
		h.put("l", fact{fmt.Sprint("k", i), i, at}.json())
		h.put("r", fact{fmt.Sprint("k", i+3), i, at}.json())
	}
	h.settle("j")
	live := map[string]bool{}
	fragments := h.queries["j"].plan.Fragments
	h.eachRecord(fragments[len(fragments)-1].Changelog, func(r *record.Record) { live[string(r.Key)] = r.Value != nil })
	kept := 0
	for _, there := range live {
		if there {
			kept++
		}
	}
	require.Less(t, kept, 500, "of 4000 rows a few hundred are within reach")
	require.Greater(t, kept, 10)
}

func TestLateRowsOfAStreamJoinAreKeptWithTheirTopic(t *testing.T) {
	h := newHarness(t, 1)
	h.idle = time.Hour
	h.run(`CREATE STREAM l (k TEXT, v INT) WITH (topic = 'tl')`)
	h.run(`CREATE STREAM r (k TEXT, v INT) WITH (topic = 'tr')`)
	h.run(`CREATE STREAM j AS ` + joinCase{kind: "LEFT", before: 100, after: 100, grace: 10}.query())
	h.put("l", fact{"a", 1, 1000}.json(), fact{"a", 2, 2000}.json())
	h.put("r", fact{"b", 1, 1500}.json(), fact{"b", 2, 3000}.json())
	h.settle("j")
	require.Equal(t, []string{"a|1|NULL|NULL", "a|2|NULL|NULL"}, joined(h, "j"))
	// One that is too late for anything, one that is out of order but fits a row that has left, and one that fits one that has not come yet.
	h.put("r", fact{"a", 7, 2000}.json(), fact{"a", 8, 2895}.json())
	h.put("l", fact{"a", 3, 2950}.json())
	h.settle("j")
	h.restart(true)
	require.Equal(t, []string{"a|1|NULL|NULL", "a|2|NULL|NULL", "a|3|a|8"}, joined(h, "j"))
	late := h.records(errorsTopic)
	require.Len(t, late, 1)
	require.Contains(t, late[0], `"kind":"late"`)
	require.Contains(t, late[0], `"topic":"tr"`)
	require.Contains(t, late[0], `"offset":2`)

	h.put("l", fact{"c", 4, 3000}.json())
	h.put("r", fact{"b", 3, 3111}.json())
	h.settle("j")
	h.put("r", fact{"c", 9, 3010}.json())
	h.settle("j")
	require.Equal(t, []string{"a|1|NULL|NULL", "a|2|NULL|NULL", "a|3|a|8", "c|4|NULL|NULL"}, joined(h, "j"), "what has left alone is not joined")
	late = h.records(errorsTopic)
	require.Len(t, late, 2)
	require.Contains(t, late[1], "had left without a match")
}

// TestWindowsOverAnOuterStreamJoinMissNothing holds that the rows which leave a join late are not late for what stands above it, in the same
// query and in the next.
func TestWindowsOverAnOuterStreamJoinMissNothing(t *testing.T) {
	h := newHarness(t, 2)
	h.idle = time.Hour
	h.run(`CREATE STREAM l (k TEXT, v INT) WITH (topic = 'l')`)
	h.run(`CREATE STREAM r (k TEXT, v INT) WITH (topic = 'r')`)
	const from = ` FROM l FULL JOIN r WITHIN 200 MILLISECONDS ON l.k = r.k `
	h.run(`CREATE STREAM j AS SELECT l.k AS lk, l.v AS lv, r.k AS rk, r.v AS rv` + from)
	h.run(`CREATE TABLE above AS SELECT l.v AS g, count(*) AS n` + from + `WINDOW TUMBLING (SIZE 100 MILLISECONDS, GRACE PERIOD 0 SECONDS) GROUP BY l.v`)
	h.run(`CREATE TABLE next AS SELECT lv, count(*) AS n FROM j WINDOW TUMBLING (SIZE 100 MILLISECONDS, GRACE PERIOD 0 SECONDS) GROUP BY lv`)
	rng := rand.New(rand.NewPCG(5, 5))
	var l, r []fact
	for i := range 400 {
		at := int64(1000 + 10*i)
		f := fact{fmt.Sprint("k", rng.IntN(60)), i % 3, at}
		if rng.IntN(2) == 0 {
			l = append(l, f)
			h.put("l", f.json())
		} else {
			r = append(r, f)
			h.put("r", f.json())
		}
	}
	endStreams(h, 100_000)
	count := func(name string) (n int) {
		for _, row := range h.rows(name) {
			var c int
			cells := strings.Split(row, "|")
			_, err := fmt.Sscan(cells[1], &c)
			require.NoError(t, err)
			n += c
		}
		return n
	}
	rows := joinCase{kind: "FULL", before: 200, after: 200}.rows(l, r)
	h.waitRows(func() bool {
		h.settle("above")
		h.settle("next")
		return count("above") >= len(rows) && count("next") >= len(rows)
	})
	require.Equal(t, rows, joined(h, "j"))
	require.Equal(t, len(rows), count("above"))
	require.Equal(t, len(rows), count("next"))
	require.Empty(t, h.records(errorsTopic))
}
