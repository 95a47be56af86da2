package log

import (
	"errors"
	"fmt"
	"io"
	"sort"
	"sync/atomic"

	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/record"
)

// Chunk is a run of whole batches, in memory or as a range of a file. The zero Chunk is empty. Release it when it has been
// sent or read.
type Chunk struct {
	data []byte
	file *handle
	pos  int64
	size int64
	log  *Log
	done *atomic.Bool
	// Of the segment that holds the bytes: its offsets are from base on and below end.
	base, end int64
	offset    int64 // that was asked for: the first batch holds it
}

// Len returns the size in bytes.
func (c *Chunk) Len() int64 { return c.size }

// Data returns the bytes if they are in memory, else nil. They must not be changed, and stay valid after Release.
func (c *Chunk) Data() []byte { return c.data }

// File returns the range of a file that holds the bytes, for sendfile (fsys.Fd tells whether it has a descriptor); ok is
// false when they are in memory. The file must not be closed, nor used after Release.
func (c *Chunk) File() (f fsys.File, pos int64, ok bool) {
	if c.file == nil {
		return nil, 0, false
	}
	return c.file.File, c.pos, true
}

// AppendTo appends the bytes to dst and returns it. Batches from a file are checked: of a damaged one it returns those before the damage, or if there are none, a *Damage.
func (c *Chunk) AppendTo(dst []byte) ([]byte, error) {
	if c.file == nil {
		return append(dst, c.data...), nil
	}
	at := len(dst)
	dst = append(dst, make([]byte, c.size)...)
	good, next, err := c.read(dst[at:])
	if isDamage(err) {
		good, next, err = c.read(dst[at:]) // it may have been the reading
	}
	if isDamage(err) {
		err = c.log.meet(c.file, &Damage{Pos: c.pos + int64(good), Offset: max(next, c.offset), Cause: err})
	}
	if good > 0 {
		return dst[:at+good], nil
	}
	return dst[:at], err
}

// read fills buf with the bytes. It returns how many of them are whole batches that are right, where those end, and what is wrong then.
func (c *Chunk) read(buf []byte) (good int, next int64, err error) {
	if n, err := c.file.ReadAt(buf, c.pos); err != nil && (int64(n) < c.size || !errors.Is(err, io.EOF)) {
		return 0, c.base, fmt.Errorf("read of segment: %w", err)
	}
	return checkBatches(buf, c.base, c.end)
}

// Release gives the chunk back. Further calls do nothing.
func (c *Chunk) Release() {
	if c.file == nil || !c.done.CompareAndSwap(false, true) {
		return
	}
	c.log.mu.Lock()
	c.log.mu.readers--
	c.log.mu.Unlock()
	if err := c.file.release(); err != nil {
		c.log.logger.Warn("close of a segment failed", "error", err)
	}
}

// Read returns batches from the one that holds offset on: whole ones, none of which reaches upTo, at most maxBytes but at
// least one if there is one. A record before offset may come along. At the end the chunk is empty. An offset outside the log
// is kerr.OffsetOutOfRange.
func (l *Log) Read(offset int64, maxBytes int, upTo int64) (Chunk, error) {
	l.mu.Lock()
	if l.mu.closed {
		l.mu.Unlock()
		return Chunk{}, storageError(ErrClosed, nil)
	}
	if offset < l.mu.logStart || offset > l.mu.leo {
		defer l.mu.Unlock()
		return Chunk{}, l.outOfRangeLocked(offset)
	}
	limit := min(upTo, l.mu.leo)
	if offset >= limit {
		l.mu.Unlock()
		l.tail.wanted()
		return Chunk{}, nil
	}
	if data := l.tail.read(offset, maxBytes, limit); data != nil {
		l.mu.Unlock()
		return Chunk{data: data, size: int64(len(data))}, nil
	}
	if d := l.mu.damage; d != nil && offset < l.mu.segments[0].base {
		l.mu.Unlock()
		return Chunk{}, d
	}
	i := l.segmentAtLocked(offset)
	v, base := l.mu.segments[i].view(), l.mu.segments[i].base
	l.mu.readers++
	l.mu.Unlock()

	c := Chunk{file: v.file, log: l, done: new(atomic.Bool), offset: offset}
	for {
		c.base, c.end = v.base, v.next
		found, err := c.locate(&v, offset, maxBytes, limit)
		if isDamage(err) {
			found, err = c.locate(&v, offset, maxBytes, limit) // it may have been the reading
		}
		if isDamage(err) {
			err = l.meet(v.file, &Damage{Pos: c.pos, Offset: offset, Cause: err})
		}
		if err != nil || (found && c.size == 0) {
			c.Release()
			return Chunk{}, err
		}
		if found {
			if c.pos+c.size == v.size && v.next >= limit {
				l.tail.wanted()
			}
			return c, nil
		}
		// Compaction may leave nothing at the end of a segment: go on in the next.
		next, ok := l.viewAfter(base, limit)
		if !ok {
			c.Release()
			return Chunk{}, nil
		}
		if err := v.file.release(); err != nil {
			l.logger.Warn("close of a segment failed", "error", err)
		}
		v, base, c.file = next, next.base, next.file
	}
}

