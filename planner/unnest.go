package planner

import (
	"slices"

	"github.com/millracedb/millrace/sql/types"
)

// unnest restates the subqueries in the expressions of filters and projections as joins, where they have an incremental form:
//
//   - a scalar subquery that always has one row, and an uncorrelated EXISTS, which is a count: a join with that row;
//   - EXISTS that equalities tie to its outer row: a join with the distinct keys, or where further conditions do too a mark join;
//   - x [NOT] IN (subquery): a join with the distinct values, and with the counts that tell what NULLs make of it;
//   - the same where it is tied to its outer row: EXISTS of a row that equals x, and of one that might;
//   - a scalar aggregate tied to its outer row by equalities: a join with the aggregate, grouped by them.
//
// What is left stays as it is and is refused.
func unnest(n Node) Node {
	setInputs(n, unnest)
	switch x := n.(type) {
	case *Filter:
		u := &unnester{in: x.In}
		cond := u.rewrite(x.Cond)
		if u.in == x.In {
			return n
		}
		return newProject(newFilter(u.in, cond), refs(x.In, sameColumns(len(x.P.Cols))), x.P.Cols)
	case *Project:
		u := &unnester{in: x.In}
		for i, e := range x.Exprs {
			x.Exprs[i] = u.rewrite(e)
		}
		x.In = u.in
	case *Join:
		if (x.Kind == SemiJoin || x.Kind == AntiJoin) && x.Cond == nil && len(x.LKeys) == 0 && !x.Lateral {
			u := &unnester{in: x.L}
			some := u.exists(x.R, x.Kind == AntiJoin)
			return newProject(newFilter(u.in, some), refs(x.L, sameColumns(len(x.P.Cols))), x.P.Cols)
		}
	}
	return n
}

// unnester joins what the subqueries of one node's expressions give to the node's input.
type unnester struct{ in Node }

func (u *unnester) rewrite(e Expr) Expr {
	return replaceTop(e, func(x Expr) (Expr, bool) {
		s, ok := x.(*Subquery)
		if !ok {
			return nil, false
		}
		if out := u.subquery(s); out != nil {
			return out, true
		}
		return x, true
	})
}

// subquery returns what stands for s, nil if it has no incremental form.
func (u *unnester) subquery(s *Subquery) Expr {
	switch {
	case s.Kind == SubqueryScalar && !s.Correlated && oneRow(s.Plan):
		return u.one(unnest(s.Plan), 0)
	case s.Kind == SubqueryScalar && s.Correlated:
		return u.correlated(s.Plan)
	case s.Kind == SubqueryExists && !s.Correlated:
		return u.exists(s.Plan, s.Negated)
	case s.Kind == SubqueryExists:
		return u.existsFor(s)
	case s.Kind == SubqueryAny && s.Correlated:
		return u.tiedMember(s)
	case s.Kind == SubqueryAny && !s.Correlated && len(s.Left) == 1 && s.Op[0].Name == "=" && !hasSubquery(s.Left[0]):
		return u.member(s)
	}
	return nil
}

// oneRow reports whether a plan gives at most one row: an aggregate without GROUP BY, and what is computed from it.
func oneRow(n Node) bool {
	switch x := n.(type) {
	case *Filter:
		return oneRow(x.In)
	case *Project:
		return !anySet(x.Exprs) && oneRow(x.In)
	case *Aggregate:
		return len(x.Keys) == 0 && x.Window == nil && x.Sets == nil
	case *Limit:
		c := constOf(x.Limit)
		return x.Limit != nil && c != nil && !c.Val.Null && c.Val.I == 1 && !x.WithTies
	}
	return false
}

// one joins the one row of r to every row and returns its column ord.
func (u *unnester) one(r Node, ord int) Expr {
	at := len(u.in.Props().Cols) + ord
	u.in = newJoin(&Join{L: u.in, R: r, Kind: LeftJoin, Broadcast: true})
	c := u.in.Props().Cols[at]
	return &ColumnRef{Ord: at, Typ: c.Type, Name: c.Name}
}

func (u *unnester) exists(plan Node, negated bool) Expr {
	op := ">"
	if negated {
		op = "="
	}
	return int8Call(op, u.one(counts(unnest(plan)), 0), &Const{types.Of(types.Int8), types.IntDatum(0)})
}

// existsFor restates EXISTS over rows that equalities tie to the outer row.
func (u *unnester) existsFor(s *Subquery) Expr {
	outer, inner, further, rows := splitTies(s.Plan, len(u.in.Props().Cols))
	switch {
	case len(outer) == 0:
		return nil
	case further == nil:
		return &IsNull{Arg: u.found(unnest(rows), outer, inner), Negated: !s.Negated}
	}
	j := markJoin(u.in, unnest(rows), outer, inner, further)
	u.in = j
	return &IsNull{Arg: j.mark(), Negated: !s.Negated}
}

