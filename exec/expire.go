package exec

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/planner"
)

// Tags of an expire operator's key spaces.
const (
	expireRows byte = 0
	expireDue  byte = 1
)

// maxExpireFlush is how many rows are deleted in one flush; the others follow in the next.
const maxExpireFlush = 64 << 10

// expireOp stands before the sink of a table with ttl. It passes rows on, keeps the rowtime of each key's present row, and deletes the row
// when stream time has got to its rowtime plus ttl.
type expireOp struct {
	key   []int
	time  int // the column that gives rowtime, -1: the row's own
	times rowTimes
	ttl   int64
	rows  *stateTable // group: sink key; value: rowtime and the key columns
	due   *rangeTable // rowtime and sink key
	first int64       // no row has an earlier rowtime; math.MinInt64: not known
	out   outBatch
	cols  []*vec.Vector
	keys  *vec.Batch // the key columns of one row
	kbuf  []byte
	vbuf  []byte
}

func newExpire(cx *opContext, n *planner.Expire, to edge) (*expireOp, error) {
	o := &expireOp{
		key: n.Key, time: n.Time, ttl: n.Rel.TTLMs, rows: newStateTable(cx.state, n.P.OpID, expireRows), due: newRangeTable(cx.state, n.P.OpID, expireDue),
		first: math.MinInt64, out: outBatch{Batch: vec.NewBatch(schemaOf(n), 0), to: to}, keys: &vec.Batch{},
	}
	for _, ord := range n.Key {
		o.keys.Cols = append(o.keys.Cols, vec.NewVector(n.P.Cols[ord].Type, 0))
	}
	var err error
	o.times, err = newRowTimes(n.Rel, nil)
	return o, err
}

// rowtime is the rowtime of row i in the table. A row that gets none is an error to those who read the table.
func (o *expireOp) rowtime(in chunk, i int) int64 {
	if o.time >= 0 {
		if at, err := o.times.of(in.Cols[o.time], i); err == nil {
			return at
		}
	}
	return rowtimeOf(in.Batch, i)
}

func (o *expireOp) push(in chunk, _ int) error {
	o.cols = pick(o.cols, in.Cols, o.key)
	for i := range in.Len() {
		o.kbuf = appendKeyCols(o.kbuf[:0], o.cols, i)
		old, ok, err := o.rows.get(o.kbuf, nil)
		if err != nil {
			return err
		}
		if ok {
			at, _, err := takeVarint(old)
			if err != nil {
				return err
			}
			o.due.del(o.dueKey(at, o.kbuf))
		}
		if !in.Op(i).Adds() {
			if err := o.rows.del(o.kbuf, nil); err != nil {
				return err
			}
			continue
		}
		at := o.rowtime(in, i)
		o.vbuf = vec.AppendEncodedRow(binary.AppendVarint(o.vbuf[:0], at), o.cols, i)
		if err := o.rows.put(o.kbuf, nil, o.vbuf); err != nil {
			return err
		}
		o.due.put(o.dueKey(at, o.kbuf), nil)
		o.first = min(o.first, at)
	}
	return o.out.to.send(in)
}

// dueKey is the key in due of a row; it is valid until the next call.
func (o *expireOp) dueKey(at int64, key []byte) []byte {
	o.vbuf = append(appendTime(o.vbuf[:0], at), key...)
	return o.vbuf
}

// hasDue reports whether a row may have to go at stream time now.
func (o *expireOp) hasDue(now int64) bool {
	return now != noTime && o.first != math.MaxInt64 && (o.first == math.MinInt64 || o.first <= now-o.ttl)
}

func (o *expireOp) flush(now int64) error {
	if o.hasDue(now) {
		if err := o.expire(now - o.ttl); err != nil {
			return err
		}
	}
	o.rows.flush()
	o.due.flush()
	return nil
}

// expire deletes rows whose rowtime is last or earlier.
func (o *expireOp) expire(last int64) error {
	gone, first, err := o.due.upTo(last, maxExpireFlush)
	if err != nil {
		return err
	}
	o.first = first
	for _, due := range gone {
		if err := o.delete(timeOfKey(due), due[8:]); err != nil {
			return err
		}
		o.due.del(due)
	}
	return o.out.sendAll()
}

// delete sends the delete of a row, as of its end.
func (o *expireOp) delete(at int64, key []byte) error {
	val, ok, err := o.rows.get(key, nil)
	if err != nil || !ok {
		return err
	}
	o.keys.Reset()
	if err := appendFromRowValue(o.keys, val, vec.Delete); err != nil {
		return err
	}
	for c, col := range o.out.Cols {
		if k := slices.Index(o.key, c); k >= 0 {
			col.AppendRow(o.keys.Cols[k], 0)
		} else {
			col.AppendNull()
		}
	}
	finishRow(o.out.Batch, vec.Delete, at+o.ttl)
	if err := o.rows.del(key, nil); err != nil {
		return err
	}
	return o.out.room()
}
