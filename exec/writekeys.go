package exec

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/record"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
)

// meet numbers the key of each row of cols, the key columns in key order, among those that the transaction has met: x.places has the numbers until
// the next call.
func (tx *WriteTx) meet(x *txTable, cols []*vec.Vector, n int) error {
	x.places = x.places[:0]
	for from := 0; from < n; from += meetRows {
		if err := x.meetSome(cols, from, min(from+meetRows, n)); err != nil {
			return err
		}
	}
	if tx.bytes > tx.limit {
		return tx.tooMuch()
	}
	return nil
}

// meetRows is after how many rows others may look for their locks in between.
const meetRows = 256

func (x *txTable) meetSome(cols []*vec.Vector, from, to int) error {
	x.met.Lock()
	defer x.met.Unlock()
	for i := from; i < to; i++ {
		x.kbuf = appendKeyCols(x.kbuf[:0], cols, i)
		k, fresh := x.number(x.kbuf)
		x.places = append(x.places, k)
		if !fresh {
			continue
		}
		x.tx.bytes += int64(len(x.kbuf))
		part, err := x.partitionOf(cols, i)
		x.keys = append(roomy(x.keys), txKey{latest: unwritten, part: part})
		if err != nil {
			return err
		}
	}
	return nil
}

// number returns the number of a key, and whether it is new. Rows of loads often come in the order of their keys: one beyond all others need not be
// looked for.
func (x *txTable) number(key []byte) (k int32, fresh bool) {
	if n := x.index.len(); x.unordered || n > 0 && bytes.Compare(x.index.key(x.last), key) >= 0 {
		return x.index.add(key)
	}
	x.last = x.index.push(key)
	return x.last, true
}

// numberOf returns the number of a key that the transaction has met, -1 for another.
func (x *txTable) numberOf(key []byte) int32 {
	x.met.Lock()
	defer x.met.Unlock()
	return x.index.find(key)
}

// lock meets keys and locks them.
func (tx *WriteTx) lock(ctx context.Context, x *txTable, cols []*vec.Vector, n int) error {
	if err := tx.meet(x, cols, n); err != nil {
		x.forgetUnlocked()
		return err
	}
	if err := tx.t.locks.acquire(ctx, x); err != nil {
		x.forgetUnlocked()
		return err
	}
	return nil
}

// forgetUnlocked forgets the keys that could not be locked: they are those of a statement that has failed.
func (x *txTable) forgetUnlocked() {
	x.met.Lock()
	defer x.met.Unlock()
	for k := x.locked; k < x.index.len(); k++ {
		x.tx.bytes -= int64(len(x.index.key(int32(k))))
	}
	x.index.truncate(x.locked)
	x.keys = x.keys[:x.locked]
	x.unordered = x.unordered || int(x.last) >= x.locked
}

// partitionOf returns the partition that a row's key belongs to.
func (x *txTable) partitionOf(cols []*vec.Vector, i int) (int32, error) {
	var err error
	if x.kbuf, err = x.keyEnc.AppendRow(x.kbuf[:0], cols, i); err != nil {
		return 0, err
	}
	return record.PartitionForKey(x.kbuf, x.rel.Partitions), nil
}

// there reports whether a key has a row, once findStored has looked for it.
func (x *txTable) there(k int32) bool {
	n := x.keys[k].latest
	return n == stored || n >= 0 && !x.writes[n].deleted
}

// fewKeys is how many keys are looked up one by one; more are sorted and met on one walk, since bulk loads mostly add keys
// beyond those there are.
const fewKeys = 16

// findStored looks in the store for the keys of x.places that were not written, and notes those that it has.
func (tx *WriteTx) findStored(ctx context.Context, x *txTable) (err error) {
	asked := make([][]int32, x.rel.Partitions)
	for _, k := range x.places {
		if key := x.keys[k]; key.latest == unwritten {
			asked[key.part] = append(asked[key.part], k)
		}
	}
	view, err := tx.view(ctx, x)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, view.close()) }()
	for p, list := range asked {
		if len(list) == 0 {
			continue
		}
		r, err := view.reader(int32(p))
		if err != nil {
			return err
		}
		if r == nil {
			continue
		}
		if err := r.find(x, list); err != nil {
			return err
		}
	}
	return nil
}

// find notes which of the keys with the numbers in list have a row.
func (r *TableReader) find(x *txTable, list []int32) (err error) {
	if len(list) < fewKeys {
		for _, k := range list {
			var ok bool
			if r.val, ok, err = r.rows.Get(r.val[:0], tableRowsOp, x.index.key(k)); err != nil {
				return err
			}
			if ok {
				x.keys[k].latest = stored
			}
		}
		return nil
	}
	slices.SortFunc(list, func(a, b int32) int { return bytes.Compare(x.index.key(a), x.index.key(b)) })
	it, err := r.rows.Iter(tableRowsOp, x.index.key(list[0]), nil)
	if err != nil {
		return err
	}
	more := it.Next()
	for _, k := range list {
		key := x.index.key(k)
		if more && bytes.Compare(it.Key(), key) < 0 {
			more = it.SeekGE(key)
		}
		if !more {
			break
		}
		if bytes.Equal(it.Key(), key) {
			x.keys[k].latest = stored
		}
	}
	return errors.Join(it.Err(), it.Close())
}

// txView reads current rows: a snapshot taken after the keys were locked, under the transaction's own writes.
type txView struct {
	x       *txTable
	snap    StateSnapshot
	fresh   bool // the table is made by this transaction: nobody keeps its rows yet
	readers []*TableReader
}

func (tx *WriteTx) view(ctx context.Context, x *txTable) (*txView, error) {
	v := &txView{x: x, readers: make([]*TableReader, x.rel.Partitions)}
	if _, v.fresh = tx.created[x.rel.OID]; !v.fresh {
		for p := range x.rel.Partitions {
			if _, err := tx.t.owned(ctx, x.rel, p); err != nil {
				return nil, err
			}
		}
	}
	v.snap = tx.t.cfg.State.Snapshot()
	return v, nil
}

func (v *txView) close() error { return v.snap.Close() }

// reader returns the reader of a partition, nil if it has no rows.
func (v *txView) reader(p int32) (*TableReader, error) {
	if v.readers[p] != nil || v.fresh {
		return v.readers[p], nil
	}
	r, _, err := NewTableReader(v.snap, v.x.rel, p)
	v.readers[p] = r
	return r, err
}

// read appends the row with key number k to dst.
func (v *txView) read(dst *vec.Batch, k int32) (bool, error) {
	key := v.x.keys[k]
	if key.latest >= 0 {
		w := v.x.writes[key.latest]
		if w.deleted {
			return false, nil
		}
		return true, v.x.row.append(dst, v.x.rows.row(w.at))
	}
	r, err := v.reader(key.part)
	if r == nil || err != nil {
		return false, err
	}
	return r.get(dst, v.x.index.key(k))
}

// owned returns a partition of an ordinary table when this node serves it: its rows hold the whole topic.
func (t *Tables) owned(ctx context.Context, rel *planner.Relation, p int32) (*tablePart, error) {
	part := t.part(rel.OID, p)
	if part == nil || part.owner == nil {
		return nil, sqlerr.New(sqlerr.SerializationFailure, "partition %d of table %q is not owned by this node", p, rel.Name)
	}
	return part, part.wait(ctx, func() bool { return part.mu.serving })
}
