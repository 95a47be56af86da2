package bounded

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"

	"github.com/millracedb/millrace/exec/expr"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"

	"github.com/millracedb/millrace/exec/vec"
)

func negative(what string) error {
	code := sqlerr.InvalidRowCountInLimit
	if what == "OFFSET" {
		code = sqlerr.InvalidRowCountInOffset
	}
	return sqlerr.New(code, "%s must not be negative", what)
}

// compareKey orders two values as a sort key says; NULLs go where NullsFirst says, whatever the direction.
func compareKey(k planner.SortKey, a, b types.Datum) int {
	if a.Null || b.Null {
		switch {
		case a.Null && b.Null:
			return 0
		case a.Null == k.NullsFirst:
			return -1
		default:
			return 1
		}
	}
	c := types.Compare(k.Expr.Type(), a, b)
	if k.Desc {
		return -c
	}
	return c
}

// sortKeys holds the values of sort keys for each row of a set.
type sortKeys struct {
	by   []planner.SortKey
	cols [][]*vec.Vector // per batch of the set
}

func (q *Query) evalSortKeys(by []planner.SortKey, rows *rowSet) (*sortKeys, error) {
	exprs := make([]planner.Expr, len(by))
	for i, k := range by {
		exprs[i] = k.Expr
	}
	cols, err := q.evalColumns(exprs, rows)
	return &sortKeys{by: by, cols: cols}, err
}

// evalColumns computes expressions over every row of a set, one list of vectors per batch. Those that are columns are the set's own vectors.
func (q *Query) evalColumns(exprs []planner.Expr, rows *rowSet) ([][]*vec.Vector, error) {
	ps, err := expr.CompileAll(exprs)
	if err != nil {
		return nil, err
	}
	var errs expr.Errors
	out := make([][]*vec.Vector, len(rows.batches))
	for i, b := range rows.batches {
		sel := vec.All(nil, b.Len())
		for k, p := range ps {
			if c, ok := exprs[k].(*planner.ColumnRef); ok {
				out[i] = append(out[i], b.Cols[c.Ord])
				continue
			}
			errs.Reset(b.Len())
			v := p.Eval(q.Env, b, sel, &errs)
			if err := errs.First(); err != nil {
				return nil, err
			}
			kept := vec.NewVector(exprs[k].Type(), b.Len())
			kept.AppendGather(v, sel)
			if err := q.Memory.grow(kept.MemSize()); err != nil {
				return nil, err
			}
			out[i] = append(out[i], kept)
		}
	}
	return out, nil
}

func (s *sortKeys) compare(a, b rowRef) int { return s.compareFrom(0, a, b) }

// compareFrom compares two rows by their keys from number k on.
func (s *sortKeys) compareFrom(k int, a, b rowRef) int {
	for ; k < len(s.by); k++ {
		va, vb := s.cols[a.batch][k], s.cols[b.batch][k]
		var c int
		if va.Storage() == types.StoreInt && !va.HasNulls() && !vb.HasNulls() {
			if c = cmp.Compare(va.I64[a.row], vb.I64[b.row]); s.by[k].Desc {
				c = -c
			}
		} else {
			c = compareKey(s.by[k], va.View(int(a.row)), vb.View(int(b.row)))
		}
		if c != 0 {
			return c
		}
	}
	return 0
}

// sortRef is a row on its way to its place, with the beginning of its first key as a number that is in the order of the keys: most rows are told apart
// by it alone.
type sortRef struct {
	head uint64
	row  rowRef
}

// sortRefBytes is what a row under a sort is charged beyond its values: a sortRef, and a rowRef in the end.
const sortRefBytes = 16 + 8

// order returns the rows of a set in the order of the keys, those with equal keys as they stand in the set.
func (s *sortKeys) order(m *Memory, rows *rowSet) ([]rowRef, error) {
	if err := m.grow(sortRefBytes * rows.n); err != nil {
		return nil, err
	}
	list, whole := s.heads(rows)
	next := 0 // the first key that the heads do not decide
	if whole {
		next = 1
	}
	slices.SortFunc(list, func(a, b sortRef) int {
		if a.head != b.head {
			return cmp.Compare(a.head, b.head)
		}
		return cmp.Or(s.compareFrom(next, a.row, b.row), cmp.Compare(a.row.batch, b.row.batch), cmp.Compare(a.row.row, b.row.row))
	})
	refs := make([]rowRef, len(list))
	for i := range list {
		refs[i] = list[i].row
	}
	return refs, nil
}

// heads lists the rows of a set; whole tells that equal heads mean equal first keys.
func (s *sortKeys) heads(rows *rowSet) (list []sortRef, whole bool) {
	list = make([]sortRef, 0, rows.n)
	key := s.by[0]
	whole = key.Expr.Type().Kind.Storage() == types.StoreInt
	var buf []byte
	for i, b := range rows.batches {
		v := s.cols[i][0]
		whole = whole && !v.HasNulls()
		for row := range b.Len() {
			var head uint64
			head, buf = headOf(key, v, row, buf)
			list = append(list, sortRef{head, rowRef{int32(i), int32(row)}})
		}
	}
	return list, whole
}

// headOf returns the first 8 bytes of a sort key, those of NULL being the lowest or the highest there are. buf is scratch.
func headOf(key planner.SortKey, v *vec.Vector, row int, buf []byte) (uint64, []byte) {
	var head uint64
	switch {
	case v.IsNull(row) && key.NullsFirst:
		return 0, buf
	case v.IsNull(row):
		return math.MaxUint64, buf
	case v.Storage() == types.StoreInt:
		head = uint64(v.I64[row]) ^ 1<<63
	default:
		buf = types.AppendKey(buf[:0], v.Type, v.View(row))
		var first [8]byte
		copy(first[:], buf[1:]) // behind the byte that tells it from NULL
		head = binary.BigEndian.Uint64(first[:])
	}
	if key.Desc {
		head = ^head
	}
	return head, buf
}

func (q *Query) openSort(n *planner.Sort) (Iter, error) {
	in, err := q.open(n.In)
	if err != nil {
		return nil, err
	}
	rows, err := q.all(in, schema(n.In))
	if err != nil {
		return nil, err
	}
	keys, err := q.evalSortKeys(n.By, rows)
	if err != nil {
		return nil, err
	}
	refs, err := keys.order(q.Memory, rows)
	if err != nil {
		return nil, err
	}
	return &refIter{set: rows, refs: refs}, nil
}
