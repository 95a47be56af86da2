package exec

import (
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/sql/types"
)

// eachRow stands behind a source where emit is each: it sends the rows on one by one, both halves of an update together, and lets the operators show
// after each what it has changed. Only what is written anyway in order, blocks of an exchange and rows for an ordinary table, waits for the commit.
type eachRow struct {
	cx    *opContext
	p     *pipeline
	to    edge
	row   *vec.Batch
	clock []int64
}

func (o *eachRow) push(in chunk, _ int) error {
	if o.row == nil {
		ts := make([]types.Type, len(in.Cols))
		for i, c := range in.Cols {
			ts[i] = c.Type
		}
		o.row = vec.NewBatch(ts, 0)
	}
	for i := 0; i < in.Len(); i++ {
		o.row.Reset()
		o.clock = o.clock[:0]
		o.take(in, i)
		if in.Op(i) == vec.UpdateDelete && i+1 < in.Len() && in.Op(i+1) == vec.UpdateInsert {
			i++
			o.take(in, i)
		}
		out := chunk{Batch: o.row}
		if in.clock != nil {
			out.clock = o.clock
		}
		if err := o.to.send(out); err != nil {
			return err
		}
		if err := o.p.show(o.cx.now); err != nil {
			return err
		}
	}
	return nil
}

func (o *eachRow) take(in chunk, i int) {
	o.row.AppendRow(in.Batch, i, in.Op(i))
	if in.clock != nil {
		o.clock = append(o.clock, in.clock[i])
	}
}

func (o *eachRow) flush(int64) error { return nil }

// show flushes what makes changes of rows and what writes them one per key.
func (p *pipeline) show(now int64) error {
	for _, op := range p.ops {
		if p.writer != nil && op.operator == operator(p.writer) || p.table != nil && op.operator == operator(p.table) {
			continue
		}
		if err := p.flushOne(op, now); err != nil {
			return err
		}
	}
	return nil
}
