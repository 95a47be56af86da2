package exec

import "github.com/millracedb/millrace/exec/vec"

// pushKeys tells what a change of a push query's result is where rows are upserts by key: it knows the keys of the rows that the client has been given. So a
// row of a key that is not among them is new, and a delete of one is none of its business. If the keys take more than limit, new rows are not told from
// changed ones any more.
type pushKeys struct {
	key   []int
	limit int64
	index keyIndex
	live  []bool // by key number
	gone  int    // of live, false
	over  bool
	cols  []*vec.Vector
	kbuf  []byte
}

// change returns the operation with which row i goes to the client; ok is false if it does not.
func (k *pushKeys) change(b *vec.Batch, i int) (op vec.Op, ok bool) {
	op = b.Op(i)
	if k.over {
		return op, true
	}
	k.cols = pick(k.cols, b.Cols, k.key)
	k.kbuf = appendKeyCols(k.kbuf[:0], k.cols, i)
	n := k.index.find(k.kbuf)
	known := n >= 0 && k.live[n]
	switch {
	case !op.Adds() && !known:
		return op, false
	case !op.Adds():
		k.live[n] = false
		if k.gone++; k.gone >= minGoneSlots && 2*k.gone > len(k.live) {
			k.compact()
		}
		return vec.Delete, true
	case known:
		return vec.UpdateInsert, true
	case n >= 0:
		k.live[n] = true
		k.gone--
		return vec.Insert, true
	}
	k.index.add(k.kbuf)
	k.live = append(k.live, true)
	if k.index.memSize()+int64(cap(k.live)) > k.limit {
		*k = pushKeys{over: true}
	}
	return vec.Insert, true
}

// compact lets the keys go that are not live.
func (k *pushKeys) compact() {
	old, live := k.index, k.live
	k.index, k.live, k.gone = keyIndex{}, nil, 0
	for n, there := range live {
		if there {
			k.index.add(old.key(int32(n)))
			k.live = append(k.live, true)
		}
	}
}
