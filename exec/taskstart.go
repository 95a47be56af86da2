package exec

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/record"
	"github.com/millracedb/millrace/planner"
)

// setUp builds the task's operators over its committed state, and positions its inputs at the committed offsets.
func (t *task) setUp() error {
	root := t.spec.Fragment.Root
	t.env = taskEnv{
		log: t.r.cfg.Log, clock: t.r.cfg.Clock, planEpoch: t.spec.PlanEpoch, partition: t.spec.Partition,
		partitions: t.spec.Fragment.Partitions, counts: map[string]int32{}, idle: t.spec.IdleTimeout, plan: t.spec.Plan,
		each: t.spec.Plan != nil && t.spec.Plan.Each, target: t.spec.Target,
	}
	for _, topic := range append(taskTopics(root), t.r.cfg.ErrorsTopic) {
		if topic == "" {
			continue
		}
		n, err := t.r.cfg.Log.PartitionCount(t.ctx, topic)
		if errors.Is(err, ErrUnknownTopic) {
			return fmt.Errorf("%w: topic %q: %w", errTopicGone, topic, err)
		}
		if err != nil {
			return err
		}
		t.env.counts[topic] = n
	}
	id := StateID{Object: t.spec.Query, Fragment: t.spec.Fragment.ID, Partition: t.spec.Partition}
	var err error
	if t.state, err = t.r.cfg.State.Partition(id); err != nil {
		return err
	}
	t.cx = &opContext{
		env: newEnv(t.r.cfg.Clock), state: &taskState{committed: t.state, limit: t.r.cfg.TaskMemory}, now: noTime,
		errors: &errorRows{clock: t.r.cfg.Clock, query: t.spec.Query, name: t.spec.Name, origin: t.origin(), payload: t.payload}, first: t.spec.Partition == 0,
	}
	t.env.cx = t.cx
	t.outputs, t.dataTime, t.rowsIn, t.counts, t.stats.RowCounts = map[TopicPartition]int64{}, noTime, 0, "", RowCounts{}
	t.env.tables = t.r.cfg.Tables
	if t.pipe, err = buildPipeline(&t.env, root); err != nil {
		return err
	}
	// Offsets are read first: they wait for the transaction that may still be deciding, and so does what the changelog shows.
	if err := t.position(); err != nil {
		return err
	}
	if err := t.recover(); err != nil {
		return err
	}
	t.before, t.stats.rate.seen = t.stats.RowsOut, t.stats.RowsIn
	if err := t.pipe.resume(t.cx.now); err != nil {
		return err
	}
	if !t.cx.first {
		t.publishPositions() // the others tell where they stand when they have given the row that they may have to give
	}
	return nil
}

// origin is the topic that the provenance of the query's rows speaks of: the first stream it reads.
func (t *task) origin() string {
	if t.spec.Plan != nil && len(t.spec.Plan.Reads) > 0 {
		return t.spec.Plan.Reads[0].Topic
	}
	return ""
}

// payload reads the value of a record that a row came from, nil if it is no longer there. It is asked for rows that are kept as errors, which are few.
func (t *task) payload(tp TopicPartition, offset int64) []byte {
	f, err := t.r.cfg.Log.Fetch(t.ctx, tp, offset, 1)
	if err != nil {
		return nil
	}
	defer f.Release()
	var it record.Iterator
	for frames := f.Batches; len(frames) > 0; {
		h, frame, rest, err := record.Next(frames)
		if err != nil || h.LastOffset() < offset || it.Reset(frame) != nil {
			return nil
		}
		for frames = rest; it.Next(); {
			if it.Record.Offset == offset {
				return slices.Clone(it.Record.Value)
			}
		}
	}
	return nil
}

