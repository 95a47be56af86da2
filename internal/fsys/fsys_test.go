package fsys

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
)

// both runs a test on the machine's file system and on the one in memory.
func both(t *testing.T, test func(t *testing.T, fs FS, dir string)) {
	t.Run("os", func(t *testing.T) { test(t, OS, t.TempDir()) })
	t.Run("mem", func(t *testing.T) {
		m := NewMem()
		require.NoError(t, m.MkdirAll("/data", 0o755))
		test(t, m, "/data")
	})
}

func put(t *testing.T, fs FS, name, data string) File {
	t.Helper()
	f, err := fs.OpenReadWrite(name, Category)
	require.NoError(t, err)
	_, err = f.WriteAt([]byte(data), 0)
	require.NoError(t, err)
	return f
}

func content(t *testing.T, fs FS, name string) string {
	t.Helper()
	data, err := ReadFile(fs, name, 1<<20)
	require.NoError(t, err)
	return string(data)
}

func TestTruncateKeepsThePrefix(t *testing.T) {
	both(t, func(t *testing.T, fs FS, dir string) {
		name := fs.PathJoin(dir, "f")
		require.NoError(t, put(t, fs, name, "hello world").Close())
		require.NoError(t, fs.Truncate(name, 5))
		require.Equal(t, "hello", content(t, fs, name))
		names, err := fs.List(dir)
		require.NoError(t, err)
		require.Equal(t, []string{"f"}, names)
	})
}

func TestWriteFileAtomicReplaces(t *testing.T) {
	both(t, func(t *testing.T, fs FS, dir string) {
		name := fs.PathJoin(dir, "f")
		for _, data := range []string{"one", "", "three"} {
			require.NoError(t, WriteFileAtomic(fs, name, []byte(data)))
			require.Equal(t, data, content(t, fs, name))
		}
		_, err := ReadFile(fs, name, 4)
		require.ErrorContains(t, err, "5 bytes")
		_, err = ReadFile(fs, name+"x", 4)
		require.True(t, IsNotExist(err))
		require.NoError(t, fs.SyncFS(dir))
	})
}

func TestOnlyTheMachineHasDescriptors(t *testing.T) {
	both(t, func(t *testing.T, fs FS, dir string) {
		f := put(t, fs, fs.PathJoin(dir, "f"), "x")
		_, ok := Fd(f)
		require.Equal(t, fs == OS, ok)
		require.NoError(t, f.Close())
	})
}

func TestCrashForgetsWhatWasNotSynced(t *testing.T) {
	m := NewMem()
	require.NoError(t, MkdirAllSync(m, "/a/b"))
	f := put(t, m, "/a/b/f", "synced")
	require.NoError(t, f.Sync())
	require.NoError(t, SyncDir(m, "/a/b"))
	_, err := f.WriteAt([]byte("more"), 6)
	require.NoError(t, err)
	require.NoError(t, put(t, m, "/a/b/g", "nameless").Close())
	c := m.CrashClone(vfs.CrashCloneCfg{})
	require.Equal(t, "synced", content(t, c, "/a/b/f"))
	_, err = c.Stat("/a/b/g")
	require.True(t, IsNotExist(err))
	require.NoError(t, m.SyncFS("/a"))
	c = m.CrashClone(vfs.CrashCloneCfg{})
	require.Equal(t, "syncedmore", content(t, c, "/a/b/f"))
	require.Equal(t, "nameless", content(t, c, "/a/b/g"))
	require.NoError(t, f.Close())
}

func TestTruncateIsDurableOnceSynced(t *testing.T) {
	m := NewMem()
	require.NoError(t, MkdirAllSync(m, "/a"))
	require.NoError(t, put(t, m, "/a/f", "hello world").Close())
	require.NoError(t, m.SyncFS("/"))
	require.NoError(t, m.Truncate("/a/f", 5))
	require.Equal(t, "hello world", content(t, m.CrashClone(vfs.CrashCloneCfg{}), "/a/f"))
	f, err := m.OpenReadWrite("/a/f", Category)
	require.NoError(t, err)
	require.NoError(t, f.Sync())
	require.NoError(t, f.Close())
	require.NoError(t, SyncDir(m, "/a"))
	require.Equal(t, "hello", content(t, m.CrashClone(vfs.CrashCloneCfg{}), "/a/f"))
}

// TestEverySyncOfWriteFileAtomicMatters crashes after a replacement in which one sync did nothing.
func TestEverySyncOfWriteFileAtomicMatters(t *testing.T) {
	for _, skipped := range []Op{"", OpSync, OpSyncDir} {
		m := NewMem()
		require.NoError(t, MkdirAllSync(m, "/a"))
		require.NoError(t, WriteFileAtomic(m, "/a/f", []byte("old")))
		m.SkipSyncs(func(op Op, path string) bool { return op == skipped && strings.HasPrefix(path, "/a") })
		require.NoError(t, WriteFileAtomic(m, "/a/f", []byte("new")))
		got := content(t, m.CrashClone(vfs.CrashCloneCfg{}), "/a/f")
		require.Equal(t, skipped == "", got == "new", "skipped %q, got %q", skipped, got)
	}
}

func TestInjectedFaultsAreReturned(t *testing.T) {
	m := NewMem()
	f := put(t, m, "/f", "x")
	m.Inject(func(op Op, path string) error {
		if op == OpWrite && path == "/f" {
			return syscall.ENOSPC
		}
		return nil
	})
	_, err := f.WriteAt([]byte("y"), 1)
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.NoError(t, f.Sync())
	m.Inject(nil)
	_, err = f.WriteAt([]byte("y"), 1)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

func TestPebbleSurvivesACrash(t *testing.T) {
	m := NewMem()
	db, err := pebble.Open("/db", &pebble.Options{FS: m, Logger: quiet{t}})
	require.NoError(t, err)
	require.NoError(t, db.Set([]byte("k"), []byte("v"), pebble.Sync))
	c := m.CrashClone(vfs.CrashCloneCfg{})
	require.NoError(t, db.Close())
	db, err = pebble.Open("/db", &pebble.Options{FS: c, Logger: quiet{t}})
	require.NoError(t, err)
	v, closer, err := db.Get([]byte("k"))
	require.NoError(t, err)
	require.Equal(t, "v", string(v))
	require.NoError(t, errors.Join(closer.Close(), db.Close()))
}

type quiet struct{ t *testing.T }

func (quiet) Infof(string, ...any)                {}
func (quiet) Errorf(string, ...any)               {}
func (q quiet) Fatalf(format string, args ...any) { q.t.Errorf(format, args...) }
