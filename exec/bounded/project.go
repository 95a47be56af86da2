package bounded

import (
	"iter"

	"github.com/millracedb/millrace/exec/expr"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

type projectIter struct {
	q     *Query
	in    Iter
	exprs []*expr.Program
	out   *vec.Batch
	errs  expr.Errors
	sel   []int32
}

func (q *Query) openProject(n *planner.Project) (Iter, error) {
	for _, e := range n.Exprs {
		if setCall(e) != nil {
			return q.openProjectSet(n)
		}
	}
	in, err := q.open(n.In)
	if err != nil {
		return nil, err
	}
	ps, err := expr.CompileAll(n.Exprs)
	if err != nil {
		in.Close()
		return nil, err
	}
	return &projectIter{q: q, in: in, exprs: ps, out: &vec.Batch{Cols: make([]*vec.Vector, len(ps))}}, nil
}

// Next shares the vectors that the programs return: they are valid until the programs run again, as the batch is.
func (it *projectIter) Next() (*vec.Batch, error) {
	b, err := it.in.Next()
	if err != nil || b == nil {
		return nil, err
	}
	it.errs.Reset(b.Len())
	it.sel = vec.All(it.sel[:0], b.Len())
	for i, p := range it.exprs {
		it.out.Cols[i] = p.Eval(it.q.Env, b, it.sel, &it.errs)
	}
	if err := it.errs.First(); err != nil {
		return nil, err
	}
	it.out.Rowtime, it.out.Source = b.Rowtime, b.Source
	it.out.SetLen(b.Len())
	return it.out, nil
}

func (it *projectIter) Close() { it.in.Close() }

// setCall returns e as a call of a set-returning function, or nil.
func setCall(e planner.Expr) *planner.Call {
	if c, ok := e.(*planner.Call); ok && c.Func.Kind == planner.SetFunc {
		return c
	}
	return nil
}

// projectSetIter multiplies rows by set-returning functions in the select list. Several run side by side and the shorter
// ones are filled up with NULLs (PostgreSQL docs, 38.5.9).
type projectSetIter struct {
	q     *Query
	in    Iter
	plain []*expr.Program // nil where a set call stands
	sets  []*setColumn    // nil where a plain expression stands
	out   *vec.Batch
	batch *vec.Batch
	row   int
	live  bool
}

type setColumn struct {
	call *expr.SetCall
	args []*expr.Program
	next func() ([]types.Datum, error, bool)
	stop func()
}

func (q *Query) openProjectSet(n *planner.Project) (Iter, error) {
	it := &projectSetIter{
		q: q, plain: make([]*expr.Program, len(n.Exprs)), sets: make([]*setColumn, len(n.Exprs)),
		out: vec.NewBatch(schema(n), batchRows),
	}
	for i, e := range n.Exprs {
		var err error
		if c := setCall(e); c != nil {
			s := &setColumn{}
			if s.call, err = expr.CompileSet(c.Func, argTypes(c.Args), c.Typ); err == nil {
				s.args, err = expr.CompileAll(c.Args)
			}
			it.sets[i] = s
		} else {
			it.plain[i], err = expr.Compile(e)
		}
		if err != nil {
			return nil, err
		}
	}
	var err error
	it.in, err = q.open(n.In)
	return it, err
}

func (it *projectSetIter) Next() (*vec.Batch, error) {
	it.out.Reset()
	rows := 0
	for rows < batchRows && heldBytes(it.out) < maxBatchBytes {
		if !it.live {
			more, err := it.start()
			if err != nil {
				return nil, err
			}
			if !more {
				break
			}
		}
		ok, err := it.emit()
		if err != nil {
			return nil, err
		}
		if ok {
			rows++
		}
	}
	it.out.SetLen(rows)
	if rows == 0 {
		return nil, nil
	}
	return it.out, nil
}

// start goes to the next input row and calls its functions.
func (it *projectSetIter) start() (bool, error) {
	for it.batch == nil || it.row == it.batch.Len() {
		var err error
		if it.batch, err = it.in.Next(); err != nil || it.batch == nil {
			return false, err
		}
		it.row = 0
	}
	for _, s := range it.sets {
		if s == nil {
			continue
		}
		args := make([]types.Datum, len(s.args))
		for k, p := range s.args {
			var err error
			if args[k], err = p.Scalar(it.q.Env, it.batch, it.row); err != nil {
				return false, err
			}
		}
		s.next, s.stop = iter.Pull2(s.call.Rows(it.q.Env, args))
	}
	it.live = true
	return true, nil
}

// emit appends one output row; false when the functions of this input row are exhausted.
func (it *projectSetIter) emit() (bool, error) {
	values := make([]types.Datum, len(it.sets))
	any := false
	for i, s := range it.sets {
		if s == nil {
			continue
		}
		values[i] = types.NullDatum
		row, err, ok := s.next()
		if err != nil {
			return false, err
		}
		if ok {
			any = true
			values[i] = setValue(row, it.out.Cols[i].Type)
		}
	}
	if !any {
		it.stopAll()
		it.live = false
		it.row++
		return false, nil
	}
	for i, p := range it.plain {
		if p == nil {
			continue
		}
		var err error
		if values[i], err = p.Scalar(it.q.Env, it.batch, it.row); err != nil {
			return false, err
		}
	}
	for c, d := range values {
		it.out.Cols[c].AppendDatum(d)
	}
	return true, nil
}

// setValue is a row of a set-returning function as one value: its only column, or a record of all.
func setValue(row []types.Datum, t types.Type) types.Datum {
	if len(row) == 1 {
		return row[0]
	}
	return types.StructDatum(t.Fields, row)
}

func (it *projectSetIter) stopAll() {
	for _, s := range it.sets {
		if s != nil && s.stop != nil {
			s.stop()
			s.stop = nil
		}
	}
}

func (it *projectSetIter) Close() {
	it.stopAll()
	it.in.Close()
}
