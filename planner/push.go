package planner

import (
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// planPush plans SELECT ... EMIT CHANGES or FINAL. The plan may hold exchanges; it is not cut into fragments.
func (p *Planner) planPush(st *statement, q *sql.Query) (*Query, error) {
	n, limit, err := st.bindPush(q)
	if err != nil {
		return nil, err
	}
	n = p.optimize(n)
	showOp, asked := p.Settings.ShowChanges, false
	if readsOp(n) {
		bare, ok := withoutOp(q)
		if !ok {
			return nil, notYet("op inside an expression", "the kind of a change is known only when it leaves the query", "op as a column of its own", posOf(q))
		}
		hints := st.params
		st = p.begin(st.ctx, hints)
		if n, limit, err = st.bindPush(bare); err != nil {
			return nil, err
		}
		n, showOp, asked = p.optimize(n), true, true
	}
	out := &Query{Unbounded: true, LimitRows: -1, ShowOp: showOp, Each: p.Settings.Each}
	if out.LimitRows, out.ForInterval, err = st.pushEnd(q, limit); err != nil {
		return nil, err
	}
	n = unnest(n)
	if err := st.refuseSubqueries(n); err != nil {
		return nil, err
	}
	s := newStreamer(n, q.Emit.Final)
	s.latest = p.Settings.Latest
	root, at, err := s.lower(n)
	if err != nil {
		return nil, sqlerr.From(err).At(q.Offset())
	}
	if err := s.checkFinal(q.Emit); err != nil {
		return nil, err
	}
	for i, c := range n.Props().Cols {
		if !c.Hidden {
			out.Columns = append(out.Columns, at[i])
		}
	}
	finishStream(root)
	out.ShowOp = asked || out.ShowOp && root.Props().Mode != ModeAppend
	out.Root, out.Params, out.Reads = root, st.finishParams(), st.reads
	return out, nil
}

// bindPush binds a push query; its LIMIT ends it from outside and is bound apart.
func (st *statement) bindPush(q *sql.Query) (Node, Expr, error) {
	st.unbounded = true
	plain := *q
	plain.Limit = nil
	b := st.binder()
	b.clause = "LIMIT"
	var limit Expr
	if q.Limit != nil {
		x, err := b.bindExpr(q.Limit)
		if err == nil {
			x, err = b.coerce(x, types.Of(types.Int8), CastAssignment, posOf(q.Limit))
		}
		if err != nil {
			return nil, nil, err
		}
		limit = st.p.foldExpr(x)
	}
	n, err := st.bindUnbounded(&plain)
	return n, limit, err
}

// bindUnbounded binds a query that never ends by itself.
func (st *statement) bindUnbounded(q *sql.Query) (Node, error) {
	st.unbounded = true
	plain := *q
	plain.Emit = nil
	b := st.binder()
	n, err := b.bindQuery(&plain)
	if err != nil {
		return nil, err
	}
	return b.settleUnknown(n)
}

func readsOp(n Node) bool {
	found := false
	visitNodes(n, func(n Node) {
		if s, ok := n.(*Scan); ok {
			for _, c := range s.Cols {
				found = found || c == PseudoOp
			}
		}
	})
	return found
}

// withoutOp takes the pseudo column op out of the select list.
func withoutOp(q *sql.Query) (*sql.Query, bool) {
	sel, ok := q.Body.(*sql.Select)
	if !ok {
		return nil, false
	}
	var rest []*sql.Target
	for _, t := range sel.Targets {
		c, isCol := t.Expr.(*sql.ColumnRef)
		if !isCol || c.Parts[len(c.Parts)-1] != "op" {
			rest = append(rest, t)
		}
	}
	if len(rest) == len(sel.Targets) {
		return nil, false
	}
	bare, body := *q, *sel
	body.Targets = rest
	bare.Body = &body
	return &bare, true
}

// constOf returns the constant that e is, nil for none. Without an evaluator a small literal is still under its cast.
func constOf(e Expr) *Const {
	if cast, ok := e.(*Cast); ok {
		e = cast.Arg
	}
	c, _ := e.(*Const)
	return c
}

// pushEnd reads what ends a push query: LIMIT rows and FOR INTERVAL, in milliseconds.
func (st *statement) pushEnd(q *sql.Query, limit Expr) (rows, interval int64, err error) {
	rows = -1
	if limit != nil {
		c := constOf(limit)
		if c == nil {
			return 0, 0, notYet("a parameter as LIMIT of a push query", "the limit is fixed when the query is planned", "a number", posOf(q.Limit))
		}
		if !c.Val.Null {
			if rows = c.Val.I; rows < 0 {
				return 0, 0, sqlerr.New(sqlerr.InvalidRowCountInLimit, "LIMIT must not be negative").At(q.Limit.Offset())
			}
		}
	}
	if q.Emit.Interval != nil {
		interval, err = st.durationMs(q.Emit.Interval)
	}
	return rows, interval, err
}

func (s *streamer) checkFinal(e *sql.Emit) error {
	if s.final && !s.finalled {
		pos := -1
		if e != nil {
			pos = e.Offset()
		}
		return sqlerr.New(sqlerr.FeatureNotSupported, "EMIT FINAL needs a windowed GROUP BY").
			WithDetail("Reason: a result is final only when its window has closed.").
			WithHint("What works: WINDOW TUMBLING (SIZE ...) GROUP BY ..., or EMIT CHANGES.").At(pos)
	}
	return nil
}

// finishStream numbers the stateful operators in plan order and marks the exchanges whose writers must send their time.
func finishStream(root Node) {
	next := uint32(0)
	var number func(n Node)
	number = func(n Node) {
		for _, in := range n.Inputs() {
			if in != nil {
				number(in)
			}
		}
		if stateful(n) {
			next++
			n.Props().OpID = next
		}
	}
	number(root)
	markClosing(root, false)
}

func stateful(n Node) bool {
	switch n.(type) {
	case *Aggregate, *Join, *Normalize, *Materialize, *Expire, *TopN, *WindowFunc:
		return true
	}
	return false
}

func markClosing(n Node, closing bool) {
	switch x := n.(type) {
	case *Sink:
		// Who reads the stream may have windows: its records carry the time.
		closing = x.Rel.Kind == Stream
	case *Expire:
		closing = true
	case *Aggregate:
		closing = closing || x.Window != nil
	case *Join:
		closing = closing || x.Strategy == StreamStream
	case *Exchange:
		x.Closing = closing
	}
	for _, in := range n.Inputs() {
		if in != nil {
			markClosing(in, closing)
		}
	}
}
