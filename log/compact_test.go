package log

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/record"
)

// tableOf reads the log below upTo as a read_committed consumer that keeps the last value of each key.
func tableOf(t require.TestingT, l *Log, upTo int64) map[string]string {
	aborted, err := l.AbortedTransactions(l.LogStart(), upTo)
	require.NoError(t, err)
	var data []byte
	for offset := l.LogStart(); offset < upTo; {
		c, err := l.Read(offset, 1000, upTo)
		require.NoError(t, err)
		if c.Len() == 0 {
			break
		}
		from := len(data)
		data, err = c.AppendTo(data)
		require.NoError(t, err)
		c.Release()
		for rest := data[from:]; len(rest) > 0; {
			h, _, after, err := record.Next(rest)
			require.NoError(t, err)
			offset, rest = h.LastOffset()+1, after
		}
	}
	table := make(map[string]string)
	var r record.CommittedReader
	var it record.Iterator
	r.Reset(data, aborted)
	for {
		_, frame, ok, err := r.Next()
		require.NoError(t, err)
		if !ok {
			return table
		}
		for _ = it.Reset(frame); it.Next(); {
			if it.Record.Value == nil {
				delete(table, string(it.Record.Key))
			} else {
				table[string(it.Record.Key)] = string(it.Record.Value)
			}
		}
		require.NoError(t, it.Err())
	}
}

// modelBatch is what was appended at an offset, by a transaction or not.
type modelBatch struct {
	offset int64
	writes []modelWrite
	txn    *modelTxn
}

type modelWrite struct {
	key   string
	value []byte // nil is a delete
}

type modelTxn struct{ committed bool }

// compactModel is a compacted log beside a list of all that was appended to it.
type compactModel struct {
	fs      *fsys.Mem
	opts    Options
	clock   *fixedClock
	log     *Log
	batches []modelBatch
	open    map[int64]*modelTxn
	seq     map[int64]int32
	n       int
	rng     *rand.Rand
}

// table is what a read_committed consumer makes of the batches below upTo.
func (m *compactModel) table(upTo int64) map[string]string {
	table := make(map[string]string)
	for _, b := range m.batches {
		if b.offset >= upTo || b.txn != nil && !b.txn.committed {
			continue
		}
		for _, w := range b.writes {
			if w.value == nil {
				delete(table, w.key)
			} else {
				table[w.key] = string(w.value)
			}
		}
	}
	return table
}

func (m *compactModel) append(t *rapid.T, opts record.BatchOptions, txn *modelTxn) int32 {
	var b record.Builder
	b.Reset(opts)
	var writes []modelWrite
	for range rapid.IntRange(1, 3).Draw(t, "records") {
		m.n++
		w := modelWrite{key: rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(t, "key")}
		if rapid.IntRange(0, 3).Draw(t, "kind") > 0 {
			w.value = fmt.Appendf(nil, "v%d", m.n)
		}
		writes = append(writes, w)
		require.NoError(t, b.Append(m.clock.now.UnixMilli(), []byte(w.key), w.value))
	}
	frame, err := b.Finish(nil)
	require.NoError(t, err)
	res, err := m.log.Append(frame, AppendInfo{})
	require.NoError(t, err)
	m.batches = append(m.batches, modelBatch{res.BaseOffset, writes, txn})
	m.advance(t)
	return int32(len(writes))
}

func (m *compactModel) advance(t require.TestingT) {
	require.NoError(t, m.log.WaitDurable(context.Background(), m.log.LEO()))
	m.log.SetHighWatermark(m.log.LEO())
}

func (m *compactModel) Put(t *rapid.T) { m.append(t, record.BatchOptions{}, nil) }

func (m *compactModel) PutInTxn(t *rapid.T) {
	pid := rapid.Int64Range(1, 3).Draw(t, "producer")
	if m.open[pid] == nil {
		m.open[pid] = &modelTxn{}
	}
	m.seq[pid] += m.append(t, record.BatchOptions{Idempotent: true, Transactional: true, ProducerID: pid, BaseSequence: m.seq[pid]}, m.open[pid])
}

func (m *compactModel) EndTxn(t *rapid.T) {
	m.end(t, rapid.Int64Range(1, 3).Draw(t, "producer"), rapid.Bool().Draw(t, "commit"))
}

func (m *compactModel) end(t require.TestingT, pid int64, commit bool) {
	frame := record.AppendControl(nil, record.Marker{ProducerID: pid, Commit: commit}, m.clock.now.UnixMilli())
	_, err := m.log.Append(frame, AppendInfo{Origin: Coordinator})
	require.NoError(t, err)
	m.advance(t)
	if txn := m.open[pid]; txn != nil {
		txn.committed = commit
	}
	delete(m.open, pid)
}

func (m *compactModel) Roll(t *rapid.T) { require.NoError(t, m.log.Roll()) }

func (m *compactModel) Compact(t *rapid.T) {
	_, err := m.log.Compact(context.Background())
	require.NoError(t, err)
}

func (m *compactModel) Wait(*rapid.T) { m.clock.now = m.clock.now.Add(time.Hour) }

func (m *compactModel) Reopen(t *rapid.T) {
	require.NoError(t, m.log.Close())
	m.reopen(t, true)
}

