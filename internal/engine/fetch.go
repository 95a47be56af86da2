package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/pgwire"
	"github.com/millracedb/millrace/sql"
)

// fetchRows is FETCH of a cursor that only goes forward: skip rows are passed, then up to left are given. Without a timeout it waits until it has
// exactly that many, for clients take fewer as the end; with one (FETCH n FROM c WITH (timeout = '1s')) it returns what came until then.
type fetchRows struct {
	c          *portal
	skip, left int64
	timeout    time.Duration // negative: none
	timer      context.Context
	cancel     context.CancelFunc
}

func (s *session) fetchCursor(ctx context.Context, q *sql.Fetch) (rows, error) {
	c, err := s.cursor(q.Cursor)
	if err != nil {
		return nil, err
	}
	f := &fetchRows{c: c, timeout: -1}
	if err := f.options(q); err != nil {
		return nil, err
	}
	if err := c.start(ctx); err != nil {
		return nil, err
	}
	if c.scroll != nil {
		return c.scrollTo(ctx, q)
	}
	if err := f.count(q); err != nil {
		return nil, err
	}
	if f.timeout >= 0 {
		f.timer, f.cancel = context.WithTimeout(context.Background(), f.timeout)
	}
	return f, nil
}

func (f *fetchRows) options(q *sql.Fetch) error {
	for _, o := range q.Options {
		if o.Name != "timeout" {
			return sqlerr.New(sqlerr.SyntaxError, "FETCH has no option %q", o.Name).WithHint("It has: timeout.")
		}
		var err error
		if f.timeout, err = parseDuration(o.Value.Text); err != nil {
			return sqlerr.New(sqlerr.InvalidParameterValue, "invalid value for option timeout: %q", o.Value.Text).WithHint("%s.", capitalize(err.Error()))
		}
	}
	return nil
}

// count says how many rows to pass and to give (PostgreSQL docs, FETCH).
func (f *fetchRows) count(q *sql.Fetch) error {
	at := f.c.at
	switch {
	case q.Direction == sql.FetchForward && q.All:
		f.left = math.MaxInt64
		return nil
	case q.Direction == sql.FetchForward && q.Count > 0:
		f.left = q.Count
		return nil
	case q.Direction == sql.FetchRelative && q.Count > 0:
		f.skip, f.left = q.Count-1, 1
		return nil
	case q.Direction == sql.FetchAbsolute && q.Count > at:
		f.skip, f.left = q.Count-at-1, 1
		return nil
	case q.Direction == sql.FetchFirst && at == 0:
		f.left = 1
		return nil
	case !q.All && q.Count == 0 && (at == 0 || f.c.done) && q.Direction != sql.FetchLast:
		return nil // the row it stands on, and it stands on none
	}
	hint := "Declare it with SCROLL to go back."
	if f.c.st.query.Unbounded {
		hint = "A cursor over a query that does not end only goes forward."
	}
	return sqlerr.New(sqlerr.ObjectNotInPrerequisiteState, "cursor can only scan forward").WithHint("%s", hint)
}

func (f *fetchRows) next(ctx context.Context, wait bool) (*vec.Batch, pgwire.Progress, error) {
	for f.skip+f.left > 0 && !f.c.done {
		b, err := f.batch(ctx, wait)
		if err != nil {
			return nil, pgwire.Done, err
		}
		if b != nil {
			return b, pgwire.More, nil
		}
		if f.c.done {
			break
		}
		if f.timer != nil && f.timer.Err() != nil {
			break
		}
		if !wait {
			return nil, pgwire.Idle, nil
		}
	}
	return nil, pgwire.Done, nil //nolint:nilerr // a timer that ran out ends the FETCH with the rows it has
}

// batch takes the next rows of the cursor, its visible columns only; those to be passed it passes.
func (f *fetchRows) batch(ctx context.Context, wait bool) (*vec.Batch, error) {
	if f.timer != nil && wait {
		var stop context.CancelFunc
		ctx, stop = mergeDone(ctx, f.timer)
		defer stop()
	}
	most := f.left
	if f.skip > 0 {
		most = f.skip
	}
	view, _, err := f.c.fetch(ctx, int(min(most, math.MaxInt32)), wait)
	if err != nil {
		if f.timer != nil && f.timer.Err() != nil && errors.Is(err, context.Canceled) {
			return nil, nil
		}
		return nil, err
	}
	if view == nil || view.Len() == 0 {
		return nil, nil
	}
	r := view.(*rowBatch)
	n := int64(r.Len())
	f.c.at += n
	if f.skip > 0 {
		f.skip -= n
		return vec.NewBatch(nil, 0), nil
	}
	f.left -= n
	out := f.c.newBatch(r.Len())
	f.c.appendVisible(out, r)
	return out, nil
}

// newBatch makes a batch of the columns that the cursor shows.
func (p *portal) newBatch(n int) *vec.Batch {
	return newColumnBatch(p.st.cols, n)
}

// appendVisible appends what the cursor shows of the rows of a batch.
func (p *portal) appendVisible(out *vec.Batch, r *rowBatch) {
	for k := range p.st.cols {
		src := k
		if p.visible != nil {
			src = p.visible[k]
		}
		for i := r.from; i < r.to; i++ {
			out.Cols[k].AppendRow(r.b.Cols[src], i)
		}
	}
	out.SetLen(out.Len() + r.Len())
}

// mergeDone returns a context that ends with either.
func mergeDone(ctx, other context.Context) (context.Context, context.CancelFunc) {
	merged, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(other, cancel)
	return merged, func() { stop(); cancel() }
}

func (f *fetchRows) close() {
	if f.cancel != nil {
		f.cancel()
	}
}

// move runs MOVE: rows are fetched and not shown.
func (s *session) move(ctx context.Context, q *sql.Fetch) (string, error) {
	r, err := s.fetchCursor(ctx, q)
	if err != nil {
		return "", err
	}
	defer r.close()
	n := 0
	for {
		b, progress, err := r.next(ctx, true)
		if err != nil {
			return "", err
		}
		if b != nil {
			n += b.Len()
		}
		if progress == pgwire.Done {
			return fmt.Sprintf("MOVE %d", n), nil
		}
	}
}
