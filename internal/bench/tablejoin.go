package bench

import (
	"context"
	"errors"
	"fmt"
)

// tableJoin times the look-ups alone: the query has loaded its table before the events come, and rests until they are all there.
var tableJoin = &benchmark{
	name: "table-join", what: "a persistent query looks 1,000,000 JSON records up in a table of 1,000,000 rows, in no order; 4 partitions, through an exchange by key",
	needs: needsMillrace, setup: loadAccounts,
	run: func(ctx context.Context, r *runner, t *target) (_ []Measure, err error) {
		c, err := t.connect(ctx)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, c.Close(context.WithoutCancel(ctx))) }()
		if err := run(ctx, c,
			"CREATE STREAM bench_live_lines (line text) WITH (topic = 'bench_live', value_format = 'kafka', partitions = 4)",
			`CREATE STREAM bench_live (id bigint, amount double precision) WITH (topic = 'bench_live', value_format = 'json')`,
			`CREATE STREAM bench_query AS SELECT l.id, l.amount, a.owner FROM bench_live l JOIN bench_accounts a ON l.id * 379 % 1000000 = a.id`,
			"PAUSE ALL", "SET read_wait = '600s'"); err != nil {
			return nil, err
		}
		if err := copyIn(ctx, c, "COPY bench_live_lines FROM STDIN", r.sets.eventLines(), eventRows); err != nil {
			return nil, err
		}
		found := int64(0)
		v, err := r.rate(eventRows, func() error {
			if err := run(ctx, c, "RESUME ALL"); err != nil {
				return err
			}
			found, err = count(ctx, c, "SELECT count(*) FROM bench_query")
			return err
		})
		if err == nil && found != eventRows {
			err = fmt.Errorf("table-join: %d rows instead of %d", found, eventRows)
		}
		if err != nil {
			return nil, err
		}
		return []Measure{{"table-join", "rows/s", v}}, run(ctx, c, "DROP STREAM bench_query DELETE TOPIC", "DROP STREAM bench_live", "DROP STREAM bench_live_lines DELETE TOPIC")
	},
}

// loadAccounts makes a table with a row for each event.
func loadAccounts(ctx context.Context, r *runner, t *target) error {
	if err := loadEvents(ctx, r, t); err != nil {
		return err
	}
	return t.exec(ctx, `CREATE TABLE IF NOT EXISTS bench_accounts AS SELECT id, max("user") AS owner, max(amount) AS amount FROM bench_events GROUP BY id`)
}
