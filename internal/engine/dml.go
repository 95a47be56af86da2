package engine

import (
	"context"
	"fmt"
	"strings"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/exec/expr"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// change is one INSERT, UPDATE or DELETE in progress.
type change struct {
	s   *session
	ctx context.Context
	dml *planner.DML
	env *expr.Env
	tx  *exec.WriteTx // of what is not temporary
	to  rowStore
	n   int // columns of the relation

	where     *expr.Program
	checks    []*expr.Program
	newRow    []*expr.Program
	returning []*expr.Program
	conflict  *conflict
	count     int64
	results   []*vec.Batch
	errs      expr.Errors
	// at is set for a statement of several changes, or with subqueries outside of the source.
	at *changes
}

// conflict is ON CONFLICT DO UPDATE, compiled.
type conflict struct {
	set     []*expr.Program
	where   *expr.Program
	touched map[string]struct{} // keys that this statement has written
}

// runDML runs a statement with RETURNING.
func (s *session) runDML(ctx context.Context, p *portal) (rows, string, error) {
	c, err := s.change(ctx, p)
	if err != nil {
		return nil, "", err
	}
	return &batchRows{batches: c.results}, c.tag(), nil
}

// commandDML runs one without.
func (s *session) commandDML(ctx context.Context, p *portal) (string, error) {
	c, err := s.change(ctx, p)
	if err != nil {
		return "", err
	}
	return c.tag(), nil
}

func (c *change) tag() string {
	switch c.dml.Kind {
	case planner.DMLInsert:
		return fmt.Sprintf("INSERT 0 %d", c.count)
	case planner.DMLUpdate:
		return fmt.Sprintf("UPDATE %d", c.count)
	default:
		return fmt.Sprintf("DELETE %d", c.count)
	}
}

// change runs a data change into the transaction's buffer.
func (s *session) change(ctx context.Context, p *portal) (*change, error) {
	dml := p.st.dml
	ctx, cancel := s.statementContext(ctx)
	defer cancel()
	var c *change
	err := s.wholly(func() (err error) {
		if !dml.Subqueries && len(dml.Source.Changes) == 0 {
			c, err = s.runChange(ctx, dml, p.args, nil)
			return err
		}
		at, err := s.runChanges(ctx, dml.Source, p.args, nil)
		if err != nil {
			return err
		}
		defer at.close()
		c, err = s.runChange(ctx, dml, p.args, at)
		return err
	})
	return c, cause(ctx, err)
}

// wholly runs what writes, and takes back what it wrote if it fails: a statement is all or nothing, also within a block that goes on to a
// savepoint.
func (s *session) wholly(run func() error) error {
	mark, temp := s.begin().writes.len(), s.temp.mark()
	err := run()
	if err != nil {
		s.tx.writes.truncate(mark)
		s.restoreTemp(temp)
	}
	return err
}

// runChange runs one change into the transaction's buffer.
func (s *session) runChange(ctx context.Context, dml *planner.DML, args []types.Datum, at *changes) (*change, error) {
	if err := s.checkTarget(dml.Rel, dml.Kind); err != nil {
		return nil, err
	}
	c := &change{s: s, ctx: ctx, dml: dml, n: len(dml.Rel.Columns), at: at}
	if at == nil {
		c.env = s.env(ctx, args)
	} else {
		q := s.boundedQuery(ctx, at.snap, args, at)
		q.Prepare()
		c.env = q.Env
	}
	c.open()
	if err := c.compile(); err != nil {
		return nil, err
	}
	return c, c.run(args)
}

// open finds what takes the rows.
func (c *change) open() {
	if c.dml.Rel.Temporary {
		c.to = tempStore{c.s}
		return
	}
	c.tx = c.s.writeTx()
	c.to = c.tx
	c.s.made(c.dml.Rel)
}

// checkTarget refuses changes of what others write.
func (s *session) checkTarget(rel *planner.Relation, kind planner.DMLKind) error {
	verb := map[planner.DMLKind]string{planner.DMLInsert: "INSERT", planner.DMLUpdate: "UPDATE", planner.DMLDelete: "DELETE"}[kind]
	if err := s.checkWrite(verb); err != nil && !rel.Temporary {
		return err
	}
	switch {
	case rel.OID == notifyOID && kind == planner.DMLInsert:
	case rel.Kind == planner.Virtual || rel.OID < 16384:
		return sqlerr.New(sqlerr.InsufficientPrivilege, "permission denied: %q is a system relation", rel.Name)
	case rel.Query != 0:
		name := fmt.Sprint(rel.Query)
		if o, ok := s.e.queryObject(rel.Query); ok {
			name = o.Name
		}
		return sqlerr.New(sqlerr.WrongObjectType, "cannot change %q: it is the result of query %q", rel.Name, name).
			WithHint("Change what the query reads, or make an ordinary table.")
	case kind != planner.DMLInsert && !rel.Ordinary:
		return sqlerr.New(sqlerr.WrongObjectType, "cannot %s %q", strings.ToLower(verb), rel.Name).
			WithDetail("Only an ordinary table, one without WITH (topic), can be updated and deleted from.")
	}
	return nil
}

func (c *change) compile() error {
	var err error
	if c.checks, err = compileChecks(c.dml.Rel); err != nil {
		return err
	}
	if c.dml.Where != nil {
		if c.where, err = expr.Compile(c.dml.Where); err != nil {
			return err
		}
	}
	if c.newRow, err = expr.CompileAll(c.dml.New); err != nil {
		return err
	}
	if c.returning, err = expr.CompileAll(c.dml.Returning); err != nil {
		return err
	}
	if oc := c.dml.OnConflict; oc != nil && !oc.DoNothing {
		c.conflict = &conflict{touched: map[string]struct{}{}}
		if c.conflict.set, err = expr.CompileAll(oc.Set); err != nil {
			return err
		}
		if oc.Where != nil {
			if c.conflict.where, err = expr.Compile(oc.Where); err != nil {
				return err
			}
		}
	}
	return nil
}

// run reads the source batch by batch and applies each.
func (c *change) run(args []types.Datum) error {
	src, err := c.source(args)
	if err != nil {
		return err
	}
	defer src.close()
	for {
		b, _, err := src.next(c.ctx, true)
		if err != nil {
			return err
		}
		if b == nil {
			return nil
		}
		b = c.shape(b)
		switch c.dml.Kind {
		case planner.DMLInsert:
			err = c.insert(b)
		case planner.DMLUpdate:
			err = c.update(b)
		default:
			err = c.delete(b)
		}
		if err != nil {
			return err
		}
	}
}

// source opens the plan of the rows to write or to change.
func (c *change) source(args []types.Datum) (*pullRows, error) {
	if c.at == nil {
		return c.s.openPull(c.ctx, c.dml.Source, args, false)
	}
	c.at.snap.users++
	return c.s.openAt(c.at.snap, c.dml.Source, args, c.at)
}

// shape copies a source batch into columns of the relation's types: sources may share their vectors.
func (c *change) shape(b *vec.Batch) *vec.Batch {
	ts := b.Schema()
	for i, col := range c.dml.Rel.Columns {
		ts[i] = col.Type
	}
	out := vec.NewBatch(ts, b.Len())
	sel := vec.All(nil, b.Len())
	for i, col := range out.Cols {
		col.AppendGather(b.Cols[i], sel)
	}
	out.SetLen(b.Len())
	return out
}

// full are the relation's columns of a source batch, with their rowtime.
func (c *change) full(b *vec.Batch) *vec.Batch {
	out := &vec.Batch{Cols: b.Cols[:c.n:c.n]}
	out.SetLen(b.Len())
	now := c.s.e.clock.Now().UnixMilli()
	for i := range b.Len() {
		t := now
		if o := c.dml.Rowtime; c.dml.Kind == planner.DMLInsert && o >= 0 && !b.Cols[o].IsNull(i) {
			t = floorMillis(b.Cols[o].I64[i])
		}
		out.Rowtime = append(out.Rowtime, t)
	}
	return out
}

func floorMillis(us int64) int64 {
	ms := us / 1000
	if us%1000 < 0 {
		ms--
	}
	return ms
}

// emit counts the rows sel and computes RETURNING over them.
func (c *change) emit(rows *vec.Batch, extra []*vec.Vector, sel []int32) error {
	c.count += int64(len(sel))
	if len(c.returning) == 0 || len(sel) == 0 {
		return nil
	}
	in := &vec.Batch{Cols: append(append([]*vec.Vector{}, rows.Cols...), extra...)}
	in.SetLen(rows.Len())
	c.errs.Reset(in.Len())
	out := vec.NewBatch(nil, 0)
	for _, p := range c.returning {
		v := p.Eval(c.env, in, sel, &c.errs)
		if err := c.errs.First(); err != nil {
			return err
		}
		col := vec.NewVector(p.Type(), len(sel))
		col.AppendGather(v, sel)
		out.Cols = append(out.Cols, col)
	}
	out.SetLen(len(sel))
	c.results = append(c.results, out)
	return nil
}
