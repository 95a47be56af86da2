package pebblestore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/internal/fsys"
)

// Limits of a store's memory when Options leave them open.
const (
	DefaultCacheBytes    = 64 << 20
	DefaultMemTableBytes = 16 << 20
	memTablesBeforeStall = 4
	maxOpenTables        = 500
)

// errFatal is what a failed store answers to everything.
var errFatal = errors.New("the state store has failed")

// Options say where and how large a store is.
type Options struct {
	FS  fsys.FS
	Dir string
	// CacheBytes and MemTableBytes are this store's share of the node's memory budget, in bytes.
	CacheBytes    int64
	MemTableBytes uint64
	Logger        *slog.Logger
	// OnFatal is called once, from any goroutine, when Pebble can not go on (a failed write, damage): the node must stop in
	// order. The call that met the failure does not return to its caller; deferred functions run. After a failed write of the write-ahead log all goes on, and what is committed since is lost at the end.
	OnFatal func(error)
}

// Store is exec.StateStore. It is safe for concurrent use.
type Store struct {
	db      *pebble.DB
	log     *logger
	fs      vfs.FS
	dir     string
	options *pebble.Options
	loads   atomic.Int64 // how many were begun
	// cut is held to take a snapshot, and exclusively while a load comes in: its rows and its mark are two steps.
	cut sync.RWMutex
	mu  struct {
		sync.Mutex
		open      map[exec.StateID]struct{}
		snapshots int
	}
}

var _ exec.StateStore = (*Store)(nil)

// Open opens the store in o.Dir, which it makes if it is missing. A store that is damaged is deleted and made anew: what it held is computed
// again from changelogs and topics.
func Open(o Options) (*Store, error) {
	if o.CacheBytes == 0 {
		o.CacheBytes = DefaultCacheBytes
	}
	if o.MemTableBytes == 0 {
		o.MemTableBytes = DefaultMemTableBytes
	}
	l := newLogger(o)
	po := &pebble.Options{
		FS: &walFS{fsys.ForPebble(o.FS), &atomic.Bool{}, l.fatal}, CacheSize: o.CacheBytes, MemTableSize: o.MemTableBytes, MemTableStopWritesThreshold: memTablesBeforeStall,
		MaxOpenFiles: maxOpenTables, L0CompactionThreshold: 8, L0StopWritesThreshold: 24,
		FormatMajorVersion: pebble.FormatNewest, Logger: l,
	}
	for i := range po.Levels {
		po.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		po.Levels[i].Compression = func() *sstable.CompressionProfile { return sstable.FastestCompression }
	}
	// What is flushed is soon compacted: to compress it would cost more than the space is worth.
	po.Levels[0].Compression = func() *sstable.CompressionProfile { return sstable.NoCompression }
	po.EnsureDefaults()
	db, err := l.open(o.Dir, po)
	if err != nil && damaged(err) {
		if o.Logger != nil {
			o.Logger.Warn("the local state is damaged and will be rebuilt", "dir", o.Dir, "err", err)
		}
		if err = o.FS.RemoveAll(o.Dir); err == nil {
			db, err = l.open(o.Dir, po)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open state store %s: %w", o.Dir, err)
	}
	s := &Store{db: db, log: l, fs: po.FS, dir: o.Dir, options: po}
	s.mu.open = map[exec.StateID]struct{}{}
	if err := s.removeLoads(); err != nil {
		return nil, errors.Join(fmt.Errorf("open state store %s: %w", o.Dir, err), db.Close())
	}
	return s, nil
}

// damaged reports whether err, of opening a store, is about what its files hold or that one is missing, and not a refusal of the system. That
// nobody else has it open is the data directory's lock to say.
func damaged(err error) bool {
	var errno syscall.Errno
	return errors.Is(err, os.ErrNotExist) || !errors.As(err, &errno) && !errors.Is(err, errFatal)
}

// Partition opens the state of id; only one opener at a time.
func (s *Store) Partition(id exec.StateID) (exec.StatePartition, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.mu.open[id]; taken {
		return nil, fmt.Errorf("state %+v is open already", id)
	}
	s.mu.open[id] = struct{}{}
	return &partition{reader: newReader(s.db, id), store: s, id: id}, nil
}

func (s *Store) release(id exec.StateID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.mu.open, id)
}

