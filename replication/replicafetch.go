package replication

import (
	"context"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/log"
	"github.com/millracedb/millrace/replication/core"
	"github.com/millracedb/millrace/replication/metadata"
)

// The leader's side of replication: followers read by Kafka's Fetch with their node id and broker epoch in it (KIP-903) and their last epoch (KIP-595).

// replicaFetch is what a follower asks of one partition. Its offset is its log end, all of it durable.
type replicaFetch struct {
	fetch        core.Fetch
	currentEpoch int32
	lastFetched  int32 // epoch of its last batch, -1 if it has none
	record       int32 // partition epoch of the newest record it knows, -1 if it does not say
	hw           int64 // the high watermark it knows
	maxBytes     int
}

// replicaFetched is the answer. Release the chunk.
type replicaFetched struct {
	chunk     log.Chunk
	hw, start int64
	diverging core.EpochEnd // Epoch is -1 unless the logs part there; then there are no records
}

// news reports whether the answer has something that the follower is waiting for; tells, whether there is anything in it that it does not know.
func (r *replicaFetched) news() bool { return r.chunk.Len() > 0 || r.diverging.Epoch >= 0 }

func (r *replicaFetched) tells(f *replicaFetch) bool {
	return r.news() || r.hw > f.hw || r.start > f.fetch.LogStart
}

// fetchReplica reads for a follower up to the log's end, and takes its offset as the acknowledgement of all below.
func (p *Partition) fetchReplica(f *replicaFetch) (replicaFetched, error) {
	out := replicaFetched{diverging: core.EpochEnd{Epoch: -1, End: -1}}
	if _, err := p.serves(f.currentEpoch); err != nil {
		return out, err
	}
	epoch, end := p.log.EndOffsetForEpoch(f.lastFetched)
	own := core.EpochEnd{Epoch: epoch, End: end}
	leo := p.log.LEO()
	out.start = p.log.LogStart()
	switch core.JudgeFetch(f.fetch.Offset, f.lastFetched, own, out.start, leo) {
	case core.ReadOutOfRange:
		out.hw = p.HighWatermark()
		return out, kerr.OffsetOutOfRange
	case core.ReadDiverging:
		out.hw, out.diverging = p.HighWatermark(), own
		return out, nil
	case core.ReadRecords:
	}
	if err := p.acknowledge(f); err != nil {
		return out, err
	}
	out.hw = p.HighWatermark()
	var err error
	out.chunk, err = p.log.Read(f.fetch.Offset, f.maxBytes, leo)
	return out, err
}

// acknowledge tells the core of a follower's fetch.
func (p *Partition) acknowledge(f *replicaFetch) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.servesLocked(f.currentEpoch); err != nil {
		return err
	}
	if !slices.Contains(p.mu.leader.Meta().Replicas, f.fetch.Replica) || f.record >= 0 && f.record < p.mu.addedAt {
		return kerr.UnknownLeaderEpoch // it has newer metadata, or older: both sides will see
	}
	p.raisedLocked(p.mu.leader.Fetched(f.fetch, p.nowMs()))
	return nil
}

// subscribeReplica has wake sent to, without blocking, whenever something was appended or the leadership changed, until cancel.
func (p *Partition) subscribeReplica(wake chan<- struct{}) (cancel func()) {
	s := &subscription{wake}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.followers = append(p.mu.followers, s)
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.mu.followers = slices.DeleteFunc(p.mu.followers, func(x *subscription) bool { return x == s })
	}
}

