package bench

import (
	"context"
	"errors"
	"time"

	"github.com/millracedb/millrace/internal/clock"
)

var ready = &benchmark{
	name: "ready", what: "from starting the process with an empty directory until the node is ready",
	needs: needsProcess,
	run: func(ctx context.Context, r *runner, _ *target) ([]Measure, error) {
		p, err := r.start(ctx, r.newDir())
		if err != nil {
			return nil, err
		}
		return []Measure{{"ready", "s", p.took.Seconds()}}, p.stop()
	},
}

var restart = &benchmark{
	name: "restart", what: "the same with 200,000 rows in a table and a view over it, after an orderly stop, and from there to the first look-up",
	needs: needsProcess,
	run: func(ctx context.Context, r *runner, _ *target) ([]Measure, error) {
		dir := r.newDir()
		if err := r.fill(ctx, dir); err != nil {
			return nil, err
		}
		began := r.clock.Now()
		p, err := r.start(ctx, dir)
		if err != nil {
			return nil, err
		}
		t := &target{name: "millrace", conn: p.conn}
		err = t.exec(ctx, "SELECT name FROM bench_restart WHERE id = 4711", "SELECT n FROM bench_view WHERE balance = 7")
		answered := r.clock.Since(began)
		return []Measure{{"restart", "s", p.took.Seconds()}, {"restart/answer", "s", answered.Seconds()}}, errors.Join(err, p.stop())
	},
}

// fill makes a node with data in dir and stops it.
func (r *runner) fill(ctx context.Context, dir string) (err error) {
	p, err := r.start(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	t := &target{name: "millrace", conn: p.conn}
	c, err := t.bulkConn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close(context.WithoutCancel(ctx))) }()
	if err := run(ctx, c, "CREATE TABLE bench_restart "+accountColumns); err != nil {
		return err
	}
	if err := copyIn(ctx, c, "COPY bench_restart FROM STDIN", r.sets.accountRows(), copyRows); err != nil {
		return err
	}
	return run(ctx, c, "CREATE TABLE bench_view AS SELECT balance % 1000 AS balance, count(*) AS n FROM bench_restart GROUP BY balance % 1000")
}

// idleAfter is how long a node is left alone before its memory is read.
const idleAfter = 5 * time.Second

var idle = &benchmark{
	name: "idle", what: "resident memory of a node with an empty directory, 5 s after it was ready",
	needs: needsProcess,
	run: func(ctx context.Context, r *runner, _ *target) ([]Measure, error) {
		p, err := r.start(ctx, r.newDir())
		if err != nil {
			return nil, err
		}
		if !clock.Wait(ctx, r.clock, idleAfter) {
			return nil, errors.Join(ctx.Err(), p.stop())
		}
		mib, err := p.residentMiB()
		return []Measure{{"idle", "MiB", mib}}, errors.Join(err, p.stop())
	},
}
