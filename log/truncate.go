package log

import (
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millracedb/millrace/internal/fsys"
)

// TruncateTo cuts off everything from offset on, and makes that durable. If offset lies within a batch the whole batch goes;
// the new log end is returned. Leader epochs that begin at or after it go too, also when there are no records to cut.
func (l *Log) TruncateTo(offset int64) (int64, error) {
	l.appendMu.Lock()
	defer l.appendMu.Unlock()
	l.syncMu.Lock()
	defer l.syncMu.Unlock()
	l.mu.Lock()
	failure, leo, start := l.failureLocked(), l.mu.leo, l.mu.logStart
	l.mu.Unlock()
	switch {
	case failure != nil:
		return leo, failure
	case offset < start:
		return leo, fmt.Errorf("truncate to offset %d below the log start %d: %w", offset, start, kerr.OffsetOutOfRange)
	}
	if offset < leo {
		if err := l.truncate(offset); err != nil {
			return leo, l.fail(err)
		}
	}
	return l.LEO(), l.cutEpochs()
}

// cutEpochs drops leader epochs beyond the log's end.
func (l *Log) cutEpochs() error {
	l.mu.Lock()
	changed := l.mu.epochs.truncateFromEnd(l.mu.leo)
	l.mu.Unlock()
	if !changed {
		return nil
	}
	return l.saveEpochs()
}

// truncate does the work of TruncateTo, under appendMu and syncMu.
func (l *Log) truncate(offset int64) error {
	if err := l.lowerRecoveryPoint(offset); err != nil {
		return err
	}
	l.tail.clear()
	l.mu.Lock()
	i := l.segmentAtLocked(offset)
	s := l.mu.segments[i]
	gone := l.mu.segments[i+1:]
	l.mu.segments = l.mu.segments[: i+1 : i+1]
	v := s.view()
	l.mu.Unlock()
	pos, _, ok, err := v.locate(offset)
	if !ok {
		pos = v.size
	}
	if err = errors.Join(err, v.file.release()); err != nil {
		return err
	}
	if err := l.retire(gone); err != nil {
		return err
	}
	return l.cutSegment(s, pos)
}

// lowerRecoveryPoint makes offset the recovery point, if it is lower, before anything is cut.
func (l *Log) lowerRecoveryPoint(offset int64) error {
	l.mu.Lock()
	l.mu.touched = true
	lower := offset < l.mu.synced
	l.mu.synced, l.mu.durable = min(l.mu.synced, offset), min(l.mu.durable, offset)
	l.mu.Unlock()
	if !lower || l.opts.BeforeTruncate == nil {
		return nil
	}
	return l.opts.BeforeTruncate()
}

// cutSegment truncates what is now the last segment to pos and makes it active.
func (l *Log) cutSegment(s *segment, pos int64) error {
	if err := l.opts.FS.Truncate(s.path, pos); err != nil {
		return err
	}
	if err := removeIndexes(l.opts.FS, l.dir, s.base); err != nil {
		return err
	}
	if err := l.reopen(s); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s.resetIndexes(l.opts.FS, l.dir)
	sc := scanner{file: s.file, size: pos, window: scanWindow}
	for ; ; sc.skip() {
		more, err := sc.header()
		if err != nil {
			return err
		}
		if !more {
			break
		}
		s.add(&sc.h, l.mu.config.IndexIntervalBytes)
	}
	l.mu.leo = s.next
	l.mu.synced, l.mu.durable, l.mu.hw = min(l.mu.synced, s.next), min(l.mu.durable, s.next), min(l.mu.hw, s.next)
	l.mu.cleanPoint = min(l.mu.cleanPoint, s.next)
	table, from, err := newestSnapshot(l.opts.FS, l.dir, s.base, l.mu.segments)
	if err != nil {
		return err
	}
	l.mu.producers = table
	if err := l.replay(from, map[*segment]bool{s: true}); err != nil {
		return err
	}
	if err := s.file.Sync(); err != nil {
		return err
	}
	return l.syncDir()
}

// retire takes segments off the disk: each is renamed first, so that a crash does not bring it back, and removed when its last
// reader is done. They are not in mu.segments any more.
func (l *Log) retire(segments []*segment) error {
	for _, s := range segments {
		doomed := s.path + deletedSuffix
		if err := l.opts.FS.Rename(s.path, doomed); err != nil {
			return err
		}
		if err := removeIndexes(l.opts.FS, l.dir, s.base); err != nil {
			return err
		}
		s.file.doom.Store(&doomed)
		if err := s.file.release(); err != nil {
			return err
		}
	}
	if len(segments) > 0 {
		l.mu.Lock()
		l.mu.dirDirty = true
		l.mu.Unlock()
	}
	return nil
}

// RestartAt drops everything and begins anew at offset: a follower whose log has nothing in common with its leader's.
func (l *Log) RestartAt(offset int64) error {
	l.appendMu.Lock()
	defer l.appendMu.Unlock()
	l.syncMu.Lock()
	defer l.syncMu.Unlock()
	if err := l.Failure(); err != nil && !errors.Is(err, ErrDamaged) {
		return err
	}
	if err := l.lowerRecoveryPoint(min(offset, l.LogStart())); err != nil {
		return err
	}
	if err := l.restart(offset); err != nil {
		return l.fail(err)
	}
	return nil
}

func (l *Log) restart(offset int64) error {
	l.tail.clear()
	l.mu.Lock()
	gone := l.mu.segments
	l.mu.Unlock()
	// The new segment may have the name of an old one, so the old ones are renamed first.
	if err := l.retire(gone); err != nil {
		return err
	}
	if err := removeSegmentFiles(l.opts.FS, l.dir); err != nil {
		return err
	}
	s, err := newSegment(l.opts.FS, l.dir, offset)
	if err != nil {
		return err
	}
	l.mu.Lock()
	l.mu.segments = []*segment{s}
	l.mu.leo, l.mu.logStart, l.mu.synced, l.mu.durable, l.mu.hw = offset, offset, offset, offset, offset
	l.mu.cleanPoint, l.mu.damage = offset, nil
	l.mu.producers = newProducerTable()
	l.mu.epochs = epochCache{}
	l.mu.Unlock()
	if err := saveEpochs(l.opts.FS, l.dir, nil); err != nil {
		return err
	}
	return l.syncDir()
}

// removeSegmentFiles removes the segments and snapshots of dir, also those that damage keeps out of the log.
func removeSegmentFiles(fs fsys.FS, dir string) error {
	names, err := fs.List(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		for _, suffix := range []string{logSuffix, offsetSuffix, timeSuffix, txnSuffix, snapshotSuffix} {
			if _, ok := parseSegmentFile(name, suffix); !ok {
				continue
			}
			if err := fs.Remove(fs.PathJoin(dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}
