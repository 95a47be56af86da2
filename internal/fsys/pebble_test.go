package fsys

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
)

// TestPebbleOpensAfterACrashThatKeepsAnyNames opens a store again and again, which makes a manifest each time, and crashes it before every
// one of its calls.
func TestPebbleOpensAfterACrashThatKeepsAnyNames(t *testing.T) {
	m := NewMem()
	require.NoError(t, MkdirAllSync(m, "/d"))
	n := 0
	for range 3 {
		m.Inject(func(op Op, path string) error {
			if op != OpSyncDir && op != OpCreate && op != OpRemove {
				return nil
			}
			n++
			c := m.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rand.New(rand.NewPCG(uint64(n), 1))})
			db, err := pebble.Open("/d", &pebble.Options{FS: ForPebble(c), Logger: quiet{t}})
			require.NoError(t, err, "before %s %s", op, path)
			require.NoError(t, db.Close())
			return nil
		})
		db, err := pebble.Open("/d", &pebble.Options{FS: ForPebble(m), Logger: quiet{t}})
		require.NoError(t, err)
		require.NoError(t, db.Set([]byte(fmt.Sprint(n)), nil, pebble.Sync))
		require.NoError(t, db.Close())
		m.Inject(nil)
	}
	require.Positive(t, n)
}
