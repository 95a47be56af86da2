package exec

import "github.com/millracedb/millrace/planner"

// catchUpTables reads the looked-up tables to the end they have now, which is after the stream's batch was fetched: so a table row
// that was acknowledged before a stream row is seen by it. A table that comes through an exchange is waited for first, on whichever
// nodes the tasks run that write the exchange.
func (t *task) catchUpTables() error {
	for _, s := range t.pipe.sources {
		if !s.isTable {
			continue
		}
		if s.scan == nil {
			if err := t.awaitWriters(s.tp.Topic); err != nil {
				return err
			}
		}
		bounds, err := t.r.cfg.Log.Offsets(t.ctx, s.tp)
		if err != nil {
			return err
		}
		for s.position() < bounds.LastStable {
			ok, err := s.fetch(t.ctx)
			if err != nil {
				return err
			}
			if !ok && s.end < bounds.LastStable {
				if err := awaitLeader(t.ctx, t.r.cfg.Clock); err != nil {
					return err
				}
				continue
			}
			if !ok {
				break
			}
			if err := t.step(s); err != nil {
				return err
			}
		}
	}
	return nil
}

// awaitWriters waits until the fragment that writes an exchange's topic has taken in everything its inputs hold now.
func (t *task) awaitWriters(topic string) error {
	f := t.writerOf(topic)
	if f == nil {
		return nil
	}
	var positions []PartitionOffset
	for _, src := range f.Sources {
		var topic string
		switch src := src.(type) {
		case *planner.Exchange:
			topic = src.Topic
			if err := t.awaitWriters(topic); err != nil {
				return err
			}
		case *planner.Scan:
			topic = src.Rel.Topic
		}
		for p := range f.Partitions {
			if t.r.cfg.WaitAll == nil && !t.r.runs(TaskKey{t.spec.Query, f.ID, p}) {
				continue
			}
			tp := TopicPartition{Topic: topic, Partition: p}
			bounds, err := t.r.cfg.Log.Offsets(t.ctx, tp)
			if err != nil {
				return err
			}
			positions = append(positions, PartitionOffset{TopicPartition: tp, Offset: bounds.LastStable})
		}
	}
	if t.r.cfg.WaitAll != nil {
		return t.r.cfg.WaitAll(t.ctx, t.spec.Query, f.ID, positions)
	}
	return t.progress.wait(t.ctx, f.ID, positions)
}

// writerOf returns the fragment of the query that writes an exchange's topic.
func (t *task) writerOf(topic string) *planner.Fragment {
	if t.spec.Plan == nil {
		return nil
	}
	for _, f := range t.spec.Plan.Fragments {
		if x, ok := f.Root.(*planner.Exchange); ok && x.Topic == topic {
			return f
		}
	}
	return nil
}
