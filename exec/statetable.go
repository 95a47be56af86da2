package exec

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/millracedb/millrace/exec/vec"
)

// stateTable holds rows of one operator by key. A key is a group and a rest: all rows of a group can be walked, as a join
// walks the rows of a join key. Rows that were read stay as a cache until the state is evicted; of a group of more than maxGroupRows rows
// only those that changed, and the rest is read from the store each time.
//
// In the store a key is the table's tag, the group with its length in front, and the rest.
type stateTable struct {
	st  *taskState
	op  uint32
	tag byte

	index  keyIndex // by stored key; entry i belongs to key i
	rows   []tableRow
	arena  []byte
	groups keyIndex
	chains []groupChain
	dirty  []int32
	key    []byte
	it     roundIter

	warmed   bool // what fits of the store was read at the first use
	complete bool // all rows of the store are in memory

	// What an orderedTable adds: it is told of rows that come into memory, and when all go.
	inserted func(n int32)
	evicted  func()
}

type tableRow struct {
	off, len uint32
	next     int32 // next row of the group, -1 at the end
	rest     uint32
	present  bool
	dirty    bool
	stored   bool // the store has a row of this key
}

type groupChain struct {
	first  int32
	loaded bool // all committed rows of the group are in memory
	large  bool // they are too many for that
}

// maxGroupRows is how many rows of a group are brought into memory for a walk.
const maxGroupRows = 4096

func newStateTable(st *taskState, op uint32, tag byte) *stateTable {
	t := &stateTable{st: st, op: op, tag: tag, complete: st.committed == nil}
	t.warmed = t.complete
	st.register(t)
	return t
}

// warm brings the rows of the store into memory that a part of the task's share holds: mostly all of them, and then the store need not be
// asked for others.
func (t *stateTable) warm() error {
	t.warmed = true
	budget := t.st.limit / warmShare
	complete := true
	err := t.scan([]byte{t.tag}, func(key, val []byte) (bool, error) {
		if budget -= int64(len(key) + len(val)); budget < 0 {
			complete = false
			return false, nil
		}
		if len(key) < groupKeyHead || uint64(len(key)-groupKeyHead) < uint64(binary.BigEndian.Uint32(key[1:])) {
			return false, fmt.Errorf("%w: bad group", vec.ErrCorruptRow)
		}
		group := key[groupKeyHead : groupKeyHead+binary.BigEndian.Uint32(key[1:])]
		mark := len(t.arena)
		t.arena = append(doubled(t.arena), val...)
		t.insert(t.chain(group), key, len(group), mark, true)
		return true, nil
	})
	if err != nil || !complete {
		return err
	}
	t.complete = true
	for i := range t.chains {
		t.chains[i].loaded = true
	}
	return nil
}

// warmShare is the part of a task's memory that one table is filled with at the first use. Bytes of rows are counted, which is about half
// of what they take.
const warmShare = 8

// scan calls f with the rows of the store whose key begins with prefix. f may not walk the table.
func (t *stateTable) scan(prefix []byte, f func(key, val []byte) (more bool, err error)) error {
	if t.st.committed == nil {
		return nil
	}
	if err := t.st.iterate(&t.it, t.op, t.tag); err != nil {
		return err
	}
	for ok := t.it.SeekGE(prefix); ok && bytes.HasPrefix(t.it.Key(), prefix); ok = t.it.Next() {
		if more, err := f(t.it.Key(), t.it.Value()); err != nil || !more {
			return err
		}
	}
	return t.it.Err()
}

func (t *stateTable) storedGroup(group []byte) []byte {
	t.key = append(t.key[:0], t.tag)
	t.key = binary.BigEndian.AppendUint32(t.key, uint32(len(group)))
	t.key = append(t.key, group...)
	return t.key
}

const groupKeyHead = 1 + 4 // tag and length

// chain returns the chain of group, a new one if there is none.
func (t *stateTable) chain(group []byte) *groupChain {
	n, fresh := t.groups.add(group)
	if fresh {
		t.chains = append(t.chains, groupChain{first: -1, loaded: t.complete})
	}
	return &t.chains[n]
}

// row returns the number of the row, bringing it into memory; the row may be absent.
func (t *stateTable) row(group, rest []byte) (int32, error) {
	if !t.warmed {
		if err := t.warm(); err != nil {
			return 0, err
		}
	}
	stored := append(t.storedGroup(group), rest...)
	t.key = stored
	if n := t.index.find(stored); n >= 0 {
		return n, nil
	}
	c := t.chain(group)
	mark := len(t.arena)
	present := false
	if !c.loaded {
		var err error
		if t.arena, present, err = t.st.get(t.arena, t.op, stored); err != nil {
			return 0, err
		}
	}
	return t.insert(c, stored, len(group), mark, present), nil
}

// insert adds a row whose value was appended to the arena since mark.
func (t *stateTable) insert(c *groupChain, stored []byte, groupLen, mark int, present bool) int32 {
	n, _ := t.index.add(stored)
	t.rows = append(t.rows, tableRow{
		off: uint32(mark), len: uint32(len(t.arena) - mark), next: c.first, rest: uint32(groupKeyHead + groupLen), present: present, stored: present,
	})
	c.first = n
	if t.inserted != nil {
		t.inserted(n)
	}
	return n
}

