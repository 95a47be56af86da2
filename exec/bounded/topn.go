package bounded

import (
	"slices"

	"github.com/millracedb/millrace/exec/expr"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// maxTopN is how many rows ORDER BY ... LIMIT keeps at most; beyond it the whole input is sorted.
const maxTopN = 64 << 10

// topN keeps the first rows of a sort: rows that sort behind the last one kept are dropped as they come, the others wait until there are
// twice as many as wanted and are sorted and cut.
type topN struct {
	q      *Query
	by     []planner.SortKey
	limit  int
	keys   []*expr.Program
	rows   *rowSet
	values *sortKeys
	charge int
	worst  *rowRef // the last row kept, once there are limit of them
	head   uint64  // that of its first key
	errs   expr.Errors
	sel    []int32
}

func (q *Query) openTopN(n *planner.Sort, limit int) (Iter, error) {
	in, err := q.open(n.In)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	exprs := make([]planner.Expr, len(n.By))
	for i, k := range n.By {
		exprs[i] = k.Expr
	}
	t := &topN{q: q, by: n.By, limit: limit, rows: &rowSet{schema: schema(n.In)}, values: &sortKeys{by: n.By}}
	if t.keys, err = expr.CompileAll(exprs); err != nil {
		return nil, err
	}
	for {
		b, err := in.Next()
		if err != nil {
			return nil, err
		}
		if b == nil {
			break
		}
		if err := t.add(b); err != nil {
			return nil, err
		}
		if t.rows.n >= 2*limit+4*batchRows {
			if err := t.cut(); err != nil {
				return nil, err
			}
		}
	}
	return &refIter{set: t.rows, refs: t.sorted()}, nil
}

// add keeps the rows of a batch that may be among the first.
func (t *topN) add(b *vec.Batch) error {
	t.errs.Reset(b.Len())
	t.sel = vec.All(t.sel[:0], b.Len())
	cols := make([]*vec.Vector, len(t.keys))
	for k, p := range t.keys {
		cols[k] = p.Eval(t.q.Env, b, t.sel, &t.errs)
	}
	if err := t.errs.First(); err != nil {
		return err
	}
	if t.worst != nil {
		t.drop(cols)
	}
	if len(t.sel) == 0 {
		return nil
	}
	return t.keep(b, cols, t.sel)
}

// drop takes the rows that sort behind the last one kept out of the selection. Integers are told apart by their heads.
func (t *topN) drop(cols []*vec.Vector) {
	ints := cols[0].Storage() == types.StoreInt
	kept := t.sel[:0]
	for _, i := range t.sel {
		if ints {
			if head, _ := headOf(t.by[0], cols[0], int(i), nil); head > t.head {
				continue
			}
		}
		if t.better(cols, int(i)) {
			kept = append(kept, i)
		}
	}
	t.sel = kept
}

// better reports whether a row sorts before the last one kept; an equal one came later and loses.
func (t *topN) better(cols []*vec.Vector, row int) bool {
	for k, key := range t.by {
		worst := t.values.cols[t.worst.batch][k].View(int(t.worst.row))
		if c := compareKey(key, cols[k].View(row), worst); c != 0 {
			return c < 0
		}
	}
	return false
}

func (t *topN) keep(b *vec.Batch, cols []*vec.Vector, sel []int32) error {
	if dataBytes(b) > maxCopyBytes {
		return errBatchTooLarge
	}
	kept := vec.NewBatch(t.rows.schema, len(sel))
	kept.AppendGather(b, sel)
	size := kept.MemSize()
	var keys []*vec.Vector
	for k, v := range cols {
		key := vec.NewVector(t.by[k].Expr.Type(), len(sel))
		key.AppendGather(v, sel)
		keys = append(keys, key)
		size += key.MemSize()
	}
	t.rows.batches = append(t.rows.batches, kept)
	t.rows.n += len(sel)
	t.values.cols = append(t.values.cols, keys)
	t.charge += size
	return t.q.Memory.grow(size)
}

// sorted returns the first rows in order.
func (t *topN) sorted() []rowRef {
	refs := t.rows.refs()
	slices.SortStableFunc(refs, t.values.compare)
	return refs[:min(t.limit, len(refs))]
}

// cut keeps the first rows alone and gives the memory of the others back.
func (t *topN) cut() error {
	refs := t.sorted()
	rows, values, charge := t.rows, t.values, t.charge
	t.rows, t.values, t.charge = &rowSet{schema: rows.schema}, &sortKeys{by: t.by}, 0
	for len(refs) > 0 {
		n := min(batchRows, len(refs))
		out := vec.NewBatch(rows.schema, n)
		keys := make([]*vec.Vector, len(t.by))
		for k, key := range t.by {
			keys[k] = vec.NewVector(key.Expr.Type(), n)
		}
		for _, r := range refs[:n] {
			out.AppendRow(rows.batches[r.batch], int(r.row), vec.Insert)
			for k, v := range values.cols[r.batch] {
				keys[k].AppendRow(v, int(r.row))
			}
		}
		if err := t.keep(out, keys, vec.All(nil, n)); err != nil {
			return err
		}
		refs = refs[n:]
	}
	if last := len(t.rows.batches) - 1; t.rows.n == t.limit && last >= 0 {
		t.worst = &rowRef{int32(last), int32(t.rows.batches[last].Len() - 1)}
		t.head, _ = headOf(t.by[0], t.values.cols[last][0], int(t.worst.row), nil)
	}
	return t.q.Memory.grow(-charge)
}
