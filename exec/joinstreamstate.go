package exec

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/millracedb/millrace/exec/vec"
)

// What a stream-stream join keeps, each space in the order of its keys:
//
//	rows     bucket (8 bytes), length (4) and join key, rowtime (8), number (8) -> whether it waits (1 byte), row
//	waiting  rowtime (8), length (4) and join key, number (8) -> nothing
//	last     nothing -> the last number given (8), the time of the left side (8), of the right side (8)
//
// A bucket is a span of time. So the rows of one key and time lie together, and buckets whose time is over are a range at the front, of which
// each flush takes some off.

// minBucketMs keeps a join of equal times from having a bucket for each ms.
const minBucketMs = 1000

// minExpired is how many rows that are over a flush takes away; it takes more when more came.
const minExpired = 4096

// bucketStart is the start of the bucket of size ms that holds t.
func bucketStart(t, size int64) int64 {
	start := t - t%size
	if t < start {
		start -= size
	}
	return start
}

// appendGroup appends the join key of row i with its length in front.
func appendGroup(dst []byte, keys []*vec.Vector, i int) []byte {
	mark := len(dst)
	dst = appendKeyCols(append(dst, 0, 0, 0, 0), keys, i)
	binary.BigEndian.PutUint32(dst[mark:], uint32(len(dst)-mark-4))
	return dst
}

func appendRowKey(dst []byte, bucket int64, group []byte, rowtime int64, number uint64) []byte {
	dst = append(appendTime(dst, bucket), group...)
	return binary.BigEndian.AppendUint64(appendTime(dst, rowtime), number)
}

func appendWaitingKey(dst []byte, rowtime int64, group []byte, number uint64) []byte {
	return binary.BigEndian.AppendUint64(append(appendTime(dst, rowtime), group...), number)
}

// splitRowKey takes a key of rows apart.
func splitRowKey(key []byte) (group []byte, rowtime int64, number uint64) {
	end := len(key) - 16
	return key[8:end], timeOfKey(key[end:]), binary.BigEndian.Uint64(key[end+8:])
}

// splitStreamRow takes a kept row apart: whether it waits, its rowtime, and its columns in the row encoding.
func splitStreamRow(val []byte) (waits bool, rowtime int64, cols []byte, err error) {
	if len(val) == 0 {
		return false, 0, nil, fmt.Errorf("%w: empty", vec.ErrCorruptRow)
	}
	rowtime, n := binary.Varint(val[1:])
	if n <= 0 {
		return false, 0, nil, fmt.Errorf("%w: bad rowtime", vec.ErrCorruptRow)
	}
	return val[0] == 1, rowtime, val[1+n:], nil
}

// keep stores the rows that take part for those that come, and lets those wait that found nothing.
func (j *streamJoin) keep(in chunk, keys []*vec.Vector, side *streamSide) {
	other := &j.sides[1-side.port]
	for i := range in.Len() {
		if j.fate[i] == rowOut {
			continue
		}
		rowtime := rowtimeOf(in.Batch, i)
		waits := side.outer && j.fate[i] == rowAlone
		over := other.now != noTime && rowtime+side.keep < other.now // nothing that comes can match it
		if waits && (over || j.n.Within.Eager) {
			j.emitAlone(side, in.Batch, i, j.outTime(in, i, side))
			waits = false
		}
		if over {
			continue
		}
		j.seq++ // tells rows of one key and time apart
		group := appendGroup(j.kbuf[:0], keys, i)
		j.kbuf = group
		start := bucketStart(rowtime, side.bucket)
		side.oldest = min(side.oldest, start)
		j.lower = appendRowKey(j.lower[:0], start, group, rowtime, j.seq)
		j.vbuf = appendRowValue(append(j.vbuf[:0], byte(boolInt(waits))), in.Batch, i)
		side.rows.insert(j.lower, j.vbuf)
		if waits {
			side.firstWaiting = min(side.firstWaiting, rowtime)
			side.waiting.insert(appendWaitingKey(j.lower[:0], rowtime, group, j.seq), nil)
		}
		j.kept++
	}
}

// wake notes that a row of side s that waited has found a partner. val is changed.
func (j *streamJoin) wake(s *streamSide, key, val []byte) {
	val[0] = 0
	s.rows.put(key, val)
	group, rowtime, number := splitRowKey(key)
	j.wbuf = appendWaitingKey(j.wbuf[:0], rowtime, group, number)
	s.waiting.del(j.wbuf)
}

// flush lets rows leave that can match no more.
func (j *streamJoin) flush(int64) error {
	now := j.times()
	for port := range j.sides {
		if err := j.release(&j.sides[port], now[1-port]); err != nil {
			return err
		}
	}
	for port := range j.sides {
		if err := j.expire(&j.sides[port], now[1-port]); err != nil {
			return err
		}
		j.sides[port].now = now[port]
	}
	if j.kept+j.left > 0 {
		val := binary.BigEndian.AppendUint64(nil, j.seq)
		j.last.put(nil, appendTime(appendTime(val, j.sides[portLeft].now), j.sides[portRight].now))
	}
	j.kept, j.left = 0, 0
	for port := range j.sides {
		s := &j.sides[port]
		s.rows.flush()
		if s.outer {
			s.waiting.flush()
		}
	}
	j.last.flush()
	return j.send()
}

