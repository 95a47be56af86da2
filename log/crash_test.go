package log

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/fsys"
)

// crashScript is a story told to a partition, in which the machine may stop at any call of the file system.
type crashScript struct {
	fs       *fsys.Mem
	promised atomic.Int64 // offsets below it must survive
	crashed  atomic.Pointer[fsys.Mem]
	atCrash  int64 // promised when the machine stopped
}

var crashPartition = TopicPartition{"t", 0}

// run tells the story; the machine stops at the call with number stop, counting from 1, and keeps percent of what is not
// synced. It returns the number of calls.
func (c *crashScript) run(t *testing.T, config Config, stop int64, percent int, story func(m *Manager, l *Log, c *crashScript)) int64 {
	t.Helper()
	c.fs = fsys.NewMem()
	var calls atomic.Int64
	c.fs.Inject(func(fsys.Op, string) error {
		if calls.Add(1) == stop {
			c.atCrash = c.promised.Load()
			c.crashed.Store(c.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(uint64(stop), 0))}))
		}
		return nil
	})
	m := openManager(t, c.fs)
	story(m, openLog(t, m, crashPartition, config), c)
	require.NoError(t, m.Close())
	return calls.Load()
}

// add appends values from the log's end to n and waits for them.
func (c *crashScript) add(t *testing.T, l *Log, n int64) {
	t.Helper()
	for i := l.LEO(); i < n; i++ {
		mustAppend(t, l, plain(t, fmt.Sprintf("%d-value", i)))
	}
	waitDurable(t, l, n)
	c.promised.Store(n)
	l.SetHighWatermark(n)
}

// everyCrash runs a story once for each call it makes, and for each looks at what is left.
func everyCrash(t *testing.T, config Config, story func(m *Manager, l *Log, c *crashScript), check func(t *testing.T, l *Log, promised int64)) {
	t.Helper()
	total := new(crashScript).run(t, config, 0, 0, story)
	for stop := int64(1); stop <= total; stop++ {
		for _, percent := range []int{0, 50, 100} {
			c := new(crashScript)
			c.run(t, config, stop, percent, story)
			after := c.crashed.Load()
			if after == nil {
				continue // background syncs made this run shorter
			}
			m, err := OpenManager(ManagerOptions{Dir: "/data", FS: after, Logger: quiet})
			require.NoError(t, err, "call %d, %d %%", stop, percent)
			l, err := m.OpenLog(crashPartition, TopicID{1}, config, nil, nil)
			require.NoError(t, err, "call %d, %d %%", stop, percent)
			require.Nil(t, l.Damage(), "call %d, %d %%", stop, percent)
			require.GreaterOrEqual(t, l.LEO(), c.atCrash, "call %d, %d %%", stop, percent)
			for offset := l.LogStart(); offset < l.LEO(); offset++ { // every look-up goes by way of the indexes
				chunk, err := l.Read(offset, 1, l.LEO())
				require.NoError(t, err, "call %d, %d %%, offset %d", stop, percent, offset)
				chunk.Release()
			}
			check(t, l, c.atCrash)
			require.NoError(t, m.Close())
		}
	}
}

func TestCrashAtAnyStepOfTruncation(t *testing.T) {
	config := Config{SegmentBytes: 1 << 10, IndexIntervalBytes: 100}
	story := func(m *Manager, l *Log, c *crashScript) {
		c.add(t, l, 25)
		require.NoError(t, m.Checkpoint())
		c.promised.Store(7)
		_, err := l.TruncateTo(7)
		require.NoError(t, err)
		require.NoError(t, m.Checkpoint())
		c.add(t, l, 12)
		require.NoError(t, m.Checkpoint())
	}
	everyCrash(t, config, story, func(t *testing.T, l *Log, _ int64) {
		for i, v := range readAll(t, l, 1000) {
			require.Equal(t, fmt.Sprintf("%d=%d-value", i, i), v)
		}
	})
}

