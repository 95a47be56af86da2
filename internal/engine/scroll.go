package engine

import (
	"context"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/pgwire"
	"github.com/millracedb/millrace/sql"
)

// scrollback keeps the rows of a SCROLL cursor that were read so far, so that FETCH can go back. Row numbers count from 1.
type scrollback struct {
	rows *vec.Batch
	at   int64 // the row that the cursor stands on; 0 before the first, one more than there are after the last
}

func newScrollback(cols []column) *scrollback {
	return &scrollback{rows: newColumnBatch(cols, 0)}
}

// scrollTo runs FETCH and MOVE of a SCROLL cursor (PostgreSQL docs, FETCH).
func (p *portal) scrollTo(ctx context.Context, q *sql.Fetch) (rows, error) {
	b := p.scroll
	switch q.Direction {
	case sql.FetchFirst:
		return p.scrollToRow(ctx, 1)
	case sql.FetchLast:
		return p.scrollToRow(ctx, -1)
	case sql.FetchAbsolute:
		return p.scrollToRow(ctx, q.Count)
	case sql.FetchRelative:
		return p.scrollToRow(ctx, max(0, b.at+q.Count))
	}
	n, backward := q.Count, q.Direction == sql.FetchBackward
	if n < 0 && !q.All {
		n, backward = -n, !backward
	}
	switch {
	case n == 0 && !q.All:
		return p.scrollToRow(ctx, b.at)
	case backward:
		first := int64(1)
		if !q.All {
			first = max(1, b.at-n)
		}
		out := p.take(b.at-1, first, -1)
		b.at = max(0, b.at-n)
		if q.All {
			b.at = 0
		}
		return out, nil
	}
	last := b.at + n
	if q.All {
		last = -1
	}
	have, err := p.readTo(ctx, last)
	if err != nil {
		return nil, err
	}
	from := b.at + 1
	if last < 0 || last > have {
		b.at, last = have+1, have
	} else {
		b.at = last
	}
	return p.take(from, last, 1), nil
}

// scrollToRow goes to one row, counted from the end if n is negative, and gives it.
func (p *portal) scrollToRow(ctx context.Context, n int64) (rows, error) {
	have, err := p.readTo(ctx, n)
	if err != nil {
		return nil, err
	}
	if n < 0 {
		n = max(0, have+1+n)
	}
	p.scroll.at = min(n, have+1)
	return p.take(n, n, 1), nil
}

// readTo reads until row n is kept, or to the end if n is negative, and returns how many are.
func (p *portal) readTo(ctx context.Context, n int64) (int64, error) {
	b := p.scroll.rows
	for !p.done && (n < 0 || int64(b.Len()) < n) {
		view, progress, err := p.fetch(ctx, 0, true)
		if err != nil {
			return 0, err
		}
		if view != nil && view.Len() > 0 {
			p.appendVisible(b, view.(*rowBatch))
		}
		if limit := p.s.e.queryMemory(); int64(b.MemSize()) > limit {
			return 0, sqlerr.New(sqlerr.InsufficientResources, "the rows of SCROLL cursor %q are larger than %d bytes", p.name, limit).
				WithHint("Declare it without SCROLL, or let it read fewer rows; --memory decides how much there is.")
		}
		if progress == pgwire.Done {
			break
		}
	}
	return int64(b.Len()), nil
}

// take gives the kept rows from one to another, whichever way; numbers of no row are left out.
func (p *portal) take(from, to, step int64) rows {
	var sel []int32
	for n := from; n != to+step && (to-from)*step >= 0; n += step {
		if n >= 1 && n <= int64(p.scroll.rows.Len()) {
			sel = append(sel, int32(n-1))
		}
	}
	out := p.newBatch(len(sel))
	out.AppendGather(p.scroll.rows, sel)
	return &batchRows{batches: []*vec.Batch{out}}
}
