package kafkalog

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/exec"
)

const (
	// pollWait is how long a broker holds a poll when nothing is new; a new subscription is heard of after that.
	pollWait = 100 * time.Millisecond
	// pollPause is the time between polls that fail.
	pollPause = 250 * time.Millisecond
)

// watcher knows who wants to hear of which partition.
type watcher struct {
	mu struct {
		sync.Mutex
		parts map[exec.TopicPartition]*watched
	}
	some chan struct{} // capacity one: tells an idle loop that there is a subscription
}

// watched is a partition with subscribers, and what they have been told of.
type watched struct {
	wakes      map[*subscription]struct{}
	high, last int64 // high watermark and last stable offset; -1 before the first poll
}

type subscription struct{ wake chan<- struct{} }

func (w *watcher) init() {
	w.mu.parts = map[exec.TopicPartition]*watched{}
	w.some = make(chan struct{}, 1)
}

// Subscribe implements exec.Log.
func (l *Log) Subscribe(tp exec.TopicPartition, wake chan<- struct{}) (cancel func(), err error) {
	w := &l.watch
	s := &subscription{wake}
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.mu.parts[tp]
	if p == nil {
		p = &watched{wakes: map[*subscription]struct{}{}, high: -1, last: -1}
		w.mu.parts[tp] = p
	}
	p.wakes[s] = struct{}{}
	notify(w.some)
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(p.wakes, s)
		if len(p.wakes) == 0 && w.mu.parts[tp] == p {
			delete(w.mu.parts, tp)
		}
	}, nil
}

func notify(wake chan<- struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}

// watchLoop polls the leaders of all partitions that somebody subscribed to.
func (l *Log) watchLoop(ctx context.Context) {
	for ctx.Err() == nil {
		byLeader, missing := l.positions(ctx)
		if len(byLeader) == 0 && !missing {
			select {
			case <-l.watch.some:
			case <-ctx.Done():
			}
			continue
		}
		failed := missing
		var wg sync.WaitGroup
		var mu sync.Mutex
		for broker, from := range byLeader {
			wg.Go(func() {
				ok := l.poll(ctx, broker, from)
				mu.Lock()
				defer mu.Unlock()
				failed = failed || !ok
			})
		}
		wg.Wait()
		if failed {
			l.sleep(ctx, pollPause)
		}
	}
}

func (l *Log) sleep(ctx context.Context, d time.Duration) {
	timer := l.clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C():
	case <-ctx.Done():
	}
}

// positions lists by leader what to poll from where. A partition without a leader wakes its subscribers: they will see.
func (l *Log) positions(ctx context.Context) (byLeader map[int32][]position, missing bool) {
	w := &l.watch
	w.mu.Lock()
	var from []position
	for tp, p := range w.mu.parts {
		from = append(from, position{tp, max(p.last, 0)})
	}
	w.mu.Unlock()
	byLeader = map[int32][]position{}
	for _, p := range from {
		leader, err := l.topics.leader(ctx, p.TopicPartition)
		if err != nil {
			missing = true
			l.wake(p.TopicPartition)
			continue
		}
		byLeader[leader.broker] = append(byLeader[leader.broker], p)
	}
	return byLeader, missing
}

// poll waits at one broker for progress. It asks for one byte, so it gets one batch at most, which it ignores: what counts are the
// offsets beside it.
func (l *Log) poll(ctx context.Context, broker int32, from []position) (ok bool) {
	resp, err := fetch(ctx, l.polls, broker, pollRequest(from))
	if err != nil {
		for _, p := range from {
			l.topics.forget(p.Topic)
		}
		return false
	}
	ok = true
	for _, p := range from {
		if rp := partitionOf(resp, p.TopicPartition); rp != nil {
			ok = l.progress(p.TopicPartition, rp) && ok
		}
	}
	return ok
}

// progress wakes the subscribers of a partition if the answer tells something new.
func (l *Log) progress(tp exec.TopicPartition, rp *kmsg.FetchResponseTopicPartition) (ok bool) {
	err := kerr.ErrorForCode(rp.ErrorCode)
	if moved(err) {
		l.topics.forget(tp.Topic)
	}
	w := &l.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.mu.parts[tp]
	if p == nil {
		return true
	}
	if err == nil && rp.HighWatermark == p.high && rp.LastStableOffset == p.last {
		return true
	}
	if err == nil {
		p.high, p.last = rp.HighWatermark, rp.LastStableOffset
	} else if errors.Is(err, kerr.OffsetOutOfRange) {
		p.last = max(rp.LogStartOffset, rp.LastStableOffset, 0) // records were deleted, or the log is another
	}
	for s := range p.wakes {
		notify(s.wake)
	}
	return err == nil
}

// wake tells the subscribers that the state of a partition has changed.
func (l *Log) wake(tp exec.TopicPartition) {
	w := &l.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	if p := w.mu.parts[tp]; p != nil {
		for s := range p.wakes {
			notify(s.wake)
		}
	}
}

// kerrIn finds a Kafka error in err.
func kerrIn(err error) *kerr.Error {
	var ke *kerr.Error
	if errors.As(err, &ke) {
		return ke
	}
	return nil
}
