package planner

import (
	"slices"
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// historyTable returns the table with history whose rows n gives, filtered and projected at most; nil if there is none.
func historyTable(n Node) *Relation {
	switch x := n.(type) {
	case *Scan:
		if x.Rel.Kind == Table && x.Rel.HistoryMs > 0 {
			return x.Rel
		}
	case *Filter:
		return historyTable(x.In)
	case *Project:
		return historyTable(x.In)
	}
	return nil
}

// asOf makes a join of a stream with r, the lowered right side of x with its columns at rAt, one as of the stream's time where r is a table with history:
// versions of a row are found by the table's key, so that is what the join goes by, and further equalities become conditions. It returns the history in ms, 0 for
// a join with the rows of now, and the join to go on with.
func asOf(x *Join, strategy JoinStrategy, r Node, rAt []int) (int64, *Join, error) {
	rel := historyTable(r)
	if rel == nil || strategy != StreamTable {
		return 0, x, nil
	}
	next := *x
	next.LKeys, next.RKeys = nil, nil
	nl := len(x.L.Props().Cols)
	left := append([]int(nil), r.Props().ChangeKey...)
	for i, k := range x.RKeys {
		if c, ok := k.(*ColumnRef); ok && contains(left, rAt[c.Ord]) {
			left = slices.DeleteFunc(left, func(ord int) bool { return ord == rAt[c.Ord] })
			next.LKeys, next.RKeys = append(next.LKeys, x.LKeys[i]), append(next.RKeys, k)
			continue
		}
		equal := equalsAny(x.LKeys[i], []Expr{shiftCols(k, nl)})
		next.Cond = conjunction(append(conjuncts(next.Cond), equal))
	}
	if len(left) == 0 {
		return rel.HistoryMs, &next, nil
	}
	var names []string
	for _, k := range rel.Key {
		names = append(names, quoteName(rel.Columns[k].Name))
	}
	return 0, nil, sqlerr.New(sqlerr.FeatureNotSupported, "a stream can join table %q, which has a history, only by its whole key (%s)", rel.Name, strings.Join(names, ", ")).
		WithDetail("Reason: the row as of an earlier time is found by its key; by other columns, or by a key under a cast, it cannot be told which rows there were.").
		WithHint("What works: stream.column = %s.%s with both of one type, CAST on the stream's side if need be, and further conditions; or a table without history, as of now.",
			quoteName(rel.Name), names[0])
}
