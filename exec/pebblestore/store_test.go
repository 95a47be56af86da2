package pebblestore

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/internal/fsys"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t require.TestingT, fs fsys.FS) *Store {
	s, err := Open(Options{FS: fs, Dir: "state"})
	require.NoError(t, err)
	return s
}

func testFS() fsys.FS { return fsys.NewMem() }

func scan(t require.TestingT, r exec.StateReader, op uint32, lower, upper []byte) []string {
	it, err := r.Iter(op, lower, upper)
	require.NoError(t, err)
	var got []string
	for it.Next() {
		got = append(got, string(it.Key())+"="+string(it.Value()))
	}
	require.NoError(t, it.Err())
	require.NoError(t, it.Close())
	return got
}

// TestPartitionsBehaveAsSortedMaps compares random histories of two partitions with plain maps, through reopening.
func TestPartitionsBehaveAsSortedMaps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fs := testFS()
		s := open(t, fs)
		ids := []exec.StateID{{Object: 1, Fragment: 2, Partition: 0}, {Object: 1, Fragment: 2, Partition: 1}}
		model := []map[string]string{{}, {}}
		parts := openAll(t, s, ids)
		t.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) {
				p := rapid.IntRange(0, 1).Draw(t, "partition")
				b := parts[p].NewBatch(0, 0)
				for range rapid.IntRange(1, 8).Draw(t, "changes") {
					key := rapid.SampledFrom([]string{"", "a", "ab", "b", "\xff", "\xff\xff"}).Draw(t, "key")
					op := rapid.Uint32Range(1, 2).Draw(t, "op")
					if rapid.Bool().Draw(t, "delete") {
						b.Delete(op, []byte(key))
						delete(model[p], fmt.Sprint(op, key))
						continue
					}
					val := rapid.StringN(0, 4, -1).Draw(t, "val")
					b.Set(op, []byte(key), []byte(val))
					model[p][fmt.Sprint(op, key)] = key + "=" + val
				}
				require.NoError(t, b.Commit())
			},
			"clear": func(t *rapid.T) {
				p := rapid.IntRange(0, 1).Draw(t, "partition")
				require.NoError(t, parts[p].Clear())
				clear(model[p])
			},
			"reopen": func(t *rapid.T) {
				closeAll(t, parts)
				require.NoError(t, s.Close())
				s = open(t, fs)
				parts = openAll(t, s, ids)
			},
			"": func(t *rapid.T) {
				for p := range parts {
					for op := uint32(1); op <= 2; op++ {
						var want []string
						for k, v := range model[p] {
							if k[:1] == fmt.Sprint(op) {
								want = append(want, v)
							}
						}
						slices.SortFunc(want, byKey)
						require.Equal(t, want, scan(t, parts[p], op, nil, nil))
					}
				}
			},
		})
		closeAll(t, parts)
		require.NoError(t, s.Close())
	})
}

