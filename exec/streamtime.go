package exec

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/millracedb/millrace/internal/record"
	"github.com/millracedb/millrace/planner"
)

// A query that deals its rows anew writes a stream whose partitions are not in order, though each of its source's was. Who reads that
// stream must not take the highest rowtime for stream time, or rows would be late that are not late where they come from. So where the
// writing task's stream time is behind a row's own, the record carries it in a header, and that is what the row proves to a reader.
// WATERMARK FOR of a source is passed on by the same means.

// timeHeader is the key of the header. Its value is the stream time in ms, as a zig-zag varint.
const timeHeader = ownHeaders + "time"

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

// An operator may give rows that are behind the time of what it reads: a join of streams gives a row without a partner only when none can come
// any more, a window with EMIT FINAL its row when it closes. Whatever stands above has the time of its input less that.

// outputDelay is how far, in ms, rows of n may be behind the time of the sources of n's task.
func outputDelay(n planner.Node) int64 {
	if x, ok := n.(*planner.Exchange); ok && x.In == nil {
		return 0 // its writers tell their time less what they are behind
	}
	delay := int64(0)
	for i, in := range n.Inputs() {
		if j, ok := n.(*planner.Join); !ok || i == portLeft || j.Strategy != planner.StreamTable {
			delay = max(delay, outputDelay(in))
		}
	}
	switch n := n.(type) {
	case *planner.Join:
		if n.Strategy == planner.StreamStream {
			delay += heldByJoin(n)
		}
	case *planner.Aggregate:
		if n.Final {
			delay += n.Window.SizeMs + n.Window.GraceMs
		}
	}
	return delay
}

// heldBack is a time less a delay.
func heldBack(at, delay int64) int64 {
	if at == noTime {
		return noTime
	}
	return at - delay
}

// lowestTime is the lowest time of the sources that drive, as of the last look at the clock, idle ones left out; when all are idle, the highest.
func lowestTime(sources []*source) (at int64, idle bool) {
	low, high, idle := int64(math.MaxInt64), int64(noTime), true
	for _, s := range sources {
		if !s.drives {
			continue
		}
		high = max(high, s.times.now)
		if !s.times.allIdle {
			idle, low = false, min(low, s.times.now)
		}
	}
	if idle {
		return high, true
	}
	return low, false
}
