package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/exec/expr"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/pgwire"
	"github.com/millracedb/millrace/pgwire/copyfmt"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

const (
	// copyRows is how many rows of COPY FROM become one batch.
	copyRows = 4096
	// copyStreamBytes is after how much input a COPY into a stream, outside a block, appends what it has.
	copyStreamBytes = 1 << 20
)

// analyzeCopy checks a COPY and says which way it goes.
func (s *session) analyzeCopy(ctx context.Context, p *planner.Planner, st *statement, q *sql.Copy) error {
	if q.Target != sql.CopyStdio {
		return sqlerr.New(sqlerr.FeatureNotSupported, "COPY of files and programs of the server is not supported").
			WithHint("Use COPY ... FROM STDIN or TO STDOUT; psql's \\copy does that for a file of yours.")
	}
	if q.From {
		st.kind = pgwire.PortalCopyIn
		if q.Where != nil {
			return sqlerr.New(sqlerr.FeatureNotSupported, "COPY FROM ... WHERE is not supported yet")
		}
		dml, err := p.PlanInsert(ctx, copyInsert(q), nil)
		if err != nil {
			return err
		}
		st.dml = dml
		dml.Targets, err = copyTargets(dml.Rel, q)
		return err
	}
	query, ok := q.Statement.(*sql.Query)
	if q.Statement == nil {
		query, ok = copySelect(q), true
	}
	if !ok {
		return sqlerr.New(sqlerr.FeatureNotSupported, "COPY of a statement that is not a query is not supported yet")
	}
	if err := s.analyzeQuery(ctx, p, st, query, nil); err != nil {
		return err
	}
	st.kind = pgwire.PortalCopyOut
	return nil
}

// copyInsert is INSERT INTO t (columns) DEFAULT VALUES: COPY takes the defaults from its plan and the values from the client.
func copyInsert(q *sql.Copy) *sql.Insert {
	return &sql.Insert{Pos: q.Pos, Table: q.Table, Columns: q.Columns}
}

// copyTargets are the ordinals of the columns that a COPY FROM fills: those it names, or all that are visible.
func copyTargets(rel *planner.Relation, q *sql.Copy) ([]int, error) {
	var out []int
	for ord, c := range rel.Columns {
		if q.Columns == nil && !c.Hidden && !c.Headers {
			out = append(out, ord)
		}
	}
	for _, name := range q.Columns {
		ord := slices.IndexFunc(rel.Columns, func(c planner.Column) bool { return c.Name == name && !c.Hidden })
		switch {
		case ord < 0:
			return nil, sqlerr.New(sqlerr.UndefinedColumn, "column %q of relation %q does not exist", name, rel.Name).At(q.Table.Offset())
		case slices.Contains(out, ord):
			return nil, sqlerr.New(sqlerr.DuplicateColumn, "column %q specified more than once", name).At(q.Table.Offset())
		}
		out = append(out, ord)
	}
	return out, nil
}

// copySelect is SELECT columns FROM t.
func copySelect(q *sql.Copy) *sql.Query {
	sel := &sql.Select{Pos: q.Pos, From: []sql.FromItem{&sql.Table{Pos: q.Table.Pos, Name: q.Table}}}
	for _, c := range q.Columns {
		sel.Targets = append(sel.Targets, &sql.Target{Expr: &sql.ColumnRef{Pos: q.Pos, Parts: []string{c}}})
	}
	if q.Columns == nil {
		sel.Targets = []*sql.Target{{Expr: &sql.Star{Pos: q.Pos}}}
	}
	return &sql.Query{Pos: q.Pos, Body: sel}
}

// copyOptions reads WITH (...) and its older spellings.
func copyOptions(q *sql.Copy, columns []string) (copyfmt.Options, error) {
	kind := copyfmt.Text
	for _, o := range q.Options {
		if strings.EqualFold(o.Name, "format") {
			switch strings.ToLower(o.Value.Text) {
			case "text":
			case "csv":
				kind = copyfmt.CSV
			case "binary":
				kind = copyfmt.Binary
			default:
				return copyfmt.Options{}, sqlerr.New(sqlerr.InvalidParameterValue, "COPY format %q not recognized", o.Value.Text).WithHint("Formats are text, csv and binary.")
			}
		}
	}
	out := copyfmt.Defaults(kind)
	for _, o := range q.Options {
		if err := copyOption(&out, o, columns); err != nil {
			return out, err
		}
	}
	return out, out.Validate()
}

