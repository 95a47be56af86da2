package log

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/fsys"
)

// Files of a data directory.
const (
	recoveryPointFile = "recovery-point-offset-checkpoint"
	highWatermarkFile = "replication-offset-checkpoint"
	logStartFile      = "log-start-offset-checkpoint"
	cleanPointFile    = "cleaner-offset-checkpoint"
	cleanStopFile     = ".kafka_cleanshutdown"
	lockFile          = ".lock"
	partitionFile     = "partition.metadata"
	deleteSuffix      = "-delete"
)

// TopicID identifies a topic for ever, unlike its name.
type TopicID [16]byte

// String returns the id as Kafka writes it: base64 for URLs without padding.
func (id TopicID) String() string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// ManagerOptions say how to open a data directory.
type ManagerOptions struct {
	Dir    string
	FS     fsys.FS      // default fsys.OS
	Clock  clock.Clock  // default clock.Real
	Logger *slog.Logger // default slog.Default()
	// TailCacheBytes bounds the tail cache; 0 is none.
	TailCacheBytes int64
	// DiskFreeMin is disk.min_free in bytes: 0 is the larger of 1 GiB and 2 %, at most a quarter of the disk; negative turns
	// the guard off.
	DiskFreeMin int64
	// MaxLogs is how many logs may be open at a time; 0 is any number. Each has a file open for as long as it is.
	MaxLogs int
	// OnOffline is called once when a sync has failed and the directory is offline. May be nil.
	OnOffline func(error)
}

// Manager is a data directory: all partitions' logs, what is written down about them, and the work done on them in the
// background. It holds the directory's lock.
type Manager struct {
	opts   ManagerOptions
	fs     fsys.FS
	dir    string
	clock  clock.Clock
	logger *slog.Logger
	sync   *SyncService
	cache  *TailCache
	disk   diskGuard
	lock   io.Closer
	clean  bool // the last stop was orderly

	prevEpoch int64
	stop      context.CancelFunc
	wg        sync.WaitGroup
	saveMu    sync.Mutex // one writer of checkpoints; before mu
	mu        struct {
		sync.Mutex
		logs        map[TopicPartition]*Log
		found       map[TopicPartition]TopicID // on disk at the start and not opened since
		saved       map[string]map[TopicPartition]int64
		brokerEpoch int64
		deletes     int // names given to deleted directories
		closed      bool
	}
}

// OpenManager opens the data directory, made if it does not exist, and takes its lock. No log is opened yet: see Found and
// OpenLog.
func OpenManager(opts ManagerOptions) (*Manager, error) {
	if opts.FS == nil {
		opts.FS = fsys.OS
	}
	if opts.Clock == nil {
		opts.Clock = clock.Real
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	m := &Manager{opts: opts, fs: opts.FS, dir: opts.Dir, clock: opts.Clock, logger: opts.Logger, prevEpoch: -1}
	m.sync = NewSyncService(m.fs, m.dir, opts.OnOffline)
	if opts.TailCacheBytes > 0 {
		m.cache = NewTailCache(opts.TailCacheBytes)
	}
	m.disk = diskGuard{fs: m.fs, dir: m.dir, freeMin: opts.DiskFreeMin, logger: m.logger}
	m.mu.logs = make(map[TopicPartition]*Log)
	m.mu.found = make(map[TopicPartition]TopicID)
	m.mu.saved = make(map[string]map[TopicPartition]int64)
	m.mu.brokerEpoch = -1
	if err := fsys.MkdirAllSync(m.fs, m.dir); err != nil {
		return nil, err
	}
	lock, err := m.fs.Lock(m.path(lockFile))
	switch {
	case errors.Is(err, iofs.ErrPermission) || errors.Is(err, syscall.EROFS):
		return nil, fmt.Errorf("data directory %s cannot be written: give the user that runs the node the right to read and write all of it, or name another directory: %w", m.dir, err)
	case err != nil:
		return nil, fmt.Errorf("data directory %s is in use, as a rule by another process: stop that one, or name another directory: %w", m.dir, err)
	}
	m.lock = lock
	if err := m.load(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	ctx, cancel := context.WithCancel(context.Background())
	m.stop = cancel
	m.wg.Go(func() { m.checkpointLoop(ctx) })
	m.wg.Go(func() { m.cleanLoop(ctx) })
	return m, nil
}

func (m *Manager) path(name string) string { return m.fs.PathJoin(m.dir, name) }

// load reads what the directory says about itself. The mark of an orderly stop is gone before any log is opened.
func (m *Manager) load() error {
	if err := m.takeCleanMark(); err != nil {
		return err
	}
	for _, file := range []string{recoveryPointFile, highWatermarkFile, logStartFile, cleanPointFile} {
		offsets, err := readOffsets(m.fs, m.path(file))
		if err != nil {
			return err
		}
		m.mu.saved[file] = offsets
	}
	m.disk.check()
	if m.disk.isLow() {
		m.disk.full()
	}
	return m.findPartitions()
}

// cleanMark is the content of the mark of an orderly stop.
type cleanMark struct {
	Version     int   `json:"version"`
	BrokerEpoch int64 `json:"brokerEpoch"`
}

func (m *Manager) takeCleanMark() error {
	data, err := fsys.ReadFile(m.fs, m.path(cleanStopFile), 1<<10)
	if fsys.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	var mark cleanMark
	if err := json.Unmarshal(data, &mark); err != nil {
		m.logger.Warn("mark of an orderly stop is not understood", "error", err)
	} else {
		m.clean, m.prevEpoch = true, mark.BrokerEpoch
	}
	if err := m.fs.Remove(m.path(cleanStopFile)); err != nil {
		return err
	}
	return fsys.SyncDir(m.fs, m.dir)
}

// findPartitions lists the partitions on disk and removes those that were being deleted.
func (m *Manager) findPartitions() error {
	names, err := m.fs.List(m.dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasSuffix(name, deleteSuffix) {
			if err := m.fs.RemoveAll(m.path(name)); err != nil {
				return err
			}
			continue
		}
		tp, ok := ParseTopicPartition(name)
		if !ok {
			continue
		}
		id, err := readTopicID(m.fs, m.path(name))
		if fsys.IsNotExist(err) {
			continue // no partition, or one whose making was cut short: OpenLog makes it again
		}
		if err != nil {
			return err
		}
		m.mu.found[tp] = id
	}
	return nil
}

func readTopicID(fs fsys.FS, dir string) (id TopicID, err error) {
	data, err := fsys.ReadFile(fs, fs.PathJoin(dir, partitionFile), 1<<10)
	if err != nil {
		return id, err
	}
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), "topic_id: "); ok {
			b, err := base64.RawURLEncoding.DecodeString(value)
			if err == nil && len(b) == len(id) {
				return TopicID(b), nil
			}
		}
	}
	return id, fmt.Errorf("%s of %s has no topic id", partitionFile, dir)
}

