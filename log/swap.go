package log

import (
	"errors"
	"fmt"
	"slices"

	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/record"
)

// The output of compaction comes into place in steps that a crash may interrupt anywhere:
//
//  1. write <base>.log.cleaned and sync it            a start removes it
//  2. rename to <base>.log.swap, sync the directory   from here on a start finishes the rest
//  3. remove the old segments and their indexes, sync the directory
//  4. rename to <base>.log, write its indexes, sync the directory

// cleaned is a segment being written by compaction. Its seg has the path and name of its final place.
type cleaned struct {
	fs   fsys.FS
	path string // of the .cleaned file
	file fsys.File
	seg  *segment
	buf  []byte
}

// cleanedBuffer is how many bytes are gathered for one write.
const cleanedBuffer = 256 << 10

func newCleaned(fs fsys.FS, dir string, base int64) (*cleaned, error) {
	s := &segment{base: base, path: segmentFile(fs, dir, base, logSuffix)}
	s.resetIndexes(fs, dir)
	w := &cleaned{fs: fs, path: s.path + cleanedSuffix, seg: s}
	file, err := fs.Create(w.path, fsys.Category)
	w.file = file
	return w, err
}

// add appends a batch.
func (w *cleaned) add(frame []byte, interval int64) error {
	h, err := record.ParseHeader(frame)
	if err != nil {
		return err
	}
	w.buf = append(w.buf, frame...)
	w.seg.add(&h, interval)
	if len(w.buf) < cleanedBuffer {
		return nil
	}
	return w.flush()
}

func (w *cleaned) flush() error {
	_, err := w.file.Write(w.buf)
	w.buf = w.buf[:0]
	return err
}

// finish writes the rest and syncs the file.
func (w *cleaned) finish() error {
	err := w.flush()
	if err == nil {
		err = w.file.Sync()
	}
	return errors.Join(err, w.file.Close())
}

// drop removes the file of a pass that has failed.
func (w *cleaned) drop() error {
	_ = w.file.Close() // may be closed already; its content is void
	return w.fs.Remove(w.path)
}

// swap puts a finished segment in the place of old ones, which must be neighbours. If retention or a truncation has taken one
// of them meanwhile, the output is dropped.
func (l *Log) swap(old []*segment, w *cleaned) error {
	l.appendMu.Lock()
	defer l.appendMu.Unlock()
	l.syncMu.Lock()
	defer l.syncMu.Unlock()
	l.mu.Lock()
	closed := l.mu.closed
	at := slices.Index(l.mu.segments, old[0])
	intact := at >= 0 && at+len(old) < len(l.mu.segments) && slices.Equal(l.mu.segments[at:at+len(old)], old)
	l.mu.touched = true
	l.mu.Unlock()
	if closed {
		return errors.Join(storageError(ErrClosed, nil), w.fs.Remove(w.path))
	}
	if !intact {
		return errors.Join(errors.New("segments changed during the pass"), w.fs.Remove(w.path))
	}
	if err := l.swapFiles(old, w); err != nil {
		return l.fail(err)
	}
	file, err := openHandle(l.opts.FS, w.seg.path)
	if err != nil {
		return l.fail(err)
	}
	w.seg.file, w.seg.indexSynced = file, true
	l.mu.Lock()
	segments := slices.Clone(l.mu.segments[:at])
	segments = append(segments, w.seg)
	l.mu.segments = append(segments, l.mu.segments[at+len(old):]...)
	l.mu.Unlock()
	for _, s := range old {
		if err := s.file.release(); err != nil {
			l.logger.Warn("close of a segment failed", "error", err)
		}
	}
	return nil
}

// swapFiles makes steps 2 to 4. Readers keep the old files open; only their names go.
func (l *Log) swapFiles(old []*segment, w *cleaned) error {
	swapPath := w.seg.path + swapSuffix
	if err := l.opts.FS.Rename(w.path, swapPath); err != nil {
		return err
	}
	if err := l.syncDir(); err != nil {
		return err
	}
	for _, s := range old {
		s.gone.Store(true)
		if err := errors.Join(l.opts.FS.Remove(s.path), removeIndexes(l.opts.FS, l.dir, s.base)); err != nil {
			return err
		}
	}
	// An old index must not come back to stand beside the new segment.
	if err := l.syncDir(); err != nil {
		return err
	}
	if err := l.opts.FS.Rename(swapPath, w.seg.path); err != nil {
		return err
	}
	if err := w.seg.sealDurable(); err != nil {
		return err
	}
	return l.syncDir()
}

// finishSwap makes steps 3 and 4 for the .swap files that a crash has left.
func finishSwap(fs fsys.FS, dir string) error {
	names, err := fs.List(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		base, ok := parseSegmentFile(name, logSuffix+swapSuffix)
		if !ok {
			continue
		}
		next, err := endOfFile(fs, fs.PathJoin(dir, name), base)
		if err != nil {
			return fmt.Errorf("finished compaction %s: %w", name, err)
		}
		if err := replaceRange(fs, dir, names, base, next); err != nil {
			return err
		}
	}
	return nil
}

// replaceRange puts the .swap file at base into the place of the segments that begin in [base, next).
func replaceRange(fs fsys.FS, dir string, names []string, base, next int64) error {
	for _, name := range names {
		if b, ok := parseSegmentFile(name, logSuffix); ok && b >= base && b < next {
			if err := errors.Join(fs.Remove(fs.PathJoin(dir, name)), removeIndexes(fs, dir, b)); err != nil {
				return err
			}
		}
	}
	// The old segment of that base may have gone already, and its indexes not.
	if err := errors.Join(removeIndexes(fs, dir, base), fsys.SyncDir(fs, dir)); err != nil {
		return err
	}
	final := segmentFile(fs, dir, base, logSuffix)
	if err := fs.Rename(final+swapSuffix, final); err != nil {
		return err
	}
	return fsys.SyncDir(fs, dir)
}

// endOfFile returns the end offset of a segment file.
func endOfFile(fs fsys.FS, path string, base int64) (int64, error) {
	f, err := fs.Open(path)
	if err != nil {
		return 0, err
	}
	st, err := f.Stat()
	if err != nil {
		return 0, errors.Join(err, f.Close())
	}
	sc := scanner{file: f, size: st.Size(), window: scanWindow}
	next := base
	for ; ; sc.skip() {
		more, err := sc.header()
		if err != nil || !more {
			return next, errors.Join(err, f.Close())
		}
		next = sc.h.LastOffset() + 1
	}
}