func TestCrashAtAnyStepOfCompaction(t *testing.T) {
	config := Config{SegmentBytes: 1 << 10, IndexIntervalBytes: 100, Compact: true}
	story := func(m *Manager, l *Log, c *crashScript) {
		c.add(t, l, 25)
		require.NoError(t, m.Checkpoint())
		_, err := l.Compact(context.Background())
		require.NoError(t, err)
		require.NoError(t, m.Checkpoint())
		c.add(t, l, 33)
		require.NoError(t, m.Checkpoint())
		_, err = l.Compact(context.Background())
		require.NoError(t, err)
	}
	everyCrash(t, config, story, func(t *testing.T, l *Log, promised int64) {
		last := make(map[string]string) // the key is the value's first byte
		for i := range promised {
			v := fmt.Sprintf("%d-value", i)
			last[v[:1]] = v
		}
		got := make(map[string]string)
		for _, entry := range readAll(t, l, 1000) {
			offset, v, _ := strings.Cut(entry, "=")
			require.True(t, strings.HasPrefix(v, offset+"-"), "a record stays at its offset")
			var n int64
			_, err := fmt.Sscan(offset, &n)
			require.NoError(t, err)
			if n < promised {
				got[v[:1]] = v
			}
		}
		for key, v := range last {
			if got[key] != v {
				// A pass may have dropped it for one that was appended later, and survived.
				require.Greater(t, l.LEO(), promised, "key %s", key)
			}
		}
	})
}

func TestCrashAtAnyStepOfDeletion(t *testing.T) {
	config := Config{SegmentBytes: 1 << 10, IndexIntervalBytes: 100, Delete: true}
	story := func(m *Manager, l *Log, c *crashScript) {
		c.add(t, l, 25)
		require.NoError(t, m.Checkpoint())
		_, err := l.DeleteRecordsBefore(20)
		require.NoError(t, err)
		require.NoError(t, m.Checkpoint())
		c.promised.Store(0)
		require.NoError(t, m.DeleteLog(crashPartition))
		c.add(t, openLog(t, m, crashPartition, config), 5)
	}
	everyCrash(t, config, story, func(t *testing.T, l *Log, _ int64) {
		start := l.LogStart()
		for i, v := range readAll(t, l, 1000) {
			require.Equal(t, fmt.Sprintf("%d=%d-value", start+int64(i), start+int64(i)), v)
		}
	})
}

// TestCrashDuringRecovery stops the machine again at each call of the start that follows a crash with a torn tail.
func TestCrashDuringRecovery(t *testing.T) {
	config := Config{SegmentBytes: 1 << 10, IndexIntervalBytes: 100}
	torn := fsys.NewMem()
	m := openManager(t, torn)
	l := openLog(t, m, crashPartition, config)
	new(crashScript).add(t, l, 30)
	first := torn.CrashClone(vfs.CrashCloneCfg{})
	require.NoError(t, m.Close())
	flip(t, first, segmentFile(first, "/data/t-0", 0, logSuffix), -1)
	for stop := int64(1); ; stop++ {
		fs := first.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1))})
		var calls atomic.Int64
		var again *fsys.Mem
		fs.Inject(func(fsys.Op, string) error {
			if calls.Add(1) == stop {
				again = fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rand.New(rand.NewPCG(uint64(stop), 0))})
			}
			return nil
		})
		m := openManager(t, fs)
		end := openLog(t, m, crashPartition, config).LEO()
		fs.Inject(nil)
		require.NoError(t, m.Close())
		if again == nil {
			require.Greater(t, stop, int64(20))
			return
		}
		m = openManager(t, again)
		l := openLog(t, m, crashPartition, config)
		require.Nil(t, l.Damage())
		require.Equal(t, end, l.LEO(), "stop %d", stop)
		require.Len(t, readAll(t, l, 1000), int(end))
		require.NoError(t, m.Close())
	}
}