// Found returns the partitions that are on disk and not open, with their topics' ids. What the metadata does not know is to
// be deleted with DeleteLog.
func (m *Manager) Found() map[TopicPartition]TopicID {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.mu.found)
}

// Sync returns the directory's sync service.
func (m *Manager) Sync() *SyncService { return m.sync }

// Cache returns the tail cache, or nil.
func (m *Manager) Cache() *TailCache { return m.cache }

// DiskLow reports whether the disk has less room than disk.min_free, so that clients' appends are refused.
func (m *Manager) DiskLow() bool { return m.disk.isLow() }

// CleanStart reports whether the last stop was orderly, and with which broker epoch (-1 if unknown).
func (m *Manager) CleanStart() (clean bool, brokerEpoch int64) { return m.clean, m.prevEpoch }

// SetBrokerEpoch sets what the mark of the next orderly stop will say.
func (m *Manager) SetBrokerEpoch(epoch int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.brokerEpoch = epoch
}

// OpenLog opens or creates the log of a partition. A directory of another topic of that name is kerr.InconsistentTopicID:
// delete it first. onDurable and onDamage are those of Options. Logs of different partitions may be opened at the same time.
func (m *Manager) OpenLog(tp TopicPartition, id TopicID, config Config, onDurable func(end int64), onDamage func()) (*Log, error) {
	dir := m.path(tp.String())
	m.mu.Lock()
	_, open := m.mu.logs[tp]
	closed, full := m.mu.closed, m.opts.MaxLogs > 0 && len(m.mu.logs) >= m.opts.MaxLogs
	saved := func(file string) int64 { return m.mu.saved[file][tp] }
	opts := Options{
		Dir: dir, FS: m.fs, Clock: m.clock, Logger: m.logger, Sync: m.sync, Cache: m.cache, Config: config, Clean: m.clean,
		RecoveryPoint: saved(recoveryPointFile), LogStart: saved(logStartFile), CleanPoint: saved(cleanPointFile),
		OnDurable: onDurable, OnDamage: onDamage, BeforeCut: m.saveBounds, MayWrite: m.disk.mayWrite, OnDiskFull: m.disk.full,
	}
	m.mu.Unlock()
	switch {
	case closed:
		return nil, storageError(ErrClosed, nil)
	case open:
		return nil, fmt.Errorf("log %s is open already", tp)
	case full:
		return nil, storageError(ErrTooManyLogs, fmt.Errorf("there are %d", m.opts.MaxLogs))
	}
	if err := m.claimDir(dir, id, &opts); err != nil {
		return nil, err
	}
	l, err := Open(opts)
	if err != nil {
		return nil, err
	}
	l.SetHighWatermark(m.CheckpointedHighWatermark(tp))
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, raced := m.mu.logs[tp]; raced || m.mu.closed {
		return nil, errors.Join(fmt.Errorf("log %s was opened twice, or after Close", tp), l.Discard())
	}
	m.mu.logs[tp] = l
	delete(m.mu.found, tp)
	return l, nil
}

