package crashtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/node/nodetest"
)

// schema makes one relation of each kind, and queries that filter, window and join, one on top of another.
var schema = []string{
	`CREATE TABLE dims (id INT PRIMARY KEY, name TEXT NOT NULL)`,
	`INSERT INTO dims VALUES (0, 'zero'), (1, 'one'), (2, 'two'), (3, 'three'), (4, 'four')`,
	`CREATE TABLE copied (id BIGINT PRIMARY KEY, v INT)`,
	`CREATE STREAM events (id BIGINT, dim INT, v INT, at TIMESTAMPTZ) WITH (timestamp = 'at')`,
	`CREATE STREAM even AS SELECT id, dim, v FROM events WHERE v % 2 = 0`,
	`CREATE STREAM named AS SELECT e.id, e.v, d.name FROM even e JOIN dims d ON e.dim = d.id`,
	`CREATE TABLE minutes AS SELECT dim, windowstart AS minute, count(*) AS n, sum(v) AS total FROM events WINDOW TUMBLING (SIZE 1 MINUTE) GROUP BY dim`,
	`CREATE TABLE totals AS SELECT name, count(*) AS n, sum(v) AS total FROM named GROUP BY name`,
}

// epoch is the event time of the first row: late enough to be valid, fixed so that runs are alike.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// workload is what clients have been told.
type workload struct {
	rand *rand.Rand
	mu   struct {
		sync.Mutex
		next          int64
		acked         map[int64]bool // ids that must be there
		unknown       []statement    // statements whose outcome was not told
		copied        map[int64]bool
		unknownCopies []statement
		crashed       bool // what is told from now on was told by a node whose files no longer count
	}
}

// reporter is what a check needs of a test.
type reporter interface {
	require.TestingT
	Helper()
}

// statement is the rows of one INSERT, which are there all or not at all.
type statement []int64

func newWorkload(seed uint64) *workload {
	w := &workload{rand: rand.New(rand.NewPCG(seed, 1))}
	w.mu.acked, w.mu.copied = map[int64]bool{}, map[int64]bool{}
	return w
}

// value is the v of a row, a function of its id so that a checker can tell a wrong row.
func value(id int64) int64 { return (id*7919 + 13) % 1000 }

func (w *workload) take(n int) []int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	ids := make([]int64, n)
	for i := range ids {
		ids[i] = w.mu.next
		w.mu.next++
	}
	return ids
}

