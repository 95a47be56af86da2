package exec

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/millracedb/millrace/exec/format"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/record"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
)

// WriteTx gathers one transaction's changes to ordinary tables, and its rows for streams (writestream.go). It locks keys as it reads and writes them, buffers the new rows,
// and appends them at Commit: one batch if they are of one partition, else one log transaction. One goroutine uses it; Commit or
// Rollback ends it.
type WriteTx struct {
	t       *Tables
	limit   int64
	tables  []*txTable
	streams txStreams
	bytes   int64
	held    []lockKey // guarded by the lock table
	waiting lockKey   // while waits; guarded by the lock table
	waits   bool      // guarded by the lock table
	ended   bool
	created map[uint32]int64 // tables that the transaction makes, with the next number for a hidden key
}

// Created says that a table comes to be with this transaction: it has no rows and no owner before Commit.
func (tx *WriteTx) Created(oid uint32) {
	if tx.created == nil {
		tx.created = map[uint32]int64{}
	}
	if _, ok := tx.created[oid]; !ok {
		tx.created[oid] = 0
	}
}

// txTable are a transaction's rows of one table.
type txTable struct {
	rel     *planner.Relation
	keyEnc  format.Encoder
	valEnc  format.Encoder
	values  []int
	index   keyIndex
	latest  []int32 // by key: the write that counts, -1 for none
	writes  []txWrite
	arena   []byte
	kbuf    []byte
	places  []int32
	rows    keyIndex // the distinct keys of the statement's rows in progress
	topicKB []byte
}

type txWrite struct {
	key      int32
	prior    int32 // the write of this key before, -1 for none
	part     int32
	deleted  bool
	off, len uint32
}

// DefaultTransactionBuffer bounds what a transaction writes, in bytes.
const DefaultTransactionBuffer = 64 << 20

// maxTransactionBuffer is what offsets of 32 bits reach.
const maxTransactionBuffer = 2 << 30

// Begin starts a transaction whose rows may take limit bytes, at most 2 GiB; 0 is the default.
func (t *Tables) Begin(limit int64) *WriteTx {
	if limit <= 0 {
		limit = DefaultTransactionBuffer
	}
	return &WriteTx{t: t, limit: min(limit, maxTransactionBuffer)}
}

func (tx *WriteTx) table(rel *planner.Relation) (*txTable, error) {
	for _, x := range tx.tables {
		if x.rel.OID == rel.OID {
			return x, nil
		}
	}
	x := &txTable{rel: rel, values: valueOrdinals(rel)}
	var err error
	if x.keyEnc, x.valEnc, err = relationEncoders(rel); err != nil {
		return nil, err
	}
	tx.tables = append(tx.tables, x)
	return x, nil
}

// keys encodes the key of each row of cols, the key columns in key order, for state; places index the result, which is valid until the next call.
func (x *txTable) keys(cols []*vec.Vector, n int) *keyIndex {
	x.rows.empty()
	x.places = x.places[:0]
	for i := range n {
		x.kbuf = appendKeyCols(x.kbuf[:0], cols, i)
		k, _ := x.rows.add(x.kbuf)
		x.places = append(x.places, k)
	}
	return &x.rows
}

// partitionOf returns the partition that a row's key belongs to.
func (x *txTable) partitionOf(cols []*vec.Vector, i int) (int32, error) {
	var err error
	if x.topicKB, err = x.keyEnc.AppendRow(x.topicKB[:0], cols, i); err != nil {
		return 0, err
	}
	return record.PartitionForKey(x.topicKB, x.rel.Partitions), nil
}

// Read locks the given keys, columns in key order with n rows, and returns the rows as they are now, the transaction's own
// writes included: a batch as NewRowBatch makes it with a row per key, all NULL where found is false. A deadlock is a 40P01.
func (tx *WriteTx) Read(ctx context.Context, rel *planner.Relation, keys []*vec.Vector, n int) (rows *vec.Batch, found []bool, err error) {
	x, err := tx.table(rel)
	if err != nil {
		return nil, nil, err
	}
	if err := tx.t.locks.acquire(ctx, tx, rel.OID, x.keys(keys, n)); err != nil {
		return nil, nil, err
	}
	view, err := tx.view(ctx, x)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, view.close()) }()
	rows, found = NewRowBatch(rel, n), make([]bool, n)
	for i := range n {
		if found[i], err = view.read(rows, keys, i); err != nil {
			return nil, nil, err
		}
		if !found[i] {
			appendNullRow(rows)
		}
	}
	return rows, found, nil
}

