package coordinator

import (
	"context"
	"iter"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millracedb/millrace/log"
	"github.com/millracedb/millrace/replication"
	"github.com/millracedb/millrace/replication/metadata"
)

// Replicated is this node's partitions as the coordinators want them.
func Replicated(m *replication.Manager) Partitions { return replicatedPartitions{m} }

type replicatedPartitions struct{ manager *replication.Manager }

func (r replicatedPartitions) Partition(topic string, partition int32) (Partition, error) {
	p, err := r.manager.Partition(topic, partition)
	if err != nil {
		return nil, err
	}
	if !p.Leads() {
		return nil, kerr.NotLeaderForPartition
	}
	return replicated{p, p.LeaderEpoch()}, nil
}

func (r replicatedPartitions) OpenTransactions() []OpenTransaction {
	var open []OpenTransaction
	for _, p := range r.manager.Partitions() {
		if !p.Leads() {
			continue
		}
		for _, s := range p.OpenTransactions() {
			open = append(open, OpenTransaction{TopicPartition{p.Topic(), p.ID()}, s.ProducerID, s.Epoch})
		}
	}
	return open
}

// replicated is a partition in one term of its leadership: what a coordinator loaded in that term it may write only in that term.
type replicated struct {
	*replication.Partition
	epoch int32
}

func (r replicated) LeaderEpoch() int32 { return r.epoch }

func (r replicated) Leads() bool { return r.Partition.Leads() && r.Partition.LeaderEpoch() == r.epoch }

func (r replicated) Append(_ context.Context, batches []byte, o AppendOptions) (base, next int64, err error) {
	opts := replication.AppendOptions{
		Acks: replication.AcksAll, Origin: log.Client, Fence: true, Epoch: r.epoch, NoSync: true, TransactionVersion: o.TransactionVersion,
		RequireVerified: o.Verified, Guard: o.Guard,
	}
	if o.AnyISR {
		opts.Acks = replication.AcksLeader
	}
	if o.Origin != OriginClient {
		opts.Origin = log.Coordinator
	}
	res, err := r.AppendAsync(batches, opts)
	if err != nil {
		return 0, 0, err
	}
	return res.BaseOffset, res.LastOffset + 1, nil
}

// WaitHighWatermark fails once the term is over, even if this node leads again: what was written in it may have been cut off.
func (r replicated) WaitHighWatermark(ctx context.Context, offset int64) error {
	r.Flush(offset)
	return r.WaitCommitted(ctx, replication.AppendResult{
		AppendResult: log.AppendResult{LastOffset: offset - 1}, LeaderEpoch: r.epoch,
	})
}

func (r replicated) Outlived(ctx context.Context, offset int64) bool {
	return r.Partition.Outlived(ctx, offset, r.epoch)
}

func (r replicated) Read(_ context.Context, offset int64, maxBytes int) ([]byte, func(), error) {
	f, err := r.Fetch(offset, maxBytes, replication.ReadLogEnd, r.epoch)
	if err != nil {
		return nil, nil, err
	}
	if data := f.Chunk.Data(); data != nil {
		return data, f.Chunk.Release, nil
	}
	defer f.Chunk.Release()
	data, err := f.Chunk.AppendTo(nil)
	return data, func() {}, err
}

// ReplicatedTopics is the topics of the metadata as consumer groups want them.
func ReplicatedTopics(m *metadata.Store) func() TopicsView {
	return func() TopicsView { return topicsView{m.Image()} }
}

type topicsView struct{ *metadata.Image }

func (v topicsView) Topic(name string) (TopicInfo, bool) { return topicInfo(v.Image.Topic(name)) }

func (v topicsView) TopicByID(id [16]byte) (TopicInfo, bool) { return topicInfo(v.Image.TopicByID(id)) }

func topicInfo(t *metadata.Topic, ok bool) (TopicInfo, bool) {
	if !ok {
		return TopicInfo{}, false
	}
	return TopicInfo{Name: t.Name, ID: t.ID, Partitions: int32(len(t.Partitions))}, true
}

func (v topicsView) Topics() iter.Seq[TopicInfo] {
	return func(yield func(TopicInfo) bool) {
		for t := range v.Image.Topics() {
			if info, _ := topicInfo(t, true); !yield(info) {
				return
			}
		}
	}
}
