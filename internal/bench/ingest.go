package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
)

var copyIngest = &benchmark{
	name: "copy-ingest", what: "COPY, text, 200,000 rows of five columns into an empty table with a primary key",
	needs: needsServer,
	run: func(ctx context.Context, r *runner, t *target) (_ []Measure, err error) {
		c, err := t.bulkConn(ctx)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, c.Close(context.WithoutCancel(ctx))) }()
		if err := run(ctx, c, "DROP TABLE IF EXISTS bench_copy", "CREATE TABLE bench_copy "+accountColumns); err != nil {
			return nil, err
		}
		data := r.sets.accountRows()
		v, err := r.rate(copyRows, func() error { return copyIn(ctx, c, "COPY bench_copy FROM STDIN", data, copyRows) })
		return []Measure{{"copy-ingest", "rows/s", v}}, err
	},
}

// bulkConn connects for a transaction of many rows, which Millrace keeps in memory until COMMIT.
func (t *target) bulkConn(ctx context.Context) (*pgconn.PgConn, error) {
	c, err := t.connect(ctx)
	if err != nil || t.peer {
		return c, err
	}
	return c, run(ctx, c, "SET transaction_buffer = '1GB'")
}

// copyIn sends data and holds that all rows arrived.
func copyIn(ctx context.Context, c *pgconn.PgConn, text string, data []byte, rows int64) error {
	tag, err := c.CopyFrom(ctx, bytes.NewReader(data), text)
	if err != nil {
		return fmt.Errorf("%s: %w", text, err)
	}
	if tag.RowsAffected() != rows {
		return fmt.Errorf("%s: %d rows instead of %d", text, tag.RowsAffected(), rows)
	}
	return nil
}
