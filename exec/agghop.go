package exec

import (
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/planner"
)

// hopCache finds the groups of rows that are in several windows at once. All rows of a group in one step of the window (a pane) are in the
// same windows, so a row is looked up once, by its pane, and the pane knows the groups: the newest window's first.
type hopCache struct {
	window *planner.WindowSpec
	width  int      // groups of a pane
	index  keyIndex // of panes; a pane's key is that of the group of its newest window
	slots  []int32  // width for each pane, scratchSlot where not looked up yet

	panes  []int32 // the pane of each row of the batch
	open   []int32 // how many of each row's windows are open, the newest first
	sel    []int32
	argSel []int32
	key    []byte
}

func newHopCache(w *planner.WindowSpec) *hopCache {
	return &hopCache{window: w, width: int(w.MaxWindows())}
}

// pane returns the number of the pane with the key. Two panes of a group that follow each other share all windows but one, so a new one
// takes over what its neighbours know.
func (h *hopCache) pane(key []byte) int32 {
	n, fresh := h.index.add(key)
	if !fresh {
		return n
	}
	for range h.width {
		h.slots = append(h.slots, scratchSlot)
	}
	own := h.slotsOf(n)
	if before := h.index.find(h.paneKey(key, -1)); before >= 0 {
		copy(own[1:], h.slotsOf(before))
	}
	if after := h.index.find(h.paneKey(key, 1)); after >= 0 {
		known := h.slotsOf(after)[1:]
		for hop, slot := range known {
			if own[hop] == scratchSlot {
				own[hop] = slot
			}
		}
	}
	return n
}

// slotsOf are the groups of a pane.
func (h *hopCache) slotsOf(pane int32) []int32 {
	return h.slots[int(pane)*h.width:][:h.width]
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

// reset forgets the groups, for their slots have changed.
func (h *hopCache) reset() {
	h.index.reset()
	h.slots = nil
}

func (h *hopCache) memSize() int64 { return h.index.memSize() + int64(4*cap(h.slots)) }

// reaching narrows sel, appending to dst, to the rows whose window number hop, counted from the newest, is open.
func (h *hopCache) reaching(dst, sel []int32, hop int) []int32 {
	for _, i := range sel {
		if int(h.open[i]) > hop {
			dst = append(dst, i)
		}
	}
	return dst
}

// pushHops adds the selected rows to all their open windows: window after window, column by column.
func (o *aggregateOp) pushHops(in *vec.Batch, keys []*vec.Vector) error {
	h := o.hops
	h.panes, o.slots = growTo(h.panes, in.Len()), growTo(o.slots, in.Len())
	for _, i := range o.sel {
		o.kbuf = appendTime(append(o.kbuf[:0], aggGroups), h.window.Start(rowtimeOf(in, int(i))))
		o.kbuf = appendKeyCols(o.kbuf, keys, int(i))
		h.panes[i] = h.pane(o.kbuf)
	}
	for hop := range h.width {
		h.sel = h.reaching(h.sel[:0], o.sel, hop)
		if len(h.sel) == 0 {
			return nil
		}
		if err := o.assignHop(in, keys, hop); err != nil {
			return err
		}
		for k := range o.calls {
			c := &o.calls[k]
			sel := h.sel
			if c.filter != nil {
				h.argSel = h.reaching(h.argSel[:0], c.sel, hop)
				sel = h.argSel
			}
			if err := c.update(in, o.slots, sel); err != nil {
				return err
			}
		}
	}
	return nil
}

// assignHop finds the slots of the rows h.sel in their window number hop.
func (o *aggregateOp) assignHop(in *vec.Batch, keys []*vec.Vector, hop int) error {
	h := o.hops
	for _, i := range h.sel {
		rowtime := rowtimeOf(in, int(i))
		at := int(h.panes[i])*h.width + hop
		if h.slots[at] == scratchSlot {
			stored, start := h.groupKey(h.panes[i], hop)
			slot, err := o.slotOf(stored, start, rowtime, keys, i)
			if err != nil {
				return err
			}
			h.slots[at] = slot
		}
		o.countRow(h.slots[at], rowtime, in.Op(int(i)).Sign())
		o.slots[i] = h.slots[at]
	}
	return nil
}
