package exec

import (
	"math"

	"github.com/millracedb/millrace/exec/expr"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// maxExpanded is how many rows one row may become; one that would become more is an error row.
const maxExpanded = 1_000_000

// expandOp gives each row once for each row that set-returning functions make of it, numbered from 1. What they give is gathered first, so that a row
// for which one of them fails takes no part at all. The halves of an update share the copies that both have.
type expandOp struct {
	edge
	cx    *opContext
	sets  []expandCall
	args  *evaluator
	outer bool
	old   copies
	new   copies
	out   *vec.Batch
	clock []int64
}

// copies is what the functions give for one row.
type copies struct {
	*vec.Batch
	none bool // nothing: the row leaves once all the same
}

type expandCall struct {
	call  *expr.SetCall
	first int // the first of its arguments among those of all calls
	args  []types.Datum
	at    int // its first column
	width int
}

func newExpand(cx *opContext, n *planner.Expand, to edge) (*expandOp, error) {
	o := &expandOp{edge: to, cx: cx, outer: n.Outer, out: vec.NewBatch(schemaOf(n), 0)}
	var args []planner.Expr
	at := 0
	for _, s := range n.Sets {
		ts := make([]types.Type, len(s.Call.Args))
		for i, a := range s.Call.Args {
			ts[i] = a.Type()
		}
		call, err := expr.CompileSet(s.Call.Func, ts, s.Call.Typ)
		if err != nil {
			return nil, err
		}
		o.sets = append(o.sets, expandCall{call, len(args), make([]types.Datum, len(ts)), at, s.Width})
		args, at = append(args, s.Call.Args...), at+s.Width
	}
	in := len(n.In.Props().Cols)
	made := schemaOf(n)[in : in+at]
	o.old.Batch, o.new.Batch = vec.NewBatch(made, 0), vec.NewBatch(made, 0)
	var err error
	o.args, err = newEvaluator(cx, args)
	return o, err
}

func (o *expandOp) push(in chunk, _ int) error {
	args := o.args.evalAll(in.Batch)
	o.args.reportAdds(in.Batch)
	for i := 0; i < in.Len(); i++ {
		leaves, joins := i, i
		o.old.reset()
		o.new.reset()
		switch in.Op(i) {
		case vec.UpdateDelete:
			o.compute(&o.old, in.Batch, i, args)
			if i+1 < in.Len() && in.Op(i+1) == vec.UpdateInsert {
				i++
				joins = i
				o.compute(&o.new, in.Batch, i, args)
			}
		case vec.Delete:
			o.compute(&o.old, in.Batch, i, args)
		default:
			o.compute(&o.new, in.Batch, i, args)
		}
		if err := o.change(in, leaves, joins); err != nil {
			return err
		}
	}
	return o.sendAll(in.clock != nil)
}

func (c *copies) reset() {
	c.Reset()
	c.none = false
}

// compute fills to with what the functions make of row i, nothing if one fails.
func (o *expandOp) compute(to *copies, in *vec.Batch, i int, args []*vec.Vector) {
	if o.args.errs.Has(int32(i)) {
		return
	}
	rows := 0
	for k := range o.sets {
		n, err := o.sets[k].fill(o.cx.env, to.Batch, i, args)
		if err != nil {
			to.Reset()
			if in.Op(i).Adds() {
				o.cx.errors.row(errEval, in, i, err)
			}
			return
		}
		rows = max(rows, n)
	}
	for _, col := range to.Cols {
		for col.Len() < rows {
			col.AppendNull()
		}
	}
	to.SetLen(rows)
	if to.none = rows == 0 && o.outer; to.none {
		for _, col := range to.Cols {
			col.AppendNull()
		}
		to.SetLen(1)
	}
}

// fill appends what the function gives to its columns of to, and returns how many rows that are.
func (s *expandCall) fill(env *expr.Env, to *vec.Batch, i int, args []*vec.Vector) (rows int, err error) {
	for k := range s.args {
		s.args[k] = args[s.first+k].Datum(i)
	}
	for row, err := range s.call.Rows(env, s.args) {
		if err != nil {
			return 0, err
		}
		if rows++; rows > maxExpanded {
			return 0, sqlerr.New(sqlerr.ProgramLimitExceeded, "a row would become more than %d rows", maxExpanded)
		}
		if s.width == 1 && len(row) > 1 {
			to.Cols[s.at].AppendDatum(types.StructDatum(to.Cols[s.at].Type.Fields, row))
			continue
		}
		for c, d := range row {
			to.Cols[s.at+c].AppendDatum(d)
		}
	}
	return rows, nil
}

// change takes the copies of row leaves out and puts those of row joins in.
func (o *expandOp) change(in chunk, leaves, joins int) error {
	before, after := o.old.Len(), o.new.Len()
	for n := range max(before, after) {
		leave, join := vec.UpdateDelete, vec.UpdateInsert
		if n >= before || n >= after || o.old.none != o.new.none {
			leave, join = vec.Delete, vec.Insert
		}
		if n < before {
			o.emit(in, leaves, &o.old, n, leave)
		}
		if n < after {
			o.emit(in, joins, &o.new, n, join)
		}
		if o.out.Len() >= outRows {
			if err := o.sendAll(in.clock != nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// emit appends copy n of row i. Rows of a stream keep their place, the number of the copy after it.
func (o *expandOp) emit(in chunk, i int, made *copies, n int, op vec.Op) {
	width, last := len(in.Cols), len(o.out.Cols)-1
	number := int64(n) + 1
	if made.none {
		number = 0
	}
	own := vec.Batch{Cols: o.out.Cols[:width], Ops: o.out.Ops, Rowtime: o.out.Rowtime, Source: o.out.Source}
	own.SetLen(o.out.Len())
	own.AppendRow(in.Batch, i, op)
	for c, col := range made.Cols {
		o.out.Cols[width+c].AppendRow(col, n)
	}
	o.out.Cols[last].AppendInt(number)
	if in.clock != nil {
		o.clock = append(o.clock, in.clock[i])
	}
	if s := own.Source; s.Has(own.Len() - 1) {
		s.Ordinal[own.Len()-1] = ordinalOfCopy(s.Ordinal[own.Len()-1], n)
	}
	o.out.Ops, o.out.Rowtime, o.out.Source = own.Ops, own.Rowtime, own.Source
	o.out.SetLen(own.Len())
}

// copiesApart is how far apart the ordinals of copies of copies are.
const copiesApart = 1 << 15

// ordinalOfCopy is the place of copy n of a row among those of one record. Beyond what fits, copies share a place.
func ordinalOfCopy(ordinal int32, n int) int32 {
	return int32(min(int64(ordinal)*copiesApart+int64(n), math.MaxInt32))
}

func (o *expandOp) sendAll(timed bool) error {
	if o.out.Len() == 0 {
		return nil
	}
	c := chunk{Batch: o.out}
	if timed {
		c.clock = o.clock
	}
	err := o.send(c)
	o.out.Reset()
	o.clock = o.clock[:0]
	return err
}

func (o *expandOp) flush(int64) error { return nil }
