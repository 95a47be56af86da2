package exec

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/millracedb/millrace/exec/vec"
)

// appendTime appends a time so that bytes compare as times do.
func appendTime(dst []byte, t int64) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(t)^(1<<63))
}

func timeOfKey(key []byte) int64 { return int64(binary.BigEndian.Uint64(key) ^ (1 << 63)) }

// closed reports whether the window that starts at start, or the session that ends there, is closed at stream time now: it takes rows until
// its end plus grace, and a session those that are a gap behind its end as well.
func (o *aggregateOp) closed(start, now int64) bool {
	last := start + o.window.SizeMs + o.window.GraceMs
	return now != noTime && (last < now || last == now && o.sessions == nil)
}

// timeAt is the stream time when row i of in was read: whether it is late goes by that.
func (o *aggregateOp) timeAt(in chunk, i int32) int64 {
	switch {
	case in.clock != nil:
		return max(o.now, in.clock[i])
	case o.held == 0:
		return o.cx.now
	}
	return o.now // rows that leave an operator below at a flush are not behind what was flushed before
}

// dropLate takes rows out of the selection whose windows had all closed when they were read. A row that comes too late for any of its
// windows is kept as an error row, once.
func (o *aggregateOp) dropLate(in chunk) {
	if o.hops != nil {
		o.hops.open = growTo(o.hops.open, in.Len())
	}
	kept := o.sel[:0]
	for _, i := range o.sel {
		rowtime := rowtimeOf(in.Batch, int(i))
		now := o.timeAt(in, i)
		all, open := o.window.Covering(rowtime, now)
		if open > 0 {
			kept = append(kept, i)
			if o.hops != nil {
				o.hops.open[i] = int32(open)
			}
		}
		if open < all && in.Op(int(i)).Adds() {
			o.cx.errors.row(errLate, in.Batch, int(i), o.lateError(rowtime, now, all, open))
		}
	}
	o.sel = kept
}

func (o *aggregateOp) lateError(rowtime, now, all, open int64) error {
	newest := o.window.Start(rowtime)
	if all == 1 {
		return fmt.Errorf("the row came %d ms after its window's end, beyond the grace of %d ms", now-newest-o.window.SizeMs, o.window.GraceMs)
	}
	first := newest - (all-1)*o.window.Step()
	return fmt.Errorf("the row came %d ms after the end of the first of its %d windows, beyond the grace of %d ms; it is in %d of them",
		now-first-o.window.SizeMs, all, o.window.GraceMs, open)
}

// closeWindows lets go of all windows that are closed at now; with EMIT FINAL their rows leave first.
func (o *aggregateOp) closeWindows(now int64) error {
	if o.minOpen == math.MinInt64 {
		if err := o.findOpen(math.MinInt64); err != nil {
			return err
		}
	}
	if o.minOpen == math.MaxInt64 || !o.closed(o.minOpen, now) {
		return nil
	}
	if o.sessions != nil {
		return o.closeSessions(o.sessions.horizon(now))
	}
	last := now - o.window.GraceMs - o.window.SizeMs // the last start that is closed
	if err := o.closeCommitted(last); err != nil {
		return err
	}
	if err := o.closeInMemory(last); err != nil {
		return err
	}
	return o.findOpen(last + 1)
}

// closeCommitted closes groups that are in the store alone.
func (o *aggregateOp) closeCommitted(last int64) error {
	upper := appendTime([]byte{aggGroups}, last+1)
	return o.cx.state.scan(o.n.P.OpID, []byte{aggGroups}, upper, func(key, val []byte) (bool, error) {
		if o.index.find(key) >= 0 {
			return true, nil
		}
		if err := o.decode(scratchSlot, val); err != nil {
			return false, err
		}
		return true, o.closeGroup(scratchSlot, key)
	})
}

