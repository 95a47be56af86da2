package bounded

import (
	"github.com/millracedb/millrace/exec/expr"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// rowKey encodes a row so that equal rows, NULLs included, have equal bytes.
func rowKey(dst []byte, ts []types.Type, b *vec.Batch, row int) []byte {
	for c, t := range ts {
		dst = types.AppendKey(dst, t, b.Cols[c].View(row))
	}
	return dst
}

// keepIter passes on the rows for which keep says so.
type keepIter struct {
	in   Iter
	keep func(b *vec.Batch, row int) (bool, error)
	out  *vec.Batch
	sel  []int32
}

func (it *keepIter) Next() (*vec.Batch, error) {
	for {
		b, err := it.in.Next()
		if err != nil || b == nil {
			return nil, err
		}
		it.sel = it.sel[:0]
		for i := range b.Len() {
			ok, err := it.keep(b, i)
			if err != nil {
				return nil, err
			}
			if ok {
				it.sel = append(it.sel, int32(i))
			}
		}
		if len(it.sel) == 0 {
			continue
		}
		it.out.Reset()
		it.out.AppendGather(b, it.sel)
		return it.out, nil
	}
}

func (it *keepIter) Close() { it.in.Close() }

// seenEntryBytes is what an entry of a hash set is charged beyond its key.
const seenEntryBytes = 48

// seen is a set of row keys, charged to the query.
type seen struct {
	q   *Query
	m   map[string]struct{}
	buf []byte
}

func (q *Query) newSeen() *seen { return &seen{q: q, m: map[string]struct{}{}} }

// add reports whether the key in buf is new.
func (s *seen) add() (bool, error) {
	if _, ok := s.m[string(s.buf)]; ok {
		return false, nil
	}
	s.m[string(s.buf)] = struct{}{}
	return true, s.q.Memory.grow(len(s.buf) + seenEntryBytes)
}

func (q *Query) openDistinct(n *planner.Distinct) (Iter, error) {
	in, err := q.open(n.In)
	if err != nil {
		return nil, err
	}
	ts := schema(n.In)
	ps, err := expr.CompileAll(n.On)
	if err != nil {
		in.Close()
		return nil, err
	}
	s := q.newSeen()
	keep := func(b *vec.Batch, row int) (bool, error) {
		s.buf = s.buf[:0]
		if n.On == nil {
			s.buf = rowKey(s.buf, ts, b, row)
			return s.add()
		}
		for k, p := range ps {
			d, err := p.Scalar(q.Env, b, row)
			if err != nil {
				return false, err
			}
			s.buf = types.AppendKey(s.buf, n.On[k].Type(), d)
		}
		return s.add()
	}
	return &keepIter{in: in, keep: keep, out: vec.NewBatch(ts, batchRows)}, nil
}

// concatIter yields the rows of one input after the other.
type concatIter struct{ parts []Iter }

func (it *concatIter) Next() (*vec.Batch, error) {
	for len(it.parts) > 0 {
		b, err := it.parts[0].Next()
		if err != nil || b != nil {
			return b, err
		}
		it.parts[0].Close()
		it.parts = it.parts[1:]
	}
	return nil, nil
}

func (it *concatIter) Close() {
	for _, p := range it.parts {
		p.Close()
	}
}

func (q *Query) openSetOp(n *planner.SetOp) (Iter, error) {
	l, err := q.open(n.L)
	if err != nil {
		return nil, err
	}
	r, err := q.open(n.R)
	if err != nil {
		l.Close()
		return nil, err
	}
	ts := schema(n)
	if n.Kind == planner.Union {
		both := &concatIter{parts: []Iter{l, r}}
		if n.All {
			return both, nil
		}
		return q.distinct(both, ts), nil
	}
	counts, err := q.countRows(r, ts)
	if err != nil {
		l.Close()
		return nil, err
	}
	var buf []byte
	keep := func(b *vec.Batch, row int) (bool, error) {
		buf = rowKey(buf[:0], ts, b, row)
		c := counts[string(buf)]
		if n.All && c > 0 {
			counts[string(buf)] = c - 1
		}
		return (c > 0) == (n.Kind == planner.Intersect), nil
	}
	out := &keepIter{in: l, keep: keep, out: vec.NewBatch(ts, batchRows)}
	if n.All {
		return out, nil
	}
	return q.distinct(out, ts), nil
}

func (q *Query) distinct(in Iter, ts []types.Type) Iter {
	s := q.newSeen()
	keep := func(b *vec.Batch, row int) (bool, error) {
		s.buf = rowKey(s.buf[:0], ts, b, row)
		return s.add()
	}
	return &keepIter{in: in, keep: keep, out: vec.NewBatch(ts, batchRows)}
}

// countRows reads an input to its end and counts equal rows.
func (q *Query) countRows(in Iter, ts []types.Type) (map[string]int, error) {
	defer in.Close()
	counts := map[string]int{}
	var buf []byte
	for {
		b, err := in.Next()
		if err != nil || b == nil {
			return counts, err
		}
		for i := range b.Len() {
			buf = rowKey(buf[:0], ts, b, i)
			if _, ok := counts[string(buf)]; !ok {
				if err := q.Memory.grow(len(buf) + seenEntryBytes); err != nil {
					return nil, err
				}
			}
			counts[string(buf)]++
		}
	}
}

func (q *Query) openWork(n *planner.WorkScan) (Iter, error) { return q.work[n.ID].iter(), nil }
