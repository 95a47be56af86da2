package exec

import (
	"errors"
	"fmt"
	"slices"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/record"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
)

// tableSink is the end of a continuous INSERT into an ordinary table: it gathers upserts and deletes by primary key for the commit of the round,
// which asks the owners of the table's partitions, as any writer does. A row that the table does not take is an error row.
type tableSink struct {
	cx   *opContext
	n    *planner.Sink
	rows *vec.Batch // of all columns of the table
	seen int64

	tables *Tables
	rel    *planner.Relation // n.Rel under the rules of now
	rules  *rowRules
	times  rowTimes
	next   *vec.Batch // of the chunk in hand
	from   []int32    // their numbers in it
	broken []bool     // of next
	sel    []int32
}

func newTableSink(cx *opContext, n *planner.Sink, tables *Tables) (*tableSink, error) {
	s := &tableSink{cx: cx, n: n, times: rowTimes{ord: -1}, rows: NewRowBatch(n.Rel, 0), next: NewRowBatch(n.Rel, 0), tables: tables}
	return s, s.renew()
}

// renew takes over the rules that the table has now: the query was planned under those of an earlier day. Rules of columns that were added since are
// not its own.
func (s *tableSink) renew() (err error) {
	now := s.n.Rel
	if s.tables != nil {
		if p := s.tables.part(s.n.Rel.OID, 0); p != nil {
			now = p.relation()
		}
	}
	if s.rel != nil && s.rel.Rules == now.Rules {
		return nil
	}
	rel := *s.n.Rel
	rel.Rules, rel.Checks = now.Rules, nil
	rel.Columns = slices.Clone(rel.Columns)
	width := len(rel.Columns)
	for i := range min(width, len(now.Columns)) {
		rel.Columns[i].NotNull = now.Columns[i].NotNull
	}
	for _, k := range now.Checks {
		if !slices.ContainsFunc(k.Columns, func(ord int) bool { return ord >= width }) {
			rel.Checks = append(rel.Checks, k)
		}
	}
	s.rel = &rel
	if s.rules, err = newRowRules(s.cx.env, s.rel); err != nil || s.tables == nil {
		return err
	}
	s.times, err = newRowTimes(s.rel, s.tables.cfg.Clock)
	return err
}

func (s *tableSink) push(in chunk, _ int) error {
	if err := s.renew(); err != nil {
		return err
	}
	s.next.Reset()
	s.from = s.from[:0]
	for i := range in.Len() {
		op := in.Op(i)
		if ord := s.refused(in.Batch, i, op.Adds()); ord >= 0 {
			s.cx.errors.row(errEval, in.Batch, i, nullIn(s.rel, ord))
			continue
		}
		for c, ord := range s.n.Map {
			if ord < 0 {
				s.next.Cols[c].AppendNull()
			} else {
				s.next.Cols[c].AppendRow(in.Cols[ord], i)
			}
		}
		rowtime := rowtimeOf(in.Batch, i)
		if o := s.n.Rowtime; o >= 0 && !in.Cols[o].IsNull(i) {
			rowtime = floorMillis(in.Cols[o].I64[i])
		}
		if !op.Adds() && s.rel.HistoryMs > 0 { // as in sinkOp
			rowtime = max(rowtime, s.cx.now)
		}
		finishRow(s.next, op, rowtime)
		s.from = append(s.from, int32(i))
	}
	s.take(in.Batch)
	return nil
}

// take keeps the rows in hand that break no rule of the table.
func (s *tableSink) take(in *vec.Batch) {
	s.broken = append(s.broken[:0], make([]bool, s.next.Len())...)
	s.rules.broken(s.next, func(row int, err error) {
		s.broken[row] = true
		s.cx.errors.row(errEval, in, int(s.from[row]), err)
	})
	s.sel = s.sel[:0]
	for i, broken := range s.broken {
		if broken {
			continue
		}
		if err := s.times.setRow(s.next, i); err != nil {
			s.cx.errors.row(errEval, in, int(s.from[i]), err)
			continue
		}
		s.sel = append(s.sel, int32(i))
	}
	s.rows.AppendGather(s.next, s.sel)
	s.seen += int64(len(s.sel))
}

