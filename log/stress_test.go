package log

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/record"
)

// TestEverythingAtOnce has writers, readers, retention, compaction, checkpoints and truncation work on one log at the same time;
// the race detector and the readers' checks of every byte do the judging.
func TestEverythingAtOnce(t *testing.T) {
	m := openManager(t, fsys.NewMem())
	tp := TopicPartition{"t", 0}
	config := Config{SegmentBytes: 1 << 12, IndexIntervalBytes: 200, Delete: true, RetentionBytes: 20 << 10, RetentionAge: -1}
	var l *Log
	l, err := m.OpenLog(tp, TopicID{1}, config, nil, nil)
	require.NoError(t, err)
	var done atomic.Bool
	var others sync.WaitGroup
	background := func(do func(rng *rand.Rand)) {
		others.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(l.LEO())))
			for !done.Load() {
				do(rng)
			}
		})
	}
	for range 2 {
		background(func(rng *rand.Rand) { readSome(t, l, rng) })
	}
	background(func(*rand.Rand) {
		l.SetHighWatermark(l.DurableEnd())
		_, err := l.Retain()
		require.NoError(t, err)
		require.NoError(t, m.Checkpoint())
		require.NoError(t, l.SetConfig(Config{SegmentBytes: 1 << 12, Compact: true, Delete: true, RetentionBytes: 20 << 10, RetentionAge: -1}))
		if _, err := l.Compact(context.Background()); err != nil {
			require.ErrorContains(t, err, "changed during the pass")
		}
	})
	background(func(rng *rand.Rand) {
		if hw, leo := l.HighWatermark(), l.LEO(); rng.IntN(50) == 0 && hw > l.LogStart() && hw < leo {
			_, err := l.TruncateTo(hw + rng.Int64N(leo-hw))
			require.NoError(t, err)
		}
	})
	var writers sync.WaitGroup
	for w := range 3 {
		writers.Go(func() {
			for i := range 300 {
				mustAppend(t, l, plain(t, fmt.Sprintf("%d-%d", w, i), fmt.Sprintf("%d-%d", w, i)))
			}
		})
	}
	writers.Wait()
	done.Store(true)
	others.Wait()
	waitDurable(t, l, l.LEO())
	require.NoError(t, m.Close())
}

// readSome reads from a random place and checks every batch.
func readSome(t *testing.T, l *Log, rng *rand.Rand) {
	start, leo := l.LogStart(), l.LEO()
	offset := start + rng.Int64N(leo-start+1)
	c, err := l.Read(offset, 1+rng.IntN(5000), leo)
	if errors.Is(err, kerr.OffsetOutOfRange) {
		return // cut or expired meanwhile
	}
	require.NoError(t, err)
	defer c.Release()
	data, err := c.AppendTo(nil)
	require.NoError(t, err)
	for len(data) > 0 {
		h, frame, rest, err := record.Next(data)
		require.NoError(t, err)
		require.NoError(t, record.Check(&h, frame))
		data = rest
	}
}

// FuzzOpen opens a partition one of whose files is arbitrary: it must come up, or say why not, and then work.
func FuzzOpen(f *testing.F) {
	dir := f.TempDir()
	m, err := OpenManager(ManagerOptions{Dir: dir, Logger: quiet, DiskFreeMin: -1})
	require.NoError(f, err)
	l, err := m.OpenLog(TopicPartition{"t", 0}, TopicID{1}, Config{}, nil, nil)
	require.NoError(f, err)
	mustAppend(f, l, plain(f, "a", "b"))
	mustAppend(f, l, values(f, record.BatchOptions{Idempotent: true, ProducerID: 5, Transactional: true}, "c"))
	require.NoError(f, m.Close())
	names := []string{
		"00000000000000000000.log", "00000000000000000000.index", "00000000000000000000.timeindex",
		"00000000000000000003.snapshot", "leader-epoch-checkpoint", "00000000000000000000.txnindex", "00000000000000000000.log.swap",
	}
	for i, name := range names {
		data, err := os.ReadFile(filepath.Join(dir, "t-0", name))
		if err != nil {
			data = []byte("something")
		}
		f.Add(uint8(i), data, true)
		f.Add(uint8(i), data, false)
	}
	log0, err := os.ReadFile(filepath.Join(dir, "t-0", names[0]))
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, which uint8, data []byte, clean bool) {
		fs := fsys.NewMem()
		require.NoError(t, fsys.MkdirAllSync(fs, testDir))
		require.NoError(t, fsys.WriteFileAtomic(fs, testDir+"/"+names[0], log0))
		require.NoError(t, fsys.WriteFileAtomic(fs, testDir+"/"+names[int(which)%len(names)], data))
		opts := testOptions(t, fs)
		opts.Clean = clean
		l, err := Open(opts)
		if err != nil {
			return
		}
		if l.Failure() == nil {
			mustAppend(t, l, plain(t, "more"))
			_, _, err = l.OffsetForTime(0)
			require.NoError(t, err)
		}
		require.NoError(t, l.Close())
	})
}
