package exec_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/exec/bounded"
	"github.com/millracedb/millrace/exec/expr"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// TestRandomViewsEqualTheirQuery changes two tables at random, join and grouping columns too, and compares random views with the
// same SELECT run over the tables' rows by the bounded operators, which share nothing with the continuous ones but expressions.
func TestRandomViewsEqualTheirQuery(t *testing.T) {
	rounds := 25
	if testing.Short() {
		rounds = 5
	}
	for seed := range uint64(rounds) {
		rng := rand.New(rand.NewPCG(seed, 99))
		h := newHarness(t, 1+rng.Int32N(3))
		h.run(`CREATE TABLE t (id INT PRIMARY KEY, a INT, b TEXT, d DOUBLE PRECISION) WITH (topic = 't')`)
		h.run(`CREATE TABLE u (k TEXT PRIMARY KEY, a INT, n NUMERIC) WITH (topic = 'u')`)
		views := map[string]string{}
		for i := range 3 {
			name := fmt.Sprint("v", i)
			views[name] = randomQuery(rng)
			h.run(`CREATE MATERIALIZED VIEW ` + name + ` AS ` + views[name])
		}
		for range 4 {
			randomChanges(h, rng)
			if rng.IntN(4) == 0 {
				h.restart(rng.IntN(2) == 0)
				h.settle("t")
				h.settle("u")
			}
			for name, query := range views {
				h.settle(name)
				require.Equal(t, h.bounded(query), visibleRows(h, name), "seed %d: %s", seed, query)
			}
		}
		h.w.close()
	}
}

func randomQuery(rng *rand.Rand) string {
	pickOne := func(options ...string) string { return options[rng.IntN(len(options))] }
	where := pickOne("", " WHERE t.a > 2", " WHERE t.b <> 'x1'", " WHERE t.d < 1.5 OR t.a IS NULL")
	from := pickOne("t", "t", "t JOIN u ON t.b = u.k", "t LEFT JOIN u ON t.b = u.k", "t RIGHT JOIN u ON t.b = u.k",
		"t FULL JOIN u ON t.a = u.a", "t JOIN u ON t.a = u.a AND t.id > u.n")
	joined := strings.Contains(from, "JOIN")
	if rng.IntN(2) == 0 {
		if joined {
			return "SELECT t.id, t.a, u.k, u.n, t.a + 1 AS x FROM " + from + where
		}
		return "SELECT id, b, a * 2 AS x FROM " + from + where
	}
	key := pickOne("t.b", "t.a", "t.a % 2")
	aggs := pickOne("count(*) AS n, sum(t.a) AS s", "min(t.d) AS lo, max(t.b) AS hi, count(t.a) AS n", "avg(t.a) AS av, sum(t.d) AS s",
		"bool_or(t.a > 3) AS o, every(t.a > 1) AS e, count(*) FILTER (WHERE t.a > 2) AS f")
	if joined {
		aggs = pickOne("count(*) AS n", "sum(u.n) AS s, max(u.n) AS hi", "count(u.k) AS n, avg(u.n) AS av")
	}
	return "SELECT " + key + " AS g, " + aggs + " FROM " + from + where + " GROUP BY " + key
}

// randomChanges puts rows whose floats and numerics are exact, so that no order of adding shows.
func randomChanges(h *harness, rng *rand.Rand) {
	null := func(text string) string {
		if rng.IntN(8) == 0 {
			return "null"
		}
		return text
	}
	for range 15 {
		id := rng.IntN(12)
		row := fmt.Sprintf(`{"id":%d,"a":%s,"b":%s,"d":%s}`, id, null(fmt.Sprint(rng.IntN(6))),
			null(fmt.Sprintf(`"x%d"`, rng.IntN(4))), null(fmt.Sprint(float64(rng.IntN(12))/4)))
		if rng.IntN(4) == 0 {
			row = "-" + row
		}
		h.put("t", row)
		if rng.IntN(2) == 0 {
			row := fmt.Sprintf(`{"k":"x%d","a":%s,"n":%s}`, rng.IntN(4), null(fmt.Sprint(rng.IntN(6))), null(fmt.Sprintf("%d.%02d", rng.IntN(9), rng.IntN(100))))
			if rng.IntN(4) == 0 {
				row = "-" + row
			}
			h.put("u", row)
		}
	}
	h.settle("t")
	h.settle("u")
}

// visibleRows are the rows of a view without its hidden columns, sorted.
func visibleRows(h *harness, name string) []string {
	rel := h.rels[name]
	var rows []string
	h.eachRow(name, func(b *vec.Batch, i int) {
		var shown vec.Batch
		for c, col := range rel.Columns {
			if !col.Hidden {
				shown.Cols = append(shown.Cols, b.Cols[c])
			}
		}
		rows = append(rows, rowText(&shown, i))
	})
	slices.Sort(rows)
	return rows
}

