package planner

import "github.com/millracedb/millrace/sql/types"

// A mark join tells for each row of its left side whether the right side has a match for it: EXISTS tied to its outer row by equalities and
// further conditions. It is a left join of which a row leaves once, whatever number of matches it has, with TRUE in one more column if there are any
// and NULL if not.

// markColumn is that column.
var markColumn = Col{Name: "found", Type: types.Of(types.Bool)}

// markJoin joins l with r where outer equals inner and cond holds, which is over the columns of both. Of r only what these name is kept, each
// combination once.
func markJoin(l, r Node, outer, inner []Expr, cond Expr) *Join {
	nl := len(l.Props().Cols)
	exprs, cols := append([]Expr(nil), inner...), make([]Col, 0, len(inner))
	for i, k := range inner {
		cols = append(cols, Col{Name: keyName(k, i), Type: k.Type()})
	}
	places := map[int]int{}
	cond = mapExpr(cond, func(x Expr) Expr {
		c, ok := x.(*ColumnRef)
		if !ok || c.Ord < nl {
			return x
		}
		at, ok := places[c.Ord]
		if !ok {
			at = len(exprs)
			places[c.Ord] = at
			exprs = append(exprs, &ColumnRef{Ord: c.Ord - nl, Typ: c.Typ, Name: c.Name})
			cols = append(cols, Col{Name: c.Name, Type: c.Typ})
		}
		return &ColumnRef{Ord: nl + at, Typ: c.Typ, Name: c.Name}
	})
	rows := mergeProjects(newProject(r, exprs, cols))
	if !uniqueBy(rows, allOf(len(cols))) {
		rows = distinctRows(rows)
	}
	return newJoin(&Join{
		L: l, R: rows, Kind: LeftJoin, Mark: true, LKeys: outer, RKeys: refs(rows, sameColumns(len(inner))), Cond: cond,
	})
}

// mark is the column of a mark join that tells whether there is a match.
func (j *Join) mark() Expr {
	return &ColumnRef{Ord: len(j.L.Props().Cols), Typ: markColumn.Type, Name: markColumn.Name}
}

// existsOf restates x IN (subquery), the subquery being tied to the outer row, as the EXISTS that holds where it is TRUE; and NOT IN as the NOT EXISTS
// that holds where it is TRUE: nothing equals x or could, were it not NULL. It is nil where the subquery is not simple enough.
func existsOf(s *Subquery) *Subquery {
	if s.Negated {
		e := equalRows(s, func(equal Expr) Expr { return &BoolTest{Arg: equal, Want: types.BoolDatum(false), Negated: true} })
		if e != nil {
			e.Negated = true
		}
		return e
	}
	return equalRows(s, func(equal Expr) Expr { return equal })
}

// equalRows is the EXISTS of a row of a tied subquery for which holds what test makes of its equality with x; nil where it is not simple enough.
func equalRows(s *Subquery, test func(equal Expr) Expr) *Subquery {
	p, ok := s.Plan.(*Project)
	if s.Kind != SubqueryAny || !ok || anySet(p.Exprs) {
		return nil
	}
	in, conds := p.In, []Expr(nil)
	if f, ok := in.(*Filter); ok {
		in, conds = f.In, conjuncts(f.Cond)
	}
	var equal []Expr
	for i, op := range s.Op {
		if op.Name != "=" || hasSubquery(s.Left[i]) || hasOuter(s.Left[i]) || hasSubquery(p.Exprs[i]) {
			return nil
		}
		equal = append(equal, &Call{Func: op, Args: []Expr{toOuter(s.Left[i], 1), p.Exprs[i]}, Typ: types.Of(types.Bool)})
	}
	conds = append(conds, conjuncts(test(conjunction(equal)))...)
	return &Subquery{Kind: SubqueryExists, Plan: newFilter(in, conjunction(conds)), Correlated: true, Typ: types.Of(types.Bool)}
}

// tiedMember restates x [NOT] IN (subquery) where the subquery is tied to the outer row: true if a row equals x, else NULL if one could, else false.
func (u *unnester) tiedMember(s *Subquery) Expr {
	again := copyPlan(s.Plan)
	if again == nil {
		return nil
	}
	second := *s
	second.Plan = again
	same := equalRows(s, func(equal Expr) Expr { return equal })
	unknown := equalRows(&second, func(equal Expr) Expr { return &BoolTest{Arg: equal, Want: types.NullDatum} })
	if same == nil || unknown == nil {
		return nil
	}
	before := u.in
	yes, null := u.existsFor(same), u.existsFor(unknown)
	if yes == nil || null == nil {
		u.in = before
		return nil
	}
	found, not := boolConst(true), boolConst(false)
	if s.Negated {
		found, not = not, found
	}
	return &Case{Whens: []When{{yes, found}, {null, nullConst(types.Of(types.Bool))}}, Else: not, Typ: types.Of(types.Bool)}
}
