package log

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
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

// syncState is where a log stands with its sync service.
type syncState uint8

const (
	syncIdle    syncState = iota
	syncQueued            // a sync will begin, and will cover what is appended until then
	syncRunning           // a sync is under way
	syncAgain             // one is under way, and another is wanted
)

// Open opens or creates the log in opts.Dir and recovers it: see the package comment. A damaged log opens too, and tells so by
// Damage. The files must not be open already.
func Open(opts Options) (*Log, error) {
	if err := opts.withDefaults(); err != nil {
		return nil, err
	}
	l := &Log{opts: opts, dir: opts.Dir, logger: opts.Logger.With("dir", opts.Dir)}
	l.tail.cache = opts.Cache
	l.mu.config = opts.Config
	if err := l.load(); err != nil {
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
	l.mu.dirDirty = true
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
	case l.mu.damage != nil:
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

// DurableEnd returns the offset below which everything counts as durable: synced, or, under FsyncInterval, written.
func (l *Log) DurableEnd() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.durable
}

// RecoveryPoint returns the end of the last sync, for the checkpoint.
func (l *Log) RecoveryPoint() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.synced
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

// RequestSync asks for a sync of everything appended so far; DurableEnd moves when it is done. It does not wait.
func (l *Log) RequestSync() {
	l.mu.Lock()
	queue := l.requestSyncLocked()
	l.mu.Unlock()
	if queue {
		l.opts.Sync.enqueue(l)
	}
}

// requestSyncLocked notes that a sync is wanted and reports whether the caller must enqueue the log.
func (l *Log) requestSyncLocked() bool {
	if l.mu.closed {
		return false
	}
	switch l.mu.syncState {
	case syncIdle:
		l.mu.syncState = syncQueued
		return true
	case syncRunning:
		l.mu.syncState = syncAgain
	case syncQueued, syncAgain:
	}
	return false
}

// WaitDurable waits until everything below offset is durable. It does not ask for a sync by itself: Append has, under
// FsyncCommit. It returns the context's error, ErrClosed, or why the log is offline.
func (l *Log) WaitDurable(ctx context.Context, offset int64) error {
	for {
		l.mu.Lock()
		if l.mu.durable >= offset {
			l.mu.Unlock()
			return nil
		}
		if err := l.failureLocked(); err != nil || l.mu.closed {
			l.mu.Unlock()
			if err == nil {
				err = storageError(ErrClosed, nil)
			}
			return err
		}
		if l.mu.durableWait == nil {
			l.mu.durableWait = make(chan struct{})
		}
		wait := l.mu.durableWait
		l.mu.Unlock()
		select {
		case <-wait:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (l *Log) wakeLocked() {
	if l.mu.durableWait != nil {
		close(l.mu.durableWait)
		l.mu.durableWait = nil
	}
}

// runSync makes one sync of the log. It lets others run first: writers whom the last sync has woken are about to append, and
// share this one then.
func (l *Log) runSync() {
	runtime.Gosched()
	job := l.beginSync()
	l.finishSync(job, job.run(l.opts.FS))
}

// beginSync takes syncMu, which finishSync gives back, and collects what is to be synced.
func (l *Log) beginSync() *syncJob {
	l.syncMu.Lock()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.syncState = syncRunning
	j := &syncJob{end: l.mu.synced}
	if len(l.mu.segments) > 0 { // else it has been closed meanwhile
		j.end = l.mu.leo
	}
	for i := len(l.mu.segments) - 1; i >= 0; i-- {
		s := l.mu.segments[i]
		fresh := s.sealed && !s.indexSynced
		if s.next <= l.mu.synced && !fresh {
			break
		}
		job := synced{seg: s, file: s.file.acquire()}
		if fresh {
			for _, x := range s.indexes() {
				job.indexes = append(job.indexes, x.path)
			}
		}
		j.segments = append(j.segments, job)
	}
	if l.mu.dirDirty {
		j.dir, l.mu.dirDirty = l.dir, false
	}
	return j
}

// finishSync notes the outcome of a sync, gives back syncMu, wakes the waiters, and begins the next sync if one is wanted.
func (l *Log) finishSync(j *syncJob, err error) {
	if err != nil {
		l.opts.Sync.fail(err)
		_ = l.fail(err) // told by Failure and to the waiters
	}
	for _, s := range j.segments {
		if cerr := s.file.release(); cerr != nil {
			l.logger.Warn("close of a segment failed", "error", cerr)
		}
	}
	l.mu.Lock()
	moved := false
	if err == nil {
		for _, s := range j.segments {
			s.seg.indexSynced = s.seg.indexSynced || len(s.indexes) > 0
		}
		l.mu.synced = max(l.mu.synced, j.end)
		moved = l.moveDurableLocked()
	}
	queue := l.mu.syncState == syncAgain && err == nil
	l.mu.syncState = syncIdle
	if queue {
		queue = l.requestSyncLocked()
	}
	durable := l.mu.durable
	l.mu.Unlock()
	l.syncMu.Unlock()
	if queue {
		l.opts.Sync.enqueue(l)
	}
	if moved {
		l.notifyDurable(durable)
	}
}

// moveDurableLocked moves the durable end to where it belongs and reports whether it moved.
func (l *Log) moveDurableLocked() bool {
	end := l.mu.synced
	if l.mu.config.Fsync == FsyncInterval {
		end = l.mu.leo
	}
	if end <= l.mu.durable {
		return false
	}
	l.mu.durable = end
	l.wakeLocked()
	return true
}

func (l *Log) notifyDurable(end int64) {
	if l.opts.OnDurable != nil {
		l.opts.OnDurable(end)
	}
}

// flushDue reports whether flush.ms has passed since it last said so and there is something to sync.
func (l *Log) flushDue(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := &l.mu.config
	if c.Fsync != FsyncInterval || c.FlushInterval <= 0 || now.Sub(l.mu.flushedAt) < c.FlushInterval {
		return false
	}
	l.mu.flushedAt = now
	return l.mu.synced < l.mu.leo
}

// AssignEpoch notes that epoch begins at the log's end, and makes that durable. A new leader does so before it serves.
func (l *Log) AssignEpoch(epoch int32) error {
	l.appendMu.Lock()
	defer l.appendMu.Unlock()
	return l.assignEpoch(epoch, l.LEO())
}

// assignEpoch is AssignEpoch at any offset. The caller holds appendMu.
func (l *Log) assignEpoch(epoch int32, start int64) error {
	l.mu.Lock()
	changed := l.mu.epochs.assign(epoch, start)
	l.mu.Unlock()
	if !changed {
		return nil
	}
	return l.saveEpochs()
}

func (l *Log) saveEpochs() error {
	l.mu.Lock()
	entries := l.mu.epochs.entries
	l.mu.Unlock()
	if err := saveEpochs(l.opts.FS, l.dir, entries); err != nil {
		return l.fail(err)
	}
	return nil
}

// LatestEpoch returns the newest leader epoch the log knows, or UndefinedEpoch.
func (l *Log) LatestEpoch() int32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.epochs.latest()
}

// EndOffsetForEpoch returns the largest epoch at most epoch, and where it ends (KIP-279); UndefinedEpoch and UndefinedOffset if
// the log cannot say.
func (l *Log) EndOffsetForEpoch(epoch int32) (int32, int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.epochs.endOffset(epoch, l.mu.leo)
}

// EpochAt returns the leader epoch of the record at offset, or UndefinedEpoch.
func (l *Log) EpochAt(offset int64) int32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.epochs.epochAt(offset)
}

// BeginVerification returns a guard for AppendInfo: it marks that the transaction coordinator is being asked whether the
// producer may begin a transaction here (KIP-890). It is 0 when the producer's transaction is open already.
func (l *Log) BeginVerification(producerID int64, epoch int16) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.producers.beginVerification(producerID, epoch)
}

// ProducerState is what the log knows of a producer, for DescribeProducers.
type ProducerState struct {
	ProducerID       int64
	Epoch            int16
	LastSequence     int32
	LastTimestamp    time.Time
	CoordinatorEpoch int32
	TxnStart         int64 // first offset of the open transaction, -1 if there is none
}

// Producers returns the state of all producers, by id.
func (l *Log) Producers() []ProducerState {
	l.mu.Lock()
	defer l.mu.Unlock()
	var states []ProducerState
	for _, p := range l.mu.producers.sorted() {
		states = append(states, ProducerState{p.id, p.epoch, p.lastSeq(), time.UnixMilli(p.lastTime), p.coordinatorEpoch, p.txnFirst})
	}
	return states
}

// snapshotProducers writes the producer table at the log's end. The caller holds appendMu.
func (l *Log) snapshotProducers() error {
	l.mu.Lock()
	all, leo := l.mu.producers.sorted(), l.mu.leo
	l.mu.Unlock()
	return saveSnapshot(l.opts.FS, segmentFile(l.opts.FS, l.dir, leo, snapshotSuffix), all)
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
	s.file, l.mu.dirDirty = file, true
	l.mu.Unlock()
	return old.release()
}

// outOfRange returns the error for an offset outside the log.
func (l *Log) outOfRangeLocked(offset int64) error {
	return fmt.Errorf("offset %d is not within %d and %d: %w", offset, l.mu.logStart, l.mu.leo, kerr.OffsetOutOfRange)
}

// syncDir makes the names of the partition's files durable.
func (l *Log) syncDir() error { return fsys.SyncDir(l.opts.FS, l.dir) }
