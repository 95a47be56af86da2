package bench

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/millracedb/millrace/internal/clock"
)

// idleConns is how many connections are open and do nothing.
const idleConns = 2_000

var connections = &benchmark{
	name: "connections", what: "resident memory of a node with 2,000 idle connections, each of which has prepared a look-up and run it",
	needs: needsProcess,
	run: func(ctx context.Context, r *runner, _ *target) (_ []Measure, err error) {
		p, err := r.start(ctx, r.newDir())
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, p.stop()) }()
		t := &target{name: "millrace", conn: p.conn}
		if err := t.exec(ctx, "CREATE TABLE bench_lookup "+accountColumns, "INSERT INTO bench_lookup (id, name, balance) VALUES (0, 'account 0', 0)"); err != nil {
			return nil, err
		}
		var conns []*pgconn.PgConn
		defer func() {
			for _, c := range conns {
				_ = c.Close(context.WithoutCancel(ctx)) // nothing was written
			}
		}()
		for range idleConns {
			c, err := t.connect(ctx)
			if err != nil {
				return nil, fmt.Errorf("connection %d: %w", len(conns)+1, err)
			}
			conns = append(conns, c)
			if _, err := c.Prepare(ctx, "look", lookupQuery, []uint32{pgtype.Int8OID}); err != nil {
				return nil, err
			}
			if err := lookOne(ctx, c, 0); err != nil {
				return nil, err
			}
		}
		if !clock.Wait(ctx, r.clock, idleAfter) {
			return nil, ctx.Err()
		}
		mib, err := p.residentMiB()
		return []Measure{{"connections", "MiB", mib}}, err
	},
}
