package pebblestore

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/batchrepr"

	"github.com/millracedb/millrace/exec"
)

// batch collects changes in a Pebble batch. The first error sticks and Commit returns it.
//
// Pebble takes keys in order at a lower price, because it goes on from where it put the last one. So a batch of orderFrom changes or more whose keys
// came in no order is put in order.
type batch struct {
	b      *pebble.Batch
	prefix []byte
	key    []byte
	last   []byte // the key that came last; it is the batch's
	mixed  bool   // a key came before its predecessor, or again
	err    error
}

// orderFrom is how many changes are worth the sorting.
const orderFrom = 1000

// Set sets key in op's space to val. Both are copied.
func (b *batch) Set(op uint32, key, val []byte) {
	d := b.b.SetDeferred(spaceLen+len(key), len(val))
	appendSpace(d.Key[:0], b.prefix, op)
	copy(d.Key[spaceLen:], key)
	copy(d.Value, val)
	b.note(d)
}

// Delete removes key from op's space.
func (b *batch) Delete(op uint32, key []byte) {
	d := b.b.DeleteDeferred(spaceLen + len(key))
	appendSpace(d.Key[:0], b.prefix, op)
	copy(d.Key[spaceLen:], key)
	b.note(d)
}

// SetMark sets the partition's mark. It comes last.
func (b *batch) SetMark(m exec.Mark) {
	b.key = appendSpace(b.key[:0], b.prefix, markSpace)
	b.fail(b.b.Set(b.key, appendMark(nil, m), nil))
}

func (b *batch) note(d *pebble.DeferredBatchOp) {
	b.mixed = b.mixed || bytes.Compare(b.last, d.Key) >= 0
	b.last = d.Key
	b.fail(d.Finish())
}

func (b *batch) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

// Commit applies the changes as one. It does not wait for the disk.
func (b *batch) Commit() error {
	if b.mixed && b.err == nil && b.b.Count() >= orderFrom {
		b.err = b.order()
	}
	if b.err != nil {
		return errors.Join(fmt.Errorf("write state: %w", b.err), b.b.Close())
	}
	if err := b.b.Commit(pebble.NoSync); err != nil {
		return errors.Join(fmt.Errorf("write state: %w", err), b.b.Close())
	}
	return b.b.Close()
}

// Close gives up the changes.
func (b *batch) Close() error { return b.b.Close() }

// change is a record of a batch: where it stands in it, and where its key does.
type change struct {
	head        uint64 // the bytes of the key that follow what all keys begin with
	at, end     uint32
	key, keyEnd uint32
}

// order makes the batch one whose keys are in order. Of several changes of a key the last stays.
func (b *batch) order() error {
	repr := b.b.Repr()
	all, err := changesOf(repr, int(b.b.Count()))
	if err != nil {
		return err
	}
	key := func(c *change) []byte { return repr[c.key:c.keyEnd] }
	slices.SortFunc(all, func(x, y change) int {
		if x.head != y.head {
			return cmp.Compare(x.head, y.head)
		}
		return cmp.Or(bytes.Compare(key(&x), key(&y)), cmp.Compare(x.at, y.at))
	})
	ordered, n := append(make([]byte, 0, len(repr)), repr[:batchrepr.HeaderLen]...), uint32(0)
	for i := range all {
		if i+1 < len(all) && all[i].head == all[i+1].head && bytes.Equal(key(&all[i]), key(&all[i+1])) {
			continue
		}
		ordered = append(ordered, repr[all[i].at:all[i].end]...)
		n++
	}
	batchrepr.SetCount(ordered, n)
	return b.b.SetRepr(ordered)
}

// recordKind is what a record has before its key's length: a byte for its kind.
const recordKind = 1

// changesOf lists the records of a batch, of which there are n, as they stand there.
func changesOf(repr []byte, n int) ([]change, error) {
	all, shared := make([]change, 0, n), 0
	var length [binary.MaxVarintLen32]byte
	for r := batchrepr.Read(repr); len(r) > 0; {
		at := uint32(len(repr) - len(r))
		_, key, _, _, err := r.Next()
		if err != nil {
			return nil, err
		}
		begin := at + recordKind + uint32(len(binary.AppendUvarint(length[:0], uint64(len(key)))))
		all = append(all, change{at: at, end: uint32(len(repr) - len(r)), key: begin, keyEnd: begin + uint32(len(key))})
		first := repr[all[0].key:all[0].keyEnd]
		if len(all) == 1 {
			shared = len(first)
		}
		shared = sharedPrefix(first[:shared], key)
	}
	for i := range all {
		var head [8]byte
		copy(head[:], repr[all[i].key+uint32(shared):all[i].keyEnd])
		all[i].head = binary.BigEndian.Uint64(head[:])
	}
	return all, nil
}

// sharedPrefix is how many bytes a and b begin with together.
func sharedPrefix(a, b []byte) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
