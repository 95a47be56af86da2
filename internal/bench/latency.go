package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

const (
	// latencyRate is how many rows are due each second.
	latencyRate = 1_000
	// latencyWriters is how many connections insert; a row that is due when all are busy waits, and its wait counts.
	latencyWriters = 16
	// latencyWarmUp is how long rows flow before they count.
	latencyWarmUp = time.Second
	// latencyLimit is how long after the last INSERT its row may take.
	latencyLimit = 30 * time.Second
)

var latency = &benchmark{
	name: "latency", what: "1,000 INSERTs a second into a stream, each acknowledged and synced; from when a row is due until a push query has it",
	needs: needsMillrace,
	run: func(ctx context.Context, r *runner, t *target) ([]Measure, error) {
		return r.latencies(ctx, t, "latency", "bench_sent")
	},
}

var viewLatency = &benchmark{
	name: "view-latency", what: "the same, through a persistent query with a filter: the push query reads its results",
	needs: needsMillrace,
	run: func(ctx context.Context, r *runner, t *target) ([]Measure, error) {
		return r.latencies(ctx, t, "view-latency", "bench_passed")
	},
}

func (r *runner) latencies(ctx context.Context, t *target, name, read string) (_ []Measure, err error) {
	if err := t.exec(ctx, "CREATE STREAM bench_sent (seq bigint, note text)",
		"CREATE STREAM bench_passed AS SELECT seq FROM bench_sent WHERE seq >= 0"); err != nil {
		return nil, err
	}
	defer func() {
		err = errors.Join(err, t.exec(context.WithoutCancel(ctx), "DROP STREAM bench_passed DELETE TOPIC", "DROP STREAM bench_sent DELETE TOPIC"))
	}()
	s := &schedule{runner: r, target: t, start: r.clock.Now(), last: int64((latencyWarmUp + r.seconds()).Seconds() * latencyRate)}
	ms, err := s.measure(ctx, read)
	if err != nil {
		return nil, err
	}
	slices.Sort(ms)
	slices.Sort(s.lateness)
	return []Measure{
		{name + "/p50", "ms", percentile(ms, 0.5)},
		{name + "/p99", "ms", percentile(ms, 0.99)},
		{name + "/p99.9", "ms", percentile(ms, 0.999)},
		{name + "/max", "ms", ms[len(ms)-1]},
		{name + "/machine-p99", "ms", percentile(s.lateness, 0.99)},
		{name + "/machine-p99.9", "ms", percentile(s.lateness, 0.999)},
	}, nil
}

// schedule sends rows at times that are fixed beforehand: row n is due at start + n / rate whatever happened to the rows before it, and its
// latency counts from there. So a stall is seen by all rows that were due in it, not by the one that met it (coordinated omission).
type schedule struct {
	*runner
	target *target
	start  time.Time
	last   int64 // rows to send
	next   atomic.Int64
	// lateness is how late, in ms, a timer of the client woke that had nothing else to do: what the machine and its other load add by themselves.
	lateness []float64
}

func (s *schedule) due(n int64) time.Time {
	return s.start.Add(time.Duration(n) * time.Second / latencyRate)
}

// measure returns the latencies of the rows after the warm-up, in milliseconds.
func (s *schedule) measure(ctx context.Context, read string) (ms []float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, latencyWarmUp+s.seconds()+latencyLimit)
	defer cancel()
	reader, err := s.target.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closePush(ctx, reader)) }()
	if err := run(ctx, reader, "SET auto_offset_reset = 'earliest'"); err != nil {
		return nil, err
	}
	writing, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var wg sync.WaitGroup
	wg.Go(func() { s.lateness = s.watch(writing) })
	for range latencyWriters {
		wg.Go(func() {
			if err := s.write(writing); err != nil {
				fail(err)
			}
		})
	}
	ms, err = s.read(writing, reader, read)
	if err != nil {
		fail(err)
	}
	wg.Wait()
	return ms, context.Cause(writing)
}

// closePush ends a connection in the middle of a push query, which has no other end.
func closePush(ctx context.Context, c *pgconn.PgConn) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), latencyLimit)
	defer cancel()
	return errors.Join(c.CancelRequest(ctx), c.Close(ctx))
}

// watch wakes at each row's time after the warm-up and returns by how much it woke too late.
func (s *schedule) watch(ctx context.Context) (late []float64) {
	timer := s.clock.NewTimer(time.Hour)
	defer timer.Stop()
	for n := int64(latencyWarmUp.Seconds() * latencyRate); n < s.last; n++ {
		timer.Reset(s.due(n).Sub(s.clock.Now()))
		select {
		case <-timer.C():
			late = append(late, s.clock.Since(s.due(n)).Seconds()*1000)
		case <-ctx.Done():
			return late
		}
	}
	return late
}

// write takes rows as they become due and inserts them, until all are taken.
func (s *schedule) write(ctx context.Context) (err error) {
	c, err := s.target.connect(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close(context.WithoutCancel(ctx))) }()
	if _, err := c.Prepare(ctx, "send", "INSERT INTO bench_sent VALUES ($1, 'a row')", []uint32{pgtype.Int8OID}); err != nil {
		return err
	}
	timer := s.clock.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		n := s.next.Add(1) - 1
		if n >= s.last {
			return nil
		}
		timer.Reset(s.due(n).Sub(s.clock.Now()))
		select {
		case <-timer.C():
		case <-ctx.Done():
			return ctx.Err()
		}
		var seq [8]byte
		binary.BigEndian.PutUint64(seq[:], uint64(n))
		if r := c.ExecPrepared(ctx, "send", [][]byte{seq[:]}, binaryFormat, nil).Read(); r.Err != nil {
			return fmt.Errorf("INSERT: %w", r.Err)
		}
	}
}

// read reads the push query until it has each row once.
func (s *schedule) read(ctx context.Context, c *pgconn.PgConn, stream string) ([]float64, error) {
	res := c.ExecParams(ctx, "SELECT seq FROM "+stream+" EMIT CHANGES", nil, nil, nil, binaryFormat)
	warm := int64(latencyWarmUp.Seconds() * latencyRate)
	ms := make([]float64, 0, s.last-warm)
	seen := make([]bool, s.last)
	for rows := int64(0); rows < s.last; rows++ {
		if !res.NextRow() {
			_, err := res.Close()
			return nil, errors.Join(fmt.Errorf("the push query ended after %d of %d rows", rows, s.last), err)
		}
		n := int64(binary.BigEndian.Uint64(res.Values()[0]))
		if n < 0 || n >= s.last || seen[n] {
			return nil, fmt.Errorf("the push query brought row %d twice, or nobody sent it", n)
		}
		seen[n] = true
		if n >= warm {
			ms = append(ms, s.clock.Since(s.due(n)).Seconds()*1000)
		}
	}
	return ms, nil
}
