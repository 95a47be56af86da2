package exec

import (
	"encoding/binary"

	"github.com/millracedb/millrace/exec/vec"
)

// A table-table join with a further condition finds the partners of a row in pages: candidates are gathered, tested at once, and sent on.

// partner is a row of the other side that may match.
type partner struct {
	row       int32 // in memory, -1 if it is not there
	degree    int64
	rest, val span // in the join's arena: what it is kept as
}

// changeTested applies the change of row i, whose join key is in kbuf.
func (j *tableJoin) changeTested(side *joinSide, in *vec.Batch, i int) error {
	other := &j.sides[1-side.port]
	degree := int64(0)
	j.clearFound()
	err := other.rows.each(j.kbuf, func(row int32, rest, val []byte) error {
		if len(j.found) == maxPairs {
			n, err := j.page(side, in, i)
			if err != nil {
				return err
			}
			degree += n
		}
		return j.addFound(side, in, i, row, rest, val)
	})
	if err != nil {
		return err
	}
	n, err := j.page(side, in, i)
	if err != nil {
		return err
	}
	degree += n
	switch {
	case j.n.Mark && side.port == portLeft:
		j.emitMarked(in, i, degree > 0, in.Op(i).Adds())
	case side.outer && degree == 0:
		j.emitAlone(side.port, in, i, in.Op(i).Adds())
	}
	return j.keep(side, in, i, degree)
}

func (j *tableJoin) clearFound() {
	j.cand.Reset()
	j.found, j.arena = j.found[:0], j.arena[:0]
}

// addFound makes a candidate of row i and a row of the other side as it is kept.
func (j *tableJoin) addFound(side *joinSide, in *vec.Batch, i int, row int32, rest, val []byte) error {
	other := &j.sides[1-side.port]
	degree, body, err := takeVarint(val)
	if err != nil {
		return err
	}
	other.one.Reset()
	if err := appendFromRowValue(other.one, body, vec.Insert); err != nil {
		return err
	}
	left, l, right, r := in, i, other.one, 0
	if side.port == portRight {
		left, l, right, r = other.one, 0, in, i
	}
	for c, col := range left.Cols {
		j.cand.Cols[c].AppendRow(col, l)
	}
	for c, col := range right.Cols {
		j.cand.Cols[len(left.Cols)+c].AppendRow(col, r)
	}
	j.cand.SetLen(j.cand.Len() + 1)
	p := partner{row: row, degree: degree, rest: span{uint32(len(j.arena)), uint32(len(rest))}}
	j.arena = append(j.arena, rest...)
	p.val = span{uint32(len(j.arena)), uint32(len(body))}
	j.arena = append(j.arena, body...)
	j.found = append(j.found, p)
	return nil
}

// page tests the candidates of row i, sends on what changes by those that match, and returns their number.
func (j *tableJoin) page(side *joinSide, in *vec.Batch, i int) (matched int64, err error) {
	other := &j.sides[1-side.port]
	adds := in.Op(i).Adds()
	match := j.matcher.match(j.cand)
	for k, p := range j.found {
		if !match(k) {
			continue
		}
		matched++
		body := j.arena[p.val.off : p.val.off+p.val.len]
		other.one.Reset()
		if err := appendFromRowValue(other.one, body, vec.Insert); err != nil {
			return 0, err
		}
		j.showMatch(side, in, i, p)
		if err := j.setDegree(other, p, adds, body); err != nil {
			return 0, err
		}
		if err := j.out.room(); err != nil {
			return 0, err
		}
	}
	j.clearFound()
	return matched, nil
}

// showMatch sends on what changes by a match of row i with partner p, which is in the other side's one.
func (j *tableJoin) showMatch(side *joinSide, in *vec.Batch, i int, p partner) {
	other := &j.sides[1-side.port]
	adds := in.Op(i).Adds()
	first, last := adds && p.degree == 0, !adds && p.degree == 1
	switch {
	case j.n.Mark && side.port == portLeft: // it is shown when all its partners are known
	case j.n.Mark:
		if first || last {
			j.emitMarked(other.one, 0, last, false)
			j.emitMarked(other.one, 0, first, true)
		}
	default:
		if other.outer && first {
			j.emitAlone(other.port, other.one, 0, false)
		}
		j.emitPair(side, in, i, adds)
		if other.outer && last {
			j.emitAlone(other.port, other.one, 0, true)
		}
	}
}

// setDegree counts a partner of a row of side that came or went.
func (j *tableJoin) setDegree(side *joinSide, p partner, adds bool, body []byte) error {
	if !side.outer {
		return nil
	}
	if adds {
		p.degree++
	} else {
		p.degree--
	}
	j.vbuf = append(binary.AppendVarint(j.vbuf[:0], p.degree), body...)
	if p.row >= 0 {
		side.rows.setValue(p.row, j.vbuf)
		return nil
	}
	return side.rows.put(j.kbuf, j.arena[p.rest.off:p.rest.off+p.rest.len], j.vbuf)
}
