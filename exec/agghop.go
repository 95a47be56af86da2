package exec

import (
	"slices"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/planner"
)

// hopCache finds the groups of rows that are in several windows at once. All rows of a group in one step of the window (a pane) are in the
// same windows, so a row is looked up once, by its pane, and the pane knows the groups: the newest window's first.
//
// Most aggregates of a pane can be added to those of a window. So rows are counted once, in what their pane has gained in this round, and that is added to the
// windows at the flush. Aggregates that keep their rows take each row into each of its windows.
type hopCache struct {
	window *planner.WindowSpec
	width  int      // groups of a pane
	index  keyIndex // of panes; a pane's key is that of the group of its newest window
	slots  []int32  // width for each pane, scratchSlot where not looked up yet
	gained []int32  // by pane: its first gain of this round, noGain

	gains   []hopGain
	accs    []accumulator // of the aggregates, by gain
	keyRows *vec.Batch    // by gain

	panes  []int32 // the pane of each row of the batch
	open   []int32 // how many of each row's windows are open, the newest first
	sel    []int32
	argSel []int32
	key    []byte
}

// hopGain is what came to a pane since its windows were last brought up to date, of rows with the same number of open windows.
type hopGain struct {
	pane, open int32
	next       int32 // another gain of the pane
	rows       int64
	rowtime    int64
}

const noGain int32 = -1

// maxGainedGroups bounds the groups that gains may add to memory at once.
const maxGainedGroups = 1 << 16

func newHopCache(w *planner.WindowSpec) *hopCache {
	return &hopCache{window: w, width: int(w.MaxWindows())}
}

// pane returns the number of the pane with the key.
func (h *hopCache) pane(key []byte) int32 {
	n, fresh := h.index.add(key)
	if fresh {
		for range h.width {
			h.slots = append(h.slots, scratchSlot)
		}
		h.gained = append(h.gained, noGain)
	}
	return n
}

// slotsOf are the groups of a pane.
func (h *hopCache) slotsOf(pane int32) []int32 {
	return h.slots[int(pane)*h.width:][:h.width]
}

// learn has a pane take over what a neighbour knows, mostly the one before: two panes of a group that follow each other share all windows but one.
func (h *hopCache) learn(pane int32) {
	own := h.slotsOf(pane)
	if before := h.index.find(h.paneKey(h.index.key(pane), -1)); before >= 0 {
		copyUnknown(own[1:], h.slotsOf(before))
	} else if after := h.index.find(h.paneKey(h.index.key(pane), 1)); after >= 0 {
		copyUnknown(own, h.slotsOf(after)[1:])
	}
}

func copyUnknown(dst, src []int32) {
	for i := range min(len(dst), len(src)) {
		if dst[i] == scratchSlot {
			dst[i] = src[i]
		}
	}
}

// paneKey is the key of the pane that is so many steps after the one with the given key.
func (h *hopCache) paneKey(key []byte, steps int64) []byte {
	h.key = appendTime(append(h.key[:0], aggGroups), timeOfKey(key[1:])+steps*h.window.Step())
	h.key = append(h.key, key[len(h.key):]...)
	return h.key
}

// groupKey is the stored key of the group that is hop windows before the newest of the pane, and its window's start.
func (h *hopCache) groupKey(pane int32, hop int) (key []byte, start int64) {
	key = h.paneKey(h.index.key(pane), -int64(hop))
	return key, timeOfKey(key[1:])
}

// reset forgets the groups, for their slots have changed. Nothing is gained then.
func (h *hopCache) reset() {
	h.index.reset()
	h.slots, h.gained = nil, nil
}

func (h *hopCache) memSize() int64 {
	size := h.index.memSize() + int64(4*cap(h.slots)+4*cap(h.gained)+32*cap(h.gains))
	if h.keyRows != nil {
		size += int64(h.keyRows.MemSize())
	}
	for _, a := range h.accs {
		size += a.memSize()
	}
	return size
}

// reaching narrows sel, appending to dst, to the rows whose window number hop, counted from the newest, is open.
func (h *hopCache) reaching(dst, sel []int32, hop int) []int32 {
	for _, i := range sel {
		if int(h.open[i]) > hop {
			dst = append(dst, i)
		}
	}
	return dst
}

