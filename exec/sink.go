package exec

import (
	"sync/atomic"

	"github.com/millracedb/millrace/exec/format"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/record"
	"github.com/millracedb/millrace/planner"
)

// sinkOp writes rows to a relation's topic. Of a table a commit carries one record per key, the last, and a delete is a
// tombstone. Of a stream it carries every row, with the stream time that it proves; rows without key go to the partition of the task's
// number, which then has one writer, or if there are not as many partitions as tasks, to one a round, which rotates.
type sinkOp struct {
	cx     *opContext
	out    *roundOutput
	n      *planner.Sink
	topic  string
	parts  int32
	key    format.Encoder // nil: records have no key
	value  format.Encoder
	keyed  []int // input ordinals of the key columns
	valued []int // input ordinals of the value columns, -1 for NULL
	// strict are the columns of the relation that a continuous INSERT may not leave NULL, as rules has it.
	strict []int
	rules  *planner.Relation
	target *atomic.Pointer[planner.Relation] // the relation as it is now; nil if nobody alters it
	table  bool

	index  keyIndex
	last   []sinkRow // by key, for tables
	arena  []byte
	rotate int32
	turns  bool  // rotate moves on
	timed  bool  // records carry stream time
	held   int64 // how far behind the task's time the rows may be, ms
	cols   []*vec.Vector
	nulls  []*vec.Vector
	kbuf   []byte
	vbuf   []byte
	pairs  []record.Pair
	rows   int64
}

type sinkRow struct {
	rowtime  int64
	off, len uint32 // of the value in the arena
	headers  uint32 // bytes of headers that follow it
	deleted  bool
	expired  bool // by RETENTION
}

func newSink(cx *opContext, n *planner.Sink, t *taskEnv) (*sinkOp, error) {
	s := &sinkOp{
		cx: cx, out: &t.output, n: n, topic: n.Rel.Topic, parts: t.counts[n.Rel.Topic], table: n.Rel.Kind == planner.Table,
		rotate: t.partition,
	}
	s.turns = s.parts != t.partitions
	s.timed = !s.table && n.Rowtime < 0
	s.held = outputDelay(n.In)
	for _, ord := range n.Rel.Key {
		s.keyed = append(s.keyed, n.Map[ord])
	}
	for _, ord := range valueOrdinals(n.Rel) {
		s.valued = append(s.valued, n.Map[ord])
	}
	s.target = t.target
	s.obey(n.Rel)
	var err error
	if s.key, s.value, err = relationEncoders(n.Rel); err != nil {
		return nil, err
	}
	return s, nil
}

// obey takes over the rules of the relation as it is now. Those of columns that were added since the query was planned are not its own.
func (s *sinkOp) obey(now *planner.Relation) {
	s.rules, s.strict = now, s.strict[:0]
	if now.Query != 0 {
		return
	}
	for ord, c := range now.Columns[:min(len(now.Columns), len(s.n.Rel.Columns))] {
		if c.NotNull && !c.Hidden {
			s.strict = append(s.strict, ord)
		}
	}
}

func (s *sinkOp) push(in chunk, _ int) error {
	if s.target != nil {
		if now := s.target.Load(); now != nil && now != s.rules {
			s.obey(now)
		}
	}
	for i := range in.Len() {
		// The old half of an update deletes its key; if the new half has the same key, it takes the delete's place.
		now := heldBack(s.cx.now, s.held)
		if in.clock != nil {
			now = in.clock[i]
		}
		if err := s.row(in.Batch, i, in.Op(i), now); err != nil {
			return err
		}
	}
	return nil
}

