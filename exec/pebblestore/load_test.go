package pebblestore

import (
	"encoding/binary"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/internal/fsys"
)

// addRows adds the rows of op 1 with the keys from first to before end, which hold round.
func addRows(b exec.StateBatch, first, end uint32, round byte) {
	for k := first; k < end; k++ {
		b.Set(1, binary.BigEndian.AppendUint32(nil, k), []byte{round})
	}
}

func loadFiles(t require.TestingT, fs fsys.FS) []string {
	names, err := fs.List("state")
	require.NoError(t, err)
	return slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(name, loadPrefix) })
}

// TestALoadReplacesAndRemovesRows mixes loads and batches over the same keys, given up ones too.
func TestALoadReplacesAndRemovesRows(t *testing.T) {
	fs := fsys.NewMem()
	s := open(t, fs)
	object := uint64(0)
	rapid.Check(t, func(t *rapid.T) {
		object++
		p, err := s.Partition(exec.StateID{Object: object})
		require.NoError(t, err)
		model := map[string]string{}
		at := int64(0)
		write := func() {
			var b exec.StateBatch = p.NewBatch(0, 0)
			if rapid.Bool().Draw(t, "load") {
				require.NoError(t, b.Close())
				b = p.NewLoad()
			}
			keep := rapid.IntRange(0, 4).Draw(t, "keep") > 0
			keys := rapid.SliceOfDistinct(rapid.SampledFrom([]string{"", "a", "ab", "b", "c", "\xff", "\xff\xff"}), rapid.ID[string]).Draw(t, "keys")
			slices.Sort(keys)
			for _, key := range keys {
				val, deleted := rapid.StringN(0, 4, -1).Draw(t, "val"), rapid.IntRange(0, 3).Draw(t, "op") == 0
				if deleted {
					b.Delete(1, []byte(key))
				} else {
					b.Set(1, []byte(key), []byte(val))
				}
				switch {
				case keep && deleted:
					delete(model, key)
				case keep:
					model[key] = key + "=" + val
				}
			}
			if !keep {
				require.NoError(t, b.Close())
				return
			}
			at++
			b.SetMark(exec.Mark{Changelog: at})
			require.NoError(t, b.Commit())
		}
		for range rapid.IntRange(1, 6).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0:
				require.NoError(t, p.Clear())
				clear(model)
				at = 0
			case 1:
				require.NoError(t, p.Close())
				require.NoError(t, s.Close())
				s = open(t, fs)
				p, err = s.Partition(exec.StateID{Object: object})
				require.NoError(t, err)
			default:
				write()
			}
			want := slices.SortedFunc(maps.Values(model), byKey)
			require.Equal(t, want, scan(t, p, 1, nil, nil))
			m, ok, err := p.Mark()
			require.NoError(t, err)
			require.Equal(t, at > 0, ok)
			require.Equal(t, at, m.Changelog)
			require.Empty(t, loadFiles(t, fs))
		}
		require.NoError(t, p.Close())
	})
	require.NoError(t, s.Close())
}

// TestASnapshotHasTheRowsOfALoadAndItsMark takes snapshots while loads come in: the mark says how many rows there are.
func TestASnapshotHasTheRowsOfALoadAndItsMark(t *testing.T) {
	s := open(t, fsys.NewMem())
	id := exec.StateID{Object: 1}
	p, err := s.Partition(id)
	require.NoError(t, err)
	const loads, rows = 20, 50
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for running := true; running; {
			select {
			case <-done:
				running = false
			default:
			}
			snap := s.Snapshot()
			r, m, ok, err := snap.Partition(id)
			if err == nil && ok {
				n := int64(0)
				it, err := r.Iter(1, nil, nil)
				for err == nil && it.Next() {
					n++
				}
				if err != nil || it.Err() != nil || it.Close() != nil || n != m.Changelog {
					t.Errorf("%d rows at the mark %d (%v)", n, m.Changelog, err)
				}
			}
			if err != nil || snap.Close() != nil {
				t.Errorf("snapshot: %v", err)
			}
		}
	})
	for n := range uint32(loads) {
		b := p.NewLoad()
		addRows(b, n*rows, (n+1)*rows, 0)
		b.Finish()
		b.SetMark(exec.Mark{Changelog: int64(n+1) * rows})
		require.NoError(t, b.Commit())
	}
	close(done)
	wg.Wait()
	require.NoError(t, p.Close())
	require.NoError(t, s.Close())
}