func (o *aggregateOp) closeInMemory(last int64) error {
	var slots []int32
	for i := 1; i < len(o.groups); i++ {
		if g := &o.groups[i]; !g.gone && g.rows > 0 && g.start <= last {
			slots = append(slots, int32(i))
		}
	}
	if o.n.Final {
		slices.SortFunc(slots, func(a, b int32) int { return bytes.Compare(o.index.key(a), o.index.key(b)) })
	}
	for _, slot := range slots {
		if err := o.closeGroup(slot, o.index.key(slot)); err != nil {
			return err
		}
		o.groups[slot].gone = true
		o.gone++
	}
	return nil
}

func (o *aggregateOp) closeGroup(slot int32, key []byte) error {
	if o.n.Final {
		if err := o.emit(slot, vec.Insert); err != nil {
			return err
		}
		if err := o.out.room(); err != nil {
			return err
		}
	}
	if o.retains() {
		o.retain(slot, key)
	}
	if !o.groups[slot].brief {
		o.cx.state.del(o.n.P.OpID, key)
	}
	return o.values.forget(o.keeping, key)
}

// hasDue reports whether there may be something to be done at stream time now: a window that is over and not closed, or a row whose
// retention is over. After a restart that is not known until the first flush.
func (o *aggregateOp) hasDue(now int64) bool {
	if now == noTime {
		return false
	}
	due := func(first int64, over func(at, now int64) bool) bool {
		return first == math.MinInt64 || first != math.MaxInt64 && over(first, now)
	}
	return due(o.minOpen, o.closed) || o.retains() && due(o.minRetained, o.expired)
}

// findOpen sets minOpen to the earliest window that holds groups and is at or after from.
func (o *aggregateOp) findOpen(from int64) error {
	o.minOpen = math.MaxInt64
	for i := 1; i < len(o.groups); i++ {
		if g := &o.groups[i]; !g.gone && g.rows > 0 && o.place(g) >= from {
			o.minOpen = min(o.minOpen, o.place(g))
		}
	}
	tags := []byte{aggGroups}
	if o.sessions != nil {
		tags = []byte{aggTimers, aggSpans}
	}
	for _, tag := range tags {
		err := o.cx.state.scan(o.n.P.OpID, appendTime([]byte{tag}, from), []byte{tag + 1}, func(key, _ []byte) (bool, error) {
			if len(key) >= 1+8 {
				o.minOpen = min(o.minOpen, timeOfKey(key[1:]))
			}
			return false, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// place is where a group's window is among those that close one after the other: its start, and of a session the time of its timer.
func (o *aggregateOp) place(g *aggGroup) int64 {
	if o.sessions != nil {
		return o.sessions.place(g.end)
	}
	return g.start
}

// over reports whether a group's window takes no more rows at stream time now.
func (o *aggregateOp) over(g *aggGroup, now int64) bool {
	if o.sessions != nil {
		return o.closed(g.end, now)
	}
	return o.window != nil && o.closed(g.start, now)
}

// commit lets closed windows' memory go where nothing else does: a push query has no store to be evicted to.
func (o *aggregateOp) commit() {
	if o.gone < minGoneSlots || 2*o.gone < len(o.groups) {
		return
	}
	var keys, vals [][]byte
	for i := 1; i < len(o.groups); i++ {
		if g := &o.groups[i]; !g.gone && g.rows > 0 {
			keys = append(keys, slices.Clone(o.index.key(int32(i))))
			vals = append(vals, o.encode(nil, int32(i)))
		}
	}
	o.reset()
	for i := range keys {
		slot := o.newSlot(keys[i])
		if err := o.decode(slot, vals[i]); err != nil {
			panic("exec: an accumulator does not read what it wrote: " + err.Error())
		}
		o.groups[slot].known = true
		if o.sessions != nil {
			o.relink(slot)
		}
	}
}

// minGoneSlots is how many closed groups are worth a rebuild of the rest.
const minGoneSlots = 1024
