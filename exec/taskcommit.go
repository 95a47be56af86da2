package exec

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/millracedb/millrace/internal/record"
)

// metaOp is the operator number of the changelog record that holds the task's times.
const metaOp = 0xfffffffe

// commit commits the round if it has read anything, and otherwise publishes positions that passed over nothing but markers.
func (t *task) commit() error {
	if t.rowsIn == 0 && !t.stillBorn() {
		t.publishPositions()
		return nil
	}
	return t.commitRound()
}

// stillBorn reports whether the task has a row to give before it has read anything: the one row of an aggregate without
// GROUP BY. It is asked once.
func (t *task) stillBorn() bool {
	first := t.stats.Commits == 0 && t.cx.first && !t.env.born
	t.env.born = true
	return first
}

// commitRound flushes the operators, hands the round to the lane, and makes the state what was committed.
func (t *task) commitRound() error {
	if err := t.level(); err != nil {
		return err
	}
	c, pending, err := t.contribution()
	if err != nil {
		return err
	}
	if len(c.Batches) > 0 || t.rowsIn > 0 {
		if err := t.commitTo(c, pending); err != nil {
			return err
		}
	}
	t.cx.state.commit()
	t.cx.errors.reset()
	t.endRound()
	t.publishPositions()
	return t.trim()
}

// trim deletes what was read of repartition topics: nobody else reads them. What cannot be deleted now is deleted later.
func (t *task) trim() error {
	for _, s := range t.pipe.sources {
		if s.scan != nil || s.position() < s.trimmed+trimEvery {
			continue
		}
		err := t.r.cfg.Log.DeleteRecords(t.ctx, s.tp, s.position())
		if err != nil && !errors.Is(err, ErrUnavailable) {
			return err
		}
		s.trimmed = s.position()
	}
	return nil
}

// pendingBatch remembers how many records a batch of the round has.
type pendingBatch struct {
	tp      TopicPartition
	records int64
}

func (t *task) contribution() (TaskCommit, []pendingBatch, error) {
	if err := t.pipe.flush(t.cx.now, t.dataTime); err != nil {
		return TaskCommit{}, nil, err
	}
	if err := t.cx.state.endReads(); err != nil {
		return TaskCommit{}, nil, err
	}
	if err := t.addErrorRows(); err != nil {
		return TaskCommit{}, nil, err
	}
	if err := t.addChangelog(); err != nil {
		return TaskCommit{}, nil, err
	}
	counts := "" // for want of a changelog
	if !t.spec.Fragment.Stateful {
		counts = countsText(t.counted())
	}
	batches, err := t.env.output.take()
	if err != nil {
		return TaskCommit{}, nil, err
	}
	c := TaskCommit{
		Group: t.spec.Group, Member: t.spec.Member, Generation: t.spec.Generation, Offsets: t.positions(), Batches: batches,
	}
	if len(c.Offsets) > 0 {
		c.Offsets[0].Metadata = counts
	}
	pending := make([]pendingBatch, len(batches))
	for i, b := range batches {
		h, err := record.ParseHeader(b.Batch)
		if err != nil {
			return TaskCommit{}, nil, err
		}
		pending[i] = pendingBatch{b.TopicPartition, int64(h.Count)}
	}
	return c, pending, nil
}

func (t *task) commitTo(c TaskCommit, pending []pendingBatch) error {
	result, err := t.submit(c)
	if err != nil {
		return err
	}
	for i, a := range result.Appended {
		end := a.BaseOffset + pending[i].records
		if pending[i].tp == t.changelog.TopicPartition {
			t.changelog.Offset, t.epoch = end, a.LeaderEpoch
			continue
		}
		t.outputs[pending[i].tp] = max(t.outputs[pending[i].tp], end)
		t.wrote(&t.stats.RowCounts, pending[i].tp, pending[i].records)
	}
	t.stats.Commits++
	t.stats.Errors.add(t.cx.errors.counts)
	b := t.state.NewBatch(len(t.cx.state.writes), len(t.cx.state.arena))
	t.cx.state.apply(b)
	b.SetMark(t.mark(c.Offsets))
	t.rebuild = false
	return b.Commit()
}

// mark ties the state to the log as of the round just committed.
func (t *task) mark(inputs []PartitionOffset) Mark {
	m := Mark{Inputs: inputs, Changelog: t.changelog.Offset, ChangelogEpoch: t.epoch, Extra: t.extra(t.stats.Errors, t.stats.RowCounts)}
	for tp, end := range t.outputs {
		m.Outputs = append(m.Outputs, PartitionOffset{TopicPartition: tp, Offset: end})
	}
	return m
}

// extra is the task's own part of the mark: wall clock (ms), stream time, the rows that took no part so far, the sources' times, and the rows read and written so far.
func (t *task) extra(errs ErrorCounts, rows RowCounts) []byte {
	dst := binary.AppendVarint(nil, t.r.cfg.Clock.Now().UnixMilli())
	dst = binary.AppendVarint(dst, t.cx.now)
	dst = binary.AppendVarint(dst, t.dataTime)
	for _, n := range errs.all() {
		dst = binary.AppendVarint(dst, *n)
	}
	for _, s := range t.pipe.sources {
		dst = s.times.append(dst)
	}
	return appendRowCounts(dst, rows)
}

