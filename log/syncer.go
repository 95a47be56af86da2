package log

import (
	"errors"
	"fmt"
	"sync"

	"github.com/millracedb/millrace/internal/fsys"
)

const (
	// SyncParallelMax is how many fdatasyncs run at once: more only queue up in the kernel.
	SyncParallelMax = 16
	// syncFSMin is the number of waiting logs from which one syncfs is cheaper than a sync of each.
	syncFSMin = 64
)

// SyncService is the group commit of a data directory: logs ask it for a sync and go on appending; it syncs many at a time
// and wakes their waiters. At low load a request is one fdatasync, begun at once; there is no timer.
//
// After the first sync that fails the service is dead: the kernel may have dropped the dirty pages, so no later success
// would mean anything. Every log on it goes offline, and Failed says why.
type SyncService struct {
	fs     fsys.FS
	dir    string
	onFail func(error)
	wg     sync.WaitGroup
	mu     struct {
		sync.Mutex
		queue   []*Log
		workers int
		failed  error
		closed  bool
	}
}

// NewSyncService returns the service for the data directory dir. onFail, which may be nil, is called once, from a goroutine
// of the service, when a sync has failed.
func NewSyncService(fs fsys.FS, dir string, onFail func(error)) *SyncService {
	return &SyncService{fs: fs, dir: dir, onFail: onFail}
}

// Failed returns the error of the sync that took the directory offline, or nil.
func (s *SyncService) Failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.failed
}

// Close waits for the syncs that were asked for. Later requests are ignored: logs sync themselves when they close.
func (s *SyncService) Close() error {
	s.mu.Lock()
	s.mu.closed = true
	s.mu.Unlock()
	s.wg.Wait()
	return nil
}

// enqueue puts l, which is not queued, into the queue and sees to it that a worker comes by.
func (s *SyncService) enqueue(l *Log) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		return
	}
	s.mu.queue = append(s.mu.queue, l)
	if s.mu.workers < SyncParallelMax {
		s.mu.workers++
		s.wg.Go(s.work)
	}
}

// work syncs until the queue is empty.
func (s *SyncService) work() {
	for {
		batch := s.next()
		if len(batch) == 0 {
			return
		}
		if len(batch) == 1 {
			batch[0].runSync()
			continue
		}
		s.syncAll(batch)
	}
}

// next takes the next log off the queue, or all of them if they are many. An empty answer ends the worker.
func (s *SyncService) next() []*Log {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.mu.queue)
	switch {
	case n == 0:
		s.mu.workers--
		return nil
	case n < syncFSMin:
		n = 1
	}
	batch := s.mu.queue[:n:n]
	s.mu.queue = s.mu.queue[n:]
	if len(s.mu.queue) == 0 {
		s.mu.queue = nil // let go of the array
	}
	return batch
}

// syncAll syncs many logs with one syncfs, or one by one where there is none.
func (s *SyncService) syncAll(batch []*Log) {
	jobs := make([]*syncJob, len(batch))
	for i, l := range batch {
		jobs[i] = l.beginSync()
	}
	err := s.fs.SyncFS(s.dir)
	if errors.Is(err, errors.ErrUnsupported) {
		for i, l := range batch {
			l.finishSync(jobs[i], jobs[i].run(l.opts.FS))
		}
		return
	}
	for i, l := range batch {
		l.finishSync(jobs[i], err)
	}
}

// fail takes the directory offline.
func (s *SyncService) fail(err error) {
	s.mu.Lock()
	first := s.mu.failed == nil
	if first {
		s.mu.failed = fmt.Errorf("sync of %s failed: %w", s.dir, err)
		err = s.mu.failed
	}
	s.mu.Unlock()
	if first && s.onFail != nil {
		s.onFail(err)
	}
}

// syncJob is what one sync of one log covers.
type syncJob struct {
	end      int64    // durable end when it is done
	segments []synced // ascending
	dir      string   // directory to sync, "" if its names are durable
}

// synced is a segment in a syncJob; file is a reference of the job's own.
type synced struct {
	seg     *segment
	file    *handle
	indexes []string // to sync, of a segment sealed since the last sync
}

// run syncs the files of the job.
func (j *syncJob) run(fs fsys.FS) error {
	for _, s := range j.segments {
		if err := s.file.SyncData(); err != nil {
			return err
		}
		for _, path := range s.indexes {
			if err := syncPath(fs, path); err != nil {
				return err
			}
		}
	}
	if j.dir == "" {
		return nil
	}
	return fsys.SyncDir(fs, j.dir)
}

func syncPath(fs fsys.FS, path string) error {
	f, err := fs.OpenReadWrite(path, fsys.Category)
	if err != nil {
		return err
	}
	return errors.Join(f.SyncData(), f.Close())
}
