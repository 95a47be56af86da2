package metadata

import (
	"encoding/binary"
	"iter"

	iradix "github.com/hashicorp/go-immutable-radix"
)

// pmap is a persistent ordered map: an immutable radix tree with typed values. Copies share everything.
type pmap[V any] struct{ tree *iradix.Tree }

func newPmap[V any]() pmap[V] { return pmap[V]{iradix.New()} }

func (m pmap[V]) get(key []byte) (V, bool) {
	v, ok := m.tree.Get(key)
	if !ok {
		var zero V
		return zero, false
	}
	return v.(V), true
}

func (m pmap[V]) len() int { return m.tree.Len() }

// all visits the values whose keys begin with prefix, in the order of their keys.
func (m pmap[V]) all(prefix []byte) iter.Seq2[[]byte, V] {
	return func(yield func([]byte, V) bool) {
		it := m.tree.Root().Iterator()
		it.SeekPrefix(prefix)
		for k, v, ok := it.Next(); ok; k, v, ok = it.Next() {
			if !yield(k, v.(V)) {
				return
			}
		}
	}
}

// values is all without the keys.
func (m pmap[V]) values(prefix []byte) iter.Seq[V] {
	return func(yield func(V) bool) {
		for _, v := range m.all(prefix) {
			if !yield(v) {
				return
			}
		}
	}
}

// ptxn changes a copy of a pmap; begun on the first write, so that an entry pays only for the maps it touches.
type ptxn[V any] struct {
	base pmap[V]
	txn  *iradix.Txn
}

func (t *ptxn[V]) get(key []byte) (V, bool) {
	if t.txn == nil {
		return t.base.get(key)
	}
	v, ok := t.txn.Get(key)
	if !ok {
		var zero V
		return zero, false
	}
	return v.(V), true
}

func (t *ptxn[V]) begin() *iradix.Txn {
	if t.txn == nil {
		t.txn = t.base.tree.Txn()
	}
	return t.txn
}

func (t *ptxn[V]) put(key []byte, v V) { t.begin().Insert(key, v) }
func (t *ptxn[V]) delete(key []byte)   { t.begin().Delete(key) }
func (t *ptxn[V]) any(prefix []byte) ([]byte, bool) {
	root := t.base.tree.Root()
	if t.txn != nil {
		root = t.txn.Root()
	}
	it := root.Iterator()
	it.SeekPrefix(prefix)
	k, _, ok := it.Next()
	return k, ok
}

func (t *ptxn[V]) commit() pmap[V] {
	if t.txn == nil {
		return t.base
	}
	return pmap[V]{t.txn.Commit()}
}

// Keys. Numbers are big-endian so that the order of keys is theirs; strings are ended with a zero byte where something follows, which is
// why names may not hold one.

func oidKey(o OID) []byte     { return binary.BigEndian.AppendUint32(nil, uint32(o)) }
func idKey(id int32) []byte   { return binary.BigEndian.AppendUint32(nil, uint32(id)) }
func pairKey(a, b OID) []byte { return binary.BigEndian.AppendUint32(oidKey(a), uint32(b)) }

func stringsKey(parts ...string) []byte {
	var k []byte
	for _, p := range parts {
		k = append(append(k, p...), 0)
	}
	return k
}

func ownerKey(o OID, topic string) []byte { return append(oidKey(o), topic...) }
