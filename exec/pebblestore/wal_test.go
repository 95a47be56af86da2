package pebblestore

import (
	"encoding/binary"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/internal/fsys"
)

// TestAFullDiskStopsTheNodeAndLeavesNoGap: what is committed after the write-ahead log has failed is lost with the process, and so is what comes when there is room again.
func TestAFullDiskStopsTheNodeAndLeavesNoGap(t *testing.T) {
	fs := fsys.NewMem()
	fatal := make(chan error, 1)
	s, err := Open(Options{FS: fs, Dir: "state", MemTableBytes: 64 << 10, OnFatal: func(err error) { fatal <- err }})
	require.NoError(t, err)
	p, err := s.Partition(exec.StateID{Object: 1})
	require.NoError(t, err)
	n := uint64(0)
	commit := func() {
		b := p.NewBatch(0, 0)
		b.Set(1, binary.BigEndian.AppendUint64(nil, n), make([]byte, 1000))
		require.NoError(t, b.Commit())
		n++
	}
	for range 10 {
		commit()
	}
	fs.Inject(func(op fsys.Op, path string) error {
		if (op == fsys.OpWrite || op == fsys.OpCreate) && strings.HasSuffix(path, walSuffix) {
			return syscall.ENOSPC
		}
		return nil
	})
	deadline := time.After(time.Minute)
	for waiting := true; waiting; {
		select {
		case err := <-fatal:
			require.ErrorIs(t, err, syscall.ENOSPC)
			waiting = false
		case <-deadline:
			t.Fatal("nobody is told")
		default:
			commit()
		}
	}
	for range 200 { // several memtables, and logs, one after another
		commit()
	}
	fs.Inject(nil)
	for range 200 {
		commit()
	}
	require.NoError(t, p.Close())
	require.NoError(t, s.Close())

	s = open(t, fs)
	p, err = s.Partition(exec.StateID{Object: 1})
	require.NoError(t, err)
	it, err := p.Iter(1, nil, nil)
	require.NoError(t, err)
	next := uint64(0)
	for it.Next() {
		require.Equal(t, next, binary.BigEndian.Uint64(it.Key()))
		next++
	}
	require.NoError(t, it.Close())
	require.Less(t, next, n) // all is gone if Pebble takes the end of a log that another follows for damage
	require.NoError(t, p.Close())
	require.NoError(t, s.Close())
}
