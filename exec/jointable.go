package exec

import (
	"encoding/binary"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/planner"
)

// tableJoin is table-table: both sides keep their rows by join key, and a change on one side meets the rows of the other. Where
// a side must show unmatched rows too, each of its rows carries its degree, the number of its partners, so that the change
// from none to one and back is seen.
//
// A row in state is its degree (a varint), rowtime and columns; its key is the join key and the side's change key.
type tableJoin struct {
	n       *planner.Join
	out     outBatch
	sides   [2]joinSide
	matcher matcher
	cand    *vec.Batch
	found   []partner
	kbuf    []byte
	rbuf    []byte
	vbuf    []byte
	cols    []*vec.Vector
}

type joinSide struct {
	keys   *evaluator
	change []int
	rows   *stateTable
	outer  bool // unmatched rows show
	one    *vec.Batch
}

// partner is a row of the other side in the group being joined.
type partner struct {
	row    int32
	degree int64
	body   []byte
}

func newTableJoin(cx *opContext, n *planner.Join, to edge) (*tableJoin, error) {
	j := &tableJoin{
		n: n, out: outBatch{Batch: vec.NewBatch(schemaOf(n), 0), to: to}, cand: vec.NewBatch(schemaOf(n), 0),
	}
	ins, keys := [2]planner.Node{n.L, n.R}, [2][]planner.Expr{n.LKeys, n.RKeys}
	for s := range j.sides {
		e, err := newEvaluator(cx, keys[s])
		if err != nil {
			return nil, err
		}
		j.sides[s] = joinSide{
			keys: e, change: ins[s].Props().ChangeKey, rows: newStateTable(cx.state, n.P.OpID, byte(s)), one: vec.NewBatch(schemaOf(ins[s]), 1),
		}
	}
	j.sides[portLeft].outer = n.Kind == planner.LeftJoin || n.Kind == planner.FullJoin
	j.sides[portRight].outer = n.Kind == planner.RightJoin || n.Kind == planner.FullJoin
	var err error
	j.matcher, err = newMatcher(cx, n.Cond)
	return j, err
}

func (j *tableJoin) push(in chunk, port int) error {
	side := &j.sides[port]
	keys := side.keys.evalAll(in.Batch)
	side.keys.reportAdds(in.Batch)
	for i := range in.Len() {
		if side.keys.errs.Has(int32(i)) {
			continue
		}
		var err error
		if anyNull(keys, i) {
			if side.outer {
				j.emitAlone(port, in.Batch, i, rowtimeOf(in.Batch, i), in.Op(i).Adds())
			}
		} else {
			j.kbuf = appendKeyCols(j.kbuf[:0], keys, i)
			err = j.change(port, in.Batch, i)
		}
		if err == nil {
			err = j.out.room()
		}
		if err != nil {
			return err
		}
	}
	return j.out.sendAll()
}

// change applies the change of row i, whose join key is in kbuf, on side port.
func (j *tableJoin) change(port int, in *vec.Batch, i int) error {
	side, other := &j.sides[port], &j.sides[1-port]
	adds := in.Op(i).Adds()
	if err := j.partners(port, in, i); err != nil {
		return err
	}
	rowtime := rowtimeOf(in, i)
	for k, p := range j.found {
		before := p.degree
		if adds {
			p.degree++
		} else {
			p.degree--
		}
		if other.outer {
			if err := j.setDegree(other, p); err != nil {
				return err
			}
			if adds && before == 0 {
				if err := j.emitPartnerAlone(1-port, p, false); err != nil {
					return err
				}
			}
		}
		j.emitPair(k, rowtime, p, adds)
		if other.outer && !adds && p.degree == 0 {
			if err := j.emitPartnerAlone(1-port, p, true); err != nil {
				return err
			}
		}
		if err := j.out.room(); err != nil {
			return err
		}
	}
	if side.outer && len(j.found) == 0 {
		j.emitAlone(port, in, i, rowtime, adds)
	}
	return j.keep(side, in, i, adds)
}

