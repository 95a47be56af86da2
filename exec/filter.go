package exec

import (
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// filterOp keeps the rows for which a condition is true. Where rows update, a row that no longer passes becomes a delete, for
// its older version may have passed; of an update whose halves part, a delete or an insert is left.
type filterOp struct {
	edge
	cond  *evaluator
	mode  planner.ChangeMode
	out   *vec.Batch
	clock []int64
	sel   []int32
	adds  []int32
	ops   []vec.Op
}

func newFilter(cx *opContext, cond planner.Expr, mode planner.ChangeMode, schema []types.Type, to edge) (*filterOp, error) {
	e, err := newEvaluator(cx, []planner.Expr{cond})
	if err != nil {
		return nil, err
	}
	return &filterOp{edge: to, cond: e, mode: mode, out: vec.NewBatch(schema, 0)}, nil
}

func (f *filterOp) push(in chunk, _ int) error {
	var ops []vec.Op
	switch f.mode {
	case planner.ModeAppend:
		v := f.cond.evalAll(in.Batch)[0]
		f.sel = f.passed(f.sel[:0], v, f.cond.sel)
	case planner.ModeUpsert:
		ops = f.upserts(in.Batch)
	case planner.ModeRetract:
		ops = f.retractions(in.Batch)
	}
	f.cond.reportAdds(in.Batch)
	if len(f.sel) == in.Len() && ops == nil {
		return f.send(in)
	}
	f.out.Reset()
	f.out.AppendGather(in.Batch, f.sel)
	if ops != nil {
		f.out.Ops = append(f.out.Ops[:0], ops...)
	}
	return f.send(chunk{f.out, f.gatherClock(in.clock)})
}

func (f *filterOp) gatherClock(clock []int64) []int64 {
	if clock == nil {
		return nil
	}
	f.clock = f.clock[:0]
	for _, i := range f.sel {
		f.clock = append(f.clock, clock[i])
	}
	return f.clock
}

// passed appends the rows of sel that are true and did not fail.
func (f *filterOp) passed(dst []int32, v *vec.Vector, sel []int32) []int32 {
	from := len(dst)
	dst = vec.True(dst, v, sel)
	if !f.cond.errs.Any() {
		return dst
	}
	kept := dst[:from]
	for _, i := range dst[from:] {
		if !f.cond.errs.Has(i) {
			kept = append(kept, i)
		}
	}
	return kept
}

// upserts selects all rows and says what becomes of each: deletes have only their key, so they are passed on unseen.
func (f *filterOp) upserts(in *vec.Batch) []vec.Op {
	f.adds = f.adds[:0]
	for i := range in.Len() {
		if in.Op(i).Adds() {
			f.adds = append(f.adds, int32(i))
		}
	}
	v := f.cond.eval(in, f.adds)[0]
	f.sel = vec.All(f.sel[:0], in.Len())
	f.ops = f.ops[:0]
	for i := range in.Len() {
		op := in.Op(i)
		if op.Adds() && (f.cond.errs.Has(int32(i)) || !v.Bool(i)) {
			op = vec.Delete
		}
		f.ops = append(f.ops, op)
	}
	return f.ops
}

// retractions selects the rows that pass and mends updates of which one half is left.
func (f *filterOp) retractions(in *vec.Batch) []vec.Op {
	v := f.cond.evalAll(in)[0]
	keep := func(i int) bool { return i < in.Len() && !f.cond.errs.Has(int32(i)) && v.Bool(i) }
	f.sel, f.ops = f.sel[:0], f.ops[:0]
	for i := range in.Len() {
		if !keep(i) {
			continue
		}
		op := in.Op(i)
		switch {
		case op == vec.UpdateDelete && !keep(i+1):
			op = vec.Delete
		case op == vec.UpdateInsert && (i == 0 || in.Op(i-1) != vec.UpdateDelete || !keep(i-1)):
			op = vec.Insert
		}
		f.sel, f.ops = append(f.sel, int32(i)), append(f.ops, op)
	}
	return f.ops
}

func (f *filterOp) flush(int64) error { return nil }
