package nodes

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// events writes into a stream and into a table, while queries filter, join, window and aggregate, one on top of another.
type events struct {
	w  *world
	mu struct {
		sync.Mutex
		events, kept *rowLog
	}
}

func newEvents(w *world) client {
	e := &events{w: w}
	e.mu.events, e.mu.kept = newRowLog(), newRowLog()
	return e
}

// dimNames are the rows of dims.
var dimNames = []string{"zero", "one", "two", "three", "four"}

// eventEpoch is the event time of the first row: the day before bubbles begin, for rows of a future that is an hour away, by the clock of any node, are errors.
var eventEpoch = time.Date(1999, 12, 31, 0, 0, 0, 0, time.UTC)

// valueOf is the v of a row: a wrong row can be told by it.
func valueOf(id int64) int64       { return (id*7919 + 13) % 1000 }
func dimOf(id int64) int64         { return id % int64(len(dimNames)) }
func eventTime(id int64) time.Time { return eventEpoch.Add(time.Duration(id) * 500 * time.Millisecond) }

func (e *events) prepare(ctx context.Context) error {
	dims := make([]string, len(dimNames))
	for i, name := range dimNames {
		dims[i] = fmt.Sprintf("(%d, '%s')", i, name)
	}
	return e.w.prepareSQL(
		ctx,
		`CREATE TABLE dims (id INT PRIMARY KEY, name TEXT NOT NULL)`,
		`INSERT INTO dims VALUES `+strings.Join(dims, ", "),
		`CREATE TABLE kept (id BIGINT PRIMARY KEY, v INT)`,
		`CREATE STREAM events (id BIGINT, dim INT, v INT, at TIMESTAMPTZ) WITH (timestamp = 'at')`,
		`CREATE STREAM even AS SELECT id, dim, v FROM events WHERE v % 2 = 0`,
		`CREATE STREAM named AS SELECT e.id, e.v, d.name FROM even e JOIN dims d ON e.dim = d.id`,
		`CREATE TABLE minutes AS SELECT dim, windowstart AS minute, count(*) AS n, sum(v) AS total FROM events WINDOW TUMBLING (SIZE 1 MINUTE) GROUP BY dim`,
		`CREATE TABLE totals AS SELECT name, count(*) AS n, sum(v) AS total FROM named GROUP BY name`,
	)
}

func (e *events) run(ctx context.Context, rng *rand.Rand) {
	var wg sync.WaitGroup
	for i := range 2 {
		own := rand.New(rand.NewPCG(rng.Uint64(), uint64(i)))
		wg.Go(func() { e.insert(ctx, own) })
	}
	own := rand.New(rand.NewPCG(rng.Uint64(), 0))
	wg.Go(func() { e.fill(ctx, own) })
	wg.Wait()
}

// insert runs INSERTs, and looks now and then at what its rows have made of a view.
func (e *events) insert(ctx context.Context, rng *rand.Rand) {
	s := &session{w: e.w, rng: rng}
	defer s.close()
	for pause(ctx, between(rng, 0, 200*time.Millisecond)) {
		e.mu.Lock()
		ids := e.mu.events.take(1 + rng.IntN(5))
		e.mu.Unlock()
		rows := make([]string, len(ids))
		for i, id := range ids {
			rows[i] = fmt.Sprintf("(%d, %d, %d, '%s')", id, dimOf(id), valueOf(id), eventTime(id).Format(time.RFC3339Nano))
		}
		err := s.exec(ctx, "INSERT INTO events VALUES "+strings.Join(rows, ", "))
		e.w.trace.printf("events %v: %v", ids, err)
		e.mu.Lock()
		e.mu.events.told(ids, err)
		e.mu.Unlock()
		if rng.IntN(4) == 0 {
			s.close() // the next one may be on another node
			e.look(ctx, s)
		}
	}
}

// look holds that a read has what was acknowledged before it began.
func (e *events) look(ctx context.Context, s *session) {
	dim := s.rng.Int64N(int64(len(dimNames)))
	want := e.counted()[dimNames[dim]]
	var have int64
	err := s.do(ctx, func(ctx context.Context, c *pgx.Conn) error {
		return c.QueryRow(ctx, fmt.Sprintf("SELECT coalesce(sum(n), 0)::bigint FROM totals WHERE name = '%s'", dimNames[dim])).Scan(&have)
	})
	e.w.trace.printf("totals of %s: %d, acknowledged %d: %v", dimNames[dim], have, want.n, err)
	if err == nil && have < want.n {
		e.w.violate("a read of totals counts %d rows of %s, and %d were acknowledged before it", have, dimNames[dim], want.n)
	}
}

// counted are the totals of the rows that are acknowledged.
func (e *events) counted() map[string]cell {
	e.mu.Lock()
	defer e.mu.Unlock()
	return totalsOf(e.mu.events.acked)
}