func appendNullRow(b *vec.Batch) {
	for _, c := range b.Cols {
		c.AppendNull()
	}
	finishRow(b, vec.Insert, 0)
}

// txView reads current rows: a snapshot taken after the keys were locked, under the transaction's own writes.
type txView struct {
	x       *txTable
	snap    StateSnapshot
	readers []*TableReader
	kbuf    []byte
}

func (tx *WriteTx) view(ctx context.Context, x *txTable) (*txView, error) {
	if _, fresh := tx.created[x.rel.OID]; fresh {
		return &txView{x: x, snap: tx.t.cfg.State.Snapshot(), readers: make([]*TableReader, x.rel.Partitions)}, nil
	}
	for p := range x.rel.Partitions {
		part := tx.t.part(x.rel.OID, p)
		if part == nil || part.owner == nil {
			return nil, sqlerr.New(sqlerr.SerializationFailure, "partition %d of table %q is not owned by this node", p, x.rel.Name)
		}
		if err := tx.t.Wait(ctx, x.rel.OID, p, 0); err != nil {
			return nil, err
		}
	}
	v := &txView{x: x, snap: tx.t.cfg.State.Snapshot(), readers: make([]*TableReader, x.rel.Partitions)}
	for p := range v.readers {
		r, _, err := NewTableReader(v.snap, x.rel, int32(p))
		if err != nil {
			return nil, errors.Join(err, v.close())
		}
		v.readers[p] = r
	}
	return v, nil
}

func (v *txView) close() error { return v.snap.Close() }

// read appends the row with the key in row i of keys to dst.
func (v *txView) read(dst *vec.Batch, keys []*vec.Vector, i int) (bool, error) {
	v.kbuf = appendKeyCols(v.kbuf[:0], keys, i)
	if w := v.x.own(v.kbuf); w != nil {
		if w.deleted {
			return false, nil
		}
		return true, appendFromRowValue(dst, v.x.arena[w.off:w.off+w.len], vec.Insert)
	}
	p, err := v.x.partitionOf(keys, i)
	if err != nil || v.readers[p] == nil {
		return false, err
	}
	return v.readers[p].get(dst, v.kbuf)
}

// own returns the transaction's own last write of a key, nil for none.
func (x *txTable) own(key []byte) *txWrite {
	k := x.index.find(key)
	if k < 0 || x.latest[k] < 0 {
		return nil
	}
	return &x.writes[x.latest[k]]
}

// Insert locks the keys of rows, a batch of all columns of rel, and writes those that are not there. It returns the numbers of
// the rows whose key exists, also through an earlier row of the batch; they are not written. Hidden key columns are filled in,
// in place.
func (tx *WriteTx) Insert(ctx context.Context, rel *planner.Relation, rows *vec.Batch) (existing []int32, err error) {
	x, err := tx.table(rel)
	if err != nil {
		return nil, err
	}
	if hiddenKey(rel) {
		if err := tx.fillHidden(ctx, x, rows); err != nil {
			return nil, err
		}
	}
	keys := pick(nil, rows.Cols, rel.Key)
	distinct := x.keys(keys, rows.Len())
	if err := tx.t.locks.acquire(ctx, tx, rel.OID, distinct); err != nil {
		return nil, err
	}
	parts, err := x.partitionsOf(keys, distinct.len())
	if err != nil {
		return nil, err
	}
	numbers := tx.numbers(x, distinct)
	if tx.bytes > tx.limit {
		return nil, tx.tooMuch()
	}
	there, err := tx.present(ctx, x, distinct, parts, numbers)
	if err != nil {
		return nil, err
	}
	for i := range rows.Len() {
		k := x.places[i]
		if there[k] {
			existing = append(existing, int32(i))
			continue
		}
		there[k] = true
		if err := tx.write(x, numbers[k], parts[k], rows, i, false); err != nil {
			return nil, err
		}
	}
	return existing, nil
}

// Write writes rows whose keys the transaction has locked by Read: a row that joins replaces what is there, a row that leaves
// (Delete, UpdateDelete) removes it; of that only the key columns count.
func (tx *WriteTx) Write(rel *planner.Relation, rows *vec.Batch) error {
	x, err := tx.table(rel)
	if err != nil {
		return err
	}
	keys := pick(nil, rows.Cols, rel.Key)
	for i := range rows.Len() {
		p, err := x.partitionOf(keys, i)
		if err != nil {
			return err
		}
		x.kbuf = appendKeyCols(x.kbuf[:0], keys, i)
		if err := tx.write(x, tx.number(x, x.kbuf), p, rows, i, !rows.Op(i).Adds()); err != nil {
			return err
		}
	}
	return nil
}

