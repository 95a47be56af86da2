package oracle

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/node"
	"github.com/millracedb/millrace/internal/node/nodetest"
	"github.com/millracedb/millrace/internal/pgtest"
	"github.com/millracedb/millrace/internal/testenv"
)

const (
	defaultViews  = 50
	viewsPerWorld = 10
	batches       = 5
	// endsWithin is how long what closes at the end of a world's time may take to do so.
	endsWithin = 2 * time.Minute
)

// world is a node and a database with the same relations.
type world struct {
	t         *testing.T
	gen       *gen
	cfg       node.Config
	node      *node.Node
	mill      *pgx.Conn
	oracle    *pgx.Conn
	views     []view
	statement []string // everything run so far, for a failure's message
	compared  int      // rows of views that were equal
}

func TestRandomViewsEqualPostgreSQL(t *testing.T) {
	views := testenv.Int(t, "MILLRACE_VIEWS", defaultViews)
	seed := uint64(testenv.Int(t, "MILLRACE_SEED", 1))
	oracle := nodetest.Connect(t, pgtest.Start(t))
	for i := 0; i < views; i += viewsPerWorld {
		seed := seed + uint64(i)
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Logf("to repeat: MILLRACE_SEED=%d MILLRACE_VIEWS=%d go test ./internal/oracle", seed, viewsPerWorld)
			run(t, oracle, seed, min(viewsPerWorld, views-i))
		})
	}
}

func run(t *testing.T, oracle *pgx.Conn, seed uint64, views int) {
	w := &world{t: t, gen: newGen(rand.New(rand.NewPCG(seed, 7))), oracle: oracle}
	w.cfg = node.Config{FS: fsys.NewMem(), Partitions: pick(w.gen, int32(1), 3, 4)}
	w.open()
	defer func() { w.close() }()
	w.postgres("DROP SCHEMA public CASCADE")
	w.postgres("CREATE SCHEMA public")
	for _, b := range base {
		w.millrace(b.millrace)
		if b.postgres == "" {
			b.postgres = b.millrace
		}
		w.postgres(b.postgres)
	}
	w.postgres("CREATE TABLE ended (at timestamptz)")
	// Some views are there before the first row, the others find rows.
	w.define(views / 2)
	w.batch(0)
	w.define(views - views/2)
	w.compare(0)
	for n := 1; n < batches; n++ {
		if w.gen.one(3) {
			w.restart()
		}
		w.batch(n)
		w.compare(n)
	}
	w.end()
	t.Logf("%d rows equal", w.compared)
	require.Positive(t, w.compared, "nothing was compared")
}

func (w *world) open() {
	n, err := nodetest.Open(context.Background(), w.cfg)
	require.NoError(w.t, err)
	w.node = n
	w.mill, err = pgx.Connect(context.Background(), nodetest.ConnString(n))
	require.NoError(w.t, err)
	// No partition is left out for being idle: what closes, closes by the rows that end the world's time.
	_, err = w.mill.Exec(context.Background(), "SET read_wait = '60s'; SET idle_timeout = '1h'")
	require.NoError(w.t, err)
}

func (w *world) close() {
	require.NoError(w.t, w.mill.Close(context.Background()))
	require.NoError(w.t, w.node.Close())
}

func (w *world) restart() {
	w.statement = append(w.statement, "-- restart")
	w.close()
	w.open()
}

func (w *world) fail(format string, args ...any) {
	w.t.Helper()
	w.t.Fatalf("%s\n\n%d partitions, statements:\n%s", fmt.Sprintf(format, args...), w.cfg.Partitions, strings.Join(w.statement, ";\n"))
}

func (w *world) millrace(q string) int64 {
	w.t.Helper()
	w.statement = append(w.statement, q)
	tag, err := w.mill.PgConn().Exec(context.Background(), q).ReadAll()
	if err != nil {
		w.fail("%s: %v", q, err)
	}
	return tag[0].CommandTag.RowsAffected()
}

func (w *world) postgres(q string) int64 {
	w.t.Helper()
	tag, err := w.oracle.PgConn().Exec(context.Background(), q).ReadAll()
	if err != nil {
		w.fail("on PostgreSQL: %s: %v", q, err)
	}
	return tag[0].CommandTag.RowsAffected()
}

