package exec

import (
	"fmt"
	"math"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/planner"
)

// Tags of a stream-stream join's key spaces; those of the left side, and one more for the right.
const (
	streamRows    byte = 0
	streamWaiting byte = 2
	streamLast    byte = 4
)

// streamJoin is stream-stream: both sides keep their rows as long as they can match, and a row that comes meets those of the other side
// whose time fits. Where a side is outer, a row of it that found nothing waits, and leaves alone once it can no longer match.
//
// A row's partners lie between back before and ahead after it. It is late once the stream time of its own side has passed its last partner's
// time, and grace; so that it leaves the state once no row that is not late can match it. A waiting row leaves alone already when the other
// side has passed the last partner's time and grace: a row that comes out of order after that, and matches, is counted as late for it.
//
// Where the join is eager no row waits: one of an outer side that finds nothing when it comes leaves alone at once, and with each partner that
// comes later as well.
//
// joinstreamstate.go lays out what is kept.
type streamJoin struct {
	cx      *opContext
	n       *planner.Join
	to      edge
	sides   [2]streamSide
	matcher matcher
	held    int64 // how far behind the sides' times a row may leave
	last    *rangeTable
	seq     uint64 // number of the last row that was kept

	out   *vec.Batch
	clock []int64
	cand  *vec.Batch // pairs to be tested
	found []streamPartner
	arena []byte // keys and values of waiting partners
	fate  []rowFate
	kbuf  []byte
	lower []byte
	upper []byte
	vbuf  []byte
	wbuf  []byte
	kept  int // rows that came to stay since the last flush
	left  int // rows that left, or stopped waiting, since then
}

// streamSide is one side of the join.
type streamSide struct {
	port    int
	keys    *evaluator
	outer   bool
	rows    *rangeTable
	waiting *rangeTable // keys of rows that found no partner; of an outer side
	one     *vec.Batch
	topic   string // where its rows come from, for error rows

	sources []*source // what gives the side its time
	held    int64     // how far behind these times its rows may come
	now     int64     // its time at the last flush; noTime before anything was read

	back, ahead int64 // partners' times, relative to a row's own
	reach       int64 // a row is late when its own side has come further than that beyond its time
	wait        int64 // it can match no more, in order, when the other side has
	keep        int64 // it can match no more at all, when the other side has
	bucket      int64 // rows are kept in spans of so many ms

	oldest       int64 // no row is kept in an earlier bucket; math.MinInt64: unknown
	firstWaiting int64 // no row waits that is earlier; math.MinInt64: unknown
	gone         []byte
}

// streamPartner is a row of the other side that may match.
type streamPartner struct {
	row      int32 // the row that came
	rowtime  int64
	waits    bool
	key, val span // of a waiting row, in the arena
}

type span struct{ off, len uint32 }

// rowFate is what became of a row that came.
type rowFate uint8

const (
	rowOut     rowFate = iota // takes no part
	rowAlone                  // has not matched
	rowMatched                // has matched
)

func newStreamJoin(cx *opContext, n *planner.Join, to edge) (*streamJoin, error) {
	j := &streamJoin{
		cx: cx, n: n, to: to, out: vec.NewBatch(schemaOf(n), 0), cand: vec.NewBatch(schemaOf(n), 0),
		last: newRangeTable(cx.state, n.P.OpID, streamLast),
	}
	w := n.Within
	l, r := &j.sides[portLeft], &j.sides[portRight]
	l.back, l.ahead, r.back, r.ahead = w.BeforeMs, w.AfterMs, w.AfterMs, w.BeforeMs
	l.outer = n.Kind == planner.LeftJoin || n.Kind == planner.FullJoin
	r.outer = n.Kind == planner.RightJoin || n.Kind == planner.FullJoin
	ins, keys := [2]planner.Node{n.L, n.R}, [2][]planner.Expr{n.LKeys, n.RKeys}
	for port := range j.sides {
		s := &j.sides[port]
		var err error
		if s.keys, err = newEvaluator(cx, keys[port]); err != nil {
			return nil, err
		}
		s.port, s.one = port, vec.NewBatch(schemaOf(ins[port]), 1)
		s.rows = newRangeTable(cx.state, n.P.OpID, streamRows+byte(port))
		if s.outer {
			s.waiting = newRangeTable(cx.state, n.P.OpID, streamWaiting+byte(port))
		}
		s.held = outputDelay(ins[port])
		s.reach, s.wait = max(s.ahead, 0)+w.GraceMs, s.ahead+w.GraceMs
		s.keep = s.ahead + max(s.back, 0) + w.GraceMs
		s.bucket = max((s.back+s.ahead)/2, minBucketMs)
		s.now, s.oldest, s.firstWaiting = noTime, math.MinInt64, math.MinInt64
	}
	j.held = heldByJoin(n)
	var err error
	j.matcher, err = newMatcher(cx, n.Cond)
	return j, err
}

