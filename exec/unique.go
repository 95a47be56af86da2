package exec

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
)

// txUnique is what a transaction knows of a unique index: the values that it has met, which it locks as it does keys, and the rows that it gave them to.
type txUnique struct {
	values txTable   // its keys are values of the index
	claims [][]int32 // by number of a value: numbers of keys of the table. Some may have another value by now
	// rows are the keys of the stored rows by value, where the index comes to be with the transaction and so has no entries; nil otherwise.
	rows map[string][]byte
}

// unique returns what the transaction knows of a unique index of x.
func (x *txTable) unique(ix *planner.Index) *txUnique {
	if x.uniques == nil {
		x.uniques = map[uint32]*txUnique{}
	}
	u := x.uniques[ix.OID]
	if u == nil {
		u = &txUnique{values: txTable{tx: x.tx, rel: &planner.Relation{OID: ix.OID, Name: ix.Name}}}
		x.uniques[ix.OID] = u
	}
	return u
}

// meet numbers the values of rows and locks them; -1 for those with a NULL, which equal nothing.
func (u *txUnique) meet(ctx context.Context, ix *planner.Index, rows *vec.Batch) ([]int32, error) {
	v := &u.values
	numbers := make([]int32, rows.Len())
	v.met.Lock()
	for i := range numbers {
		var null bool
		v.kbuf, null = indexPrefix(v.kbuf[:0], ix, rows, i)
		if numbers[i] = -1; null {
			continue
		}
		n, fresh := v.index.add(v.kbuf)
		if fresh {
			v.tx.bytes += int64(len(v.kbuf))
			v.keys = append(v.keys, txKey{latest: unwritten})
			u.claims = append(u.claims, nil)
		}
		numbers[i] = n
	}
	v.met.Unlock()
	err := v.tx.t.locks.acquire(ctx, v)
	if err != nil {
		v.forgetUnlocked()
		u.claims = u.claims[:len(v.keys)]
	}
	return numbers, err
}

// Conflicts locks the values that rows, a batch of all columns of rel, have in a unique index, and looks for other rows that have them: held has such a row,
// locked, for each of rows, all NULL where found is false. With claim the rows are written already, and what comes later may conflict with them.
func (tx *WriteTx) Conflicts(ctx context.Context, rel *planner.Relation, ix *planner.Index, rows *vec.Batch, claim bool) (held *vec.Batch, found []bool, err error) {
	x, err := tx.table(rel)
	if err != nil {
		return nil, nil, err
	}
	if err := tx.awaitIndex(ctx, rel, ix); err != nil {
		return nil, nil, err
	}
	u := x.unique(ix)
	numbers, err := u.meet(ctx, ix, rows)
	if err != nil {
		return nil, nil, err
	}
	c := &conflicts{tx: tx, x: x, ix: ix, u: u, held: NewRowBatch(rel, rows.Len()), row: NewRowBatch(rel, 1)}
	if c.view, err = tx.view(ctx, x); err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, c.view.close()) }()
	if _, fresh := tx.created[ix.OID]; fresh && u.rows == nil {
		if err := c.readRows(); err != nil {
			return nil, nil, err
		}
	}
	if err := c.look(numbers); err != nil {
		return nil, nil, err
	}
	found = make([]bool, rows.Len())
	keys := pick(nil, rows.Cols, rel.Key)
	for i, n := range numbers {
		own := appendKeyCols(nil, keys, i)
		if n >= 0 {
			if found[i], err = c.find(ctx, n, own); err != nil {
				return nil, nil, err
			}
		}
		if !found[i] {
			appendNullRow(c.held)
		}
		if claim && n >= 0 {
			if k := x.numberOf(own); k >= 0 {
				u.claims[n] = append(u.claims[n], k)
			}
		}
	}
	return c.held, found, nil
}

// conflicts is one call of Conflicts.
type conflicts struct {
	tx   *WriteTx
	x    *txTable
	ix   *planner.Index
	u    *txUnique
	view *txView
	held *vec.Batch
	row  *vec.Batch // scratch
	// indexed are the numbers of those values that the store's index has, where looked says that they were looked for all at once.
	indexed map[int32]struct{}
	looked  bool
}

// look finds which of many values the store's index has: on one walk over each partition, since the rows of a load mostly have new ones. The values are
// locked, so there come no more.
func (c *conflicts) look(numbers []int32) error {
	if c.u.rows != nil || len(numbers) < fewKeys {
		return nil
	}
	values := &c.u.values.index
	list := slices.Clone(numbers)
	slices.Sort(list)
	list = slices.Compact(list)
	if list[0] < 0 {
		list = list[1:]
	}
	c.indexed, c.looked = map[int32]struct{}{}, true
	if len(list) == 0 {
		return nil
	}
	values.order(list, func(n int32) int32 { return n })
	return c.eachReader(func(r *TableReader) error { return c.lookIn(r, values, list) })
}