// found joins the distinct values of inner, over rows, where they equal outer, and returns a column that is NULL where they do not.
func (u *unnester) found(rows Node, outer, inner []Expr) Expr {
	cols := make([]Col, len(inner))
	for i, k := range inner {
		cols[i] = Col{Name: keyName(k, i), Type: k.Type()}
	}
	keys := distinctRows(newProject(rows, inner, cols))
	is := Col{Name: "found", Type: types.Of(types.Bool)}
	marked := newProject(keys, append(identity(keys), trueConst()), append(append([]Col(nil), cols...), is))
	at := len(u.in.Props().Cols) + len(inner)
	u.in = newJoin(&Join{L: u.in, R: marked, Kind: LeftJoin, LKeys: outer, RKeys: refs(marked, sameColumns(len(inner)))})
	return &ColumnRef{Ord: at, Typ: is.Type, Name: is.Name}
}

// counts counts the rows of a plan, and those whose first column is not NULL.
func counts(n Node) Node {
	c, t := n.Props().Cols[:min(1, len(n.Props().Cols))], types.Of(types.Int8)
	all := Agg{Func: findFunc("count()"), Typ: t, Name: "count"}
	a := &Aggregate{P: Props{Cols: []Col{{Name: "count", Type: t}}}, In: n, Aggs: []Agg{all}}
	if len(c) == 1 {
		a.Aggs = append(a.Aggs, Agg{Func: findFunc("count(any)"), Args: []Expr{&ColumnRef{Ord: 0, Typ: c[0].Type, Name: c[0].Name}}, Typ: t, Name: "values"})
		a.P.Cols = append(a.P.Cols, Col{Name: "values", Type: t})
	}
	return a
}

// member restates x [NOT] IN (subquery): true if x is among the values, else NULL if x or a value is NULL (and there is a value), else false.
func (u *unnester) member(s *Subquery) Expr {
	values := unnest(s.Plan)
	if len(values.Props().Cols) != 1 {
		return nil
	}
	again := copyPlan(values)
	if again == nil {
		return nil
	}
	is := u.found(values, s.Left, refs(values, []int{0}))
	all := u.one(counts(again), 0)
	some := &ColumnRef{Ord: len(u.in.Props().Cols) - 1, Typ: types.Of(types.Int8), Name: "values"}
	yes, no := trueConst(), Expr(&Const{types.Of(types.Bool), types.IntDatum(0)})
	if s.Negated {
		yes, no = no, yes
	}
	zero := &Const{types.Of(types.Int8), types.IntDatum(0)}
	return &Case{
		Whens: []When{
			{&IsNull{Arg: is, Negated: true}, yes},
			{int8Call("=", all, zero), no},
			{&Or{[]Expr{&IsNull{Arg: s.Left[0]}, int8Call("<>", all, some)}}, nullConst(types.Of(types.Bool))},
		},
		Else: no, Typ: types.Of(types.Bool),
	}
}

func trueConst() Expr { return &Const{types.Of(types.Bool), types.IntDatum(1)} }

// copyPlan copies a bound plan, so that it can be in two places; nil if it holds a node that only bounded plans have.
func copyPlan(n Node) Node {
	var out Node
	switch x := n.(type) {
	case *Scan:
		c := *x
		c.Cols = slices.Clone(x.Cols)
		out = &c
	case *Filter:
		c := *x
		out = &c
	case *Project:
		c := *x
		c.Exprs = slices.Clone(x.Exprs)
		out = &c
	case *Aggregate:
		c := *x
		c.Keys, c.Aggs = slices.Clone(x.Keys), copyAggs(x.Aggs)
		out = &c
	case *Join:
		c := *x
		c.LKeys, c.RKeys = slices.Clone(x.LKeys), slices.Clone(x.RKeys)
		out = &c
	case *SetOp:
		c := *x
		out = &c
	case *Distinct:
		c := *x
		c.On = slices.Clone(x.On)
		out = &c
	case *Limit:
		c := *x
		out = &c
	case *Sort:
		c := *x
		c.By = slices.Clone(x.By)
		out = &c
	default:
		return nil
	}
	out.Props().Cols = slices.Clone(n.Props().Cols)
	mapOwnExprs(out, func(e Expr) Expr { return mapExpr(e, func(x Expr) Expr { return x }) })
	whole := true
	setInputs(out, func(in Node) Node {
		in = copyPlan(in)
		whole = whole && in != nil
		return in
	})
	if !whole {
		return nil
	}
	return out
}