// locate sets the range of c; found is false if v has no batch that ends at or after offset.
func (c *Chunk) locate(v *view, offset int64, maxBytes int, limit int64) (found bool, err error) {
	pos, h, ok, err := v.locate(offset)
	if err != nil || !ok {
		c.pos = pos
		return false, err
	}
	if h.LastOffset() >= limit {
		return true, nil
	}
	end := v.size
	if v.next > limit {
		at, _, ok, err := v.locate(limit)
		if err != nil {
			c.pos = at
			return false, err
		}
		if ok {
			end = at
		}
	}
	first := pos + int64(h.Size())
	if most := pos + int64(maxBytes); end > most {
		if end, err = v.floorBatch(most); err != nil {
			return false, err
		}
	}
	c.pos, c.size = pos, max(end, first)-pos
	return true, nil
}

// segmentAtLocked returns the index of the segment that holds offset.
func (l *Log) segmentAtLocked(offset int64) int {
	segments := l.mu.segments
	return max(0, sort.Search(len(segments), func(i int) bool { return segments[i].base > offset })-1)
}

// viewAfter returns the segment after the one at base, if it begins below limit.
func (l *Log) viewAfter(base, limit int64) (view, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	segments := l.mu.segments
	i := sort.Search(len(segments), func(i int) bool { return segments[i].base > base })
	if i == len(segments) || segments[i].base >= limit {
		return view{}, false
	}
	return segments[i].view(), true
}

// AbortedTransactions returns the aborted transactions with data in offsets from (inclusive) to to (exclusive), as a
// read_committed fetch answers them. Ask after Read: if retention has taken from meanwhile, it is kerr.OffsetOutOfRange, since
// the transactions of what was read are not known any more.
func (l *Log) AbortedTransactions(from, to int64) ([]record.AbortedTxn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.closed {
		return nil, storageError(ErrClosed, nil)
	}
	if from < l.mu.logStart || from > l.mu.leo {
		return nil, l.outOfRangeLocked(from)
	}
	return l.abortedLocked(from, to), nil
}

func (l *Log) abortedLocked(from, to int64) []record.AbortedTxn {
	var aborted []record.AbortedTxn
	for _, s := range l.mu.segments[l.segmentAtLocked(from):] {
		for mem := s.txn.mem; len(mem) > 0; mem = mem[txnEntrySize:] {
			t := txnEntry(mem)
			if t.last >= from && t.first < to {
				aborted = append(aborted, record.AbortedTxn{ProducerID: t.producerID, FirstOffset: t.first})
			}
			if t.lastStable >= to {
				return aborted // no later one concerns offsets below to
			}
		}
	}
	return aborted
}

// TimedOffset is a record found by its time.
type TimedOffset struct {
	Offset      int64
	Timestamp   int64 // ms
	LeaderEpoch int32
}

// OffsetForTime returns the first record whose timestamp is at least ms; ok is false if there is none.
func (l *Log) OffsetForTime(ms int64) (t TimedOffset, ok bool, err error) {
	l.mu.Lock()
	start := l.mu.logStart
	var views []view
	for _, s := range l.mu.segments[l.segmentAtLocked(start):] {
		if s.maxTime >= ms {
			views = append(views, s.view())
		}
	}
	l.mu.Unlock()
	for i := range views {
		if !ok && err == nil {
			t, ok, err = views[i].search(start, ms)
		}
		if rerr := views[i].file.release(); rerr != nil {
			l.logger.Warn("close of a segment failed", "error", rerr)
		}
	}
	return t, ok, err
}

// OffsetOfMaxTimestamp returns the first record that has the highest timestamp of the log; ok is false if the log is empty.
func (l *Log) OffsetOfMaxTimestamp() (t TimedOffset, ok bool, err error) {
	l.mu.Lock()
	highest := int64(-1)
	for _, s := range l.mu.segments {
		highest = max(highest, s.maxTime)
	}
	l.mu.Unlock()
	if highest < 0 {
		return t, false, nil
	}
	return l.OffsetForTime(highest)
}

// search returns the first record at or after start whose timestamp is at least ms.
func (v *view) search(start, ms int64) (t TimedOffset, ok bool, err error) {
	pos, err := v.timePos(ms)
	if err != nil {
		return t, false, err
	}
	s := scanner{file: v.file, pos: pos, size: v.size, window: scanWindow}
	var it record.Iterator
	for ; ; s.skip() {
		more, err := s.header()
		if err != nil || !more {
			return t, false, err
		}
		if s.h.LastOffset() < start || s.h.MaxTimestamp < ms || s.h.IsControl() {
			continue
		}
		frame, err := s.frame()
		if err != nil {
			return t, false, err
		}
		for err = it.Reset(frame); it.Next(); {
			if r := &it.Record; r.Offset >= start && r.Timestamp >= ms {
				return TimedOffset{r.Offset, r.Timestamp, s.h.LeaderEpoch}, true, nil
			}
		}
		if err = errors.Join(err, it.Err()); err != nil {
			return t, false, err
		}
	}
}

// timePos returns a position before which no record has a timestamp of ms or more.
func (v *view) timePos(ms int64) (int64, error) {
	r, err := v.time.reader()
	if err != nil {
		return 0, err
	}
	offset := v.base
	if i := r.floor(func(e []byte) bool { t, _ := timeEntry(e); return t < ms }); i >= 0 {
		_, rel := timeEntry(r.at(i))
		offset = v.base + rel
	}
	if err := r.close(); err != nil {
		return 0, err
	}
	return v.floorPos(offset)
}
