package exec

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/planner"
)

// sessionIndex knows the open sessions of an aggregate with a session window: rows of a key that are no further apart than the gap.
//
// A session is a group of the aggregate. Its stored key is the key of the group and the time of the row that began it, its birth: what the
// session grows to later does not change it. Sessions of a key do not overlap, so they are in the order of their births. In memory those of a
// key are a chain, the latest first; of what is in the store a chain has read the sessions that end at or after a time.
//
// A timer per session is a row of its own, by the time at which the session was to end when the timer was set. When it is due and the session
// has grown, it is set anew, so growing costs nothing. A timer whose session was merged into another finds nothing.
type sessionIndex struct {
	window *planner.WindowSpec
	keys   keyIndex // of the groups' keys
	chains []sessionChain
	slots  []sessionSlot // by slot of the aggregate
	merges []sessionMerge
	late   []int32
	key    []byte
}

type sessionChain struct {
	first int32 // the latest session, noSession at the end
	from  int64 // sessions that end at or after it are in memory
}

type sessionSlot struct {
	next  int32 // the next older session of the chain
	into  int32 // what it was merged into, noSession
	armed int64 // the time of its timer; noTime if that was set in an earlier life of the task
}

// relink puts a session that is in memory again into its chain.
func (o *aggregateOp) relink(slot int32) {
	o.link(o.chainOf(groupOfSession(o.index.key(slot))), slot)
}

// sessionMerge is two sessions that became one in the present batch.
type sessionMerge struct{ dst, src int32 }

const noSession int32 = -1

func newSessionIndex(w *planner.WindowSpec) *sessionIndex { return &sessionIndex{window: w} }

func (x *sessionIndex) reset() { *x = sessionIndex{window: x.window} }

// grow makes room for slots up to n.
func (x *sessionIndex) grow(n int) {
	for len(x.slots) < n {
		x.slots = append(x.slots, sessionSlot{next: noSession, into: noSession, armed: noTime})
	}
}

func (x *sessionIndex) memSize() int64 {
	return x.keys.memSize() + int64(16*cap(x.chains)+16*cap(x.slots))
}

// root is the session that slot is part of now.
func (x *sessionIndex) root(slot int32) int32 {
	for x.slots[slot].into != noSession {
		slot = x.slots[slot].into
	}
	return slot
}

// horizon is the time before which sessions that end are closed at stream time now: a row that would lengthen one is late.
func (x *sessionIndex) horizon(now int64) int64 {
	if now == noTime {
		return noTime
	}
	return now - x.window.SizeMs - x.window.GraceMs
}

// sessionBirth is the last part of a session's stored key; before it is the group's, after the tag.
const sessionBirth = 8

func groupOfSession(stored []byte) []byte { return stored[1 : len(stored)-sessionBirth] }

// timerKey is the stored key of the timer of the session with the given stored key.
func (x *sessionIndex) timerKey(at int64, stored []byte) []byte {
	x.key = appendTime(append(x.key[:0], aggTimers), at)
	return append(x.key, stored[1:]...)
}

// chainOf returns the chain of a group's key.
func (o *aggregateOp) chainOf(group []byte) *sessionChain {
	n, fresh := o.sessions.keys.add(group)
	if fresh {
		from := int64(math.MaxInt64)
		if o.cx.state.committed == nil {
			from = noTime
		}
		o.sessions.chains = append(o.sessions.chains, sessionChain{first: noSession, from: from})
	}
	return &o.sessions.chains[n]
}

// link puts a session into a chain, at its place.
func (o *aggregateOp) link(c *sessionChain, slot int32) {
	at := &c.first
	for *at != noSession && o.groups[*at].start > o.groups[slot].start {
		at = &o.sessions.slots[*at].next
	}
	o.sessions.slots[slot].next = *at
	*at = slot
}

