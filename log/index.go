package log

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sort"
	"sync/atomic"

	"github.com/millracedb/millrace/internal/fsys"
)

// index is a file of entries of one width in ascending order. The active segment's indexes live in memory alone: they are
// written when the segment is sealed or the log closed, and built anew from the .log file after a crash. Those of sealed
// segments are searched in the file.
type index struct {
	fs    fsys.FS
	path  string
	width int
	n     int    // entries
	mem   []byte // all entries; nil once sealed
	live  bool   // mem counts
	// gone is the segment's: once it is set the file may be missing, or that of another segment of the same base.
	gone *atomic.Bool
}

func newIndex(fs fsys.FS, path string, width int, gone *atomic.Bool) index {
	return index{fs: fs, path: path, width: width, live: true, gone: gone}
}

// indexSizeMax bounds an index file that is read into memory: the largest segment with an entry for every batch.
const indexSizeMax = 1 << 30

// load reads the file into memory, for the active segment.
func (x *index) load() error {
	data, err := fsys.ReadFile(x.fs, x.path, indexSizeMax)
	if err != nil && !fsys.IsNotExist(err) {
		return err
	}
	if len(data)%x.width != 0 {
		return fmt.Errorf("%s has %d bytes, no multiple of %d", x.path, len(data), x.width)
	}
	x.mem, x.n, x.live = data, len(data)/x.width, true
	return nil
}

// open counts the entries of a sealed segment's file.
func (x *index) open() error {
	st, err := x.fs.Stat(x.path)
	if err != nil {
		return err
	}
	if st.Size()%int64(x.width) != 0 {
		return fmt.Errorf("%s has %d bytes, no multiple of %d", x.path, st.Size(), x.width)
	}
	x.mem, x.live, x.n = nil, false, int(st.Size()/int64(x.width))
	return nil
}

// append adds an entry in memory.
func (x *index) append(entry []byte) {
	x.mem = append(x.mem, entry...)
	x.n++
}

// write puts the entries into the file, unsynced.
func (x *index) write() error {
	f, err := x.fs.Create(x.path, fsys.Category)
	if err != nil {
		return err
	}
	_, err = f.Write(append([]byte(nil), x.mem...)) // Write may change what it is given
	return errors.Join(err, f.Close())
}

// seal drops the memory after write.
func (x *index) seal() { x.mem, x.live = nil, false }

// reader gives access to the entries; close it after use. Of a segment that is gone it shows none: whoever still reads that
// goes through the segment from its beginning.
func (x *index) reader() (*indexReader, error) {
	r := &indexReader{n: x.n, width: x.width, mem: x.mem}
	if x.live || x.n == 0 {
		return r, nil
	}
	f, err := x.fs.Open(x.path)
	if x.gone.Load() { // set before the file goes, so a file opened while it is not set is the right one
		if err == nil {
			err = f.Close()
		}
		if fsys.IsNotExist(err) {
			err = nil
		}
		return &indexReader{width: x.width}, err
	}
	if err != nil {
		return nil, err
	}
	r.f = f
	r.buf = make([]byte, x.width)
	return r, nil
}

// indexReader reads entries. A copy of mem taken under the log's lock stays valid: entries are only ever appended.
type indexReader struct {
	n, width int
	mem      []byte
	f        fsys.File
	buf      []byte
	err      error
}

// at returns entry i, valid until the next call; all zeros after an error, which close returns.
func (r *indexReader) at(i int) []byte {
	if r.f == nil {
		return r.mem[i*r.width : (i+1)*r.width]
	}
	if n, err := r.f.ReadAt(r.buf, int64(i)*int64(r.width)); err != nil && (n < r.width || !errors.Is(err, io.EOF)) {
		clear(r.buf)
		r.err = errors.Join(r.err, err)
	}
	return r.buf
}

// floor returns the index of the last entry for which atMost holds, which must hold for a prefix of the entries; -1 if none.
func (r *indexReader) floor(atMost func(entry []byte) bool) int {
	return sort.Search(r.n, func(i int) bool { return !atMost(r.at(i)) }) - 1
}

func (r *indexReader) close() error {
	if r.f != nil {
		return errors.Join(r.err, r.f.Close())
	}
	return r.err
}

// The three kinds of index, by their entry's width in bytes.
const (
	offsetEntrySize = 8  // relative offset i32, position i32
	timeEntrySize   = 12 // timestamp i64, relative offset i32
	txnEntrySize    = 34 // version i16, producer id, first, last, last stable offset, i64 each
)

func appendOffsetEntry(b []byte, rel, pos int64) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, uint32(rel)), uint32(pos))
}

func offsetEntry(b []byte) (rel, pos int64) {
	return int64(binary.BigEndian.Uint32(b)), int64(binary.BigEndian.Uint32(b[4:]))
}

func appendTimeEntry(b []byte, ms, rel int64) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(b, uint64(ms)), uint32(rel))
}

func timeEntry(b []byte) (ms, rel int64) {
	return int64(binary.BigEndian.Uint64(b)), int64(binary.BigEndian.Uint32(b[8:]))
}

// abortedTxn is an entry of the .txnindex.
type abortedTxn struct {
	producerID, first, last, lastStable int64
}

func appendTxnEntry(b []byte, t abortedTxn) []byte {
	be := binary.BigEndian
	b = be.AppendUint16(b, 0) // version
	b = be.AppendUint64(b, uint64(t.producerID))
	b = be.AppendUint64(b, uint64(t.first))
	b = be.AppendUint64(b, uint64(t.last))
	return be.AppendUint64(b, uint64(t.lastStable))
}

func txnEntry(b []byte) abortedTxn {
	be := binary.BigEndian
	return abortedTxn{
		producerID: int64(be.Uint64(b[2:])), first: int64(be.Uint64(b[10:])),
		last: int64(be.Uint64(b[18:])), lastStable: int64(be.Uint64(b[26:])),
	}
}
