package kafkalog

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/exec/lane"
	"github.com/millracedb/millrace/internal/clock"
)

const (
	// leaderTries is how often a request follows a leader that has moved before that is the caller's problem.
	leaderTries = 5
	// leaderPause is the time between such tries, for an election takes a moment.
	leaderPause = 50 * time.Millisecond
)

// leadership is who leads a partition.
type leadership struct {
	broker int32
	epoch  int32
}

// topicInfo is what metadata says of a topic; it is not changed once made.
type topicInfo struct {
	parts []leadership // by partition; broker -1 where there is no leader
}

// topicCache remembers topics until one of their partitions turns out to have moved. It holds as many as the executor uses.
type topicCache struct {
	log *Log
	mu  struct {
		sync.Mutex
		topics map[string]topicInfo
	}
}

// leader returns who leads tp, as far as is known.
func (c *topicCache) leader(ctx context.Context, tp exec.TopicPartition) (leadership, error) {
	c.mu.Lock()
	t, ok := c.mu.topics[tp.Topic]
	c.mu.Unlock()
	if !ok || int(tp.Partition) >= len(t.parts) {
		var err error
		if t, err = c.refresh(ctx, tp.Topic); err != nil {
			return leadership{}, err
		}
	}
	if tp.Partition < 0 || int(tp.Partition) >= len(t.parts) {
		return leadership{}, lane.Explain(kerr.UnknownTopicOrPartition)
	}
	l := t.parts[tp.Partition]
	if l.broker < 0 {
		c.forget(tp.Topic)
		return leadership{}, lane.Explain(kerr.LeaderNotAvailable)
	}
	return l, nil
}

// forget makes the next look-up of the topic ask the cluster.
func (c *topicCache) forget(topic string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.mu.topics, topic)
}

// refresh asks the cluster about a topic.
func (c *topicCache) refresh(ctx context.Context, topic string) (topicInfo, error) {
	req := kmsg.NewPtrMetadataRequest()
	rt := kmsg.NewMetadataRequestTopic()
	rt.Topic = kmsg.StringPtr(topic)
	req.Topics = append(req.Topics, rt)
	resp, err := req.RequestWith(ctx, c.log.client)
	if err != nil {
		return topicInfo{}, lane.Explain(err)
	}
	if len(resp.Topics) != 1 {
		return topicInfo{}, lane.Explain(kerr.UnknownServerError)
	}
	if err := kerr.ErrorForCode(resp.Topics[0].ErrorCode); err != nil {
		c.forget(topic)
		return topicInfo{}, lane.Explain(err)
	}
	t := topicInfo{parts: make([]leadership, len(resp.Topics[0].Partitions))}
	for i := range t.parts {
		t.parts[i].broker = -1
	}
	for _, p := range resp.Topics[0].Partitions {
		if p.Partition >= 0 && int(p.Partition) < len(t.parts) {
			t.parts[p.Partition] = leadership{broker: p.Leader, epoch: p.LeaderEpoch}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.topics == nil {
		c.mu.topics = map[string]topicInfo{}
	}
	c.mu.topics[topic] = t
	return t, nil
}

// moved reports whether an error says that somebody else leads the partition.
func moved(err error) bool {
	return errors.Is(err, kerr.NotLeaderForPartition) || errors.Is(err, kerr.LeaderNotAvailable) ||
		errors.Is(err, kerr.FencedLeaderEpoch) || errors.Is(err, kerr.UnknownLeaderEpoch) ||
		errors.Is(err, kerr.UnknownTopicOrPartition)
}

// atLeader calls f with the leader of tp, again where it has moved. Errors are exec.Log's.
func (c *topicCache) atLeader(ctx context.Context, tp exec.TopicPartition, f func(leadership) error) error {
	for try := 1; ; try++ {
		l, err := c.leader(ctx, tp)
		if err != nil {
			return err
		}
		err = f(l)
		if err == nil {
			return nil
		}
		if !moved(err) {
			return lane.Explain(err)
		}
		c.forget(tp.Topic)
		if try == leaderTries {
			return lane.Explain(err)
		}
		if !clock.Wait(ctx, c.log.clock, leaderPause) {
			return ctx.Err()
		}
	}
}
