package exec

import (
	"bytes"
	"fmt"
	"math"
	"slices"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/planner"
)

// sessionIndex knows the open sessions of an aggregate with a session window: rows of a key that are no further apart than the gap.
//
// A session is a group of the aggregate. Its stored key is the key of the group and the time of the row that began it, its birth: what the
// session grows to later does not change it. Sessions of a key do not overlap, so they are in the order of their births, their starts and their
// ends. In memory those of a key are a run of the order; of what is in the store the sessions that end at or after a time have been read.
//
// When sessions close, and the timers that tell it, are in aggsessionclose.go.
type sessionIndex struct {
	window *planner.WindowSpec
	exact  bool     // sessions close at their time, each by a timer of its own
	span   int64    // else those that end in the same span of so many ms close together
	keys   keyIndex // of the groups' keys
	chains []sessionChain
	order  sessionOrder
	slots  []sessionSlot // by slot of the aggregate
	merges []sessionMerge
	late   []int32
	key    []byte
	it     roundIter
}

type sessionChain struct {
	run   sessionRun
	from  int64 // sessions that end at or after it are in memory
	armed int64 // the last timer that was set for a span, noTime if none was in this life of the task
}

type sessionSlot struct {
	chain int32
	into  int32 // what it was merged into, noSession
	armed int64 // the time of its own timer; noTime if it has none or that was set in an earlier life of the task
}

// relink puts a session that is in memory again into its chain.
func (o *aggregateOp) relink(slot int32) {
	o.link(o.chainOf(groupOfSession(o.index.key(slot))), slot)
}

// sessionMerge is two sessions that became one in the present batch.
type sessionMerge struct{ dst, src int32 }

const noSession int32 = -1

func (x *sessionIndex) reset() { *x = sessionIndex{window: x.window, exact: x.exact, span: x.span} }

// grow makes room for slots up to n.
func (x *sessionIndex) grow(n int) {
	for len(x.slots) < n {
		x.slots = append(x.slots, sessionSlot{into: noSession, armed: noTime})
	}
}

func (x *sessionIndex) memSize() int64 {
	return x.keys.memSize() + x.order.memSize() + int64(32*cap(x.chains)+16*cap(x.slots))
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

// chainOf returns the number of the chain of a group's key.
func (o *aggregateOp) chainOf(group []byte) int32 {
	n, fresh := o.sessions.keys.add(group)
	if fresh {
		from := int64(math.MaxInt64)
		if o.cx.state.committed == nil {
			from = noTime
		}
		o.sessions.chains = append(o.sessions.chains, sessionChain{from: from, armed: noTime})
	}
	return n
}

// link puts a session into a chain, at its place.
func (o *aggregateOp) link(chain, slot int32) {
	x, start := o.sessions, o.groups[slot].start
	c := &x.chains[chain]
	x.slots[slot].chain = chain
	x.order.insert(&c.run, x.order.after(c.run, start), sessionRef{start, slot})
}

// assignSessions finds the session of each selected row, joining sessions that the row lies between, and counts the row there. Late rows
// are taken out of the selections.
func (o *aggregateOp) assignSessions(in chunk, keys []*vec.Vector) error {
	x := o.sessions
	o.slots, x.merges, x.late = growTo(o.slots, in.Len()), x.merges[:0], x.late[:0]
	for _, i := range o.sel {
		rowtime, now := rowtimeOf(in.Batch, int(i)), o.timeAt(in, i)
		o.kbuf = appendKeyCols(append(o.kbuf[:0], aggGroups), keys, int(i))
		chain := o.chainOf(o.kbuf[1:])
		if err := o.loadSessions(chain, o.kbuf, rowtime-x.window.SizeMs); err != nil {
			return err
		}
		slot := o.joinSessions(&x.chains[chain], rowtime, x.horizon(now))
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
			o.link(chain, slot)
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
	x, gap := o.sessions, o.window.SizeMs
	last := x.order.after(c.run, rowtime+gap) - 1
	first := last + 1 // those from first to last touch the row
	refs := x.order.of(c.run)
	for ; first > 0; first-- {
		if g := &o.groups[refs[first-1].slot]; g.gone || g.end < max(horizon, rowtime-gap) {
			break // those before it ended earlier
		}
	}
	if first > last {
		return noSession
	}
	dst := refs[last].slot
	o.touch(dst)
	g := &o.groups[dst]
	g.start, g.end = min(g.start, rowtime), max(g.end, rowtime)
	for i := last - 1; i >= first; i-- {
		o.mergeSession(dst, refs[i].slot)
	}
	refs[last].start = g.start
	x.order.remove(&c.run, first, last)
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
			if err := o.calls[i].acc.merge(m.dst, o.calls[i].acc, m.src); err != nil {
				return err
			}
		}
	}
	return nil
}

// loadSessions brings those committed sessions of a group into memory that end at or after from. stored begins with the tag and the group's key.
func (o *aggregateOp) loadSessions(chain int32, stored []byte, from int64) error {
	c := &o.sessions.chains[chain]
	if c.from <= from {
		return nil
	}
	if maybe, err := o.mayBeStored(from); err != nil || !maybe {
		c.from = noTime
		return err
	}
	// Those that were born at c.from or after it are there, and so end after it. The one that was born last before from may end after that.
	x := o.sessions
	x.key = appendTime(append(x.key[:0], stored...), from)
	if err := o.cx.state.iterate(&x.it, o.n.P.OpID, aggGroups); err != nil {
		return err
	}
	ok := x.it.SeekLT(x.key) && groupIs(x.it.Key(), stored) || x.it.SeekGE(x.key)
	for ; ok && groupIs(x.it.Key(), stored) && timeOfKey(x.it.Key()[len(stored):]) < c.from; ok = x.it.Next() {
		if o.index.find(x.it.Key()) >= 0 {
			continue
		}
		slot := o.newSlot(x.it.Key())
		o.groups[slot].known = true
		if err := o.decode(slot, x.it.Value()); err != nil {
			return err
		}
		o.link(chain, slot)
	}
	c.from = from
	return x.it.Err()
}

// groupIs reports whether the session with a stored key is of the group whose sessions' keys begin with prefix.
func groupIs(stored, prefix []byte) bool {
	return len(stored) == len(prefix)+sessionBirth && bytes.HasPrefix(stored, prefix)
}
