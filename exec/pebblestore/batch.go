package pebblestore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

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

// order makes the batch one whose keys are in order. Of several changes of a key the last stays.
func (b *batch) order() error {
	repr := b.b.Repr()
	all, err := changesOf(repr, int(b.b.Count()))
	if err != nil {
		return err
	}
	s := &changeSorter{repr: repr}
	s.sort(all, 0)
	ordered, n := append(make([]byte, 0, len(repr)), repr[:batchrepr.HeaderLen]...), uint32(0)
	for i := range all {
		if i+1 < len(all) && bytes.Equal(s.key(all[i]), s.key(all[i+1])) {
			continue
		}
		ordered = append(ordered, repr[all[i].at:all[i].end]...)
		n++
	}
	batchrepr.SetCount(ordered, n)
	return b.b.SetRepr(ordered)
}

// change is a record of a batch: where it stands in it, and where its key does.
type change struct {
	head        uint64 // the bytes of the key that are looked at, as a number
	at, end     uint32
	key, keyEnd uint32
}

// recordKind is what a record has before its key's length: a byte for its kind.
const recordKind = 1

// changesOf lists the records of a batch, of which there are n, as they stand there.
func changesOf(repr []byte, n int) ([]change, error) {
	all := make([]change, 0, n)
	var length [binary.MaxVarintLen32]byte
	for r := batchrepr.Read(repr); len(r) > 0; {
		at := uint32(len(repr) - len(r))
		_, key, _, _, err := r.Next()
		if err != nil {
			return nil, err
		}
		begin := at + recordKind + uint32(len(binary.AppendUvarint(length[:0], uint64(len(key)))))
		all = append(all, change{at: at, end: uint32(len(repr) - len(r)), key: begin, keyEnd: begin + uint32(len(key))})
	}
	return all, nil
}