// loadExtra reads what extra wrote. Fewer sources than there are now is no error: a plan cut anew starts their times over.
func (t *task) loadExtra(src []byte) error {
	var err error
	src, t.stats.RowCounts = cutRowCounts(src)
	var wall int64
	for _, p := range []*int64{&wall, &t.cx.now, &t.dataTime} {
		if *p, src, err = takeVarint(src); err != nil {
			return errCorruptTimes
		}
	}
	var errs ErrorCounts
	for _, p := range errs.all() {
		if *p, src, err = takeVarint(src); err != nil {
			return errCorruptTimes
		}
	}
	t.stats.Errors = errs
	for _, s := range t.pipe.sources {
		if len(src) == 0 {
			return nil
		}
		if src, err = s.times.decode(src); err != nil {
			return err
		}
	}
	return nil
}

// extraWall is the wall clock in a mark's extra, the zero time if there is none.
func extraWall(extra []byte) time.Time {
	ms, _, err := takeVarint(extra)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// addErrorRows writes the round's error rows to the topic of millrace.errors.
func (t *task) addErrorRows() error {
	topic := t.r.cfg.ErrorsTopic
	if topic == "" || len(t.cx.errors.rows) == 0 {
		return nil
	}
	values, err := t.cx.errors.encode()
	if err != nil {
		return err
	}
	tp := TopicPartition{Topic: topic, Partition: t.spec.Partition % max(t.env.counts[topic], 1)}
	for i, v := range values {
		if err := t.env.output.add(tp, t.cx.errors.rows[i].At.UnixMilli(), nil, v); err != nil {
			return err
		}
	}
	return nil
}

// addChangelog writes the round's state changes and times to the changelog. A record's key is the operator's number (4 bytes)
// and the row's key; deletes are tombstones.
func (t *task) addChangelog() error {
	if !t.spec.Fragment.Stateful {
		return nil
	}
	st := t.cx.state
	if len(st.writes) == 0 && t.rowsIn == 0 {
		return nil
	}
	tp := t.changelog.TopicPartition
	stamp := t.r.cfg.Clock.Now().UnixMilli()
	var key []byte
	for _, w := range st.writes {
		key = append(binary.BigEndian.AppendUint32(key[:0], w.op), st.key(w)...)
		var val []byte
		if !w.deleted {
			val = notNull(st.val(w))
		}
		if err := t.env.output.add(tp, stamp, key, val); err != nil {
			return err
		}
	}
	key = binary.BigEndian.AppendUint32(key[:0], metaOp)
	return t.env.output.add(tp, stamp, key, t.extra(t.counted()))
}

func (t *task) positions() []PartitionOffset {
	list := make([]PartitionOffset, len(t.pipe.sources))
	for i, s := range t.pipe.sources {
		list[i] = PartitionOffset{TopicPartition: s.tp, Offset: s.position()}
	}
	return mergePositions(list)
}

// level brings sources that read the same partition, as in a union of a stream with itself, to one position, since one is all that can be
// committed. They are cut at the same places, so the one behind meets the one ahead.
func (t *task) level() error {
	for again := true; again; {
		again = false
		for _, s := range t.pipe.sources {
			for _, ahead := range t.pipe.sources {
				if ahead.tp != s.tp || ahead.position() <= s.position() {
					continue
				}
				ok, err := s.fetch(t.ctx)
				if err != nil {
					return err
				}
				if !ok && s.end < ahead.position() {
					again = true
					if err := awaitLeader(t.ctx, t.r.cfg.Clock); err != nil {
						return err
					}
				}
				if ok {
					again = true
					if err := s.step(t.ctx, t.r.cfg.Clock.Now()); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

// mergePositions keeps the lowest position where two sources read one partition: they differ by no more than markers.
func mergePositions(list []PartitionOffset) []PartitionOffset {
	kept := list[:0]
next:
	for _, o := range list {
		for i := range kept {
			if kept[i].TopicPartition == o.TopicPartition {
				kept[i].Offset = min(kept[i].Offset, o.Offset)
				continue next
			}
		}
		kept = append(kept, o)
	}
	return kept
}

func (t *task) publishPositions() {
	t.stats.StateBytes, t.stats.StreamTime, t.stats.Lag = t.cx.state.memSize(), t.cx.now, 0
	for _, s := range t.pipe.sources {
		t.stats.Lag += max(0, s.end-s.position())
	}
	t.stats.Operators, t.stats.Time = t.pipe.operatorStats(t.cx.state), 0
	for _, o := range t.stats.Operators {
		t.stats.Time += o.Time
	}
	if ops := t.stats.Operators; t.pipe.writer == nil {
		ops[0].Rows = t.stats.RowsOut - t.before
	} else {
		ops[0].Rows = ops[1].Rows // its records are blocks of rows
	}
	t.stats.rate.total(t.r.cfg.Clock.Now(), t.stats.RowsIn)
	t.progress.publish(t.positions(), t.outputs, t.spec.Key(), t.stats)
}