// assignSessions finds the session of each selected row, joining sessions that the row lies between, and counts the row there. Late rows
// are taken out of the selections.
func (o *aggregateOp) assignSessions(in chunk, keys []*vec.Vector) error {
	x := o.sessions
	o.slots, x.merges, x.late = growTo(o.slots, in.Len()), x.merges[:0], x.late[:0]
	for _, i := range o.sel {
		rowtime, now := rowtimeOf(in.Batch, int(i)), o.timeAt(in, i)
		o.kbuf = appendKeyCols(append(o.kbuf[:0], aggGroups), keys, int(i))
		c := o.chainOf(o.kbuf[1:])
		if err := o.loadSessions(c, o.kbuf, rowtime-x.window.SizeMs); err != nil {
			return err
		}
		slot := o.joinSessions(c, rowtime, x.horizon(now))
		if slot == noSession {
			if rowtime < x.horizon(now) {
				x.late = append(x.late, i)
				o.cx.errors.row(errLate, in.Batch, int(i), fmt.Errorf(
					"the row came %d ms after its time, and touches no open session: that is beyond the gap of %d ms and the grace of %d ms",
					now-rowtime, x.window.SizeMs, x.window.GraceMs))
				continue
			}
			o.kbuf = appendTime(o.kbuf, rowtime)
			slot = o.newSlot(o.kbuf)
			g := &o.groups[slot]
			g.start, g.end, g.rowtime = rowtime, rowtime, rowtime
			o.setKey(slot, keys, i)
			o.link(c, slot)
		}
		o.countRow(slot, rowtime, 1)
		o.slots[i] = slot
	}
	if len(x.late) > 0 {
		o.dropRows(func(i int32) bool { _, found := slices.BinarySearch(x.late, i); return found })
	}
	return o.mergeAccumulators()
}

// joinSessions makes one session of those open ones that touch a row and returns it, or noSession. Sessions that end before the horizon are
// closed.
func (o *aggregateOp) joinSessions(c *sessionChain, rowtime, horizon int64) int32 {
	gap, dst := o.window.SizeMs, noSession
	for at := &c.first; *at != noSession; {
		slot := *at
		s, g := &o.sessions.slots[slot], &o.groups[slot]
		switch {
		case g.gone:
			*at = s.next
		case g.end < horizon || g.start > rowtime+gap:
			at = &s.next
		case g.end < rowtime-gap:
			return dst // those before it ended earlier
		case dst == noSession:
			dst = slot
			o.touch(slot)
			g.start, g.end = min(g.start, rowtime), max(g.end, rowtime)
			at = &s.next
		default:
			*at = s.next
			o.mergeSession(dst, slot)
		}
	}
	return dst
}

// mergeSession makes src part of dst. The accumulators follow at the end of the batch.
func (o *aggregateOp) mergeSession(dst, src int32) {
	o.touch(src)
	d, s := &o.groups[dst], &o.groups[src]
	d.start, d.end = min(d.start, s.start), max(d.end, s.end)
	d.rows, d.rowtime = d.rows+s.rows, max(d.rowtime, s.rowtime)
	s.rows, s.gone = 0, true
	o.gone++
	o.sessions.slots[src].into = dst
	o.sessions.merges = append(o.sessions.merges, sessionMerge{dst, src})
}

// mergeAccumulators merges what was in sessions before the batch, and sends the batch's rows to what their sessions have become.
func (o *aggregateOp) mergeAccumulators() error {
	if len(o.sessions.merges) == 0 {
		return nil
	}
	for _, i := range o.sel {
		o.slots[i] = o.sessions.root(o.slots[i])
	}
	for _, m := range o.sessions.merges {
		for i := range o.calls {
			if err := o.calls[i].acc.merge(m.dst, m.src); err != nil {
				return err
			}
		}
	}
	return nil
}