// both runs a change, which must touch as many rows here as there.
func (w *world) both(q string) {
	w.t.Helper()
	if want, have := w.postgres(q), w.millrace(q); want != have {
		w.fail("%s: PostgreSQL changed %d rows, Millrace %d", q, want, have)
	}
}

func (w *world) define(n int) {
	for range n {
		v := w.gen.view(fmt.Sprint("v", len(w.views)))
		w.views = append(w.views, v)
		w.postgres(v.postgres)
		w.millrace(v.millrace)
		if v.arrival != "" { // a query that begins meets the rows of before with the tables of now
			w.postgres(fmt.Sprintf(v.arrival, 0))
		}
	}
}

// batch changes tables, and then adds to the stream: a row of the stream meets the tables as they are when it arrives, and the
// comparison after it waits until it has.
func (w *world) batch(n int) {
	for range 4 + w.gen.IntN(6) {
		w.both(w.gen.change())
	}
	first := w.gen.seq
	for range w.gen.IntN(3) {
		w.both(w.gen.streamRows())
	}
	w.arrived(first)
}

// arrived tells PostgreSQL's side which rows of the stream have met the tables: those from first on.
func (w *world) arrived(first int) {
	for _, v := range w.views {
		if v.arrival != "" {
			w.postgres(fmt.Sprintf(v.arrival, first))
		}
	}
}

// end ends the time of the world, and waits until what closes then has.
func (w *world) end() {
	w.t.Helper()
	first := w.gen.seq
	for _, q := range w.gen.end(int(w.cfg.Partitions)) {
		w.both(q)
	}
	w.arrived(first)
	w.postgres(fmt.Sprintf("INSERT INTO ended VALUES ('%s')", endedAt.Format(time.RFC3339)))
	if w.gen.one(3) {
		w.restart()
	}
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for deadline := time.Now().Add(endsWithin); time.Now().Before(deadline) && !w.settled(); {
		<-again.C
	}
	w.compare(batches)
}

// settled reports whether all views are as PostgreSQL's.
func (w *world) settled() bool {
	for _, v := range w.views {
		if want, have := w.answers(v.relation); !slices.Equal(want, have) {
			return false
		}
	}
	return true
}

func (w *world) compare(batch int) {
	w.t.Helper()
	for _, b := range base {
		w.equal(b.relation, b.millrace, batch)
	}
	for _, v := range w.views {
		w.equal(v.relation, v.millrace, batch)
	}
	if rows := w.rows(w.mill, "SELECT topic, reason FROM millrace.errors"); len(rows) > 0 {
		w.fail("there are error rows: %v", rows)
	}
}

func (w *world) equal(r relation, definition string, batch int) {
	w.t.Helper()
	want, have := w.answers(r)
	if slices.Equal(want, have) {
		w.compared += len(want)
		return
	}
	w.fail("after batch %d, %s differs from PostgreSQL:\n%s\nmissing:\n%s\nwrong:\n%s", batch, r.name, definition, except(want, have), except(have, want))
}

// answers are the rows of r there and here.
func (w *world) answers(r relation) (want, have []string) {
	w.t.Helper()
	q := fmt.Sprintf("SELECT %s FROM %s", names(r.cols), r.name)
	return w.rows(w.oracle, q), w.rows(w.mill, q)
}

// rows returns the rows of a query as text, sorted.
func (w *world) rows(conn *pgx.Conn, q string) []string {
	w.t.Helper()
	rows, err := nodetest.Texts(context.Background(), conn, q)
	if err != nil {
		w.fail("%s: %v", q, err)
	}
	out := make([]string, len(rows))
	for i, r := range rows {
		out[i] = strings.Join(r, " | ")
	}
	slices.Sort(out)
	return out
}

// except is a without b, both sorted, equal rows counted.
func except(a, b []string) string {
	var out []string
	for _, x := range a {
		i, found := slices.BinarySearch(b, x)
		if !found {
			out = append(out, "  "+x)
			continue
		}
		b = slices.Delete(slices.Clone(b), i, i+1)
	}
	return strings.Join(out, "\n")
}
