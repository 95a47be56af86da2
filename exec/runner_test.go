package exec_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFilterAndProjectWriteAStream(t *testing.T) {
	h := newHarness(t, 4)
	h.run(`CREATE STREAM s (id INT KEY, x INT, name TEXT) WITH (topic = 's', partitions = 4)`)
	h.run(`CREATE STREAM big AS SELECT id, x + 1 AS y, name FROM s WHERE x > 10`)
	h.put("s", `{"id":1,"x":5,"name":"a"}`, `{"id":2,"x":50,"name":"b"}`, `{"id":3,"x":11,"name":"c"}`)
	h.settle("big")
	require.ElementsMatch(t, []string{`{"y":51,"name":"b"}`, `{"y":12,"name":"c"}`}, h.records("big"))
}

func TestCountByGroupFollowsItsSource(t *testing.T) {
	for _, parts := range []int32{1, 4} {
		h := newHarness(t, parts)
		h.run(`CREATE STREAM s (id INT KEY, city TEXT, x INT) WITH (topic = 's')`)
		h.run(`CREATE TABLE c AS SELECT city, count(*) AS n, sum(x) AS total FROM s GROUP BY city`)
		h.put("s", `{"id":1,"city":"a","x":1}`, `{"id":2,"city":"b","x":2}`, `{"id":3,"city":"a","x":3}`)
		require.Equal(t, []string{"a|2|4", "b|1|2"}, h.table("c"))
		h.put("s", `{"id":1,"city":"b","x":10}`)
		require.Equal(t, []string{"a|2|4", "b|2|12"}, h.table("c"))
	}
}

func TestStreamJoinsTableAsOfItsArrival(t *testing.T) {
	for _, parts := range []int32{1, 3} {
		h := newHarness(t, parts)
		h.run(`CREATE STREAM orders (id INT KEY, city TEXT, x INT) WITH (topic = 'orders')`)
		h.run(`CREATE TABLE cities (city TEXT PRIMARY KEY, state TEXT) WITH (topic = 'cities')`)
		h.run(`CREATE STREAM o AS SELECT o.id, o.x, c.state FROM orders o LEFT JOIN cities c ON o.city = c.city`)
		h.put("cities", `{"city":"a","state":"A"}`)
		h.put("orders", `{"id":1,"city":"a","x":1}`, `{"id":2,"city":"b","x":2}`)
		h.settle("o")
		h.put("cities", `{"city":"b","state":"B"}`, `-{"city":"a"}`)
		h.settle("o")
		h.put("orders", `{"id":3,"city":"a","x":3}`, `{"id":4,"city":"b","x":4}`, `{"id":5,"x":5}`)
		h.settle("o")
		require.ElementsMatch(t, []string{
			`{"x":1,"state":"A"}`, `{"x":2,"state":null}`, `{"x":3,"state":null}`, `{"x":4,"state":"B"}`, `{"x":5,"state":null}`,
		}, h.records("o"), "parts %d", parts)
	}
}

func TestTableJoinsTable(t *testing.T) {
	for _, kind := range []string{"INNER", "LEFT", "RIGHT", "FULL"} {
		for _, parts := range []int32{1, 3} {
			h := newHarness(t, parts)
			h.run(`CREATE TABLE l (id INT PRIMARY KEY, k TEXT) WITH (topic = 'l')`)
			h.run(`CREATE TABLE r (k TEXT PRIMARY KEY, v INT) WITH (topic = 'r')`)
			h.run(`CREATE TABLE j AS SELECT l.id, l.k AS lk, r.k AS rk, r.v FROM l ` + kind + ` JOIN r ON l.k = r.k`)
			has := func(when string, rows ...string) {
				t.Helper()
				require.ElementsMatch(t, rows, visible(h, "j"), "%s join, %d partitions, %s", kind, parts, when)
			}
			outer := func(k string, row string) []string {
				if kind == "FULL" || kind == k {
					return []string{row}
				}
				return nil
			}
			h.put("l", `{"id":1,"k":"a"}`, `{"id":2,"k":"b"}`, `{"id":3,"k":"a"}`)
			h.put("r", `{"k":"a","v":10}`, `{"k":"c","v":30}`)
			has("at first", append(append([]string{"1|a|a|10", "3|a|a|10"}, outer("LEFT", "2|b|NULL|NULL")...), outer("RIGHT", "NULL|NULL|c|30")...)...)
			h.put("r", `{"k":"b","v":20}`, `{"k":"a","v":11}`, `-{"k":"c"}`)
			has("after changes of r", "1|a|a|11", "3|a|a|11", "2|b|b|20")
			h.put("l", `{"id":1,"k":"b"}`, `-{"id":3}`)
			has("after changes of l", append([]string{"1|b|b|20", "2|b|b|20"}, outer("RIGHT", "NULL|NULL|a|11")...)...)
			h.put("r", `-{"k":"b"}`)
			has("after a delete in r", append(append(outer("LEFT", "1|b|NULL|NULL"), outer("LEFT", "2|b|NULL|NULL")...), outer("RIGHT", "NULL|NULL|a|11")...)...)
		}
	}
}