func (p *Partition) wakeFollowersLocked() {
	for _, s := range p.mu.followers {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// maxFetchWait bounds what a follower may ask to wait.
const maxFetchWait = time.Second

// ServeFetch answers a follower's Fetch, of version fetchVersion: it waits until there are records, or MaxWaitMillis are over, or ctx ends. from is the node that asks.
func (m *Manager) ServeFetch(ctx context.Context, from int32, req *kmsg.FetchRequest) *kmsg.FetchResponse {
	resp := req.ResponseKind().(*kmsg.FetchResponse)
	if req.Version < fetchVersion || req.ReplicaState.ID != from {
		resp.ErrorCode = kerr.InvalidRequest.Code
		return resp
	}
	r := m.newFetchRound(req)
	if r.fill(resp) {
		return resp
	}
	wake := make(chan struct{}, 1)
	for _, p := range r.parts {
		if p.p != nil {
			defer p.p.subscribeReplica(wake)()
		}
	}
	wait := min(time.Duration(req.MaxWaitMillis)*time.Millisecond, maxFetchWait)
	timer := m.opts.Clock.NewTimer(wait)
	defer timer.Stop()
	for done := false; !done; {
		if r.fill(resp) {
			return resp
		}
		select {
		case <-wake:
		case <-timer.C():
			done = true
		case <-ctx.Done():
			done = true
		}
	}
	r.late = true
	r.fill(resp)
	return resp
}

// fetchRound is one Fetch of a follower while it is being answered.
type fetchRound struct {
	parts []fetchPart
	bytes int  // that the answer may have
	late  bool // answer with what there is
}

type fetchPart struct {
	p     *Partition // nil: err says why
	topic [16]byte
	id    int32
	ask   replicaFetch
	err   error
}

func (m *Manager) newFetchRound(req *kmsg.FetchRequest) *fetchRound {
	img, _ := m.opts.Metadata.Watch()
	may := eligible(img, req.ReplicaState.ID, uint64(req.ReplicaState.Epoch))
	r := &fetchRound{bytes: int(req.MaxBytes)}
	for i := range req.Topics {
		rt := &req.Topics[i]
		for j := range rt.Partitions {
			rp := &rt.Partitions[j]
			part := fetchPart{topic: rt.TopicID, id: rp.Partition, ask: replicaFetch{
				fetch: core.Fetch{
					Replica: req.ReplicaState.ID, BrokerEpoch: uint64(req.ReplicaState.Epoch), Offset: rp.FetchOffset, LogStart: rp.LogStartOffset, Eligible: may,
				},
				currentEpoch: rp.CurrentLeaderEpoch, lastFetched: rp.LastFetchedEpoch, record: recordOf(rp), hw: rp.HighWatermark, maxBytes: int(rp.PartitionMaxBytes),
			}}
			part.p, part.err = m.byID(rt.TopicID, rp.Partition)
			r.parts = append(r.parts, part)
		}
	}
	return r
}

// byID finds a partition by its topic's id.
func (m *Manager) byID(topic metadata.UUID, id int32) (*Partition, error) {
	img, _ := m.Watch()
	t, ok := img.TopicByID(topic)
	if !ok {
		return nil, kerr.UnknownTopicID
	}
	p, err := m.Partition(t.Name, id)
	if err == nil && p.topicID != topic {
		return nil, kerr.InconsistentTopicID
	}
	return p, err
}

// fill makes the answer, and reports whether it is one to be sent now.
func (r *fetchRound) fill(resp *kmsg.FetchResponse) bool {
	resp.Topics = resp.Topics[:0]
	left, send := r.bytes, r.late
	for i := range r.parts {
		part := &r.parts[i]
		out := kmsg.NewFetchResponseTopicPartition()
		out.Partition, out.LastStableOffset = part.id, -1
		var got replicaFetched
		err := part.err
		if err == nil {
			ask := part.ask
			ask.maxBytes = min(ask.maxBytes, left)
			got, err = part.p.fetchReplica(&ask)
			out.HighWatermark, out.LogStartOffset = got.hw, got.start
		}
		if err == nil && !got.tells(&part.ask) {
			got.chunk.Release()
			continue
		}
		if err == nil {
			out.RecordBatches, err = got.chunk.AppendTo(nil)
			got.chunk.Release()
		}
		if err == nil && got.diverging.Epoch >= 0 {
			out.DivergingEpoch.Epoch, out.DivergingEpoch.EndOffset = got.diverging.Epoch, got.diverging.End
		}
		out.ErrorCode = code(err)
		send = send || err != nil || got.news()
		left = max(left-len(out.RecordBatches), 0)
		t := kmsg.NewFetchResponseTopic()
		t.TopicID, t.Partitions = part.topic, append(t.Partitions, out)
		resp.Topics = append(resp.Topics, t)
	}
	return send
}
