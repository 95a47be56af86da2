package exec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// Records of a table's topic that do not decode take no part in its rows. They are counted, in the mark, and become rows of millrace.errors, which who serves the table writes: each is first
// in the state, in the batch that goes past the record, and leaves it when it was appended. The append commits, in one transaction, up to which offset this was done as offsets of a group of the
// table's own, so that a record is there once however often it is read: after a restart, by a standby that takes over, or when the rows are made anew.

const (
	tableErrorsOp = 4 // the operator number of the rows that wait: the record's offset, and the row as it is written
	// maxWaitingErrors bounds how many of them a standby keeps of a partition, the newest: it does not hear what was written, and what it takes over is what was under way.
	maxWaitingErrors = 100
)

// TableErrorsGroup is the group whose offsets say up to where the records of a table that do not decode are in millrace.errors. It is never joined.
func TableErrorsGroup(oid uint32) string { return fmt.Sprintf("millrace-query-table-%d", oid) }

func errorKey(offset int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(offset)) }

// tableErrors are the error rows of a session that are not known to be in millrace.errors.
type tableErrors struct {
	found   *errorRows // since the last commit
	waiting []int64    // in the state, by the offsets of their records
	kept    int64      // those of records below are there; -1: not asked yet
}

// loadErrors finds those that an earlier session has left in the state.
func (s *tableSession) loadErrors() error {
	s.errs.waiting, s.errs.kept = nil, -1
	it, err := s.state.Iter(tableErrorsOp, nil, nil)
	if err != nil {
		return err
	}
	for it.Next() {
		s.errs.waiting = append(s.errs.waiting, int64(binary.BigEndian.Uint64(it.Key())))
	}
	return errors.Join(it.Err(), it.Close())
}

// addErrors takes what was found into b, the batch that goes past it, and into the counters.
func (s *tableSession) addErrors(b StateBatch) error {
	found := s.errs.found
	if found.counts == (ErrorCounts{}) {
		return nil
	}
	s.p.mu.Lock()
	s.p.mu.skipped += found.counts.Late + found.counts.Eval + found.counts.Decode
	s.p.mu.Unlock()
	values, err := found.encode()
	if err != nil {
		return err
	}
	if s.p.t.cfg.ErrorsTopic == "" {
		values = nil
	}
	for i, v := range values {
		at := found.rows[i].Offset
		b.Set(tableErrorsOp, errorKey(at), v)
		s.errs.waiting = append(s.errs.waiting, at)
	}
	if over := len(s.errs.waiting) - maxWaitingErrors; s.p.t.cfg.Standby && over > 0 {
		for _, at := range s.errs.waiting[:over] {
			b.Delete(tableErrorsOp, errorKey(at))
		}
		s.errs.waiting = slices.Delete(s.errs.waiting, 0, over)
	}
	found.reset()
	return nil
}

// writeErrors writes the rows that wait to millrace.errors, unless this is a standby. It returns ErrUnavailable and ErrUnknownOutcome for what a new session may try again.
func (s *tableSession) writeErrors() error {
	if len(s.errs.waiting) == 0 || s.p.t.cfg.Standby {
		return nil
	}
	group := TableErrorsGroup(s.p.key.oid)
	if s.errs.kept < 0 {
		got, err := s.p.t.cfg.Log.Committed(s.p.ctx, group, []TopicPartition{s.p.tp})
		if err != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		s.errs.kept = max(got[0].Offset, 0)
	}
	batches, err := s.errorBatches()
	if err != nil {
		return err
	}
	if len(batches) > 0 {
		next := s.errs.waiting[len(s.errs.waiting)-1] + 1
		_, err = s.p.t.lane.submit(s.p.ctx, TaskCommit{Group: group, Offsets: []PartitionOffset{{TopicPartition: s.p.tp, Offset: next}}, Batches: batches})
		switch {
		case err == nil:
			s.errs.kept = next
		case s.p.ctx.Err() != nil, errors.Is(err, ErrUnavailable), errors.Is(err, ErrUnknownOutcome):
			return err
		case errors.Is(err, ErrFenced): // another node is taking the tables over, and will end this one's part
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		default:
			s.p.t.cfg.Logger.Warn("records that do not decode are not in millrace.errors", "table", s.p.name, "partition", s.p.key.partition, "records", len(s.errs.waiting), "err", err)
		}
	}
	b := s.newBatch(0, 0)
	for _, at := range s.errs.waiting {
		b.Delete(tableErrorsOp, errorKey(at))
	}
	s.errs.waiting = s.errs.waiting[:0]
	b.SetMark(s.mark(s.src.position()))
	return b.Commit()
}

// errorBatches encodes the rows that wait and are not there yet.
func (s *tableSession) errorBatches() ([]PartitionBatch, error) {
	var out roundOutput
	now := s.p.t.cfg.Clock.Now().UnixMilli()
	for _, at := range s.errs.waiting {
		if at < s.errs.kept {
			continue
		}
		v, ok, err := s.state.Get(nil, tableErrorsOp, errorKey(at))
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		if err := out.add(TopicPartition{Topic: s.p.t.cfg.ErrorsTopic}, now, nil, v); err != nil {
			return nil, err
		}
	}
	return out.take()
}
