package exec

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"

	"github.com/millracedb/millrace/exec/format"
	"github.com/millracedb/millrace/exec/vec"
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
	locks   txLocks
	ended   bool
	created map[uint32]int64 // tables that the transaction makes, with the next number for a hidden key
}

// Created says that a table, or an index of one, comes to be with this transaction: the table has no rows and no owner before Commit, the index no entries.
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
	tx     *WriteTx
	rel    *planner.Relation
	row    rowShape
	times  rowTimes
	keyEnc format.Encoder
	valEnc format.Encoder
	values []int
	met    sync.Mutex // held to change index; others than the transaction also to read it
	index  keyIndex   // the keys that the transaction has met
	last   int32      // the number of the last of them in the order of keys
	// unordered: it is not known which one is last.
	unordered bool
	locked    int     // how many of them, the first ones, it has locked; guarded by the lock table
	load      bool    // the lock table looks into index; guarded by it
	keys      []txKey // by key number
	writes    []txWrite
	rows      rowArena
	output    txOutput
	kbuf      []byte
	places    []int32
	// uniques are the unique indexes that the transaction has looked into, by OID.
	uniques map[uint32]*txUnique
}

// txKey is what a transaction knows of a key that it has met.
type txKey struct {
	latest int32 // the write that counts, or unwritten or stored
	part   int32 // the partition it belongs to
}

// A key's latest write when there is none.
const (
	unwritten = -1
	stored    = -2 // and the store has a row, as it will while the key is locked
)

type txWrite struct {
	key     int32
	prior   int32 // the key's latest before this one
	deleted bool
	at      rowPlace
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
		if x.rel == rel {
			return x, nil
		}
		if x.rel.OID == rel.OID { // altered by the transaction itself
			return x, x.shape(rel)
		}
	}
	x := &txTable{tx: tx, rows: rowArena{pool: &tx.t.chunks}}
	if err := x.shape(rel); err != nil {
		return nil, err
	}
	tx.tables = append(tx.tables, x)
	return x, nil
}

// shape makes x write rows as rel says.
func (x *txTable) shape(rel *planner.Relation) (err error) {
	x.rel, x.row, x.values = rel, rowShapeOf(rel), valueOrdinals(rel)
	if x.times, err = newRowTimes(rel, x.tx.t.cfg.Clock); err != nil {
		return err
	}
	x.keyEnc, x.valEnc, err = relationEncoders(rel)
	return err
}

// Read locks the given keys, columns in key order with n rows, and returns the rows as they are now, the transaction's own
// writes included: a batch as NewRowBatch makes it with a row per key, all NULL where found is false. A deadlock is a 40P01.
func (tx *WriteTx) Read(ctx context.Context, rel *planner.Relation, keys []*vec.Vector, n int) (rows *vec.Batch, found []bool, err error) {
	x, err := tx.table(rel)
	if err != nil {
		return nil, nil, err
	}
	if err := tx.lock(ctx, x, keys, n); err != nil {
		return nil, nil, err
	}
	view, err := tx.view(ctx, x)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, view.close()) }()
	rows, found = NewRowBatch(rel, n), make([]bool, n)
	for i := range n {
		if found[i], err = view.read(rows, x.places[i]); err != nil {
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
	if err := x.times.set(rows); err != nil {
		return nil, err
	}
	if err := tx.lock(ctx, x, pick(nil, rows.Cols, rel.Key), rows.Len()); err != nil {
		return nil, err
	}
	if err := tx.findStored(ctx, x); err != nil {
		return nil, err
	}
	first := len(x.writes)
	for i := range rows.Len() {
		if x.there(x.places[i]) {
			existing = append(existing, int32(i))
			continue
		}
		if err := tx.write(x, x.places[i], rows, i, false); err != nil {
			return nil, err
		}
	}
	return existing, x.encodeAhead(rows, existing, first)
}

// Write writes rows whose keys the transaction has locked by Read: a row that joins replaces what is there, a row that leaves
// (Delete, UpdateDelete) removes it; of that only the key columns count.
func (tx *WriteTx) Write(rel *planner.Relation, rows *vec.Batch) error {
	x, err := tx.table(rel)
	if err != nil {
		return err
	}
	if err := x.times.set(rows); err != nil {
		return err
	}
	if err := tx.meet(x, pick(nil, rows.Cols, rel.Key), rows.Len()); err != nil {
		x.forgetUnlocked()
		return err
	}
	for i := range rows.Len() {
		if err := tx.write(x, x.places[i], rows, i, !rows.Op(i).Adds()); err != nil {
			return err
		}
	}
	return nil
}

// write buffers row i, whose key has number k.
func (tx *WriteTx) write(x *txTable, k int32, rows *vec.Batch, i int, deleted bool) error {
	w := txWrite{key: k, prior: x.keys[k].latest, deleted: deleted}
	w.at = x.rows.add(func(dst []byte) []byte { return tx.appendRow(dst, rows, i) })
	tx.bytes += int64(w.at.len)
	if tx.bytes > tx.limit {
		return tx.tooMuch()
	}
	x.output.replaced(int(w.prior))
	x.keys[k].latest = int32(len(x.writes))
	x.writes = append(roomy(x.writes), w)
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
	for k, key := range x.keys {
		if key.latest < 0 {
			continue
		}
		w := x.writes[key.latest]
		row.Reset()
		if err := x.row.append(row, x.rows.row(w.at)); err != nil {
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
			x.keys[x.writes[n].key].latest = x.writes[n].prior
		}
		if keep < len(x.writes) {
			x.rows.truncate(x.writes[keep].at)
		}
		x.writes = x.writes[:keep]
		x.output.truncated(keep)
	}
	tx.bytes = int64(len(tx.streams.arena))
	for _, x := range tx.tables {
		tx.bytes += x.rows.size() + int64(len(x.index.arena))
		for _, u := range x.uniques {
			tx.bytes += int64(len(u.values.index.arena))
		}
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
