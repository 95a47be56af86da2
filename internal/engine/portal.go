package engine

import (
	"context"
	"strconv"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/pgwire"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// column is one result column.
type column struct {
	name     string
	typ      types.Type
	tableOID uint32
	attNum   int16
}

// textColumns are columns of type text, for SHOW and its like.
func textColumns(names ...string) []column {
	cols := make([]column, len(names))
	for i, n := range names {
		cols[i] = column{name: n, typ: types.Of(types.Text)}
	}
	return cols
}

func wireColumns(cols []column) []pgwire.Column {
	if cols == nil {
		return nil
	}
	out := make([]pgwire.Column, len(cols))
	for i, c := range cols {
		out[i] = pgwire.Column{
			Name: c.name, TableOID: c.tableOID, AttNum: c.attNum,
			TypeOID: c.typ.OID(), TypeLen: c.typ.Len(), TypeMod: c.typ.Mod,
		}
	}
	return out
}

// queryColumns are the visible columns of a planned query.
func queryColumns(q *planner.Query) []column {
	cols := make([]column, len(q.Columns))
	for i, o := range q.Columns {
		c := q.Root.Props().Cols[o]
		cols[i] = column{name: c.Name, typ: c.Type, tableOID: c.TableOID, attNum: c.AttNum}
	}
	return cols
}

// rows is a running query as a portal sees it: batches, and whether there is something to wait for.
type rows interface {
	// next returns the next batch, valid until the next call. Without wait a query that has nothing ready returns pgwire.Idle.
	next(ctx context.Context, wait bool) (*vec.Batch, pgwire.Progress, error)
	close()
}

// portal is a statement bound to its parameters.
type portal struct {
	s       *session
	name    string
	st      *statement
	kind    pgwire.PortalKind
	formats []pgwire.Format
	// visible are the ordinals of the columns that are shown; nil: all.
	visible []int
	args    []types.Datum
	// hold: the portal outlives the transaction (a push cursor, or WITH HOLD).
	hold   bool
	cursor bool
	scroll *scrollback // of a SCROLL cursor
	at     int64       // rows that FETCH and MOVE have passed, for a cursor without it
	tx     *txn        // that declared the cursor

	started, done bool
	run           rows
	tag           string // for commands and DML; "" for SELECT and its like
	batch         rowBatch
	copyIn        *copyIn
}

var _ pgwire.Portal = (*portal)(nil)

func (p *portal) Kind() pgwire.PortalKind        { return p.kind }
func (p *portal) Columns() []pgwire.Column       { return p.st.wire }
func (p *portal) ResultFormats() []pgwire.Format { return p.formats }
func (p *portal) Text() string                   { return p.st.text }

// Next implements pgwire.Portal.
func (p *portal) Next(ctx context.Context, maxRows int, wait bool) (pgwire.RowBatch, pgwire.Progress, error) {
	if p.kind == pgwire.PortalCommand {
		if p.done {
			return nil, pgwire.Done, sqlerr.New(sqlerr.ObjectNotInPrerequisiteState, "portal %q cannot be run again", p.name)
		}
		p.done = true
		ctx, cancel := p.s.statementContext(ctx)
		defer cancel()
		tag, err := p.s.command(ctx, p)
		p.tag = tag
		return nil, pgwire.Done, err
	}
	if p.done {
		return nil, pgwire.Done, nil
	}
	if err := p.start(ctx); err != nil {
		return nil, pgwire.Done, err
	}
	return p.fetch(ctx, maxRows, wait)
}

// start opens the query at the first call.
func (p *portal) start(ctx context.Context) error {
	if p.started {
		return nil
	}
	p.started = true
	run, tag, err := p.s.open(ctx, p)
	if err != nil {
		p.done = true
		return err
	}
	p.run, p.tag = run, tag
	return nil
}

// fetch hands out rows of the batch in progress, or of the next one.
func (p *portal) fetch(ctx context.Context, maxRows int, wait bool) (pgwire.RowBatch, pgwire.Progress, error) {
	b := &p.batch
	if b.to == b.total {
		in, progress, err := p.run.next(ctx, wait)
		if err != nil || in == nil {
			// A wait that was cut short (FETCH with a timeout) leaves the query as it is.
			if err == nil && progress == pgwire.Done || err != nil && ctx.Err() == nil {
				p.finish()
			}
			return nil, progress, cause(ctx, err)
		}
		b.reset(in, p.visible, p.s.text())
	}
	b.from, b.to = b.to, b.total
	if maxRows > 0 {
		b.to = min(b.total, b.from+maxRows)
	}
	return b, pgwire.More, nil
}

func (p *portal) finish() {
	p.done = true
	if p.copyIn != nil {
		_ = p.copyIn.stop() // the COPY was given up, for a reason of its own
	}
	if p.run != nil {
		p.run.close()
		p.run = nil
	}
}

// CommandTag implements pgwire.Portal.
func (p *portal) CommandTag(dst []byte, n int64) []byte {
	if p.tag != "" {
		return append(dst, p.tag...)
	}
	dst = append(dst, p.st.verb...)
	if p.st.counts {
		dst = append(dst, ' ')
		dst = strconv.AppendInt(dst, n, 10)
	}
	return dst
}

// rowBatch shows part of a batch to pgwire.
type rowBatch struct {
	b               *vec.Batch
	visible         []int
	text            *types.Settings
	from, to, total int
}

func (r *rowBatch) reset(b *vec.Batch, visible []int, text *types.Settings) {
	*r = rowBatch{b: b, visible: visible, text: text, total: b.Len()}
}

// Len implements pgwire.RowBatch.
func (r *rowBatch) Len() int { return r.to - r.from }

// AppendValue implements pgwire.RowBatch.
func (r *rowBatch) AppendValue(dst []byte, row, col int, format pgwire.Format) ([]byte, bool) {
	if r.visible != nil {
		col = r.visible[col]
	}
	return appendValue(dst, r.b.Cols[col], r.from+row, format, r.text)
}

// appendValue appends one value of a vector as the wire has it.
func appendValue(dst []byte, v *vec.Vector, i int, format pgwire.Format, text *types.Settings) ([]byte, bool) {
	if v.IsNull(i) {
		return dst, true
	}
	if format == pgwire.BinaryFormat {
		return types.AppendBinary(dst, v.Type, v.View(i)), false
	}
	switch v.Type.Kind {
	case types.Int2, types.Int4, types.Int8:
		return strconv.AppendInt(dst, v.I64[i], 10), false
	case types.Text, types.Varchar, types.Name:
		return append(dst, v.Bytes(i)...), false
	default:
		return types.AppendText(dst, v.Type, v.View(i), text), false
	}
}

// batchRows is a list of batches as rows, for results that are computed at once.
type batchRows struct{ batches []*vec.Batch }

func (r *batchRows) next(context.Context, bool) (*vec.Batch, pgwire.Progress, error) {
	for len(r.batches) > 0 {
		b := r.batches[0]
		r.batches = r.batches[1:]
		if b.Len() > 0 {
			return b, pgwire.More, nil
		}
	}
	return nil, pgwire.Done, nil
}

func (r *batchRows) close() {}

// newColumnBatch makes a batch for n rows of some columns.
func newColumnBatch(cols []column, n int) *vec.Batch {
	ts := make([]types.Type, len(cols))
	for i, c := range cols {
		ts[i] = c.typ
	}
	return vec.NewBatch(ts, n)
}

// datumRows makes rows of boxed values.
func datumRows(cols []column, values [][]types.Datum) rows {
	b := newColumnBatch(cols, len(values))
	for _, row := range values {
		for c, d := range row {
			b.Cols[c].AppendDatum(d)
		}
	}
	b.SetLen(len(values))
	return &batchRows{batches: []*vec.Batch{b}}
}

// textRows makes rows of texts.
func textRows(cols []column, values [][]string) rows {
	out := make([][]types.Datum, len(values))
	for i, row := range values {
		for _, s := range row {
			out[i] = append(out[i], types.BytesDatum(s))
		}
	}
	return datumRows(cols, out)
}