func copyOption(out *copyfmt.Options, o *sql.Option, columns []string) error {
	text := ""
	if o.Value != nil {
		text = o.Value.Text
	}
	char := func(to *byte) error {
		if len(text) != 1 {
			return sqlerr.New(sqlerr.FeatureNotSupported, "COPY %s must be a single one-byte character", strings.ToLower(o.Name))
		}
		*to = text[0]
		return nil
	}
	switch strings.ToLower(o.Name) {
	case "format", "freeze", "oids":
	case "delimiter":
		return char(&out.Delimiter)
	case "quote":
		return char(&out.Quote)
	case "escape":
		return char(&out.Escape)
	case "null":
		out.Null = text
	case "header":
		switch strings.ToLower(text) {
		case "", "true", "on", "1":
			out.Header = copyfmt.HeaderOn
		case "match":
			out.Header = copyfmt.HeaderMatch
		case "false", "off", "0":
			out.Header = copyfmt.HeaderOff
		default:
			return sqlerr.New(sqlerr.SyntaxError, "header requires a Boolean value or \"match\"")
		}
	case "encoding":
		if _, err := checkEncoding(text); err != nil {
			return sqlerr.New(sqlerr.InvalidParameterValue, "COPY encoding %q is not supported", text).WithHint("Text is UTF8.")
		}
	case "force_quote":
		return flags(&out.ForceQuote, o, columns)
	case "force_not_null":
		return flags(&out.ForceNotNull, o, columns)
	case "force_null":
		return flags(&out.ForceNull, o, columns)
	default:
		return sqlerr.New(sqlerr.SyntaxError, "COPY option %q not recognized", o.Name)
	}
	return nil
}

func flags(to *[]bool, o *sql.Option, columns []string) error {
	*to = make([]bool, len(columns))
	for _, name := range o.List {
		found := name == "*"
		for i, c := range columns {
			if c == name || name == "*" {
				(*to)[i], found = true, true
			}
		}
		if !found {
			return sqlerr.New(sqlerr.UndefinedColumn, "column %q does not exist", name)
		}
	}
	return nil
}

// copyIn is COPY FROM STDIN in progress.
type copyIn struct {
	p       *portal
	c       *change
	options copyfmt.Options
	dec     *copyfmt.Decoder
	targets []int               // ordinals of the relation's columns that the input fills
	fixed   map[int]types.Datum // defaults of the others, by ordinal
	each    []int               // the others whose default is another for each row
	batch   *vec.Batch          // all columns of the relation
	insert  *copyInserter       // nil until the first batch is full
	asGoes  bool                // into a stream, outside a block
	bytes   int                 // since the last append
	stayed  int64               // rows that are appended for good
	text    *types.Settings
}

// CopyIn implements pgwire.Portal.
func (p *portal) CopyIn(ctx context.Context) (pgwire.CopyIn, error) {
	s := p.s
	if err := s.beginStatement(p.st); err != nil {
		return nil, err
	}
	q := p.st.parsed.Statement.(*sql.Copy)
	dml := p.st.dml
	if err := s.checkTarget(dml.Rel, planner.DMLInsert); err != nil {
		return nil, err
	}
	in := &copyIn{p: p, targets: dml.Targets, text: s.text(), asGoes: !dml.Rel.Ordinary && !s.tx.explicit && !s.tx.several}
	names := make([]string, len(in.targets))
	for i, ord := range in.targets {
		names[i] = dml.Rel.Columns[ord].Name
	}
	var err error
	if in.options, err = copyOptions(q, names); err != nil {
		return nil, err
	}
	if in.dec, err = copyfmt.NewDecoder(in.options, names); err != nil {
		return nil, err
	}
	if in.fixed, err = s.defaults(ctx, dml.Rel, in.targets); err != nil {
		return nil, err
	}
	in.c = &change{s: s, ctx: ctx, dml: dml, env: s.env(ctx, nil), n: len(dml.Rel.Columns)}
	in.c.dml = &planner.DML{Kind: planner.DMLInsert, Rel: dml.Rel, Rowtime: -1}
	in.c.open()
	if in.c.checks, err = compileChecks(dml.Rel); err != nil {
		return nil, err
	}
	in.each = volatileDefaults(dml.Rel, in.targets)
	in.batch = exec.NewRowBatch(dml.Rel, copyRows)
	p.copyIn = in
	return in, nil
}

// Formats implements pgwire.CopyIn.
func (in *copyIn) Formats() []pgwire.Format { return copyFormats(in.options, len(in.targets)) }

