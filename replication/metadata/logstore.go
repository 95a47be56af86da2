package metadata

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/hashicorp/raft"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/fsys"
)

// StallLimit is how long a write of the metadata log may take. A disk that hangs longer would keep a leadership that it cannot use, so the
// process ends.
const StallLimit = 5 * time.Second

// metaFormat is fixed, so that a newer Pebble does not by itself make a directory unreadable for the release before.
const metaFormat = pebble.FormatValueSeparation

const (
	metaMemTable  = 1 << 20
	metaCache     = 1 << 20
	snapshotChunk = 256 << 10
)

// Keys of the Pebble database: one letter, then as below.
const (
	prefixLog      = 'l' // index, 8 bytes big-endian -> entry
	prefixStable   = 's' // raft's key -> value
	prefixSnapMeta = 'm' // snapshot id -> meta; written last, so a snapshot without it is not there
	prefixSnapData = 'd' // snapshot id, chunk number 4 bytes big-endian -> bytes
)

// store is raft's log, stable and snapshot store over one Pebble database. Each write is synced before it returns, but the chunks of a snapshot,
// which the sync of its meta record covers.
type store struct {
	db      *pebble.DB
	clk     clock.Clock
	onFatal func(error)
	wg      sync.WaitGroup // watchdogs
	ending  chan struct{}  // closed when raft has been told to shut down
	running atomic.Bool    // raft's goroutines use it

	mu struct {
		sync.Mutex
		first, last uint64 // of the log; 0, 0 when it is empty
		failed      error  // the first failed write; all later ones answer it
	}
}

var (
	_ raft.LogStore      = (*store)(nil)
	_ raft.StableStore   = (*store)(nil)
	_ raft.SnapshotStore = (*store)(nil)
)

// openStore opens the database in dir, making it if it is not there.
func openStore(fs fsys.FS, dir string, clk clock.Clock, logger *slog.Logger, onFatal func(error)) (*store, error) {
	s := &store{clk: clk, onFatal: onFatal, ending: make(chan struct{})}
	opts := &pebble.Options{
		FS:                          fsys.ForPebble(fs),
		FormatMajorVersion:          metaFormat,
		MemTableSize:                metaMemTable,
		CacheSize:                   metaCache,
		MaxOpenFiles:                64,
		MemTableStopWritesThreshold: 4,
		Logger:                      pebbleLog{s, logger},
	}
	db, err := pebble.Open(dir, opts)
	if err != nil {
		return nil, fmt.Errorf("metadata: opening %s: %w", dir, err)
	}
	s.db = db
	if err := s.loadBounds(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

func (s *store) close() error {
	s.wg.Wait()
	return s.db.Close()
}

// pebbleLog passes Pebble's complaints on. Pebble's Fatalf must not return to a healthy program; here it marks the store as failed, so that
// no write of it is believed, and ends the process in order.
type pebbleLog struct {
	s   *store
	log *slog.Logger
}

func (l pebbleLog) Infof(format string, args ...any) {
	l.log.Debug("metadata store", "msg", fmt.Sprintf(format, args...))
}

func (l pebbleLog) Errorf(format string, args ...any) {
	l.log.Error("metadata store", "msg", fmt.Sprintf(format, args...))
}

func (l pebbleLog) Fatalf(format string, args ...any) {
	l.s.fail(fmt.Errorf("metadata: store: "+format, args...))
}

func (s *store) fail(err error) {
	if s.refuse(err) {
		s.onFatal(err)
	}
}

// refuse has all later writes answer err, and reports whether none had failed before.
func (s *store) refuse(err error) (first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.failed != nil {
		return false
	}
	s.mu.failed = err
	return true
}

func (s *store) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.failed
}

// write commits b durably. A failed write is never tried again: what it left is not known.
func (s *store) write(b *pebble.Batch, wo *pebble.WriteOptions) error {
	if err := s.failure(); err != nil {
		return err
	}
	timer, done := s.clk.NewTimer(StallLimit), make(chan struct{})
	s.wg.Go(func() {
		defer timer.Stop()
		select {
		case <-timer.C():
			s.fail(fmt.Errorf("metadata: a write took longer than %v", StallLimit))
		case <-done:
		}
	})
	err := b.Commit(wo)
	close(done)
	if err != nil {
		s.fail(fmt.Errorf("metadata: store: %w", err))
	}
	return s.failure()
}

func logKey(index uint64) []byte { return binary.BigEndian.AppendUint64([]byte{prefixLog}, index) }

func (s *store) loadBounds() error {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixLog}, UpperBound: []byte{prefixLog + 1}})
	if err != nil {
		return err
	}
	if it.First() {
		s.mu.first = binary.BigEndian.Uint64(it.Key()[1:])
	}
	if it.Last() {
		s.mu.last = binary.BigEndian.Uint64(it.Key()[1:])
	}
	return errors.Join(it.Error(), it.Close())
}

