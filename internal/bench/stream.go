package bench

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
)

var jsonFilter = &benchmark{
	name: "json-filter", what: "a persistent query keeps one in ten of 1,000,000 JSON records of a topic that is there; 4 partitions",
	needs: needsMillrace, setup: loadEvents,
	run: func(ctx context.Context, r *runner, t *target) ([]Measure, error) {
		return r.persistent(ctx, t, "json-filter",
			`CREATE STREAM bench_query AS SELECT id, "user", amount FROM bench_events WHERE status = 'failed'`,
			"SELECT count(*) FROM bench_query", eventRows/10, "DROP STREAM bench_query DELETE TOPIC")
	},
}

var tumblingCount = &benchmark{
	name: "tumbling-count", what: "a persistent query counts 1,000,000 JSON records by user and minute; 4 partitions, through an exchange by user",
	needs: needsMillrace, setup: loadEvents,
	run: func(ctx context.Context, r *runner, t *target) ([]Measure, error) {
		return r.persistent(ctx, t, "tumbling-count",
			`CREATE TABLE bench_query AS SELECT "user", windowstart AS minute, count(*) AS n FROM bench_events WINDOW TUMBLING (SIZE 1 MINUTE) GROUP BY "user"`,
			"SELECT sum(n) FROM bench_query", eventRows, "DROP TABLE bench_query DELETE TOPIC")
	},
}

// countedWindows are the windows of the benchmark windows, and how many of them a row is in.
var countedWindows = []struct {
	name, window string
	of           int64
}{
	{"tumbling", "TUMBLING (SIZE 1 MINUTE)", 1},
	{"tumbling-second", "TUMBLING (SIZE 1 SECOND)", 1},
	{"hopping-2", "HOPPING (SIZE 1 MINUTE, ADVANCE BY 30 SECONDS)", 2},
	{"hopping-6", "HOPPING (SIZE 1 MINUTE, ADVANCE BY 10 SECONDS)", 6},
	{"hopping-12", "HOPPING (SIZE 1 MINUTE, ADVANCE BY 5 SECONDS)", 12},
	{"sessions", "SESSION (3 SECONDS)", 1},
	{"short-sessions", "SESSION (100 MILLISECONDS)", 1},
}

var windows = &benchmark{
	name: "windows", what: "as tumbling-count, for windows of each kind; sessions of some 20 records and of one",
	needs: needsMillrace, setup: loadEvents,
	run: func(ctx context.Context, r *runner, t *target) (all []Measure, err error) {
		for _, w := range countedWindows {
			m, err := r.persistent(ctx, t, "windows/"+w.name,
				fmt.Sprintf(`CREATE TABLE bench_query AS SELECT "user", windowstart AS began, windowend AS ended, count(*) AS n FROM bench_events WINDOW %s GROUP BY "user"`, w.window),
				"SELECT sum(n) FROM bench_query", w.of*eventRows, "DROP TABLE bench_query DELETE TOPIC")
			if err != nil {
				return nil, err
			}
			all = append(all, m...)
		}
		return all, nil
	},
}

// loadEvents fills the topic of events once for all benchmarks that read it.
func loadEvents(ctx context.Context, r *runner, t *target) (err error) {
	c, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close(context.WithoutCancel(ctx))) }()
	if n, err := count(ctx, c, "SELECT count(*) FROM information_schema.tables WHERE table_name = 'bench_events'"); err != nil || n > 0 {
		return err
	}
	if err := run(ctx, c,
		"CREATE STREAM bench_lines (line text) WITH (topic = 'bench_events', value_format = 'kafka', partitions = 4)",
		`CREATE STREAM bench_events (id bigint, "user" text, amount double precision, status text, at timestamptz, note text)
			WITH (topic = 'bench_events', value_format = 'json', timestamp = 'at')`); err != nil {
		return err
	}
	return copyIn(ctx, c, "COPY bench_lines FROM STDIN", r.sets.eventLines(), eventRows)
}

// persistent times a CREATE that returns when the query has consumed all events and its results are committed, and checks the results. Of a node of
// the benchmark's own it also tells the processor time, until the rows of the result can be looked up.
func (r *runner) persistent(ctx context.Context, t *target, name, create, check string, want int64, drop string) (_ []Measure, err error) {
	c, err := t.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close(context.WithoutCancel(ctx))) }()
	before, err := r.processorTime()
	if err != nil {
		return nil, err
	}
	v, err := r.rate(eventRows, func() error { return run(ctx, c, create) })
	if err != nil {
		return nil, err
	}
	if n, err := count(ctx, c, check); err != nil || n != want {
		return nil, errors.Join(err, fmt.Errorf("%s: %d instead of %d", check, n, want))
	}
	all := []Measure{{name, "rows/s", v}}
	if r.node != nil {
		after, err := r.processorTime()
		if err != nil {
			return nil, err
		}
		all = append(all, Measure{name + "/cpu", "us/row", (after - before) * 1e6 / eventRows})
	}
	return all, run(ctx, c, drop)
}

// processorTime is what the node has used so far, in seconds; 0 if it is not the benchmark's own.
func (r *runner) processorTime() (float64, error) {
	if r.node == nil {
		return 0, nil
	}
	return r.node.cpuSeconds()
}

// count runs a query whose only value is a number.
func count(ctx context.Context, c *pgconn.PgConn, query string) (int64, error) {
	r := c.ExecParams(ctx, query, nil, nil, nil, nil).Read()
	if r.Err != nil {
		return 0, fmt.Errorf("%s: %w", query, r.Err)
	}
	if len(r.Rows) != 1 || len(r.Rows[0]) != 1 {
		return 0, fmt.Errorf("%s: not one value", query)
	}
	var n int64
	if _, err := fmt.Sscan(string(r.Rows[0][0]), &n); err != nil {
		return 0, fmt.Errorf("%s: %w", query, err)
	}
	return n, nil
}
