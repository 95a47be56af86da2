package planner

// lowerOver runs OVER: the rows of a partition of the window are kept in order, and when one of them changes the window's values are computed again
// for all of them.
func (s *streamer) lowerOver(x *WindowFunc) (Node, []int, error) {
	out, in, at, err := s.overInput(x)
	if err != nil {
		return nil, nil, err
	}
	for _, c := range out.Calls {
		es := append([]Expr{c.Filter}, c.Args...)
		for _, k := range c.OrderBy {
			es = append(es, k.Expr)
		}
		if err := s.checkVolatile(in, es...); err != nil {
			return nil, nil, err
		}
	}
	for _, c := range out.Calls {
		out.P.Cols = append(out.P.Cols, Col{Name: c.Name, Type: c.Typ})
	}
	width := len(in.Props().Cols)
	for i := range out.Calls {
		at = append(at, width+i)
	}
	return out, at, nil
}

// overInput lowers the input of a window, whose rows must be told apart and bring their old rows, places it by PARTITION BY, and makes the expressions
// that it partitions and sorts by columns. The output has the columns of the input so far.
func (s *streamer) overInput(x *WindowFunc) (out *WindowFunc, in Node, at []int, err error) {
	t := &TopN{}
	in, at, err = s.topNInput(t, x.In, x.OrderBy)
	if err != nil {
		return nil, nil, nil, err
	}
	by := movedAll(append([]Expr(nil), x.PartitionBy...), at)
	if err := s.checkVolatile(in, by...); err != nil {
		return nil, nil, nil, err
	}
	in, ords := s.computed(in, by)
	if !placedWithin(in, ords) {
		in = s.placeBy(in, ords)
	}
	if in.Props().Mode != ModeAppend {
		t.Identity = in.Props().ChangeKey // with the columns by which rows were dealt anew
	}
	out = &WindowFunc{P: *in.Props(), In: in, Calls: copyAggs(x.Calls), PartitionBy: refs(in, ords), OrderBy: t.By, Frame: x.Frame}
	moveAggs(out.Calls, at)
	out.P.Cols = append([]Col(nil), in.Props().Cols...)
	out.P.Mode, out.P.OpID, out.P.ChangeKey = ModeRetract, 0, t.Identity
	s.edges[out] = edge{count: s.edges[in].count}
	return out, in, at, nil
}

// lowerFirstOf runs a filter that keeps the first rows of each partition by row_number(), which needs no more than a Top-N; ok is false for
// other filters.
func (s *streamer) lowerFirstOf(f *Filter) (n Node, at []int, ok bool, err error) {
	w, isOver := f.In.(*WindowFunc)
	if !isOver || len(w.Calls) != 1 || w.Calls[0].Func.Name != "row_number" || w.Calls[0].Filter != nil {
		return nil, nil, false, nil
	}
	limit, rest := int64(-1), []Expr(nil)
	for _, c := range conjuncts(f.Cond) {
		if n, is := rowLimit(c, len(w.In.Props().Cols)); is && (limit < 0 || n < limit) {
			limit = n
			if n > 0 && isUpper(c) {
				continue
			}
		}
		rest = append(rest, c)
	}
	if limit < 0 {
		return nil, nil, false, nil
	}
	out, in, at, err := s.overInput(w)
	if err != nil {
		return nil, nil, false, err
	}
	t := &TopN{Limit: limit, Number: true, By: out.OrderBy, Identity: out.P.ChangeKey}
	for _, e := range out.PartitionBy {
		t.Keys = append(t.Keys, e.(*ColumnRef).Ord)
	}
	top := s.finishTopN(t, in)
	at = append(at, len(in.Props().Cols))
	if len(rest) == 0 {
		return top, at, true, nil
	}
	cond := moved(conjunction(rest), at)
	out2 := &Filter{P: *top.Props(), In: top, Cond: cond}
	out2.P.OpID = 0
	s.edges[out2] = s.edges[top]
	return out2, at, true, s.checkVolatile(top, cond)
}

// rowLimit reads a condition that bounds the row number, column ord, from above, and returns the greatest that passes.
func rowLimit(c Expr, ord int) (int64, bool) {
	call, ok := c.(*Call)
	if !ok || len(call.Args) != 2 {
		return 0, false
	}
	ref, isRef := call.Args[0].(*ColumnRef)
	n := constOf(call.Args[1])
	if !isRef || ref.Ord != ord || n == nil || n.Val.Null || n.Typ.Kind.Storage() != ref.Typ.Kind.Storage() {
		return 0, false
	}
	switch call.Func.Name {
	case "<=", "=":
		return max(0, n.Val.I), true
	case "<":
		return max(0, n.Val.I-1), true
	}
	return 0, false
}

// isUpper reports whether a condition that bounds the row number says no more than that.
func isUpper(c Expr) bool { return c.(*Call).Func.Name != "=" }
