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

// checkRows refuses rows that break a rule of the relation.
func (c *change) checkRows(b *vec.Batch) error {
	if err := c.checkNulls(b); err != nil {
		return err
	}
	for i, p := range c.checks {
		all := vec.All(nil, b.Len())
		c.errs.Reset(b.Len())
		v := p.Eval(c.env, b, all, &c.errs)
		if err := c.errs.First(); err != nil {
			return err
		}
		for _, row := range all {
			if v.IsNull(int(row)) || v.I64[row] != 0 {
				continue
			}
			rel := c.dml.Rel
			e := sqlerr.New(sqlerr.CheckViolation, "new row for relation %q violates check constraint %q", rel.Name, rel.Checks[i].Name).
				WithDetail("Failing row contains %s.", c.rowText(b, int(row)))
			e.Schema, e.Table, e.Constraint = rel.Schema, rel.Name, rel.Checks[i].Name
			return e
		}
	}
	return nil
}

func compileChecks(rel *planner.Relation) ([]*expr.Program, error) {
	exprs := make([]planner.Expr, len(rel.Checks))
	for i, k := range rel.Checks {
		exprs[i] = k.Expr
	}
	return expr.CompileAll(exprs)
}

// checkNulls refuses NULL in columns that do not take it. PostgreSQL's wording.
func (c *change) checkNulls(b *vec.Batch) error {
	rel := c.dml.Rel
	for ord, col := range rel.Columns {
		if !col.NotNull || col.Hidden || !b.Cols[ord].HasNulls() {
			continue
		}
		for i := range b.Len() {
			if b.Cols[ord].IsNull(i) {
				e := sqlerr.New(sqlerr.NotNullViolation, "null value in column %q of relation %q violates not-null constraint", col.Name, rel.Name).
					WithDetail("Failing row contains %s.", c.rowText(b, i))
				e.Schema, e.Table, e.Column = rel.Schema, rel.Name, col.Name
				return e
			}
		}
	}
	return nil
}

func (c *change) rowText(b *vec.Batch, i int) string {
	var parts []string
	for ord, col := range c.dml.Rel.Columns {
		if col.Hidden {
			continue
		}
		if b.Cols[ord].IsNull(i) {
			parts = append(parts, "null")
			continue
		}
		parts = append(parts, types.FormatText(col.Type, b.Cols[ord].View(i), c.s.text()))
	}
	return "(" + strings.Join(parts, ", ") + ")"
}

// insert writes the rows of a batch.
func (c *change) insert(b *vec.Batch) error {
	rows := c.full(b)
	if err := c.checkRows(rows); err != nil {
		return err
	}
	if !c.dml.Rel.Ordinary {
		if err := c.tx.Append(c.dml.Rel, rows); err != nil {
			return err
		}
		return c.emit(rows, nil, vec.All(nil, rows.Len()))
	}
	if c.dml.OnConflict != nil && len(c.uniques()) > 0 {
		return c.insertEach(rows)
	}
	existing, err := c.to.Insert(c.ctx, c.dml.Rel, rows)
	if err != nil {
		return err
	}
	fresh := without(rows.Len(), existing)
	if len(existing) > 0 && c.dml.OnConflict == nil {
		return c.duplicate(rows, int(existing[0]))
	}
	if c.conflict == nil {
		if err := c.verify(rows, fresh); err != nil {
			return err
		}
		return c.emit(rows, nil, fresh)
	}
	for _, i := range fresh {
		c.conflict.touched[c.keyText(rows, int(i))] = struct{}{}
	}
	if err := c.emit(rows, nil, fresh); err != nil {
		return err
	}
	return c.upsert(rows, existing, rows)
}

// without returns the numbers from 0 to n-1 that are not in gone, which is sorted.
func without(n int, gone []int32) []int32 {
	out := make([]int32, 0, n-len(gone))
	for i := range int32(n) {
		if len(gone) > 0 && gone[0] == i {
			gone = gone[1:]
			continue
		}
		out = append(out, i)
	}
	return out
}

// keyText is a row's key as bytes that are equal for equal keys.
func (c *change) keyText(b *vec.Batch, i int) string {
	var key []byte
	for _, ord := range c.dml.Rel.Key {
		key = types.AppendKey(key, c.dml.Rel.Columns[ord].Type, b.Cols[ord].View(i))
	}
	return string(key)
}

