package log

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/millracedb/millrace/internal/fsys"
)

// managerModel is a data directory of one partition beside what it must hold.
type managerModel struct {
	fs       *fsys.Mem
	m        *Manager
	l        *Log
	values   []string // by offset, from 0
	promised int64    // offsets below it must survive a crash
	n        int
	rng      *rand.Rand
}

var modelConfig = Config{SegmentBytes: 1 << 10, IndexIntervalBytes: 100, Delete: true}

func (s *managerModel) start(t require.TestingT) {
	var err error
	s.m, err = OpenManager(ManagerOptions{Dir: "/data", FS: s.fs, Logger: quiet, TailCacheBytes: 4 << 10})
	require.NoError(t, err)
	s.l, err = s.m.OpenLog(crashPartition, TopicID{1}, modelConfig, nil, nil)
	require.NoError(t, err)
	if d := s.l.Damage(); d != nil {
		require.Fail(t, "damaged", "%v", d)
	}
}

func (s *managerModel) Append(t *rapid.T) {
	for range rapid.IntRange(1, 8).Draw(t, "batches") {
		s.n++
		v := fmt.Sprintf("v%d", s.n)
		res, err := s.l.Append(plain(t, v), AppendInfo{LeaderEpoch: int32(s.n / 20)})
		require.NoError(t, err)
		require.Equal(t, int64(len(s.values)), res.BaseOffset)
		s.values = append(s.values, v)
	}
}

func (s *managerModel) Wait(t *rapid.T) {
	end := s.l.LEO()
	require.NoError(t, s.l.WaitDurable(context.Background(), end))
	s.promised = end
	s.l.SetHighWatermark(end)
}

func (s *managerModel) Roll(t *rapid.T) { require.NoError(t, s.l.Roll()) }

func (s *managerModel) Checkpoint(t *rapid.T) { require.NoError(t, s.m.Checkpoint()) }

func (s *managerModel) Truncate(t *rapid.T) {
	to := rapid.Int64Range(s.l.LogStart(), s.l.LEO()).Draw(t, "to")
	s.promised = min(s.promised, to)
	end, err := s.l.TruncateTo(to)
	require.NoError(t, err)
	require.Equal(t, to, end)
	s.values = s.values[:to]
}

func (s *managerModel) DeleteRecords(t *rapid.T) {
	_, err := s.l.DeleteRecordsBefore(rapid.Int64Range(0, s.l.HighWatermark()).Draw(t, "before"))
	require.NoError(t, err)
}

func (s *managerModel) Reopen(t *rapid.T) {
	start := s.l.LogStart()
	require.NoError(t, s.m.Close())
	s.promised = int64(len(s.values))
	s.start(t)
	require.Equal(t, int64(len(s.values)), s.l.LEO())
	require.Equal(t, start, s.l.LogStart())
}

func (s *managerModel) Crash(t *rapid.T) {
	percent := rapid.SampledFrom([]int{0, 50, 100}).Draw(t, "unsynced")
	crashed := s.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: s.rng})
	require.NoError(t, s.m.Close())
	s.fs = crashed
	s.start(t)
	require.GreaterOrEqual(t, s.l.LEO(), s.promised)
	require.LessOrEqual(t, s.l.LEO(), int64(len(s.values)))
	s.values = s.values[:s.l.LEO()]
	s.promised = s.l.LEO() // a start syncs what it finds
}

func (s *managerModel) Check(t *rapid.T) {
	want := []string(nil)
	for i := s.l.LogStart(); i < int64(len(s.values)); i++ {
		want = append(want, fmt.Sprintf("%d=%s", i, s.values[i]))
	}
	require.Equal(t, want, readAll(t, s.l, 150))
}

// TestManagerKeepsWhatItPromised makes random appends, cuts, stops and crashes on a data directory.
func TestManagerKeepsWhatItPromised(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := &managerModel{fs: fsys.NewMem(), rng: rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))}
		s.start(rt)
		rt.Repeat(map[string]func(*rapid.T){
			"append": s.Append, "wait": s.Wait, "roll": s.Roll, "checkpoint": s.Checkpoint, "truncate": s.Truncate,
			"delete records": s.DeleteRecords, "reopen": s.Reopen, "crash": s.Crash, "": s.Check,
		})
		require.NoError(rt, s.m.Close())
	})
}
