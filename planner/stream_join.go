package planner

import "github.com/millracedb/millrace/internal/sqlerr"

// lowerJoin chooses the strategy by what the sides are and brings both sides together by the join's keys.
func (s *streamer) lowerJoin(x *Join) (Node, []int, error) {
	if x.Broadcast {
		return s.lowerBroadcast(x)
	}
	if n, at, ok, err := s.lowerExpansion(x); ok || err != nil {
		return n, at, err
	}
	if x.Lateral {
		return nil, nil, notYet("this LATERAL in a continuous query", "what it reads would be read anew for each row",
			"functions in FROM and subqueries over them; for the rows of a stream or table, a join on an equality", -1)
	}
	if x.Kind == SemiJoin || x.Kind == AntiJoin {
		n, err := semiByGroups(x)
		if err != nil {
			return nil, nil, err
		}
		return s.lower(n)
	}
	l, lAt, err := s.lower(x.L)
	if err != nil {
		return nil, nil, err
	}
	identify := s.identify
	s.identify = identify && l.Props().Mode == ModeAppend
	r, rAt, err := s.lower(x.R)
	s.identify = identify
	if err != nil {
		return nil, nil, err
	}
	out := &Join{Kind: x.Kind, Mark: x.Mark}
	if out.Strategy, err = joinStrategy(x.Kind, l.Props().Mode, r.Props().Mode); err != nil {
		return nil, nil, err
	}
	if x.Within != nil && out.Strategy != StreamStream {
		return nil, nil, sqlerr.New(sqlerr.FeatureNotSupported, "WITHIN bounds a join of two streams").
			WithDetail("Reason: the rows of a table or of an updating query are there until they are deleted.").
			WithHint("What works: the join without WITHIN.")
	}
	if len(x.LKeys) == 0 {
		return nil, nil, notYet("a join without an equality in a continuous query", "rows are brought together by equal values",
			"add a condition left.column = right.column", -1)
	}
	if out.HistoryMs, x, err = asOf(x, out.Strategy, r, rAt); err != nil {
		return nil, nil, err
	}
	lk, rk := movedAll(append([]Expr(nil), x.LKeys...), lAt), movedAll(append([]Expr(nil), x.RKeys...), rAt)
	if out.Strategy == TableTable {
		l, r = s.normalize(l), s.normalize(r)
	}
	l, lo := s.computed(l, lk)
	r, ro := s.computed(r, rk)
	unique := x.Mark || r.Props().ChangeKey != nil && subset(r.Props().ChangeKey, ro)
	l, r = s.placeBy(l, lo), s.placeBy(r, ro)
	out.L, out.R, out.LKeys, out.RKeys = l, r, refs(l, lo), refs(r, ro)
	newJoin(out)
	nl := len(l.Props().Cols)
	at := append([]int(nil), lAt...)
	for _, a := range rAt {
		if a >= 0 {
			a += nl
		}
		at = append(at, a)
	}
	cond := moved(x.Cond, at)
	if out.Strategy == StreamStream {
		if err := setWithin(out, x.Within, cond); err != nil {
			return nil, nil, err
		}
	}
	if x.Kind != InnerJoin {
		out.Cond = cond
	}
	s.joinProps(out, lo, ro, unique)
	if x.Mark {
		return out, append(append([]int(nil), lAt...), nl), s.checkVolatile(out, cond)
	}
	if x.Kind == InnerJoin && cond != nil {
		f := &Filter{P: out.P, In: out, Cond: cond}
		s.edges[f] = s.edges[out]
		return f, at, s.checkVolatile(out, cond)
	}
	return out, at, nil
}

// distinctRows groups by all columns, which is DISTINCT.
func distinctRows(in Node) Node {
	return &Aggregate{P: Props{Cols: in.Props().Cols}, In: in, Keys: identity(in)}
}

// uniqueBy reports whether no two rows of n can be equal in the columns of set: they hold the key of the table that n reads.
func uniqueBy(n Node, set []bool) bool {
	switch x := n.(type) {
	case *Filter:
		return uniqueBy(x.In, set)
	case *Project:
		below := make([]bool, len(x.In.Props().Cols))
		for i, e := range x.Exprs {
			if c, ok := e.(*ColumnRef); ok && set[i] {
				below[c.Ord] = true
			}
		}
		return !anySet(x.Exprs) && uniqueBy(x.In, below)
	case *Scan:
		for _, k := range x.Rel.Key {
			found := false
			for i, ord := range x.Cols {
				found = found || ord == k && set[i]
			}
			if !found {
				return false
			}
		}
		return x.Rel.Kind == Table
	}
	return false
}

