package exec

import (
	"slices"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/planner"
)

// projectOp computes columns. Rows whose expressions fail take no part. Over upserts a delete has only its key, so for
// deletes the change key alone is computed, and a row that fails becomes a delete, for its older version must go.
type projectOp struct {
	edge
	cols  *evaluator
	keys  *evaluator // the change key's columns, for deletes in upsert mode
	mode  planner.ChangeMode
	key   []int
	view  vec.Batch
	out   *vec.Batch
	clock []int64
	sel   []int32
	ops   []vec.Op
}

func newProject(cx *opContext, n *planner.Project, to edge) (*projectOp, error) {
	cols, err := newEvaluator(cx, n.Exprs)
	if err != nil {
		return nil, err
	}
	p := &projectOp{edge: to, cols: cols, mode: n.In.Props().Mode, key: n.P.ChangeKey, out: vec.NewBatch(schemaOf(n), 0)}
	if p.mode == planner.ModeUpsert {
		var es []planner.Expr
		for _, k := range p.key {
			es = append(es, n.Exprs[k])
		}
		if p.keys, err = newEvaluator(cx, es); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *projectOp) push(in chunk, _ int) error {
	if p.mode == planner.ModeUpsert && slices.ContainsFunc(in.Ops, func(op vec.Op) bool { return !op.Adds() }) {
		return p.pushUpserts(in)
	}
	cols := p.cols.evalAll(in.Batch)
	if !p.cols.errs.Any() {
		return p.send(chunk{p.alias(in.Batch, cols), in.clock})
	}
	if p.mode == planner.ModeUpsert {
		return p.pushUpserts(in)
	}
	p.cols.reportAdds(in.Batch)
	p.sel, p.ops = p.sel[:0], p.ops[:0]
	failed := func(i int) bool { return p.cols.errs.Has(int32(i)) }
	for i := range in.Len() {
		if failed(i) {
			continue
		}
		op := in.Op(i)
		switch {
		case op == vec.UpdateDelete && i+1 < in.Len() && failed(i+1):
			op = vec.Delete
		case op == vec.UpdateInsert && i > 0 && failed(i-1):
			op = vec.Insert
		}
		p.sel, p.ops = append(p.sel, int32(i)), append(p.ops, op)
	}
	return p.sendSelected(in, cols)
}

// alias returns a batch of cols with the operations, times and provenance of in.
func (p *projectOp) alias(in *vec.Batch, cols []*vec.Vector) *vec.Batch {
	p.view = vec.Batch{Cols: cols, Ops: in.Ops, Rowtime: in.Rowtime, Source: in.Source}
	p.view.SetLen(in.Len())
	return &p.view
}

func (p *projectOp) sendSelected(in chunk, cols []*vec.Vector) error {
	p.out.Reset()
	p.out.AppendGather(p.alias(in.Batch, cols), p.sel)
	p.out.Ops = append(p.out.Ops[:0], p.ops...)
	var clock []int64
	if in.clock != nil {
		p.clock = p.clock[:0]
		for _, i := range p.sel {
			p.clock = append(p.clock, in.clock[i])
		}
		clock = p.clock
	}
	return p.send(chunk{p.out, clock})
}

// pushUpserts computes new rows and, for deletes and new rows that failed, the key.
func (p *projectOp) pushUpserts(in chunk) error {
	p.sel = p.sel[:0]
	for i := range in.Len() {
		if in.Op(i).Adds() {
			p.sel = append(p.sel, int32(i))
		}
	}
	cols := p.cols.eval(in.Batch, p.sel)
	p.cols.reportAdds(in.Batch)
	keys := p.keys.evalAll(in.Batch)
	p.out.Reset()
	p.clock = p.clock[:0]
	view := p.alias(in.Batch, cols)
	for i := range in.Len() {
		switch {
		case in.Op(i).Adds() && !p.cols.errs.Has(int32(i)):
			p.out.AppendRow(view, i, in.Op(i))
		case p.keys.errs.Has(int32(i)):
			continue
		default:
			p.appendDelete(in.Batch, keys, i)
		}
		if in.clock != nil {
			p.clock = append(p.clock, in.clock[i])
		}
	}
	var clock []int64
	if in.clock != nil {
		clock = p.clock
	}
	return p.send(chunk{p.out, clock})
}

// appendDelete appends a delete of row i that has only its key.
func (p *projectOp) appendDelete(in *vec.Batch, keys []*vec.Vector, i int) {
	meta := vec.Batch{Rowtime: in.Rowtime, Source: in.Source}
	meta.SetLen(in.Len())
	none := vec.Batch{Rowtime: p.out.Rowtime, Source: p.out.Source, Ops: p.out.Ops}
	none.SetLen(p.out.Len())
	none.AppendRow(&meta, i, vec.Delete)
	for c, col := range p.out.Cols {
		col.AppendNull()
		for k, ord := range p.key {
			if ord == c {
				col.SetRow(p.out.Len(), keys[k], i)
			}
		}
	}
	p.out.Ops, p.out.Rowtime, p.out.Source = none.Ops, none.Rowtime, none.Source
	p.out.SetLen(none.Len())
}

func (p *projectOp) flush(int64) error { return nil }
