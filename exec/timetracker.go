package exec

import (
	"encoding/binary"
	"errors"
	"time"
)

// timeTracker keeps the stream time of what one source of a task reads: one writer for a topic's partition, as many as the
// writing fragment has tasks for an exchange. Stream time is the lowest of the writers' times, idle ones left out. When all are
// idle it goes on with the wall clock from the highest, so that the last windows close. A row of a stream that a query writes may prove
// less than its own rowtime (see streamtime.go): then time goes on from the highest rowtime.
type timeTracker struct {
	writers []writerTime
	now     int64     // stream time; it never falls
	ahead   int64     // the highest rowtime of rows that proved less, noTime for none
	since   time.Time // when all became idle, less the time they had been silent
	allIdle bool
}

type writerTime struct {
	time int64 // noTime before anything was heard
	idle bool
}

func newTimeTracker(writers int) *timeTracker {
	t := &timeTracker{now: noTime, ahead: noTime}
	t.resize(writers)
	return t
}

// resize makes room for writers that come to light.
func (t *timeTracker) resize(n int) {
	for len(t.writers) < n {
		t.writers = append(t.writers, writerTime{time: noTime})
	}
}

// heard notes a writer's time. It wakes a writer that was idle.
func (t *timeTracker) heard(w int, at int64, idle bool) {
	t.resize(w + 1)
	t.writers[w].time = max(t.writers[w].time, at)
	t.writers[w].idle = idle
	if !idle {
		t.allIdle = false
	}
}

// others is the lowest time of the writers but w, idle ones left out; the highest time there is if w is alone.
func (t *timeTracker) others(w int) int64 {
	low := int64(1<<63 - 1)
	for i, x := range t.writers {
		if i != w && !x.idle {
			low = min(low, x.time)
		}
	}
	return low
}

// advance computes stream time as of the wall clock's wall. quiet is how long nothing has come when all turn out to be idle.
func (t *timeTracker) advance(wall time.Time, quiet time.Duration) int64 {
	low, high, idle := int64(1<<63-1), int64(noTime), true
	if len(t.writers) == 0 { // of an exchange of which nothing was heard yet
		return t.now
	}
	for _, w := range t.writers {
		high = max(high, w.time)
		if !w.idle {
			idle = false
			low = min(low, w.time)
		}
	}
	if !idle {
		t.allIdle = false
		t.now = max(t.now, low)
		return t.now
	}
	if !t.allIdle {
		t.allIdle, t.since = true, wall.Add(-quiet)
	}
	high = max(high, t.ahead)
	if high != noTime {
		t.now = max(t.now, high+wall.Sub(t.since).Milliseconds())
	}
	return t.now
}

// data is the stream time that rows alone have proved, without what the wall clock added.
func (t *timeTracker) data() int64 {
	high := int64(noTime)
	for _, w := range t.writers {
		high = max(high, w.time)
	}
	if t.allIdle {
		high = max(high, t.ahead)
	}
	return min(t.now, high)
}

var errCorruptTimes = errors.New("corrupt stream times in state")

// append encodes the tracker for the mark.
func (t *timeTracker) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(t.writers)))
	dst = binary.AppendVarint(dst, t.now)
	dst = binary.AppendVarint(dst, t.ahead)
	for _, w := range t.writers {
		dst = binary.AppendVarint(dst, w.time)
		dst = binary.AppendVarint(dst, boolInt(w.idle))
	}
	return dst
}

func (t *timeTracker) decode(src []byte) (rest []byte, err error) {
	n, size := binary.Uvarint(src)
	if size <= 0 || n > uint64(len(src)) {
		return nil, errCorruptTimes
	}
	src = src[size:]
	if t.now, src, err = takeVarint(src); err != nil {
		return nil, errCorruptTimes
	}
	if t.ahead, src, err = takeVarint(src); err != nil {
		return nil, errCorruptTimes
	}
	t.writers = make([]writerTime, n)
	for i := range t.writers {
		var idle int64
		if t.writers[i].time, src, err = takeVarint(src); err != nil {
			return nil, errCorruptTimes
		}
		if idle, src, err = takeVarint(src); err != nil {
			return nil, errCorruptTimes
		}
		t.writers[i].idle = idle != 0
	}
	return src, nil
}
