package exec

import (
	"bytes"
	"encoding/binary"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/planner"
)

// Tags of a table-table join's key spaces; those of the left side, and one more for the right.
const (
	joinRows   byte = 0
	joinCounts byte = 2
)

// tableJoin is table-table: both sides keep their rows by join key, and a change on one side meets the rows of the other, one after
// the other or, where a further condition is to be tested, a page of them at a time.
//
// Where a side must show unmatched rows too, it has to be seen when a row of it gets its first partner and loses the last. Without a
// further condition all rows of a join key have the same partners, so their number is kept by join key. With one each row carries its
// degree, the number of its partners (jointablecond.go).
//
// A mark join shows a left row once: alone, or marked when it has partners.
//
// A row in state is its degree (a varint, 0 without a condition), rowtime and columns; its key is the join key and the side's change key.
type tableJoin struct {
	n       *planner.Join
	out     outBatch
	sides   [2]joinSide
	matcher matcher
	cand    *vec.Batch
	found   []partner
	arena   []byte // what found holds
	kbuf    []byte
	kbuf2   []byte
	rbuf    []byte
	vbuf    []byte
	cols    []*vec.Vector
}

type joinSide struct {
	port   int
	keys   *evaluator
	change []int
	rows   *stateTable
	counts *stateTable // rows by join key; nil unless the other side asks for it
	outer  bool        // unmatched rows show
	one    *vec.Batch
}

func newTableJoin(cx *opContext, n *planner.Join, to edge) (*tableJoin, error) {
	j := &tableJoin{
		n: n, out: outBatch{Batch: vec.NewBatch(schemaOf(n), 0), to: to}, cand: vec.NewBatch(append(schemaOf(n.L), schemaOf(n.R)...), 0),
	}
	ins, keys := [2]planner.Node{n.L, n.R}, [2][]planner.Expr{n.LKeys, n.RKeys}
	outer := [2]bool{
		portLeft:  n.Kind == planner.LeftJoin || n.Kind == planner.FullJoin,
		portRight: n.Kind == planner.RightJoin || n.Kind == planner.FullJoin,
	}
	for port := range j.sides {
		e, err := newEvaluator(cx, keys[port])
		if err != nil {
			return nil, err
		}
		j.sides[port] = joinSide{
			port: port, keys: e, change: ins[port].Props().ChangeKey, outer: outer[port], one: vec.NewBatch(schemaOf(ins[port]), 1),
			rows: newStateTable(cx.state, n.P.OpID, joinRows+byte(port)),
		}
		if outer[1-port] && n.Cond == nil {
			j.sides[port].counts = newStateTable(cx.state, n.P.OpID, joinCounts+byte(port))
		}
	}
	var err error
	j.matcher, err = newMatcher(cx, n.Cond)
	return j, err
}