// heldByJoin is how far behind its sides' times a join of streams may give a row, beyond what its inputs do: a row that waits leaves late.
func heldByJoin(n *planner.Join) (held int64) {
	if n.Within.Eager {
		return 0
	}
	if n.Kind == planner.LeftJoin || n.Kind == planner.FullJoin {
		held = max(held, n.Within.AfterMs+n.Within.GraceMs)
	}
	if n.Kind == planner.RightJoin || n.Kind == planner.FullJoin {
		held = max(held, n.Within.BeforeMs+n.Within.GraceMs)
	}
	return held
}

func (j *streamJoin) push(in chunk, port int) error {
	side := &j.sides[port]
	keys := side.keys.evalAll(in.Batch)
	side.keys.reportAdds(in.Batch)
	j.fate = growTo(j.fate, in.Len())
	for i := range in.Len() {
		j.fate[i] = rowOut
		switch {
		case side.keys.errs.Has(int32(i)) || j.late(side, in, i):
		case anyNull(keys, i):
			if side.outer {
				j.emitAlone(side, in.Batch, i, j.outTime(in, i, side))
			}
		default:
			j.fate[i] = rowAlone
			j.kbuf = appendGroup(j.kbuf[:0], keys, i)
			if err := j.partners(in, i, side); err != nil {
				return err
			}
		}
	}
	if err := j.test(in, side); err != nil {
		return err
	}
	j.keep(in, keys, side)
	return j.send()
}

// late reports whether row i came too late, and if so keeps it as an error row.
func (j *streamJoin) late(s *streamSide, in chunk, i int) bool {
	now := s.now
	if in.clock != nil {
		now = max(now, in.clock[i])
	}
	rowtime := rowtimeOf(in.Batch, i)
	if now == noTime || rowtime+s.reach >= now {
		return false
	}
	j.cx.errors.rowOf(s.topic, errLate, in.Batch, i, fmt.Errorf(
		"the row came %d ms after the last time at which the join could match it, grace of %d ms included", now-rowtime-s.reach, j.n.Within.GraceMs))
	return true
}

// partners gathers the rows of the other side whose key is in kbuf and whose time fits row i.
func (j *streamJoin) partners(in chunk, i int, side *streamSide) error {
	other := &j.sides[1-side.port]
	rowtime := rowtimeOf(in.Batch, i)
	from, to := rowtime-side.back, rowtime+side.ahead
	for start := bucketStart(from, other.bucket); start <= to; start += other.bucket {
		j.lower = appendRowKey(j.lower[:0], start, j.kbuf, max(from, start), 0)
		j.upper = appendRowKey(j.upper[:0], start, j.kbuf, min(to, start+other.bucket-1)+1, 0)
		for more := true; more; {
			more = false
			err := other.rows.scan(j.lower, j.upper, func(key, val []byte) (bool, error) {
				if j.cand.Len() < outRows {
					return true, j.addCandidate(in, i, side, key, val)
				}
				j.lower, more = append(j.lower[:0], key...), true
				return false, nil
			})
			if err != nil {
				return err
			}
			if !more {
				break
			}
			if err := j.test(in, side); err != nil {
				return err
			}
		}
	}
	return nil
}