// Reader reads the state of id as it is at each call. It is for one goroutine, and holds nothing.
func (s *Store) Reader(id exec.StateID) exec.StateReader {
	r := newReader(s.db, id)
	return &r
}

// Snapshot returns a cut of what all tasks have committed.
func (s *Store) Snapshot() exec.StateSnapshot {
	s.cut.RLock()
	defer s.cut.RUnlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.snapshots++
	return &snapshot{snap: s.db.NewSnapshot(), store: s}
}

// Drop deletes all state of object. Its partitions must be closed.
func (s *Store) Drop(object uint64) error {
	start := binary.BigEndian.AppendUint64(nil, object)
	end := prefixEnd(start)
	if end == nil {
		return fmt.Errorf("drop state: %d is not an object", object)
	}
	return s.db.DeleteRange(start, end, pebble.NoSync)
}

// Objects returns the objects that have state, in ascending order. It looks at one key of each.
func (s *Store) Objects() (objects []uint64, err error) {
	it, err := s.db.NewIter(nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok && len(it.Key()) >= objectLen; {
		object := binary.BigEndian.Uint64(it.Key())
		objects = append(objects, object)
		if object == math.MaxUint64 {
			break
		}
		ok = it.SeekGE(binary.BigEndian.AppendUint64(nil, object+1))
	}
	return objects, it.Error()
}

// Metrics returns the bytes that the store uses on disk and in memory.
func (s *Store) Metrics() (disk, memory uint64) {
	m := s.db.Metrics()
	return m.DiskSpaceUsage(), m.MemTable.Size + uint64(m.BlockCache.Size)
}

// Close closes the store. Partitions or snapshots still open are an error, and the store is closed all the same.
func (s *Store) Close() error {
	s.mu.Lock()
	partitions, snapshots := len(s.mu.open), s.mu.snapshots
	s.mu.Unlock()
	var leak error
	if partitions+snapshots > 0 {
		leak = fmt.Errorf("state store closed with %d partitions and %d snapshots open", partitions, snapshots)
	}
	return errors.Join(leak, s.log.survive(s.db.Close))
}

// logger hands Pebble's words to slog and its Fatalf to the node.
type logger struct {
	log    *slog.Logger
	once   sync.Once
	on     func(error)
	failed atomic.Pointer[error] // what on was told
}

func newLogger(o Options) *logger {
	l := &logger{log: o.Logger, on: o.OnFatal}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	return l
}

func (l *logger) Infof(format string, args ...any)  { l.log.Debug(fmt.Sprintf(format, args...)) }
func (l *logger) Errorf(format string, args ...any) { l.log.Error(fmt.Sprintf(format, args...)) }

// Fatalf must not return, since Pebble's invariants may be broken: it ends the goroutine, not the process.
func (l *logger) Fatalf(format string, args ...any) {
	err := fmt.Errorf("%w: %s", errFatal, fmt.Sprintf(format, args...))
	l.log.Error(err.Error())
	l.fatal(err)
	runtime.Goexit()
}

// fatal tells the node to stop, once.
func (l *logger) fatal(err error) {
	l.once.Do(func() {
		l.failed.Store(&err)
		if l.on != nil {
			l.on(err)
		}
	})
}

func (l *logger) open(dir string, o *pebble.Options) (db *pebble.DB, err error) {
	err = l.survive(func() (err error) {
		db, err = pebble.Open(dir, o)
		return err
	})
	return db, err
}

// survive runs f where Fatalf ends f's goroutine and not the caller's, who starts or stops the node and has to come back to say why it cannot.
func (l *logger) survive(f func() error) error {
	done := make(chan error)
	go func() {
		err := errFatal
		defer func() {
			if failed := l.failed.Load(); failed != nil && errors.Is(err, errFatal) {
				err = *failed
			}
			done <- err
		}()
		err = f()
	}()
	return <-done
}
