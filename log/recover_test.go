package log

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/record"
)

// flip changes one byte of a file, from the end if at is negative.
func flip(t *testing.T, fs fsys.FS, path string, at int64) {
	t.Helper()
	f, err := fs.OpenReadWrite(path, fsys.Category)
	require.NoError(t, err)
	if at < 0 {
		st, err := f.Stat()
		require.NoError(t, err)
		at += st.Size()
	}
	b := make([]byte, 1)
	_, err = f.ReadAt(b, at)
	require.NoError(t, err)
	b[0] ^= 0xff
	_, err = f.WriteAt(b, at)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

// written100 makes a log of 100 records in several segments and closes it.
func written100(t *testing.T, opts Options) (bases []int64) {
	t.Helper()
	l := mustOpen(t, opts)
	for i := range 100 {
		mustAppend(t, l, plain(t, fmt.Sprintf("value-%03d", i)))
	}
	waitDurable(t, l, 100)
	for _, s := range l.mu.segments {
		bases = append(bases, s.base)
	}
	require.NoError(t, l.Close())
	return bases
}

func TestSegmentDropsTornTail(t *testing.T) {
	fs := fsys.NewMem()
	opts := testOptions(t, fs)
	opts.Config.SegmentBytes = 1 << 11
	bases := written100(t, opts)
	last := len(bases) - 1
	path := segmentFile(fs, testDir, bases[last-1], logSuffix)
	flip(t, fs, path, -1)
	opts.RecoveryPoint = bases[last-1]
	l := mustOpen(t, opts)
	require.Nil(t, l.Damage())
	require.Equal(t, bases[last]-1, l.LEO(), "the batch with the bad byte goes, and the segment after it")
	require.Equal(t, bases[last]-1, l.DurableEnd())
	for _, torn := range []string{path + tornSuffix, segmentFile(fs, testDir, bases[last], logSuffix) + tornSuffix} {
		_, err := fs.Stat(torn)
		require.NoError(t, err, "what was cut is kept")
	}
	mustAppend(t, l, plain(t, "again"))
	got := readAll(t, l, 200)
	require.Equal(t, fmt.Sprintf("%d=again", bases[last]-1), got[len(got)-1])
	require.NoError(t, l.Close())
}

func TestDamageBelowTheRecoveryPointCutsNothing(t *testing.T) {
	fs := fsys.NewMem()
	opts := testOptions(t, fs)
	opts.Config.SegmentBytes = 1 << 11
	bases := written100(t, opts)
	path := segmentFile(fs, testDir, bases[1], logSuffix)
	flip(t, fs, path, -1)
	opts.RecoveryPoint = 100
	// The segment's indexes are lost too, so it is scanned.
	require.NoError(t, fs.Remove(segmentFile(fs, testDir, bases[1], offsetSuffix)))
	l := mustOpen(t, opts)
	d := l.Damage()
	require.NotNil(t, d)
	require.Equal(t, path, d.File)
	require.Equal(t, bases[2]-1, d.Offset)
	require.Len(t, readAll(t, l, 1000), int(bases[2]-1), "it reads up to the damage")
	_, err := l.Append(plain(t, "x"), AppendInfo{})
	require.ErrorIs(t, err, ErrDamaged)
	require.ErrorIs(t, err, kerr.KafkaStorageError)
	_, err = l.TruncateTo(1)
	require.ErrorIs(t, err, ErrDamaged)
	require.NoError(t, l.Close())
	for _, base := range bases {
		_, err := fs.Stat(segmentFile(fs, testDir, base, logSuffix))
		require.NoError(t, err)
	}
	// A copy from the leader begins anew.
	l = mustOpen(t, opts)
	require.NoError(t, l.RestartAt(50))
	require.NoError(t, l.Failure())
	require.Equal(t, int64(50), mustAppend(t, l, plain(t, "x")).BaseOffset)
	require.NoError(t, l.Close())
}

func TestMissingTailIsDamage(t *testing.T) {
	fs := fsys.NewMem()
	opts := testOptions(t, fs)
	written100(t, opts)
	path := segmentFile(fs, testDir, 0, logSuffix)
	st, err := fs.Stat(path)
	require.NoError(t, err)
	require.NoError(t, fs.Truncate(path, st.Size()/2))
	opts.RecoveryPoint = 100
	for _, clean := range []bool{true, false} {
		opts.Clean = clean
		l := mustOpen(t, opts)
		require.NotNil(t, l.Damage())
		require.NoError(t, l.Close())
	}
}

func TestIndexesAreBuiltAnew(t *testing.T) {
	fs := fsys.NewMem()
	opts := testOptions(t, fs)
	opts.Config.SegmentBytes = 1 << 11
	opts.Clean = true
	written100(t, opts)
	names, err := fs.List(testDir)
	require.NoError(t, err)
	for i, name := range names {
		path := testDir + "/" + name
		if !strings.HasSuffix(name, "index") {
			continue
		}
		if i%2 == 0 {
			require.NoError(t, fs.Remove(path))
		} else if st, err := fs.Stat(path); err == nil && st.Size() > 3 {
			require.NoError(t, fs.Truncate(path, st.Size()-3))
		}
	}
	opts.RecoveryPoint = 100
	l := mustOpen(t, opts)
	require.Nil(t, l.Damage())
	require.Len(t, readAll(t, l, 100), 100)
	require.NoError(t, l.Close())
}

// crashRun appends at random and crashes at the end; it returns how many records were promised, and the log as found after.
// skip may turn syncs into no-ops.
func crashRun(t *testing.T, seed uint64, skip func(op fsys.Op, path string) bool) (promised int64, found *Log) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	fs := fsys.NewMem()
	fs.SkipSyncs(skip)
	opts := testOptions(t, fs)
	opts.Config.SegmentBytes = 1 << 11
	l := mustOpen(t, opts)
	n := 0
	for range 10 + rng.IntN(60) {
		switch rng.IntN(10) {
		case 0:
			waitDurable(t, l, l.LEO())
		case 1:
			require.NoError(t, l.Roll())
		case 2:
			waitDurable(t, l, l.LEO())
			if l.LEO() > 0 {
				end, err := l.TruncateTo(rng.Int64N(l.LEO()))
				require.NoError(t, err)
				n = int(end)
			}
		default:
			mustAppend(t, l, plain(t, fmt.Sprintf("value-%03d", n)))
			n++
		}
	}
	promised = l.DurableEnd()
	crashed := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(3) * 50, RNG: rng})
	require.NoError(t, l.Close())
	opts = testOptions(t, crashed)
	opts.Config.SegmentBytes = 1 << 11
	opts.RecoveryPoint = promised * int64(rng.IntN(2)) // the checkpoint may be old
	return promised, mustOpen(t, opts)
}