// correlated restates a scalar aggregate over rows that equalities tie to the outer row: the aggregate is grouped by its side of the equalities and
// joined. Where there is no group its counts are 0 and the rest is NULL, as of an aggregate over no rows.
func (u *unnester) correlated(plan Node) Expr {
	var out Expr = &ColumnRef{Ord: 0, Typ: plan.Props().Cols[0].Type, Name: plan.Props().Cols[0].Name}
	for {
		p, ok := plan.(*Project)
		if !ok {
			break
		}
		if anySet(p.Exprs) || hasOuter(p.Exprs[0]) || hasSubquery(p.Exprs[0]) {
			return nil
		}
		out = mapExpr(out, func(x Expr) Expr {
			if c, ok := x.(*ColumnRef); ok {
				return p.Exprs[c.Ord]
			}
			return x
		})
		plan = p.In
	}
	a, ok := plan.(*Aggregate)
	if !ok || len(a.Keys) > 0 || a.Window != nil || tiedAggs(a) {
		return nil
	}
	if _, computed := a.In.(*Project); computed {
		return nil
	}
	outer, inner, further, rows := splitTies(a.In, len(u.in.Props().Cols))
	if len(outer) == 0 || further != nil {
		return nil
	}
	g := &Aggregate{In: unnest(rows), Keys: inner, Aggs: a.Aggs}
	for i, k := range inner {
		g.P.Cols = append(g.P.Cols, Col{Name: keyName(k, i), Type: k.Type()})
	}
	g.P.Cols = append(g.P.Cols, a.P.Cols...)
	at := len(u.in.Props().Cols) + len(inner)
	u.in = newJoin(&Join{L: u.in, R: g, Kind: LeftJoin, LKeys: outer, RKeys: refs(g, sameColumns(len(inner)))})
	return mapExpr(out, func(x Expr) Expr {
		c, ok := x.(*ColumnRef)
		if !ok {
			return x
		}
		ref := &ColumnRef{Ord: at + c.Ord, Typ: c.Typ, Name: c.Name}
		if f := a.Aggs[c.Ord].Func.Name; f == "count" || f == "regr_count" {
			return &Coalesce{Args: []Expr{ref, &Const{c.Typ, types.IntDatum(0)}}, Typ: c.Typ}
		}
		return ref
	})
}

func tiedAggs(a *Aggregate) bool {
	found := false
	for _, g := range a.Aggs {
		for _, e := range append([]Expr{g.Filter}, g.Args...) {
			found = found || e != nil && (hasOuter(e) || hasSubquery(e))
		}
	}
	return found
}

// splitTies takes the conditions with the outer row (of width columns) out of the rows' filter. It returns both sides of the equalities, the further
// conditions over the outer row's columns and those of the rows, and the rows without; nothing if the rows are tied to it in another way.
func splitTies(n Node, width int) (outer, inner []Expr, further Expr, rows Node) {
	rows, cond, ok := uncorrelate(n, width)
	if !ok {
		return nil, nil, nil, nil
	}
	var rest []Expr
	for _, c := range conjuncts(cond) {
		if l, r, ok := joinKey(c, width, width+len(rows.Props().Cols)); ok {
			outer, inner = append(outer, l), append(inner, r)
		} else {
			rest = append(rest, c)
		}
	}
	return outer, inner, conjunction(rest), rows
}

// lowerBroadcast joins every row with the one row of the right side, which is sent to all partitions.
func (s *streamer) lowerBroadcast(x *Join) (Node, []int, error) {
	l, lAt, err := s.lower(x.L)
	if err != nil {
		return nil, nil, err
	}
	identify := s.identify
	s.identify = false
	r, rAt, err := s.lower(x.R)
	s.identify = identify
	if err != nil {
		return nil, nil, err
	}
	out := &Join{Kind: x.Kind, Broadcast: true}
	if out.Strategy, err = joinStrategy(x.Kind, l.Props().Mode, r.Props().Mode); err != nil {
		return nil, nil, err
	}
	l = s.normalize(l)
	if s.edges[l].count != s.partitions {
		side := unionSide{n: l, at: lAt}
		l = s.placeBy(l, side.placement(s))
	}
	send := &Exchange{P: *r.Props(), In: s.normalize(r), Broadcast: true}
	send.P.Mode, send.P.PartitionKey, send.P.OpID = send.In.Props().Mode, nil, 0
	s.edges[send] = edge{count: s.partitions}
	out.L, out.R = l, send
	newJoin(out)
	lp, le := l.Props(), s.edges[l]
	out.P.PartitionKey = lp.PartitionKey
	e := edge{count: s.partitions, ident: le.ident, streamKey: le.streamKey}
	if out.P.Mode = ModeAppend; out.Strategy == TableTable {
		out.P.Mode, out.P.ChangeKey = ModeRetract, lp.ChangeKey
	}
	s.edges[out] = e
	at := append([]int(nil), lAt...)
	for _, a := range rAt {
		at = append(at, a+len(lp.Cols))
	}
	return out, at, nil
}