// gain returns the number of the gain of a pane that row i with so many open windows adds to.
func (h *hopCache) gain(pane, open int32, keys []*vec.Vector, i int32) int32 {
	first := h.gained[pane]
	for n := first; n != noGain; n = h.gains[n].next {
		if h.gains[n].open == open {
			return n
		}
	}
	n := int32(len(h.gains))
	h.gains = append(h.gains, hopGain{pane: pane, open: open, next: first, rowtime: noTime})
	h.gained[pane] = n
	for c, col := range h.keyRows.Cols {
		col.AppendRow(keys[c], int(i))
	}
	return n
}

// pushHops adds the selected rows to all their open windows.
func (o *aggregateOp) pushHops(in *vec.Batch, keys []*vec.Vector) error {
	h := o.hops
	h.panes, o.slots = growTo(h.panes, in.Len()), growTo(o.slots, in.Len())
	for _, i := range o.sel {
		o.kbuf = appendTime(append(o.kbuf[:0], aggGroups), h.window.Start(rowtimeOf(in, int(i))))
		o.kbuf = appendKeyCols(o.kbuf, keys, int(i))
		h.panes[i] = h.pane(o.kbuf)
	}
	if len(o.keeping) > 0 {
		return o.pushWindows(in, keys)
	}
	if h.accs == nil {
		h.keyRows = vec.NewBatch(o.keyRows.Schema(), 0)
		for i := range o.calls {
			h.accs = append(h.accs, o.calls[i].build())
		}
	}
	for _, i := range o.sel {
		n := h.gain(h.panes[i], h.open[i], keys, i)
		g := &h.gains[n]
		g.rows, g.rowtime = g.rows+in.Op(int(i)).Sign(), max(g.rowtime, rowtimeOf(in, int(i)))
		o.slots[i] = n
	}
	for k := range o.calls {
		c := &o.calls[k]
		sel := o.sel
		if c.filter != nil {
			sel = c.sel
		}
		h.accs[k].grow(len(h.gains))
		if err := c.update(h.accs[k], in, o.slots, sel); err != nil {
			return err
		}
	}
	if len(h.gains)*h.width > maxGainedGroups {
		return o.addGains()
	}
	return nil
}

// addGains adds what the panes have gained to their windows.
func (o *aggregateOp) addGains() error {
	h := o.hops
	for n := range h.gains {
		g := &h.gains[n]
		h.gained[g.pane] = noGain
		if err := o.findHops(g.pane, g.open, g.rowtime, h.keyRows.Cols, int32(n)); err != nil {
			return err
		}
		for _, slot := range h.slotsOf(g.pane)[:g.open] {
			o.countRow(slot, g.rowtime, g.rows)
			for k := range o.calls {
				if err := o.calls[k].acc.merge(slot, h.accs[k], int32(n)); err != nil {
					return err
				}
			}
		}
	}
	h.gains, h.accs, h.keyRows = h.gains[:0], nil, nil
	return nil
}

// findHops finds the open groups of a pane, to which row i belongs.
func (o *aggregateOp) findHops(pane, open int32, rowtime int64, keys []*vec.Vector, i int32) error {
	h := o.hops
	if !slices.Contains(h.slotsOf(pane)[:open], scratchSlot) {
		return nil
	}
	h.learn(pane)
	for hop := range int(open) {
		if h.slotsOf(pane)[hop] != scratchSlot {
			continue
		}
		stored, start := h.groupKey(pane, hop)
		slot, err := o.slotOf(stored, start, rowtime, keys, i)
		if err != nil {
			return err
		}
		h.slotsOf(pane)[hop] = slot
	}
	return nil
}

// pushWindows adds the selected rows to their windows: window after window, column by column.
func (o *aggregateOp) pushWindows(in *vec.Batch, keys []*vec.Vector) error {
	h := o.hops
	for _, i := range o.sel {
		if err := o.findHops(h.panes[i], h.open[i], rowtimeOf(in, int(i)), keys, i); err != nil {
			return err
		}
	}
	for hop := range h.width {
		h.sel = h.reaching(h.sel[:0], o.sel, hop)
		if len(h.sel) == 0 {
			return nil
		}
		for _, i := range h.sel {
			o.slots[i] = h.slotsOf(h.panes[i])[hop]
			o.countRow(o.slots[i], rowtimeOf(in, int(i)), in.Op(int(i)).Sign())
		}
		for k := range o.calls {
			c := &o.calls[k]
			sel := h.sel
			if c.filter != nil {
				h.argSel = h.reaching(h.argSel[:0], c.sel, hop)
				sel = h.argSel
			}
			if err := c.update(c.acc, in, o.slots, sel); err != nil {
				return err
			}
		}
	}
	return nil
}
