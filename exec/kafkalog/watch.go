package kafkalog

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/exec/logwatch"
)

// Subscribe implements exec.Log. A partition that does not exist is watched all the same: it may come.
func (l *Log) Subscribe(tp exec.TopicPartition, wake chan<- struct{}) (cancel func(), err error) {
	return l.watch.Subscribe(tp, wake), nil
}

// polls is logwatch.Source over Fetch.
type polls struct{ *Log }

// Moved implements logwatch.Source: polls that fail tell.
func (polls) Moved() <-chan struct{} { return nil }

// Leader implements logwatch.Source.
func (l polls) Leader(ctx context.Context, tp exec.TopicPartition) (int32, error) {
	leader, err := l.topics.leader(ctx, tp)
	return leader.broker, err
}

// Poll implements logwatch.Source.
func (l polls) Poll(ctx context.Context, broker int32, known []logwatch.Position) ([]logwatch.Progress, error) {
	from := make([]position, len(known))
	for i, k := range known {
		from[i] = position{k.TopicPartition, max(k.LastStable, 0)}
	}
	resp, err := fetch(ctx, l.pollClient, broker, pollRequest(from))
	if err != nil {
		for _, k := range known {
			l.topics.forget(k.Topic)
		}
		return nil, err
	}
	var news []logwatch.Progress
	for _, k := range known {
		rp := partitionOf(resp, k.TopicPartition)
		if rp == nil {
			continue
		}
		err := kerr.ErrorForCode(rp.ErrorCode)
		n := logwatch.Progress{Position: logwatch.Position{TopicPartition: k.TopicPartition, HighWatermark: rp.HighWatermark, LastStable: rp.LastStableOffset}, Err: err}
		switch {
		case moved(err):
			l.topics.forget(k.Topic)
		case errors.Is(err, kerr.OffsetOutOfRange): // records were deleted, or the log is another
			n.Err, n.LastStable = nil, max(rp.LogStartOffset, rp.LastStableOffset, 0)
		}
		news = append(news, n)
	}
	return news, nil
}

func kerrIn(err error) *kerr.Error {
	var ke *kerr.Error
	if errors.As(err, &ke) {
		return ke
	}
	return nil
}