// release emits the waiting rows of s that can match no more when the other side's time is other, in order of time.
func (j *streamJoin) release(s *streamSide, other int64) error {
	if !s.outer || other == noTime {
		return nil
	}
	for s.firstWaiting < other-s.wait {
		j.arena, j.found = j.arena[:0], j.found[:0]
		lower := []byte(nil)
		if s.firstWaiting != math.MinInt64 {
			lower = appendTime(j.lower[:0], s.firstWaiting)
		}
		s.firstWaiting = math.MaxInt64
		err := s.waiting.scan(lower, nil, func(key, _ []byte) (bool, error) {
			rowtime := timeOfKey(key)
			if rowtime >= other-s.wait || len(j.found) == outRows {
				s.firstWaiting = rowtime
				return false, nil
			}
			j.found = append(j.found, streamPartner{rowtime: rowtime, key: j.hold(key)})
			return true, nil
		})
		if err != nil {
			return err
		}
		if err := j.releaseFound(s); err != nil {
			return err
		}
	}
	return nil
}

// releaseFound emits the waiting rows that were found. They stay as rows that have left, until no row can match them.
func (j *streamJoin) releaseFound(s *streamSide) error {
	clock := heldBack(min(j.sides[portLeft].now, j.sides[portRight].now), j.held)
	for _, p := range j.found {
		key := j.holds(p.key)
		end := len(key) - 8
		number := binary.BigEndian.Uint64(key[end:])
		j.upper = appendRowKey(j.upper[:0], bucketStart(p.rowtime, s.bucket), key[8:end], p.rowtime, number)
		val, ok, err := s.rows.get(j.vbuf[:0], j.upper)
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("%w: a waiting row is not there", vec.ErrCorruptRow)
		}
		j.vbuf = val
		s.one.Reset()
		if err := appendFromRowValue(s.one, val[1:], vec.Insert); err != nil {
			return err
		}
		j.emitAlone(s, s.one, 0, clock)
		s.waiting.del(key)
	}
	j.left += len(j.found)
	j.found, j.arena = j.found[:0], j.arena[:0]
	return j.send()
}

// expire deletes rows of s that nothing can match when the other side's time is other: at most as many as keep the state from growing.
func (j *streamJoin) expire(s *streamSide, other int64) error {
	if !s.over(other) {
		return nil
	}
	limit := max(minExpired, 2*j.kept)
	upper := appendTime(j.upper[:0], s.expired(other))
	j.arena, j.found = j.arena[:0], j.found[:0]
	s.oldest = math.MaxInt64
	err := s.rows.scan(s.gone, nil, func(key, _ []byte) (bool, error) {
		if len(j.found) == limit || string(key) >= string(upper) {
			s.oldest = timeOfKey(key)
			return false, nil
		}
		j.found = append(j.found, streamPartner{key: j.hold(key)})
		return true, nil
	})
	if err != nil {
		return err
	}
	for _, p := range j.found {
		key := j.holds(p.key)
		s.rows.del(key)
		s.gone = append(s.gone[:0], key...) // the walk over what is deleted already is not begun again
	}
	j.left += len(j.found)
	j.found, j.arena = j.found[:0], j.arena[:0]
	return nil
}

// expired is the start of the first bucket of s that is not over when the other side's time is other.
func (s *streamSide) expired(other int64) int64 { return bucketStart(other-s.keep, s.bucket) }

// over reports whether rows may be there that nothing can match.
func (s *streamSide) over(other int64) bool { return other != noTime && s.oldest < s.expired(other) }

// due reports whether a flush would let a row leave.
func (j *streamJoin) due() bool {
	now := j.times()
	for port := range j.sides {
		s, other := &j.sides[port], now[1-port]
		if s.over(other) || s.outer && other != noTime && s.firstWaiting < other-s.wait {
			return true
		}
	}
	return false
}

// times are the stream times of both sides. Where all that a side reads is idle, it goes with the other.
func (j *streamJoin) times() (now [2]int64) {
	l, r := &j.sides[portLeft], &j.sides[portRight]
	lAt, lIdle := lowestTime(l.sources)
	rAt, rIdle := lowestTime(r.sources)
	if lIdle {
		lAt = max(lAt, rAt)
	}
	if rIdle {
		rAt = max(rAt, lAt)
	}
	return [2]int64{max(l.now, heldBack(lAt, l.held)), max(r.now, heldBack(rAt, r.held))}
}

// resume takes up what was committed: the last number, and the sides' times, of which what they read knows only those that rows proved.
func (j *streamJoin) resume() error {
	val, ok, err := j.last.get(nil, nil)
	if err != nil || !ok {
		return err
	}
	if len(val) != 24 {
		return fmt.Errorf("%w: bad times of a join", vec.ErrCorruptRow)
	}
	j.seq = binary.BigEndian.Uint64(val)
	j.sides[portLeft].now, j.sides[portRight].now = timeOfKey(val[8:]), timeOfKey(val[16:])
	return nil
}
