package planner

import "github.com/millracedb/millrace/internal/sqlerr"

// lowerJoin chooses the strategy by what the sides are and brings both sides together by the join's keys.
func (s *streamer) lowerJoin(x *Join) (Node, []int, error) {
	if x.Lateral {
		return nil, nil, notYet("LATERAL in a continuous query", "the right side would be planned anew for each row", "a join on an equality", -1)
	}
	if x.Kind == SemiJoin || x.Kind == AntiJoin {
		return nil, nil, notYet("SEMI, ANTI, IN and EXISTS in a continuous query", "they must count the matches of every row",
			"a join with the table, grouped by the key", -1)
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
	out := &Join{Kind: x.Kind}
	if out.Strategy, err = joinStrategy(x.Kind, l.Props().Mode, r.Props().Mode); err != nil {
		return nil, nil, err
	}
	if len(x.LKeys) == 0 {
		return nil, nil, notYet("a join without an equality in a continuous query", "rows are brought together by equal values",
			"add a condition left.column = right.column", -1)
	}
	lk, rk := movedAll(append([]Expr(nil), x.LKeys...), lAt), movedAll(append([]Expr(nil), x.RKeys...), rAt)
	if out.Strategy == TableTable {
		l, r = s.normalize(l), s.normalize(r)
	}
	l, lo := s.computed(l, lk)
	r, ro := s.computed(r, rk)
	unique := r.Props().ChangeKey != nil && subset(r.Props().ChangeKey, ro)
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
	if x.Kind != InnerJoin {
		out.Cond = cond
	}
	s.joinProps(out, lo, ro, unique)
	if x.Kind == InnerJoin && cond != nil {
		f := &Filter{P: out.P, In: out, Cond: cond}
		s.edges[f] = s.edges[out]
		return f, at, s.checkVolatile(out, cond)
	}
	return out, at, nil
}

func joinStrategy(kind JoinKind, l, r ChangeMode) (JoinStrategy, error) {
	switch {
	case l == ModeAppend && r == ModeAppend:
		return 0, notYet("a join of two streams", "both sides would have to be kept as state until they can no longer match",
			"make one side a table, CREATE TABLE ... AS SELECT ... GROUP BY its key, and join that", -1)
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
	if j.Strategy == StreamTable {
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
