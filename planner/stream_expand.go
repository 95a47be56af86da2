package planner

import "github.com/millracedb/millrace/sql/types"

// Expand gives each row once for each row that its set-returning calls give side by side, the shorter ones filled up with NULL. Output: the input's
// columns, those of the calls, and the number of the copy, from 1. Only over rows that are added or bring their old rows.
type Expand struct {
	P    Props
	In   Node
	Sets []ExpandSet
	// Outer: a row that the calls give nothing for leaves once, with NULLs and the number 0.
	Outer bool
}

// ExpandSet is one call of an Expand, its arguments over the input's columns. It gives Width columns; a function of several may give one, a record.
type ExpandSet struct {
	Call  *Call
	Width int
}

// Props implements Node.
func (n *Expand) Props() *Props { return &n.P }

// Inputs implements Node.
func (n *Expand) Inputs() []Node { return []Node{n.In} }

// expand puts an Expand over n. Copies are told apart by their number, wherever the row they were made of can be told from others.
func (s *streamer) expand(n Node, sets []ExpandSet, cols []Col, outer bool) (*Expand, error) {
	var args []Expr
	for _, set := range sets {
		args = append(args, set.Call.Args...)
		if set.Call.Func.Volatility == Volatile {
			args = append(args, set.Call)
		}
	}
	if err := s.checkVolatile(n, args...); err != nil {
		return nil, err
	}
	n = s.normalize(n)
	out := &Expand{P: *n.Props(), In: n, Sets: sets, Outer: outer}
	out.P.Cols = append(append(append([]Col(nil), n.Props().Cols...), cols...), Col{Name: "copy", Type: ordinalityCol.Type, Hidden: true})
	number := []int{len(out.P.Cols) - 1}
	if out.P.OpID = 0; out.P.Mode != ModeAppend {
		out.P.ChangeKey = mergeSets(n.Props().ChangeKey, number)
	}
	e := s.edges[n]
	if e.ident != nil {
		e.ident = mergeSets(e.ident, number)
	}
	s.edges[out] = e
	return out, nil
}

// expandTargets makes columns of the set-returning calls among the expressions of a projection over n.
func (s *streamer) expandTargets(n Node, exprs []Expr) (Node, []Expr, error) {
	if !anySet(exprs) {
		return n, exprs, nil
	}
	var sets []ExpandSet
	var cols []Col
	width := len(n.Props().Cols)
	for i, e := range exprs {
		if !isSetCall(e) {
			continue
		}
		call := e.(*Call)
		exprs[i] = &ColumnRef{Ord: width + len(cols), Typ: call.Typ, Name: call.Func.Name}
		sets, cols = append(sets, ExpandSet{call, 1}), append(cols, Col{Name: call.Func.Name, Type: call.Typ})
	}
	out, err := s.expand(n, sets, cols, false)
	return out, exprs, err
}

// expansion is the right side of a join as functions of the left row: what its columns are, over the columns of an Expand of the left side, and the
// conditions on them.
type expansion struct {
	left  int // columns of the left side
	sets  []ExpandSet
	cols  []Col // of the sets
	conds []Expr
}

// lowerExpansion lowers a join whose right side is made of the left row, or of constants: functions in FROM, and what a subquery computes from
// them. ok is false for other joins.
func (s *streamer) lowerExpansion(x *Join) (n Node, at []int, ok bool, err error) {
	nl := len(x.L.Props().Cols)
	e := &expansion{left: nl}
	right, ok := e.read(x.R)
	if !ok || x.Kind != CrossJoin && x.Kind != InnerJoin && x.Kind != LeftJoin {
		return nil, nil, false, nil
	}
	last := nl + len(e.cols)
	number := func(ord int) int {
		if ord == -1 {
			return last
		}
		return ord
	}
	for i := range right {
		right[i] = remapCols(right[i], number)
	}
	for i := range e.conds {
		e.conds[i] = remapCols(e.conds[i], number)
	}
	both := append(refs(x.L, sameColumns(nl)), right...)
	e.conds = append(e.conds, conjuncts(substitute(x.Cond, both))...)
	for i := range x.LKeys {
		e.conds = append(e.conds, &IsDistinct{Left: x.LKeys[i], Right: substitute(x.RKeys[i], right), Negated: true}, &IsNull{Arg: x.LKeys[i], Negated: true})
	}
	outer := x.Kind == LeftJoin
	if outer && (len(e.conds) > 0 || len(e.sets) == 0) {
		return nil, nil, true, notYet("a condition on a LEFT JOIN with a function in a continuous query", "whether any row passes is known only when all are there",
			"LEFT JOIN ... ON TRUE, or an inner join", -1)
	}
	n, lAt, err := s.lower(x.L)
	if err != nil {
		return nil, nil, true, err
	}
	width := len(n.Props().Cols)
	at = append([]int(nil), lAt...)
	for i := range e.cols {
		at = append(at, width+i)
	}
	if len(e.sets) > 0 {
		at = append(at, width+len(e.cols))
		for i := range e.sets {
			call := *e.sets[i].Call
			call.Args = movedAll(call.Args, lAt)
			e.sets[i].Call = &call
		}
		if n, err = s.expand(n, e.sets, e.cols, outer); err != nil {
			return nil, nil, true, err
		}
	}
	right = movedAll(right, at)
	if err := s.checkVolatile(n, right...); err != nil {
		return nil, nil, true, err
	}
	if outer {
		padRight(right, n, width)
	}
	if len(e.conds) > 0 { // before the right columns are computed, which may fail for rows that do not pass
		conds := movedAll(e.conds, at)
		if err := s.checkVolatile(n, conds...); err != nil {
			return nil, nil, true, err
		}
		f := &Filter{P: *n.Props(), In: n, Cond: conjunction(conds)}
		f.P.OpID = 0
		s.edges[f] = s.edges[n]
		n = f
	}
	n, ords := s.computed(n, right)
	return n, append(lAt[:nl:nl], ords...), true, nil
}