// survives reports whether the log holds the promised records, each in its place.
func survives(t *testing.T, promised int64, l *Log) bool {
	t.Helper()
	ok := l.Damage() == nil && l.LEO() >= promised
	got := readAll(t, l, 500)
	for i, v := range got {
		ok = ok && v == fmt.Sprintf("%d=value-%03d", i, i)
	}
	require.NoError(t, l.Close())
	return ok && int64(len(got)) >= promised
}

const crashSeeds = 60

func TestAcknowledgedRecordsSurviveACrash(t *testing.T) {
	for seed := range uint64(crashSeeds) {
		promised, l := crashRun(t, seed, nil)
		require.True(t, survives(t, promised, l), "seed %d", seed)
	}
}

// TestEverySyncMatters takes out one kind of sync at a time: some seed must then lose something.
func TestEverySyncMatters(t *testing.T) {
	for name, skip := range map[string]func(op fsys.Op, path string) bool{
		"segments":  func(op fsys.Op, path string) bool { return op == fsys.OpSync && strings.HasSuffix(path, logSuffix) },
		"directory": func(op fsys.Op, path string) bool { return op == fsys.OpSyncDir && path == testDir },
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(crashSeeds) {
				if promised, l := crashRun(t, seed, skip); !survives(t, promised, l) {
					return
				}
			}
			t.Error("no seed missed the sync")
		})
	}
}

func TestTruncateToCutsAtABatch(t *testing.T) {
	for _, cache := range []*TailCache{nil, NewTailCache(1 << 20)} {
		fs := fsys.NewMem()
		opts := testOptions(t, fs)
		opts.Cache = cache
		opts.Config.SegmentBytes = 1 << 11
		l := mustOpen(t, opts)
		for i := range 60 {
			_, err := l.Append(plain(t, fmt.Sprintf("a%d", i), fmt.Sprintf("b%d", i)), AppendInfo{LeaderEpoch: int32(i / 20)})
			require.NoError(t, err)
		}
		waitDurable(t, l, 120)
		c, err := l.Read(0, 1<<20, 120)
		require.NoError(t, err)
		end, err := l.TruncateTo(51)
		require.NoError(t, err)
		require.Equal(t, int64(50), end, "offset 51 is in the middle of a batch")
		require.Equal(t, int64(50), l.DurableEnd())
		require.Equal(t, int32(1), l.LatestEpoch())
		require.Len(t, readAll(t, l, 300), 50)
		_, err = c.AppendTo(nil)
		require.NoError(t, err, "a reader keeps what it has")
		c.Release()
		mustAppend(t, l, plain(t, "new"))
		require.NoError(t, l.Close())
		opts.Clean = false
		l = mustOpen(t, opts)
		require.Equal(t, int64(51), l.LEO())
		require.NoError(t, l.Close())
	}
}

