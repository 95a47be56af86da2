package bench

import (
	"context"
	"errors"
	"fmt"

	"github.com/millracedb/millrace/internal/clock"
)

const (
	// smallQueries is how many persistent queries run at once; every second one keeps state.
	smallQueries = 500
	// smallRows is how many rows each of them has consumed.
	smallRows = 1_000
)

var manyQueries = &benchmark{
	name: "queries", what: "resident memory of a node with 500 persistent queries over a stream, half filters and half counts by key, 4 partitions each, after 1,000 rows",
	needs: needsProcess, long: true,
	run: func(ctx context.Context, r *runner, _ *target) (_ []Measure, err error) {
		p, err := r.start(ctx, r.newDir())
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, p.stop()) }()
		t := &target{name: "millrace", conn: p.conn}
		c, err := t.connect(ctx)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, c.Close(context.WithoutCancel(ctx))) }()
		if err := run(ctx, c, "CREATE STREAM bench_small (k bigint KEY, v bigint)"); err != nil {
			return nil, err
		}
		made, err := r.rate(smallQueries, func() error {
			for i := range smallQueries / 2 {
				if err := run(ctx, c, fmt.Sprintf("CREATE STREAM bench_kept_%d AS SELECT k, v FROM bench_small WHERE v %% 10 = %d", i, i%10),
					fmt.Sprintf("CREATE TABLE bench_count_%d AS SELECT k, count(*) AS n FROM bench_small WHERE v > %d GROUP BY k", i, -i-1)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		insert := fmt.Sprintf("INSERT INTO bench_small SELECT i %% 100, i FROM generate_series(1, %d) AS g(i)", smallRows)
		took, err := r.rate(1, func() error {
			if err := run(ctx, c, insert); err != nil {
				return err
			}
			for _, i := range []int{0, smallQueries/2 - 1} {
				if n, err := count(ctx, c, fmt.Sprintf("SELECT sum(n) FROM bench_count_%d", i)); err != nil || n != smallRows {
					return errors.Join(err, fmt.Errorf("bench_count_%d has %d of %d rows", i, n, smallRows))
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if !clock.Wait(ctx, r.clock, idleAfter) {
			return nil, ctx.Err()
		}
		mib, err := p.residentMiB()
		return []Measure{{"queries", "MiB", mib}, {"queries/made", "queries/s", made}, {"queries/answer", "s", 1 / took}}, err
	},
}
