package exec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// The entries of a table's indexes lie with the rows of their partition, under the index's OID as operator number: the key is the key encoding of the
// indexed columns and then that of the row's key, the value is the latter. They change in the batch that changes the row. Under
// tableIndexesOp stand the OIDs of the indexes whose entries are complete.
const tableIndexesOp = 2

func indexMarker(oid uint32) []byte { return binary.BigEndian.AppendUint32(nil, oid) }

// indexPrefix appends the key encoding of the indexed columns of row i; null tells that one of them is NULL.
func indexPrefix(dst []byte, ix *planner.Index, b *vec.Batch, i int) (key []byte, null bool) {
	for _, ord := range ix.Cols {
		d := b.Cols[ord].View(i)
		null = null || d.Null
		dst = types.AppendKey(dst, b.Cols[ord].Type, d)
	}
	return dst, null
}

// rowIndexes makes the entries of a table's rows.
type rowIndexes struct {
	indexes []planner.Index
	shape   rowShape
	row     *vec.Batch // one row, decoded
}

// keptIndexes are the indexes of a table and, where rows have a ttl, the entries by rowtime as one more.
func keptIndexes(rel *planner.Relation) []planner.Index {
	if rel.TTLMs == 0 {
		return rel.Indexes
	}
	return append(slices.Clip(rel.Indexes), planner.Index{OID: tableExpiryOp})
}

// newRowIndexes returns nil for no indexes.
func newRowIndexes(rel *planner.Relation, indexes []planner.Index) *rowIndexes {
	if len(indexes) == 0 {
		return nil
	}
	return &rowIndexes{indexes: indexes, shape: rowShapeOf(rel), row: NewRowBatch(rel, 1)}
}

// entries returns the keys of a row's entries, by index; nil for a row that is not there.
func (x *rowIndexes) entries(key, val []byte) ([][]byte, error) {
	if val == nil {
		return nil, nil
	}
	x.row.Reset()
	if err := x.shape.append(x.row, val); err != nil {
		return nil, err
	}
	out := make([][]byte, len(x.indexes))
	for n := range x.indexes {
		prefix, _ := indexPrefix(nil, &x.indexes[n], x.row, 0)
		if x.indexes[n].OID == tableExpiryOp {
			prefix = appendTime(prefix, x.row.Rowtime[0])
		}
		out[n] = append(prefix, key...)
	}
	return out, nil
}

// indexedBatch is a batch of a table's rows that changes the entries of its indexes too.
type indexedBatch struct {
	StateBatch
	x    *rowIndexes
	rows StateReader       // as committed
	seen map[string][]byte // rows that the batch itself has set; nil for those it has deleted
	err  error
}

// Set implements StateBatch.
func (b *indexedBatch) Set(op uint32, key, val []byte) {
	if op == tableRowsOp {
		b.replace(key, bytes.Clone(val))
	}
	b.StateBatch.Set(op, key, val)
}

// Delete implements StateBatch.
func (b *indexedBatch) Delete(op uint32, key []byte) {
	if op == tableRowsOp {
		b.replace(key, nil)
	}
	b.StateBatch.Delete(op, key)
}

// Commit implements StateBatch.
func (b *indexedBatch) Commit() error {
	if b.err != nil {
		return errors.Join(b.err, b.Close())
	}
	return b.StateBatch.Commit()
}

// replace changes the entries of a row from those of the version that is there to those of val.
func (b *indexedBatch) replace(key, val []byte) {
	if b.err != nil {
		return
	}
	old, ok := b.seen[string(key)]
	if !ok {
		if old, ok, b.err = b.rows.Get(nil, tableRowsOp, key); b.err != nil {
			return
		}
		if !ok {
			old = nil
		}
	}
	b.seen[string(key)] = val
	var was, now [][]byte
	if was, b.err = b.x.entries(key, old); b.err != nil {
		return
	}
	if now, b.err = b.x.entries(key, val); b.err != nil {
		return
	}
	for n := range b.x.indexes {
		same := was != nil && now != nil && bytes.Equal(was[n], now[n])
		if was != nil && !same {
			b.StateBatch.Delete(b.x.indexes[n].OID, was[n])
		}
		if now != nil && !same {
			b.StateBatch.Set(b.x.indexes[n].OID, now[n], key)
		}
	}
}

// newBatch starts a batch of rows that keeps the indexes.
func (s *tableSession) newBatch(rows, bytes int) StateBatch {
	b := s.state.NewBatch(rows, bytes)
	if s.indexes == nil {
		return b
	}
	return &indexedBatch{StateBatch: b, x: s.indexes, rows: s.state, seen: map[string][]byte{}}
}

