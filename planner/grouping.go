package planner

import (
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// groupingRef stands for GROUPING(args) until the Aggregate node is there (PostgreSQL docs, 9.21, "Grouping Operations").
type groupingRef struct {
	args []Expr
	pos  sql.Pos
}

// Type implements Expr.
func (*groupingRef) Type() types.Type { return types.Of(types.Int4) }
func (*groupingRef) exprNode()        {}

// maxGroupingArgs is how many bits the result has.
const maxGroupingArgs = 31

func (b *binder) bindGrouping(e *sql.FuncCall) (Expr, error) {
	switch {
	case b.aggs == nil:
		return nil, sqlerr.New(sqlerr.GroupingError, "grouping operations are not allowed in %s", b.clause).At(e.Offset())
	case len(e.Args) > maxGroupingArgs:
		return nil, sqlerr.New(sqlerr.TooManyArguments, "GROUPING must have fewer than 32 arguments").At(e.Offset())
	}
	inner := *b
	inner.aggs, inner.windows, inner.srf, inner.clause = nil, nil, false, "GROUPING"
	args, _, err := inner.bindArgs(e)
	if err != nil {
		return nil, err
	}
	for i := range args {
		args[i] = b.settle(args[i])
	}
	b.aggs.grouping = true
	return &groupingRef{args: args, pos: e.Pos}, nil
}

// grouping computes GROUPING from the output of the aggregate: a bit for each argument, the last the lowest, set where the row's grouping set does not
// have it.
func (r *regrouper) grouping(g *groupingRef) Expr {
	t := types.Of(types.Int4)
	var sum Expr = &Const{t, types.IntDatum(0)}
	for i, arg := range g.args {
		k, ok := r.s.group.index[exprKey(arg)]
		if !ok {
			if r.err == nil {
				r.err = sqlerr.New(sqlerr.GroupingError, "arguments to GROUPING must be grouping expressions of the associated query level").At(g.pos.Offset())
			}
			return sum
		}
		if r.s.group.sets == nil {
			continue // every row has all of them
		}
		mark := r.s.group.mark(k)
		bit := &Const{t, types.IntDatum(1 << (len(g.args) - 1 - i))}
		absent := &IsNull{Arg: &ColumnRef{Ord: mark, Typ: r.s.group.exprs[mark].Type(), Name: keyName(r.s.group.exprs[mark], mark)}}
		one := &Case{Whens: []When{{Cond: absent, Then: bit}}, Else: &Const{t, types.IntDatum(0)}, Typ: t}
		sum = &Call{Func: findFunc("+(int4,int4)"), Args: []Expr{sum, one}, Typ: t}
	}
	return sum
}

// mark returns the number of a key that is constant in the grouping sets which have key k, and so NULL in the others: a key itself may be NULL anyway.
func (g *groupKeys) mark(k int) int {
	value := &Const{types.Of(types.Text), types.BytesDatum("GROUPING(" + itoa(k+1) + ")")}
	n := len(g.exprs)
	mark := g.add(value)
	if mark < n {
		return mark
	}
	for i, set := range g.sets {
		if contains(set, k) {
			g.sets[i] = append(set[:len(set):len(set)], mark)
		}
	}
	return mark
}
