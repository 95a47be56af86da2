package planner

import "github.com/millracedb/millrace/sql/types"

// lowerSets runs GROUPING SETS, ROLLUP and CUBE: an aggregate for each set, brought together by UNION ALL. A row is identified by the number of its
// set and the grouping columns, NULL where the set has none.
func (s *streamer) lowerSets(x *Aggregate) (Node, []int, error) {
	if x.Window != nil {
		return nil, nil, notYet("GROUPING SETS with a window in a continuous query", "each set would close its windows by itself", "one view per grouping", -1)
	}
	number := Col{Name: "grouping_set", Type: types.Of(types.Int4), Hidden: true}
	cols := append(append([]Col(nil), x.P.Cols...), number)
	var all Node
	for i, set := range x.Sets {
		in := x.In
		if i < len(x.Sets)-1 {
			if in = copyPlan(x.In); in == nil {
				return nil, nil, notYet("GROUPING SETS over this query", "its rows would have to be computed for each set", "a view of the rows, and GROUPING SETS over that view", -1)
			}
		}
		branch := newProject(groupBySet(x, in, set), columnsOfSet(x, set, int64(i)), cols)
		if all == nil {
			all = branch
			continue
		}
		all = &SetOp{P: Props{Cols: cols}, Kind: Union, All: true, L: all, R: branch}
	}
	n, at, err := s.lower(all)
	if err != nil {
		return nil, nil, err
	}
	width := len(x.P.Cols)
	out := newProject(n, refs(n, at), cols)
	out.P.Mode, out.P.ChangeKey = n.Props().Mode, append(sameColumns(len(x.Keys)), width)
	s.edges[out] = edge{count: s.edges[n].count}
	return out, sameColumns(width), nil
}

// groupBySet is the aggregate over in for one set: its columns are those of the set, then the aggregates.
func groupBySet(x *Aggregate, in Node, set []int) *Aggregate {
	a := &Aggregate{In: in, Aggs: copyAggs(x.Aggs)}
	for _, k := range set {
		a.Keys = append(a.Keys, mapExpr(x.Keys[k], func(e Expr) Expr { return e }))
		a.P.Cols = append(a.P.Cols, x.P.Cols[k])
	}
	a.P.Cols = append(a.P.Cols, x.P.Cols[len(x.Keys):]...)
	return a
}

// columnsOfSet computes the columns of the whole from those of one set, and the set's number.
func columnsOfSet(x *Aggregate, set []int, number int64) []Expr {
	var out []Expr
	for k, e := range x.Keys {
		if i := indexOf(set, k); i >= 0 {
			out = append(out, &ColumnRef{Ord: i, Typ: e.Type(), Name: x.P.Cols[k].Name})
		} else {
			out = append(out, nullConst(e.Type()))
		}
	}
	for i, c := range x.P.Cols[len(x.Keys):] {
		out = append(out, &ColumnRef{Ord: len(set) + i, Typ: c.Type, Name: c.Name})
	}
	return append(out, &Const{types.Of(types.Int4), types.IntDatum(number)})
}
