package log

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millracedb/millrace/internal/fsys"
)

// Log is the durable log of one partition. It is safe for concurrent use; see the package comment for its locks.
type Log struct {
	opts   Options
	dir    string
	logger *slog.Logger
	tail   tail

	appendMu sync.Mutex // one writer: append, roll, truncate, retention, the swap of a compaction
	syncMu   sync.Mutex // one sync; also held while files are cut
	scratch  []written  // batches of the append under way; guarded by appendMu

	mu struct {
		sync.Mutex
		config      Config
		segments    []*segment // ascending; the last is active; never empty
		logStart    int64
		leo         int64
		synced      int64 // everything below it has been synced: the recovery point
		durable     int64 // synced, or leo under FsyncInterval
		hw          int64
		cleanPoint  int64
		producers   producerTable
		epochs      epochCache
		dirDirty    bool // names in the directory are not synced yet
		syncState   syncState
		durableWait chan struct{} // closed when durable moves or the log fails; nil if nobody waits
		failure     error         // why writes are refused for good
		damage      *Damage
		readers     int // chunks that are not released
		compacting  bool
		touched     bool      // something changed since an orderly stop
		flushedAt   time.Time // when flush.ms last asked for a sync
		closed      bool
	}
}

// Open opens or creates the log in opts.Dir and recovers it: see the package comment. A damaged log opens too, and tells so by
// Damage. The files must not be open already.
func Open(opts Options) (*Log, error) {
	if err := opts.withDefaults(); err != nil {
		return nil, err
	}
	l := &Log{opts: opts, dir: opts.Dir, logger: opts.Logger.With("dir", opts.Dir)}
	l.tail.cache = opts.Cache
	l.mu.config = opts.Config
	err := l.load(false)
	if isDamage(err) {
		l.logger.Warn("all segments are scanned: one cannot be read", "error", err)
		err = errors.Join(l.closeFiles(), l.load(true))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open log %s: %w", opts.Dir, err), l.closeFiles())
	}
	return l, nil
}

// Close syncs the log, writes its indexes and a producer snapshot, and closes its files, so that the next Open needs no scan;
// then it audits: a chunk that was not released is an error. Readers of chunks may finish afterwards. The log must not be used
// after.
func (l *Log) Close() error {
	l.appendMu.Lock()
	defer l.appendMu.Unlock()
	l.mu.Lock()
	if l.mu.closed {
		l.mu.Unlock()
		return ErrClosed
	}
	l.mu.closed = true
	failure, readers, compacting, touched := l.failureLocked(), l.mu.readers, l.mu.compacting, l.mu.touched
	l.wakeLocked()
	l.mu.Unlock()
	var errs []error
	if failure == nil && touched {
		errs = append(errs, l.closeOrderly())
	}
	l.tail.clear()
	l.syncMu.Lock() // no sync runs on the files any more
	defer l.syncMu.Unlock()
	errs = append(errs, l.closeFiles())
	if readers > 0 {
		errs = append(errs, fmt.Errorf("log %s closed with %d unreleased chunks", l.dir, readers))
	}
	if compacting {
		errs = append(errs, fmt.Errorf("log %s closed while it is compacted", l.dir))
	}
	return errors.Join(errs...)
}

// Discard closes the log without making anything durable: its files are about to be removed.
func (l *Log) Discard() error {
	l.appendMu.Lock()
	defer l.appendMu.Unlock()
	l.mu.Lock()
	if l.mu.closed {
		l.mu.Unlock()
		return ErrClosed
	}
	l.mu.closed = true
	l.wakeLocked()
	l.mu.Unlock()
	l.tail.clear()
	l.syncMu.Lock()
	defer l.syncMu.Unlock()
	// A sync that is queued still comes by. It must find nothing to do: its directory may be gone by then, and a sync that fails takes the
	// whole data directory offline.
	l.mu.Lock()
	l.mu.dirDirty = false
	l.mu.Unlock()
	return l.closeFiles()
}

// closeOrderly writes what a start without a scan needs, and syncs everything.
func (l *Log) closeOrderly() error {
	active := l.active()
	if err := l.trimActive(active); err != nil {
		return err
	}
	if err := l.snapshotProducers(); err != nil {
		return err
	}
	if err := l.seal(active); err != nil { // so that the sync takes the indexes too
		return err
	}
	l.mu.Lock()
	l.namesChangedLocked()
	l.mu.Unlock()
	l.runSync()
	return l.Failure()
}