// partners finds the rows of the other side that match row i, as pairs in cand.
func (j *tableJoin) partners(port int, in *vec.Batch, i int) error {
	other := &j.sides[1-port]
	j.found = j.found[:0]
	j.cand.Reset()
	err := other.rows.each(j.kbuf, func(row int32, _, val []byte) error {
		degree, body, err := takeVarint(val)
		if err != nil {
			return err
		}
		other.one.Reset()
		if err := appendFromRowValue(other.one, body, vec.Insert); err != nil {
			return err
		}
		if port == portLeft {
			appendPair(j.cand, in, i, other.one, 0)
		} else {
			appendPair(j.cand, other.one, 0, in, i)
		}
		j.found = append(j.found, partner{row, degree, body})
		return nil
	})
	if err != nil || j.matcher.cond == nil {
		return err
	}
	match := j.matcher.match(j.cand)
	kept := 0
	for k := range j.found {
		if !match(k) {
			continue
		}
		j.found[kept] = j.found[k]
		if kept != k {
			for _, col := range j.cand.Cols {
				col.SetRow(kept, col, k)
			}
		}
		kept++
	}
	j.found = j.found[:kept]
	return nil
}

// keep stores or removes row i of side. Its degree is the number of partners it has now.
func (j *tableJoin) keep(side *joinSide, in *vec.Batch, i int, adds bool) error {
	j.cols = pick(j.cols, in.Cols, side.change)
	j.rbuf = appendKeyCols(j.rbuf[:0], j.cols, i)
	if !adds {
		return side.rows.del(j.kbuf, j.rbuf)
	}
	j.vbuf = binary.AppendVarint(j.vbuf[:0], int64(len(j.found)))
	j.vbuf = appendRowValue(j.vbuf, in, i)
	return side.rows.put(j.kbuf, j.rbuf, j.vbuf)
}

// setDegree writes a partner's new degree. p.body aliases the old value, so the new one is built aside.
func (j *tableJoin) setDegree(side *joinSide, p partner) error {
	j.vbuf = binary.AppendVarint(j.vbuf[:0], p.degree)
	j.vbuf = append(j.vbuf, p.body...)
	side.rows.setValue(p.row, j.vbuf)
	return nil
}

func joinOp(adds bool) vec.Op {
	if adds {
		return vec.Insert
	}
	return vec.Delete
}

// emitPair emits candidate k. Its rowtime is the later one of its halves.
func (j *tableJoin) emitPair(k int, rowtime int64, p partner, adds bool) {
	if other, n := binary.Varint(p.body); n > 0 {
		rowtime = max(rowtime, other)
	}
	for c, col := range j.out.Cols {
		col.AppendRow(j.cand.Cols[c], k)
	}
	finishRow(j.out.Batch, joinOp(adds), rowtime)
}

// emitAlone emits row i of side port with NULLs for the other side.
func (j *tableJoin) emitAlone(port int, in *vec.Batch, i int, rowtime int64, adds bool) {
	from := 0
	if port == portRight {
		from = len(j.out.Cols) - len(in.Cols)
	}
	for c, col := range j.out.Cols {
		if c >= from && c < from+len(in.Cols) {
			col.AppendRow(in.Cols[c-from], i)
		} else {
			col.AppendNull()
		}
	}
	finishRow(j.out.Batch, joinOp(adds), rowtime)
}

func (j *tableJoin) emitPartnerAlone(port int, p partner, adds bool) error {
	one := j.sides[port].one
	one.Reset()
	if err := appendFromRowValue(one, p.body, vec.Insert); err != nil {
		return err
	}
	j.emitAlone(port, one, 0, one.Rowtime[0], adds)
	return nil
}

func (j *tableJoin) flush(int64) error {
	j.sides[portLeft].rows.flush()
	j.sides[portRight].rows.flush()
	return nil
}
