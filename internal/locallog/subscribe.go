package locallog

import (
	"errors"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/exec/lane"
	"github.com/millracedb/millrace/replication"
)

// subscriptions are those of partitions that any node may lead. Each follows the replica that is here, if one is, and another one if that is dropped and opened again as the partition moves.
type subscriptions struct {
	sync.Mutex
	of map[exec.TopicPartition]map[*subscription]struct{}
}

type subscription struct {
	wake chan<- struct{}
	// at is the replica that tells of itself until cancel, nil if none does. Both under subscriptions.
	at     *replication.Partition
	cancel func()
}

// bind has the replica p tell of itself.
func (s *subscription) bind(p *replication.Partition) {
	s.unbind()
	s.at, s.cancel = p, p.Subscribe(s.wake)
}

func (s *subscription) unbind() {
	if s.at != nil {
		s.cancel()
		s.at = nil
	}
}

// Subscribe implements exec.Log. A replica here tells of itself while it leads, and when it no longer does; another node is polled while that leads.
func (l *Log) Subscribe(tp exec.TopicPartition, wake chan<- struct{}) (cancel func(), err error) {
	far := l.peers != nil && l.spread(tp)
	p, err := l.partitions.Partition(tp.Topic, tp.Partition)
	if err != nil && !(far && errors.Is(err, kerr.NotLeaderForPartition)) {
		return nil, lane.Explain(err)
	}
	if !far {
		return p.Subscribe(wake), nil
	}
	s := &subscription{wake: wake}
	l.subs.Lock()
	if l.subs.of == nil {
		l.subs.of = map[exec.TopicPartition]map[*subscription]struct{}{}
	}
	if l.subs.of[tp] == nil {
		l.subs.of[tp] = map[*subscription]struct{}{}
	}
	l.subs.of[tp][s] = struct{}{}
	if p != nil {
		s.bind(p)
	}
	l.subs.Unlock()
	there := l.watch.Subscribe(tp, wake)
	return func() {
		there()
		l.subs.Lock()
		defer l.subs.Unlock()
		s.unbind()
		delete(l.subs.of[tp], s)
		if len(l.subs.of[tp]) == 0 {
			delete(l.subs.of, tp)
		}
	}, nil
}

// rebind has all subscriptions of a partition that is led here follow the replica that there is now. Who followed none, or another, is woken.
func (l *Log) rebind(tp exec.TopicPartition) error {
	p, err := l.partitions.Partition(tp.Topic, tp.Partition)
	if err != nil {
		return err
	}
	l.subs.Lock()
	defer l.subs.Unlock()
	for s := range l.subs.of[tp] {
		if s.at == p {
			continue
		}
		s.bind(p)
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
	return nil
}
