package log

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/millracedb/millrace/internal/record"
)

// compactKeysMax bounds the keys of one pass: a pass that meets more cleans only as far as they go. An entry takes some 40
// bytes.
const compactKeysMax = 1 << 20

// keyHash stands for a key; keys themselves are not compared, so it must be one that does not collide.
type keyHash [16]byte

func hashKey(key []byte) keyHash {
	sum := sha256.Sum256(key)
	return keyHash(sum[:16])
}

// CompactStats is what a pass has done.
type CompactStats struct {
	Segments    int   // segments read
	BytesBefore int64 // of those
	BytesAfter  int64
	Records     int64 // records dropped
	CleanPoint  int64 // the log is compacted up to here
}

// CompactionDue reports whether the log is worth a pass, and how dirty it is: the part of its sealed bytes that no pass has
// seen. max.compaction.lag.ms can make any dirt due.
func (l *Log) CompactionDue() (ratio float64, due bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.mu.config.Compact || l.mu.closed || l.mu.compacting || l.failureLocked() != nil {
		return 0, false
	}
	now := l.opts.Clock.Now()
	var dirty, total int64
	forced := false
	for _, s := range l.mu.segments[:l.cleanableLocked(now)] {
		total += s.size
		if s.next > l.mu.cleanPoint {
			dirty += s.size
			force := l.mu.config.CompactionForce
			forced = forced || force > 0 && s.firstTime >= 0 && s.firstTime < now.Add(-force).UnixMilli()
		}
	}
	if dirty == 0 {
		return 0, false
	}
	ratio = float64(dirty) / float64(total)
	return ratio, forced || ratio >= l.mu.config.DirtyRatioMin
}

// cleanableLocked returns how many segments a pass may touch: sealed ones, wholly below the last stable offset, and old enough.
func (l *Log) cleanableLocked(now time.Time) int {
	stable := l.mu.producers.firstUnstable(l.mu.hw, l.mu.hw)
	young := now.Add(-l.mu.config.CompactionLag).UnixMilli()
	n := 0
	for _, s := range l.mu.segments[:len(l.mu.segments)-1] {
		if s.next > stable || (l.mu.config.CompactionLag > 0 && s.maxTime > young) {
			break
		}
		n++
	}
	return n
}

