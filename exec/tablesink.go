package exec

import (
	"errors"
	"fmt"

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
}

func newTableSink(cx *opContext, n *planner.Sink) *tableSink {
	return &tableSink{cx: cx, n: n, rows: NewRowBatch(n.Rel, 0)}
}

func (s *tableSink) push(in chunk, _ int) error {
	for i := range in.Len() {
		op := in.Op(i)
		if ord := s.refused(in.Batch, i, op.Adds()); ord >= 0 {
			s.cx.errors.row(errEval, in.Batch, i, sqlerr.New(sqlerr.NotNullViolation,
				"null value in column %q of relation %q violates not-null constraint", s.n.Rel.Columns[ord].Name, s.n.Rel.Name))
			continue
		}
		for c, ord := range s.n.Map {
			if ord < 0 {
				s.rows.Cols[c].AppendNull()
			} else {
				s.rows.Cols[c].AppendRow(in.Cols[ord], i)
			}
		}
		rowtime := rowtimeOf(in.Batch, i)
		if o := s.n.Rowtime; o >= 0 && !in.Cols[o].IsNull(i) {
			rowtime = floorMillis(in.Cols[o].I64[i])
		}
		finishRow(s.rows, op, rowtime)
		s.seen++
	}
	return nil
}

// refused returns the column that may not be NULL and is, -1 for none. Of a row that leaves only the key is there.
func (s *tableSink) refused(in *vec.Batch, i int, adds bool) int {
	null := func(c int) bool { return s.n.Map[c] < 0 || in.Cols[s.n.Map[c]].IsNull(i) }
	for _, c := range s.n.Rel.Key {
		if null(c) {
			return c
		}
	}
	if !adds {
		return -1
	}
	for c := range s.n.Rel.Columns {
		if s.n.Rel.Columns[c].NotNull && null(c) {
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
	t.stats.RowsOut += s.seen
	s.rows.Reset()
	s.seen = 0
	result.Appended = result.Appended[:own]
	return result, nil
}

// lockRows locks the keys of the round's rows and encodes them by partition. A deadlock with a client's transaction is given up and tried again.
func (s *tableSink) lockRows(t *task, tx *WriteTx) ([]*txPart, error) {
	x, err := tx.table(s.n.Rel)
	if err != nil {
		return nil, err
	}
	if err := tx.lock(t.ctx, x, pick(nil, s.rows.Cols, s.n.Rel.Key), s.rows.Len()); err != nil {
		return nil, err
	}
	if err := tx.Write(s.n.Rel, s.rows); err != nil {
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
