package engine

import (
	"context"
	"fmt"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/pgwire"
	"github.com/millracedb/millrace/pgwire/copyfmt"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// copyOut is COPY TO STDOUT in progress.
type copyOut struct {
	p       *portal
	run     rows
	options copyfmt.Options
	enc     *copyfmt.Encoder
	visible []int
	batch   copyBatch
	header  bool   // a line of names is to be sent
	prefix  []byte // what goes before the first row, in its message: binary's signature, which clients look for there
	ended   bool
	count   int64
}

// CopyOut implements pgwire.Portal.
func (p *portal) CopyOut(ctx context.Context) (pgwire.CopyOut, error) {
	if err := p.s.beginStatement(p.st); err != nil {
		return nil, err
	}
	out := &copyOut{p: p, visible: p.st.visible()}
	names := make([]string, len(p.st.cols))
	for i, c := range p.st.cols {
		names[i] = c.name
	}
	var err error
	if q, ok := p.st.parsed.Statement.(*sql.Copy); ok {
		out.options, err = copyOptions(q, names)
	} else {
		out.options = copyfmt.Defaults(copyfmt.Text) // a push query under push_output = copy
	}
	if err != nil {
		return nil, err
	}
	if out.enc, err = copyfmt.NewEncoder(out.options, names); err != nil {
		return nil, err
	}
	if out.options.Kind == copyfmt.Binary {
		out.prefix = out.enc.Header(nil)
	} else {
		out.header = out.options.Header != copyfmt.HeaderOff
	}
	if q, ok := p.st.parsed.Statement.(*sql.Print); ok {
		for i := range p.st.cols {
			out.visible = append(out.visible, i)
		}
		out.run, err = p.s.print(ctx, p, q)
	} else {
		out.run, err = p.s.openQuery(ctx, p)
	}
	if err != nil {
		return nil, err
	}
	p.run, p.started = out.run, true
	return out, nil
}

// Formats implements pgwire.CopyOut.
func (o *copyOut) Formats() []pgwire.Format { return copyFormats(o.options, len(o.p.st.cols)) }

// Next implements pgwire.CopyOut.
func (o *copyOut) Next(ctx context.Context, wait bool) (pgwire.CopyBatch, pgwire.Progress, error) {
	if o.header {
		o.header = false
		return fixedRow{o.enc.Header(nil)}, pgwire.More, nil
	}
	if o.ended {
		return nil, pgwire.Done, nil
	}
	b, progress, err := o.run.next(ctx, wait)
	switch {
	case err != nil:
		o.p.finish()
		return nil, pgwire.Done, err
	case b != nil:
		o.count += int64(b.Len())
		o.batch = copyBatch{o: o, b: b, text: o.p.s.text(), prefix: o.prefix}
		if b.Len() > 0 {
			o.prefix = nil
		}
		return &o.batch, pgwire.More, nil
	case progress == pgwire.Done:
		o.ended = true
		o.p.finish()
		o.p.tag = fmt.Sprintf("COPY %d", o.count)
		if t := o.enc.Trailer(o.prefix); len(t) > 0 {
			return fixedRow{t}, pgwire.Done, nil
		}
	}
	return nil, progress, nil
}

// fixedRow is a header or trailer.
type fixedRow struct{ bytes []byte }

func (f fixedRow) Len() int                           { return 1 }
func (f fixedRow) AppendRow(dst []byte, _ int) []byte { return append(dst, f.bytes...) }

// copyBatch writes rows of a batch in COPY's format.
type copyBatch struct {
	o       *copyOut
	b       *vec.Batch
	text    *types.Settings
	scratch []byte
	prefix  []byte // of the first row
}

// Len implements pgwire.CopyBatch.
func (c *copyBatch) Len() int { return c.b.Len() }

// AppendRow implements pgwire.CopyBatch.
func (c *copyBatch) AppendRow(dst []byte, row int) []byte {
	format := pgwire.TextFormat
	if c.o.options.Kind == copyfmt.Binary {
		format = pgwire.BinaryFormat
	}
	if row == 0 {
		dst = append(dst, c.prefix...)
	}
	dst = c.o.enc.RowStart(dst)
	for i, ord := range c.o.visible {
		var null bool
		c.scratch, null = appendValue(c.scratch[:0], c.b.Cols[ord], row, format, c.text)
		dst = c.o.enc.Field(dst, i, c.scratch, null)
	}
	return c.o.enc.RowEnd(dst)
}