// padRight makes the right columns of an outer join, over an Expand whose own columns begin at width, NULL where the calls gave nothing.
func padRight(right []Expr, n Node, width int) {
	last := len(n.Props().Cols) - 1
	number := &ColumnRef{Ord: last, Typ: ordinalityCol.Type, Name: "copy"}
	some := int8Call(">", number, &Const{ordinalityCol.Type, types.IntDatum(0)})
	for i, e := range right {
		if c, ok := e.(*ColumnRef); !ok || c.Ord < width || c.Ord == last {
			right[i] = &Case{Whens: []When{{some, e}}, Else: nullConst(e.Type()), Typ: e.Type()}
		}
	}
}

// read returns the columns of n, over the left side's columns, those of the sets, and the number of the copy.
func (e *expansion) read(n Node) ([]Expr, bool) {
	switch x := n.(type) {
	case *Values:
		if len(x.Rows) != 1 {
			return nil, false
		}
		return e.own(x.Rows[0])
	case *FuncScan:
		return e.call(x)
	case *Project:
		in, ok := e.read(x.In)
		if !ok {
			return nil, false
		}
		return e.project(x, in)
	case *Filter:
		in, ok := e.read(x.In)
		if !ok {
			return nil, false
		}
		cond, ok := e.own([]Expr{substitute(x.Cond, in)})
		e.conds = append(e.conds, cond...)
		return in, ok
	case *Join:
		return e.zipped(x)
	}
	return nil, false
}

// own makes columns of references to the left row; subqueries it leaves alone.
func (e *expansion) own(es []Expr) ([]Expr, bool) {
	ok := true
	out := mapExprs(es, func(x Expr) Expr {
		switch x := x.(type) {
		case *OuterRef:
			if ok = ok && x.Level == 1; ok {
				return &ColumnRef{Ord: x.Ord, Typ: x.Typ, Name: x.Name}
			}
		case *Subquery:
			ok = false
		}
		return x
	})
	return out, ok
}

func (e *expansion) call(x *FuncScan) ([]Expr, bool) {
	args, ok := e.own(x.Args)
	if !ok {
		return nil, false
	}
	cols := x.P.Cols
	if x.Ordinality {
		cols = cols[:len(cols)-1]
	}
	out := e.add(&Call{Func: x.Func, Args: args, Typ: cols[0].Type}, cols)
	if x.Ordinality {
		out = append(out, &ColumnRef{Ord: -1, Typ: ordinalityCol.Type, Name: ordinalityCol.Name})
	}
	return out, true
}

// add adds a call. The number of the copy is column -1 until the number of columns is known.
func (e *expansion) add(call *Call, cols []Col) []Expr {
	out := make([]Expr, len(cols))
	for i, c := range cols {
		out[i] = &ColumnRef{Ord: e.left + len(e.cols) + i, Typ: c.Type, Name: c.Name}
	}
	e.sets, e.cols = append(e.sets, ExpandSet{call, len(cols)}), append(e.cols, cols...)
	return out
}

// project reads a projection; set-returning calls may be in it where there are none below.
func (e *expansion) project(x *Project, in []Expr) ([]Expr, bool) {
	below := len(e.sets)
	out := make([]Expr, len(x.Exprs))
	for i, c := range x.Exprs {
		own, ok := e.own([]Expr{substitute(c, in)})
		if !ok || isSetCall(own[0]) && below > 0 || !isSetCall(own[0]) && pinned(own[0]) {
			return nil, false
		}
		if out[i] = own[0]; isSetCall(own[0]) {
			out[i] = e.add(own[0].(*Call), []Col{{Name: x.P.Cols[i].Name, Type: own[0].Type()}})[0]
		}
	}
	return out, true
}

// zipped reads functions whose rows stand side by side: zip joins them by the numbers of their rows.
func (e *expansion) zipped(x *Join) ([]Expr, bool) {
	if x.Kind != FullJoin || x.Cond != nil || len(x.LKeys) != 1 || x.Lateral {
		return nil, false
	}
	l, okL := e.read(x.L)
	r, okR := e.read(x.R)
	if !okL || !okR || len(e.conds) > 0 || !isCopyNumber(substitute(x.LKeys[0], l)) || !isCopyNumber(substitute(x.RKeys[0], r)) {
		return nil, false
	}
	return append(l, r...), true
}

// isCopyNumber reports whether e is the number of the copy, or of the copies of one row and another.
func isCopyNumber(e Expr) bool {
	switch x := e.(type) {
	case *ColumnRef:
		return x.Ord == -1
	case *Coalesce:
		return len(x.Args) > 0 && isCopyNumber(x.Args[0])
	}
	return false
}

// substitute puts the expressions of a row in place of its columns.
func substitute(e Expr, row []Expr) Expr {
	return mapExpr(e, func(x Expr) Expr {
		if c, ok := x.(*ColumnRef); ok {
			return row[c.Ord]
		}
		return x
	})
}