// TestACrashLeavesNoMarkWithoutItsLoad crashes at every write, sync and link of a few loads: each row is of the mark's load or a later one.
func TestACrashLeavesNoMarkWithoutItsLoad(t *testing.T) {
	const loads, rows = 4, 100
	for _, unsynced := range []int{0, 50, 100} {
		fs := fsys.NewMem()
		var mu sync.Mutex // the database syncs in the background, too
		var crashed []*fsys.Mem
		rnd := rand.New(rand.NewPCG(1, 2))
		s := open(t, fs)
		p, err := s.Partition(exec.StateID{Object: 1})
		require.NoError(t, err)
		fs.Inject(func(op fsys.Op, _ string) error {
			if op == fsys.OpSync || op == fsys.OpLink || op == fsys.OpRemove || op == fsys.OpSyncDir {
				mu.Lock()
				defer mu.Unlock()
				crashed = append(crashed, fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: unsynced, RNG: rnd}))
			}
			return nil
		})
		for n := range byte(loads) {
			b := p.NewLoad()
			addRows(b, 0, rows, n+1)
			b.SetMark(exec.Mark{Changelog: int64(n + 1)})
			require.NoError(t, b.Commit())
		}
		fs.Inject(nil)
		require.NoError(t, p.Close())
		require.NoError(t, s.Close())
		require.NotEmpty(t, crashed)
		for _, left := range crashed {
			s := open(t, left)
			require.Empty(t, loadFiles(t, left))
			p, err := s.Partition(exec.StateID{Object: 1})
			require.NoError(t, err)
			m, ok, err := p.Mark()
			require.NoError(t, err)
			var all []byte
			it, err := p.Iter(1, nil, nil)
			require.NoError(t, err)
			for it.Next() {
				all = append(all, it.Value()[0])
			}
			require.NoError(t, it.Err())
			require.NoError(t, it.Close())
			if ok {
				require.Len(t, all, rows)
				require.GreaterOrEqual(t, int64(slices.Min(all)), m.Changelog)
			}
			require.NoError(t, p.Close())
			require.NoError(t, s.Close())
		}
	}
}

func TestALoadThatCannotBeWrittenStopsTheNode(t *testing.T) {
	for _, failing := range []fsys.Op{fsys.OpCreate, fsys.OpWrite, fsys.OpSync} {
		fs := fsys.NewMem()
		var fatal error
		s, err := Open(Options{FS: fs, Dir: "state", OnFatal: func(err error) { fatal = err }})
		require.NoError(t, err)
		p, err := s.Partition(exec.StateID{Object: 1})
		require.NoError(t, err)
		fs.Inject(func(op fsys.Op, path string) error {
			if op == failing && strings.Contains(path, loadPrefix) {
				return syscall.ENOSPC
			}
			return nil
		})
		b := p.NewLoad()
		addRows(b, 0, 100_000, 1)
		b.SetMark(exec.Mark{Changelog: 1})
		require.ErrorIs(t, b.Commit(), syscall.ENOSPC, failing)
		require.ErrorIs(t, fatal, syscall.ENOSPC, failing)
		fs.Inject(nil)
		_, ok, err := p.Mark()
		require.NoError(t, err)
		require.False(t, ok, failing)
		require.NoError(t, p.Close())
		require.NoError(t, s.Close())
	}
}
