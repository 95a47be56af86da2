package pebblestore

import (
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"github.com/millracedb/millrace/exec"
)

// snapshot is one cut of all partitions.
type snapshot struct {
	snap   *pebble.Snapshot
	store  *Store
	closed bool
}

// Partition reads one partition as of the cut. Each reader returned is for one goroutine.
func (s *snapshot) Partition(id exec.StateID) (exec.StateReader, exec.Mark, bool, error) {
	r := newReader(s.snap, id)
	m, ok, err := r.mark()
	if err != nil || !ok {
		return nil, exec.Mark{}, false, err
	}
	return &r, m, true, nil
}

// Close lets go of the cut.
func (s *snapshot) Close() error {
	if s.closed {
		return errors.New("state snapshot is closed already")
	}
	s.closed = true
	s.store.mu.Lock()
	s.store.mu.snapshots--
	s.store.mu.Unlock()
	return s.snap.Close()
}
