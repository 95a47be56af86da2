package exec

import "errors"

// ErrStateMemory is wrapped when a task's uncommitted rows do not fit into its share of memory.
var ErrStateMemory = errors.New("state of the task does not fit into memory")

// taskState is the state of one task: what is committed, read through a StateReader, and the changes of the round that is
// being built. Operators keep rows of their own in memory, as tables that are registered here, and hand the rows that
// changed over when they are flushed.
type taskState struct {
	committed StateReader // nil for a push query, which has nothing but memory
	tables    []evictable
	limit     int64 // bytes that rows in memory may take

	writes []stateWrite
	arena  []byte
	key1   []byte // scratch of the tables

	round uint64 // counts endReads
	open  []StateIter
}

// roundIter is an iterator over the committed rows of one tag of an operator, which do not change within a round.
type roundIter struct {
	StateIter
	round uint64
}

// iterate gives it an iterator for this round, if it has none.
func (s *taskState) iterate(it *roundIter, op uint32, tag byte) error {
	if it.StateIter != nil && it.round == s.round {
		return nil
	}
	var err error
	if it.StateIter, err = s.committed.Iter(op, []byte{tag}, []byte{tag + 1}); err != nil {
		return err
	}
	it.round = s.round
	s.open = append(s.open, it.StateIter)
	return nil
}

// endReads closes the round's iterators: what they show will be changed, or was read for the last time.
func (s *taskState) endReads() (err error) {
	for _, it := range s.open {
		err = errors.Join(err, it.Err(), it.Close())
	}
	s.open = s.open[:0]
	s.round++
	return err
}

// evictable is a holder of rows in memory.
type evictable interface {
	memSize() int64
	operator() uint32
	// evict forgets rows that equal what is committed. It is called right after a commit, when that is all of them.
	evict()
	// committed tells that all rows handed over are committed.
	commit()
}

type stateWrite struct {
	op             uint32
	deleted        bool
	keyOff, keyLen uint32
	valOff, valLen uint32
}

func (s *taskState) register(t evictable) { s.tables = append(s.tables, t) }

func (s *taskState) key(w stateWrite) []byte { return s.arena[w.keyOff : w.keyOff+w.keyLen] }
func (s *taskState) val(w stateWrite) []byte { return s.arena[w.valOff : w.valOff+w.valLen] }

// set records that key of op becomes val in this round. Both are copied.
func (s *taskState) set(op uint32, key, val []byte) {
	w := stateWrite{op: op, keyOff: s.keep(key), keyLen: uint32(len(key))}
	w.valOff, w.valLen = s.keep(val), uint32(len(val))
	s.writes = append(s.writes, w)
}

// del records that key of op goes in this round.
func (s *taskState) del(op uint32, key []byte) {
	s.writes = append(s.writes, stateWrite{op: op, deleted: true, keyOff: s.keep(key), keyLen: uint32(len(key))})
}

func (s *taskState) keep(b []byte) uint32 {
	off := len(s.arena)
	s.arena = append(doubled(s.arena), b...)
	return uint32(off)
}

// get reads a committed row.
func (s *taskState) get(dst []byte, op uint32, key []byte) ([]byte, bool, error) {
	if s.committed == nil {
		return dst, false, nil
	}
	return s.committed.Get(dst, op, key)
}

// scan calls f with the committed rows of op in [lower, upper). The slices are f's for the call.
func (s *taskState) scan(op uint32, lower, upper []byte, f func(key, val []byte) (more bool, err error)) error {
	if s.committed == nil {
		return nil
	}
	it, err := s.committed.Iter(op, lower, upper)
	if err != nil {
		return err
	}
	for more := true; more && it.Next(); {
		if more, err = f(it.Key(), it.Value()); err != nil {
			return errors.Join(err, it.Close())
		}
	}
	return errors.Join(it.Err(), it.Close())
}

// apply adds the round's changes to a batch.
func (s *taskState) apply(b StateBatch) {
	for _, w := range s.writes {
		if w.deleted {
			b.Delete(w.op, s.key(w))
		} else {
			b.Set(w.op, s.key(w), s.val(w))
		}
	}
}

// commit begins the next round after the changes were applied.
func (s *taskState) commit() {
	s.clearWrites()
	for _, t := range s.tables {
		t.commit()
	}
	if s.committed != nil && s.memSize() > s.limit {
		for _, t := range s.tables {
			t.evict()
		}
	}
}

// maxKeptArena is how much of the memory of a large round is kept for the next.
const maxKeptArena = 4 << 20

func (s *taskState) clearWrites() {
	s.writes = s.writes[:0]
	if cap(s.arena) > maxKeptArena {
		s.arena = nil
	}
	s.arena = s.arena[:0]
}

// memSize returns the bytes that rows take in memory.
func (s *taskState) memSize() int64 {
	size := int64(cap(s.arena))
	for _, t := range s.tables {
		size += t.memSize()
	}
	return size
}

// sizeOf returns the bytes that rows of one operator take in memory.
func (s *taskState) sizeOf(op uint32) (size int64) {
	for _, t := range s.tables {
		if t.operator() == op {
			size += t.memSize()
		}
	}
	return size
}

// full reports whether the round should be committed early.
func (s *taskState) full() bool { return s.memSize() > s.limit }
