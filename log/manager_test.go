package log

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/fsys"
)

var quiet = slog.New(slog.DiscardHandler)

func openManager(t testing.TB, fs fsys.FS) *Manager {
	t.Helper()
	m, err := OpenManager(ManagerOptions{Dir: "/data", FS: fs, Logger: quiet, TailCacheBytes: 1 << 20})
	require.NoError(t, err)
	return m
}

func openLog(t testing.TB, m *Manager, tp TopicPartition, config Config) *Log {
	t.Helper()
	l, err := m.OpenLog(tp, TopicID{1}, config, nil, nil)
	require.NoError(t, err)
	return l
}

func TestADirectoryThatCannotBeWrittenIsNotSaidToBeInUse(t *testing.T) {
	fs := fsys.NewMem()
	fs.Inject(func(op fsys.Op, path string) error {
		if op == fsys.OpCreate && strings.HasSuffix(path, lockFile) {
			return syscall.EACCES
		}
		return nil
	})
	_, err := OpenManager(ManagerOptions{Dir: "/data", FS: fs, Logger: quiet})
	require.ErrorIs(t, err, syscall.EACCES)
	require.ErrorContains(t, err, "the right to read and write")
	require.NotContains(t, err.Error(), "in use")
}

func TestNoMoreLogsAreOpenThanTheLimitOfOpenFilesHasRoomFor(t *testing.T) {
	m, err := OpenManager(ManagerOptions{Dir: "/data", FS: fsys.NewMem(), Logger: quiet, MaxLogs: 2})
	require.NoError(t, err)
	a, b, c := TopicPartition{"t", 0}, TopicPartition{"t", 1}, TopicPartition{"t", 2}
	openLog(t, m, a, Config{})
	openLog(t, m, b, Config{})
	_, err = m.OpenLog(c, TopicID{1}, Config{}, nil, nil)
	require.ErrorIs(t, err, ErrTooManyLogs)
	require.ErrorIs(t, err, kerr.KafkaStorageError)
	require.NoError(t, m.DeleteLog(a))
	openLog(t, m, c, Config{})
	require.NoError(t, m.Close())
}

func TestManagerFindsItsPartitionsAgain(t *testing.T) {
	fs := fsys.NewMem()
	m := openManager(t, fs)
	m.SetBrokerEpoch(42)
	a, b := TopicPartition{"with-dash", 3}, TopicPartition{"b", 0}
	l := openLog(t, m, a, Config{})
	openLog(t, m, b, Config{})
	mustAppend(t, l, plain(t, "x", "y"))
	waitDurable(t, l, 2)
	l.SetHighWatermark(2)
	_, err := OpenManager(ManagerOptions{Dir: "/data", FS: fs, Logger: quiet})
	require.ErrorContains(t, err, "in use")
	_, err = m.OpenLog(a, TopicID{1}, Config{}, nil, nil)
	require.ErrorContains(t, err, "open already")
	require.NoError(t, m.Close())

	m = openManager(t, fs)
	clean, epoch := m.CleanStart()
	require.True(t, clean)
	require.Equal(t, int64(42), epoch)
	require.Equal(t, map[TopicPartition]TopicID{a: {1}, b: {1}}, m.Found())
	_, err = m.OpenLog(a, TopicID{2}, Config{}, nil, nil)
	require.ErrorIs(t, err, kerr.InconsistentTopicID)
	l = openLog(t, m, a, Config{})
	require.Equal(t, int64(2), l.HighWatermark())
	require.Equal(t, []string{"0=x", "1=y"}, readAll(t, l, 100))
	require.NoError(t, m.DeleteLog(b))
	require.NoError(t, m.DeleteLog(a))
	require.Empty(t, m.Found())
	l = openLog(t, m, a, Config{})
	require.Zero(t, l.LEO(), "a new topic does not inherit the old one's records or checkpoints")
	require.NoError(t, m.Close())
	names, err := fs.List("/data")
	require.NoError(t, err)
	for _, name := range names {
		require.False(t, strings.HasSuffix(name, deleteSuffix), name)
	}
}

func TestManagerMarksNoCleanStopForPartitionsItHasNotSeen(t *testing.T) {
	fs := fsys.NewMem()
	m := openManager(t, fs)
	openLog(t, m, TopicPartition{"a", 0}, Config{})
	crashed := fs.CrashClone(vfs.CrashCloneCfg{})
	require.NoError(t, m.Close())
	for range 2 {
		m = openManager(t, crashed)
		clean, _ := m.CleanStart()
		require.False(t, clean)
		require.NoError(t, m.Close())
	}
}

