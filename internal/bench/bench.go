package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/millracedb/millrace/internal/clock"
)

// Options say what to measure and where.
type Options struct {
	// Conn is the connection string of a running node. If it is empty a node is started with Command.
	Conn string
	// Command starts a node when data directory and addresses are appended as flags of "millrace serve".
	Command []string
	// Dir is a directory for the data of the nodes that are started; its owner removes it.
	Dir string
	// Peer is the connection string of a PostgreSQL server to compare with; empty for none.
	Peer string
	// Seconds is how long a measurement at a rate or of a rate lasts, and Rounds how often each is made.
	Seconds, Rounds int
	// Millions of rows are how far the benchmark growth goes.
	Millions int
	// Names are the benchmarks to run; none means all that can run here and are not long.
	Names []string
	Clock clock.Clock
	// Log takes a line for each measurement as it is made.
	Log io.Writer
}

// Measure is one number from one measurement.
type Measure struct {
	Name  string
	Unit  string
	Value float64
}

// benchmark is a measurement. Setup, if there is one, runs once for each side before the rounds.
type benchmark struct {
	name string
	what string
	// needs says what must be there.
	needs need
	// long: it takes so long that it runs only when it is named.
	long  bool
	setup func(ctx context.Context, r *runner, t *target) error
	run   func(ctx context.Context, r *runner, t *target) ([]Measure, error)
}

type need uint8

const (
	needsServer   need = iota // any PostgreSQL server: it also runs on the peer
	needsMillrace             // a node
	needsProcess              // nodes of its own
)

// benchmarks is all there are, in the order in which they run.
var benchmarks = []*benchmark{
	ready, restart, idle, connections, manyQueries, copyIngest, lookup, pgbench, scans, jsonFilter, tumblingCount, windows, tableJoin, latency, viewLatency, growth,
}

// Names returns the names of all benchmarks with what they measure.
func Names() [][2]string {
	var list [][2]string
	for _, b := range benchmarks {
		list = append(list, [2]string{b.name, b.what})
	}
	return list
}

// target is a server under measurement.
type target struct {
	name string // "millrace" or "peer"
	conn string
	peer bool
}

func (t *target) connect(ctx context.Context) (*pgconn.PgConn, error) {
	c, err := pgconn.Connect(ctx, t.conn)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", t.name, err)
	}
	return c, nil
}

// exec runs statements on a connection of their own.
func (t *target) exec(ctx context.Context, statements ...string) (err error) {
	c, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close(context.WithoutCancel(ctx))) }()
	return run(ctx, c, statements...)
}

// run runs statements one after another.
func run(ctx context.Context, c *pgconn.PgConn, statements ...string) error {
	for _, s := range statements {
		if _, err := c.Exec(ctx, s).ReadAll(); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

type runner struct {
	opts    Options
	clock   clock.Clock
	node    *process // nil when the node is not ours
	started int      // how many data directories were used
	sets    dataSets
}

// Run makes the measurements.
func Run(ctx context.Context, opts Options) (results []Result, err error) {
	selected, err := selectNames(opts)
	if err != nil {
		return nil, err
	}
	r := &runner{opts: opts, clock: opts.Clock}
	sides := []*target{{name: "millrace", conn: opts.Conn}}
	if opts.Peer != "" {
		sides = append(sides, &target{name: "peer", conn: opts.Peer, peer: true})
	}
	defer func() {
		if r.node != nil {
			err = errors.Join(err, r.node.stop())
		}
	}()
	for _, b := range selected {
		if b.needs != needsProcess && sides[0].conn == "" {
			if r.node, err = r.start(ctx, r.newDir()); err != nil {
				return nil, err
			}
			sides[0].conn = r.node.conn
		}
		n := 1
		if b.needs == needsServer {
			n = len(sides)
		}
		list, err := r.rounds(ctx, b, sides[:n])
		if err != nil {
			return results, fmt.Errorf("%s: %w", b.name, err)
		}
		results = append(results, list...)
	}
	return results, nil
}

// selectNames returns the benchmarks to run, or an error that lists those there are.
func selectNames(opts Options) ([]*benchmark, error) {
	var selected []*benchmark
	for _, name := range opts.Names {
		i := slices.IndexFunc(benchmarks, func(b *benchmark) bool { return b.name == name })
		if i < 0 {
			var names []string
			for _, b := range benchmarks {
				names = append(names, b.name)
			}
			return nil, fmt.Errorf("no benchmark %q; allowed: %s", name, strings.Join(names, ", "))
		}
		if benchmarks[i].needs == needsProcess && opts.Conn != "" {
			return nil, fmt.Errorf("%s starts nodes of its own; leave the address of a running node out", name)
		}
		selected = append(selected, benchmarks[i])
	}
	if len(opts.Names) > 0 {
		return selected, nil
	}
	for _, b := range benchmarks {
		switch {
		case b.long, b.needs == needsProcess && opts.Conn != "":
		case b == pgbench && !hasPgbench():
		default:
			selected = append(selected, b)
		}
	}
	return selected, nil
}

// rounds sets a benchmark up and repeats it, the sides in turn; which goes first changes with the round.
func (r *runner) rounds(ctx context.Context, b *benchmark, sides []*target) ([]Result, error) {
	for _, t := range sides {
		if b.setup == nil {
			break
		}
		if err := b.setup(ctx, r, t); err != nil {
			return nil, fmt.Errorf("%s: %w", t.name, err)
		}
	}
	var results resultSet
	for round := range r.opts.Rounds {
		for i := range sides {
			t := sides[(i+round)%len(sides)]
			measures, err := b.run(ctx, r, t)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", t.name, err)
			}
			for _, m := range measures {
				fmt.Fprintf(r.opts.Log, "%-16s round %d  %-9s %-24s %s %s\n", b.name, round+1, t.name, m.Name, number(m.Value), m.Unit)
				results.add(t, m)
			}
		}
	}
	return results.list, nil
}

// seconds returns how long a measurement lasts.
func (r *runner) seconds() time.Duration { return time.Duration(r.opts.Seconds) * time.Second }

// rate times f and returns rows a second.
func (r *runner) rate(rows int, f func() error) (float64, error) {
	start := r.clock.Now()
	if err := f(); err != nil {
		return 0, err
	}
	return float64(rows) / r.clock.Since(start).Seconds(), nil
}
