package exec

import (
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// The rows of a table partition lie in state under the table's OID, in a fragment and operator number of their own. The key is
// the key encoding of the key columns, the value the row's rowtime and all columns in declared order.
const (
	tableFragment = 0xffffffff
	tableRowsOp   = 1
)

// TableStateID names the state that holds the rows of one partition of a table.
// Each generation of rows has a fragment of its own, counted down from the first.
func TableStateID(rel *planner.Relation, partition int32) StateID {
	return StateID{Object: uint64(rel.OID), Fragment: tableFragment - rel.Generation, Partition: partition}
}

// relationSchema returns the types of all columns of rel.
func relationSchema(rel *planner.Relation) []types.Type {
	ts := make([]types.Type, len(rel.Columns))
	for i, c := range rel.Columns {
		ts[i] = c.Type
	}
	return ts
}

// TableReader reads the rows of one partition as of a snapshot. One goroutine uses it.
type TableReader struct {
	rel    *planner.Relation
	row    rowShape
	rows   StateReader
	offset int64
	key    []byte
	val    []byte
}

// NewTableReader reads partition of rel in snap; ok is false when nothing of it was stored yet.
func NewTableReader(snap StateSnapshot, rel *planner.Relation, partition int32) (r *TableReader, ok bool, err error) {
	rows, mark, ok, err := snap.Partition(TableStateID(rel, partition))
	if err != nil || !ok {
		return nil, false, err
	}
	return &TableReader{rel: rel, row: rowShapeOf(rel), rows: rows, offset: mark.Changelog}, true, nil
}

// Offset is the first offset of the table's topic whose record the snapshot does not have.
func (r *TableReader) Offset() int64 { return r.offset }

// NewRowBatch returns an empty batch for rows of rel: all its columns in declared order, and rowtimes.
func NewRowBatch(rel *planner.Relation, capacity int) *vec.Batch {
	b := vec.NewBatch(relationSchema(rel), capacity)
	b.Rowtime = make([]int64, 0, capacity)
	return b
}

// Get appends the row with the given key, in key order, to dst, a batch as NewRowBatch makes it, and reports whether there is one.
func (r *TableReader) Get(dst *vec.Batch, key []types.Datum) (bool, error) {
	r.key = appendKeyDatums(r.key[:0], r.rel, key)
	return r.get(dst, r.key)
}

func (r *TableReader) get(dst *vec.Batch, key []byte) (ok bool, err error) {
	if r.val, ok, err = r.rows.Get(r.val[:0], tableRowsOp, key); err != nil || !ok {
		return false, err
	}
	return true, r.row.append(dst, r.val)
}

// appendKeyDatums encodes the leading key columns of rel, as many as there are values.
func appendKeyDatums(dst []byte, rel *planner.Relation, key []types.Datum) []byte {
	for i, d := range key {
		dst = types.AppendKey(dst, rel.Columns[rel.Key[i]].Type, d)
	}
	return dst
}

// Bound is one end of a scan: values of the leading key columns. The zero value is open.
type Bound struct {
	Key []types.Datum
	// Exclusive leaves out the rows that begin with Key.
	Exclusive bool
}

// Scan iterates in key order over the rows between two bounds. Close it.
func (r *TableReader) Scan(lower, upper Bound) (*TableScan, error) {
	var from, to []byte
	if lower.Key != nil {
		from = appendKeyDatums(nil, r.rel, lower.Key)
		if lower.Exclusive {
			from = prefixSuccessor(from)
		}
	}
	if upper.Key != nil {
		to = appendKeyDatums(nil, r.rel, upper.Key)
		if !upper.Exclusive {
			to = prefixSuccessor(to)
		}
	}
	it, err := r.rows.Iter(tableRowsOp, from, to)
	if err != nil {
		return nil, err
	}
	return &TableScan{it: it, row: r.row}, nil
}

// TableScan walks the rows of one partition in key order.
type TableScan struct {
	it     StateIter
	row    rowShape
	some   bool   // only the wanted columns are read
	wanted []bool // up to the last that is
}

// Columns makes the scan read the columns with the given ordinals alone: the others of what Next appends to stay empty.
func (s *TableScan) Columns(ords []int) {
	s.some, s.wanted = true, nil
	for _, ord := range ords {
		for ord >= len(s.wanted) {
			s.wanted = append(s.wanted, false)
		}
		if ord >= 0 {
			s.wanted[ord] = true
		}
	}
}

// Next appends up to limit rows to dst, a batch as NewRowBatch makes it, and returns how many; 0 is the end.
func (s *TableScan) Next(dst *vec.Batch, limit int) (int, error) {
	n := 0
	for ; n < limit && s.it.Next(); n++ {
		var err error
		if s.some {
			err = s.row.appendColumns(dst, s.wanted, s.it.Value())
		} else {
			err = s.row.append(dst, s.it.Value())
		}
		if err != nil {
			return n, err
		}
	}
	return n, s.it.Err()
}

// Close lets go of the iterator.
func (s *TableScan) Close() error { return s.it.Close() }