// semiByGroups restates a semi-join as a join with the distinct keys of its right side, and an anti-join as a left join that keeps what found
// no key; with a further condition both are mark joins.
func semiByGroups(x *Join) (Node, error) {
	if len(x.LKeys) == 0 {
		return nil, notYet("IN or EXISTS without an equality in a continuous query", "rows are brought together by equal values",
			"add a condition outer.column = inner.column to the subquery", -1)
	}
	if x.Cond != nil {
		j := markJoin(x.L, x.R, x.LKeys, x.RKeys, x.Cond)
		some := &IsNull{Arg: j.mark(), Negated: x.Kind == SemiJoin}
		return newProject(newFilter(j, some), identity(x.L), x.L.Props().Cols), nil
	}
	cols := make([]Col, len(x.RKeys))
	for i, k := range x.RKeys {
		cols[i] = Col{Name: keyName(k, i), Type: k.Type()}
	}
	groups := mergeProjects(newProject(x.R, x.RKeys, cols))
	if !uniqueBy(groups, allOf(len(cols))) {
		groups = distinctRows(groups)
	}
	j := &Join{L: x.L, R: groups, Kind: InnerJoin, LKeys: x.LKeys, RKeys: identity(groups)}
	if x.Kind == AntiJoin {
		j.Kind = LeftJoin
	}
	var n Node = newJoin(j)
	if x.Kind == AntiJoin {
		first := len(x.L.Props().Cols)
		n = newFilter(n, &IsNull{Arg: &ColumnRef{Ord: first, Typ: cols[0].Type, Name: cols[0].Name}})
	}
	return newProject(n, identity(x.L), x.L.Props().Cols), nil
}

// refuseSubqueries refuses the subqueries that did not become joins.
func (st *statement) refuseSubqueries(n Node) error {
	found := false
	visitNodes(n, func(n Node) { found = found || len(subplans(n)) > 0 })
	if !found {
		return nil
	}
	return notYet("this subquery in a continuous query", "it would have to be evaluated again at each change of its tables",
		"[NOT] IN (SELECT ...) and [NOT] EXISTS, with an equality, or a join with a view that computes it", st.subqueryAt)
}

// setWithin bounds the times of a join of two streams: by WITHIN, else by what its conditions say about columns of time.
func setWithin(j *Join, given *Within, cond Expr) error {
	if j.Within = given; given != nil {
		return nil
	}
	w, ok := timesWithin(j, cond)
	if !ok {
		return sqlerr.New(sqlerr.FeatureNotSupported, "a join of two streams needs a bound in time on both sides").
			WithDetail("Reason: without it every row would have to be kept for ever.").
			WithHint("What works: JOIN ... WITHIN 1 HOUR ON ..., or a condition like a.rowtime BETWEEN b.rowtime - INTERVAL '1 hour' AND b.rowtime; " +
				"or make one side a table, CREATE TABLE ... AS SELECT ... GROUP BY its key.")
	}
	j.Within = w
	return nil
}

func joinStrategy(kind JoinKind, l, r ChangeMode) (JoinStrategy, error) {
	switch {
	case l == ModeAppend && r == ModeAppend:
		return StreamStream, nil
	case l != ModeAppend && r == ModeAppend:
		return 0, sqlerr.New(sqlerr.FeatureNotSupported, "a table cannot drive a join with a stream").
			WithDetail("Reason: the stream's rows look the table up, not the other way round.").
			WithHint("What works: put the stream first, FROM stream JOIN table.")
	case l == ModeAppend && kind != InnerJoin && kind != CrossJoin && kind != LeftJoin:
		return 0, sqlerr.New(sqlerr.FeatureNotSupported, "RIGHT and FULL joins of a stream with a table are not supported").
			WithDetail("Reason: table rows without a match would have no stream row to leave with.").
			WithHint("What works: INNER JOIN and LEFT JOIN.")
	case l == ModeAppend:
		return StreamTable, nil
	}
	return TableTable, nil
}

// joinProps sets mode and keys of a join. unique: a row of the left side has at most one match, so the left side's key identifies the result.
func (s *streamer) joinProps(j *Join, lo, ro []int, unique bool) {
	l, r := j.L.Props(), j.R.Props()
	nl := len(l.Cols)
	le := s.edges[j.L]
	shift := func(ords []int) []int {
		out := make([]int, len(ords))
		for i, o := range ords {
			out[i] = o + nl
		}
		return out
	}
	e := edge{count: le.count}
	switch {
	case j.Kind == RightJoin:
		j.P.PartitionKey = shift(ro)
	case j.Kind != FullJoin:
		j.P.PartitionKey = lo
	}
	if j.Strategy == StreamStream {
		re := s.edges[j.R]
		switch j.Kind { // of an outer join the key of the side that is always there
		case RightJoin:
			e.streamKey = shift(re.streamKey)
		case FullJoin:
		default:
			e.streamKey = le.streamKey
		}
		if le.ident != nil && re.ident != nil {
			e.ident = append(append([]int(nil), le.ident...), shift(re.ident)...)
		}
	} else if j.Strategy == StreamTable {
		j.P.Mode, e.streamKey = ModeAppend, le.streamKey
		if le.ident != nil {
			e.ident = append([]int(nil), le.ident...)
			if !unique {
				e.ident = append(e.ident, shift(r.ChangeKey)...)
			}
		}
	} else {
		j.P.Mode = ModeRetract
		j.P.ChangeKey = append([]int{}, l.ChangeKey...)
		if !unique || j.Kind == RightJoin || j.Kind == FullJoin {
			j.P.ChangeKey = append(j.P.ChangeKey, shift(r.ChangeKey)...)
		}
	}
	s.edges[j] = e
}