// eachReader calls f for each partition of the table that has rows, until f fails.
func (c *conflicts) eachReader(f func(*TableReader) error) error {
	for p := range c.x.rel.Partitions {
		r, err := c.view.reader(p)
		if err == nil && r != nil {
			err = f(r)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *conflicts) lookIn(r *TableReader, values *keyIndex, list []int32) error {
	it, err := r.rows.Iter(c.ix.OID, values.key(list[0]), nil)
	if err != nil {
		return err
	}
	more := it.Next()
	for _, n := range list {
		value := values.key(n)
		if more && bytes.Compare(it.Key(), value) < 0 {
			more = it.SeekGE(value)
		}
		if !more {
			break
		}
		if bytes.HasPrefix(it.Key(), value) {
			c.indexed[n] = struct{}{}
		}
	}
	return errors.Join(it.Err(), it.Close())
}

// find appends to held a row that has value number n and not the key own.
func (c *conflicts) find(ctx context.Context, n int32, own []byte) (bool, error) {
	value := c.u.values.index.key(n)
	for _, k := range c.u.claims[n] {
		w := c.x.keys[k].latest
		if w < 0 || c.x.writes[w].deleted || bytes.Equal(c.x.index.key(k), own) {
			continue
		}
		if ok, err := c.has(c.x.rows.row(c.x.writes[w].at), value); ok || err != nil {
			return c.take(ok, err)
		}
	}
	if _, ok := c.indexed[n]; c.looked && !ok {
		return false, nil
	}
	for {
		key, again, err := c.stored(value, own)
		if key == nil || err != nil {
			return false, err
		}
		if !again {
			return c.take(true, nil)
		}
		// Another transaction may be about to change the row: its lock is waited for, and then the row is looked at again.
		if err := c.tx.lock(ctx, c.x, pick(nil, c.row.Cols, c.x.rel.Key), 1); err != nil {
			return false, err
		}
		if err := c.view.close(); err != nil {
			return false, err
		}
		if c.view, err = c.tx.view(ctx, c.x); err != nil {
			return false, err
		}
	}
}

// has decodes a row and tells whether it has the value in the index.
func (c *conflicts) has(val, value []byte) (bool, error) {
	c.row.Reset()
	if err := c.x.row.append(c.row, val); err != nil {
		return false, err
	}
	key, null := indexPrefix(nil, c.ix, c.row, 0)
	return !null && bytes.Equal(key, value), nil
}

// take appends the decoded row to held.
func (c *conflicts) take(ok bool, err error) (bool, error) {
	if ok && err == nil {
		c.held.AppendGather(c.row, []int32{0})
	}
	return ok, err
}

// stored looks for a row in the store that has the value, and that the transaction has not written: c.row is it. again tells that it is not locked yet.
func (c *conflicts) stored(value, own []byte) (key []byte, again bool, err error) {
	for p := range c.x.rel.Partitions {
		r, err := c.view.reader(p)
		if err != nil {
			return nil, false, err
		}
		if r == nil {
			continue
		}
		if key, again, err = c.storedIn(r, value, own); key != nil || err != nil {
			return key, again, err
		}
	}
	return nil, false, nil
}

// readRows notes the values of all stored rows. What others commit later is looked at when the index is made durable.
func (c *conflicts) readRows() error {
	c.u.rows = map[string][]byte{}
	return c.eachReader(func(r *TableReader) error {
		it, err := r.rows.Iter(tableRowsOp, nil, nil)
		if err != nil {
			return err
		}
		for err == nil && it.Next() {
			c.row.Reset()
			if err = c.x.row.append(c.row, it.Value()); err != nil {
				break
			}
			if value, null := indexPrefix(nil, c.ix, c.row, 0); !null {
				c.u.rows[string(value)] = bytes.Clone(it.Key())
				if c.tx.bytes += int64(len(value) + len(it.Key())); c.tx.bytes > c.tx.limit {
					err = c.tx.tooMuch()
				}
			}
		}
		return errors.Join(err, it.Err(), it.Close())
	})
}

// noted is storedIn for an index without entries.
func (c *conflicts) noted(r *TableReader, value, own []byte) (key []byte, again bool, err error) {
	key, ok := c.u.rows[string(value)]
	if !ok || bytes.Equal(key, own) {
		return nil, false, nil
	}
	k := c.x.numberOf(key)
	if k >= 0 && c.x.keys[k].latest >= 0 {
		return nil, false, nil
	}
	val, ok, err := r.rows.Get(nil, tableRowsOp, key)
	if err != nil || !ok {
		return nil, false, err
	}
	if has, err := c.has(val, value); err != nil || !has {
		return nil, false, err
	}
	return key, k < 0 || int(k) >= c.x.locked, nil
}

func (c *conflicts) storedIn(r *TableReader, value, own []byte) (key []byte, again bool, err error) {
	if c.u.rows != nil {
		return c.noted(r, value, own)
	}
	scan, err := r.scanPrefix(c.ix, value)
	if err != nil {
		return nil, false, err
	}
	defer func() { err = errors.Join(err, scan.Close()) }()
	for scan.it.Next() {
		key := bytes.Clone(scan.it.Value())
		if bytes.Equal(key, own) {
			continue
		}
		k := c.x.numberOf(key)
		if k >= 0 && c.x.keys[k].latest >= 0 {
			continue // the transaction's own version is among the claims
		}
		c.row.Reset()
		switch found, err := r.get(c.row, key); {
		case err != nil:
			return nil, false, err
		case found:
			return key, k < 0 || int(k) >= c.x.locked, nil
		}
	}
	return nil, false, scan.it.Err()
}

// awaitIndex waits until the partitions of a table have the entries of an index.
func (tx *WriteTx) awaitIndex(ctx context.Context, rel *planner.Relation, ix *planner.Index) error {
	_, freshTable := tx.created[rel.OID]
	_, freshIndex := tx.created[ix.OID]
	if freshTable || freshIndex {
		return nil
	}
	return tx.t.WaitIndexed(ctx, rel, ix.OID)
}

// WaitIndexed waits until all partitions of a table that are kept here have the entries of an index. An index that was dropped is waited for no longer.
func (t *Tables) WaitIndexed(ctx context.Context, rel *planner.Relation, ix uint32) error {
	for p := range rel.Partitions {
		part := t.part(rel.OID, p)
		if part == nil {
			return sqlerr.New(sqlerr.SerializationFailure, "partition %d of table %q is not kept on this node", p, rel.Name)
		}
		if err := part.wait(ctx, func() bool { return part.hasIndexLocked(ix, rel.Rules) }); err != nil {
			return err
		}
	}
	return nil
}
