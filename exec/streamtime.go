package exec

import (
	"encoding/binary"
	"slices"

	"github.com/millracedb/millrace/internal/record"
)

// A query that deals its rows anew writes a stream whose partitions are not in order, though each of its source's was. Who reads that
// stream must not take the highest rowtime for stream time, or rows would be late that are not late where they come from. So where the
// writing task's stream time is behind a row's own, the record carries it in a header, and that is what the row proves to a reader.
// WATERMARK FOR of a source is passed on by the same means.

// timeHeader is the key of the header. Its value is the stream time in ms, as a zig-zag varint.
const timeHeader = "millrace.time"

// appendTimeHeader appends the header for a row that was read when stream time was now, if it needs one.
func appendTimeHeader(dst []record.Pair, rowtime, now int64) []record.Pair {
	if now >= rowtime {
		return dst
	}
	return append(dst, record.Pair{Key: timeHeader, Value: binary.AppendVarint(nil, now)})
}

// provedTime is the stream time that a record proves whose row has the given rowtime. What is in a header can only make it earlier: anyone
// may write one.
func provedTime(r *record.Record, rowtime int64) int64 {
	if r.HeaderCount == 0 {
		return rowtime
	}
	headers := r.Headers(nil)
	i := slices.IndexFunc(headers, func(p record.Pair) bool { return p.Key == timeHeader })
	if i < 0 {
		return rowtime
	}
	t, n := binary.Varint(headers[i].Value)
	if n != len(headers[i].Value) || n <= 0 {
		return rowtime
	}
	return min(t, rowtime)
}
