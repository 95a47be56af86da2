package log

import (
	"context"
	"runtime"
	"time"
)

// syncState is where a log stands with its sync service.
type syncState uint8

const (
	syncIdle    syncState = iota
	syncQueued            // a sync will begin, and will cover what is appended until then
	syncRunning           // a sync is under way
	syncAgain             // one is under way, and another is wanted
)

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

// namesChangedLocked notes that a file was made, renamed or removed: the next sync takes the directory along, and Close must
// make one.
func (l *Log) namesChangedLocked() { l.mu.dirDirty, l.mu.touched = true, true }