// duplicate is the refusal of a row whose key exists.
func (c *change) duplicate(b *vec.Batch, i int) error {
	return c.duplicateOf(c.dml.Rel.Name+"_pkey", c.dml.Rel.Key, b, i)
}

// keys are the key columns of the rows sel, in key order.
func (c *change) keys(b *vec.Batch, sel []int32) []*vec.Vector {
	out := make([]*vec.Vector, len(c.dml.Rel.Key))
	for k, ord := range c.dml.Rel.Key {
		out[k] = vec.NewVector(c.dml.Rel.Columns[ord].Type, len(sel))
		out[k].AppendGather(b.Cols[ord], sel)
	}
	return out
}

// upsert is ON CONFLICT DO UPDATE for the rows existing, each against the row with the key that held has at its place.
func (c *change) upsert(rows *vec.Batch, existing []int32, held *vec.Batch) error {
	for _, i := range existing {
		key := c.keyText(held, int(i))
		if _, ok := c.conflict.touched[key]; ok {
			return sqlerr.New(sqlerr.CardinalityViolation, "ON CONFLICT DO UPDATE command cannot affect row a second time").
				WithHint("Ensure that no rows proposed for insertion within the same command have duplicate constrained values.")
		}
		c.conflict.touched[key] = struct{}{}
	}
	if len(existing) == 0 {
		return nil
	}
	old, _, err := c.to.Read(c.ctx, c.dml.Rel, c.keys(held, existing), len(existing))
	if err != nil {
		return err
	}
	// SET sees the existing row, then the row proposed for insertion.
	both := &vec.Batch{Cols: append([]*vec.Vector{}, old.Cols...)}
	for ord, col := range rows.Cols {
		v := vec.NewVector(c.dml.Rel.Columns[ord].Type, len(existing))
		v.AppendGather(col, existing)
		both.Cols = append(both.Cols, v)
	}
	both.SetLen(len(existing))
	sel, err := c.filter(c.conflict.where, both, vec.All(nil, both.Len()))
	if err != nil {
		return err
	}
	return c.replace(both, sel, c.conflict.set, nil)
}

// filter narrows sel to the rows where cond, if there is one, is true.
func (c *change) filter(cond *expr.Program, b *vec.Batch, sel []int32) ([]int32, error) {
	if cond == nil {
		return sel, nil
	}
	c.errs.Reset(b.Len())
	v := cond.Eval(c.env, b, sel, &c.errs)
	if err := c.errs.First(); err != nil {
		return nil, err
	}
	return vec.True(nil, v, sel), nil
}

// replace writes new versions of rows, whose old versions are the first columns of b; extra are the columns that RETURNING sees
// after the relation's.
func (c *change) replace(b *vec.Batch, sel []int32, exprs []*expr.Program, extra []*vec.Vector) error {
	if len(sel) == 0 {
		return nil
	}
	next := exec.NewRowBatch(c.dml.Rel, len(sel))
	c.errs.Reset(b.Len())
	for ord, p := range exprs {
		v := p.Eval(c.env, b, sel, &c.errs)
		if err := c.errs.First(); err != nil {
			return err
		}
		next.Cols[ord].AppendGather(v, sel)
	}
	next.SetLen(len(sel))
	now := c.s.e.clock.Now().UnixMilli()
	for range sel {
		next.Rowtime = append(next.Rowtime, now)
	}
	if err := c.checkRows(next); err != nil {
		return err
	}
	if err := c.write(b, sel, next); err != nil {
		return err
	}
	if err := c.verifyChanged(b, sel, next); err != nil {
		return err
	}
	gathered := make([]*vec.Vector, len(extra))
	for i, v := range extra {
		gathered[i] = vec.NewVector(v.Type, len(sel))
		gathered[i].AppendGather(v, sel)
	}
	return c.emit(next, gathered, vec.All(nil, next.Len()))
}

