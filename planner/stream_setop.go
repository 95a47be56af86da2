package planner

import "github.com/millracedb/millrace/sql/types"

// lowerSetOp runs set operations by counting: INTERSECT and EXCEPT group the rows of both sides, each marked with its side, by all columns,
// and look at how many there are of either.
func (s *streamer) lowerSetOp(x *SetOp) (Node, []int, error) {
	switch {
	case x.Kind == Union && x.All:
		return s.lowerUnion(x)
	case x.Kind == Union:
		all := *x
		all.All = true
		return s.lower(distinctRows(&all))
	}
	n := countSides(x)
	width := len(x.P.Cols)
	l, r := &ColumnRef{Ord: width, Typ: types.Of(types.Int8), Name: "left"}, &ColumnRef{Ord: width + 1, Typ: types.Of(types.Int8), Name: "right"}
	if x.All {
		return s.lowerCopies(n, x, l, r)
	}
	zero := &Const{types.Of(types.Int8), types.IntDatum(0)}
	op := ">"
	if x.Kind == Except {
		op = "="
	}
	return s.lower(newProject(newFilter(n, &And{[]Expr{int8Call(">", l, zero), int8Call(op, r, zero)}}), refs(n, sameColumns(width)), x.P.Cols))
}

// countSides groups the rows of both sides by all columns. Its output is these columns, and how many rows there are on the left and on the
// right.
func countSides(x *SetOp) Node {
	width := len(x.P.Cols)
	side := Col{Name: "side", Type: types.Of(types.Int4)}
	mark := func(n Node, which int64) Node {
		return newProject(n, append(identity(n), &Const{side.Type, types.IntDatum(which)}), append(append([]Col(nil), x.P.Cols...), side))
	}
	both := &SetOp{P: Props{Cols: append(append([]Col(nil), x.P.Cols...), side)}, Kind: Union, All: true, L: mark(x.L, 0), R: mark(x.R, 1)}
	count := func(which int64, name string) Agg {
		is := &Call{
			Func: findFunc("=(int4,int4)"), Args: []Expr{&ColumnRef{Ord: width, Typ: side.Type, Name: side.Name}, &Const{side.Type, types.IntDatum(which)}},
			Typ: types.Of(types.Bool),
		}
		return Agg{Func: findFunc("count()"), Filter: is, Typ: types.Of(types.Int8), Name: name}
	}
	a := &Aggregate{In: both, Keys: refs(both, sameColumns(width)), Aggs: []Agg{count(0, "left"), count(1, "right")}}
	a.P.Cols = append(append([]Col(nil), x.P.Cols...), Col{Name: "left", Type: types.Of(types.Int8)}, Col{Name: "right", Type: types.Of(types.Int8)})
	return a
}

func int8Call(op string, l, r Expr) *Call {
	f := findFunc(op + "(int8,int8)")
	return &Call{Func: f, Args: []Expr{l, r}, Typ: f.Ret}
}

// lowerCopies gives each row of INTERSECT ALL and EXCEPT ALL as often as it is in the result.
func (s *streamer) lowerCopies(n Node, x *SetOp, l, r Expr) (Node, []int, error) {
	width := len(x.P.Cols)
	copies := &Call{Func: registry["least"][0], Args: []Expr{l, r}, Typ: types.Of(types.Int8)}
	if x.Kind == Except {
		copies.Args[1], copies.Args[0] = int8Call("-", l, r), &Const{types.Of(types.Int8), types.IntDatum(0)}
		copies.Func = registry["greatest"][0]
	}
	cols := append(append([]Col(nil), x.P.Cols...), Col{Name: "copies", Type: types.Of(types.Int8), Hidden: true})
	in, at, err := s.lower(newProject(n, append(refs(n, sameColumns(width)), copies), cols))
	if err != nil {
		return nil, nil, err
	}
	out := &Repeat{P: *in.Props(), In: in, Count: at[width]}
	out.P.OpID = 0
	out.P.Cols = append(append([]Col(nil), in.Props().Cols...), Col{Name: "copy", Type: types.Of(types.Int8), Hidden: true})
	out.P.ChangeKey = append(append([]int{}, in.Props().ChangeKey...), len(in.Props().Cols))
	s.edges[out] = s.edges[in]
	return out, at[:width], nil
}