// reindex makes the entries those of the table's present indexes: it takes away what is left of those that were dropped, and reads all rows for those that
// are new.
func (s *tableSession) reindex() error {
	rel := s.p.relation()
	complete, err := s.completeIndexes()
	if err != nil {
		return err
	}
	indexes := keptIndexes(rel)
	for oid := range complete {
		if !slices.ContainsFunc(indexes, func(ix planner.Index) bool { return ix.OID == oid }) {
			if err := s.dropIndex(oid); err != nil {
				return err
			}
		}
	}
	indexed := map[uint32]bool{}
	for n := range indexes {
		ix := &indexes[n]
		if !complete[ix.OID] {
			if err := s.buildIndex(rel, ix); err != nil {
				return err
			}
		}
		indexed[ix.OID] = true
	}
	s.indexes = newRowIndexes(rel, indexes)
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	s.p.mu.indexed = indexed
	s.p.changedLocked()
	return nil
}

func (s *tableSession) completeIndexes() (map[uint32]bool, error) {
	it, err := s.state.Iter(tableIndexesOp, nil, nil)
	if err != nil {
		return nil, err
	}
	out := map[uint32]bool{}
	for it.Next() {
		if k := it.Key(); len(k) == 4 {
			out[binary.BigEndian.Uint32(k)] = true
		}
	}
	return out, errors.Join(it.Err(), it.Close())
}

// indexChunk is how many entries are written as one.
const indexChunk = 4096

// dropIndex takes away the entries of an index. The mark of its completeness goes first, so that half of them is never taken for all.
func (s *tableSession) dropIndex(oid uint32) error {
	b := s.state.NewBatch(0, 0)
	b.Delete(tableIndexesOp, indexMarker(oid))
	if err := b.Commit(); err != nil {
		return err
	}
	return s.eachEntry(oid, func(b StateBatch, key, _ []byte) error {
		b.Delete(oid, key)
		return nil
	})
}

// eachEntry walks an operator's rows and commits what f does, chunk by chunk.
func (s *tableSession) eachEntry(op uint32, f func(b StateBatch, key, val []byte) error) error {
	it, err := s.state.Iter(op, nil, nil)
	if err != nil {
		return err
	}
	b := s.state.NewBatch(0, 0)
	for n := 1; err == nil && it.Next(); n++ {
		if err = f(b, it.Key(), it.Value()); err == nil && n%indexChunk == 0 {
			if err = b.Commit(); err == nil {
				err = s.p.ctx.Err()
			}
			b = s.state.NewBatch(0, 0)
		}
	}
	err = errors.Join(err, it.Err(), it.Close())
	if err != nil {
		return errors.Join(err, b.Close())
	}
	return b.Commit()
}

// buildIndex makes the entries of the rows that are there.
func (s *tableSession) buildIndex(rel *planner.Relation, ix *planner.Index) error {
	if err := s.dropIndex(ix.OID); err != nil { // what a build that did not end has left
		return err
	}
	x := newRowIndexes(rel, []planner.Index{*ix})
	err := s.eachEntry(tableRowsOp, func(b StateBatch, key, val []byte) error {
		entries, err := x.entries(key, val)
		if err == nil {
			b.Set(ix.OID, entries[0], key)
		}
		return err
	})
	if err != nil {
		return err
	}
	b := s.state.NewBatch(0, 0)
	b.Set(tableIndexesOp, indexMarker(ix.OID), []byte{1})
	return b.Commit()
}

// hasIndexLocked tells whether the entries of an index are complete, or the index is gone again; rules are those of the definition that has it.
func (p *tablePart) hasIndexLocked(ix, rules uint32) bool {
	return p.mu.indexed[ix] || p.mu.rel.Rules >= rules && p.mu.rel.Index(ix) == nil
}

// HasIndex tells whether the partition's entries of an index are complete in the snapshot.
func (r *TableReader) HasIndex(oid uint32) (bool, error) {
	_, ok, err := r.rows.Get(nil, tableIndexesOp, indexMarker(oid))
	return ok, err
}

// ScanIndex walks the rows of the partition whose first indexed columns have the given values. Close it.
func (r *TableReader) ScanIndex(ix *planner.Index, values []types.Datum) (*IndexScan, error) {
	var prefix []byte
	for i, d := range values {
		prefix = types.AppendKey(prefix, r.rel.Columns[ix.Cols[i]].Type, d)
	}
	return r.scanPrefix(ix, prefix)
}

func (r *TableReader) scanPrefix(ix *planner.Index, prefix []byte) (*IndexScan, error) {
	it, err := r.rows.Iter(ix.OID, prefix, prefixSuccessor(prefix))
	if err != nil {
		return nil, err
	}
	return &IndexScan{r: r, it: it}, nil
}

// IndexScan walks rows in the order of an index.
type IndexScan struct {
	r  *TableReader
	it StateIter
}

// Next appends up to limit rows to dst, a batch as NewRowBatch makes it, and returns how many; 0 is the end.
func (s *IndexScan) Next(dst *vec.Batch, limit int) (int, error) {
	n := 0
	for n < limit && s.it.Next() {
		found, err := s.r.get(dst, s.it.Value())
		if err != nil {
			return n, err
		}
		if found {
			n++
		}
	}
	return n, s.it.Err()
}

// Close lets go of the iterator.
func (s *IndexScan) Close() error { return s.it.Close() }
