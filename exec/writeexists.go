package exec

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/millracedb/millrace/exec/vec"
)

// fewKeys is how many keys are looked up one by one; more are sorted and met on one walk, since bulk loads mostly add keys
// beyond those there are.
const fewKeys = 16

// partitionsOf returns the partition of each of n distinct keys, which x.places numbers in the order of their first rows.
func (x *txTable) partitionsOf(keys []*vec.Vector, n int) ([]int32, error) {
	parts := make([]int32, 0, n)
	for i, k := range x.places {
		if int(k) < len(parts) {
			continue
		}
		p, err := x.partitionOf(keys, i)
		if err != nil {
			return nil, err
		}
		parts = append(parts, p)
	}
	return parts, nil
}

// present says of each distinct key whether there is a row, the transaction's own writes included, by the key's number among those.
func (tx *WriteTx) present(ctx context.Context, x *txTable, keys *keyIndex, parts, numbers []int32) (there []bool, err error) {
	view, err := tx.view(ctx, x)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, view.close()) }()
	there = make([]bool, keys.len())
	asked := make([][]int32, len(view.readers))
	for k := range there {
		if last := x.latest[numbers[k]]; last >= 0 {
			there[k] = !x.writes[last].deleted
		} else if view.readers[parts[k]] != nil {
			asked[parts[k]] = append(asked[parts[k]], int32(k))
		}
	}
	for p, list := range asked {
		if err := view.readers[p].present(keys, list, there); err != nil {
			return nil, err
		}
	}
	return there, nil
}

// present looks up the keys with the numbers in list.
func (r *TableReader) present(keys *keyIndex, list []int32, there []bool) (err error) {
	if len(list) < fewKeys {
		for _, k := range list {
			if r.val, there[k], err = r.rows.Get(r.val[:0], tableRowsOp, keys.key(k)); err != nil {
				return err
			}
		}
		return nil
	}
	slices.SortFunc(list, func(a, b int32) int { return bytes.Compare(keys.key(a), keys.key(b)) })
	it, err := r.rows.Iter(tableRowsOp, keys.key(list[0]), nil)
	if err != nil {
		return err
	}
	more := it.Next()
	for _, k := range list {
		key := keys.key(k)
		if more && bytes.Compare(it.Key(), key) < 0 {
			more = it.SeekGE(key)
		}
		if !more {
			break
		}
		there[k] = bytes.Equal(it.Key(), key)
	}
	return errors.Join(it.Err(), it.Close())
}