// Crash may lose nothing: every append has been waited for.
func (m *compactModel) Crash(t *rapid.T) {
	percent := rapid.SampledFrom([]int{0, 50, 100}).Draw(t, "unsynced")
	crashed := m.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: m.rng})
	require.NoError(t, m.log.Close())
	m.fs = crashed
	m.reopen(t, false)
}

func (m *compactModel) reopen(t require.TestingT, clean bool) {
	point, cleanPoint := int64(0), int64(0)
	if m.log != nil {
		point, cleanPoint = m.log.RecoveryPoint(), m.log.CleanPoint()
	}
	m.opts.FS, m.opts.Clean, m.opts.RecoveryPoint, m.opts.CleanPoint = m.fs, clean, point, cleanPoint
	m.opts.Sync = NewSyncService(m.fs, "/data", nil)
	l, err := Open(m.opts)
	require.NoError(t, err)
	if d := l.Damage(); d != nil {
		names, _ := m.fs.List(testDir)
		require.Fail(t, "damaged", "%v clean %t point %d files %v", d, clean, point, names)
	}
	m.log = l
	l.SetHighWatermark(l.LEO())
}

// Check is run after every step.
func (m *compactModel) Check(t *rapid.T) {
	stable := m.log.LastStableOffset(m.log.HighWatermark())
	require.Equal(t, m.table(stable), tableOf(t, m.log, stable))
}

// TestCompactionKeepsTheTable runs random writes, transactions, passes, stops and crashes, and compares what a consumer makes
// of the log with what was written.
func TestCompactionKeepsTheTable(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &compactModel{
			fs: fsys.NewMem(), clock: &fixedClock{clock.Real, time.UnixMilli(1_000_000)},
			open: make(map[int64]*modelTxn), seq: make(map[int64]int32), rng: rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 2)),
		}
		m.opts = testOptions(t, m.fs)
		m.opts.Clock = m.clock
		m.opts.Config = Config{Compact: true, TombstoneAge: 2 * time.Hour, SegmentBytes: 1 << 11, IndexIntervalBytes: 100}
		m.reopen(rt, false)
		rt.Repeat(map[string]func(*rapid.T){
			"put": m.Put, "put in txn": m.PutInTxn, "end txn": m.EndTxn, "roll": m.Roll, "compact": m.Compact,
			"wait": m.Wait, "reopen": m.Reopen, "crash": m.Crash, "": m.Check,
		})
		for pid := range m.open {
			m.end(rt, pid, true)
		}
		require.Equal(rt, m.table(m.log.LEO()), tableOf(rt, m.log, m.log.LEO()))
		require.NoError(rt, m.log.Close())
	})
}

func TestCompactionDropsWhatNobodyNeeds(t *testing.T) {
	opts := testOptions(t, fsys.NewMem())
	c := opts.Clock.(*fixedClock)
	opts.Config = Config{Compact: true, TombstoneAge: time.Hour, ProducerExpiry: time.Minute}
	l := mustOpen(t, opts)
	put := func(key string, value []byte) {
		var b record.Builder
		b.Reset(record.BatchOptions{})
		require.NoError(t, b.Append(0, []byte(key), value))
		frame, err := b.Finish(nil)
		require.NoError(t, err)
		mustAppend(t, l, frame)
	}
	put("k", []byte("1"))
	put("k", []byte("2"))
	put("gone", []byte("3"))
	put("gone", nil)
	_, err := l.Append(values(t, record.BatchOptions{Idempotent: true, Transactional: true, ProducerID: 5}, "aborted"), AppendInfo{})
	require.NoError(t, err)
	_, err = l.Append(record.AppendControl(nil, record.Marker{ProducerID: 5}, 0), AppendInfo{Origin: Coordinator})
	require.NoError(t, err)
	put("z", []byte("last"))
	require.NoError(t, l.Roll())
	put("active", []byte("x"))
	waitDurable(t, l, l.LEO())
	l.SetHighWatermark(l.LEO())

	compact := func() {
		put("active", []byte("x"))
		require.NoError(t, l.Roll())
		waitDurable(t, l, l.LEO())
		l.SetHighWatermark(l.LEO())
		ratio, due := l.CompactionDue()
		require.True(t, due || ratio > 0)
		_, err := l.Compact(context.Background())
		require.NoError(t, err)
	}
	compact()
	got := readAll(t, l, 1<<20)
	require.Equal(t, []string{"1=2", "3=", "6=last"}, got[:3], "the older value, the deleted one and the aborted one are gone")
	c.now = c.now.Add(2 * time.Hour)
	_, err = l.Retain() // forgets the producer, whose last batch need not be kept any more
	require.NoError(t, err)
	compact() // drops the tombstone, and the empty batch
	require.Equal(t, []string{"1=2", "6=last"}, readAll(t, l, 1<<20)[:2])
	aborted, err := l.AbortedTransactions(0, l.LEO())
	require.NoError(t, err)
	require.Len(t, aborted, 1)
	compact() // stamps the marker, whose data is gone
	c.now = c.now.Add(2 * time.Hour)
	compact() // drops it
	aborted, err = l.AbortedTransactions(0, l.LEO())
	require.NoError(t, err)
	require.Empty(t, aborted)
	require.NoError(t, l.Close())
}