// write replaces old versions by new ones. A row whose key changes is deleted under the old key and inserted under the new.
func (c *change) write(old *vec.Batch, sel []int32, next *vec.Batch) error {
	var moved, stayed []int32
	for k, i := range sel {
		if c.keyText(old, int(i)) == c.keyText(next, k) {
			stayed = append(stayed, int32(k))
		} else {
			moved = append(moved, int32(k))
		}
	}
	if len(moved) > 0 {
		gone, now := exec.NewRowBatch(c.dml.Rel, len(moved)), c.s.e.clock.Now().UnixMilli()
		for _, k := range moved {
			appendFrom(gone, old, int(sel[k]), vec.Delete, now)
		}
		if err := c.to.Write(c.dml.Rel, gone); err != nil {
			return err
		}
		fresh := exec.NewRowBatch(c.dml.Rel, len(moved))
		fresh.AppendGather(next, moved)
		existing, err := c.to.Insert(c.ctx, c.dml.Rel, fresh)
		if err != nil {
			return err
		}
		if len(existing) > 0 {
			return c.duplicate(fresh, int(existing[0]))
		}
	}
	same := exec.NewRowBatch(c.dml.Rel, len(stayed))
	same.AppendGather(next, stayed)
	return c.to.Write(c.dml.Rel, same)
}

// appendFrom appends the relation's columns of row i of src, as a change of the time now.
func appendFrom(dst, src *vec.Batch, i int, op vec.Op, now int64) {
	for c, col := range dst.Cols {
		col.AppendRow(src.Cols[c], i)
	}
	dst.AppendOp(op)
	dst.Rowtime = append(dst.Rowtime, now)
	dst.SetLen(dst.Len() + 1)
}

// current locks the rows of a source batch, replaces them by their present versions, and returns those that are still there and still
// meet the condition (READ COMMITTED: PostgreSQL docs, 13.2.1).
func (c *change) current(b *vec.Batch) ([]int32, error) {
	all := vec.All(nil, b.Len())
	now, found, err := c.to.Read(c.ctx, c.dml.Rel, c.keys(b, all), b.Len())
	if err != nil {
		return nil, err
	}
	if c.s.tx.freezes() && c.changed(b, now, found) {
		return nil, errConcurrentUpdate
	}
	copy(b.Cols[:c.n], now.Cols)
	var sel []int32
	for _, i := range all {
		if found[i] {
			sel = append(sel, i)
		}
	}
	return c.filter(c.where, b, sel)
}

// changed tells whether a row is no longer what the transaction's cut has.
func (c *change) changed(old, now *vec.Batch, found []bool) bool {
	for i, there := range found {
		if !there {
			return true
		}
		for ord, col := range c.dml.Rel.Columns {
			a, b := old.Cols[ord].View(i), now.Cols[ord].View(i)
			if a.Null != b.Null || !a.Null && types.Compare(col.Type, a, b) != 0 {
				return true
			}
		}
	}
	return false
}

func (c *change) update(b *vec.Batch) error {
	b, err := c.firstMatches(b)
	if err != nil {
		return err
	}
	sel, err := c.current(b)
	if err != nil {
		return err
	}
	sel = c.at.firstTo(c, b, sel)
	return c.replace(b, sel, c.newRow, b.Cols[c.n:])
}

func (c *change) delete(b *vec.Batch) error {
	b, err := c.firstMatches(b)
	if err != nil {
		return err
	}
	sel, err := c.current(b)
	if err != nil {
		return err
	}
	if sel = c.at.firstTo(c, b, sel); len(sel) == 0 {
		return nil
	}
	gone, now := exec.NewRowBatch(c.dml.Rel, len(sel)), c.s.e.clock.Now().UnixMilli()
	for _, i := range sel {
		appendFrom(gone, b, int(i), vec.Delete, now)
	}
	if err := c.to.Write(c.dml.Rel, gone); err != nil {
		return err
	}
	rows := &vec.Batch{Cols: b.Cols[:c.n:c.n]}
	rows.SetLen(b.Len())
	return c.emit(rows, b.Cols[c.n:], sel)
}

// firstMatches keeps the first source row of each target row: with FROM or USING several may match one.
func (c *change) firstMatches(b *vec.Batch) (*vec.Batch, error) {
	if c.dml.Extra == 0 {
		return b, nil
	}
	if c.conflict == nil {
		c.conflict = &conflict{touched: map[string]struct{}{}}
	}
	var sel []int32
	for i := range b.Len() {
		key := c.keyText(b, i)
		if _, ok := c.conflict.touched[key]; !ok {
			c.conflict.touched[key] = struct{}{}
			sel = append(sel, int32(i))
		}
	}
	out := vec.NewBatch(b.Schema(), len(sel))
	out.AppendGather(b, sel)
	return out, nil
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