// loadSessions brings those committed sessions of a group into memory that end at or after from. stored begins with the tag and the group's key.
func (o *aggregateOp) loadSessions(c *sessionChain, stored []byte, from int64) error {
	if c.from <= from {
		return nil
	}
	if maybe, err := o.mayBeStored(from); err != nil || !maybe {
		c.from = noTime
		return err
	}
	// Those that were born at c.from or after it are there, and so end after it. The one that was born last before from may end after that.
	first := appendTime(slices.Clone(stored), from)
	last := prefixSuccessor(stored)
	if c.from != math.MaxInt64 {
		last = appendTime(slices.Clone(stored), c.from)
	}
	it, err := o.cx.state.committed.Iter(o.n.P.OpID, stored, last)
	if err != nil {
		return err
	}
	for ok := it.SeekLT(first) || it.Next(); ok && err == nil; ok = it.Next() {
		if o.index.find(it.Key()) < 0 {
			slot := o.newSlot(it.Key())
			o.groups[slot].known = true
			err = o.decode(slot, it.Value())
			o.link(c, slot)
		}
	}
	c.from = from
	return errors.Join(err, it.Err(), it.Close())
}

// arm sets the timer of a session that is new.
func (o *aggregateOp) arm(slot int32) {
	g, s := &o.groups[slot], &o.sessions.slots[slot]
	s.armed = g.end
	o.cx.state.set(o.n.P.OpID, o.sessions.timerKey(g.end, o.index.key(slot)), nil)
}

// closeSessions lets go of the sessions that end before the horizon; with EMIT FINAL their rows leave first.
func (o *aggregateOp) closeSessions(horizon int64) error {
	open, err := o.fireTimers(horizon)
	if err != nil {
		return err
	}
	var over []int32
	for i := 1; i < len(o.groups); i++ {
		switch g := &o.groups[i]; {
		case g.gone:
		case g.end >= horizon:
			open = min(open, g.end)
		default:
			over = append(over, int32(i))
		}
	}
	slices.SortFunc(over, func(a, b int32) int {
		return cmp.Or(cmp.Compare(o.groups[a].end, o.groups[b].end), slices.Compare(o.index.key(a), o.index.key(b)))
	})
	for _, slot := range over {
		stored := o.index.key(slot)
		if armed := o.sessions.slots[slot].armed; armed != noTime {
			o.cx.state.del(o.n.P.OpID, o.sessions.timerKey(armed, stored))
		}
		if err := o.closeGroup(slot, stored); err != nil {
			return err
		}
		o.groups[slot].gone = true
		o.gone++
	}
	o.minOpen = open
	return nil
}

// fireTimers looks at the committed timers that are due and closes those of their sessions that are not in memory, and returns the time of
// the next timer that is not due.
func (o *aggregateOp) fireTimers(horizon int64) (next int64, err error) {
	next = math.MaxInt64
	err = o.cx.state.scan(o.n.P.OpID, []byte{aggTimers}, []byte{aggTimers + 1}, func(key, _ []byte) (bool, error) {
		at := timeOfKey(key[1:])
		if at >= horizon {
			next = min(next, at)
			return false, nil
		}
		o.cx.state.del(o.n.P.OpID, key)
		stored := append([]byte{aggGroups}, key[1+8:]...)
		end, err := o.closeStored(stored, horizon)
		if end >= horizon {
			o.cx.state.set(o.n.P.OpID, o.sessions.timerKey(end, stored), nil)
			next = min(next, end)
		}
		return true, err
	})
	return next, err
}

// closeStored closes a session that is over and not in memory, and returns when it ends: noTime if there is no such session, or it is in
// memory and over.
func (o *aggregateOp) closeStored(stored []byte, horizon int64) (end int64, err error) {
	if slot := o.index.find(stored); slot >= 0 {
		g := &o.groups[slot]
		if g.gone || g.end < horizon {
			return noTime, nil
		}
		o.sessions.slots[slot].armed = g.end
		return g.end, nil
	}
	val, ok, err := o.cx.state.get(nil, o.n.P.OpID, stored)
	if err != nil || !ok {
		return noTime, err
	}
	if err := o.decode(scratchSlot, val); err != nil {
		return noTime, err
	}
	if end = o.groups[scratchSlot].end; end >= horizon {
		return end, nil
	}
	return noTime, o.closeGroup(scratchSlot, stored)
}