func TestLostDirectoryIsDamage(t *testing.T) {
	fs := fsys.NewMem()
	m := openManager(t, fs)
	tp := TopicPartition{"a", 0}
	mustAppend(t, openLog(t, m, tp, Config{}), plain(t, "x"))
	require.NoError(t, m.Close())
	require.NoError(t, fs.RemoveAll("/data/a-0"))
	m = openManager(t, fs)
	l := openLog(t, m, tp, Config{})
	require.ErrorIs(t, l.Failure(), ErrDamaged)
	// A follower begins anew, and a crash right after is no damage.
	require.NoError(t, l.RestartAt(0))
	crashed := fs.CrashClone(vfs.CrashCloneCfg{})
	require.NoError(t, m.Close())
	m = openManager(t, crashed)
	require.NoError(t, openLog(t, m, tp, Config{}).Failure())
	require.NoError(t, m.Close())
}

func TestFullDiskIsMetBeforeItHappens(t *testing.T) {
	fs := fsys.NewMem()
	m := openManager(t, fs)
	l := openLog(t, m, TopicPartition{"a", 0}, Config{})
	mustAppend(t, l, plain(t, "x"))
	_, err := fs.Stat("/data/" + ballastFile)
	require.NoError(t, err)
	fs.SetDiskUsage(fsys.DiskUsage{TotalBytes: 100 << 30, AvailBytes: 1 << 30})
	m.disk.check()
	require.True(t, m.DiskLow())
	_, err = l.Append(plain(t, "y"), AppendInfo{})
	require.ErrorIs(t, err, ErrDiskFull)
	require.ErrorIs(t, err, kerr.KafkaStorageError)
	require.Equal(t, []string{"0=x"}, readAll(t, l, 100))
	fs.SetDiskUsage(fsys.DiskUsage{TotalBytes: 100 << 30, AvailBytes: 3 << 30})
	m.disk.check()
	mustAppend(t, l, plain(t, "y"))

	fs.Inject(func(op fsys.Op, path string) error {
		if op == fsys.OpWrite && strings.HasSuffix(path, logSuffix) {
			return syscall.ENOSPC
		}
		return nil
	})
	_, err = l.Append(plain(t, "z"), AppendInfo{})
	require.ErrorIs(t, err, ErrDiskFull)
	_, err = fs.Stat("/data/" + ballastFile)
	require.True(t, fsys.IsNotExist(err), "the ballast is given back")
	fs.Inject(nil)
	m.disk.check()
	mustAppend(t, l, plain(t, "z"))
	require.Equal(t, []string{"0=x", "1=y", "2=z"}, readAll(t, l, 100))
	require.NoError(t, m.Close())
}

func TestMinFreeIsAQuarterOfASmallDisk(t *testing.T) {
	g := diskGuard{}
	for total, want := range map[uint64]uint64{2 << 30: 512 << 20, 40 << 30: 1 << 30, 1000 << 30: 1000 << 30 / 100 * 2} {
		require.Equal(t, want, g.minFree(total), "disk of %d", total)
	}
}

func TestFailedSyncTakesTheDirectoryOffline(t *testing.T) {
	fs := fsys.NewMem()
	told := make(chan error, 1)
	m, err := OpenManager(ManagerOptions{Dir: "/data", FS: fs, Logger: quiet, OnOffline: func(err error) { told <- err }})
	require.NoError(t, err)
	a, b := openLog(t, m, TopicPartition{"a", 0}, Config{}), openLog(t, m, TopicPartition{"b", 0}, Config{})
	eio := errors.New("input/output error")
	fail := true
	fs.Inject(func(op fsys.Op, path string) error {
		if op == fsys.OpSync && fail && strings.HasSuffix(path, logSuffix) {
			fail = false // a second try would seem to work
			return eio
		}
		return nil
	})
	mustAppend(t, a, plain(t, "x"))
	require.ErrorIs(t, a.WaitDurable(t.Context(), 1), ErrOffline)
	require.ErrorIs(t, <-told, eio)
	for _, l := range []*Log{a, b} {
		_, err := l.Append(plain(t, "y"), AppendInfo{})
		require.ErrorIs(t, err, ErrOffline)
	}
	require.Zero(t, a.DurableEnd())
	require.ErrorIs(t, m.Close(), eio)
}

// TestBackgroundWorkFollowsTheClock lets hours pass in a bubble of synthetic time.
func TestSyncThatComesAfterItsLogWasDeletedHarmsNobody(t *testing.T) {
	m := openManager(t, fsys.NewMem())
	doomed, other := TopicPartition{"doomed", 0}, TopicPartition{"other", 0}
	l := openLog(t, m, doomed, Config{Fsync: FsyncInterval}) // asks for no sync of its own
	mustAppend(t, l, plain(t, "x"))
	l.mu.Lock()
	require.True(t, l.requestSyncLocked())
	l.mu.Unlock()
	require.NoError(t, m.DeleteLog(doomed))
	l.runSync() // as a worker does that takes it off the queue only now
	require.NoError(t, m.Sync().Failed())
	kept := openLog(t, m, other, Config{})
	mustAppend(t, kept, plain(t, "y"))
	waitDurable(t, kept, 1)
	require.NoError(t, m.Close())
}

func TestBackgroundWorkFollowsTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := fsys.NewMem()
		m, err := OpenManager(ManagerOptions{Dir: "/data", FS: fs, Logger: quiet, Clock: clock.Real})
		require.NoError(t, err)
		old := openLog(t, m, TopicPartition{"old", 0}, Config{Delete: true, RetentionAge: time.Hour})
		lazy := openLog(t, m, TopicPartition{"lazy", 0}, Config{Fsync: FsyncInterval, FlushInterval: 10 * time.Second})
		mustAppend(t, old, plain(t, "x"))
		mustAppend(t, lazy, plain(t, "y"))
		waitDurable(t, old, 1)
		old.SetHighWatermark(1)
		require.Equal(t, int64(1), lazy.DurableEnd(), "under interval what is written counts")
		require.Zero(t, lazy.RecoveryPoint())
		<-time.After(30 * time.Second)
		synctest.Wait()
		require.Equal(t, int64(1), lazy.RecoveryPoint(), "flush.ms has passed")
		points, err := readOffsets(fs, "/data/"+recoveryPointFile)
		require.NoError(t, err)
		require.Equal(t, int64(1), points[TopicPartition{"old", 0}])
		<-time.After(2 * time.Hour)
		synctest.Wait()
		require.Equal(t, int64(1), old.LogStart(), "its timestamps are of 1970")
		require.NoError(t, m.Close())
	})
}

func TestManySyncsShareOneCall(t *testing.T) {
	fs := fsys.NewMem()
	m := openManager(t, fs)
	var logs []*Log
	for i := range 3 * syncFSMin {
		logs = append(logs, openLog(t, m, TopicPartition{fmt.Sprintf("t%d", i), 0}, Config{}))
	}
	held, release := make(chan struct{}, SyncParallelMax), make(chan struct{})
	calls := make(chan fsys.Op, 10*len(logs))
	fs.Inject(func(op fsys.Op, path string) error {
		switch {
		case op == fsys.OpSync && strings.HasSuffix(path, logSuffix):
			calls <- op
			held <- struct{}{}
			<-release
		case op == fsys.OpSyncFS:
			calls <- op
		}
		return nil
	})
	for _, l := range logs[:SyncParallelMax] {
		mustAppend(t, l, plain(t, "x"))
	}
	for range SyncParallelMax {
		<-held // all workers are busy, so the rest queue up
	}
	for _, l := range logs[SyncParallelMax:] {
		mustAppend(t, l, plain(t, "x"))
	}
	close(release)
	for _, l := range logs {
		waitDurable(t, l, 1)
	}
	fs.Inject(nil)
	close(calls)
	count := map[fsys.Op]int{}
	for op := range calls {
		count[op]++
	}
	require.Equal(t, 1, count[fsys.OpSyncFS])
	require.Equal(t, SyncParallelMax, count[fsys.OpSync])
	require.NoError(t, m.Close())
}

func TestALogOutlivesAFullDiskWhateverItWrites(t *testing.T) {
	for _, tc := range []struct {
		name   string
		file   string // whose writing finds no room
		do     func(*Log) error
		newest int32 // epoch after it has succeeded
		kept   int32 // and after a restart, which forgets an epoch without records
	}{
		{"an epoch begins", epochFile, func(l *Log) error { return l.AssignEpoch(7) }, 7, 3},
		{"a log is cut", epochFile, func(l *Log) error { _, err := l.TruncateTo(1); return err }, 0, 0},
		{"a recovery point is lowered", recoveryPointFile, func(l *Log) error { _, err := l.TruncateTo(1); return err }, 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fs := fsys.NewMem()
			m := openManager(t, fs)
			l := openLog(t, m, TopicPartition{"a", 0}, Config{})
			require.NoError(t, l.AssignEpoch(0))
			mustAppend(t, l, plain(t, "x"))
			require.NoError(t, l.AssignEpoch(3))
			_, err := l.Append(plain(t, "y"), AppendInfo{LeaderEpoch: 3})
			require.NoError(t, err)
			waitDurable(t, l, 2)
			full := true
			fs.Inject(func(op fsys.Op, path string) error {
				if op != fsys.OpWrite || !strings.Contains(path, tc.file) {
					return nil
				}
				if _, err := fs.Stat("/data/" + ballastFile); full || err == nil {
					return syscall.ENOSPC
				}
				return nil
			})
			before := l.LatestEpoch()
			require.ErrorIs(t, tc.do(l), ErrDiskFull)
			require.NoError(t, l.Failure())
			require.Equal(t, before, l.LatestEpoch(), "what is not on the disk is not believed")
			full = false
			m.disk.check() // the ballast is there again, and is what makes room
			require.NoError(t, tc.do(l))
			require.Equal(t, tc.newest, l.LatestEpoch())
			fs.Inject(nil)
			require.NoError(t, m.Close())
			m = openManager(t, fs)
			require.Equal(t, tc.kept, openLog(t, m, TopicPartition{"a", 0}, Config{}).LatestEpoch())
			require.NoError(t, m.Close())
		})
	}
}
