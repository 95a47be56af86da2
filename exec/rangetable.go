package exec

import (
	"bytes"
	"math"
	"slices"
)

// rangeTable holds rows of one operator in the order of their keys. In memory are only the rows that changed in this round; ranges, of any
// size, are walked by merging these with the store. A push query, which has no store, has all rows in memory.
//
// In the store a key is the table's tag and the key.
type rangeTable struct {
	st  *taskState
	op  uint32
	tag byte

	keys   skipList
	rows   []rangeRow // by number of the key
	arena  []byte
	absent int // rows in memory that are deleted
	it     roundIter
}

type rangeRow struct {
	off, len uint32
	present  bool
	dirty    bool
	fresh    bool // not in the store
}

func newRangeTable(st *taskState, op uint32, tag byte) *rangeTable {
	t := &rangeTable{st: st, op: op, tag: tag}
	st.register(t)
	return t
}

// insert adds a row under a key that the table does not hold and never held in this round. Both are copied.
func (t *rangeTable) insert(key, val []byte) {
	n, fresh := t.keys.add(key)
	if fresh {
		t.rows = append(t.rows, rangeRow{fresh: true})
	}
	t.setValue(n, val)
}

// put sets the value of a row. Both are copied.
func (t *rangeTable) put(key, val []byte) {
	n, fresh := t.keys.add(key)
	if fresh {
		t.rows = append(t.rows, rangeRow{})
	}
	t.setValue(n, val)
}

func (t *rangeTable) setValue(n int32, val []byte) {
	r := &t.rows[n]
	r.off, r.len = uint32(len(t.arena)), uint32(len(val))
	t.arena = append(doubled(t.arena), val...)
	r.present, r.dirty = true, true
}

// del removes a row that is there.
func (t *rangeTable) del(key []byte) {
	n, fresh := t.keys.add(key)
	if fresh {
		t.rows = append(t.rows, rangeRow{})
	}
	t.rows[n].present, t.rows[n].dirty = false, true
	t.absent++
}

// get returns the value of a row, appended to dst.
func (t *rangeTable) get(dst, key []byte) (val []byte, ok bool, err error) {
	if n := t.keys.find(key); n >= 0 {
		return append(dst, t.value(n)...), t.rows[n].present, nil
	}
	return t.st.get(dst, t.op, append([]byte{t.tag}, key...))
}

func (t *rangeTable) value(n int32) []byte {
	r := &t.rows[n]
	return t.arena[r.off : r.off+r.len : r.off+r.len]
}

// scan calls f with the rows of [lower, upper) in order until it wants no more; a nil upper is open. The slices are f's for the call, in which
// it may not change the table nor walk it.
func (t *rangeTable) scan(lower, upper []byte, f func(key, val []byte) (more bool, err error)) error {
	stored, err := t.seekStored(lower)
	if err != nil {
		return err
	}
	before := func(key []byte) bool { return upper == nil || bytes.Compare(key, upper) < 0 }
	n := t.keys.seek(lower)
	for {
		var mine, theirs []byte
		if n >= 0 && before(t.keys.key(n)) {
			mine = t.keys.key(n)
		}
		if stored && before(t.it.Key()[1:]) {
			theirs = t.it.Key()[1:]
		}
		if mine == nil && theirs == nil {
			break
		}
		order := -1
		if mine == nil {
			order = 1
		} else if theirs != nil {
			order = bytes.Compare(mine, theirs)
		}
		more := true
		if order > 0 {
			more, err = f(theirs, t.it.Value())
		} else if t.rows[n].present {
			more, err = f(mine, t.value(n))
		}
		if err != nil || !more {
			return err
		}
		if order <= 0 {
			n = t.keys.next(n)
		}
		if order >= 0 {
			stored = t.it.Next()
		}
	}
	if t.st.committed != nil {
		return t.it.Err()
	}
	return nil
}

// upTo returns the first keys of a table whose keys begin with a time (appendTime), at most limit of those of time last or earlier, and the time of the key behind them: math.MaxInt64 if there is none.
func (t *rangeTable) upTo(last int64, limit int) (keys [][]byte, next int64, err error) {
	next = math.MaxInt64
	err = t.scan(nil, nil, func(key, _ []byte) (bool, error) {
		if at := timeOfKey(key); at > last || len(keys) == limit {
			next = at
			return false, nil
		}
		keys = append(keys, slices.Clone(key))
		return true, nil
	})
	return keys, next, err
}

// seekStored puts the iterator over the store at the first row at or after key.
func (t *rangeTable) seekStored(key []byte) (bool, error) {
	if t.st.committed == nil {
		return false, nil
	}
	if err := t.st.iterate(&t.it, t.op, t.tag); err != nil {
		return false, err
	}
	t.st.key1 = append(append(t.st.key1[:0], t.tag), key...)
	return t.it.SeekGE(t.st.key1), t.it.Err()
}

// flush hands the changed rows to the task's state.
func (t *rangeTable) flush() {
	if t.st.committed == nil {
		return
	}
	for n := range t.rows {
		r := &t.rows[n]
		if !r.dirty {
			continue
		}
		r.dirty = false
		t.st.key1 = append(append(t.st.key1[:0], t.tag), t.keys.key(int32(n))...)
		switch {
		case r.present:
			t.st.set(t.op, t.st.key1, t.value(int32(n)))
		case !r.fresh:
			t.st.del(t.op, t.st.key1)
		}
	}
}

func (t *rangeTable) memSize() int64 {
	return t.keys.memSize() + int64(cap(t.arena)+12*cap(t.rows))
}

func (t *rangeTable) operator() uint32 { return t.op }

// commit lets the round's rows go, which are in the store now. Without one the deleted rows go once they are most of what is held.
func (t *rangeTable) commit() {
	if t.st.committed != nil {
		t.evict()
		return
	}
	if t.absent < minGoneSlots || 2*t.absent < len(t.rows) {
		return
	}
	old := *t
	t.keys, t.rows, t.arena, t.absent = skipList{}, nil, nil, 0
	for n := range old.rows {
		if old.rows[n].present {
			t.insert(old.keys.key(int32(n)), old.value(int32(n)))
		}
	}
}

func (t *rangeTable) evict() {
	t.keys.empty()
	if cap(t.arena) > maxKeptArena {
		t.arena = nil
	}
	t.rows, t.arena, t.absent = t.rows[:0], t.arena[:0], 0
}