// bounded runs a query over the tables' rows.
func (h *harness) bounded(text string) []string {
	h.t.Helper()
	p := h.planner()
	q, err := p.PlanQuery(context.Background(), h.parse(text).(*sql.Query), nil)
	require.NoError(h.t, err, text)
	it, err := bounded.Open(&bounded.Query{Env: &expr.Env{Ctx: context.Background()}, Source: h}, q.Root)
	require.NoError(h.t, err, text)
	defer it.Close()
	var rows []string
	for {
		b, err := it.Next()
		require.NoError(h.t, err, text)
		if b == nil {
			break
		}
		var shown vec.Batch
		for _, c := range q.Columns {
			shown.Cols = append(shown.Cols, b.Cols[c])
		}
		for i := range b.Len() {
			rows = append(rows, rowText(&shown, i))
		}
	}
	slices.Sort(rows)
	return rows
}

// Scan implements bounded.Source over the rows kept here.
func (h *harness) Scan(_ context.Context, s *planner.Scan, keys [][]types.Datum) (bounded.Iter, error) {
	out := &oneBatch{b: vec.NewBatch(schema(s), 16)}
	h.eachRow(s.Rel.Name, func(b *vec.Batch, i int) {
		if keys != nil && !slices.ContainsFunc(keys, func(k []types.Datum) bool { return k[0] == b.Cols[s.Rel.Key[0]].Datum(i) }) {
			return
		}
		var view vec.Batch
		for _, ord := range s.Cols {
			view.Cols = append(view.Cols, b.Cols[ord])
		}
		out.b.AppendRow(&view, i, vec.Insert)
	})
	return out, nil
}

func schema(n planner.Node) []types.Type {
	var ts []types.Type
	for _, c := range n.Props().Cols {
		ts = append(ts, c.Type)
	}
	return ts
}

type oneBatch struct {
	b    *vec.Batch
	done bool
}

func (o *oneBatch) Next() (*vec.Batch, error) {
	if o.done || o.b.Len() == 0 {
		return nil, nil
	}
	o.done = true
	return o.b, nil
}

func (o *oneBatch) Close() {}

// eachRow calls f with every row of a table kept here.
func (h *harness) eachRow(name string, f func(b *vec.Batch, i int)) {
	h.t.Helper()
	rel := h.rels[name]
	snap := h.w.state.Snapshot()
	defer func() { require.NoError(h.t, snap.Close()) }()
	for p := range rel.Partitions {
		r, ok, err := exec.NewTableReader(snap, rel, p)
		require.NoError(h.t, err)
		if !ok {
			continue
		}
		scan, err := r.Scan(exec.Bound{}, exec.Bound{})
		require.NoError(h.t, err)
		b := exec.NewRowBatch(rel, 16)
		for n := 1; n > 0; {
			n, err = scan.Next(b, 100)
			require.NoError(h.t, err)
		}
		require.NoError(h.t, scan.Close())
		for i := range b.Len() {
			f(b, i)
		}
	}
}

func TestARowThatFailsIsKeptOnceAndLeavesTheTable(t *testing.T) {
	h := newHarness(t, 2)
	h.run(`CREATE TABLE t (id INT PRIMARY KEY, x INT) WITH (topic = 't')`)
	h.run(`CREATE TABLE v AS SELECT id, 12 / x AS y FROM t`)
	h.run(`CREATE TABLE totals AS SELECT x % 4 AS k, 12 / (sum(x) - 9) AS y FROM t GROUP BY x % 4`)
	h.put("t", `{"id":1,"x":0}`, `{"id":2,"x":4}`)
	h.settle("v")
	h.settle("totals")
	require.Equal(t, []string{"2|3"}, visibleRows(h, "v"))
	require.Equal(t, []string{"0|-2"}, visibleRows(h, "totals"))
	require.Len(t, h.records(errorsTopic), 1)
	h.put("t", `{"id":1,"x":5}`, `{"id":3,"x":5}`, `{"id":2,"x":0}`)
	h.settle("v")
	h.settle("totals")
	require.Equal(t, []string{"1|2", "3|2"}, visibleRows(h, "v"))
	require.Equal(t, []string{"0|-1", "1|12"}, visibleRows(h, "totals"))
	h.put("t", `{"id":3,"x":1}`, `{"id":4,"x":1}`, `{"id":5,"x":1}`, `{"id":6,"x":1}`) // the group's sum is 9
	h.settle("v")
	h.settle("totals")
	require.Equal(t, []string{"0|-1"}, visibleRows(h, "totals"))
}
