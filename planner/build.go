package planner

// Constructors that give a node the columns that follow from its inputs.

func newValues(rows [][]Expr, cols []Col) *Values {
	return &Values{P: Props{Cols: cols}, Rows: rows}
}

func newFilter(in Node, cond Expr) Node {
	if cond == nil {
		return in
	}
	return &Filter{P: Props{Cols: in.Props().Cols}, In: in, Cond: cond}
}

// newJoin fills in the columns of a join.
func newJoin(j *Join) *Join {
	if j.Cond == nil && j.Kind == InnerJoin && len(j.LKeys) == 0 {
		j.Kind = CrossJoin
	}
	l := j.L.Props().Cols
	if j.Kind == SemiJoin || j.Kind == AntiJoin {
		j.P.Cols = l
		return j
	}
	if j.Mark {
		j.P.Cols = append(append(make([]Col, 0, len(l)+1), l...), markColumn)
		return j
	}
	j.P.Cols = append(append(make([]Col, 0, len(l)), l...), j.R.Props().Cols...)
	return j
}

func newProject(in Node, exprs []Expr, cols []Col) *Project {
	return &Project{P: Props{Cols: cols}, In: in, Exprs: exprs}
}

// identity are references to all columns of n.
func identity(n Node) []Expr {
	cols := n.Props().Cols
	out := make([]Expr, len(cols))
	for i, c := range cols {
		out[i] = &ColumnRef{Ord: i, Typ: c.Type, Name: c.Name}
	}
	return out
}

// visibleOnly drops hidden columns.
func visibleOnly(n Node) Node {
	var exprs []Expr
	var cols []Col
	for i, c := range n.Props().Cols {
		if !c.Hidden {
			exprs = append(exprs, &ColumnRef{Ord: i, Typ: c.Type, Name: c.Name})
			cols = append(cols, c)
		}
	}
	if len(cols) == len(n.Props().Cols) {
		return n
	}
	return newProject(n, exprs, cols)
}

func visibleCount(n Node) int {
	k := 0
	for _, c := range n.Props().Cols {
		if !c.Hidden {
			k++
		}
	}
	return k
}
