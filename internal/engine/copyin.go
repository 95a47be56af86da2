package engine

import (
	"context"
	"fmt"
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
