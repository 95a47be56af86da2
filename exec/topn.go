package exec

import (
	"bytes"
	"encoding/binary"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/planner"
)

// Tags of a Top-N operator's key spaces.
const (
	topRows  byte = 0
	topShown byte = 1
)

// topNOp keeps the rows of each group in order and shows the first of them. It emits when it is flushed: for each group that changed, what left
// the first rows and what came in. Of input that only grows no other rows are kept than those that show or are skipped by OFFSET.
//
// A row's key is what it is sorted by and then what identifies it; its value in rows is the length of the first part and the row, in shown its
// number (where that is asked for) and the row.
type topNOp struct {
	sortedGroups
	n     *planner.TopN
	grows bool // rows never leave
	out   outBatch
}

func newTopN(cx *opContext, n *planner.TopN, to edge) *topNOp {
	return &topNOp{
		sortedGroups: sortedGroups{
			by: n.By, keys: n.Keys, sort: ordinals(n.By), ident: n.Identity, counted: true,
			rows: newOrderedTable(cx.state, n.P.OpID, topRows), shown: newStateTable(cx.state, n.P.OpID, topShown),
		},
		n: n, grows: n.In.Props().Mode == planner.ModeAppend, out: outBatch{Batch: vec.NewBatch(schemaOf(n), 0), to: to},
	}
}

func (o *topNOp) flush(int64) error {
	if err := o.refreshAll(o.refresh, o.emit); err != nil {
		return err
	}
	return o.out.sendAll()
}

// topRow is a row that shows: its key and its value in shown.
type topRow struct{ key, val []byte }

// refresh emits how the first rows of a group changed: what left; what came it leaves to refreshAll.
func (o *topNOp) refresh(group []byte) error {
	first, err := o.first(group)
	if err != nil {
		return err
	}
	next := map[string][]byte{}
	for _, r := range first {
		next[string(r.key)] = r.val
	}
	had := map[string]bool{}
	var gone [][]byte
	err = o.shown.each(group, func(row int32, key, val []byte) error {
		now, stays := next[string(key)]
		if stays && bytes.Equal(now, val) {
			had[string(key)] = true
			return nil
		}
		if !stays {
			gone = append(gone, bytes.Clone(key))
			return o.emit(val, vec.Delete)
		}
		if err := o.emit(val, vec.UpdateDelete); err != nil {
			return err
		}
		had[string(key)] = true
		o.shown.setValue(row, now)
		return o.emit(now, vec.UpdateInsert)
	})
	if err != nil {
		return err
	}
	for _, key := range gone {
		if err := o.shown.del(group, key); err != nil {
			return err
		}
	}
	for _, r := range first {
		if had[string(r.key)] {
			continue
		}
		if err := o.shown.put(group, r.key, r.val); err != nil {
			return err
		}
		o.came = append(o.came, r.val)
	}
	return nil
}

// first returns the rows of a group that show, and lets those go that never will.
func (o *topNOp) first(group []byte) (first []topRow, err error) {
	var seen int64
	var last []byte // what the last row is sorted by, where ties with it show
	var never [][]byte
	err = o.rows.walk(group, func(key, val []byte) (bool, error) {
		sorted, n := binary.Uvarint(val)
		if n <= 0 || sorted > uint64(len(key)) {
			return false, errCorruptAccumulator
		}
		seen++
		if full := o.n.Limit >= 0 && seen > o.n.Offset+o.n.Limit; full && !(o.n.WithTies && bytes.Equal(last, key[:sorted])) {
			if o.grows {
				never = append(never, bytes.Clone(key))
			}
			return o.grows, nil
		}
		if seen <= o.n.Offset {
			return true, nil
		}
		if o.n.WithTies {
			last = append(last[:0], key[:sorted]...)
		}
		r := topRow{key: bytes.Clone(key)}
		if o.n.Number {
			r.val = binary.AppendVarint(nil, seen)
		}
		r.val = append(r.val, val[n:]...)
		first = append(first, r)
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	for _, key := range never {
		if err := o.rows.del(group, key); err != nil {
			return nil, err
		}
	}
	return first, nil
}

// emit appends the row whose value in shown is val.
func (o *topNOp) emit(val []byte, op vec.Op) error {
	if !o.n.Number {
		if err := appendFromRowValue(o.out.Batch, val, op); err != nil {
			return err
		}
		return o.out.room()
	}
	number, row, err := takeVarint(val)
	if err != nil {
		return err
	}
	last := len(o.out.Cols) - 1
	cols := o.out.Cols
	o.out.Cols = cols[:last]
	err = appendFromRowValue(o.out.Batch, row, op)
	o.out.Cols = cols
	if err != nil {
		return err
	}
	cols[last].AppendInt(number)
	return o.out.room()
}
