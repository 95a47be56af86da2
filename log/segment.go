package log

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/record"
)

// Suffixes of a partition's files.
const (
	logSuffix      = ".log"
	offsetSuffix   = ".index"
	timeSuffix     = ".timeindex"
	txnSuffix      = ".txnindex"
	snapshotSuffix = ".snapshot"

	deletedSuffix = ".deleted" // segments on their way out
	cleanedSuffix = ".cleaned" // output of an unfinished compaction
	swapSuffix    = ".swap"    // output of a finished one that is not in place yet
	tornSuffix    = ".torn"    // what recovery cut off
)

// segmentFile returns the path of a segment's file.
func segmentFile(fs fsys.FS, dir string, base int64, suffix string) string {
	return fs.PathJoin(dir, fmt.Sprintf("%020d%s", base, suffix))
}

// parseSegmentFile returns the base offset in a file's name, if it has the suffix.
func parseSegmentFile(name, suffix string) (int64, bool) {
	digits, ok := strings.CutSuffix(name, suffix)
	if !ok || len(digits) != 20 {
		return 0, false
	}
	base, err := strconv.ParseInt(digits, 10, 64)
	return base, err == nil && base >= 0
}

// handle is an open segment file, counted: it is closed, and removed if it is to go, when the last user releases it.
type handle struct {
	fsys.File
	fs   fsys.FS
	refs atomic.Int32
	doom atomic.Pointer[string] // path to remove after the last use
}

func openHandle(fs fsys.FS, path string) (*handle, error) {
	f, err := fs.OpenReadWrite(path, fsys.Category)
	if err != nil {
		return nil, err
	}
	h := &handle{File: f, fs: fs}
	h.refs.Store(1)
	return h, nil
}

// acquire takes one more reference. The caller holds one, or the log's mu while the log holds one.
func (h *handle) acquire() *handle {
	h.refs.Add(1)
	return h
}

func (h *handle) release() error {
	if h.refs.Add(-1) > 0 {
		return nil
	}
	err := h.Close()
	if path := h.doom.Load(); path != nil {
		if rerr := h.fs.Remove(*path); !fsys.IsNotExist(rerr) { // the whole directory may be gone
			err = errors.Join(err, rerr)
		}
	}
	return err
}

// segment is a part of the log: a .log file and its indexes. The active segment is the last; it alone grows. Fields are
// guarded by the log's mu; those of a sealed segment change only when it is replaced whole.
type segment struct {
	base   int64
	next   int64 // end offset: one more than the last offset in it
	size   int64 // bytes of whole batches in the file
	file   *handle
	path   string
	offset index
	time   index
	txn    index

	firstTime   int64 // timestamp of the first batch, -1 if there is none
	maxTime     int64 // highest timestamp so far, -1 if there is none
	maxTimeAt   int64 // offset it was seen at
	sinceIndex  int64 // bytes since the last index entry
	sealed      bool  // indexes are written
	indexSynced bool
	gone        atomic.Bool // its files are about to be removed or replaced
}

// newSegment opens or creates the segment's file; its indexes are empty and in memory.
func newSegment(fs fsys.FS, dir string, base int64) (*segment, error) {
	path := segmentFile(fs, dir, base, logSuffix)
	file, err := openHandle(fs, path)
	if err != nil {
		return nil, err
	}
	s := &segment{base: base, file: file, path: path}
	s.resetIndexes(fs, dir)
	return s, nil
}

func (s *segment) resetIndexes(fs fsys.FS, dir string) {
	s.next, s.size, s.sinceIndex = s.base, 0, 0
	s.firstTime, s.maxTime, s.maxTimeAt = -1, -1, s.base
	s.sealed, s.indexSynced = false, false
	s.offset = newIndex(fs, segmentFile(fs, dir, s.base, offsetSuffix), offsetEntrySize, &s.gone)
	s.time = newIndex(fs, segmentFile(fs, dir, s.base, timeSuffix), timeEntrySize, &s.gone)
	s.txn = newIndex(fs, segmentFile(fs, dir, s.base, txnSuffix), txnEntrySize, &s.gone)
}

// indexes returns the index files that exist for a sealed segment: the transaction index only if it has entries.
func (s *segment) indexes() []*index {
	if s.txn.n == 0 {
		return []*index{&s.offset, &s.time}
	}
	return []*index{&s.offset, &s.time, &s.txn}
}

// add notes a batch that has been written at the segment's end.
func (s *segment) add(h *record.Header, interval int64) {
	if s.size > 0 && s.sinceIndex+int64(h.Size()) > interval {
		s.addEntries(h.LastOffset(), s.size)
		s.sinceIndex = 0
	}
	if s.firstTime < 0 {
		s.firstTime = h.MaxTimestamp
	}
	if h.MaxTimestamp > s.maxTime {
		s.maxTime, s.maxTimeAt = h.MaxTimestamp, h.LastOffset()
	}
	s.sinceIndex += int64(h.Size())
	s.size += int64(h.Size())
	s.next = h.LastOffset() + 1
}

func (s *segment) addEntries(last, pos int64) {
	s.offset.append(appendOffsetEntry(nil, last-s.base, pos))
	s.addTimeEntry()
}

// addTimeEntry notes the highest timestamp so far; entries are strictly ascending in time.
func (s *segment) addTimeEntry() {
	if s.maxTime < 0 {
		return
	}
	if n := s.time.n; n > 0 {
		if ms, _ := timeEntry(s.time.mem[(n-1)*timeEntrySize:]); ms >= s.maxTime {
			return
		}
	}
	s.time.append(appendTimeEntry(nil, s.maxTime, s.maxTimeAt-s.base))
}

