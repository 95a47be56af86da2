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
	"github.com/millracedb/millrace/sql/types"
)

// fetchRows is FETCH: up to count rows of a cursor. Without a timeout it waits until it has exactly that many, for clients take fewer as the end;
// with one (FETCH n FROM c WITH (timeout = '1s')) it returns what came until then.
type fetchRows struct {
	c       *portal
	left    int64
	timeout time.Duration // negative: none
	timer   context.Context
	cancel  context.CancelFunc
}

func (s *session) fetchCursor(ctx context.Context, q *sql.Fetch) (rows, error) {
	c, err := s.cursor(q.Cursor)
	if err != nil {
		return nil, err
	}
	n, err := fetchCount(q)
	if err != nil {
		return nil, err
	}
	f := &fetchRows{c: c, left: n, timeout: -1}
	for _, o := range q.Options {
		if o.Name != "timeout" {
			return nil, sqlerr.New(sqlerr.SyntaxError, "FETCH has no option %q", o.Name).WithHint("It has: timeout.")
		}
		if f.timeout, err = parseDuration(o.Value.Text); err != nil {
			return nil, sqlerr.New(sqlerr.InvalidParameterValue, "invalid value for option timeout: %q", o.Value.Text).WithHint("%s.", capitalize(err.Error()))
		}
	}
	if err := c.start(ctx); err != nil {
		return nil, err
	}
	if f.timeout >= 0 {
		f.timer, f.cancel = context.WithTimeout(context.Background(), f.timeout)
	}
	return f, nil
}

func fetchCount(q *sql.Fetch) (int64, error) {
	switch {
	case q.Direction == sql.FetchForward && q.All:
		return math.MaxInt64, nil
	case q.Direction == sql.FetchForward && q.Count >= 0, q.Direction == sql.FetchRelative && q.Count == 1:
		return q.Count, nil
	}
	return 0, sqlerr.New(sqlerr.ObjectNotInPrerequisiteState, "cursor can only scan forward").WithHint("Write FETCH [FORWARD] n FROM %s.", q.Cursor)
}

func (f *fetchRows) next(ctx context.Context, wait bool) (*vec.Batch, pgwire.Progress, error) {
	for f.left > 0 && !f.c.done {
		b, err := f.batch(ctx, wait)
		if err != nil {
			return nil, pgwire.Done, err
		}
		if b != nil {
			f.left -= int64(b.Len())
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

// batch takes the next rows of the cursor, its visible columns only.
func (f *fetchRows) batch(ctx context.Context, wait bool) (*vec.Batch, error) {
	if f.timer != nil && wait {
		var stop context.CancelFunc
		ctx, stop = mergeDone(ctx, f.timer)
		defer stop()
	}
	view, _, err := f.c.fetch(ctx, int(min(f.left, math.MaxInt32)), wait)
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
	cols := f.c.visible
	ts := make([]types.Type, 0, len(f.c.st.cols))
	for _, c := range f.c.st.cols {
		ts = append(ts, c.typ)
	}
	out := vec.NewBatch(ts, r.Len())
	for i := r.from; i < r.to; i++ {
		for k := range ts {
			src := k
			if cols != nil {
				src = cols[k]
			}
			out.Cols[k].AppendRow(r.b.Cols[src], i)
		}
	}
	out.SetLen(r.Len())
	return out, nil
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
