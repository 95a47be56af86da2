package exec

import (
	"bytes"
	"strings"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/record"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// headerCol is a column that shows headers of the records: all, or the last one with a key.
type headerCol struct {
	key string
	col *vec.Vector
}

// appendHeaders gives the columns of headers their values of a record. A record without headers has an empty array, and one without the key
// NULL. A key that is not UTF-8, which Kafka does not refuse, shows what is not as U+FFFD.
func (d *scanDecoder) appendHeaders(r *record.Record) {
	d.pairs = r.Headers(d.pairs[:0])
	for _, h := range d.headers {
		if h.key == "" {
			h.col.AppendDatum(headersDatum(d.pairs))
			continue
		}
		i := len(d.pairs) - 1
		for i >= 0 && d.pairs[i].Key != h.key {
			i--
		}
		if i < 0 || d.pairs[i].Value == nil {
			h.col.AppendNull()
		} else {
			h.col.AppendBytes(d.pairs[i].Value)
		}
	}
}

// ownHeaders begin the keys of headers that say something of the record that they are in, not of its row.
const ownHeaders = "millrace."

// passOn returns the headers of a record that go on into what is written of its row, nil if there are none. They are good until the next record.
func (d *scanDecoder) passOn(r *record.Record) []byte {
	if r.HeaderCount == 0 {
		return nil
	}
	d.raw = r.AppendHeaders(d.raw[:0], func(key []byte) bool { return !bytes.HasPrefix(key, []byte(ownHeaders)) })
	if len(d.raw) == 0 {
		return nil
	}
	return d.raw
}

func headersDatum(pairs []record.Pair) types.Datum {
	elem := *planner.HeadersType.Elem
	elems := make([]types.Datum, len(pairs))
	for i, p := range pairs {
		key := strings.ToValidUTF8(p.Key, "\uFFFD")
		value := types.NullDatum
		if p.Value != nil {
			value = types.BytesDatum(string(p.Value))
		}
		elems[i] = types.StructDatum(elem.Fields, []types.Datum{types.BytesDatum(key), value})
	}
	return types.ArrayDatum(elem, elems)
}