// writeIndexes writes the index files. The closing time entry has been added.
func (s *segment) writeIndexes() error {
	for _, x := range s.indexes() {
		if err := x.write(); err != nil {
			return err
		}
	}
	return nil
}

// seal lets go of the indexes' memory once they are written. The transaction index stays: aborted transactions are few, and a
// reader must not miss one.
func (s *segment) seal() {
	s.offset.seal()
	s.time.seal()
	s.sealed = true
}

// sealDurable is what Log.seal does, for a segment nobody else sees yet and that the next start may trust: its indexes are on
// disk, whole, before they have their names.
func (s *segment) sealDurable() error {
	s.addTimeEntry()
	for _, x := range s.indexes() {
		if err := fsys.WriteFileAtomic(x.fs, x.path, x.mem); err != nil {
			return err
		}
	}
	s.seal()
	s.indexSynced = true
	return nil
}

// view is what a reader needs of a segment, taken under the log's mu. Release its file after use.
type view struct {
	base, next, size int64
	path             string
	file             *handle
	offset, time     index
}

func (s *segment) view() view {
	return view{base: s.base, next: s.next, size: s.size, path: s.path, file: s.file.acquire(), offset: s.offset, time: s.time}
}

// floorPos returns a position at or before the batch that holds offset.
func (v *view) floorPos(offset int64) (int64, error) {
	r, err := v.offset.reader()
	if err != nil {
		return 0, err
	}
	var pos int64
	if i := r.floor(func(e []byte) bool { rel, _ := offsetEntry(e); return v.base+rel <= offset }); i >= 0 {
		_, pos = offsetEntry(r.at(i))
	}
	return pos, r.close()
}

// floorBatch returns the greatest indexed batch boundary at most limit, and 0 if there is none.
func (v *view) floorBatch(limit int64) (int64, error) {
	r, err := v.offset.reader()
	if err != nil {
		return 0, err
	}
	var pos int64
	if i := r.floor(func(e []byte) bool { _, p := offsetEntry(e); return p <= limit }); i >= 0 {
		_, pos = offsetEntry(r.at(i))
	}
	return pos, r.close()
}

// locate returns the position and header of the first batch that ends at or after offset; ok is false if there is none. Behind an error is the position of the batch that cannot be read.
func (v *view) locate(offset int64) (pos int64, h record.Header, ok bool, err error) {
	if pos, err = v.floorPos(offset); err != nil {
		return 0, h, false, err
	}
	s := scanner{file: v.file, pos: pos, size: v.size}
	for {
		more, err := s.header()
		if err != nil || !more {
			return s.pos, h, false, err
		}
		if s.h.BaseOffset < v.base || s.h.LastOffset() >= v.next {
			return s.pos, h, false, outOfPlace(&s.h, v.base, v.next)
		}
		if s.h.LastOffset() >= offset {
			return s.pos, s.h, true, nil
		}
		s.skip()
	}
}

// Sizes of a scanner's reads, in bytes.
const (
	headerWindow = 8 << 10   // a look-up: at most one index interval, usually
	scanWindow   = 256 << 10 // going through a whole segment
)

// scanner walks the batches of a segment file.
type scanner struct {
	file io.ReaderAt
	pos  int64 // of the current batch
	size int64 // where to stop
	h    record.Header

	window int // bytes to read at once; 0 is headerWindow
	buf    []byte
	bufPos int64
}

// fill makes n bytes at pos available and returns them.
func (s *scanner) fill(n int) ([]byte, error) {
	if s.pos >= s.bufPos && s.pos+int64(n) <= s.bufPos+int64(len(s.buf)) {
		return s.buf[s.pos-s.bufPos:][:n], nil
	}
	window := s.window
	if window == 0 {
		window = headerWindow
	}
	want := int(min(int64(max(n, window)), s.size-s.pos))
	if cap(s.buf) < want {
		s.buf = make([]byte, want)
	}
	s.buf, s.bufPos = s.buf[:want], s.pos
	read, err := s.file.ReadAt(s.buf, s.pos)
	s.buf = s.buf[:read]
	if read < n {
		if err == nil || errors.Is(err, io.EOF) {
			err = fmt.Errorf("file ends at byte %d, not at %d: %w", s.pos+int64(read), s.size, kerr.CorruptMessage)
		}
		return nil, err
	}
	return s.buf[:n], nil
}

// header parses the header at pos; more is false at the end. A batch that does not fit before size is an error.
func (s *scanner) header() (more bool, err error) {
	if s.pos == s.size {
		return false, nil
	}
	if s.size-s.pos < record.HeaderSize {
		return false, fmt.Errorf("%d bytes at the end are no batch: %w", s.size-s.pos, kerr.CorruptMessage)
	}
	b, err := s.fill(record.HeaderSize)
	if err != nil {
		return false, err
	}
	if s.h, err = record.ParseHeader(b); err != nil {
		return false, err
	}
	if int64(s.h.Size()) > s.size-s.pos {
		return false, fmt.Errorf("batch of %d bytes cut off after %d: %w", s.h.Size(), s.size-s.pos, kerr.CorruptMessage)
	}
	return true, nil
}

// frame returns the bytes of the current batch, valid until the next call.
func (s *scanner) frame() ([]byte, error) { return s.fill(s.h.Size()) }

// skip goes past the current batch.
func (s *scanner) skip() { s.pos += int64(s.h.Size()) }