// get returns the value of a row. It is valid until the table is next evicted.
func (t *stateTable) get(group, rest []byte) (val []byte, ok bool, err error) {
	n, err := t.row(group, rest)
	if err != nil || !t.rows[n].present {
		return nil, false, err
	}
	return t.value(n), true, nil
}

func (t *stateTable) value(n int32) []byte {
	r := &t.rows[n]
	return t.arena[r.off : r.off+r.len : r.off+r.len]
}

// put sets the value of a row, which is copied.
func (t *stateTable) put(group, rest, val []byte) error {
	n, err := t.row(group, rest)
	if err != nil {
		return err
	}
	t.setValue(n, val)
	return nil
}

func (t *stateTable) setValue(n int32, val []byte) {
	r := &t.rows[n]
	if r.present && int(r.len) == len(val) {
		// In place, unless val is the very value. Slices given out by each alias the arena, so a walk sees the change.
		copy(t.arena[r.off:], val)
	} else {
		r.off, r.len = uint32(len(t.arena)), uint32(len(val))
		t.arena = append(t.arena, val...)
	}
	r.present = true
	t.touch(n)
}

// del removes a row.
func (t *stateTable) del(group, rest []byte) error {
	n, err := t.row(group, rest)
	if err != nil || !t.rows[n].present {
		return err
	}
	t.rows[n].present = false
	t.touch(n)
	return nil
}

func (t *stateTable) touch(n int32) {
	if !t.rows[n].dirty {
		t.rows[n].dirty = true
		t.dirty = append(t.dirty, n)
	}
}

// each calls f with each row of group. n is -1 for a row that is not in memory, whose slices are f's for the call. f may change values of rows
// of the group, through setValue or put, but neither add nor delete rows.
func (t *stateTable) each(group []byte, f func(n int32, rest, val []byte) error) error {
	if !t.warmed {
		if err := t.warm(); err != nil {
			return err
		}
	}
	if t.complete && t.groups.find(group) < 0 {
		return nil
	}
	if err := t.load(group); err != nil {
		return err
	}
	c := t.chain(group)
	large := c.large
	for n := c.first; n >= 0; n = t.rows[n].next {
		if !t.rows[n].present || large && t.rows[n].stored {
			continue
		}
		if err := f(n, t.index.key(n)[t.rows[n].rest:], t.value(n)); err != nil {
			return err
		}
	}
	if !large {
		return nil
	}
	return t.eachStored(group, f)
}

// eachStored walks the rows of group that the store has, as they are now.
func (t *stateTable) eachStored(group []byte, f func(n int32, rest, val []byte) error) error {
	lower := append([]byte(nil), t.storedGroup(group)...)
	return t.scan(lower, func(key, val []byte) (bool, error) {
		n := t.index.find(key)
		if n < 0 {
			return true, f(-1, key[len(lower):], val)
		}
		if !t.rows[n].present {
			return true, nil
		}
		return true, f(n, key[len(lower):], t.value(n))
	})
}

// load brings the committed rows of group into memory, if they are not too many.
func (t *stateTable) load(group []byte) error {
	if c := t.chain(group); c.loaded || c.large {
		return nil
	}
	lower := append([]byte(nil), t.storedGroup(group)...)
	read := 0
	err := t.scan(lower, func(key, val []byte) (bool, error) {
		if read++; read > maxGroupRows {
			return false, nil
		}
		if t.index.find(key) < 0 {
			mark := len(t.arena)
			t.arena = append(doubled(t.arena), val...)
			t.insert(t.chain(group), key, len(group), mark, true)
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	c := t.chain(group)
	c.loaded, c.large = read <= maxGroupRows, read > maxGroupRows
	return nil
}

// flush hands the changed rows to the task's state.
func (t *stateTable) flush() {
	for _, n := range t.dirty {
		switch r := &t.rows[n]; {
		case r.present:
			t.st.set(t.op, t.index.key(n), t.value(n))
		case r.stored:
			t.st.del(t.op, t.index.key(n))
		}
		t.rows[n].dirty, t.rows[n].stored = false, t.rows[n].present
	}
	t.dirty = t.dirty[:0]
}

func (t *stateTable) memSize() int64 {
	return t.index.memSize() + t.groups.memSize() + int64(cap(t.arena)+24*cap(t.rows)+8*cap(t.chains)+4*cap(t.dirty))
}

func (t *stateTable) operator() uint32 { return t.op }

func (t *stateTable) commit() {}

func (t *stateTable) evict() {
	t.index.reset()
	t.groups.reset()
	t.rows, t.arena, t.chains, t.dirty, t.complete = nil, nil, nil, nil, false
	if t.evicted != nil {
		t.evicted()
	}
}

// prefixSuccessor returns the first key after all that begin with prefix, nil for none.
func prefixSuccessor(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		end[i]++
		if end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}
