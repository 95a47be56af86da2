package bounded

import (
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

// evalColumns computes expressions over every row of a set, one list of vectors per batch.
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

func (s *sortKeys) compare(a, b rowRef) int {
	for k, key := range s.by {
		va, vb := s.cols[a.batch][k], s.cols[b.batch][k]
		if c := compareKey(key, va.View(int(a.row)), vb.View(int(b.row))); c != 0 {
			return c
		}
	}
	return 0
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
	refs := rows.refs()
	slices.SortStableFunc(refs, keys.compare)
	return &refIter{set: rows, refs: refs}, nil
}
