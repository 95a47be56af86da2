package exec

import (
	"fmt"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/planner"
)

// joinHistory is the right side of a lookupJoin as of the time of the stream's rows: the table's versions, back to the horizon, which is the
// stream's time less the history. A row of the stream that is from before the horizon is joined with a version that still held there. Without one it cannot
// be told what there was: such a row is late.
type joinHistory struct {
	*versions
	cx      *opContext
	history int64
	held    int64 // how far behind the task's time the stream's rows may be, ms
	now     int64 // stream time as of the last flush: what was over by then less the history is forgotten
	begun   bool
	late    []bool // by row of the batch
}

func newJoinHistory(cx *opContext, n *planner.Join) *joinHistory {
	return &joinHistory{versions: newVersions(cx.state, n.P.OpID), cx: cx, history: n.HistoryMs, held: outputDelay(n.L), now: noTime}
}

// begin is called before the rows of a batch of the stream are looked up.
func (h *joinHistory) begin(in chunk) {
	if !h.begun {
		h.begun, h.now = true, heldBack(h.cx.now, h.held)
	}
	h.late = append(h.late[:0], make([]bool, in.Len())...)
}

// find appends the version of a key as of the time of row i to dst.
func (h *joinHistory) find(dst *vec.Batch, key []byte, in chunk, i int) (found bool, err error) {
	now := h.now
	if in.clock != nil {
		now = max(now, in.clock[i])
	}
	at, horizon := rowtimeOf(in.Batch, i), heldBack(now, h.history)
	found, known, err := h.asOf(dst, key, at, horizon)
	if err == nil && !known {
		h.late[i] = true
		h.cx.errors.row(errLate, in.Batch, i, fmt.Errorf("the row came %d ms later than the table's history of %d ms goes back, and what it would be joined with is not known any more",
			horizon-at, h.history))
	}
	return found, err
}

func (h *joinHistory) flush(now int64) error {
	h.begun, h.now = true, heldBack(now, h.held)
	if h.now != noTime {
		if err := h.purge(h.now - h.history); err != nil {
			return err
		}
	}
	h.versions.flush()
	return nil
}