// refused returns the column that may not be NULL and is, -1 for none. Of a row that leaves only the key is there.
func (s *tableSink) refused(in *vec.Batch, i int, adds bool) int {
	null := func(c int) bool { return s.n.Map[c] < 0 || in.Cols[s.n.Map[c]].IsNull(i) }
	for _, c := range s.rel.Key {
		if null(c) {
			return c
		}
	}
	if !adds {
		return -1
	}
	for c := range s.rel.Columns {
		if s.rel.Columns[c].NotNull && null(c) {
			return c
		}
	}
	return -1
}

func (s *tableSink) flush(int64) error { return nil }

func (s *tableSink) heldBytes() int { return usedBytes(s.rows) }

// submit commits the task's contribution and, in the same log transaction, the rows for the table: it locks their keys, takes hold of the
// table's partitions, and waits until the owners have applied what was committed.
func (t *task) submit(c TaskCommit) (TaskResult, error) {
	s := t.pipe.table
	if s == nil || s.rows.Len() == 0 {
		return t.lane.submit(t.ctx, c)
	}
	if t.r.cfg.Tables == nil {
		return TaskResult{}, fmt.Errorf("no tables are kept where the query %q runs", t.spec.Name)
	}
	tx := t.r.cfg.Tables.Begin(maxTransactionBuffer)
	defer tx.Rollback()
	parts, err := s.lockRows(t, tx)
	if err == nil {
		err = holdAll(t.ctx, parts)
	}
	if err != nil {
		return TaskResult{}, ownerGone(err)
	}
	own := len(c.Batches)
	for _, p := range parts {
		for _, b := range p.batches {
			c.Batches = append(c.Batches, PartitionBatch{TopicPartition: p.part.tp, Batch: b})
		}
	}
	result, err := t.lane.submit(t.ctx, c)
	ends := map[TopicPartition]int64{}
	if err == nil && len(result.Appended) != len(c.Batches) {
		err = errors.New("the lane answered for another number of batches")
	}
	if err == nil {
		ends, err = endsOf(c.Batches[own:], result.Appended[own:])
	}
	if errors.Is(err, ErrStaleGeneration) {
		giveBack(parts, ends, errNothingWritten)
		return TaskResult{}, err
	}
	giveBack(parts, ends, err)
	if err != nil {
		return TaskResult{}, err
	}
	for tp, end := range ends {
		t.outputs[tp] = max(t.outputs[tp], end)
	}
	t.stats.RowsOut, t.stats.SinkRows = t.stats.RowsOut+s.seen, t.stats.SinkRows+s.seen
	s.rows.Reset()
	s.seen = 0
	result.Appended = result.Appended[:own]
	return result, nil
}

// lockRows locks the keys of the round's rows and encodes them by partition. A deadlock with a client's transaction is given up and tried again.
func (s *tableSink) lockRows(t *task, tx *WriteTx) ([]*txPart, error) {
	x, err := tx.table(s.rel)
	if err != nil {
		return nil, err
	}
	if err := tx.lock(t.ctx, x, pick(nil, s.rows.Cols, s.rel.Key), s.rows.Len()); err != nil {
		return nil, err
	}
	if err := tx.Write(s.rel, s.rows); err != nil {
		return nil, err
	}
	return tx.parts()
}

// endsOf returns the offset after the last record of each partition.
func endsOf(batches []PartitionBatch, placed []Appended) (map[TopicPartition]int64, error) {
	ends := map[TopicPartition]int64{}
	for i, b := range batches {
		h, err := record.ParseHeader(b.Batch)
		if err != nil {
			return nil, err
		}
		ends[b.TopicPartition] = max(ends[b.TopicPartition], placed[i].BaseOffset+int64(h.Count))
	}
	return ends, nil
}

// ownerGone turns what passes, an owner that is not there now or a deadlock, into a new start of the task.
func ownerGone(err error) error {
	switch sqlerr.CodeOf(err) {
	case sqlerr.SerializationFailure, sqlerr.DeadlockDetected, sqlerr.InsufficientResources, sqlerr.StatementCompletionUnknown:
		return errors.Join(errReload, err)
	}
	return err
}