func TestViewOnViewRetracts(t *testing.T) {
	h := newHarness(t, 2)
	h.run(`CREATE TABLE p (id INT PRIMARY KEY, team TEXT, score INT) WITH (topic = 'p')`)
	h.run(`CREATE TABLE teams AS SELECT team, count(*) AS n, sum(score) AS s, min(score) AS lo, max(score) AS hi FROM p GROUP BY team`)
	h.run(`CREATE TABLE sizes AS SELECT n, count(*) AS teams FROM teams GROUP BY n`)
	h.put("p", `{"id":1,"team":"a","score":1}`, `{"id":2,"team":"a","score":5}`, `{"id":3,"team":"b","score":3}`)
	require.Equal(t, []string{"a|2|6|1|5", "b|1|3|3|3"}, h.table("teams"))
	require.Equal(t, []string{"1|1", "2|1"}, h.table("sizes"))
	h.put("p", `{"id":2,"team":"b","score":7}`)
	require.Equal(t, []string{"a|1|1|1|1", "b|2|10|3|7"}, h.table("teams"))
	h.put("p", `-{"id":1}`, `{"id":2,"team":"b","score":1}`)
	require.Equal(t, []string{"b|2|4|1|3"}, h.table("teams"))
	require.Equal(t, []string{"2|1"}, h.table("sizes"))
}

func TestTumblingWindowCountsAndKeepsLateRows(t *testing.T) {
	for _, parts := range []int32{1, 3} {
		h := newHarness(t, parts)
		h.run(`CREATE STREAM s (id INT KEY, city TEXT, _t BIGINT) WITH (topic = 's')`)
		h.run(`CREATE TABLE w AS SELECT city, windowstart AS ws, count(*) AS n FROM s WINDOW TUMBLING (SIZE 1 MINUTE, GRACE PERIOD 10 SECONDS) GROUP BY city EMIT CHANGES`)
		h.put("s", `{"id":1,"city":"a","_t":1000}`, `{"id":1,"city":"a","_t":59999}`, `{"id":1,"city":"a","_t":60000}`, `{"id":1,"city":"a","_t":2000}`)
		require.Equal(t, 2, len(h.table("w")), "%v", h.table("w"))
		h.eventually("the row after grace is kept as an error", func() bool {
			h.put("s", `{"id":1,"city":"a","_t":600000}`, `{"id":1,"city":"a","_t":3000}`)
			h.settle("w")
			return len(h.records(errorsTopic)) > 0
		})
		require.Contains(t, h.records(errorsTopic)[0], `"kind":"late"`)
	}
}

func TestFinalWindowClosesOnceByTheWallClockWhenAllIsIdle(t *testing.T) {
	h := newHarness(t, 2)
	h.run(`CREATE STREAM s (id INT KEY, city TEXT, _t BIGINT) WITH (topic = 's')`)
	h.run(`CREATE TABLE w AS SELECT city, count(*) AS n FROM s WINDOW TUMBLING (SIZE 100 MILLISECONDS) GROUP BY city EMIT FINAL`)
	h.put("s", `{"id":1,"city":"a","_t":1000}`, `{"id":2,"city":"a","_t":1010}`, `{"id":3,"city":"b","_t":1250}`)
	h.eventually("both windows close", func() bool { return len(h.records("w")) >= 2 })
	h.put("s", `{"id":1,"city":"a","_t":5000}`)
	h.eventually("the last window closes", func() bool { return len(h.records("w")) >= 3 })
	require.Len(t, h.records("w"), 3, "no window twice")
}

func TestRowsThatFailAreKept(t *testing.T) {
	h := newHarness(t, 1)
	h.run(`CREATE STREAM s (id INT KEY, x INT) WITH (topic = 's')`)
	h.run(`CREATE STREAM d AS SELECT id, 10 / x AS q FROM s`)
	h.put("s", `{"id":1,"x":5}`, `{"id":2,"x":0}`)
	h.append(h.rels["s"], []byte{0, 0, 0, 3}, []byte(`{"x":"many"}`), 1)
	h.put("s", `{"id":4,"x":2}`)
	h.settle("d")
	require.Equal(t, []string{`{"q":2}`, `{"q":5}`}, h.records("d"))
	errs := h.records(errorsTopic)
	require.Len(t, errs, 2)
	require.Contains(t, errs[0], "22012")
	require.Contains(t, errs[0], `"offset":1`)
	require.Contains(t, errs[1], `"payload":"{\"x\":\"many\"}"`)
}

// visible are a table's rows without hidden columns.
func visible(h *harness, name string) []string { return h.table(name) }

func TestStreamReadTwiceIsCommittedAtOnePosition(t *testing.T) {
	h := newHarness(t, 2)
	h.run(`CREATE TABLE t (id INT PRIMARY KEY, k TEXT) WITH (topic = 't')`)
	h.run(`CREATE TABLE pairs AS SELECT a.id AS x, b.id AS y FROM t a JOIN t b ON a.k = b.k`)
	for round := range 3 {
		h.put("t", `{"id":1,"k":"p"}`, `{"id":2,"k":"p"}`, `{"id":3,"k":"q"}`)
		require.Len(t, h.table("pairs"), 5, "round %d", round)
		h.put("t", `{"id":2,"k":"q"}`)
		require.Len(t, h.table("pairs"), 5, "round %d", round)
		h.restart(round == 0)
	}
}
