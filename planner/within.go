package planner

import (
	"math"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// maxWithinMs bounds WITHIN, its grace and what conditions on times come to, so that sums of times cannot overflow: a thousand years.
const maxWithinMs = 1000 * 366 * 86_400_000

// Within bounds the times of two rows that a join of streams brings together: rowtime of the right one less that of the left one lies in
// [-BeforeMs, AfterMs]. Either may be negative, not their sum. GraceMs is how late, beyond what their own times allow, rows may come.
type Within struct {
	BeforeMs, AfterMs, GraceMs int64
	// Eager: a row of an outer side that meets no partner when it comes leaves alone at once, and is joined as well if a partner comes later.
	Eager bool
}

// joinWithin reads WITHIN and GRACE PERIOD. In a query that ends they are a condition on the rowtimes like any other.
func (b *binder) joinWithin(n *Join, j *sql.Join) error {
	if j.Within == nil {
		return nil
	}
	w := &Within{}
	for _, part := range []struct {
		d  *sql.Duration
		to *int64
	}{{j.Within.Before, &w.BeforeMs}, {j.Within.After, &w.AfterMs}, {j.Within.Grace, &w.GraceMs}} {
		if part.d == nil {
			continue
		}
		ms, err := b.st.durationMs(part.d)
		if err != nil {
			return err
		}
		if ms < 0 || ms > maxWithinMs {
			return sqlerr.New(sqlerr.InvalidParameterValue, "a length of time of WITHIN must be between nought and a thousand years").At(part.d.Offset())
		}
		*part.to = ms
	}
	if !drivesJoin(n.L) || !drivesJoin(n.R) {
		return sqlerr.New(sqlerr.FeatureNotSupported, "WITHIN bounds a join of two streams").
			WithDetail("Reason: a table's rows have no end, so they always can be looked up.").
			WithHint("What works: the join without WITHIN.").At(j.Within.Offset())
	}
	if b.ksql() && j.Within.Grace == nil {
		w.GraceMs, w.Eager = w.defaultGrace(), n.Kind == LeftJoin || n.Kind == RightJoin || n.Kind == FullJoin
	}
	if b.st.unbounded {
		n.Within = w
		return nil
	}
	cond, err := b.withinCondition(n, w, j.Within.Pos)
	if err != nil {
		return err
	}
	n.Cond = conjunction(append(conjuncts(n.Cond), cond...))
	return nil
}

// drivesJoin reports whether the rows of n, as it was bound, are facts: those of a stream, or of streams joined with whatever.
func drivesJoin(n Node) bool {
	switch x := n.(type) {
	case *Scan:
		return x.Rel.Kind == Stream
	case *Aggregate:
		return x.Window != nil // with EMIT FINAL; without it the join is refused when its strategy is chosen
	}
	ins := n.Inputs()
	return len(ins) > 0 && drivesJoin(ins[0])
}

// withinCondition restates w as conditions over both sides' columns.
func (b *binder) withinCondition(n *Join, w *Within, pos sql.Pos) ([]Expr, error) {
	l, okL := rowtimeOf(n.L)
	r, okR := rowtimeOf(n.R)
	if !okL || !okR {
		return nil, notYet("WITHIN over a subquery in a query that ends", "the subquery's rows carry their time only in the columns it selects",
			"a condition on columns of time, ON l.at BETWEEN r.at - INTERVAL '1 hour' AND r.at", pos)
	}
	r = shiftCols(r, len(n.L.Props().Cols))
	bound := func(cmp, op string, ms int64) (Expr, error) {
		by := &Const{types.Of(types.Interval), intervalOfMillis(ms)}
		limit := &Call{Func: findFunc(op + "(timestamptz,interval)"), Args: []Expr{l, by}, Typ: types.Of(types.TimestampTZ)}
		return b.operator(cmp, r, limit, pos)
	}
	lo, err := bound(">=", "-", w.BeforeMs)
	if err != nil {
		return nil, err
	}
	hi, err := bound("<=", "+", w.AfterMs)
	return []Expr{lo, hi}, err
}

// rowtimeOf is the rowtime of n's rows as an expression over its columns, where a query that ends has one.
func rowtimeOf(n Node) (Expr, bool) {
	switch x := n.(type) {
	case *Scan:
		for i, ord := range x.Cols {
			if ord == PseudoRowtime {
				return &ColumnRef{Ord: i, Typ: types.Of(types.TimestampTZ), Name: "rowtime"}, true
			}
		}
	case *Filter:
		return rowtimeOf(x.In)
	case *Join:
		l, okL := rowtimeOf(x.L)
		if x.R == nil || !drivesJoin(x.R) {
			return l, okL
		}
		r, okR := rowtimeOf(x.R)
		if !okL || !okR {
			return nil, false
		}
		later := []Expr{l, shiftCols(r, len(x.L.Props().Cols))}
		return &Call{Func: registry["greatest"][0], Args: later, Typ: types.Of(types.TimestampTZ)}, true
	}
	return nil, false
}

// span is a range of times in ms.
type span struct{ lo, hi int64 }

func (s span) plus(t span) span  { return span{s.lo + t.lo, s.hi + t.hi} }
func (s span) minus(t span) span { return span{s.lo - t.hi, s.hi - t.lo} }

// timesWithin finds what the keys and the condition of a join say about the rowtimes of its sides, cond being over both sides' columns. The
// condition stays: the bounds are what rows must be kept for, the condition says which of them match.
func timesWithin(j *Join, cond Expr) (*Within, bool) {
	lo, hi := int64(math.MinInt64), int64(math.MaxInt64)
	nl := len(j.L.Props().Cols)
	take := func(op string, a, b Expr) {
		d, ok := timeDifference(j, nl, a, b)
		if !ok {
			return
		}
		if op != ">" && op != ">=" {
			hi = min(hi, d.hi)
		}
		if op != "<" && op != "<=" {
			lo = max(lo, d.lo)
		}
	}
	turned := map[string]string{"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "="}
	for i := range j.LKeys {
		take("=", shiftCols(j.RKeys[i], nl), j.LKeys[i])
	}
	for _, c := range conjuncts(cond) {
		call, ok := c.(*Call)
		if !ok || turned[call.Func.Name] == "" || len(call.Args) != 2 {
			continue
		}
		x, y := addedTo(call.Args[0], call.Args[1])
		y, x = addedTo(y, x)
		take(call.Func.Name, x, y)
		take(turned[call.Func.Name], y, x)
	}
	if lo < -maxWithinMs || hi > maxWithinMs {
		return nil, false
	}
	return &Within{BeforeMs: -lo, AfterMs: max(hi, lo)}, true
}

// addedTo turns a comparison of x - y with a constant into one of x with y plus the constant.
func addedTo(x, length Expr) (Expr, Expr) {
	call, ok := x.(*Call)
	if _, isLength := constantSpan(length); !isLength || !ok || call.Func.Name != "-" || len(call.Args) != 2 {
		return x, length
	}
	return call.Args[0], &Call{Func: findFunc("+(timestamptz,interval)"), Args: []Expr{call.Args[1], length}, Typ: call.Args[1].Type()}
}

// timeDifference says by how much the rowtime of the right row would exceed that of the left row if a, a time of the right row, and b, one of
// the left row, were equal.
func timeDifference(j *Join, nl int, a, b Expr) (span, bool) {
	right, okR := timeTerm(j, a)
	left, okL := timeTerm(j, b)
	if !okR || !okL || right.ord < nl || left.ord >= nl {
		return span{}, false
	}
	return left.offset.minus(right.offset), true
}

// term is column ord of a join's row plus a constant; the row's rowtime is somewhere within offset of less than it.
type term struct {
	ord    int
	offset span
}

// timeTerm reads a column whose distance from its row's rowtime is bounded, plus or minus a constant.
func timeTerm(j *Join, e Expr) (term, bool) {
	switch x := e.(type) {
	case *ColumnRef:
		n, ord, nl := j.L, x.Ord, len(j.L.Props().Cols)
		if ord >= nl {
			n, ord = j.R, ord-nl
		}
		ahead, ok := rowtimeAhead(n, ord)
		return term{x.Ord, span{-ahead.hi, -ahead.lo}}, ok
	case *Call:
		if len(x.Args) != 2 || x.Func.Name != "+" && x.Func.Name != "-" {
			return term{}, false
		}
		t, ok := timeTerm(j, x.Args[0])
		by, isConst := constantSpan(x.Args[1])
		if x.Func.Name == "+" {
			t.offset = t.offset.plus(by)
		} else {
			t.offset = t.offset.minus(by)
		}
		return t, ok && isConst
	}
	return term{}, false
}

// constantSpan reads a constant interval. Months have 28 to 31 days.
func constantSpan(e Expr) (span, bool) {
	c, ok := e.(*Const)
	if cast, isCast := e.(*Cast); isCast && !ok { // without an evaluator a literal is still under its cast
		c, ok = cast.Arg.(*Const)
	}
	if !ok || c.Val.Null || c.Typ.Kind != types.Interval {
		return span{}, false
	}
	v := types.IntervalOf(c.Val)
	const day = 86_400_000
	lo, hi := v.Micros/1000, v.Micros/1000
	if v.Micros%1000 != 0 {
		lo, hi = lo-1, hi+1
	}
	short, long := 28*int64(v.Months)*day, 31*int64(v.Months)*day
	s := span{lo + int64(v.Days)*day + min(short, long), hi + int64(v.Days)*day + max(short, long)}
	return s, s.lo >= -maxWithinMs && s.hi <= maxWithinMs
}

// rowtimeAhead says by how much the rowtime of n's rows may exceed column ord of them; ok is false if nothing is known.
func rowtimeAhead(n Node, ord int) (ahead span, ok bool) {
	switch x := n.(type) {
	case *Scan:
		return scanTimeAhead(x, x.Cols[ord])
	case *Project:
		if c, isCol := x.Exprs[ord].(*ColumnRef); isCol {
			return rowtimeAhead(x.In, c.Ord)
		}
	case *Filter:
		return rowtimeAhead(x.In, ord)
	case *Exchange:
		return rowtimeAhead(x.In, ord)
	case *Aggregate:
		return windowTimeAhead(x, ord)
	case *Join: // a joined row has the later time of its halves
		nl := len(x.L.Props().Cols)
		switch {
		case x.Strategy == StreamTable && ord < nl:
			return rowtimeAhead(x.L, ord)
		case x.Strategy == StreamStream && ord < nl:
			ahead, ok = rowtimeAhead(x.L, ord)
			return ahead.plus(span{0, max(0, x.Within.AfterMs)}), ok
		case x.Strategy == StreamStream:
			ahead, ok = rowtimeAhead(x.R, ord-nl)
			return ahead.plus(span{0, max(0, x.Within.BeforeMs)}), ok
		}
	}
	return span{}, false
}

func scanTimeAhead(x *Scan, col int) (span, bool) {
	switch {
	case x.Rel.Kind != Stream:
		return span{}, false
	case col == PseudoRowtime:
		return span{}, true
	case col < 0 || col != x.Rel.TimestampColumn:
		return span{}, false
	}
	k := x.Rel.Columns[col].Type.Kind
	return span{-1, 0}, k == types.Timestamp || k == types.TimestampTZ // rowtime is in whole ms
}

// windowTimeAhead is for the bounds of a window, in which the rowtime of its row lies.
func windowTimeAhead(x *Aggregate, ord int) (span, bool) {
	if x.Window == nil || x.Window.Kind == Session {
		return span{}, false
	}
	switch ord - len(x.Keys) {
	case 0:
		return span{0, x.Window.SizeMs}, true
	case 1:
		return span{-x.Window.SizeMs, 0}, true
	}
	return span{}, false
}