func TestNoSpaceLeavesTheLogAsItWas(t *testing.T) {
	fs := fsys.NewMem()
	l := mustOpen(t, testOptions(t, fs))
	mustAppend(t, l, plain(t, "x"))
	waitDurable(t, l, 1)
	// A short write: half the batch reaches the file.
	f, err := fs.OpenReadWrite(segmentFile(fs, testDir, 0, logSuffix), fsys.Category)
	require.NoError(t, err)
	_, err = f.WriteAt(plain(t, "torn")[:40], l.Size())
	require.NoError(t, err)
	require.NoError(t, f.Close())
	mustAppend(t, l, plain(t, "y"))
	require.Equal(t, []string{"0=x", "1=y"}, readAll(t, l, 1000))
	require.NoError(t, l.Close())
}

func TestRetentionStopsAtTheHighWatermark(t *testing.T) {
	opts := testOptions(t, fsys.NewMem())
	opts.Config = Config{Delete: true, RetentionBytes: 300, SegmentBytes: 1 << 10, RetentionAge: -1}
	l := mustOpen(t, opts)
	for i := range 100 {
		mustAppend(t, l, plain(t, fmt.Sprint(i)))
	}
	waitDurable(t, l, 100)
	n, err := l.Retain()
	require.NoError(t, err)
	require.Zero(t, n)
	l.SetHighWatermark(50)
	c, err := l.Read(0, 1<<20, 100)
	require.NoError(t, err)
	n, err = l.Retain()
	require.NoError(t, err)
	require.Positive(t, n)
	require.LessOrEqual(t, l.LogStart(), int64(50))
	data, err := c.AppendTo(nil)
	require.NoError(t, err, "a deleted segment is there for who reads it")
	require.Len(t, data, int(c.Len()))
	c.Release()
	_, err = l.Read(0, 1, 100)
	require.ErrorIs(t, err, kerr.OffsetOutOfRange)
	l.SetHighWatermark(100)
	_, err = l.Retain()
	require.NoError(t, err)
	require.Less(t, l.Size(), int64(300+1<<10))
	start, err := l.DeleteRecordsBefore(99)
	require.NoError(t, err)
	require.Equal(t, int64(99), start)
	require.Equal(t, []string{"99=99"}, readAll(t, l, 1000))
	_, err = l.DeleteRecordsBefore(101)
	require.ErrorIs(t, err, kerr.OffsetOutOfRange)
	require.NoError(t, l.Close())
}

func TestCloseAuditsChunks(t *testing.T) {
	l := mustOpen(t, testOptions(t, fsys.NewMem()))
	mustAppend(t, l, plain(t, "x"))
	c, err := l.Read(0, 100, 1)
	require.NoError(t, err)
	require.ErrorContains(t, l.Close(), "1 unreleased")
	c.Release()
	c.Release()
}

func TestOffsetForTime(t *testing.T) {
	fs := fsys.NewMem()
	opts := testOptions(t, fs)
	opts.Config.SegmentBytes = 1 << 11
	opts.Config.Delete = true
	l := mustOpen(t, opts)
	times := []int64{}
	rng := rand.New(rand.NewPCG(7, 7))
	for i := range 200 {
		var b record.Builder
		b.Reset(record.BatchOptions{})
		for range 2 {
			ms := int64(i*10 + rng.IntN(50))
			times = append(times, ms)
			require.NoError(t, b.Append(ms, nil, []byte("v")))
		}
		frame, err := b.Finish(nil)
		require.NoError(t, err)
		mustAppend(t, l, frame)
	}
	l.SetHighWatermark(400)
	check := func() {
		start := l.LogStart()
		for ms := int64(-1); ms < 2100; ms += 7 {
			want := slices.IndexFunc(times[start:], func(x int64) bool { return x >= ms })
			got, ok, err := l.OffsetForTime(ms)
			require.NoError(t, err)
			require.Equal(t, want >= 0, ok, "time %d", ms)
			if ok {
				require.Equal(t, start+int64(want), got.Offset, "time %d", ms)
			}
		}
		most, ok, err := l.OffsetOfMaxTimestamp()
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, slices.Max(times), most.Timestamp)
	}
	check()
	_, err := l.DeleteRecordsBefore(77)
	require.NoError(t, err)
	check()
	require.NoError(t, l.Close())
	opts.Clean, opts.LogStart = true, 77
	l = mustOpen(t, opts)
	check()
	require.NoError(t, l.Close())
}
