package log

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/record"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fixedClock is a clock that stands still until it is set. It makes no timers.
type fixedClock struct {
	clock.Clock
	now time.Time
}

func (c *fixedClock) Now() time.Time { return c.now }

const testDir = "/data/topic-0"

// testOptions returns options for a log with small segments on fs.
func testOptions(t testing.TB, fs fsys.FS) Options {
	s := NewSyncService(fs, "/data", nil)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return Options{
		Dir: testDir, FS: fs, Sync: s, Logger: slog.New(slog.DiscardHandler),
		Clock:  &fixedClock{clock.Real, time.UnixMilli(1_000_000)},
		Config: Config{SegmentBytes: 1 << 20, IndexIntervalBytes: 200},
	}
}

func mustOpen(t testing.TB, opts Options) *Log {
	t.Helper()
	l, err := Open(opts)
	require.NoError(t, err)
	return l
}

// values makes a batch of one record for each value; the key is the value's first byte.
func values(t require.TestingT, opts record.BatchOptions, vs ...string) []byte {
	var b record.Builder
	b.Reset(opts)
	for i, v := range vs {
		require.NoError(t, b.Append(1000+int64(i), []byte(v[:1]), []byte(v)))
	}
	frame, err := b.Finish(nil)
	require.NoError(t, err)
	return frame
}

func plain(t require.TestingT, vs ...string) []byte { return values(t, record.BatchOptions{}, vs...) }

func mustAppend(t testing.TB, l *Log, frame []byte) AppendResult {
	t.Helper()
	res, err := l.Append(frame, AppendInfo{})
	require.NoError(t, err)
	return res
}

func waitDurable(t testing.TB, l *Log, offset int64) {
	t.Helper()
	require.NoError(t, l.WaitDurable(context.Background(), offset))
}

// readAll returns offset=value of every data record from the log's start to its end.
func readAll(t require.TestingT, l *Log, maxBytes int) []string {
	var got []string
	var it record.Iterator
	for offset := l.LogStart(); offset < l.LEO(); {
		c, err := l.Read(offset, maxBytes, l.LEO())
		require.NoError(t, err)
		data, err := c.AppendTo(nil)
		require.NoError(t, err)
		require.Len(t, data, int(c.Len()))
		c.Release()
		if len(data) == 0 {
			break
		}
		for len(data) > 0 {
			h, frame, rest, err := record.Next(data)
			require.NoError(t, err)
			require.NoError(t, record.Check(&h, frame))
			if !h.IsControl() {
				for _ = it.Reset(frame); it.Next(); {
					if it.Record.Offset >= offset {
						got = append(got, fmt.Sprintf("%d=%s", it.Record.Offset, it.Record.Value))
					}
				}
				require.NoError(t, it.Err())
			}
			offset, data = h.LastOffset()+1, rest
		}
	}
	return got
}
