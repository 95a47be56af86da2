package exec

import (
	"bytes"

	"github.com/millracedb/millrace/exec/vec"
)

// Tags of the versions of a join as of a time.
const (
	versionRows byte = 2
	versionsDue byte = 3
)

// maxVersionsPurge is how many keys are looked at in one flush for versions that are over; the others follow in the next.
const maxVersionsPurge = 64 << 10

// versions are the rows of a table as they were: of each key every version that held at the horizon or later. A version holds from its rowtime until
// the next one's; that a row was deleted is a version too. Rows may come in any order.
//
// Under a key versions lie with the latest first, so that the one as of a time is the first at or after that time.
type versions struct {
	rows *rangeTable // key, rowtime inverted; value: empty for a deletion, else the row
	due  *rangeTable // rowtime and key of versions before which others may be over
	low  []byte
	high []byte
	vbuf []byte
}

func newVersions(st *taskState, op uint32) *versions {
	return &versions{rows: newRangeTable(st, op, versionRows), due: newRangeTable(st, op, versionsDue)}
}

// put notes that row i of b came to be, or with an operation that leaves went, at its rowtime. A later call for the same time replaces it.
func (v *versions) put(key []byte, b *vec.Batch, i int) {
	at := rowtimeOf(b, i)
	v.vbuf = v.vbuf[:0]
	if b.Op(i).Adds() {
		v.vbuf = appendRowValue(v.vbuf, b, i)
	}
	v.rows.put(v.place(key, at), v.vbuf)
	v.due.put(append(appendTime(v.low[:0], at), key...), nil)
}

// place is the key in rows of the version that began at a time; it is valid until the next call.
func (v *versions) place(key []byte, at int64) []byte {
	v.low = appendTime(append(v.low[:0], key...), at)
	for i := len(key); i < len(v.low); i++ {
		v.low[i] = ^v.low[i]
	}
	return v.low
}

// placeTime is the time of a place.
func placeTime(place []byte) int64 {
	var at [8]byte
	for i, b := range place[len(place)-8:] {
		at[i] = ^b
	}
	return timeOfKey(at[:])
}

// pastTime is behind all places of a key.
var pastTime = bytes.Repeat([]byte{0xff}, 9)

// each calls f with the versions of a key that began at a time or before, the latest first. row is empty for a deletion.
func (v *versions) each(key []byte, at int64, f func(began int64, row []byte) (more bool)) error {
	low := v.place(key, at)
	v.high = append(append(v.high[:0], key...), pastTime...)
	return v.rows.scan(low, v.high, func(place, row []byte) (bool, error) {
		return f(placeTime(place), row), nil
	})
}

// asOf appends the row of a key as of a time to dst, and reports whether there was one. Of times before the horizon only such versions are known as still held
// there: known is false where none tells what there was.
func (v *versions) asOf(dst *vec.Batch, key []byte, at, horizon int64) (found, known bool, err error) {
	known = at >= horizon
	var bad error
	err = v.each(key, max(at, horizon), func(began int64, row []byte) bool {
		if known = known || began <= at && len(row) > 0; known && len(row) > 0 {
			found = true
			bad = appendFromRowValue(dst, row, vec.Insert)
		}
		return false
	})
	if err == nil {
		err = bad
	}
	return found, known, err
}

// purge forgets what was over at the horizon.
func (v *versions) purge(horizon int64) error {
	due, _, err := v.due.upTo(horizon, maxVersionsPurge)
	if err != nil {
		return err
	}
	for _, d := range due {
		if err := v.purgeKey(d[8:], horizon); err != nil {
			return err
		}
		v.due.del(d)
	}
	return nil
}

// purgeKey forgets the versions of a key but that which held at the horizon, if it is a row, and later ones.
func (v *versions) purgeKey(key []byte, horizon int64) error {
	var over []int64
	first := true
	err := v.each(key, horizon, func(began int64, row []byte) bool {
		if !first || len(row) == 0 {
			over = append(over, began)
		}
		first = false
		return true
	})
	for _, began := range over {
		v.rows.del(v.place(key, began))
	}
	return err
}

func (v *versions) flush() {
	v.rows.flush()
	v.due.flush()
}
