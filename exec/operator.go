package exec

import (
	"github.com/millracedb/millrace/exec/expr"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// noTime is the stream time before anything was read.
const noTime = -1 << 63

// chunk is a batch of changes on its way through a task. It belongs to the sender: a receiver copies what must outlive push.
type chunk struct {
	*vec.Batch
	// clock is the operator's stream time (ms) as each row was read, so that whether a row is late does not depend on where
	// batches were cut. It is nil where no window above asks, or where the rows are results: then the task's present time counts.
	clock []int64
}

// operator takes changes and gives changes to the next one. A task calls push any number of times, then flush before each
// commit, inputs before those they feed. Nothing else runs meanwhile: operators know no other goroutine.
type operator interface {
	push(in chunk, port int) error
	// flush emits what was held back so that a commit has one change per key, and gives the rows that changed to the task's
	// state. now is the stream time of the task.
	flush(now int64) error
}

// edge is where an operator's output goes, and who counts it.
type edge struct {
	next operator
	port int
	from *opCount // the node whose rows they are; nil: the rows are not counted
	into *opCount // the node that next is a part of
	m    *meter   // nil: the time is not counted
}

func (e edge) send(c chunk) error {
	if c.Len() == 0 {
		return nil
	}
	if e.from != nil {
		e.from.rows += int64(c.Len())
	}
	if e.m == nil {
		return e.next.push(c, e.port)
	}
	was := e.m.enter(e.into)
	err := e.next.push(c, e.port)
	e.m.enter(was)
	return err
}

// opContext is what all operators of a task share.
type opContext struct {
	env    *expr.Env
	state  *taskState
	errors *errorRows
	// now is the stream time of the task, ms; noTime before anything was read.
	now int64
	// expiring: rows that leave now leave a table by RETENTION. Between the aggregate that says so and the sink there is nothing that holds rows.
	expiring bool
	// first: this is the task of partition 0, where rows without key are.
	first bool
}

// schemaOf returns the column types of a node's rows.
func schemaOf(n planner.Node) []types.Type {
	cols := n.Props().Cols
	ts := make([]types.Type, len(cols))
	for i, c := range cols {
		ts[i] = c.Type
	}
	return ts
}

// pick returns the columns with the given ordinals.
func pick(dst []*vec.Vector, cols []*vec.Vector, ords []int) []*vec.Vector {
	dst = dst[:0]
	for _, o := range ords {
		dst = append(dst, cols[o])
	}
	return dst
}

// rowtimeOf returns the rowtime of row i, 0 if the batch carries none.
func rowtimeOf(b *vec.Batch, i int) int64 {
	if i >= len(b.Rowtime) {
		return 0
	}
	return b.Rowtime[i]
}

// evaluator computes expressions over batches, each row's first failure gathered.
type evaluator struct {
	cx    *opContext
	progs []*expr.Program
	errs  expr.Errors
	sel   []int32
	cols  []*vec.Vector
}

func newEvaluator(cx *opContext, es []planner.Expr) (*evaluator, error) {
	progs, err := expr.CompileAll(es)
	if err != nil {
		return nil, err
	}
	return &evaluator{cx: cx, progs: progs, cols: make([]*vec.Vector, len(progs))}, nil
}

// eval computes all expressions for the rows sel. The vectors are valid until the next call. Rows that failed are in e.errs.
func (e *evaluator) eval(in *vec.Batch, sel []int32) []*vec.Vector {
	e.errs.Reset(in.Len())
	for i, p := range e.progs {
		e.cols[i] = p.Eval(e.cx.env, in, sel, &e.errs)
	}
	return e.cols
}

// evalAll computes all expressions for all rows.
func (e *evaluator) evalAll(in *vec.Batch) []*vec.Vector {
	e.sel = vec.All(e.sel[:0], in.Len())
	return e.eval(in, e.sel)
}

// reportAdds keeps the failures of rows that join the relation as error rows. A row that leaves was reported when it came.
func (e *evaluator) reportAdds(in *vec.Batch) {
	for _, f := range e.errs.List() {
		if in.Op(int(f.Row)).Adds() {
			e.cx.errors.row(errEval, in, int(f.Row), f.Err)
		}
	}
}
