package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// growthStep is how many events are measured at a time.
	growthStep = 1_000_000
	// growthKeys is how many keys there are: what is kept stays the same while what was seen grows.
	growthKeys = 1_000_000
)

// growthMarks are after how many millions of events the cost of the last one is told.
var growthMarks = []int{2, 5, 10, 20, 30, 40, 50}

var growth = &benchmark{
	name: "growth", what: "processor time a row of a stream, from COPY to a persistent count and sum over 1,000,000 keys, while the rows become more, up to --millions",
	needs: needsProcess, long: true,
	run: func(ctx context.Context, r *runner, _ *target) (_ []Measure, err error) {
		p, err := r.start(ctx, r.newDir())
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, p.stop()) }()
		c, err := (&target{name: "millrace", conn: p.conn}).connect(ctx)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, c.Close(context.WithoutCancel(ctx))) }()
		if err := run(ctx, c, "SET read_wait = '1h'", "CREATE STREAM bench_growth (k bigint KEY, v bigint)",
			"CREATE TABLE bench_grown AS SELECT k, count(*) AS n, sum(v) AS total FROM bench_growth GROUP BY k"); err != nil {
			return nil, err
		}
		var list []Measure
		for million := 1; million <= r.opts.Millions; million++ {
			cost, err := grow(ctx, c, p, (million-1)*growthStep)
			if err != nil {
				return nil, err
			}
			if slices.Contains(growthMarks, million) { // the first million warms up
				list = append(list, Measure{fmt.Sprintf("growth/%dM", million), "us/row", cost})
			}
		}
		return list, nil
	},
}

// grow adds a step of events behind the first so many, waits until they are counted, and returns the microseconds of processor time that the node took
// for each.
func grow(ctx context.Context, c *pgconn.PgConn, p *process, from int) (float64, error) {
	rnd := rand.New(rand.NewPCG(dataSeed, uint64(from)))
	var data []byte
	last := 0
	for i := range growthStep {
		last = rnd.IntN(growthKeys)
		data = fmt.Appendf(data, "%d\t%d\n", last, i%1000)
	}
	before, err := p.cpuSeconds()
	if err != nil {
		return 0, err
	}
	if err := copyIn(ctx, c, "COPY bench_growth FROM STDIN", data, growthStep); err != nil {
		return 0, err
	}
	if n, err := count(ctx, c, fmt.Sprintf("SELECT n FROM bench_grown WHERE k = %d", last)); err != nil || n < 1 {
		return 0, errors.Join(err, fmt.Errorf("key %d was counted %d times", last, n))
	}
	after, err := p.cpuSeconds()
	return (after - before) * 1e6 / growthStep, err
}
