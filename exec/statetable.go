package exec

import "encoding/binary"

// stateTable holds rows of one operator by key. A key is a group and a rest: all rows of a group can be walked, as a join
// walks the rows of a join key. Rows that were read stay as a cache until the state is evicted.
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
}

type groupChain struct {
	first  int32
	loaded bool // all committed rows of the group are in memory
}

func newStateTable(st *taskState, op uint32, tag byte) *stateTable {
	t := &stateTable{st: st, op: op, tag: tag}
	st.register(t)
	return t
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
		t.chains = append(t.chains, groupChain{first: -1, loaded: t.st.committed == nil})
	}
	return &t.chains[n]
}

// row returns the number of the row, bringing it into memory; the row may be absent.
func (t *stateTable) row(group, rest []byte) (int32, error) {
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
		off: uint32(mark), len: uint32(len(t.arena) - mark), next: c.first, rest: uint32(groupKeyHead + groupLen), present: present,
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

// each calls f with each row of group. f may change values of rows of the group through setValue, but not add rows.
func (t *stateTable) each(group []byte, f func(n int32, rest, val []byte) error) error {
	if err := t.load(group); err != nil {
		return err
	}
	for n := t.chain(group).first; n >= 0; n = t.rows[n].next {
		if !t.rows[n].present {
			continue
		}
		if err := f(n, t.index.key(n)[t.rows[n].rest:], t.value(n)); err != nil {
			return err
		}
	}
	return nil
}

// load brings the committed rows of group into memory.
func (t *stateTable) load(group []byte) error {
	if t.chain(group).loaded {
		return nil
	}
	lower := append([]byte(nil), t.storedGroup(group)...)
	err := t.st.scan(t.op, lower, prefixSuccessor(lower), func(key, val []byte) (bool, error) {
		if t.index.find(key) < 0 {
			mark := len(t.arena)
			t.arena = append(t.arena, val...)
			t.insert(t.chain(group), key, len(group), mark, true)
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	t.chain(group).loaded = true
	return nil
}

// flush hands the changed rows to the task's state.
func (t *stateTable) flush() {
	for _, n := range t.dirty {
		if t.rows[n].present {
			t.st.set(t.op, t.index.key(n), t.value(n))
		} else {
			t.st.del(t.op, t.index.key(n))
		}
		t.rows[n].dirty = false
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
	t.rows, t.arena, t.chains, t.dirty = nil, nil, nil, nil
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