// Compact makes a pass over the log: of records with the same key only the last stays, aborted data goes, and tombstones and
// transaction markers go once they have been seen for delete.retention.ms. Offsets do not change. It works on sealed segments
// below the last stable offset, beside appends and reads. A crash or a cancelled context leaves each group of segments either
// as it was or compacted; the pass can be made again.
func (l *Log) Compact(ctx context.Context) (CompactStats, error) {
	p, err := l.beginPass()
	if p == nil || err != nil {
		return CompactStats{CleanPoint: l.CleanPoint()}, err
	}
	defer l.endPass(p)
	if err := p.buildMap(ctx); err != nil {
		return p.stats, fmt.Errorf("compact %s: %w", l.dir, err)
	}
	p.aborted.Reset(l.aborted(0, p.end))
	for _, group := range p.groups() {
		if err := p.clean(ctx, group); err != nil {
			return p.stats, fmt.Errorf("compact %s: %w", l.dir, err)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.cleanPoint = max(l.mu.cleanPoint, p.end)
	p.stats.CleanPoint = l.mu.cleanPoint
	return p.stats, nil
}

func (l *Log) aborted(from, to int64) []record.AbortedTxn {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.abortedLocked(from, to)
}

// pass is one compaction under way.
type pass struct {
	log      *Log
	config   Config
	now      int64      // ms
	segments []*segment // what may be touched, ascending
	views    []view     // of those
	from     int64      // first dirty offset
	end      int64      // the map knows all keys of [from, end)
	latest   map[keyHash]int64
	lastOf   map[int64]int64 // producer id -> last offset of its last batch
	aborted  record.AbortedFilter
	open     map[int64]bool // producers whose transaction has shown data since its last marker
	gone     map[int64]bool // offsets of markers that were dropped
	filter   record.Filter
	out      []byte
	stats    CompactStats
}

// beginPass returns nil if there is nothing to do, or another pass is under way.
func (l *Log) beginPass() (*pass, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.failureLocked(); err != nil {
		return nil, err
	}
	if l.mu.closed {
		return nil, storageError(ErrClosed, nil)
	}
	now := l.opts.Clock.Now()
	n := l.cleanableLocked(now)
	if l.mu.compacting || n == 0 || l.mu.segments[n-1].next <= l.mu.cleanPoint {
		return nil, nil
	}
	l.mu.compacting = true
	p := &pass{
		log: l, config: l.mu.config, now: now.UnixMilli(), segments: l.mu.segments[:n:n],
		from: l.mu.cleanPoint, end: l.mu.segments[n-1].next,
		latest: make(map[keyHash]int64), lastOf: make(map[int64]int64), open: make(map[int64]bool), gone: make(map[int64]bool),
	}
	for _, s := range p.segments {
		p.views = append(p.views, s.view())
	}
	for id, producer := range l.mu.producers.byID {
		if producer.n > 0 {
			p.lastOf[id] = producer.batches[producer.n-1].lastOffset
		}
	}
	return p, nil
}

func (l *Log) endPass(p *pass) {
	l.mu.Lock()
	l.mu.compacting = false
	l.mu.Unlock()
	for i := range p.views {
		if err := p.views[i].file.release(); err != nil {
			l.logger.Warn("close of a segment failed", "error", err)
		}
	}
}

// buildMap notes the last offset of each key in the dirty part. Data of aborted transactions does not count.
func (p *pass) buildMap(ctx context.Context) error {
	var filter record.AbortedFilter
	filter.Reset(p.log.aborted(p.from, p.end))
	var it record.Iterator
	full := false
	for i := range p.views {
		if full || p.views[i].next <= p.from {
			continue
		}
		err := p.log.each(ctx, &p.views[i], func(h *record.Header, frame []byte) (bool, error) {
			if h.LastOffset() < p.from {
				return true, nil
			}
			if len(p.latest)+int(h.Count) > compactKeysMax && len(p.latest) > 0 {
				p.end, full = h.BaseOffset, true
				return false, nil
			}
			committed, err := filter.Committed(h, frame)
			if err != nil || !committed {
				return true, err
			}
			for err = it.Reset(frame); it.Next(); {
				if it.Record.Key != nil {
					p.latest[hashKey(it.Record.Key)] = it.Record.Offset
				}
			}
			return true, errors.Join(err, it.Err())
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// groups joins neighbours that make one segment together, as ranges of p.segments. Segments beyond the map's end stay out.
func (p *pass) groups() [][2]int {
	var groups [][2]int
	for i := 0; i < len(p.segments); {
		if p.segments[i].base >= p.end {
			break
		}
		j, size := i+1, p.segments[i].size
		for j < len(p.segments) && p.segments[j].base < p.end && size+p.segments[j].size <= p.config.SegmentBytes &&
			p.segments[j].next-1-p.segments[i].base <= math.MaxInt32 {
			size += p.segments[j].size
			j++
		}
		groups = append(groups, [2]int{i, j})
		i = j
	}
	return groups
}

// clean writes a group into one new segment and swaps it in.
func (p *pass) clean(ctx context.Context, group [2]int) error {
	l := p.log
	w, err := newCleaned(l.opts.FS, l.dir, p.segments[group[0]].base)
	if err != nil {
		return err
	}
	var before int64
	for i := group[0]; i < group[1]; i++ {
		v := &p.views[i]
		before += v.size
		lastOfGroup := i == group[1]-1
		pos := int64(0)
		err := l.each(ctx, v, func(h *record.Header, frame []byte) (bool, error) {
			pos += int64(h.Size())
			out, err := p.cleanBatch(h, frame, lastOfGroup && pos == v.size)
			if err != nil || len(out) == 0 {
				return true, err
			}
			return true, w.add(out, p.config.IndexIntervalBytes)
		})
		if err != nil {
			return errors.Join(err, w.drop())
		}
	}
	p.copyAborted(group, w.seg)
	if err := w.finish(); err != nil {
		return errors.Join(err, w.drop())
	}
	p.stats.Segments += group[1] - group[0]
	p.stats.BytesBefore += before
	p.stats.BytesAfter += w.seg.size
	return l.swap(p.segments[group[0]:group[1]], w)
}

// copyAborted takes over the transaction index, but for the entries whose markers have gone: their data went long before.
func (p *pass) copyAborted(group [2]int, into *segment) {
	p.log.mu.Lock()
	defer p.log.mu.Unlock()
	for _, s := range p.segments[group[0]:group[1]] {
		for mem := s.txn.mem; len(mem) > 0; mem = mem[txnEntrySize:] {
			if e := mem[:txnEntrySize]; !p.gone[txnEntry(e).last] {
				into.txn.append(e)
			}
		}
	}
}

// cleanBatch returns what is left of a batch, nil if nothing. The last batch of a group is kept, if need be empty, so that
// the new segment ends where the old ones did; so is a producer's last, which holds its sequence.
func (p *pass) cleanBatch(h *record.Header, frame []byte, lastOfGroup bool) ([]byte, error) {
	committed, err := p.aborted.Committed(h, frame)
	if err != nil {
		return nil, err
	}
	last, known := p.lastOf[h.ProducerID]
	must := lastOfGroup || known && last == h.LastOffset()
	if h.IsControl() {
		return p.cleanMarker(h, frame, must)
	}
	if h.IsTransactional() {
		p.open[h.ProducerID] = true
	}
	out, kept := p.out[:0], 0
	if committed {
		horizon := int64(-1)
		if !h.Attributes.Has(record.DeleteHorizon) && p.hasTombstone(frame) {
			horizon = p.now + p.config.TombstoneAge.Milliseconds()
		}
		expired := h.Attributes.Has(record.DeleteHorizon) && h.BaseTimestamp <= p.now
		out, kept, err = p.filter.Apply(out, frame, horizon, func(r *record.Record) record.Verdict { return p.keep(r, expired) })
	} else if must {
		out, err = record.AppendEmpty(out, frame)
	}
	if err != nil {
		return nil, err
	}
	p.out = out
	p.stats.Records += int64(h.Count) - int64(kept)
	if kept == 0 && !must {
		return nil, nil
	}
	return out, nil
}

func (p *pass) keep(r *record.Record, expired bool) record.Verdict {
	if r.Key == nil {
		return record.Drop
	}
	if latest, ok := p.latest[hashKey(r.Key)]; ok && r.Offset < latest {
		return record.Drop
	}
	return record.Verdict(r.Value != nil || !expired)
}

func (p *pass) hasTombstone(frame []byte) bool {
	var it record.Iterator
	for _ = it.Reset(frame); it.Next(); {
		if it.Record.Value == nil {
			return true
		}
	}
	return false
}

// cleanMarker keeps a marker while data of its transaction is there, and for delete.retention.ms after the first pass that
// finds none: a consumer may be in the middle of the transaction.
func (p *pass) cleanMarker(h *record.Header, frame []byte, must bool) ([]byte, error) {
	data := p.open[h.ProducerID]
	delete(p.open, h.ProducerID)
	if data {
		return frame, nil
	}
	var err error
	switch {
	case !h.Attributes.Has(record.DeleteHorizon):
		keep := func(*record.Record) record.Verdict { return record.Keep }
		p.out, _, err = p.filter.Apply(p.out[:0], frame, p.now+p.config.TombstoneAge.Milliseconds(), keep)
	case h.BaseTimestamp > p.now:
		return frame, nil
	case must:
		p.out, err = record.AppendEmpty(p.out[:0], frame)
		p.stats.Records += int64(h.Count)
	default:
		p.stats.Records += int64(h.Count)
		p.gone[h.LastOffset()] = true
		return nil, nil
	}
	return p.out, err
}