// lowerUnion brings both sides together. Where rows need a key it is the number of the branch and the branch's key: columns that both
// branches use if their keys are of the same types, else each has its own, NULL in the other's rows.
func (s *streamer) lowerUnion(x *SetOp) (Node, []int, error) {
	identify := s.identify
	s.identify = identify || !s.appends(x)
	defer func() { s.identify = identify }()
	var sides [2]unionSide
	for i, n := range []Node{x.L, x.R} {
		in, at, err := s.lower(n)
		if err != nil {
			return nil, nil, err
		}
		sides[i] = unionSide{n: in, at: at}
	}
	l, r := &sides[0], &sides[1]
	if s.edges[l.n].count != s.edges[r.n].count {
		for i := range sides {
			sides[i].n = s.placeBy(sides[i].n, sides[i].placement(s))
		}
	}
	mode := unionMode(l.n.Props().Mode, r.n.Props().Mode)
	if mode == ModeRetract {
		l.n, r.n = s.normalize(l.n), s.normalize(r.n)
	}
	out := &SetOp{P: Props{Cols: append([]Col(nil), x.P.Cols...), Mode: mode}, Kind: Union, All: true}
	width := len(x.P.Cols)
	for i := range sides {
		sides[i].exprs = refs(sides[i].n, sides[i].at)
	}
	if s.identify {
		s.unionKeys(out, l, r)
	}
	key := append([]int{}, sameColumns(len(out.P.Cols))[width:]...)
	e := edge{count: s.edges[l.n].count}
	if mode == ModeAppend {
		if s.identify {
			e.ident = key
		}
	} else {
		out.P.ChangeKey = key
	}
	lp, rp := l.placed(), r.placed()
	if sameOrds(lp, rp) && (len(lp) < 2 || !dealtByNames(l.n) && !dealtByNames(r.n)) {
		out.P.PartitionKey = lp
	}
	for i, to := range []*Node{&out.L, &out.R} {
		if *to = sides[i].n; identical(sides[i].n, sides[i].exprs) {
			continue
		}
		p := newProject(sides[i].n, sides[i].exprs, out.P.Cols)
		p.P.Mode, p.P.ChangeKey, p.P.PartitionKey = sides[i].n.Props().Mode, out.P.ChangeKey, out.P.PartitionKey
		*to = p
	}
	s.edges[out] = e
	return out, sameColumns(width), nil
}

// unionSide is one branch of a UNION ALL.
type unionSide struct {
	n     Node
	at    []int
	exprs []Expr // over n, what the branch gives
}

// key are the columns that identify a row of the branch.
func (u *unionSide) key(s *streamer) []int {
	if u.n.Props().Mode == ModeAppend {
		return s.edges[u.n].ident
	}
	return u.n.Props().ChangeKey
}

// placement are columns by which the branch may be dealt anew without harm to the order of one row's changes.
func (u *unionSide) placement(s *streamer) []int {
	if key := s.edges[u.n].streamKey; key != nil && u.n.Props().Mode == ModeAppend {
		return key
	}
	if u.n.Props().Mode == ModeAppend {
		return u.at
	}
	return u.n.Props().ChangeKey
}

// placed are the columns of the branch's output that decide the partition, nil if they are not all there.
func (u *unionSide) placed() []int {
	by := u.n.Props().PartitionKey
	if by == nil {
		return nil
	}
	out := make([]int, len(by))
	for i, ord := range by {
		out[i] = -1
		for k, e := range u.exprs {
			if c, ok := e.(*ColumnRef); ok && c.Ord == ord {
				out[i] = k
				break
			}
		}
		if out[i] < 0 {
			return nil
		}
	}
	return out
}

// identical reports whether exprs are the columns of n, all of them and in order.
func identical(n Node, exprs []Expr) bool {
	for i, e := range exprs {
		if c, ok := e.(*ColumnRef); !ok || c.Ord != i {
			return false
		}
	}
	return len(exprs) == len(n.Props().Cols)
}

func unionMode(l, r ChangeMode) ChangeMode { return max(l, r) }

// unionKeys adds the columns of the key to the output of a union and of its branches.
func (s *streamer) unionKeys(out *SetOp, l, r *unionSide) {
	add := func(c Col, le, re Expr) {
		c.Hidden = true
		out.P.Cols = append(out.P.Cols, c)
		l.exprs, r.exprs = append(l.exprs, le), append(r.exprs, re)
	}
	branch := types.Of(types.Int4)
	add(Col{Name: "branch", Type: branch}, &Const{branch, types.IntDatum(0)}, &Const{branch, types.IntDatum(1)})
	lk, rk := refs(l.n, l.key(s)), refs(r.n, r.key(s))
	shared := len(lk) == len(rk)
	for i := range lk {
		shared = shared && lk[i].Type().Equal(rk[i].Type())
	}
	for i, e := range lk {
		col := l.n.Props().Cols[l.key(s)[i]]
		if shared {
			add(col, e, rk[i])
		} else {
			add(col, e, nullConst(e.Type()))
		}
	}
	if shared {
		return
	}
	for i, e := range rk {
		add(r.n.Props().Cols[r.key(s)[i]], nullConst(e.Type()), e)
	}
}

// appends reports whether all rows of a bound plan are facts that stay, as far as can be told before it is lowered.
func (s *streamer) appends(n Node) bool {
	switch x := n.(type) {
	case *Scan:
		return x.Rel.Kind == Stream
	case *Filter, *Project:
		return s.appends(n.Inputs()[0])
	case *Aggregate:
		return x.Window != nil && s.final
	case *SetOp:
		return x.Kind == Union && x.All && s.appends(x.L) && s.appends(x.R)
	case *Join:
		return s.appends(x.L) && (x.Kind == SemiJoin || x.Kind == AntiJoin || x.Kind == InnerJoin || x.Kind == LeftJoin)
	}
	return false
}
