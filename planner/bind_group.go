package planner

import (
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql"
)

// maxGroupingSets bounds what ROLLUP and CUBE expand to, as PostgreSQL does.
const maxGroupingSets = 4096

// groupKeys are the grouping expressions of a SELECT, each once, and the grouping sets over them.
type groupKeys struct {
	present bool
	exprs   []Expr
	index   map[string]int
	sets    [][]int // nil: one set of all keys
}

func (g *groupKeys) add(x Expr) int {
	key := exprKey(x)
	i, ok := g.index[key]
	if !ok {
		i = len(g.exprs)
		g.exprs = append(g.exprs, x)
		g.index[key] = i
	}
	return i
}

func (s *selectBlock) bindGroupBy() error {
	s.group.index = map[string]int{}
	g := s.sel.GroupBy
	if g == nil {
		return nil
	}
	s.group.present = true
	s.allow("GROUP BY", false, false, false)
	sets := [][]int{{}}
	plain := true
	for _, it := range g.Items {
		plain = plain && it.Kind == sql.GroupExpr
		alts, err := s.groupItem(it)
		if err != nil {
			return err
		}
		if len(sets)*len(alts) > maxGroupingSets {
			return sqlerr.New(sqlerr.StatementTooComplex, "too many grouping sets present (maximum %d)", maxGroupingSets).At(it.Offset())
		}
		var next [][]int
		for _, have := range sets {
			for _, alt := range alts {
				next = append(next, mergeSets(have, alt))
			}
		}
		sets = next
	}
	if g.Distinct {
		sets = distinctSets(sets)
	}
	if !plain && (len(sets) != 1 || len(sets[0]) != len(s.group.exprs)) {
		s.group.sets = sets
	}
	return nil
}

func mergeSets(a, b []int) []int {
	out := append([]int{}, a...)
next:
	for _, x := range b {
		for _, y := range out {
			if x == y {
				continue next
			}
		}
		out = append(out, x)
	}
	return out
}

func distinctSets(sets [][]int) [][]int {
	var out [][]int
next:
	for _, s := range sets {
		for _, t := range out {
			if len(mergeSets(s, t)) == len(s) && len(s) == len(t) {
				continue next
			}
		}
		out = append(out, s)
	}
	return out
}

// groupItem returns the grouping sets that one element stands for (PostgreSQL docs, 7.2.4).
func (s *selectBlock) groupItem(it *sql.GroupItem) ([][]int, error) {
	switch it.Kind {
	case sql.GroupEmpty:
		return [][]int{{}}, nil
	case sql.GroupExpr:
		set, err := s.groupExpr(it.Expr)
		return [][]int{set}, err
	}
	var parts [][][]int
	for _, sub := range it.Items {
		alts, err := s.groupItem(sub)
		if err != nil {
			return nil, err
		}
		parts = append(parts, alts)
	}
	var out [][]int
	switch it.Kind {
	case sql.GroupSets:
		for _, p := range parts {
			out = append(out, p...)
		}
	case sql.GroupRollup:
		for n := len(parts); n >= 0; n-- {
			set := []int{}
			for _, p := range parts[:n] {
				set = mergeSets(set, p[0])
			}
			out = append(out, set)
		}
	case sql.GroupCube:
		if len(parts) > 12 {
			return nil, sqlerr.New(sqlerr.StatementTooComplex, "CUBE is limited to 12 elements").At(it.Offset())
		}
		for mask := 1<<len(parts) - 1; mask >= 0; mask-- {
			set := []int{}
			for i, p := range parts {
				if mask&(1<<(len(parts)-1-i)) != 0 {
					set = mergeSets(set, p[0])
				}
			}
			out = append(out, set)
		}
	}
	return out, nil
}

// groupExpr binds one grouping expression: an ordinal, an input column, an output column's name, or any expression.
func (s *selectBlock) groupExpr(e sql.Expr) ([]int, error) {
	if row, ok := e.(*sql.Row); ok {
		set := []int{}
		for _, it := range row.Items {
			part, err := s.groupExpr(it)
			if err != nil {
				return nil, err
			}
			set = mergeSets(set, part)
		}
		return set, nil
	}
	i, isTarget, err := ordinal(e, len(s.targets), "GROUP BY")
	if err != nil {
		return nil, err
	}
	var x Expr
	if !isTarget {
		x, err = s.b.bindExpr(e)
		if err != nil && sqlerr.CodeOf(err) == sqlerr.UndefinedColumn {
			if j, err2 := s.output(e); err2 == nil && j >= 0 {
				i, isTarget, err = j, true, nil
			}
		}
		if err != nil {
			return nil, err
		}
	}
	if isTarget {
		t := &s.targets[i]
		if hasAgg(t.expr) {
			return nil, sqlerr.New(sqlerr.GroupingError, "aggregate functions are not allowed in GROUP BY").At(e.Offset())
		}
		t.expr = s.b.settle(t.expr)
		t.col.Type = t.expr.Type()
		x = t.expr
	}
	bound := x
	if at, ok := isMillis(x); ok {
		bound = at
	}
	if _, ok := bound.(*windowBound); ok {
		return []int{}, nil // every group has its window anyway
	}
	return []int{s.group.add(s.b.settle(x))}, nil
}

func hasAgg(e Expr) bool {
	return anyExpr(e, func(x Expr) bool { _, ok := x.(*aggRef); return ok })
}
