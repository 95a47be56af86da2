package exec

import (
	"slices"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/planner"
)

// aggCall is one aggregate of the SELECT list.
type aggCall struct {
	build  func() accumulator
	acc    accumulator
	nargs  int
	args   *evaluator // arguments and the expressions of ORDER BY; nil for count(*)
	filter *evaluator
	sel    []int32
	cols   []*vec.Vector // of args
}

func (o *aggregateOp) addCall(a *planner.Agg, ordinal int) (err error) {
	c := aggCall{nargs: len(a.Args)}
	exprs := a.Args
	if a.Func.Kind == planner.OrderedSetFunc {
		c.nargs, exprs = 0, nil // direct arguments are not of rows
	}
	for _, k := range a.OrderBy {
		exprs = append(exprs[:len(exprs):len(exprs)], k.Expr)
	}
	if len(exprs) > 0 {
		if c.args, err = newEvaluator(o.cx, exprs); err != nil {
			return err
		}
	}
	if a.Filter != nil {
		if c.filter, err = newEvaluator(o.cx, []planner.Expr{a.Filter}); err != nil {
			return err
		}
	}
	if c.build, err = newAccumulator(o, a, ordinal); err != nil {
		return err
	}
	o.calls = append(o.calls, c)
	return nil
}

// update takes the rows sel into an accumulator of the call, row i into slot slots[i].
func (c *aggCall) update(acc accumulator, in *vec.Batch, slots, sel []int32) error {
	rows := aggInput{batch: in, slots: slots, sel: sel}
	if c.args != nil {
		rows.args, rows.order = c.cols[:c.nargs], c.cols[c.nargs:]
	}
	return acc.update(&rows)
}

// evalCalls computes filters and arguments, and takes the rows that fail anywhere out of the selection.
func (o *aggregateOp) evalCalls(in *vec.Batch) error {
	failed := false
	for i := range o.calls {
		c := &o.calls[i]
		sel := o.sel
		if c.filter != nil {
			v := c.filter.eval(in, o.sel)[0]
			c.filter.reportAdds(in)
			c.sel = c.filter.errs.Drop(nil, vec.True(nil, v, o.sel))
			sel, failed = c.sel, failed || c.filter.errs.Any()
		}
		if c.args != nil {
			c.cols = c.args.eval(in, sel)
			c.args.reportAdds(in)
			failed = failed || c.args.errs.Any()
		}
	}
	if !failed {
		return nil
	}
	o.dropRows(func(i int32) bool {
		for k := range o.calls {
			c := &o.calls[k]
			if c.filter != nil && c.filter.errs.Has(i) || c.args != nil && c.args.errs.Has(i) {
				return true
			}
		}
		return false
	})
	return nil
}

// dropRows takes bad rows out of all selections.
func (o *aggregateOp) dropRows(bad func(i int32) bool) {
	o.sel = slices.DeleteFunc(o.sel, bad)
	for k := range o.calls {
		o.calls[k].sel = slices.DeleteFunc(o.calls[k].sel, bad)
	}
}