func byKey(a, b string) int {
	key := func(s string) string { return s[:slices.Index([]byte(s), '=')] }
	switch x, y := key(a), key(b); {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

func openAll(t require.TestingT, s *Store, ids []exec.StateID) []exec.StatePartition {
	var parts []exec.StatePartition
	for _, id := range ids {
		p, err := s.Partition(id)
		require.NoError(t, err)
		parts = append(parts, p)
	}
	return parts
}

func closeAll(t require.TestingT, parts []exec.StatePartition) {
	for _, p := range parts {
		require.NoError(t, p.Close())
	}
}

func TestSnapshotIsOneCutWithItsMark(t *testing.T) {
	s := open(t, testFS())
	id := exec.StateID{Object: 7}
	p, err := s.Partition(id)
	require.NoError(t, err)
	mark := exec.Mark{
		Inputs:    []exec.PartitionOffset{{TopicPartition: exec.TopicPartition{Topic: "in", Partition: 3}, Offset: 12}},
		Changelog: 5, ChangelogEpoch: 2, Extra: []byte("times"),
	}
	write := func(val string, m exec.Mark) {
		b := p.NewBatch(0, 0)
		b.Set(1, []byte("k"), []byte(val))
		b.SetMark(m)
		require.NoError(t, b.Commit())
	}
	write("old", mark)
	snap := s.Snapshot()
	write("new", exec.Mark{Changelog: 6})

	r, m, ok, err := snap.Partition(id)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, mark, m)
	require.Equal(t, []string{"k=old"}, scan(t, r, 1, nil, nil))
	_, _, ok, err = snap.Partition(exec.StateID{Object: 8})
	require.NoError(t, err)
	require.False(t, ok, "a partition without a mark is empty")

	require.NoError(t, s.mustFailOpen(id), "opening twice is refused")
	require.NoError(t, snap.Close())
	require.NoError(t, p.Close())
	require.NoError(t, s.Close())
}

func (s *Store) mustFailOpen(id exec.StateID) error {
	if _, err := s.Partition(id); err == nil {
		return fmt.Errorf("a second opener got in")
	}
	return nil
}

func TestDropTakesOneObjectOnly(t *testing.T) {
	s := open(t, testFS())
	parts := openAll(t, s, []exec.StateID{{Object: 1}, {Object: 1, Fragment: 1}, {Object: 2}})
	for _, p := range parts {
		b := p.NewBatch(0, 0)
		b.Set(1, []byte("k"), []byte("v"))
		require.NoError(t, b.Commit())
	}
	require.NoError(t, s.Drop(1))
	require.Empty(t, scan(t, parts[0], 1, nil, nil))
	require.Empty(t, scan(t, parts[1], 1, nil, nil))
	require.Equal(t, []string{"k=v"}, scan(t, parts[2], 1, nil, nil))
	closeAll(t, parts)
	require.NoError(t, s.Close())
}

func TestCloseReportsWhatIsOpen(t *testing.T) {
	s := open(t, testFS())
	p, err := s.Partition(exec.StateID{Object: 1})
	require.NoError(t, err)
	require.ErrorContains(t, s.Close(), "1 partitions")
	require.NoError(t, p.Close())
}

func FuzzDecodeMark(f *testing.F) {
	f.Add(appendMark(nil, exec.Mark{Inputs: []exec.PartitionOffset{{Offset: 1}}, Extra: []byte{1}}))
	f.Fuzz(func(t *testing.T, src []byte) {
		m, err := decodeMark(src)
		if err != nil {
			require.ErrorIs(t, err, errCorruptMark)
			return
		}
		again, err := decodeMark(appendMark(nil, m))
		require.NoError(t, err)
		require.Equal(t, m, again)
	})
}

func TestDamagedStoreIsMadeAnew(t *testing.T) {
	fs := fsys.NewMem()
	s := open(t, fs)
	p, err := s.Partition(exec.StateID{Object: 1})
	require.NoError(t, err)
	b := p.NewBatch(0, 0)
	b.Set(1, []byte("k"), []byte("v"))
	require.NoError(t, b.Commit())
	require.NoError(t, p.Close())
	require.NoError(t, s.Close())
	names, err := fs.List("state")
	require.NoError(t, err)
	for _, name := range names {
		if strings.HasPrefix(name, "MANIFEST") {
			require.NoError(t, fsys.WriteFileAtomic(fs, fs.PathJoin("state", name), []byte("no manifest")))
		}
	}
	s = open(t, fs)
	p, err = s.Partition(exec.StateID{Object: 1})
	require.NoError(t, err)
	require.Empty(t, scan(t, p, 1, nil, nil))
	require.NoError(t, p.Close())
	require.NoError(t, s.Close())

	fs.Inject(func(op fsys.Op, _ string) error {
		if op == fsys.OpRead {
			return syscall.EIO
		}
		return nil
	})
	_, err = Open(Options{FS: fs, Dir: "state"})
	require.ErrorIs(t, err, syscall.EIO, "what the disk refuses is no damage")
}

// TestAFailureOfOpeningComesBackToWhoOpens: Pebble reports some of them by a call that must not return, and the goroutine that starts a node has to.
func TestAFailureOfOpeningComesBackToWhoOpens(t *testing.T) {
	fs := fsys.NewMem()
	fs.Inject(func(op fsys.Op, path string) error {
		if op == fsys.OpCreate && strings.Contains(path, "marker.manifest") {
			return syscall.EMFILE
		}
		return nil
	})
	var told error
	_, err := Open(Options{FS: fs, Dir: "state", OnFatal: func(err error) { told = err }})
	require.ErrorIs(t, err, told)
	require.ErrorContains(t, err, syscall.EMFILE.Error())
	fs.Inject(nil)
	s, err := Open(Options{FS: fs, Dir: "state"})
	require.NoError(t, err)
	require.NoError(t, s.Close())
}