func (s *store) FirstIndex() (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.first, nil
}

func (s *store) LastIndex() (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.last, nil
}

func (s *store) GetLog(index uint64, l *raft.Log) error {
	v, closer, err := s.db.Get(logKey(index))
	if errors.Is(err, pebble.ErrNotFound) {
		return raft.ErrLogNotFound
	}
	if err != nil {
		return err
	}
	return errors.Join(decodeLog(v, index, l), closer.Close())
}

func (s *store) StoreLog(l *raft.Log) error { return s.StoreLogs([]*raft.Log{l}) }

func (s *store) StoreLogs(ls []*raft.Log) error {
	if len(ls) == 0 {
		return nil
	}
	b := s.db.NewBatch()
	defer func() { _ = b.Close() }() // it holds memory only
	for _, l := range ls {
		if err := b.Set(logKey(l.Index), encodeLog(l), nil); err != nil {
			return err
		}
	}
	if err := s.write(b, pebble.Sync); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.first == 0 {
		s.mu.first = ls[0].Index
	}
	s.mu.last = ls[len(ls)-1].Index
	return nil
}

// DeleteRange deletes the entries from low to high, both included.
func (s *store) DeleteRange(low, high uint64) error {
	b := s.db.NewBatch()
	defer func() { _ = b.Close() }() // it holds memory only
	if err := b.DeleteRange(logKey(low), logKey(high+1), nil); err != nil {
		return err
	}
	if err := s.write(b, pebble.Sync); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if low <= s.mu.first {
		s.mu.first = high + 1
	}
	if high >= s.mu.last {
		s.mu.last = low - 1
	}
	if s.mu.first > s.mu.last {
		s.mu.first, s.mu.last = 0, 0
	}
	return nil
}

// encodeLog writes an entry of raft's log. AppendedAt is for raft's own statistics and is kept for them.
func encodeLog(l *raft.Log) []byte {
	b := appendUint(nil, 1, l.Term)
	b = appendUint(b, 2, uint64(l.Type))
	b = appendBytes(b, 3, l.Data)
	b = appendBytes(b, 4, l.Extensions)
	if !l.AppendedAt.IsZero() {
		b = appendInt(b, 5, l.AppendedAt.UnixNano())
	}
	return b
}

func decodeLog(b []byte, index uint64, l *raft.Log) error {
	*l = raft.Log{Index: index}
	r := read(b)
	for r.next() {
		switch r.num {
		case 1:
			l.Term = r.uint()
		case 2:
			l.Type = raft.LogType(r.uint())
		case 3:
			l.Data = r.bytes()
		case 4:
			l.Extensions = r.bytes()
		case 5:
			l.AppendedAt = time.Unix(0, r.int())
		}
	}
	return r.done("raft log entry")
}

func stableKey(k []byte) []byte { return append([]byte{prefixStable}, k...) }

// Set saves a term or a vote. One that is there already is not written again: raft does that as it opens.
func (s *store) Set(key, val []byte) error {
	if old, err := s.Get(key); err == nil && len(old) > 0 && bytes.Equal(old, val) {
		return nil
	}
	b := s.db.NewBatch()
	defer func() { _ = b.Close() }() // it holds memory only
	if err := b.Set(stableKey(key), val, nil); err != nil {
		return err
	}
	err := s.write(b, pebble.Sync)
	if err == nil || !s.running.Load() {
		return err
	}
	// Raft panics if a term or vote cannot be saved, and must not go on as if it were. The node has been told to stop: hold raft here until
	// it is shutting down and its connections are closed, when what it believes no longer matters.
	<-s.ending
	return nil
}

// Get answers with an empty slice for a key that is not there.
func (s *store) Get(key []byte) ([]byte, error) {
	v, closer, err := s.db.Get(stableKey(key))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return append([]byte(nil), v...), closer.Close()
}

func (s *store) SetUint64(key []byte, val uint64) error {
	if old, err := s.GetUint64(key); err == nil && old == val {
		return nil // also 0, which is what is not there
	}
	return s.Set(key, protowire.AppendVarint(nil, val))
}

func (s *store) GetUint64(key []byte) (uint64, error) {
	b, err := s.Get(key)
	if err != nil || len(b) == 0 {
		return 0, err
	}
	v, n := protowire.ConsumeVarint(b)
	if n < 0 {
		return 0, fmt.Errorf("metadata: stable value %q: %w", key, errMalformed)
	}
	return v, nil
}
