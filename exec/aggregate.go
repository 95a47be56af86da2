package exec

import (
	"bytes"
	"cmp"
	"math"
	"slices"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// Tags of an aggregate's key spaces.
const (
	aggGroups byte = 0
	aggValues byte = 1
	aggTimers byte = 2
	// aggRetained holds rows of closed windows that are to leave by RETENTION.
	aggRetained byte = 3
	// aggSpans holds timers of groups of sessions.
	aggSpans byte = 4
)

// scratchSlot is where the former value of a group is decoded, to be emitted as the old row.
const scratchSlot = 0

// aggregateOp groups rows and keeps a value per group and aggregate. Groups in memory have numbered slots; accumulators are
// arrays by slot, so a batch is taken in column by column. A group's state is its row count, rowtime, key and accumulators.
//
// With a window the key begins with the window's start, so that windows close in key order (aggwindow.go).
type aggregateOp struct {
	cx       *opContext
	n        *planner.Aggregate
	out      outBatch
	mode     planner.ChangeMode
	updating bool // rows of the input can leave
	keys     *evaluator
	calls    []aggCall
	values   multiset
	keeping  []int // the aggregates that keep rows in values
	window   *planner.WindowSpec
	hops     *hopCache     // nil unless a row can be in several windows
	sessions *sessionIndex // nil unless the window is one of sessions

	index   keyIndex
	groups  []aggGroup
	keyRows *vec.Batch // by slot
	dirty   []int32
	base    []byte // encoded former values of dirty groups
	gone    int    // groups in memory whose window has closed
	held    int64  // how far behind the task's stream time rows may come, ms
	now     int64  // stream time at the last flush, less held: windows are closed up to it
	minOpen int64  // no window that starts (or session that ends) before it is open; math.MinInt64: unknown
	stored  storedGroups
	// minRetained is the earliest end of a closed window whose row is to leave, likewise.
	minRetained int64

	slots []int32
	sel   []int32
	kbuf  []byte
	vbuf  []byte
	rbuf  []byte
}

type aggGroup struct {
	rows    int64
	rowtime int64
	start   int64 // of the window, ms
	end     int64
	base    uint32
	baseLen uint32
	known   bool // the group was there at the last commit
	dirty   bool
	brief   bool // its window came and closes between two commits: the state never sees it
	gone    bool // its window has closed
}

func newAggregate(cx *opContext, n *planner.Aggregate, to edge) (*aggregateOp, error) {
	if n.Sets != nil || n.Partial || n.Merge {
		return nil, sqlerr.New(sqlerr.FeatureNotSupported, "grouping sets do not run in continuous queries yet")
	}
	keys, err := newEvaluator(cx, n.Keys)
	if err != nil {
		return nil, err
	}
	o := &aggregateOp{
		cx: cx, n: n, mode: n.P.Mode, updating: n.In.Props().Mode == planner.ModeRetract, keys: keys, window: n.Window,
		out: outBatch{Batch: vec.NewBatch(schemaOf(n), 0), to: to}, held: outputDelay(n.In), now: noTime, minOpen: math.MinInt64, minRetained: math.MinInt64,
	}
	switch {
	case n.Window == nil:
	case n.Window.Kind == planner.Session:
		o.sessions = newSessionIndex(n.Window, n.Final)
	case n.Window.MaxWindows() > 1:
		o.hops = newHopCache(n.Window)
	}
	o.values = multiset{table: newOrderedTable(cx.state, n.P.OpID, aggValues), slotKey: o.index.key}
	for i := range n.Aggs {
		if err := o.addCall(&n.Aggs[i], i); err != nil {
			return nil, err
		}
	}
	o.reset()
	cx.state.register(o)
	return o, nil
}

// reset forgets all groups and makes the scratch slot.
func (o *aggregateOp) reset() {
	o.index.reset()
	o.groups, o.dirty, o.base, o.gone = nil, nil, nil, 0
	if o.hops != nil {
		o.hops.reset()
	}
	if o.sessions != nil {
		o.sessions.reset()
	}
	ts := make([]types.Type, len(o.n.Keys))
	for i, k := range o.n.Keys {
		ts[i] = k.Type()
	}
	o.keyRows = vec.NewBatch(ts, 0)
	for i := range o.calls {
		o.calls[i].acc = o.calls[i].build()
	}
	o.newSlot([]byte{0xff})
}

// newSlot makes a slot for a key that is not in memory.
func (o *aggregateOp) newSlot(stored []byte) int32 {
	slot, _ := o.index.add(stored)
	o.groups = append(o.groups, aggGroup{})
	for _, c := range o.keyRows.Cols {
		c.AppendNull()
	}
	o.keyRows.SetLen(len(o.groups))
	if o.sessions != nil {
		o.sessions.grow(len(o.groups))
	}
	for i := range o.calls {
		o.calls[i].acc.grow(len(o.groups))
	}
	return slot
}

func (o *aggregateOp) push(in chunk, _ int) error {
	keys := o.keys.evalAll(in.Batch)
	o.sel = o.sel[:0]
	for _, i := range o.keys.sel {
		if !o.keys.errs.Has(i) {
			o.sel = append(o.sel, i)
		}
	}
	o.keys.reportAdds(in.Batch)
	if o.window != nil && o.sessions == nil {
		o.dropLate(in)
	}
	if err := o.evalCalls(in.Batch); err != nil {
		return err
	}
	var err error
	switch {
	case o.hops != nil:
		return o.pushHops(in.Batch, keys)
	case o.sessions != nil:
		err = o.assignSessions(in, keys)
	default:
		err = o.assign(in.Batch, keys)
	}
	if err != nil {
		return err
	}
	for i := range o.calls {
		c := &o.calls[i]
		sel := o.sel
		if c.filter != nil {
			sel = c.sel
		}
		if err := c.update(c.acc, in.Batch, o.slots, sel); err != nil {
			return err
		}
	}
	return nil
}

// assign finds the slot of each selected row and counts the row there.
func (o *aggregateOp) assign(in *vec.Batch, keys []*vec.Vector) error {
	o.slots = growTo(o.slots, in.Len())
	for _, i := range o.sel {
		rowtime := rowtimeOf(in, int(i))
		o.kbuf = append(o.kbuf[:0], aggGroups)
		var start int64
		if o.window != nil {
			start = o.window.Start(rowtime)
			o.kbuf = appendTime(o.kbuf, start)
		}
		o.kbuf = appendKeyCols(o.kbuf, keys, int(i))
		slot, err := o.slotOf(o.kbuf, start, rowtime, keys, i)
		if err != nil {
			return err
		}
		o.countRow(slot, rowtime, in.Op(int(i)).Sign())
		o.slots[i] = slot
	}
	return nil
}

// slotOf returns the slot of the group stored under a key, to which row i belongs.
func (o *aggregateOp) slotOf(stored []byte, start, rowtime int64, keys []*vec.Vector, i int32) (int32, error) {
	slot := o.index.find(stored)
	if slot >= 0 {
		return slot, nil
	}
	maybe, err := o.mayBeStored(start)
	if err != nil {
		return 0, err
	}
	if maybe {
		slot, err = o.load(stored)
	} else {
		slot = o.newSlot(stored)
	}
	if err != nil {
		return 0, err
	}
	if g := &o.groups[slot]; g.rows == 0 {
		g.start, g.rowtime = start, rowtime
		o.setKey(slot, keys, i)
	}
	if o.window != nil {
		g := &o.groups[slot]
		g.end = g.start + o.window.SizeMs
	}
	return slot, nil
}

func (o *aggregateOp) setKey(slot int32, keys []*vec.Vector, i int32) {
	for c, col := range o.keyRows.Cols {
		col.SetRow(int(slot), keys[c], int(i))
	}
}

// countRow adds a row to a group, or with a negative sign takes it out. It may stand for several, of which rowtime is the highest.
func (o *aggregateOp) countRow(slot int32, rowtime, sign int64) {
	o.touch(slot)
	g := &o.groups[slot]
	g.rows += sign
	if len(o.calls) > 0 || o.window != nil { // else further rows change nothing that shows
		g.rowtime = max(g.rowtime, rowtime)
	}
	o.minOpen = min(o.minOpen, o.place(g))
}

func (o *aggregateOp) flush(now int64) error {
	if err := o.bear(); err != nil {
		return err
	}
	if o.hops != nil {
		if err := o.addGains(); err != nil {
			return err
		}
	}
	if o.sessions != nil { // those that are gone first
		slices.SortStableFunc(o.dirty, func(a, b int32) int { return cmp.Compare(min(1, o.groups[a].rows), min(1, o.groups[b].rows)) })
	}
	now = heldBack(now, o.held)
	for _, slot := range o.dirty {
		if err := o.flushGroup(slot, now); err != nil {
			return err
		}
		if o.sessions != nil && !o.sessions.exact && o.groups[slot].brief {
			if err := o.closeSession(slot); err != nil {
				return err
			}
		}
	}
	o.dirty, o.base = o.dirty[:0], o.base[:0]
	o.now = max(o.now, now)
	if o.retains() && now != noTime {
		if err := o.expire(now); err != nil {
			return err
		}
	}
	if o.window != nil && now != noTime {
		if err := o.closeWindows(now); err != nil {
			return err
		}
	}
	o.values.table.flush()
	return o.out.sendAll()
}

// bear makes the one row of an aggregate without GROUP BY, before anything was read.
func (o *aggregateOp) bear() error {
	if !o.isGlobal() || !o.cx.first {
		return nil
	}
	stored := []byte{aggGroups}
	if o.index.find(stored) >= 0 {
		return nil
	}
	_, ok, err := o.cx.state.get(nil, o.n.P.OpID, stored)
	if err != nil || ok {
		return err
	}
	o.touch(o.newSlot(stored))
	return nil
}

// flushGroup emits the change of one group and hands its value to the state, unless its window is over at stream time now: what closes with this
// flush need not be kept first.
func (o *aggregateOp) flushGroup(slot int32, now int64) error {
	g := &o.groups[slot]
	g.dirty = false
	former := o.base[g.base : g.base+g.baseLen]
	had, has := g.known, g.rows > 0 || o.isGlobal()
	g.known = has
	if has {
		for i := range o.calls {
			if r, ok := o.calls[i].acc.(refresher); ok {
				if err := r.refresh(slot); err != nil {
					return err
				}
			}
		}
		if g.brief = !had && o.over(g, now); !g.brief {
			o.vbuf = o.encode(o.vbuf[:0], slot)
		}
		if !o.over(g, now) {
			o.cx.state.set(o.n.P.OpID, o.index.key(slot), o.vbuf)
			if o.sessions != nil {
				o.arm(slot, !had)
			}
		}
	} else if had {
		o.cx.state.del(o.n.P.OpID, o.index.key(slot))
	}
	if !has && !had || has && had && (len(o.calls) == 0 && o.window == nil || bytes.Equal(former, o.vbuf)) {
		return nil
	}
	if o.n.Final {
		return nil
	}
	return o.emitChange(slot, former, had, has)
}

func (o *aggregateOp) emitChange(slot int32, former []byte, had, has bool) error {
	if had && (o.mode == planner.ModeRetract || !has || o.sessions != nil) {
		op := vec.UpdateDelete
		if !has {
			op = vec.Delete
		}
		if err := o.decode(scratchSlot, former); err != nil {
			return err
		}
		if was, is := &o.groups[scratchSlot], &o.groups[slot]; was.start != is.start || was.end != is.end {
			op, had = vec.Delete, false // a session that grew is another window
		}
		if op == vec.Delete || o.mode == planner.ModeRetract {
			if err := o.emit(scratchSlot, op); err != nil {
				return err
			}
		}
	}
	if !has {
		return o.out.room()
	}
	op := vec.Insert
	if had {
		op = vec.UpdateInsert
	}
	if err := o.emit(slot, op); err != nil {
		return err
	}
	return o.out.room()
}

// emit appends the row of a slot. An aggregate whose value is out of range makes an error row and is NULL.
func (o *aggregateOp) emit(slot int32, op vec.Op) error {
	c := 0
	for k := range o.keyRows.Cols {
		o.out.Cols[c].AppendRow(o.keyRows.Cols[k], int(slot))
		c++
	}
	g := &o.groups[slot]
	if o.window != nil {
		o.out.Cols[c].AppendInt(g.start * microsPerMilli)
		o.out.Cols[c+1].AppendInt(g.end * microsPerMilli)
		c += 2
	}
	for i := range o.calls {
		col := o.out.Cols[c+i]
		if err := o.calls[i].acc.result(slot, col); err != nil {
			if sqlerr.CodeOf(err) == sqlerr.InternalError {
				return err
			}
			o.cx.errors.plain(errEval, err)
			col.AppendNull()
		}
	}
	finishRow(o.out.Batch, op, g.rowtime)
	return nil
}

const microsPerMilli = 1000

func (o *aggregateOp) memSize() int64 {
	size := o.index.memSize() + int64(64*cap(o.groups)+cap(o.base)+o.keyRows.MemSize())
	if o.hops != nil {
		size += o.hops.memSize()
	}
	if o.sessions != nil {
		size += o.sessions.memSize()
	}
	for i := range o.calls {
		size += o.calls[i].acc.memSize()
	}
	return size
}

func (o *aggregateOp) operator() uint32 { return o.n.P.OpID }

// evict lets all groups go: after a commit they are in the store.
func (o *aggregateOp) evict() {
	o.noteStored()
	o.reset()
}
