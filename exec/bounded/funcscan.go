package bounded

import (
	"iter"

	"github.com/millracedb/millrace/exec/expr"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// argTypes returns the types of expressions.
func argTypes(es []planner.Expr) []types.Type {
	ts := make([]types.Type, len(es))
	for i, e := range es {
		ts[i] = e.Type()
	}
	return ts
}

type funcIter struct {
	q          *Query
	next       func() ([]types.Datum, error, bool)
	stop       func()
	out        *vec.Batch
	ordinality bool
	n          int64
}

func (q *Query) openFuncScan(n *planner.FuncScan) (Iter, error) {
	ret := n.Func.Ret
	if len(n.P.Cols) > 0 {
		ret = n.P.Cols[0].Type
	}
	call, err := expr.CompileSet(n.Func, argTypes(n.Args), ret)
	if err != nil {
		return nil, err
	}
	args, err := q.evalAll(n.Args)
	if err != nil {
		return nil, err
	}
	it := &funcIter{q: q, out: vec.NewBatch(schema(n), batchRows), ordinality: n.Ordinality}
	it.next, it.stop = iter.Pull2(call.Rows(q.Env, args))
	return it, nil
}

func (it *funcIter) Next() (*vec.Batch, error) {
	if err := it.q.Env.Ctx.Err(); err != nil {
		return nil, err
	}
	it.out.Reset()
	rows := 0
	for ; rows < batchRows && heldBytes(it.out) < maxBatchBytes; rows++ {
		row, err, ok := it.next()
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		for c, d := range row {
			it.out.Cols[c].AppendDatum(d)
		}
		if it.ordinality {
			it.n++
			it.out.Cols[len(row)].AppendInt(it.n)
		}
	}
	it.out.SetLen(rows)
	if rows == 0 {
		return nil, nil
	}
	return it.out, nil
}

func (it *funcIter) Close() { it.stop() }
