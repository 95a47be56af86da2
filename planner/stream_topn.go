package planner

import (
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql/types"
)

// TopN keeps, of all rows with equal Keys, those that come first in the order By: Limit of them after the first Offset. Ties are settled by the
// change key. Output: the input's columns, and with Number the row's number.
type TopN struct {
	P             Props
	In            Node
	Keys          []int     // ordinals
	By            []SortKey // columns
	Limit, Offset int64     // Limit < 0: no limit
	WithTies      bool
	Number        bool
	// Identity are the columns that tell the input's rows apart.
	Identity []int
}

// Props implements Node.
func (n *TopN) Props() *Props { return &n.P }

// Inputs implements Node.
func (n *TopN) Inputs() []Node { return []Node{n.In} }

// Repeat gives each row as often as its column Count says; the last column numbers the copies from 1. Only over retracting input.
type Repeat struct {
	P     Props
	In    Node
	Count int
}

// Props implements Node.
func (n *Repeat) Props() *Props { return &n.P }

// Inputs implements Node.
func (n *Repeat) Inputs() []Node { return []Node{n.In} }

// lowerLimit runs ORDER BY ... LIMIT: each partition keeps its first rows, and of those one task keeps the first of all.
func (s *streamer) lowerLimit(x *Limit) (Node, []int, error) {
	t := &TopN{WithTies: x.WithTies, Limit: -1}
	for _, bound := range []struct {
		e    Expr
		to   *int64
		what string
	}{{x.Limit, &t.Limit, "LIMIT"}, {x.Offset, &t.Offset, "OFFSET"}} {
		if bound.e == nil {
			continue
		}
		c := constOf(bound.e)
		if c == nil {
			return nil, nil, notYet(bound.what+" that is not a constant in a continuous query", "it is evaluated once for the query", "a number", -1)
		}
		if c.Val.Null {
			continue
		}
		if *bound.to = c.Val.I; c.Val.I < 0 {
			return nil, nil, sqlerr.New(sqlerr.InvalidRowCountInLimit, "%s must not be negative", bound.what)
		}
	}
	in := x.In
	var by []SortKey
	if sorted, ok := in.(*Sort); ok {
		in, by = sorted.In, sorted.By
	}
	if t.Limit < 0 && t.Offset == 0 {
		return s.lower(in)
	}
	n, at, err := s.topNInput(t, in, by)
	if err != nil {
		return nil, nil, err
	}
	if local := *t; t.Limit >= 0 && t.Limit+t.Offset <= maxLocalTopN && s.edges[n].count > 1 {
		local.Limit, local.Offset = t.Limit+t.Offset, 0
		n = s.finishTopN(&local, n)
	}
	if n.Props().PartitionKey == nil || len(n.Props().PartitionKey) > 0 {
		n = s.placeBy(n, []int{})
	}
	return s.finishTopN(t, n), at, nil
}

// maxLocalTopN is how many rows are worth being sorted out before they are sent to one task.
const maxLocalTopN = 10_000

// topNInput lowers the input of t, whose rows must be told apart and bring their old rows, and makes the expressions of by columns.
func (s *streamer) topNInput(t *TopN, in Node, by []SortKey) (Node, []int, error) {
	identify := s.identify
	s.identify = true
	n, at, err := s.lower(in)
	s.identify = identify
	if err != nil {
		return nil, nil, err
	}
	exprs := make([]Expr, len(by))
	for i, k := range by {
		exprs[i] = moved(k.Expr, at)
	}
	if err := s.checkVolatile(n, exprs...); err != nil {
		return nil, nil, err
	}
	n, ords := s.computed(s.normalize(n), exprs)
	for i, e := range refs(n, ords) {
		t.By = append(t.By, SortKey{Expr: e, Desc: by[i].Desc, NullsFirst: by[i].NullsFirst})
	}
	t.Identity = n.Props().ChangeKey
	if n.Props().Mode == ModeAppend {
		t.Identity = s.edges[n].ident
	}
	return n, at, nil
}

func (s *streamer) finishTopN(t *TopN, in Node) Node {
	t.In, t.P = in, *in.Props()
	if t.P.Mode != ModeAppend {
		t.Identity = t.P.ChangeKey // with the columns by which rows were dealt anew
	}
	t.P.Mode, t.P.ChangeKey, t.P.OpID = ModeRetract, t.Identity, 0
	if t.Number {
		t.P.Cols = append(append([]Col(nil), t.P.Cols...), Col{Name: "row_number", Type: types.Of(types.Int8)})
	}
	s.edges[t] = edge{count: s.edges[in].count}
	return t
}

// lowerDistinctOn keeps the first row of each value of ON.
func (s *streamer) lowerDistinctOn(x *Distinct) (Node, []int, error) {
	in := x.In
	var by []SortKey
	if sorted, ok := in.(*Sort); ok {
		in, by = sorted.In, sorted.By
	}
	t := &TopN{Limit: 1}
	n, at, err := s.topNInput(t, in, by)
	if err != nil {
		return nil, nil, err
	}
	n, t.Keys = s.computed(n, movedAll(append([]Expr(nil), x.On...), at))
	if !placedWithin(n, t.Keys) {
		n = s.placeBy(n, t.Keys)
	}
	out := s.finishTopN(t, n)
	out.Props().ChangeKey = t.Keys
	return out, at, nil
}