// row writes row i, which was read at stream time now.
func (s *sinkOp) row(in *vec.Batch, i int, op vec.Op, now int64) error {
	var err error
	s.kbuf = s.kbuf[:0]
	if s.key != nil {
		if s.kbuf, err = s.key.AppendRow(s.kbuf, s.columns(in, s.keyed), i); err != nil {
			s.cx.errors.row(errEval, in, i, err)
			return nil
		}
	}
	deleted := s.table && !op.Adds()
	if ord := s.nullIn(in, i); ord >= 0 && !deleted {
		s.cx.errors.row(errEval, in, i, nullIn(s.rules, ord))
		return nil
	}
	s.vbuf = s.vbuf[:0]
	if !deleted && s.value != nil {
		if s.vbuf, err = s.value.AppendRow(s.vbuf, s.columns(in, s.valued), i); err != nil {
			s.cx.errors.row(errEval, in, i, err)
			return nil
		}
	}
	rowtime := rowtimeOf(in, i)
	if o := s.n.Rowtime; o >= 0 && !in.Cols[o].IsNull(i) {
		rowtime = floorMillis(in.Cols[o].I64[i])
	}
	if deleted && s.n.Rel.HistoryMs > 0 { // a row that leaves has the time of its coming: readers as of a time need that of its going
		rowtime = max(rowtime, now)
	}
	s.rows++
	headers := in.Source.HeadersOf(i)
	if s.table {
		s.hold(rowtime, deleted, headers)
		return nil
	}
	s.pairs = record.ParseHeaders(s.pairs[:0], headers)
	if s.timed {
		s.pairs = appendTimeHeader(s.pairs, rowtime, now)
	}
	if s.key == nil {
		return s.out.add(TopicPartition{Topic: s.topic, Partition: s.rotate % s.parts}, rowtime, nil, s.vbuf, s.pairs...)
	}
	return s.out.add(s.partition(s.kbuf), rowtime, notNull(s.kbuf), s.vbuf, s.pairs...)
}

// nullIn returns a column that may not be NULL and is, -1 for none.
func (s *sinkOp) nullIn(in *vec.Batch, i int) int {
	for _, ord := range s.strict {
		if from := s.n.Map[ord]; from < 0 || in.Cols[from].IsNull(i) {
			return ord
		}
	}
	return -1
}

// columns picks the input columns that an encoder wants; what is not written is NULL.
func (s *sinkOp) columns(in *vec.Batch, ords []int) []*vec.Vector {
	s.cols = s.cols[:0]
	for _, o := range ords {
		if o < 0 {
			s.cols = append(s.cols, s.nullColumn(in.Len()))
			continue
		}
		s.cols = append(s.cols, in.Cols[o])
	}
	return s.cols
}

func (s *sinkOp) nullColumn(n int) *vec.Vector {
	if len(s.nulls) == 0 {
		s.nulls = append(s.nulls, vec.NewVector(s.n.Rel.Columns[0].Type, 0))
	}
	v := s.nulls[0]
	for v.Len() < n {
		v.AppendNull()
	}
	return v
}

// hold keeps a table's row until the flush; a later one of the key takes its place.
func (s *sinkOp) hold(rowtime int64, deleted bool, headers []byte) {
	n, fresh := s.index.add(s.kbuf)
	if fresh {
		s.last = append(s.last, sinkRow{})
	}
	s.last[n] = sinkRow{
		rowtime: rowtime, off: uint32(len(s.arena)), len: uint32(len(s.vbuf)), headers: uint32(len(headers)), deleted: deleted, expired: s.cx.expiring,
	}
	s.arena = append(append(s.arena, s.vbuf...), headers...)
}

func (s *sinkOp) partition(key []byte) TopicPartition {
	return TopicPartition{Topic: s.topic, Partition: record.PartitionForKey(key, s.parts)}
}

func (s *sinkOp) flush(int64) error {
	for n, r := range s.last {
		key := s.index.key(int32(n))
		var value []byte
		end := r.off + r.len
		s.pairs = record.ParseHeaders(s.pairs[:0], s.arena[end:end+r.headers])
		if !r.deleted {
			value = notNull(s.arena[r.off:end])
		} else if r.expired {
			s.pairs = append(s.pairs, record.Pair{Key: expiredHeader})
		}
		if err := s.out.add(s.partition(key), r.rowtime, notNull(key), value, s.pairs...); err != nil {
			return err
		}
	}
	s.index.empty()
	s.last, s.arena = s.last[:0], s.arena[:0]
	if s.turns {
		s.rotate++
	}
	return nil
}

// heldBytes is what the sink holds until its flush.
func (s *sinkOp) heldBytes() int { return len(s.arena) + len(s.index.arena) }

// floorMillis turns microseconds into milliseconds, rounding down.
func floorMillis(micros int64) int64 {
	ms := micros / microsPerMilli
	if micros%microsPerMilli < 0 {
		ms--
	}
	return ms
}