func (l *Log) closeFiles() error {
	var errs []error
	l.mu.Lock()
	segments := l.mu.segments
	l.mu.segments = nil
	l.mu.Unlock()
	for _, s := range segments {
		errs = append(errs, s.file.release())
	}
	return errors.Join(errs...)
}

// active returns the segment that is written. The caller holds appendMu, or mu.
func (l *Log) active() *segment { return l.mu.segments[len(l.mu.segments)-1] }

// failureLocked returns why the log takes no writes, or nil.
func (l *Log) failureLocked() error {
	switch {
	case l.mu.damage != nil && !l.mu.damage.Within:
		return l.mu.damage
	case l.mu.failure != nil:
		return l.mu.failure
	}
	if err := l.opts.Sync.Failed(); err != nil {
		return storageError(ErrOffline, err)
	}
	return nil
}

// Failure returns why the log takes no writes for good: an error that is ErrOffline or ErrDamaged; nil if it does.
func (l *Log) Failure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failureLocked()
}

// Damage returns where the log is damaged, or nil.
func (l *Log) Damage() *Damage {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.damage
}

// fail takes the log offline and returns the error to answer with.
func (l *Log) fail(err error) error {
	err = storageError(ErrOffline, err)
	l.logger.Error("log goes offline", "error", err)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.failure == nil {
		l.mu.failure = err
	}
	l.wakeLocked()
	return err
}

// LEO returns the log end offset: that of the next record.
func (l *Log) LEO() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.leo
}

// LogStart returns the first offset that can be read.
func (l *Log) LogStart() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.logStart
}

// CleanPoint returns the offset up to which the log has been compacted, for the checkpoint.
func (l *Log) CleanPoint() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.cleanPoint
}

// Size returns the bytes in all segments.
func (l *Log) Size() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	var size int64
	for _, s := range l.mu.segments {
		size += s.size
	}
	return size
}

// Config returns the settings in force, defaults filled in.
func (l *Log) Config() Config {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.config
}

// SetConfig puts new settings in force. It refuses invalid ones.
func (l *Log) SetConfig(c Config) error {
	c = c.WithDefaults()
	if err := c.Validate(); err != nil {
		return err
	}
	l.mu.Lock()
	l.mu.config = c
	l.mu.Unlock()
	if c.Fsync == FsyncCommit {
		l.RequestSync() // what was written under interval
	}
	return nil
}

// SetHighWatermark tells the log that everything below hw is on every in-sync replica. It never goes down. Retention and
// compaction stop there.
func (l *Log) SetHighWatermark(hw int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if hw > l.mu.hw {
		l.mu.hw = min(hw, l.mu.leo)
		l.mu.producers.settle(l.mu.hw)
	}
}

// HighWatermark returns what SetHighWatermark has set.
func (l *Log) HighWatermark() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.hw
}

// LastStableOffset returns the offset below which everything belongs to finished transactions, given the high watermark hw:
// the first offset of the earliest transaction that is open or whose marker is not below hw, at most hw.
func (l *Log) LastStableOffset(hw int64) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.producers.firstUnstable(hw, min(hw, l.mu.leo))
}

// trimActive cuts off what a failed write has left beyond the last whole batch. The caller holds appendMu.
func (l *Log) trimActive(s *segment) error {
	st, err := s.file.Stat()
	if err != nil || st.Size() <= s.size {
		return err
	}
	if err := l.opts.FS.Truncate(s.path, s.size); err != nil {
		return err
	}
	return l.reopen(s)
}

// reopen replaces a segment's handle after a truncation. The caller holds appendMu.
func (l *Log) reopen(s *segment) error {
	file, err := openHandle(l.opts.FS, s.path)
	if err != nil {
		return err
	}
	l.mu.Lock()
	old := s.file
	s.file = file
	l.namesChangedLocked()
	l.mu.Unlock()
	return old.release()
}

// outOfRange returns the error for an offset outside the log.
func (l *Log) outOfRangeLocked(offset int64) error {
	return fmt.Errorf("offset %d is not within %d and %d: %w", offset, l.mu.logStart, l.mu.leo, kerr.OffsetOutOfRange)
}

// syncDir makes the names of the partition's files durable.
func (l *Log) syncDir() error { return fsys.SyncDir(l.opts.FS, l.dir) }
