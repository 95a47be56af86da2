package engine

import (
	"context"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/pgwire"
)

// A session that listens goes on with another node without missing anything: its state has the channels with the offsets that it hears them from, and how far it has heard. What was committed between
// that and its LISTEN here is read from the stream and given out first.

// encodeEars lists the channels that a session hears: offset, space, name.
func (h *notifyHub) encodeEars(s *session) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []string
	for c, e := range h.mu.ears[s] {
		out = append(out, strconv.FormatInt(e.from, 10)+" "+c)
	}
	slices.Sort(out)
	return strings.Join(out, stateFields)
}

func decodeEars(text string) map[string]int64 {
	ears := map[string]int64{}
	for _, f := range strings.Split(text, stateFields) {
		from, channel, ok := strings.Cut(f, " ")
		if at, err := strconv.ParseInt(from, 10, 64); ok && err == nil {
			ears[channel] = at
		}
	}
	return ears
}

// resume makes a session hear what it heard on another node.
func (h *notifyHub) resume(ctx context.Context, s *session, state pgwire.State) error {
	ears := decodeEars(state[stateEars])
	if len(ears) == 0 {
		return nil
	}
	heard, err := strconv.ParseInt(state[pgwire.StateHeard], 10, 64)
	if err != nil {
		heard = -1
	}
	var late []pgwire.Notification
	h.mu.Lock()
	h.mu.late[s] = &late
	h.mu.Unlock()
	err = h.catchUp(ctx, s, ears, heard)
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.mu.late, s)
	for _, n := range late {
		h.notifyLocked(s, n)
	}
	return err
}

// catchUp begins to listen, and gives out what came before.
func (h *notifyHub) catchUp(ctx context.Context, s *session, ears map[string]int64, heard int64) error {
	since, until := int64(math.MaxInt64), int64(0)
	for c, from := range ears {
		if err := h.listen(ctx, s, c); err != nil {
			return err
		}
		ears[c] = max(from, heard+1)
		since = min(since, ears[c])
		h.mu.Lock()
		until = max(until, h.mu.ears[s][c].from)
		h.mu.Unlock()
	}
	if since >= until {
		return nil
	}
	q, plan, err := h.open(ctx, false, since)
	if err != nil {
		return err
	}
	return errors.Join(h.replay(ctx, s, q, plan.Columns, ears, until), q.Close())
}

// replay gives a session the notifications below an offset of the channels that it heard, each from where it has not heard it.
func (h *notifyHub) replay(ctx context.Context, s *session, q *exec.PushQuery, columns []int, ears map[string]int64, until int64) error {
	for {
		b, err := q.Poll(ctx)
		switch {
		case err != nil:
			return cause(ctx, err)
		case b != nil:
			h.repeat(s, b, columns, ears)
		case q.Reached(until):
			return nil
		default:
			if err := q.Wait(ctx); err != nil {
				return cause(ctx, err)
			}
		}
	}
}

func (h *notifyHub) repeat(s *session, b *vec.Batch, columns []int, ears map[string]int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range b.Len() {
		n := notificationAt(b, columns, i)
		from, ok := ears[n.Channel]
		if ok && n.Mark >= from && n.Mark < h.mu.ears[s][n.Channel].from && !s.client.Notify(n) {
			h.overflowLocked(s)
			return
		}
	}
}
