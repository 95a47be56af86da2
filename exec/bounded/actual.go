package bounded

import (
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/planner"
)

// Actual is what an operator has done, for EXPLAIN ANALYZE. Times are in microseconds and hold those of the operators below it.
type Actual struct {
	Loops int64 // how often it was opened
	Rows  int64 // over all loops
	First int64 // until its first batch, over all loops
	Total int64
}

// counted opens an operator, and measures it if the query is asked to. The clock is read for each batch, never for a row.
func (q *Query) counted(n planner.Node, open func() (Iter, error)) (Iter, error) {
	if q.Actual == nil {
		return open()
	}
	a := q.Actual[n]
	if a == nil {
		a = &Actual{}
		q.Actual[n] = a
	}
	a.Loops++
	c := &countedIter{q: q, a: a}
	defer c.took(q.Env.ClockMicros())
	in, err := open()
	if err != nil {
		return nil, err
	}
	c.in = in
	return c, nil
}

// countedIter measures what it passes on.
type countedIter struct {
	q     *Query
	in    Iter
	a     *Actual
	begun bool // the first batch has come
}

func (it *countedIter) took(since int64) {
	d := it.q.Env.ClockMicros() - since
	it.a.Total += d
	if !it.begun {
		it.a.First += d
	}
}

// Next implements Iter.
func (it *countedIter) Next() (*vec.Batch, error) {
	since := it.q.Env.ClockMicros()
	b, err := it.in.Next()
	it.took(since)
	it.begun = true
	if b != nil {
		it.a.Rows += int64(b.Len())
	}
	return b, err
}

// Close implements Iter.
func (it *countedIter) Close() { it.in.Close() }
