package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
)

// What the benchmark scans reads: two tables of scanRows rows, the second of which names each row of the first once, in no order.
const (
	scanRows   = 1_000_000
	scanGroups = 1_000
	scanNames  = 100_000
)

// scanned are the queries of the benchmark scans. Each reads one table, or two, from end to end, and its answer is small, so that what is timed is the server
// and not the client.
var scanned = []struct{ name, query string }{
	{"count", "SELECT count(*) FROM bench_scan"},
	{"filter", "SELECT count(*), min(name) FROM bench_scan WHERE val < 10000 AND note IS NOT NULL"},
	{"group", "SELECT grp, count(*), sum(val) FROM bench_scan GROUP BY grp"},
	{"group-text", "SELECT count(*), max(n) FROM (SELECT name, count(*) AS n FROM bench_scan GROUP BY name) AS g"},
	{"distinct", "SELECT count(DISTINCT val) FROM bench_scan"},
	{"top", "SELECT id, val FROM bench_scan ORDER BY val, id LIMIT 10"},
	{"sort", "SELECT id, val FROM bench_scan ORDER BY val, id OFFSET 999990"},
	{"sort-text", "SELECT id FROM bench_scan ORDER BY name, id OFFSET 999990"},
	{"join", "SELECT count(*), sum(s.val + p.val) FROM bench_scan s JOIN bench_scan_pairs p ON p.scan_id = s.id"},
	{"join-group", "SELECT s.grp, count(*), sum(p.val) FROM bench_scan_pairs p JOIN bench_scan s ON s.id = p.scan_id GROUP BY s.grp"},
}

var scans = &benchmark{
	name: "scans", what: "queries that read one or two tables of 1,000,000 rows whole: count, filter, group, sort, hash join, COPY TO",
	needs: needsServer, long: true,
	setup: func(ctx context.Context, _ *runner, t *target) (err error) {
		c, err := t.bulkConn(ctx)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, c.Close(context.WithoutCancel(ctx))) }()
		if err := run(ctx, c, "DROP TABLE IF EXISTS bench_scan", "DROP TABLE IF EXISTS bench_scan_pairs",
			"CREATE TABLE bench_scan (id bigint PRIMARY KEY, grp int, val bigint, name text, note text)",
			"CREATE TABLE bench_scan_pairs (id bigint PRIMARY KEY, scan_id bigint, val bigint)"); err != nil {
			return err
		}
		rows, pairs := scanData()
		if err := copyIn(ctx, c, "COPY bench_scan FROM STDIN", rows, scanRows); err != nil {
			return err
		}
		if err := copyIn(ctx, c, "COPY bench_scan_pairs FROM STDIN", pairs, scanRows); err != nil {
			return err
		}
		if t.peer {
			return run(ctx, c, "VACUUM ANALYZE bench_scan", "VACUUM ANALYZE bench_scan_pairs")
		}
		return nil
	},
	run: func(ctx context.Context, r *runner, t *target) (list []Measure, err error) {
		c, err := t.connect(ctx)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, c.Close(context.WithoutCancel(ctx))) }()
		for _, q := range scanned {
			v, err := r.rate(scanRows, func() error { return run(ctx, c, q.query) })
			if err != nil {
				return nil, err
			}
			list = append(list, Measure{"scans/" + q.name, "rows/s", v})
		}
		v, err := r.rate(scanRows, func() error {
			var out byteCount
			_, err := c.CopyTo(ctx, &out, "COPY bench_scan TO STDOUT")
			if err == nil && out == 0 {
				err = errors.New("COPY TO gave nothing")
			}
			return err
		})
		return append(list, Measure{"scans/copy-out", "rows/s", v}), err
	},
}

// scanData returns the rows of the two tables for COPY.
func scanData() (rows, pairs []byte) {
	rnd := rand.New(rand.NewPCG(dataSeed, 3))
	for i, other := range rnd.Perm(scanRows) {
		rows = fmt.Appendf(rows, "%d\t%d\t%d\tname %d\ta note of some length\n", i, rnd.IntN(scanGroups), rnd.IntN(scanRows), rnd.IntN(scanNames))
		pairs = fmt.Appendf(pairs, "%d\t%d\t%d\n", i, other, rnd.IntN(scanRows))
	}
	return rows, pairs
}

// byteCount is a writer that counts.
type byteCount int

func (n *byteCount) Write(b []byte) (int, error) {
	*n += byteCount(len(b))
	return len(b), nil
}
