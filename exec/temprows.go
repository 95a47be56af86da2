package exec

import (
	"encoding/binary"

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
	// given counts hidden keys. It is not taken back with the rows.
	given *uint64
}

// tempRowOverhead is what the tree needs for a row beside its key and value, in bytes.
const tempRowOverhead = 160

// Bytes is the memory that the rows take.
func (t *TempRows) Bytes() int64 { return t.bytes }

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
func (t *TempRows) Insert(rel *planner.Relation, rows *vec.Batch) (existing []int32) {
	if hiddenKey(rel) {
		t.fillHidden(rows.Cols[rel.Key[0]], rows.Len())
	}
	txn, keys := t.begin(), pick(nil, rows.Cols, rel.Key)
	for i := range rows.Len() {
		key := appendKeyCols(nil, keys, i)
		if _, ok := txn.Get(key); ok {
			existing = append(existing, int32(i))
			continue
		}
		t.put(txn, key, rows, i)
	}
	t.tree = txn.Commit()
	return existing
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

func (t *TempRows) put(txn *iradix.Txn, key []byte, rows *vec.Batch, i int) {
	value := appendRowValue(nil, rows, i)
	old, replaced := txn.Insert(key, value)
	t.bytes += int64(len(value))
	if replaced {
		t.bytes -= int64(len(old.([]byte)))
	} else {
		t.bytes += int64(len(key)) + tempRowOverhead
	}
}

// Write replaces rows, or with an op that leaves (Delete, UpdateDelete) removes them.
func (t *TempRows) Write(rel *planner.Relation, rows *vec.Batch) {
	txn, keys := t.begin(), pick(nil, rows.Cols, rel.Key)
	for i := range rows.Len() {
		key := appendKeyCols(nil, keys, i)
		if rows.Op(i).Adds() {
			t.put(txn, key, rows, i)
			continue
		}
		if old, ok := txn.Delete(key); ok {
			t.bytes -= int64(len(key)+len(old.([]byte))) + tempRowOverhead
		}
	}
	t.tree = txn.Commit()
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
func (t *TempRows) Clear() { t.tree, t.bytes = nil, 0 }