// claimDir checks or writes the directory's topic id. A directory that is new although the checkpoints know it was lost: Open
// will find the damage.
func (m *Manager) claimDir(dir string, id TopicID, opts *Options) error {
	have, err := readTopicID(m.fs, dir)
	switch {
	case err == nil && have != id:
		return fmt.Errorf("directory %s belongs to topic id %s, not %s: %w", dir, have, id, kerr.InconsistentTopicID)
	case err == nil:
		return nil
	case !fsys.IsNotExist(err):
		return err
	}
	opts.Clean = false
	if err := fsys.MkdirAllSync(m.fs, dir); err != nil {
		return err
	}
	return fsys.WriteFileAtomic(m.fs, m.fs.PathJoin(dir, partitionFile), fmt.Appendf(nil, "version: 0\ntopic_id: %s\n", id))
}

// Log returns the open log of a partition.
func (m *Manager) Log(tp TopicPartition) (*Log, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, ok := m.mu.logs[tp]
	return l, ok
}

// DeleteLog closes the log of a partition, if it is open, and removes its directory: at once under another name, for good in
// the background.
func (m *Manager) DeleteLog(tp TopicPartition) error {
	m.mu.Lock()
	l := m.mu.logs[tp]
	delete(m.mu.logs, tp)
	delete(m.mu.found, tp)
	m.mu.deletes++
	doomed := m.path(fmt.Sprintf("%s.%d%s", tp, m.mu.deletes, deleteSuffix))
	closed := m.mu.closed
	m.mu.Unlock()
	if closed {
		return storageError(ErrClosed, nil)
	}
	if l != nil {
		if err := l.Discard(); err != nil {
			return err
		}
	}
	if err := m.forget(tp); err != nil {
		return err
	}
	if err := m.fs.Rename(m.path(tp.String()), doomed); err != nil {
		if fsys.IsNotExist(err) {
			return nil
		}
		return err
	}
	if err := fsys.SyncDir(m.fs, m.dir); err != nil {
		return err
	}
	m.removeInBackground(doomed)
	return nil
}

// removeInBackground removes a deleted directory; after Close the next start does it.
func (m *Manager) removeInBackground(dir string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.closed {
		return
	}
	m.wg.Go(func() {
		if err := m.fs.RemoveAll(dir); err != nil {
			m.logger.Warn("deleted partition is not removed", "dir", dir, "error", err)
		}
	})
}

// Logs returns the open logs, in the order of their names.
func (m *Manager) Logs() []*Log {
	m.mu.Lock()
	defer m.mu.Unlock()
	logs := slices.Collect(maps.Values(m.mu.logs))
	slices.SortFunc(logs, func(a, b *Log) int { return cmp.Compare(a.dir, b.dir) })
	return logs
}

// closeParallel is how many logs are closed at once.
const closeParallel = 16

// Close stops the background work, closes all logs, writes the checkpoints, and if all went well marks the stop as orderly.
// What the logs' audits find is returned.
func (m *Manager) Close() error {
	m.mu.Lock()
	if m.mu.closed {
		m.mu.Unlock()
		return ErrClosed
	}
	m.mu.closed = true
	m.mu.Unlock()
	m.stop()
	m.wg.Wait()
	errs := m.closeLogs()
	errs = append(errs, m.sync.Close())
	if failed := m.sync.Failed(); failed != nil {
		errs = append(errs, failed)
	} else {
		errs = append(errs, m.Checkpoint())
	}
	if errors.Join(errs...) == nil {
		errs = append(errs, m.markClean())
	}
	return errors.Join(append(errs, m.lock.Close())...)
}

func (m *Manager) closeLogs() []error {
	logs := m.Logs()
	errs := make([]error, len(logs))
	slots := make(chan struct{}, closeParallel)
	var wg sync.WaitGroup
	for i, l := range logs {
		slots <- struct{}{}
		wg.Go(func() {
			errs[i] = l.Close()
			<-slots
		})
	}
	wg.Wait()
	return errs
}

// markClean writes the mark of an orderly stop, unless a partition has not been looked at since a stop that was not, or is
// damaged.
func (m *Manager) markClean() error {
	m.mu.Lock()
	unseen, epoch := len(m.mu.found), m.mu.brokerEpoch
	m.mu.Unlock()
	damaged := slices.ContainsFunc(m.Logs(), func(l *Log) bool { d := l.Damage(); return d != nil && !d.Within })
	if !m.clean && unseen > 0 || damaged {
		return nil
	}
	data, err := json.Marshal(cleanMark{BrokerEpoch: epoch})
	if err != nil {
		return err
	}
	return fsys.WriteFileAtomic(m.fs, m.path(cleanStopFile), data)
}