// position puts each source where the group's committed offsets say, or where the query starts, and subscribes.
func (t *task) position() error {
	tps := make([]TopicPartition, len(t.pipe.sources))
	for i, s := range t.pipe.sources {
		tps[i] = s.tp
	}
	committed, err := t.r.cfg.Log.Committed(t.ctx, t.spec.Group, tps)
	if err != nil {
		return err
	}
	for i, s := range t.pipe.sources {
		bounds, err := t.r.cfg.Log.Offsets(t.ctx, s.tp)
		if err != nil {
			return err
		}
		at := committed[i].Offset
		if m := committed[i].Metadata; m != "" {
			t.counts = m
		}
		switch {
		case s.scan == nil:
			at = max(at, bounds.LogStart) // what was read is deleted, and may reach beyond what was committed by markers
		case at < 0:
			at, s.begun = max(t.spec.Start[s.tp], bounds.LogStart), bounds.LastStable
		}
		s.offset, s.next, s.trimmed = at, at, at
		s.heardAt = t.r.cfg.Clock.Now()
		if s.cancel, err = t.r.cfg.Log.Subscribe(s.tp, t.wake); err != nil {
			return err
		}
	}
	return nil
}

// recover makes the state what the changelog says: it replays what the mark has not taken in, or all if the mark is of no use.
func (t *task) recover() error {
	mark, ok, err := t.state.Mark()
	if err != nil || t.rebuild {
		ok = false // a mark that does not decode is as good as none
	}
	if !t.spec.Fragment.Stateful {
		return t.recoverStateless(mark, ok)
	}
	t.changelog.TopicPartition = TopicPartition{Topic: t.spec.Fragment.Changelog, Partition: t.spec.Partition}
	bounds, err := t.settledChangelog()
	if err != nil {
		return err
	}
	if !ok || !t.spec.trusted(mark, bounds, t.r.cfg.Clock.Now()) {
		if err := t.state.Clear(); err != nil {
			return err
		}
		mark = Mark{Changelog: bounds.LogStart, ChangelogEpoch: bounds.LeaderEpoch}
	}
	if err := t.assumeOutputs(); err != nil {
		return err
	}
	if mark, err = t.replay(mark, bounds.LastStable); err != nil {
		return err
	}
	t.changelog.Offset, t.epoch = mark.Changelog, mark.ChangelogEpoch
	t.restoreOutputs(mark)
	if len(mark.Extra) == 0 {
		return nil
	}
	return t.loadExtra(mark.Extra)
}

// recoverStateless takes over what local state says, if there is any, and the counters that were committed with the offsets: they are newer if the task has run elsewhere meanwhile.
func (t *task) recoverStateless(mark Mark, ok bool) error {
	if err := t.assumeOutputs(); err != nil {
		return err
	}
	if ok {
		t.restoreOutputs(mark)
		if err := t.loadExtra(mark.Extra); err != nil {
			return err
		}
	}
	parseCounts(t.counts, &t.stats.Errors, &t.stats.RowCounts)
	return nil
}

// settledChangelog returns the bounds of the changelog once no transaction is open in it. The offsets that the task goes on from may have been committed by the lane of another node, which
// runs other queries and is not fenced; its markers need not have come everywhere at the same time.
func (t *task) settledChangelog() (Offsets, error) {
	end := int64(-1)
	for {
		bounds, err := t.r.cfg.Log.Offsets(t.ctx, t.changelog.TopicPartition)
		if end < 0 {
			end = bounds.HighWatermark
		}
		if err != nil || bounds.LastStable >= end {
			return bounds, err
		}
		if err := awaitLeader(t.ctx, t.r.cfg.Clock); err != nil {
			return bounds, err
		}
	}
}

// assumeOutputs takes what the output topics hold for what the task has written: no mark may say it, or an old one of this node, while another ran the task since.
func (t *task) assumeOutputs() error {
	topic := ""
	switch root := t.spec.Fragment.Root.(type) {
	case *planner.Sink:
		topic = root.Rel.Topic
	case *planner.Exchange:
		topic = root.Topic
	}
	for p := range t.env.counts[topic] {
		tp := TopicPartition{Topic: topic, Partition: p}
		bounds, err := t.r.cfg.Log.Offsets(t.ctx, tp)
		if err != nil {
			return err
		}
		t.outputs[tp] = bounds.LastStable
	}
	return nil
}

