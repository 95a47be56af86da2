package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

// lookupConns are the numbers of connections that look up at once.
var lookupConns = []int{1, 4, 16}

// lookupQuery is what each look-up runs, prepared.
const lookupQuery = "SELECT name, balance FROM bench_lookup WHERE id = $1"

var lookup = &benchmark{
	name: "lookup", what: "prepared look-ups of one row by primary key over TCP, 1, 4 and 16 connections, Go client",
	needs: needsServer,
	setup: func(ctx context.Context, r *runner, t *target) (err error) {
		c, err := t.bulkConn(ctx)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, c.Close(context.WithoutCancel(ctx))) }()
		if err := run(ctx, c, "DROP TABLE IF EXISTS bench_lookup", "CREATE TABLE bench_lookup "+accountColumns); err != nil {
			return err
		}
		return copyIn(ctx, c, "COPY bench_lookup FROM STDIN", accountRows(lookupRows), lookupRows)
	},
	run: func(ctx context.Context, r *runner, t *target) ([]Measure, error) {
		var list []Measure
		for _, n := range lookupConns {
			v, err := r.lookups(ctx, t, n)
			if err != nil {
				return nil, err
			}
			list = append(list, Measure{fmt.Sprintf("lookup/%d", n), "q/s", v})
		}
		return list, nil
	},
}

// lookups returns how many look-ups a second n connections make together.
func (r *runner) lookups(ctx context.Context, t *target, n int) (float64, error) {
	conns := make([]*pgconn.PgConn, n)
	defer func() {
		for _, c := range conns {
			if c != nil {
				_ = c.Close(context.WithoutCancel(ctx)) // nothing was written
			}
		}
	}()
	for i := range conns {
		var err error
		if conns[i], err = t.connect(ctx); err != nil {
			return 0, err
		}
		if _, err := conns[i].Prepare(ctx, "look", lookupQuery, []uint32{pgtype.Int8OID}); err != nil {
			return 0, err
		}
	}
	counts, errs := make([]int, n), make([]error, n)
	start := r.clock.Now()
	var wg sync.WaitGroup
	for i, c := range conns {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(dataSeed, uint64(i)))
			for r.clock.Since(start) < r.seconds() && ctx.Err() == nil && errs[i] == nil {
				errs[i] = lookOne(ctx, c, rnd.Int64N(lookupRows))
				counts[i]++
			}
		})
	}
	wg.Wait()
	took := r.clock.Since(start)
	total := 0
	for _, k := range counts {
		total += k
	}
	return float64(total) / took.Seconds(), errors.Join(errors.Join(errs...), ctx.Err())
}

// lookOne looks a key up and holds that it is there. It is not called off half way: watching for that would cost more than the look-up.
func lookOne(ctx context.Context, c *pgconn.PgConn, id int64) error {
	var key [8]byte
	binary.BigEndian.PutUint64(key[:], uint64(id))
	res := c.ExecPrepared(context.WithoutCancel(ctx), "look", [][]byte{key[:]}, binaryFormat, binaryFormat)
	rows := 0
	for res.NextRow() {
		rows++
	}
	if _, err := res.Close(); err != nil {
		return err
	}
	if rows != 1 {
		return fmt.Errorf("%d rows have the key %d", rows, id)
	}
	return nil
}

var binaryFormat = []int16{pgtype.BinaryFormatCode}

// pgbenchScale is the number of branches in pgbench's tables, each with 100,000 accounts.
const pgbenchScale = 1

var pgbench = &benchmark{
	name: "pgbench", what: "pgbench -S -M prepared, 1, 4 and 16 clients; needs pgbench on the PATH",
	needs: needsServer,
	setup: func(ctx context.Context, _ *runner, t *target) error {
		if !hasPgbench() {
			return errors.New("pgbench is not on the PATH")
		}
		return t.exec(ctx, "DROP TABLE IF EXISTS pgbench_branches", "DROP TABLE IF EXISTS pgbench_accounts",
			"CREATE TABLE pgbench_branches (bid int PRIMARY KEY, bbalance int, filler text)",
			"CREATE TABLE pgbench_accounts (aid int PRIMARY KEY, bid int, abalance int, filler text)",
			fmt.Sprintf("INSERT INTO pgbench_branches SELECT b, 0, '' FROM generate_series(1, %d) AS g(b)", pgbenchScale),
			fmt.Sprintf("INSERT INTO pgbench_accounts SELECT a, (a - 1) / 100000 + 1, 0, rpad('', 84) FROM generate_series(1, %d) AS g(a)", 100_000*pgbenchScale))
	},
	run: func(ctx context.Context, r *runner, t *target) ([]Measure, error) {
		var list []Measure
		for _, n := range lookupConns {
			tps, err := runPgbench(ctx, t, n, r.seconds())
			if err != nil {
				return nil, err
			}
			list = append(list, Measure{fmt.Sprintf("pgbench/%d", n), "q/s", tps})
		}
		return list, nil
	},
}

func hasPgbench() bool {
	_, err := exec.LookPath("pgbench")
	return err == nil
}

// runPgbench returns the transactions a second that pgbench reports.
func runPgbench(ctx context.Context, t *target, clients int, length time.Duration) (float64, error) {
	out, err := exec.CommandContext(ctx, "pgbench", "-n", "-S", "-M", "prepared", "-j", "1", "-c", strconv.Itoa(clients),
		"-T", strconv.Itoa(int(length.Seconds())), t.conn).CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("pgbench: %w\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		var tps float64
		if n, _ := fmt.Sscanf(line, "tps = %f", &tps); n == 1 {
			return tps, nil
		}
	}
	return 0, fmt.Errorf("pgbench told no tps:\n%s", out)
}
