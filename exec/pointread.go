package exec

import (
	"github.com/millracedb/millrace/exec/format"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/record"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// PointReader reads single rows of a table by their keys, each as it is at that moment: with one row there is no need for a snapshot. It is for tables
// whose rows Millrace alone has dealt to partitions. One goroutine uses it; it holds nothing that has to be closed.
type PointReader struct {
	rel    *planner.Relation
	row    rowShape
	state  StateStore
	keyEnc format.Encoder
	rows   []StateReader // by partition, made when first used
	cols   []*vec.Vector // a key, for keyEnc
	key    []byte
	val    []byte
}

// NewPointReader returns a reader of the table rel.
func NewPointReader(state StateStore, rel *planner.Relation) (*PointReader, error) {
	r := &PointReader{rel: rel, row: rowShapeOf(rel), state: state, rows: make([]StateReader, rel.Partitions)}
	for _, ord := range rel.Key {
		r.cols = append(r.cols, vec.NewVector(rel.Columns[ord].Type, 1))
	}
	var err error
	r.keyEnc, err = format.NewEncoder(keySchema(rel))
	return r, err
}

// Partition returns the partition that a key, its values in key order, belongs to.
func (r *PointReader) Partition(key []types.Datum) (int32, error) {
	for i, c := range r.cols {
		c.Reset()
		c.AppendDatum(key[i])
	}
	var err error
	if r.key, err = r.keyEnc.AppendRow(r.key[:0], r.cols, 0); err != nil {
		return 0, err
	}
	return record.PartitionForKey(r.key, r.rel.Partitions), nil
}

// Get appends the row with a key of partition p to dst, a batch as NewRowBatch makes it, and reports whether there is one.
func (r *PointReader) Get(dst *vec.Batch, p int32, key []types.Datum) (ok bool, err error) {
	if r.rows[p] == nil {
		r.rows[p] = r.state.Reader(TableStateID(r.rel, p))
	}
	r.key = appendKeyDatums(r.key[:0], r.rel, key)
	if r.val, ok, err = r.rows[p].Get(r.val[:0], tableRowsOp, r.key); err != nil || !ok {
		return false, err
	}
	return true, r.row.append(dst, r.val)
}
