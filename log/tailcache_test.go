package log

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/fsys"
)

func TestTailCacheTakesInWhatIsReadAtTheEnd(t *testing.T) {
	opts := testOptions(t, fsys.NewMem())
	opts.Cache = NewTailCache(64 << 20)
	l := mustOpen(t, opts)
	value := string(make([]byte, 64<<10))
	write := func(bytes int) {
		for n := 0; n < bytes; n += len(value) {
			mustAppend(t, l, plain(t, value))
		}
	}
	cached := func(offset int64) bool {
		c, err := l.Read(offset, 1, l.LEO())
		require.NoError(t, err)
		defer c.Release()
		return c.Data() != nil
	}

	write(16 << 20)
	require.Less(t, opts.Cache.Bytes(), int64(2*tailUnreadMax), "nobody reads: it is not worth the memory")
	c, err := l.Read(0, 1, l.LEO())
	require.NoError(t, err)
	c.Release()

	end := l.LEO()
	c, err = l.Read(end, 1, end)
	require.NoError(t, err)
	require.Zero(t, c.Len())
	mustAppend(t, l, plain(t, "x"))
	require.True(t, cached(end), "a reader has caught up")
	for range 8 * tailUnreadMax / len(value) {
		mustAppend(t, l, plain(t, value))
		require.True(t, cached(l.LEO()-1), "it keeps up")
	}
	require.NoError(t, l.Close())
}
