package exec

import (
	"math"
	"slices"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/record"
)

// RETENTION of a window: when the window has closed, its row is kept here by the window's end, and leaves the table when stream time has gone on by
// the retention. To those who read the table that is not a change: the window's result stands. So the tombstone that takes the row out of the topic
// has a header, by which queries over the table know it.

// expiredHeader is the key of that header. Its value is empty.
const expiredHeader = ownHeaders + "expired"

// isExpiry reports whether a tombstone says that a row left by RETENTION.
func isExpiry(r *record.Record) bool {
	return r.HeaderCount > 0 && slices.ContainsFunc(r.Headers(nil), func(p record.Pair) bool { return p.Key == expiredHeader })
}

// retains reports whether rows of closed windows leave. A push query has no table that they could leave.
func (o *aggregateOp) retains() bool {
	return o.window != nil && o.window.RetentionMs > 0 && o.cx.state.committed != nil
}

// retain keeps the row of a window that closes, until its retention is over.
func (o *aggregateOp) retain(slot int32, stored []byte) {
	end := o.groups[slot].end
	key := appendTime([]byte{aggRetained}, end)
	o.cx.state.set(o.n.P.OpID, append(key, stored[1:]...), o.encode(nil, slot))
	o.minRetained = min(o.minRetained, end)
}

// expired reports whether the retention of a window that ended at end is over.
func (o *aggregateOp) expired(end, now int64) bool {
	return now != noTime && end+o.window.RetentionMs <= now
}

// expire lets those committed rows leave whose retention is over at stream time now.
func (o *aggregateOp) expire(now int64) error {
	if o.minRetained != math.MinInt64 && (o.minRetained == math.MaxInt64 || !o.expired(o.minRetained, now)) {
		return nil
	}
	if err := o.out.sendAll(); err != nil {
		return err
	}
	o.minRetained, o.cx.expiring = math.MaxInt64, true
	defer func() { o.cx.expiring = false }()
	err := o.cx.state.scan(o.n.P.OpID, []byte{aggRetained}, []byte{aggRetained + 1}, func(key, val []byte) (bool, error) {
		if end := timeOfKey(key[1:]); !o.expired(end, now) {
			o.minRetained = end
			return false, nil
		}
		if err := o.decode(scratchSlot, val); err != nil {
			return false, err
		}
		o.cx.state.del(o.n.P.OpID, key)
		if err := o.emit(scratchSlot, vec.Delete); err != nil {
			return false, err
		}
		return true, o.out.room()
	})
	if err != nil {
		return err
	}
	return o.out.sendAll()
}