func (t *task) restoreOutputs(m Mark) {
	for _, o := range m.Outputs {
		t.outputs[o.TopicPartition] = max(t.outputs[o.TopicPartition], o.Offset)
	}
}

// trusted reports whether local state can be continued from its mark: the mark lies within the changelog, is not from a leader
// that the changelog does not know, and either misses nothing or is not so old that tombstones it has not seen may have been compacted away.
func (s *TaskSpec) trusted(m Mark, bounds Offsets, now time.Time) bool {
	if m.Changelog < bounds.LogStart || m.Changelog > bounds.HighWatermark || m.ChangelogEpoch > bounds.LeaderEpoch {
		return false
	}
	return s.StateRetention == 0 || m.Changelog >= bounds.LastStable || now.Sub(extraWall(m.Extra)) <= s.StateRetention
}

// replay applies the changelog from the mark to end and returns the new mark.
func (t *task) replay(m Mark, end int64) (Mark, error) {
	reader := logReader{log: t.r.cfg.Log, timer: t.r.cfg.Clock, tp: t.changelog.TopicPartition, offset: m.Changelog}
	m.Inputs = t.positions()
	for reader.offset < end {
		more, err := reader.apply(t.ctx, t.state, &m)
		if err != nil {
			return m, err
		}
		if !more && reader.end < end {
			if err := awaitLeader(t.ctx, t.r.cfg.Clock); err != nil {
				return m, err
			}
			continue
		}
		if !more {
			break
		}
	}
	return m, nil
}

// logReader reads the committed records of one partition in order.
type logReader struct {
	log    Log
	timer  clock.Clock
	tp     TopicPartition
	offset int64
	epoch  int32
	end    int64 // last stable offset as of the last read
	frames record.CommittedReader
	iter   record.Iterator
}

// apply makes state what one fetch of a changelog says, and moves the mark there. It reports false when there was nothing.
func (r *logReader) apply(ctx context.Context, state StatePartition, m *Mark) (bool, error) {
	b := state.NewBatch(0, 0)
	more, err := r.read(ctx, func(rec *record.Record) error {
		if len(rec.Key) < 4 {
			return fmt.Errorf("changelog %s-%d at %d: the key is too short", r.tp.Topic, r.tp.Partition, rec.Offset)
		}
		op, key := binary.BigEndian.Uint32(rec.Key), rec.Key[4:]
		switch {
		case op == metaOp:
			m.Extra = append([]byte(nil), rec.Value...)
		case rec.Value == nil:
			b.Delete(op, key)
		default:
			b.Set(op, key, rec.Value)
		}
		return nil
	})
	if err != nil || !more {
		return false, errors.Join(err, b.Close())
	}
	m.Changelog, m.ChangelogEpoch = r.offset, r.epoch
	b.SetMark(*m)
	return true, b.Commit()
}

// read calls f with the records of one fetch; they are valid during the call. It reports false when there was nothing.
func (r *logReader) read(ctx context.Context, f func(*record.Record) error) (bool, error) {
	got, err := fetchFrom(ctx, r.log, r.timer, r.tp, r.offset)
	if err != nil {
		return false, err
	}
	defer got.Release()
	r.epoch, r.end = got.LeaderEpoch, got.LastStable
	if len(got.Batches) == 0 {
		return false, nil
	}
	aborted := make([]record.AbortedTxn, len(got.Aborted))
	for i, a := range got.Aborted {
		aborted[i] = record.AbortedTxn(a)
	}
	r.frames.Reset(got.Batches, aborted)
	for {
		_, frame, ok, err := r.frames.Next()
		if err != nil {
			return false, err
		}
		if !ok {
			break
		}
		if err := r.iter.Reset(frame); err != nil {
			return false, err
		}
		for r.iter.Next() {
			if r.iter.Record.Offset < r.offset {
				continue
			}
			if err := f(&r.iter.Record); err != nil {
				return false, err
			}
		}
		if err := r.iter.Err(); err != nil {
			return false, err
		}
	}
	r.offset = max(r.offset, lastOffset(got.Batches)+1)
	return true, nil
}