func copyFormats(o copyfmt.Options, n int) []pgwire.Format {
	out := make([]pgwire.Format, n)
	for i := range out {
		if o.Kind == copyfmt.Binary {
			out[i] = pgwire.BinaryFormat
		}
	}
	return out
}

// Write implements pgwire.CopyIn.
func (in *copyIn) Write(ctx context.Context, chunk []byte) error {
	in.bytes += len(chunk)
	in.dec.Write(chunk)
	err := in.rows()
	if err == nil && in.asGoes && in.bytes >= copyStreamBytes {
		err = in.append(ctx)
	}
	return in.failed(ctx, err)
}

// Finish implements pgwire.CopyIn.
func (in *copyIn) Finish(ctx context.Context) error {
	in.dec.Finish()
	err := in.rows()
	if err == nil {
		err = in.insertAll()
	}
	if err == nil && in.asGoes {
		err = in.append(ctx)
	}
	if err == nil {
		err = in.stop()
	}
	if err != nil {
		return in.failed(ctx, err)
	}
	in.p.tag = fmt.Sprintf("COPY %d", in.c.count)
	in.p.done = true
	return nil
}

// Abort implements pgwire.CopyIn: the transaction is rolled back by whoever fails the statement.
func (in *copyIn) Abort(error) { in.p.finish() }

// stop ends the inserting.
func (in *copyIn) stop() error {
	w := in.insert
	if w == nil {
		return nil
	}
	in.insert = nil
	return w.finish()
}

// failed ends a COPY that has failed. What was wrong with an earlier row goes before what is wrong with a later one, which was parsed meanwhile. A
// COPY into a stream says how many rows stay.
func (in *copyIn) failed(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if earlier := in.stop(); earlier != nil {
		err = earlier
	}
	if err = cause(ctx, err); in.stayed == 0 {
		return err
	}
	e := *sqlerr.From(err)
	e.Detail = strings.TrimSpace(e.Detail + fmt.Sprintf(" The first %d rows are in stream %q and stay there.", in.stayed, in.c.dml.Rel.Name))
	return &e
}

// append makes what was copied so far durable.
func (in *copyIn) append(ctx context.Context) error {
	if err := in.insertAll(); err != nil {
		return err
	}
	s := in.c.s
	_, err := s.flushWrites(ctx, s.tx.writes)
	s.tx.writes.release()
	s.tx.writes = nil
	if err != nil {
		return err
	}
	in.c.open()
	in.stayed, in.bytes = in.c.count, 0
	return nil
}

// rows takes in what the decoder has.
func (in *copyIn) rows() error {
	for {
		fields, err := in.dec.Next()
		if err != nil {
			return err
		}
		if fields == nil {
			return nil
		}
		for i, ord := range in.targets {
			if err := in.field(in.batch.Cols[ord], fields[i]); err != nil {
				e := *sqlerr.From(err)
				e.Detail = fmt.Sprintf("COPY %s, line %d, column %s", in.c.dml.Rel.Name, in.dec.Line(), in.c.dml.Rel.Columns[ord].Name)
				return &e
			}
		}
		for ord, d := range in.fixed {
			in.batch.Cols[ord].AppendDatum(d)
		}
		for _, ord := range in.each {
			d, err := expr.Eval(in.c.dml.Rel.Columns[ord].Default, in.c.env)
			if err != nil {
				return err
			}
			in.batch.Cols[ord].AppendDatum(d)
		}
		in.batch.SetLen(in.batch.Len() + 1)
		if in.batch.Len() == copyRows {
			if err := in.handOver(); err != nil {
				return err
			}
		}
	}
}

// field appends one value to its column.
func (in *copyIn) field(v *vec.Vector, f copyfmt.Field) error {
	if f.Null {
		v.AppendNull()
		return nil
	}
	if in.options.Kind == copyfmt.Binary {
		return v.AppendBinary(f.Value)
	}
	return v.AppendText(f.Value, in.text)
}

// handOver gives the batch to the insert and goes on with an empty one.
func (in *copyIn) handOver() (err error) {
	if in.insert == nil {
		in.insert = startCopyInserter(in.c)
	}
	in.batch, err = in.insert.insert(in.batch)
	return err
}

// insertAll returns when all rows so far are inserted. If they are few it does so itself.
func (in *copyIn) insertAll() error {
	if in.insert == nil {
		if in.batch.Len() == 0 {
			return nil
		}
		err := in.c.insert(in.batch)
		in.batch.Reset()
		return err
	}
	if in.batch.Len() > 0 {
		if err := in.handOver(); err != nil {
			return err
		}
	}
	return in.insert.settle()
}

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
