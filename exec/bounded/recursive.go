package bounded

import (
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/planner"
)

// recursiveIter runs WITH RECURSIVE round by round: the rows of a round are what the recursive term makes of the round before (PostgreSQL docs,
// 7.8.2). Rows are handed on as they come and only two rounds are held, so an endless recursion can be read under a LIMIT.
type recursiveIter struct {
	q     *Query
	n     *planner.RecursiveUnion
	in    Iter    // the round in progress, nil at its end
	round *rowSet // its rows so far
	held  int     // bytes that the last round is charged with
	seen  *seen   // nil with ALL
}

func (q *Query) openRecursive(n *planner.RecursiveUnion) (Iter, error) {
	it := &recursiveIter{q: q, n: n}
	if !n.All {
		it.seen = q.newSeen()
	}
	return it, it.begin(n.Base)
}

// begin opens a round.
func (it *recursiveIter) begin(term planner.Node) error {
	in, err := it.q.open(term)
	if err != nil {
		return err
	}
	ts := schema(it.n)
	if s := it.seen; s != nil {
		in = &keepIter{in: in, out: vec.NewBatch(ts, batchRows), keep: func(b *vec.Batch, row int) (bool, error) {
			s.buf = rowKey(s.buf[:0], ts, b, row)
			return s.add()
		}}
	}
	it.in, it.round = in, &rowSet{schema: ts}
	return nil
}

// Next implements Iter.
func (it *recursiveIter) Next() (*vec.Batch, error) {
	for it.in != nil {
		b, err := it.in.Next()
		if err != nil {
			return nil, err
		}
		if b != nil {
			return b, it.round.add(it.q.Memory, b)
		}
		it.in.Close()
		it.in = nil
		if it.round.n == 0 {
			return nil, nil
		}
		if err := it.q.Env.Ctx.Err(); err != nil {
			return nil, err
		}
		it.q.Memory.shrink(it.held)
		it.held = it.round.size()
		it.q.work[it.n.ID] = it.round
		if err := it.begin(it.n.Rec); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// Close implements Iter.
func (it *recursiveIter) Close() {
	if it.in != nil {
		it.in.Close()
		it.in = nil
	}
}
