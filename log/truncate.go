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
		if err := l.lowerRecoveryPoint(offset, false); err != nil {
			return leo, l.writeFailed(err) // nothing is cut yet
		}
		if err := l.truncate(offset); errors.Is(err, ErrDamaged) {
			return leo, err // nothing is cut
		} else if err != nil {
			return leo, l.fail(err)
		}
	}
	return l.LEO(), l.cutEpochs()
}

// cutEpochs drops leader epochs beyond the log's end.
func (l *Log) cutEpochs() error {
	leo := l.LEO()
	return l.changeEpochs(func(c *epochCache) bool { return c.truncateFromEnd(leo) })
}

// truncate does the work of TruncateTo, under appendMu and syncMu, with the recovery point lowered.
func (l *Log) truncate(offset int64) error {
	l.tail.clear()
	l.mu.Lock()
	i := l.segmentAtLocked(offset)
	kept, cut, gone := l.mu.segments[:i:i], l.mu.segments[i], l.mu.segments[i+1:]
	v := cut.view()
	l.mu.Unlock()
	pos, _, ok, err := v.locate(offset)
	if isDamage(err) {
		err = l.meet(v.file, &Damage{Pos: pos, Offset: offset, Cause: err})
	}
	if !ok {
		pos = v.size
	}
	if err = errors.Join(err, v.file.release()); err != nil {
		return err
	}
	// The later segments must be gone for good before the cut: after a crash between the two they would follow a gap.
	if err := l.doom(gone); err != nil {
		return err
	}
	if err := l.syncDir(); err != nil {
		return err
	}
	active, err := l.cutSegment(cut, pos)
	if err != nil {
		return err
	}
	if err := l.installCut(append(kept, active)); err != nil {
		return err
	}
	for _, s := range append(gone[:len(gone):len(gone)], cut) {
		err = errors.Join(err, s.file.release())
	}
	return errors.Join(err, l.syncDir())
}

// lowerRecoveryPoint makes offset the recovery point, if it is lower, before anything is cut. With all, everything is going to
// be cut, and damage does not matter any more.
func (l *Log) lowerRecoveryPoint(offset int64, all bool) error {
	l.mu.Lock()
	l.mu.touched = true
	lower := all || offset < l.mu.synced
	if all {
		l.mu.damage = nil // of a damaged log the old recovery point would stay written down
	}
	l.mu.synced, l.mu.durable = min(l.mu.synced, offset), min(l.mu.durable, offset)
	l.mu.Unlock()
	if !lower || l.opts.BeforeCut == nil {
		return nil
	}
	return l.replace(l.opts.BeforeCut)
}

// cutSegment truncates the file of old to pos and returns it as a new active segment.
func (l *Log) cutSegment(old *segment, pos int64) (*segment, error) {
	old.gone.Store(true)
	if err := l.opts.FS.Truncate(old.path, pos); err != nil {
		return nil, err
	}
	if err := removeIndexes(l.opts.FS, l.dir, old.base); err != nil {
		return nil, err
	}
	s, err := newSegment(l.opts.FS, l.dir, old.base)
	if err != nil {
		return nil, err
	}
	interval := l.Config().IndexIntervalBytes
	sc := scanner{file: s.file, size: pos, window: scanWindow}
	for ; ; sc.skip() {
		more, err := sc.header()
		if err != nil {
			return nil, errors.Join(err, s.file.release())
		}
		if !more {
			return s, s.file.Sync()
		}
		s.add(&sc.h, interval)
	}
}

// installCut makes segments, the last of which has been cut, those of the log.
func (l *Log) installCut(segments []*segment) error {
	active := segments[len(segments)-1]
	table, from, err := newestSnapshot(l.opts.FS, l.dir, active.base, segments)
	if err != nil {
		return err
	}
	if err := l.replay(&table, segments, from, map[*segment]bool{active: true}); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	end := active.next
	l.mu.segments, l.mu.producers, l.mu.leo = segments, table, end
	l.mu.synced, l.mu.durable, l.mu.hw = min(l.mu.synced, end), min(l.mu.durable, end), min(l.mu.hw, end)
	l.mu.cleanPoint = min(l.mu.cleanPoint, end)
	return nil
}

// retire takes segments off the disk, which are not in mu.segments any more.
func (l *Log) retire(segments []*segment) error {
	if len(segments) == 0 {
		return nil
	}
	if err := l.doom(segments); err != nil {
		return err
	}
	for _, s := range segments {
		if err := s.file.release(); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.namesChangedLocked()
	return nil
}

// doom renames segments, so that a crash does not bring them back, and has them removed when their last reader is done.
func (l *Log) doom(segments []*segment) error {
	for _, s := range segments {
		s.gone.Store(true)
		doomed := s.path + deletedSuffix
		if err := l.opts.FS.Rename(s.path, doomed); err != nil {
			return err
		}
		if err := removeIndexes(l.opts.FS, l.dir, s.base); err != nil {
			return err
		}
		s.file.doom.Store(&doomed)
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
	if err := l.lowerRecoveryPoint(min(offset, l.LogStart()), true); err != nil {
		return l.fail(err)
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
