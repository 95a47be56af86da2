package exec

import (
	"context"
	"encoding/binary"
	"math"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// hiddenKey reports whether rel has no key of its own: its rows get one that no user sees.
func hiddenKey(rel *planner.Relation) bool {
	return len(rel.Key) == 1 && rel.Columns[rel.Key[0]].Hidden && rel.Columns[rel.Key[0]].Type.Kind == types.UUID
}

// hiddenTries is how many keys are tried for one whose place is the row's partition.
const hiddenTries = 256

// fillHidden gives each row without one a key that is unique in the table: a log position and a count of one partition, and the
// first number from 0 on that makes the key belong to that partition. The batch goes to one partition, which rotates.
func (tx *WriteTx) fillHidden(ctx context.Context, x *txTable, rows *vec.Batch) error {
	col := rows.Cols[x.rel.Key[0]]
	target := (tx.t.rotate.Add(1) & math.MaxInt32) % x.rel.Partitions
	next, err := tx.hiddenKeys(ctx, x.rel, target)
	if err != nil {
		return err
	}
	for i := range rows.Len() {
		for done := !col.IsNull(i); !done; {
			began, count := next()
			var err error
			if done, err = x.tryHidden(col, i, began, count, target); err != nil {
				return err
			}
		}
	}
	return nil
}

// hiddenKeys returns what gives numbers for hidden keys: the owner of the partition, or for a table that the transaction makes, which
// has no owner yet, a count that begins before every position.
func (tx *WriteTx) hiddenKeys(ctx context.Context, rel *planner.Relation, target int32) (func() (int64, uint32), error) {
	if _, fresh := tx.created[rel.OID]; fresh {
		return func() (int64, uint32) {
			n := tx.created[rel.OID]
			tx.created[rel.OID] = n + 1
			return -1, uint32(n)
		}, nil
	}
	part, err := tx.t.owned(ctx, rel, target)
	if err != nil {
		return nil, err
	}
	return part.hiddenKey, nil
}

// tryHidden looks for a key made of a position and a count that belongs to partition target, and makes it row i of col.
func (x *txTable) tryHidden(col *vec.Vector, i int, began int64, count uint32, target int32) (bool, error) {
	one := vec.NewVector(col.Type, 1)
	var id [16]byte
	binary.BigEndian.PutUint64(id[:8], uint64(began))
	binary.BigEndian.PutUint32(id[8:], count)
	for try := range uint32(hiddenTries) {
		binary.BigEndian.PutUint32(id[12:], try)
		one.Reset()
		one.AppendBytes(id[:])
		p, err := x.partitionOf([]*vec.Vector{one}, 0)
		if err != nil {
			return false, err
		}
		if p == target {
			col.SetRow(i, one, 0)
			return true, nil
		}
	}
	return false, nil
}
