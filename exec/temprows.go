package exec

import (
	"bytes"
	"encoding/binary"
	"maps"

	iradix "github.com/hashicorp/go-immutable-radix"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// TempRows are the rows of a temporary table, in memory and by key. A copy of the struct is a snapshot: later changes of the one do not show in the other. The
// zero value is empty. One goroutine uses it and its copies.
type TempRows struct {
	tree  *iradix.Tree // values are []byte, as rows in state; nil is empty
	bytes int64
	// indexes are the entries of those that were asked for, by OID.
	indexes map[uint32]*iradix.Tree
	// given counts hidden keys. It is not taken back with the rows.
	given *uint64
}

// tempRowOverhead is what the tree needs for a row beside its key and value, in bytes.
const tempRowOverhead = 160

// Bytes is about the memory that the rows and their indexes take.
func (t *TempRows) Bytes() int64 { return t.bytes + int64(len(t.indexes)*t.Len())*tempRowOverhead }

// Len is the number of rows.
func (t *TempRows) Len() int {
	if t.tree == nil {
		return 0
	}
	return t.tree.Len()
}

func (t *TempRows) begin() *iradix.Txn {
	if t.tree == nil {
		t.tree = iradix.New()
	}
	return t.tree.Txn()
}

// Insert writes the rows whose key is not there. It returns the numbers of the others, those of a key that comes twice among them. Hidden key columns are
// filled in, in place.
func (t *TempRows) Insert(rel *planner.Relation, rows *vec.Batch) (existing []int32, err error) {
	if hiddenKey(rel) {
		t.fillHidden(rows.Cols[rel.Key[0]], rows.Len())
	}
	txn, keys, x := t.begin(), pick(nil, rows.Cols, rel.Key), newRowIndexes(rel, rel.Indexes)
	for i := range rows.Len() {
		key := appendKeyCols(nil, keys, i)
		if _, ok := txn.Get(key); ok {
			existing = append(existing, int32(i))
			continue
		}
		if err := t.put(txn, x, key, rows, i); err != nil {
			return nil, err
		}
	}
	t.tree = txn.Commit()
	return existing, nil
}

func (t *TempRows) fillHidden(col *vec.Vector, n int) {
	if t.given == nil {
		t.given = new(uint64)
	}
	one := vec.NewVector(col.Type, 1)
	for i := range n {
		if !col.IsNull(i) {
			continue
		}
		var id [16]byte
		binary.BigEndian.PutUint64(id[8:], *t.given)
		*t.given++
		one.Reset()
		one.AppendBytes(id[:])
		col.SetRow(i, one, 0)
	}
}

func (t *TempRows) put(txn *iradix.Txn, x *rowIndexes, key []byte, rows *vec.Batch, i int) error {
	value := appendRowValue(nil, rows, i)
	old, replaced := txn.Insert(key, value)
	t.bytes += int64(len(value))
	var was []byte
	if replaced {
		was = old.([]byte)
		t.bytes -= int64(len(was))
	} else {
		t.bytes += int64(len(key)) + tempRowOverhead
	}
	return t.reindex(x, key, was, value)
}

// Write replaces rows, or with an op that leaves (Delete, UpdateDelete) removes them.
func (t *TempRows) Write(rel *planner.Relation, rows *vec.Batch) error {
	txn, keys, x := t.begin(), pick(nil, rows.Cols, rel.Key), newRowIndexes(rel, rel.Indexes)
	for i := range rows.Len() {
		key := appendKeyCols(nil, keys, i)
		if rows.Op(i).Adds() {
			if err := t.put(txn, x, key, rows, i); err != nil {
				return err
			}
			continue
		}
		if old, ok := txn.Delete(key); ok {
			t.bytes -= int64(len(key)+len(old.([]byte))) + tempRowOverhead
			if err := t.reindex(x, key, old.([]byte), nil); err != nil {
				return err
			}
		}
	}
	t.tree = txn.Commit()
	return nil
}

// Read returns the rows of n keys, columns in key order: a batch as NewRowBatch makes it with a row per key, all NULL where found is false.
func (t *TempRows) Read(rel *planner.Relation, keys []*vec.Vector, n int) (rows *vec.Batch, found []bool, err error) {
	rows, found = NewRowBatch(rel, n), make([]bool, n)
	shape := rowShapeOf(rel)
	for i := range n {
		value, ok := t.get(appendKeyCols(nil, keys, i))
		if !ok {
			appendNullRow(rows)
			continue
		}
		if err := shape.append(rows, value); err != nil {
			return nil, nil, err
		}
		found[i] = true
	}
	return rows, found, nil
}

func (t *TempRows) get(key []byte) ([]byte, bool) {
	if t.tree == nil {
		return nil, false
	}
	v, ok := t.tree.Get(key)
	if !ok {
		return nil, false
	}
	return v.([]byte), true
}

// Get appends the row with the given key, in key order, to dst, a batch as NewRowBatch makes it, and reports whether there is one.
func (t *TempRows) Get(dst *vec.Batch, rel *planner.Relation, key []types.Datum) (bool, error) {
	value, ok := t.get(appendKeyDatums(nil, rel, key))
	if !ok {
		return false, nil
	}
	return true, rowShapeOf(rel).append(dst, value)
}

// Scan walks the rows as they are now in key order.
func (t *TempRows) Scan(rel *planner.Relation) *TempScan {
	s := &TempScan{shape: rowShapeOf(rel)}
	if t.tree != nil {
		s.it = t.tree.Root().Iterator()
	}
	return s
}

// TempScan is a walk over a temporary table.
type TempScan struct {
	it    *iradix.Iterator // nil of an empty table
	shape rowShape
}

// Next appends up to limit rows to dst, a batch as NewRowBatch makes it, and returns how many; 0 is the end.
func (s *TempScan) Next(dst *vec.Batch, limit int) (n int, err error) {
	if s.it == nil {
		return 0, nil
	}
	for n < limit {
		_, value, ok := s.it.Next()
		if !ok {
			break
		}
		if err := s.shape.append(dst, value.([]byte)); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// Clear removes all rows.
func (t *TempRows) Clear() { t.tree, t.indexes, t.bytes = nil, nil, 0 }

// Conflicts looks for other rows that have the values which rows, a batch of all columns of rel, have in a unique index: held has such a row for each of rows, all
// NULL where found is false. Two rows with a NULL do not conflict.
func (t *TempRows) Conflicts(rel *planner.Relation, ix *planner.Index, rows *vec.Batch) (held *vec.Batch, found []bool, err error) {
	tree, err := t.indexed(rel, ix)
	if err != nil {
		return nil, nil, err
	}
	held, found = NewRowBatch(rel, rows.Len()), make([]bool, rows.Len())
	shape, keys := rowShapeOf(rel), pick(nil, rows.Cols, rel.Key)
	for i := range found {
		prefix, null := indexPrefix(nil, ix, rows, i)
		own := appendKeyCols(nil, keys, i)
		var other []byte
		if !null {
			tree.Root().WalkPrefix(prefix, func(_ []byte, key any) bool {
				if k := key.([]byte); !bytes.Equal(k, own) {
					other = k
				}
				return other != nil
			})
		}
		value, ok := t.get(other)
		if found[i] = ok && other != nil; !found[i] {
			appendNullRow(held)
		} else if err := shape.append(held, value); err != nil {
			return nil, nil, err
		}
	}
	return held, found, nil
}

// GetByIndex appends the rows whose first indexed columns have the given values to dst.
func (t *TempRows) GetByIndex(dst *vec.Batch, rel *planner.Relation, ix *planner.Index, values []types.Datum) error {
	tree, err := t.indexed(rel, ix)
	if err != nil {
		return err
	}
	var prefix []byte
	for i, d := range values {
		prefix = types.AppendKey(prefix, rel.Columns[ix.Cols[i]].Type, d)
	}
	shape := rowShapeOf(rel)
	tree.Root().WalkPrefix(prefix, func(_ []byte, key any) bool {
		if value, ok := t.get(key.([]byte)); ok {
			err = shape.append(dst, value)
		}
		return err != nil
	})
	return err
}

// indexed returns the entries of an index, made when they are first asked for: by the values of the indexed columns and then the row's key, which they hold.
func (t *TempRows) indexed(rel *planner.Relation, ix *planner.Index) (*iradix.Tree, error) {
	if tree, ok := t.indexes[ix.OID]; ok {
		return tree, nil
	}
	x, txn := newRowIndexes(rel, []planner.Index{*ix}), iradix.New().Txn()
	var err error
	if t.tree != nil {
		t.tree.Root().Walk(func(key []byte, value any) bool {
			var entries [][]byte
			if entries, err = x.entries(key, value.([]byte)); err == nil {
				txn.Insert(entries[0], bytes.Clone(key))
			}
			return err != nil
		})
	}
	t.setIndex(ix.OID, txn.Commit())
	return t.indexes[ix.OID], err
}

// setIndex replaces an index; the map is shared with snapshots and not changed.
func (t *TempRows) setIndex(oid uint32, tree *iradix.Tree) {
	next := map[uint32]*iradix.Tree{}
	maps.Copy(next, t.indexes)
	next[oid] = tree
	t.indexes = next
}

// reindex brings the entries of a row that changes from the version old to the version new; nil is none.
func (t *TempRows) reindex(x *rowIndexes, key, old, now []byte) error {
	if x == nil || len(t.indexes) == 0 {
		return nil
	}
	was, err := x.entries(key, old)
	if err != nil {
		return err
	}
	is, err := x.entries(key, now)
	if err != nil {
		return err
	}
	for n := range x.indexes {
		tree, ok := t.indexes[x.indexes[n].OID]
		if !ok {
			continue
		}
		if was != nil {
			tree, _, _ = tree.Delete(was[n])
		}
		if is != nil {
			tree, _, _ = tree.Insert(is[n], key)
		}
		t.setIndex(x.indexes[n].OID, tree)
	}
	return nil
}
