package exec_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/exec/memlog"
)

// keptRow is a row of the table that the views below are over.
type keptRow struct {
	g string
	v int
}

// keptViews are views whose operators keep rows in order, and what they must show.
var keptViews = map[string]struct {
	query string
	want  func(rows map[int]keptRow) []string
}{
	"lists": {
		`SELECT g, string_agg(v::text, ',' ORDER BY v DESC) AS vs, count(DISTINCT v) AS kinds, percentile_disc(0.5) WITHIN GROUP (ORDER BY v) AS m, min(v) AS least FROM t GROUP BY g`,
		func(rows map[int]keptRow) (out []string) {
			groups := map[string][]int{}
			for _, r := range rows {
				groups[r.g] = append(groups[r.g], r.v)
			}
			for g, vs := range groups {
				slices.Sort(vs)
				median, kinds := vs[(len(vs)+1)/2-1], len(slices.Compact(slices.Clone(vs)))
				least := vs[0]
				slices.Reverse(vs)
				out = append(out, fmt.Sprintf("%s|%s|%d|%d|%d", g, strings.Trim(strings.ReplaceAll(fmt.Sprint(vs), " ", ","), "[]"), kinds, median, least))
			}
			return out
		},
	},
	"top": {
		`SELECT v, id FROM t ORDER BY v DESC, id LIMIT 3 OFFSET 1`,
		func(rows map[int]keptRow) (out []string) {
			ids := make([]int, 0, len(rows))
			for id := range rows {
				ids = append(ids, id)
			}
			slices.SortFunc(ids, func(a, b int) int { return cmp.Or(cmp.Compare(rows[b].v, rows[a].v), cmp.Compare(a, b)) })
			for _, id := range ids[min(1, len(ids)):min(4, len(ids))] {
				out = append(out, fmt.Sprintf("%d|%d", rows[id].v, id))
			}
			return out
		},
	},
	"differ": {
		`SELECT v FROM t WHERE g = 'a' EXCEPT ALL SELECT v FROM t WHERE g = 'b'`,
		func(rows map[int]keptRow) (out []string) {
			n := map[int]int{}
			for _, r := range rows {
				switch r.g {
				case "a":
					n[r.v]++
				case "b":
					n[r.v]--
				}
			}
			for v, count := range n {
				for c := range max(count, 0) {
					out = append(out, fmt.Sprintf("%d|%d", v, c+1)) // the hidden number of the copy is a column of the topic
				}
			}
			return out
		},
	},
}

// TestOrderedStateSurvivesFaultsAndRestarts changes rows at random, with faults of the log, restarts with the local state and without.
func TestOrderedStateSurvivesFaultsAndRestarts(t *testing.T) {
	h := newHarness(t, 2)
	h.run(`CREATE TABLE t (id INT PRIMARY KEY, g TEXT, v INT) WITH (topic = 't')`)
	for name, view := range keptViews {
		h.run(`CREATE TABLE ` + name + ` AS ` + view.query)
	}
	rng, rows := rand.New(rand.NewPCG(9, 10)), map[int]keptRow{}
	for round := range 24 {
		h.log.SetFault([]memlog.Fault{memlog.None, memlog.Unavailable, memlog.UnknownCommit, memlog.UnknownAbort}[round%4])
		for range 8 {
			id := rng.IntN(12)
			if rng.IntN(4) == 0 {
				h.put("t", fmt.Sprintf(`-{"id":%d}`, id))
				delete(rows, id)
				continue
			}
			rows[id] = keptRow{g: string(rune('a' + rng.IntN(2))), v: rng.IntN(6)}
			h.put("t", fmt.Sprintf(`{"id":%d,"g":"%s","v":%d}`, id, rows[id].g, rows[id].v))
		}
		if round%6 == 5 {
			h.restart(round%12 == 5)
		}
		if round%3 == 2 {
			for name, view := range keptViews {
				require.ElementsMatch(t, view.want(rows), h.table(name), "%s after round %d %s", name, round, h.failure(name))
			}
		}
	}
}