// addCandidate makes a pair of row i and a row of the other side, as it is kept.
func (j *streamJoin) addCandidate(in chunk, i int, side *streamSide, key, val []byte) error {
	other := &j.sides[1-side.port]
	waits, rowtime, cols, err := splitStreamRow(val)
	if err != nil {
		return err
	}
	mine, theirs := 0, len(in.Cols)
	if side.port == portRight {
		mine, theirs = len(j.cand.Cols)-len(in.Cols), 0
	}
	for c, col := range in.Cols {
		j.cand.Cols[mine+c].AppendRow(col, i)
	}
	if err := vec.AppendDecodedRow(j.cand.Cols[theirs:theirs+len(other.one.Cols)], cols); err != nil {
		return err
	}
	j.cand.SetLen(j.cand.Len() + 1)
	p := streamPartner{row: int32(i), rowtime: rowtime, waits: waits}
	if waits {
		p.key, p.val = j.hold(key), j.hold(val)
	}
	j.found = append(j.found, p)
	return nil
}

func (j *streamJoin) hold(b []byte) span {
	off := len(j.arena)
	j.arena = append(j.arena, b...)
	return span{uint32(off), uint32(len(b))}
}

func (j *streamJoin) holds(s span) []byte { return j.arena[s.off : s.off+s.len] }

// test tries the candidates, sends those that match on, and marks who found a partner.
func (j *streamJoin) test(in chunk, side *streamSide) error {
	other := &j.sides[1-side.port]
	match := j.matcher.match(j.cand)
	refused := int32(-1)
	for k := range j.found {
		p := &j.found[k]
		if !match(k) {
			continue
		}
		if p.waits && side.now != noTime && p.rowtime+other.wait < side.now {
			if refused != p.row { // candidates of a row stand together
				j.refuse(in, side, p, side.now)
			}
			refused = p.row
			continue
		}
		j.fate[p.row] = rowMatched
		if p.waits {
			j.wake(other, j.holds(p.key), j.holds(p.val))
		}
		j.emitPair(in, int(p.row), side, k)
	}
	j.cand.Reset()
	j.found, j.arena = j.found[:0], j.arena[:0]
	return j.send()
}

// refuse keeps a row as an error row that matches one which has left alone.
func (j *streamJoin) refuse(in chunk, side *streamSide, p *streamPartner, now int64) {
	j.cx.errors.rowOf(side.topic, errLate, in.Batch, int(p.row), fmt.Errorf(
		"the row came when one that it matches had left without a match: %d ms after its time, grace of %d ms included",
		now-p.rowtime-j.sides[1-side.port].wait, j.n.Within.GraceMs))
}

// outTime is the time that a row which leaves now proves: none that leaves later is earlier, unless what came was out of order.
func (j *streamJoin) outTime(in chunk, i int, side *streamSide) int64 {
	own, other := side.now, j.sides[1-side.port].now
	if in.clock != nil && j.held == 0 { // rows that wait leave at the flush, which must not be told ahead of
		own = max(own, in.clock[i])
	}
	return heldBack(min(own, other), j.held)
}

func (j *streamJoin) emitPair(in chunk, i int, side *streamSide, k int) {
	for c, col := range j.out.Cols {
		col.AppendRow(j.cand.Cols[c], k)
	}
	j.finish(max(rowtimeOf(in.Batch, i), j.found[k].rowtime), j.outTime(in, i, side))
}

// emitAlone emits row i of a batch of side's rows with NULLs for the other side.
func (j *streamJoin) emitAlone(side *streamSide, b *vec.Batch, i int, clock int64) {
	from := 0
	if side.port == portRight {
		from = len(j.out.Cols) - len(b.Cols)
	}
	for c, col := range j.out.Cols {
		if c >= from && c < from+len(b.Cols) {
			col.AppendRow(b.Cols[c-from], i)
		} else {
			col.AppendNull()
		}
	}
	j.finish(rowtimeOf(b, i), clock)
}

func (j *streamJoin) finish(rowtime, clock int64) {
	finishRow(j.out, vec.Insert, rowtime)
	j.clock = append(j.clock, clock)
}

func (j *streamJoin) send() error {
	if j.out.Len() == 0 {
		return nil
	}
	err := j.to.send(chunk{j.out, j.clock})
	j.out.Reset()
	j.clock = j.clock[:0]
	return err
}
