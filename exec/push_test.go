package exec_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql"
)

// push opens a push query.
func (h *harness) push(text string) *exec.PushQuery {
	h.t.Helper()
	p := h.planner()
	q, err := p.PlanQuery(context.Background(), h.parse(text).(*sql.Query), nil)
	require.NoError(h.t, err)
	q.ShowOp = true
	push, err := exec.OpenPush(context.Background(), exec.PushConfig{
		Log: h.log, State: h.w.state, Clock: &h.clock, IdleTimeout: 20 * time.Millisecond,
	}, q)
	require.NoError(h.t, err)
	h.t.Cleanup(func() { require.NoError(h.t, push.Close()) })
	return push
}

// next returns n rows of a push query as "op row", fewer at its end.
func (h *harness) next(p *exec.PushQuery, n int) []string {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	var rows []string
	for len(rows) < n {
		b, err := p.Poll(ctx)
		if errors.Is(err, io.EOF) {
			return rows
		}
		require.NoError(h.t, err)
		if b == nil {
			require.NoError(h.t, p.Wait(ctx), "rows so far: %v", rows)
			continue
		}
		for i := range b.Len() {
			rows = append(rows, b.Op(i).String()+" "+rowText(b, i))
		}
	}
	return rows
}

func (h *harness) idlePush(p *exec.PushQuery) {
	h.t.Helper()
	b, err := p.Poll(context.Background())
	require.NoError(h.t, err)
	require.Nil(h.t, b, "nothing is ready")
}

var _ planner.Catalog = (*harness)(nil)

func TestPushOverStreamShowsWhatComes(t *testing.T) {
	h := newHarness(t, 2)
	h.run(`CREATE STREAM s (id INT KEY, x INT) WITH (topic = 's')`)
	h.put("s", `{"id":1,"x":1}`)
	p := h.push(`SELECT id, x * 2 AS y FROM s WHERE x > 0 EMIT CHANGES LIMIT 3`)
	require.Equal(t, []string{"+I 1|2"}, h.next(p, 1))
	h.idlePush(p)
	h.put("s", `{"id":2,"x":0}`, `{"id":3,"x":5}`)
	require.Equal(t, []string{"+I 3|10"}, h.next(p, 1))
	h.put("s", `{"id":4,"x":1}`, `{"id":4,"x":2}`)
	require.Equal(t, []string{"+I 4|2"}, h.next(p, 9), "LIMIT ends the query")
}

func TestPushOverTableBeginsWithItsRowsAndGoesOnWithoutGap(t *testing.T) {
	h := newHarness(t, 2)
	h.run(`CREATE TABLE t (id INT PRIMARY KEY, v TEXT) WITH (topic = 't')`)
	h.put("t", `{"id":1,"v":"a"}`, `{"id":1,"v":"b"}`, `{"id":2,"v":"c"}`)
	h.settle("t")
	p := h.push(`SELECT id, v FROM t EMIT CHANGES`)
	require.ElementsMatch(t, []string{"+I 1|b", "+I 2|c"}, h.next(p, 2))
	h.put("t", `{"id":2,"v":"d"}`)
	require.Equal(t, []string{"+U 2|d"}, h.next(p, 1))
	h.put("t", `-{"id":2}`)
	require.Equal(t, []string{"-D 2|NULL"}, h.next(p, 1))
	h.idlePush(p)
}

func TestPushAggregatesUpdateInPlace(t *testing.T) {
	h := newHarness(t, 2)
	h.run(`CREATE STREAM s (id INT KEY, k TEXT, x INT) WITH (topic = 's')`)
	h.put("s", `{"id":1,"k":"a","x":1}`, `{"id":2,"k":"a","x":2}`)
	p := h.push(`SELECT k, count(*), sum(x) FROM s GROUP BY k EMIT CHANGES`)
	require.Equal(t, []string{"+I a|2|3"}, h.next(p, 1))
	h.put("s", `{"id":3,"k":"a","x":3}`)
	require.Equal(t, []string{"-U a|2|3", "+U a|3|6"}, h.next(p, 2))
}

func TestPushFinalShowsEachWindowOnce(t *testing.T) {
	h := newHarness(t, 2)
	h.run(`CREATE STREAM s (id INT KEY, _t BIGINT) WITH (topic = 's')`)
	p := h.push(`SELECT count(*) AS n FROM s WINDOW TUMBLING (SIZE 100 MILLISECONDS) GROUP BY id EMIT FINAL`)
	h.put("s", `{"id":1,"_t":1000}`, `{"id":1,"_t":1010}`, `{"id":2,"_t":1250}`)
	require.Len(t, h.next(p, 2), 2)
	h.idlePush(p)
}

func TestPushEndsAfterItsInterval(t *testing.T) {
	h := newHarness(t, 1)
	h.run(`CREATE STREAM s (id INT KEY, x INT) WITH (topic = 's')`)
	h.put("s", `{"id":1,"x":1}`)
	p := h.push(`SELECT id FROM s EMIT CHANGES FOR INTERVAL '1 hour'`)
	require.Equal(t, []string{"+I 1"}, h.next(p, 1))
	h.idlePush(p)
	h.clock.forward(time.Hour)
	require.Empty(t, h.next(p, 1))
	p = h.push(`SELECT id FROM s WHERE x > 1 EMIT CHANGES FOR INTERVAL '50 ms'`)
	require.Empty(t, h.next(p, 1), "who waits for a row is told of the end")
}

func TestPushOverATableTellsNewRowsFromChangedOnes(t *testing.T) {
	h := newHarness(t, 1)
	h.run(`CREATE TABLE t (id INT PRIMARY KEY, v INT) WITH (topic = 't')`)
	h.put("t", `{"id":1,"v":1}`, `{"id":2,"v":-2}`)
	require.Equal(t, []string{"1|1", "2|-2"}, h.table("t"))
	p := h.push(`SELECT id, v FROM t WHERE v > 0 EMIT CHANGES`)
	require.Equal(t, []string{"+I 1|1"}, h.next(p, 1))
	h.put("t", `{"id":2,"v":2}`, `{"id":1,"v":10}`, `-{"id":2}`, `{"id":3,"v":-3}`, `-{"id":3}`, `{"id":1,"v":-1}`, `{"id":1,"v":1}`, `{"id":2,"v":5}`)
	require.Equal(t, []string{"+I 2|2", "+U 1|10", "-D 2|NULL", "-D 1|-1", "+I 1|1", "+I 2|5"}, h.next(p, 6), "rows that never were in the result are not deleted from it")
}
