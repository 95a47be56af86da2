package engine

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/pgwire"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql"
)

// notifyHub hands what is written to millrace.notify to the sessions of this node that listen. It reads the stream from the first LISTEN on
// until nobody listens any more. All that a session hears comes in the order of the stream, which is the order of COMMIT.
type notifyHub struct {
	e  *Engine
	wg sync.WaitGroup
	mu struct {
		sync.Mutex
		ears map[*session]map[string]ear // by channel
		// marks are how far the sessions are known to have heard, where that matters: those that may go on with another node.
		marks map[*session]int64
		// late are the notifications of sessions that get older ones first.
		late map[*session]*[]pgwire.Notification
		stop context.CancelFunc // of the reader; nil when there is none
		next int64              // everything below is handed out
		wake chan struct{}      // closed when next grows
	}
}

// markEvery is after how many notifications for others a session notes how far it has heard.
const markEvery = 1000

// ear is a channel that a session hears.
type ear struct {
	from int64 // the offset that it is heard from
	// leaving: an UNLISTEN is being committed, so that the session does not hear itself any more.
	leaving bool
}

func newNotifyHub(e *Engine) *notifyHub {
	h := &notifyHub{e: e}
	h.mu.ears = map[*session]map[string]ear{}
	h.mu.marks = map[*session]int64{}
	h.mu.late = map[*session]*[]pgwire.Notification{}
	h.mu.wake = make(chan struct{})
	return h
}

// close waits for the reader. No session listens any more.
func (h *notifyHub) close() { h.wg.Wait() }

// listen makes a session hear what is committed to a channel from now on.
func (h *notifyHub) listen(ctx context.Context, s *session, channel string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	bounds, err := h.e.log.Offsets(ctx, tpOf(h.e.opts.NotifyTopic, 0))
	if err != nil {
		return cause(ctx, err)
	}
	if h.mu.stop == nil {
		if err := h.startLocked(ctx); err != nil {
			return err
		}
		h.mu.next = bounds.LastStable
	}
	if h.mu.ears[s] == nil {
		h.mu.ears[s] = map[string]ear{}
	}
	if _, ok := h.mu.ears[s][channel]; !ok {
		h.mu.ears[s][channel] = ear{from: bounds.LastStable}
		if s.info.Relayed {
			h.mu.marks[s] = max(h.mu.marks[s], bounds.LastStable-1)
		}
	}
	return nil
}

// unlisten ends what listen began, for one channel or with "" for all.
func (h *notifyHub) unlisten(s *session, channel string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.mu.ears[s], channel)
	if channel == "" || len(h.mu.ears[s]) == 0 {
		delete(h.mu.ears, s)
		delete(h.mu.marks, s)
	}
	if len(h.mu.ears) == 0 && h.mu.stop != nil {
		h.mu.stop()
		h.mu.stop = nil
	}
}

// leave says whether the end of hearing some channels is being committed.
func (h *notifyHub) leave(s *session, channels []string, leaving bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range channels {
		if e, ok := h.mu.ears[s][c]; ok {
			e.leaving = leaving
			h.mu.ears[s][c] = e
		}
	}
}

// listens tells whether a session hears a channel.
func (h *notifyHub) listens(s *session, channel string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, ok := h.mu.ears[s][channel]
	return ok
}

// channels are those that a session hears, in order of their names.
func (h *notifyHub) channels(s *session) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []string
	for c := range h.mu.ears[s] {
		out = append(out, c)
	}
	slices.Sort(out)
	return out
}

// wait waits until everything below an offset is handed out, or nothing is handed out any more.
func (h *notifyHub) wait(ctx context.Context, offset int64) error {
	for {
		h.mu.Lock()
		done, wake := h.mu.stop == nil || h.mu.next >= offset, h.mu.wake
		h.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return cause(ctx, ctx.Err())
		}
	}
}

// notifyQuery reads the stream; its columns are those of deliver.
const notifyQuery = "SELECT rowoffset, channel, payload, pid FROM millrace.notify WHERE channel IS NOT NULL EMIT CHANGES"

// open begins to read the stream, at its end or from an offset on.
func (h *notifyHub) open(ctx context.Context, latest bool, since int64) (*exec.PushQuery, *planner.Query, error) {
	parsed, err := sql.ParseOne(notifyQuery, sql.Options{})
	if err != nil {
		return nil, nil, err
	}
	p := h.e.storedPlanner(h.e.meta.Image(), nil, nil, nil)
	p.Settings.Latest = latest
	plan, err := p.PlanQuery(ctx, parsed.Statement.(*sql.Query), nil)
	if err != nil {
		return nil, nil, err
	}
	q, err := exec.OpenPush(ctx, exec.PushConfig{Log: h.e.log, State: h.e.opts.State, Clock: h.e.clock, Since: since}, plan)
	return q, plan, cause(ctx, err)
}