// fill runs INSERTs of many rows into the table.
func (e *events) fill(ctx context.Context, rng *rand.Rand) {
	s := &session{w: e.w, rng: rng}
	defer s.close()
	for pause(ctx, between(rng, 0, time.Second)) {
		e.mu.Lock()
		ids := e.mu.kept.take(20 + rng.IntN(50))
		e.mu.Unlock()
		rows := make([]string, len(ids))
		for i, id := range ids {
			rows[i] = fmt.Sprintf("(%d, %d)", id, valueOf(id))
		}
		err := s.exec(ctx, "INSERT INTO kept VALUES "+strings.Join(rows, ", "))
		e.w.trace.printf("kept %d to %d: %v", ids[0], ids[len(ids)-1], err)
		e.mu.Lock()
		e.mu.kept.told(ids, err)
		e.mu.Unlock()
	}
}

func (e *events) acknowledged() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.mu.events.acked)
}

// cell is a row of an aggregate.
type cell struct{ n, total int64 }

func (c cell) add(v int64) cell { return cell{c.n + 1, c.total + v} }

// even are those rows that the view of that name keeps.
func evenOf(ids map[int64]bool) map[int64]bool {
	out := map[int64]bool{}
	for id := range ids {
		if valueOf(id)%2 == 0 {
			out[id] = true
		}
	}
	return out
}

// totalsOf and minutesOf are what the views of these names hold over the rows.
func totalsOf(ids map[int64]bool) map[string]cell {
	out := map[string]cell{}
	for id := range evenOf(ids) {
		name := dimNames[dimOf(id)]
		out[name] = out[name].add(valueOf(id))
	}
	return out
}

func minutesOf(ids map[int64]bool) map[string]cell {
	out := map[string]cell{}
	for id := range ids {
		k := minuteKey(dimOf(id), eventTime(id).Truncate(time.Minute))
		out[k] = out[k].add(valueOf(id))
	}
	return out
}

func minuteKey(dim int64, at time.Time) string {
	return fmt.Sprintf("%d at %s", dim, at.UTC().Format(time.TimeOnly))
}

func (e *events) check(ctx context.Context) error {
	e.mu.Lock()
	logs := map[string]*rowLog{"events": e.mu.events, "kept": e.mu.kept}
	e.mu.Unlock()
	counts := map[string]map[int64]bool{}
	for _, name := range []string{"events", "kept"} {
		have, err := e.w.rowsOf(ctx, name)
		if err != nil {
			return err
		}
		var wrong []string
		counts[name], wrong = logs[name].compare(have)
		e.w.violateAll(name, wrong)
	}
	for _, name := range []string{"even", "named"} {
		have, err := e.w.rowsOf(ctx, name)
		if err != nil {
			return err
		}
		e.w.violateAll(name, differ(evenOf(counts["events"]), have))
	}
	totals, err := e.w.cells(ctx, "SELECT name, n, total FROM totals", func(rows pgx.Rows, c *cell) (name string, err error) {
		return name, rows.Scan(&name, &c.n, &c.total)
	})
	if err != nil {
		return err
	}
	e.w.violateAll("totals", differCells(totalsOf(counts["events"]), totals))
	minutes, err := e.w.cells(ctx, "SELECT dim, minute, n, total FROM minutes", func(rows pgx.Rows, c *cell) (string, error) {
		var dim int64
		var at time.Time
		err := rows.Scan(&dim, &at, &c.n, &c.total)
		return minuteKey(dim, at), err
	})
	if err != nil {
		return err
	}
	e.w.violateAll("minutes", differCells(minutesOf(counts["events"]), minutes))
	return nil
}

// rowsOf reads the rows of a relation of ids and their values: how often each id is there. A wrong value is a violation.
func (w *world) rowsOf(ctx context.Context, relation string) (map[int64]int, error) {
	var have map[int64]int
	err := w.read(ctx, "SELECT id, v FROM "+relation, func() { have = map[int64]int{} }, func(rows pgx.Rows) error {
		var id, v int64
		err := rows.Scan(&id, &v)
		have[id]++
		if err == nil && v != valueOf(id) {
			w.violate("%s: row %d has the value %d", relation, id, v)
		}
		return err
	})
	return have, err
}

// cells reads the rows of an aggregate.
func (w *world) cells(ctx context.Context, sql string, scan func(pgx.Rows, *cell) (string, error)) (map[string]cell, error) {
	var have map[string]cell
	err := w.read(ctx, sql, func() { have = map[string]cell{} }, func(rows pgx.Rows) error {
		var c cell
		key, err := scan(rows, &c)
		have[key] = c
		return err
	})
	return have, err
}

func differCells(want, have map[string]cell) (wrong []string) {
	if reflect.DeepEqual(want, have) {
		return nil
	}
	for k, c := range want {
		if have[k] != c {
			wrong = append(wrong, fmt.Sprintf("%s: %+v, and the rows that were acknowledged give %+v", k, have[k], c))
		}
	}
	for k, c := range have {
		if _, ok := want[k]; !ok {
			wrong = append(wrong, fmt.Sprintf("%s: %+v, and no acknowledged row gives that", k, c))
		}
	}
	return wrong
}