// insert runs INSERTs of one to twenty rows until ctx ends or the server is gone.
func (w *workload) insert(ctx context.Context, conn *pgx.Conn, sizes *rand.Rand) {
	for ctx.Err() == nil {
		ids := w.take(1 + sizes.IntN(20))
		_, err := conn.Exec(context.WithoutCancel(ctx), insertOf(ids))
		w.mu.Lock()
		w.toldLocked(err, ids, w.mu.acked, &w.mu.unknown)
		w.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// insertOf is the statement that writes ids into events.
func insertOf(ids statement) string {
	rows := make([]string, len(ids))
	for i, id := range ids {
		rows[i] = fmt.Sprintf("(%d, %d, %d, '%s')", id, id%5, value(id), epoch.Add(time.Duration(id)*500*time.Millisecond).Format(time.RFC3339Nano))
	}
	return "INSERT INTO events VALUES " + strings.Join(rows, ", ")
}

// toldLocked notes what a client was told of a statement.
func (w *workload) toldLocked(err error, ids statement, acked map[int64]bool, unknown *[]statement) {
	switch {
	case err == nil && !w.mu.crashed:
		for _, id := range ids {
			acked[id] = true
		}
	case err == nil || !refused(err):
		*unknown = append(*unknown, ids)
	}
}

// refused tells an error that the server gave, and that says that nothing was written, from one that says nothing.
func refused(err error) bool {
	return !slices.Contains([]string{"", "40003", "57P01"}, nodetest.Code(err))
}

// copyIn runs COPYs until ctx ends or the server is gone.
func (w *workload) copyIn(ctx context.Context, conn *pgx.Conn, sizes *rand.Rand) {
	for ctx.Err() == nil {
		ids := w.take(50 + sizes.IntN(200))
		err := copyOf(context.WithoutCancel(ctx), conn, ids)
		w.mu.Lock()
		w.toldLocked(err, ids, w.mu.copied, &w.mu.unknownCopies)
		w.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// copyOf copies ids into copied.
func copyOf(ctx context.Context, conn *pgx.Conn, ids statement) error {
	_, err := conn.CopyFrom(ctx, pgx.Identifier{"copied"}, []string{"id", "v"}, pgx.CopyFromSlice(len(ids), func(i int) ([]any, error) {
		return []any{ids[i], int32(value(ids[i]))}, nil
	}))
	return err
}

// writers are how many connections write.
const writers = 3

// connectAll makes the connections for write.
func connectAll(ctx context.Context, dial func(context.Context) (*pgx.Conn, error)) ([]*pgx.Conn, error) {
	var conns []*pgx.Conn
	for range writers {
		conn, err := dial(ctx)
		if err != nil {
			for _, c := range conns {
				_ = c.Close(context.WithoutCancel(ctx))
			}
			return nil, err
		}
		conns = append(conns, conn)
	}
	return conns, nil
}

// write writes with all connections until ctx ends. Statements that are under way then come to their end: one that goes on behind the back
// of its client would change what a check reads.
func (w *workload) write(ctx context.Context, conns []*pgx.Conn) {
	var wg sync.WaitGroup
	for i, conn := range conns {
		sizes := rand.New(rand.NewPCG(w.rand.Uint64(), uint64(i)))
		wg.Go(func() {
			defer conn.Close(context.WithoutCancel(ctx))
			if i == writers-1 {
				w.copyIn(ctx, conn, sizes)
			} else {
				w.insert(ctx, conn, sizes)
			}
		})
	}
	wg.Wait()
}

// settle decides what was unknown by what is there: each statement wholly or not at all.
func settle(t reporter, what string, have map[int64]bool, acked map[int64]bool, unknown []statement) {
	t.Helper()
	for _, ids := range unknown {
		there := 0
		for _, id := range ids {
			if have[id] {
				there++
			}
		}
		require.Contains(t, []int{0, len(ids)}, there, "%s: %d of the %d rows of one statement are there", what, there, len(ids))
		if there > 0 {
			for _, id := range ids {
				acked[id] = true
			}
		}
	}
}

// check compares everything that the node holds with what it acknowledged.
func (w *workload) check(ctx context.Context, t reporter, conn *pgx.Conn) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err := conn.Exec(ctx, "SET read_wait = '60s'")
	require.NoError(t, err)

	events := pairs(ctx, t, conn, "SELECT id, v FROM events")
	settle(t, "events", events, w.mu.acked, w.mu.unknown)
	w.mu.unknown = nil
	requireSame(t, "events", w.mu.acked, events)

	copied := pairs(ctx, t, conn, "SELECT id, v FROM copied")
	settle(t, "copied", copied, w.mu.copied, w.mu.unknownCopies)
	w.mu.unknownCopies = nil
	requireSame(t, "copied", w.mu.copied, copied)

	even := map[int64]bool{}
	for id := range w.mu.acked {
		if value(id)%2 == 0 {
			even[id] = true
		}
	}
	requireSame(t, "even", even, pairs(ctx, t, conn, "SELECT id, v FROM even"))
	requireSame(t, "named", even, pairs(ctx, t, conn, "SELECT id, v FROM named"))
	w.checkMinutes(ctx, t, conn)
	w.checkTotals(ctx, t, conn, even)
}

// pairs reads (id, v) rows: no id twice, each with its own value.
func pairs(ctx context.Context, t reporter, conn *pgx.Conn, query string) map[int64]bool {
	t.Helper()
	out := map[int64]bool{}
	for _, r := range collect[struct {
		ID int64
		V  int32
	}](ctx, t, conn, query) {
		require.False(t, out[r.ID], "%s: id %d is there twice", query, r.ID)
		require.Equal(t, value(r.ID), int64(r.V), "%s: id %d", query, r.ID)
		out[r.ID] = true
	}
	return out
}

// collect reads a query's rows into structs, again as often as it is told to.
func collect[T any](ctx context.Context, t reporter, conn *pgx.Conn, query string) []T {
	t.Helper()
	for {
		rows, err := conn.Query(ctx, query)
		require.NoError(t, err, query)
		out, err := pgx.CollectRows(rows, pgx.RowToStructByPos[T])
		if nodetest.Unchanged(err) && ctx.Err() == nil {
			continue
		}
		require.NoError(t, err, query)
		return out
	}
}

// missingSaid begins what is said of rows that were lost.
const missingSaid = "acknowledged rows are missing"

func requireSame(t reporter, what string, want, have map[int64]bool) {
	t.Helper()
	var missing, extra []int64
	for id := range want {
		if !have[id] {
			missing = append(missing, id)
		}
	}
	for id := range have {
		if !want[id] {
			extra = append(extra, id)
		}
	}
	slices.Sort(missing)
	slices.Sort(extra)
	require.Empty(t, missing, "%s: %s", what, missingSaid)
	require.Empty(t, extra, "%s: rows are there that nobody wrote", what)
}

type cell struct{ n, total int64 }

func (w *workload) checkMinutes(ctx context.Context, t reporter, conn *pgx.Conn) {
	t.Helper()
	type key struct {
		dim    int32
		minute int64
	}
	want := map[key]cell{}
	for id := range w.mu.acked {
		k := key{int32(id % 5), epoch.Add(time.Duration(id) * 500 * time.Millisecond).Truncate(time.Minute).Unix()}
		c := want[k]
		want[k] = cell{c.n + 1, c.total + value(id)}
	}
	have := map[key]cell{}
	for _, r := range collect[struct {
		Dim      int32
		Minute   time.Time
		N, Total int64
	}](ctx, t, conn, "SELECT dim, minute, n, total FROM minutes") {
		have[key{r.Dim, r.Minute.Unix()}] = cell{r.N, r.Total}
	}
	require.Equal(t, want, have, "windows")
}

func (w *workload) checkTotals(ctx context.Context, t reporter, conn *pgx.Conn, even map[int64]bool) {
	t.Helper()
	names := []string{"zero", "one", "two", "three", "four"}
	want := map[string]cell{}
	for id := range even {
		c := want[names[id%5]]
		want[names[id%5]] = cell{c.n + 1, c.total + value(id)}
	}
	have := map[string]cell{}
	for _, r := range collect[struct {
		Name     string
		N, Total int64
	}](ctx, t, conn, "SELECT name, n, total FROM totals") {
		have[r.Name] = cell{r.N, r.Total}
	}
	require.Equal(t, want, have, "aggregate on top of the join")
}

// create runs the schema.
func create(ctx context.Context, t reporter, conn *pgx.Conn) {
	t.Helper()
	for _, q := range schema {
		require.NoError(t, nodetest.Exec(ctx, conn, q), q)
	}
}
