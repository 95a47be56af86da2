package log

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millracedb/millrace/internal/fsys"
)

func TestWhatIsAppendedIsReadAlsoAfterReopen(t *testing.T) {
	for name, fs := range map[string]fsys.FS{"mem": fsys.NewMem(), "os": fsys.OS} {
		for _, cached := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/cached=%v", name, cached), func(t *testing.T) {
				opts := testOptions(t, fs)
				opts.Config.SegmentBytes = 1 << 12
				opts.Dir = fs.PathJoin(t.TempDir(), "topic-0")
				if cached {
					opts.Cache = NewTailCache(10 << 10)
				}
				l := mustOpen(t, opts)
				var want []string
				for i := range 100 {
					a, b := fmt.Sprintf("a%d", i), fmt.Sprintf("b%d", i)
					res := mustAppend(t, l, plain(t, a, b))
					require.Equal(t, int64(2*i), res.BaseOffset)
					require.Equal(t, int64(2*i+1), res.LastOffset)
					want = append(want, fmt.Sprintf("%d=%s", 2*i, a), fmt.Sprintf("%d=%s", 2*i+1, b))
				}
				waitDurable(t, l, 200)
				for _, maxBytes := range []int{1, 100, 1000, 1 << 20} {
					require.Equal(t, want, readAll(t, l, maxBytes))
				}
				require.Greater(t, len(l.mu.segments), 2)
				point := l.RecoveryPoint()
				require.NoError(t, l.Close())
				opts.Clean, opts.RecoveryPoint = true, point
				l = mustOpen(t, opts)
				require.Empty(t, l.Damage())
				require.Equal(t, want, readAll(t, l, 300))
				require.NoError(t, l.Close())
				opts.Clean = false
				l = mustOpen(t, opts)
				require.Empty(t, l.Damage())
				require.Equal(t, want, readAll(t, l, 300))
				require.NoError(t, l.Close())
			})
		}
	}
}

func TestReadStopsAtTheLimit(t *testing.T) {
	for name, cache := range map[string]*TailCache{"file": nil, "cache": NewTailCache(1 << 20)} {
		t.Run(name, func(t *testing.T) {
			opts := testOptions(t, fsys.NewMem())
			opts.Cache = cache
			l := mustOpen(t, opts)
			for range 20 {
				mustAppend(t, l, plain(t, "x", "y"))
			}
			size := int64(len(plain(t, "x", "y")))
			for limit := range int64(41) {
				c, err := l.Read(0, 1<<20, limit)
				require.NoError(t, err)
				require.Equal(t, limit/2*size, c.Len(), "limit %d", limit)
				c.Release()
			}
			_, err := l.Read(41, 1, 100)
			require.ErrorIs(t, err, kerr.OffsetOutOfRange)
			require.NoError(t, l.Close())
		})
	}
}