func (j *tableJoin) push(in chunk, port int) error {
	side := &j.sides[port]
	keys := side.keys.evalAll(in.Batch)
	side.keys.reportAdds(in.Batch)
	joins := func(i int) bool { return !side.keys.errs.Has(int32(i)) && !anyNull(keys, i) }
	for i := 0; i < in.Len(); i++ {
		var err error
		switch {
		case side.keys.errs.Has(int32(i)):
		case !joins(i):
			if side.outer {
				j.emitAlone(port, in.Batch, i, in.Op(i).Adds())
			}
		default:
			j.kbuf = appendKeyCols(j.kbuf[:0], keys, i)
			if in.Op(i) == vec.UpdateDelete && i+1 < in.Len() && in.Op(i+1) == vec.UpdateInsert && joins(i+1) && j.matcher.cond == nil {
				if j.kbuf2 = appendKeyCols(j.kbuf2[:0], keys, i+1); bytes.Equal(j.kbuf, j.kbuf2) {
					err = j.replace(side, in.Batch, i)
					i++
					break
				}
			}
			if j.matcher.cond == nil {
				err = j.change(side, in.Batch, i)
			} else {
				err = j.changeTested(side, in.Batch, i)
			}
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

// change applies the change of row i, whose join key is in kbuf, where there is no further condition.
func (j *tableJoin) change(side *joinSide, in *vec.Batch, i int) error {
	other := &j.sides[1-side.port]
	adds := in.Op(i).Adds()
	before, err := j.count(side, adds)
	if err != nil {
		return err
	}
	first, last := other.outer && adds && before == 0, other.outer && !adds && before == 1
	alone := true
	err = j.eachPartner(other, func() error {
		alone = false
		if first {
			j.emitAlone(other.port, other.one, 0, false)
		}
		j.emitPair(side, in, i, adds)
		if last {
			j.emitAlone(other.port, other.one, 0, true)
		}
		return j.out.room()
	})
	if err != nil {
		return err
	}
	if side.outer && alone {
		j.emitAlone(side.port, in, i, adds)
	}
	return j.keep(side, in, i, 0)
}

// replace applies an update, rows i and i+1, that leaves the join key in kbuf as it is: partners are walked once, and no row is alone in between.
func (j *tableJoin) replace(side *joinSide, in *vec.Batch, i int) error {
	alone := true
	err := j.eachPartner(&j.sides[1-side.port], func() error {
		alone = false
		j.emitPair(side, in, i, false)
		j.emitPair(side, in, i+1, true)
		return j.out.room()
	})
	if err != nil {
		return err
	}
	if side.outer && alone {
		j.emitAlone(side.port, in, i, false)
		j.emitAlone(side.port, in, i+1, true)
	}
	if err := j.keep(side, in, i, 0); err != nil {
		return err
	}
	return j.keep(side, in, i+1, 0)
}

// eachPartner calls f for each row of side under the join key in kbuf, which is then in side.one.
func (j *tableJoin) eachPartner(side *joinSide, f func() error) error {
	return side.rows.each(j.kbuf, func(_ int32, _, val []byte) error {
		_, body, err := takeVarint(val)
		if err != nil {
			return err
		}
		side.one.Reset()
		if err := appendFromRowValue(side.one, body, vec.Insert); err != nil {
			return err
		}
		return f()
	})
}

// count counts a row of side that comes or goes under the join key in kbuf, if that is asked for, and returns how many there were.
func (j *tableJoin) count(side *joinSide, adds bool) (before int64, err error) {
	if side.counts == nil {
		return 0, nil
	}
	val, ok, err := side.counts.get(j.kbuf, nil)
	if err != nil {
		return 0, err
	}
	if ok {
		if before, _, err = takeVarint(val); err != nil {
			return 0, err
		}
	}
	after := before - 1
	if adds {
		after = before + 1
	}
	if after == 0 {
		return before, side.counts.del(j.kbuf, nil)
	}
	j.vbuf = binary.AppendVarint(j.vbuf[:0], after)
	return before, side.counts.put(j.kbuf, nil, j.vbuf)
}

// keep stores or removes row i of side.
func (j *tableJoin) keep(side *joinSide, in *vec.Batch, i int, degree int64) error {
	j.cols = pick(j.cols, in.Cols, side.change)
	j.rbuf = appendKeyCols(j.rbuf[:0], j.cols, i)
	if !in.Op(i).Adds() {
		return side.rows.del(j.kbuf, j.rbuf)
	}
	j.vbuf = binary.AppendVarint(j.vbuf[:0], degree)
	j.vbuf = appendRowValue(j.vbuf, in, i)
	return side.rows.put(j.kbuf, j.rbuf, j.vbuf)
}

func joinOp(adds bool) vec.Op {
	if adds {
		return vec.Insert
	}
	return vec.Delete
}

// emitPair emits row i of side with the row of the other side that is in its one. The rowtime is the later one of the halves.
func (j *tableJoin) emitPair(side *joinSide, in *vec.Batch, i int, adds bool) {
	other := j.sides[1-side.port].one
	mine, theirs := j.halves(side.port)
	for c, col := range in.Cols {
		mine[c].AppendRow(col, i)
	}
	for c, col := range other.Cols {
		theirs[c].AppendRow(col, 0)
	}
	finishRow(j.out.Batch, joinOp(adds), max(rowtimeOf(in, i), other.Rowtime[0]))
}

// halves are the output's columns of side port, and those of the other side.
func (j *tableJoin) halves(port int) (mine, theirs []*vec.Vector) {
	nl := len(j.sides[portLeft].one.Cols)
	if port == portLeft {
		return j.out.Cols[:nl], j.out.Cols[nl:]
	}
	return j.out.Cols[nl:], j.out.Cols[:nl]
}

// emitMarked emits row i of the left side with the column that says whether it has partners.
func (j *tableJoin) emitMarked(in *vec.Batch, i int, found, adds bool) {
	nl := len(in.Cols)
	for c, col := range in.Cols {
		j.out.Cols[c].AppendRow(col, i)
	}
	if found {
		j.out.Cols[nl].AppendInt(1)
	} else {
		j.out.Cols[nl].AppendNull()
	}
	finishRow(j.out.Batch, joinOp(adds), rowtimeOf(in, i))
}

// emitAlone emits row i of side port with NULLs for the other side.
func (j *tableJoin) emitAlone(port int, in *vec.Batch, i int, adds bool) {
	mine, theirs := j.halves(port)
	for c, col := range mine {
		col.AppendRow(in.Cols[c], i)
	}
	for _, col := range theirs {
		col.AppendNull()
	}
	finishRow(j.out.Batch, joinOp(adds), rowtimeOf(in, i))
}

func (j *tableJoin) flush(int64) error {
	for port := range j.sides {
		j.sides[port].rows.flush()
		if c := j.sides[port].counts; c != nil {
			c.flush()
		}
	}
	return nil
}
