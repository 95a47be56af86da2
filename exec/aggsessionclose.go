package exec

import (
	"bytes"
	"cmp"
	"math"
	"slices"

	"github.com/millracedb/millrace/planner"
)

// When sessions close. A session is over when stream time has passed its end, the gap and the grace: whether a row comes too late for it is
// decided by that alone. To close it is to forget it, and with EMIT FINAL to give its row, or with RETENTION to note when that leaves.
//
// Where closing gives something, it happens at the session's time, and each session has a timer, a row of its own, by the time at which the
// session was to end when the timer was set. When it is due and the session has grown, it is set anew, so growing costs nothing. A timer whose
// session was merged into another finds nothing.
//
// Elsewhere nobody sees when a session is forgotten, and a timer each would double what is written for a short one. There the timers are of
// groups, one for each span of time in which sessions of the group end, and when a span is over for all, its sessions go.

// sessionSpans is how many spans there are in the time that a session stays open after its end: so much more than need be is kept.
const sessionSpans = 4

func newSessionIndex(w *planner.WindowSpec, final bool) *sessionIndex {
	return &sessionIndex{window: w, exact: final || w.RetentionMs > 0, span: max(1, (w.SizeMs+w.GraceMs)/sessionSpans)}
}

// place is the time of the timer of a session that ends at end: the last ms of its span, where it has none of its own.
func (x *sessionIndex) place(end int64) int64 {
	if x.exact {
		return end
	}
	into := end % x.span
	if into < 0 {
		into += x.span
	}
	return end - into + x.span - 1
}

// timerKey is the stored key of the timer of the session with the given stored key.
func (x *sessionIndex) timerKey(at int64, stored []byte) []byte {
	x.key = appendTime(append(x.key[:0], aggTimers), at)
	return append(x.key, stored[1:]...)
}

// spanKey is the stored key of the timer of a group for the span that ends at at.
func (x *sessionIndex) spanKey(at int64, group []byte) []byte {
	x.key = appendTime(append(x.key[:0], aggSpans), at)
	return append(x.key, group...)
}

// arm sees to it that a session whose state is set has a timer. fresh tells that the state was not there before.
func (o *aggregateOp) arm(slot int32, fresh bool) {
	x, end, stored := o.sessions, o.groups[slot].end, o.index.key(slot)
	if x.exact {
		if fresh {
			x.slots[slot].armed = end
			o.cx.state.set(o.n.P.OpID, x.timerKey(end, stored), nil)
		}
		return
	}
	if c, at := &x.chains[x.slots[slot].chain], x.place(end); c.armed != at {
		c.armed = at
		o.cx.state.set(o.n.P.OpID, x.spanKey(at, groupOfSession(stored)), nil)
	}
}

// closeSessions lets go of the sessions whose timers are before the horizon; with EMIT FINAL their rows leave first.
func (o *aggregateOp) closeSessions(horizon int64) error {
	open, err := o.fireTimers(aggTimers, horizon, func(stored []byte, _ int64) (int64, error) { return o.timerFired(stored, horizon) })
	if err != nil {
		return err
	}
	next, err := o.fireTimers(aggSpans, horizon, func(prefix []byte, at int64) (int64, error) { return math.MaxInt64, o.closeSpan(prefix, at) })
	if err != nil {
		return err
	}
	open = min(open, next)
	var over []int32
	for i := 1; i < len(o.groups); i++ {
		switch g := &o.groups[i]; {
		case g.gone:
		case o.place(g) >= horizon:
			open = min(open, o.place(g))
		default:
			over = append(over, int32(i))
		}
	}
	if o.n.Final {
		slices.SortFunc(over, func(a, b int32) int {
			return cmp.Or(cmp.Compare(o.groups[a].end, o.groups[b].end), bytes.Compare(o.index.key(a), o.index.key(b)))
		})
	}
	for _, slot := range over {
		if err := o.closeSession(slot); err != nil {
			return err
		}
	}
	o.minOpen = open
	return nil
}

// closeSession closes a session that is in memory.
func (o *aggregateOp) closeSession(slot int32) error {
	stored := o.index.key(slot)
	if armed := o.sessions.slots[slot].armed; armed != noTime {
		o.cx.state.del(o.n.P.OpID, o.sessions.timerKey(armed, stored))
	}
	if err := o.closeGroup(slot, stored); err != nil {
		return err
	}
	o.groups[slot].gone = true
	o.gone++
	return nil
}

// fireTimers hands the committed timers of a kind that are due to due, with the prefix of the stored keys that they are for, and takes them away. It returns the time of the
// next timer: one that is not due, or that due has set.
func (o *aggregateOp) fireTimers(kind byte, horizon int64, due func(stored []byte, at int64) (next int64, err error)) (next int64, err error) {
	next = math.MaxInt64
	err = o.cx.state.scan(o.n.P.OpID, []byte{kind}, []byte{kind + 1}, func(key, _ []byte) (bool, error) {
		at := timeOfKey(key[1:])
		if at >= horizon {
			next = min(next, at)
			return false, nil
		}
		o.cx.state.del(o.n.P.OpID, key)
		set, err := due(append([]byte{aggGroups}, key[1+8:]...), at)
		next = min(next, set)
		return true, err
	})
	return next, err
}

// timerFired looks at a session whose timer is due. If it is open, or another timer is to close it, that is set and its time returned.
func (o *aggregateOp) timerFired(stored []byte, horizon int64) (next int64, err error) {
	x := o.sessions
	end, held, err := o.endOfSession(stored)
	switch {
	case err != nil || end == noTime:
		return math.MaxInt64, err
	case !x.exact: // the timer was set by a release in which each session had one
		o.cx.state.set(o.n.P.OpID, x.spanKey(x.place(end), groupOfSession(stored)), nil)
		return x.place(end), nil
	case end >= horizon:
		if held != noSession {
			x.slots[held].armed = end
		}
		o.cx.state.set(o.n.P.OpID, x.timerKey(end, stored), nil)
		return end, nil
	case held != noSession:
		return math.MaxInt64, nil // it is closed with those in memory
	}
	return math.MaxInt64, o.closeGroup(scratchSlot, stored)
}

// endOfSession returns when a session ends, noTime if there is none, and its slot; of one that is not in memory noSession, and what it is stands
// in the scratch slot.
func (o *aggregateOp) endOfSession(stored []byte) (end int64, held int32, err error) {
	if slot := o.index.find(stored); slot >= 0 {
		if o.groups[slot].gone {
			return noTime, noSession, nil
		}
		return o.groups[slot].end, slot, nil
	}
	val, ok, err := o.cx.state.get(nil, o.n.P.OpID, stored)
	if err != nil || !ok {
		return noTime, noSession, err
	}
	err = o.decode(scratchSlot, val)
	return o.groups[scratchSlot].end, noSession, err
}

// closeSpan closes the sessions of a group that ended at or before at and are not in memory. Their stored keys begin with prefix.
func (o *aggregateOp) closeSpan(prefix []byte, at int64) error {
	last := appendTime(slices.Clone(prefix), at+1) // it was born before
	return o.cx.state.scan(o.n.P.OpID, prefix, last, func(key, val []byte) (bool, error) {
		if !groupIs(key, prefix) || o.index.find(key) >= 0 {
			return true, nil
		}
		if err := o.decode(scratchSlot, val); err != nil {
			return false, err
		}
		if o.groups[scratchSlot].end > at {
			return false, nil
		}
		return true, o.closeGroup(scratchSlot, key)
	})
}
