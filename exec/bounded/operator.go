package bounded

import (
	"context"
	"fmt"

	"github.com/millracedb/millrace/exec/expr"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// batchRows is how many rows an operator puts into a batch that it makes itself.
const batchRows = 1024

// Iter yields batches.
type Iter interface {
	// Next returns the next batch, never an empty one, or nil at the end. It is valid until the next call; rows are inserts.
	Next() (*vec.Batch, error)
	Close()
}

// Source opens the leaves of a plan.
type Source interface {
	// Scan yields the rows of s.Rel with the columns s.Cols. keys is nil, or the key tuples that the scan is restricted to. Whether it applies
	// s.Filter is its own choice: the filter is applied again.
	Scan(ctx context.Context, s *planner.Scan, keys [][]types.Datum) (Iter, error)
}

// Query is what a plan runs with.
type Query struct {
	Env    *expr.Env
	Source Source
	// Memory is charged for rows that operators hold. Nil: no limit.
	Memory *Memory
	// Actual, where not nil, gets what each operator does.
	Actual map[planner.Node]*Actual
	// work holds what WorkScans read: the rows of the last round of each RecursiveUnion in progress, and what the caller keeps.
	work map[int]*rowSet
}

// Memory is a budget in bytes for one query.
type Memory struct {
	Limit, used int64
}

func (m *Memory) grow(n int) error {
	if m == nil {
		return nil
	}
	m.used += int64(n)
	if m.used > m.Limit {
		return sqlerr.New(sqlerr.OutOfMemory, "the query needs more than its %d MiB of memory", m.Limit>>20).
			WithHint("Narrow the query with WHERE or LIMIT, or start the node with a larger --memory.")
	}
	return nil
}

// shrink gives back what is no longer held.
func (m *Memory) shrink(n int) {
	if m != nil {
		m.used -= int64(n)
	}
}

// Open builds the iterators of a plan.
func Open(q *Query, n planner.Node) (Iter, error) {
	q.Prepare()
	return q.open(n)
}

// Prepare lets expressions that are evaluated with q.Env run their subqueries, also where no plan is opened.
func (q *Query) Prepare() {
	if q.work == nil {
		q.work = map[int]*rowSet{}
	}
	if q.Env.RunSubquery == nil {
		q.Env.RunSubquery = q.subquery
	}
}

// Keep gives the WorkScans with the ID id their rows, which nobody changes any more.
func (q *Query) Keep(id int, rows []*vec.Batch) {
	if q.work == nil {
		q.work = map[int]*rowSet{}
	}
	q.work[id] = &rowSet{batches: rows}
}

func (q *Query) open(n planner.Node) (Iter, error) {
	return q.counted(n, func() (Iter, error) { return q.operator(n) })
}

func (q *Query) operator(n planner.Node) (Iter, error) {
	switch n := n.(type) {
	case *planner.Scan:
		return q.openScan(n)
	case *planner.Values:
		return q.openValues(n)
	case *planner.FuncScan:
		return q.openFuncScan(n)
	case *planner.Filter:
		return q.openFilter(n.In, n.Cond)
	case *planner.Project:
		return q.openProject(n)
	case *planner.Aggregate:
		return q.openAggregate(n)
	case *planner.WindowFunc:
		return q.openWindow(n)
	case *planner.Join:
		return q.openJoin(n)
	case *planner.SetOp:
		return q.openSetOp(n)
	case *planner.Distinct:
		return q.openDistinct(n)
	case *planner.Sort:
		return q.openSort(n)
	case *planner.Limit:
		return q.openLimit(n)
	case *planner.RecursiveUnion:
		return q.openRecursive(n)
	case *planner.WorkScan:
		return q.openWork(n)
	default:
		return nil, sqlerr.New(sqlerr.FeatureNotSupported, "a bounded query cannot run %s", fmt.Sprintf("%T", n))
	}
}

// schema returns the column types of a node's rows.
func schema(n planner.Node) []types.Type {
	cols := n.Props().Cols
	ts := make([]types.Type, len(cols))
	for i, c := range cols {
		ts[i] = c.Type
	}
	return ts
}

// all reads an iterator to its end and closes it.
func (q *Query) all(it Iter, ts []types.Type) (*rowSet, error) {
	defer it.Close()
	rows := &rowSet{schema: ts}
	for {
		b, err := it.Next()
		if err != nil || b == nil {
			return rows, err
		}
		if err := rows.add(q.Memory, b); err != nil {
			return rows, err
		}
	}
}

// rowSet holds rows in batches of bounded size, so that no vector grows beyond its span width.
type rowSet struct {
	schema  []types.Type
	batches []*vec.Batch
	n       int
}

// rowRef names a row of a rowSet.
type rowRef struct{ batch, row int32 }

func (s *rowSet) add(m *Memory, b *vec.Batch) error {
	if dataBytes(b) > maxCopyBytes {
		return errBatchTooLarge
	}
	c := vec.NewBatch(s.schema, b.Len())
	c.AppendGather(b, vec.All(nil, b.Len()))
	s.batches = append(s.batches, c)
	s.n += b.Len()
	return m.grow(c.MemSize())
}

// size is what the set's rows are charged with.
func (s *rowSet) size() int {
	n := 0
	for _, b := range s.batches {
		n += b.MemSize()
	}
	return n
}

func (s *rowSet) refs() []rowRef {
	refs := make([]rowRef, 0, s.n)
	for i, b := range s.batches {
		for j := range b.Len() {
			refs = append(refs, rowRef{int32(i), int32(j)})
		}
	}
	return refs
}

// iter yields the set's own batches.
func (s *rowSet) iter() Iter { return &setIter{batches: s.batches} }

type setIter struct{ batches []*vec.Batch }

func (it *setIter) Next() (*vec.Batch, error) {
	for len(it.batches) > 0 {
		b := it.batches[0]
		it.batches = it.batches[1:]
		if b.Len() > 0 {
			return b, nil
		}
	}
	return nil, nil
}

func (it *setIter) Close() {}

// refIter yields rows of a set in the order of refs.
type refIter struct {
	set  *rowSet
	refs []rowRef
	out  *vec.Batch
}

func (it *refIter) Next() (*vec.Batch, error) {
	if len(it.refs) == 0 {
		return nil, nil
	}
	if it.out == nil {
		it.out = vec.NewBatch(it.set.schema, batchRows)
	}
	it.out.Reset()
	n := min(batchRows, len(it.refs))
	for _, r := range it.refs[:n] {
		it.out.AppendRow(it.set.batches[r.batch], int(r.row), vec.Insert)
	}
	it.refs = it.refs[n:]
	return it.out, nil
}

func (it *refIter) Close() {}

// under is q for a plan below the rows of env.
func (q *Query) under(env *expr.Env) *Query {
	inner := *q
	inner.Env = env
	return &inner
}

// subquery runs a plan for an expression.
func (q *Query) subquery(env *expr.Env, plan planner.Node) (expr.RowIter, error) {
	it, err := q.under(env).open(plan)
	if err != nil {
		return nil, err
	}
	return &rowIter{it: it, memory: q.Memory}, nil
}

type rowIter struct {
	it     Iter
	memory *Memory
	batch  *vec.Batch
	next   int
}

// Charge charges the query for rows that the expression keeps.
func (r *rowIter) Charge(bytes int) error { return r.memory.grow(bytes) }

func (r *rowIter) Next() ([]types.Datum, bool, error) {
	for r.batch == nil || r.next == r.batch.Len() {
		var err error
		if r.batch, err = r.it.Next(); err != nil || r.batch == nil {
			return nil, false, err
		}
		r.next = 0
	}
	r.next++
	return r.batch.Row(r.next - 1), true, nil
}

func (r *rowIter) Close() { r.it.Close() }
