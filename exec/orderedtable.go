package exec

import (
	"bytes"

	"github.com/RaduBerinde/btreemap"
)

// orderedTable is a stateTable whose groups can be walked in the order of their rows' keys, from the first row on and as far as need be:
// committed rows are read from the store as the walk comes to them, so a group may be larger than memory.
type orderedTable struct {
	*stateTable
	tree  *btreemap.BTreeMap[int32, struct{}] // the rows in memory, by stored key
	bound []byte                              // what probe stands for
}

// orderedDegree is the fan-out of the tree of rows in memory.
const orderedDegree = 32

func newOrderedTable(st *taskState, op uint32, tag byte) *orderedTable {
	t := &orderedTable{stateTable: newStateTable(st, op, tag)}
	t.clearOrder()
	t.inserted = func(n int32) { t.tree.ReplaceOrInsert(n, struct{}{}) }
	t.evicted = t.clearOrder
	return t
}

func (t *orderedTable) clearOrder() {
	t.tree = btreemap.New[int32, struct{}](orderedDegree, func(a, b int32) int {
		return bytes.Compare(t.keyOf(a), t.keyOf(b))
	})
}

// probe stands in the tree for a stored key that is not a row's.
const probe int32 = -1

func (t *orderedTable) keyOf(n int32) []byte {
	if n == probe {
		return t.bound
	}
	return t.index.key(n)
}

// walk calls f with the rows of group in key order until it returns false. The slices are f's for the call; f may change or delete the row
// it is at, but not add rows.
func (t *orderedTable) walk(group []byte, f func(rest, val []byte) (more bool, err error)) error {
	prefix := bytes.Clone(t.storedGroup(group))
	t.bound = prefix
	var held []int32
	for n := range t.tree.Ascend(btreemap.GE(probe), btreemap.Max[int32]()) {
		if !bytes.HasPrefix(t.index.key(n), prefix) {
			break
		}
		held = append(held, n)
		if len(held) == walkAhead {
			break
		}
	}
	w := orderedWalk{t: t, prefix: prefix, held: held, f: f}
	if !t.chain(group).loaded {
		err := t.st.scan(t.op, prefix, prefixSuccessor(prefix), w.committed)
		if err != nil || w.done {
			return err
		}
	}
	return w.rest()
}

// walkAhead is how many rows in memory a walk takes from the tree at a time: most walks end after a few.
const walkAhead = 64

// orderedWalk merges the committed rows of a group with those in memory, which are newer.
type orderedWalk struct {
	t      *orderedTable
	prefix []byte
	held   []int32 // the next rows in memory
	f      func(rest, val []byte) (bool, error)
	done   bool
}

// next takes the first row in memory.
func (w *orderedWalk) next() {
	last := w.held[0]
	if w.held = w.held[1:]; len(w.held) > 0 {
		return
	}
	for n := range w.t.tree.Ascend(btreemap.GT(last), btreemap.Max[int32]()) {
		if len(w.held) == walkAhead || !bytes.HasPrefix(w.t.index.key(n), w.prefix) {
			return
		}
		w.held = append(w.held, n)
	}
}

func (w *orderedWalk) committed(key, val []byte) (more bool, err error) {
	for len(w.held) > 0 {
		n := w.held[0]
		c := bytes.Compare(w.t.index.key(n), key)
		if c > 0 {
			break
		}
		w.next()
		if more, err := w.visit(n); !more || err != nil {
			return false, err
		}
		if c == 0 {
			return true, nil
		}
	}
	more, err = w.f(key[len(w.prefix):], val)
	w.done = !more
	return more, err
}

func (w *orderedWalk) visit(n int32) (more bool, err error) {
	if !w.t.rows[n].present {
		return true, nil
	}
	more, err = w.f(w.t.index.key(n)[len(w.prefix):], w.t.value(n))
	w.done = !more
	return more, err
}

// rest visits the rows in memory that are left.
func (w *orderedWalk) rest() error {
	for len(w.held) > 0 {
		n := w.held[0]
		w.next()
		if more, err := w.visit(n); !more || err != nil {
			return err
		}
	}
	return nil
}
