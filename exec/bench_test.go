package exec_test

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/record"
	"github.com/millracedb/millrace/sql/types"
)

// fill puts n rows into a stream (id INT KEY, city TEXT, x INT, note TEXT), in batches as a busy producer sends them.
func (h *harness) fill(name string, n int) {
	rel := h.rels[name]
	builders := make([]record.Builder, rel.Partitions)
	flush := func(p int32) {
		batch, err := builders[p].Finish(nil)
		require.NoError(h.t, err)
		_, err = h.log.Append(context.Background(), []exec.PartitionBatch{{
			TopicPartition: exec.TopicPartition{Topic: rel.Topic, Partition: p}, Batch: batch,
		}})
		require.NoError(h.t, err)
		builders[p].Reset(record.BatchOptions{})
	}
	for p := range builders {
		builders[p].Reset(record.BatchOptions{})
	}
	for i := range n {
		key := []byte{0, byte(i >> 16), byte(i >> 8), byte(i)}
		p := record.PartitionForKey(key, rel.Partitions)
		value := fmt.Sprintf(`{"city":"city-%d","x":%d,"note":"some text that nobody reads","z":[1,2]}`, i%1000, i%100)
		require.NoError(h.t, builders[p].Append(int64(i), key, []byte(value)))
		if builders[p].Len() == 1000 {
			flush(p)
		}
	}
	for p := range builders {
		if builders[p].Len() > 0 {
			flush(int32(p))
		}
	}
}

const benchRows = 200_000

// benchQuery reports the rows a second, and the processor time of a row, which says more on a busy machine.
func benchQuery(b *testing.B, name, query string) {
	var used time.Duration
	for b.Loop() {
		b.StopTimer()
		h := newHarness(b, 4)
		h.commit = exec.DefaultCommitInterval
		h.run(`CREATE STREAM s (id INT KEY, city TEXT, x INT, note TEXT) WITH (topic = 's')`)
		h.fill("s", benchRows)
		before := processorTime(b)
		b.StartTimer()
		h.run(query)
		h.settle(name)
		b.StopTimer()
		used += processorTime(b) - before
		h.w.close()
		b.StartTimer()
	}
	b.ReportMetric(float64(b.N)*benchRows/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64(used.Nanoseconds())/float64(b.N)/benchRows, "cpu-ns/row")
}

// processorTime is what the process has used so far.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkJSONFilter(b *testing.B) {
	benchQuery(b, "f", `CREATE STREAM f AS SELECT id, city, x FROM s WHERE x > 50`)
}

func BenchmarkTumblingCount(b *testing.B) {
	for _, size := range []string{"1 MINUTE", "1 SECOND"} { // windows of many rows of a key, and of one
		b.Run("size="+size, func(b *testing.B) {
			benchQuery(b, "w", fmt.Sprintf(`CREATE TABLE w AS SELECT city, windowstart AS ws, count(*) AS n FROM s
				WINDOW TUMBLING (SIZE %s) GROUP BY city EMIT CHANGES`, size))
		})
	}
}

func BenchmarkHoppingCount(b *testing.B) {
	for _, advance := range []int{30, 10, 5, 1} {
		b.Run(fmt.Sprintf("windows=%d", 60/advance), func(b *testing.B) {
			benchQuery(b, "w", fmt.Sprintf(`CREATE TABLE w AS SELECT city, windowstart AS ws, count(*) AS n FROM s
				WINDOW HOPPING (SIZE 1 MINUTE, ADVANCE BY %d SECONDS) GROUP BY city EMIT CHANGES`, advance))
		})
	}
}

func BenchmarkSessionCount(b *testing.B) {
	for _, gap := range []string{"5 SECONDS", "500 MILLISECONDS"} { // sessions of many rows, and of one
		b.Run("gap="+gap, func(b *testing.B) {
			benchQuery(b, "w", fmt.Sprintf(`CREATE TABLE w AS SELECT city, windowstart AS ws, windowend AS we, count(*) AS n FROM s
				WINDOW SESSION (%s) GROUP BY city EMIT CHANGES`, gap))
		})
	}
}

func BenchmarkBulkInsert(b *testing.B) {
	h := newHarness(b, 4)
	h.run(`CREATE TABLE t (id INT PRIMARY KEY, city TEXT, x INT)`)
	rel, ctx, next := h.rels["t"], context.Background(), int64(0)
	const rows = 10_000
	for b.Loop() {
		batch := exec.NewRowBatch(rel, rows)
		for range rows {
			batch.AppendDatums([]types.Datum{types.IntDatum(next), types.BytesDatum("some city"), types.IntDatum(next % 100)}, vec.Insert, 1000)
			next++
		}
		tx := h.w.tables.Begin(0)
		existing, err := tx.Insert(ctx, rel, batch)
		require.NoError(b, err)
		require.Empty(b, existing)
		_, err = tx.Commit(ctx)
		require.NoError(b, err)
	}
	b.ReportMetric(float64(b.N)*rows/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkTableJoin looks each row of a stream up in a table of 500,000 rows that is loaded already.
func BenchmarkTableJoin(b *testing.B) {
	const tableRows = 500_000
	for b.Loop() {
		b.StopTimer()
		h := newHarness(b, 4)
		h.run(`CREATE STREAM s (id INT KEY, city TEXT, x INT, note TEXT) WITH (topic = 's')`)
		h.run(`CREATE TABLE t (id INT PRIMARY KEY, city TEXT, x INT) WITH (topic = 't')`)
		h.fill("t", tableRows)
		h.run(`CREATE STREAM j AS SELECT s.id, s.x, t.city FROM s JOIN t ON (s.id * 379) % 500000 = t.id`)
		h.settle("j")
		b.StartTimer()
		h.fill("s", benchRows)
		h.settle("j")
		b.StopTimer()
		h.w.close()
		b.StartTimer()
	}
	b.ReportMetric(float64(b.N)*benchRows/b.Elapsed().Seconds(), "rows/s")
}
