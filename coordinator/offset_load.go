package coordinator

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millracedb/millrace/internal/record"
)

// load reads one partition of a group coordinators' topic and serves it.
func (o *Offsets) load(ctx context.Context, tp TopicPartition) error {
	if _, ok := o.leases.slots.of(tp); !ok {
		return kerr.UnknownTopicOrPartition
	}
	p, err := o.partitions.Partition(tp.Topic, tp.Partition)
	if err != nil {
		return err
	}
	l := &offsetLease{topics: o.topics}
	l.begin(o.ctx, tp, p)
	l.mu.groups = map[string]*group{}
	l.mu.pending = map[int64]pendingOffsets{}
	l.mu.changed = make(chan struct{})
	o.leases.swap(tp, l)
	var it record.Iterator
	err = replay(ctx, p, func(h record.Header, frame []byte) error {
		return l.replayBatch(&it, h, frame)
	})
	if err != nil {
		return fmt.Errorf("load %s-%d: %w", tp.Topic, tp.Partition, err)
	}
	l.ready.Store(true)
	return nil
}

func (l *offsetLease) replayBatch(it *record.Iterator, h record.Header, frame []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if h.IsControl() {
		m, ok, err := record.ParseControl(frame)
		if err == nil && ok {
			l.settleLocked(m.ProducerID, m.Commit)
		}
		return err
	}
	if err := it.Reset(frame); err != nil {
		return err
	}
	for it.Next() {
		if err := l.replayRecordLocked(h, &it.Record); err != nil {
			return err
		}
	}
	return it.Err()
}

func (l *offsetLease) replayRecordLocked(h record.Header, r *record.Record) error {
	key, ok, err := decodeOffsetKey(r.Key)
	if err != nil {
		return err
	}
	if !ok {
		return l.replayGroupLocked(r)
	}
	if r.Value == nil {
		if g := l.mu.groups[key.group]; g != nil {
			delete(g.offsets, key.TopicPartition)
		}
		return nil
	}
	c, err := decodeOffsetValue(r.Value, r.Offset)
	if err != nil {
		return err
	}
	if h.IsTransactional() {
		l.pendLocked(h.ProducerID, h.ProducerEpoch, key, c)
	} else {
		l.applyLocked(key, c)
	}
	return nil
}

func (l *offsetLease) replayGroupLocked(r *record.Record) error {
	if ok, err := l.replayConsumerLocked(r); ok || err != nil {
		return err
	}
	id, ok, err := decodeGroupKey(r.Key)
	if err != nil || !ok {
		return err
	}
	if r.Value == nil {
		if g := l.mu.groups[id]; g != nil {
			g.known, g.members, g.owners = false, nil, nil
			l.forgetLocked(id)
		}
		return nil
	}
	generation, how, members, err := decodeGroupValue(r.Value)
	if err != nil {
		return err
	}
	l.groupLocked(id).setMembers(generation, how, members)
	return nil
}