// number returns the number of a key among those that the transaction has met.
func (tx *WriteTx) number(x *txTable, key []byte) int32 {
	k, fresh := x.index.add(key)
	if fresh {
		x.latest = append(x.latest, -1)
		tx.bytes += int64(len(key))
	}
	return k
}

// numbers returns the number of each of keys.
func (tx *WriteTx) numbers(x *txTable, keys *keyIndex) []int32 {
	numbers := make([]int32, keys.len())
	for k := range numbers {
		numbers[k] = tx.number(x, keys.key(int32(k)))
	}
	return numbers
}

// write buffers row i, whose key has number k.
func (tx *WriteTx) write(x *txTable, k, part int32, rows *vec.Batch, i int, deleted bool) error {
	w := txWrite{key: k, prior: x.latest[k], part: part, deleted: deleted, off: uint32(len(x.arena))}
	x.arena = tx.appendRow(doubled(x.arena), rows, i)
	w.len = uint32(len(x.arena)) - w.off
	tx.bytes += int64(w.len)
	if tx.bytes > tx.limit {
		return tx.tooMuch()
	}
	x.latest[k] = int32(len(x.writes))
	x.writes = append(x.writes, w)
	return nil
}

func (tx *WriteTx) tooMuch() error {
	return sqlerr.New(sqlerr.OutOfMemory, "the transaction writes more than transaction_buffer (%d MiB) holds", tx.limit>>20).
		WithHint("Commit in smaller pieces, or raise transaction_buffer.")
}

func (tx *WriteTx) appendRow(dst []byte, rows *vec.Batch, i int) []byte {
	if i < len(rows.Rowtime) {
		return appendRowValue(dst, rows, i)
	}
	dst = binary.AppendVarint(dst, tx.t.cfg.Clock.Now().UnixMilli())
	return vec.AppendEncodedRow(dst, rows.Cols, i)
}

// Pending calls f with each row that the transaction has written to rel and not replaced, in no order, and its key's deletes. It is how a
// scan sees the transaction's own rows: those of keys that it finds here replace what the snapshot has.
func (tx *WriteTx) Pending(rel *planner.Relation, f func(key []byte, row *vec.Batch, deleted bool) error) error {
	x, err := tx.table(rel)
	if err != nil {
		return err
	}
	row := NewRowBatch(rel, 1)
	for k, n := range x.latest {
		if n < 0 {
			continue
		}
		w := x.writes[n]
		row.Reset()
		if err := appendFromRowValue(row, x.arena[w.off:w.off+w.len], vec.Insert); err != nil {
			return err
		}
		if err := f(x.index.key(int32(k)), row, w.deleted); err != nil {
			return err
		}
	}
	return nil
}

// Savepoint marks the transaction's present writes.
func (tx *WriteTx) Savepoint() []int {
	at := []int{len(tx.streams.writes)}
	for _, x := range tx.tables {
		at = append(at, len(x.writes))
	}
	return at
}

// RollbackTo takes back what was written since the savepoint, nil for all of it. Locks stay.
func (tx *WriteTx) RollbackTo(at []int) {
	if len(at) == 0 {
		at = []int{0}
	}
	tx.streams.truncate(at[0])
	for i, x := range tx.tables {
		keep := 0
		if i+1 < len(at) {
			keep = at[i+1]
		}
		for n := len(x.writes) - 1; n >= keep; n-- {
			x.latest[x.writes[n].key] = x.writes[n].prior
		}
		if keep < len(x.writes) {
			x.arena = x.arena[:x.writes[keep].off]
		}
		x.writes = x.writes[:keep]
	}
	tx.bytes = int64(len(tx.streams.arena))
	for _, x := range tx.tables {
		tx.bytes += int64(len(x.arena) + len(x.index.arena))
	}
}

// Rollback ends the transaction without effect. It may be called after Commit.
func (tx *WriteTx) Rollback() {
	if tx.ended {
		return
	}
	tx.ended = true
	tx.t.locks.release(tx)
}

// live returns the writes that count, by partition.
func (x *txTable) live() map[int32][]int32 {
	parts := map[int32][]int32{}
	for _, n := range x.latest {
		if n >= 0 {
			parts[x.writes[n].part] = append(parts[x.writes[n].part], n)
		}
	}
	for _, list := range parts {
		slices.Sort(list)
	}
	return parts
}