// startLocked starts the reader at the end of the stream.
func (h *notifyHub) startLocked(ctx context.Context) error {
	q, plan, err := h.open(ctx, true, 0)
	if err != nil {
		return err
	}
	var life context.Context
	life, h.mu.stop = context.WithCancel(context.Background())
	h.wg.Go(func() { h.run(life, q, plan) })
	return nil
}

// run reads until life ends. If it fails, those who listen would miss something without knowing, and are disconnected.
func (h *notifyHub) run(life context.Context, q *exec.PushQuery, plan *planner.Query) {
	err := h.read(life, q, plan.Columns)
	err = errors.Join(err, q.Close())
	if life.Err() != nil {
		return
	}
	h.e.logger.Error("notifications cannot be read", "err", err)
	h.mu.Lock()
	defer h.mu.Unlock()
	if life.Err() != nil {
		return // nobody listens any more, or those who do have another reader
	}
	h.mu.stop()
	h.mu.stop = nil
	for s := range h.mu.ears {
		if s.info.Relayed {
			s.client.Terminate(nil) // it comes again, and misses nothing
			continue
		}
		s.client.Terminate(sqlerr.New(sqlerr.AdminShutdown, "terminating connection because notifications cannot be read: %v", err))
	}
	clear(h.mu.ears)
	clear(h.mu.marks)
	h.wakeLocked()
}

func (h *notifyHub) read(life context.Context, q *exec.PushQuery, columns []int) error {
	for {
		b, err := q.Poll(life)
		if err != nil {
			return err
		}
		if b == nil {
			if err := q.Wait(life); err != nil {
				return err
			}
			continue
		}
		h.deliver(life, b, columns)
	}
}

// deliver hands out a batch of notifyQuery.
func (h *notifyHub) deliver(life context.Context, b *vec.Batch, columns []int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if life.Err() != nil {
		return
	}
	for i := range b.Len() {
		n := notificationAt(b, columns, i)
		for s, channels := range h.mu.ears {
			e, ok := channels[n.Channel]
			if ok && n.Mark >= e.from && (!e.leaving || n.PID != s.info.PID) {
				h.notifyLocked(s, n)
			}
		}
		h.mu.next = n.Mark + 1
	}
	for s, mark := range h.mu.marks {
		if h.mu.next-mark > markEvery {
			h.notifyLocked(s, pgwire.Notification{Mark: h.mu.next - 1})
		}
	}
	h.wakeLocked()
}

// notificationAt is a row of notifyQuery.
func notificationAt(b *vec.Batch, columns []int, i int) pgwire.Notification {
	offset, channel, payload, pid := b.Cols[columns[0]], b.Cols[columns[1]], b.Cols[columns[2]], b.Cols[columns[3]]
	n := pgwire.Notification{Mark: offset.I64[i], Channel: string(channel.Bytes(i))}
	if !payload.IsNull(i) {
		n.Payload = string(payload.Bytes(i))
	}
	if !pid.IsNull(i) {
		n.PID = int32(pid.I64[i])
	}
	return n
}

// notifyLocked gives a session a notification.
func (h *notifyHub) notifyLocked(s *session, n pgwire.Notification) {
	if late := h.mu.late[s]; late != nil && len(*late) < pgwire.MaxPendingNotifications {
		*late = append(*late, n)
		return
	}
	if _, ok := h.mu.marks[s]; ok {
		h.mu.marks[s] = n.Mark
	}
	if !s.client.Notify(n) {
		h.overflowLocked(s)
	}
}

// overflowLocked disconnects a session that takes no more, for it would miss some without knowing.
func (h *notifyHub) overflowLocked(s *session) {
	s.client.Terminate(sqlerr.New(sqlerr.InsufficientResources, "terminating connection because its notifications are not read").
		WithDetail("More than %d, or %d bytes of them, wait for the end of its transaction.", pgwire.MaxPendingNotifications, pgwire.MaxPendingNotificationBytes))
	delete(h.mu.ears, s)
	delete(h.mu.marks, s)
}

func (h *notifyHub) wakeLocked() {
	close(h.mu.wake)
	h.mu.wake = make(chan struct{})
}
