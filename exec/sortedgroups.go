package exec

import (
	"encoding/binary"

	"github.com/millracedb/millrace/exec/expr"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/planner"
)

// sortedGroups keeps the rows of groups in an order, for the operators that work out a group's result anew when it changed: the first rows, OVER.
//
// A row's key in rows is what it is sorted by and then what identifies it; its value is the row, with counted behind the length of the key's first part.
type sortedGroups struct {
	by      []planner.SortKey
	keys    []int // ordinals of the columns of a group
	sort    []int // of what rows are sorted by
	ident   []int // of what identifies a row
	counted bool
	rows    *orderedTable
	shown   *stateTable // what was given for each group
	touched keyIndex    // groups that changed since the last flush
	came    [][]byte    // values in shown of the rows that came into a group's result since then
	cols    []*vec.Vector
	gbuf    []byte
	kbuf    []byte
	vbuf    []byte
}

// ordinals are the columns that the sort keys are.
func ordinals(by []planner.SortKey) []int {
	var out []int
	for _, k := range by {
		out = append(out, k.Expr.(*planner.ColumnRef).Ord)
	}
	return out
}

func (g *sortedGroups) push(in chunk, _ int) error {
	for i := range in.Len() {
		g.cols = pick(g.cols, in.Cols, g.keys)
		g.gbuf = appendKeyCols(g.gbuf[:0], g.cols, i)
		g.kbuf = g.kbuf[:0]
		for k, by := range g.by {
			g.kbuf = expr.AppendSortKey(g.kbuf, by, in.Cols[g.sort[k]].View(i))
		}
		sorted := len(g.kbuf)
		g.cols = pick(g.cols, in.Cols, g.ident)
		g.kbuf = appendKeyCols(g.kbuf, g.cols, i)
		g.touched.add(g.gbuf)
		if !in.Op(i).Adds() {
			if err := g.rows.del(g.gbuf, g.kbuf); err != nil {
				return err
			}
			continue
		}
		g.vbuf = g.vbuf[:0]
		if g.counted {
			g.vbuf = binary.AppendUvarint(g.vbuf, uint64(sorted))
		}
		g.vbuf = appendRowValue(g.vbuf, in.Batch, i)
		if err := g.rows.put(g.gbuf, g.kbuf, g.vbuf); err != nil {
			return err
		}
	}
	return nil
}

// refreshAll calls refresh for each group that changed, emits the rows that came, and hands the state on. Rows come when all that leave have left: a
// row that moved from one group to another is the same row to those who read the result.
func (g *sortedGroups) refreshAll(refresh func(group []byte) error, emit func(val []byte, op vec.Op) error) error {
	for n := range g.touched.len() {
		if err := refresh(g.touched.key(int32(n))); err != nil {
			return err
		}
	}
	for _, val := range g.came {
		if err := emit(val, vec.Insert); err != nil {
			return err
		}
	}
	clear(g.came)
	g.came = g.came[:0]
	g.touched.empty()
	g.rows.flush()
	g.shown.flush()
	return nil
}
