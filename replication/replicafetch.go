package replication

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"

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
	behindBytes  int // at most, if it is not in sync
}

// replicaFetched is the answer. Release the chunk.
type replicaFetched struct {
	chunk     log.Chunk
	hw, start int64
	end       int64         // of the leader's log
	inSync    bool          // the follower is in the in-sync set
	more      bool          // there are records, though none in the chunk
	diverging core.EpochEnd // Epoch is -1 unless the logs part there; then there are no records
}

// fetchReplica reads for a follower up to the log's end, at least one batch unless it may have none, and takes its offset as the acknowledgement of all below.
func (p *Partition) fetchReplica(f *replicaFetch) (replicaFetched, error) {
	out := replicaFetched{diverging: core.EpochEnd{Epoch: -1, End: -1}}
	if _, err := p.serves(f.currentEpoch); err != nil {
		return out, err
	}
	if d := p.log.Damage(); d != nil && !d.Within {
		return out, kerr.KafkaStorageError // its end is not that of what was committed: nobody is to cut a log to it
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
	var err error
	if out.inSync, err = p.acknowledge(f); err != nil {
		return out, err
	}
	out.hw, out.end, out.more = p.HighWatermark(), leo, f.fetch.Offset < leo
	limit := f.maxBytes
	if !out.inSync {
		limit = min(limit, f.behindBytes)
	}
	if out.more && limit > 0 {
		out.chunk, err = p.log.Read(f.fetch.Offset, limit, leo)
	}
	return out, err
}

// acknowledge tells the core of a follower's fetch, and whether the follower is in the in-sync set.
func (p *Partition) acknowledge(f *replicaFetch) (inSync bool, _ error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.servesLocked(f.currentEpoch); err != nil {
		return false, err
	}
	if !slices.Contains(p.mu.leader.Meta().Replicas, f.fetch.Replica) || f.record >= 0 && f.record < p.mu.addedAt {
		return false, kerr.UnknownLeaderEpoch // it has newer metadata, or older: both sides will see
	}
	p.raisedLocked(p.mu.leader.Fetched(f.fetch, p.nowMs()))
	return slices.Contains(p.mu.leader.Meta().ISR, f.fetch.Replica), nil
}

// addFollower has a follower's session told, without blocking, whenever something was appended or the leadership changed.
func (p *Partition) addFollower(part *fetchPart) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.followers = append(p.mu.followers, part)
}

func (p *Partition) removeFollower(part *fetchPart) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.followers = slices.DeleteFunc(p.mu.followers, func(x *fetchPart) bool { return x == part })
}

func (p *Partition) wakeFollowersLocked() {
	for _, part := range p.mu.followers {
		part.session.mark(part)
	}
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
