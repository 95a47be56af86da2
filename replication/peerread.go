package replication

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/record"
)

// Nodes read from leaders elsewhere as committed consumers, by Kafka's Fetch of version PeerFetchVersion without a replica id. A partition of which no bytes are asked is asked for its
// bounds: at once if the request does not wait, once they have passed the fetch offset (the last stable offset that the reader knows) and its high watermark if it does.

// PeerFetchVersion is the version of Fetch between nodes.
const PeerFetchVersion = fetchVersion

// Bounds are what a leader says of its partition.
type Bounds struct {
	LogStart      int64
	HighWatermark int64
	LastStable    int64
	LeaderEpoch   int32
}

// SettledBounds waits until the high watermark has reached the offset at which this leadership began, and returns the bounds then. Below it lies what earlier leaders have acknowledged, which
// this one may not yet know to be on every in-sync replica (KIP-207). current is the leader epoch that the reader knows, or -1. Errors are those of WaitCommitted and Fetch.
func (p *Partition) SettledBounds(ctx context.Context, current int32) (Bounds, error) {
	p.mu.Lock()
	if current < 0 {
		current = p.mu.epoch
	}
	err := p.servesLocked(current)
	var start int64
	if err == nil {
		start = p.mu.leader.EpochStart()
	}
	p.mu.Unlock()
	if err == nil {
		err = p.WaitHighWatermark(ctx, start)
	}
	if err != nil {
		return Bounds{}, err
	}
	b := Bounds{LogStart: p.LogStart(), LastStable: p.LastStableOffset(), LeaderEpoch: current} // LSO before the high watermark, so that it is never above
	b.HighWatermark = p.HighWatermark()
	if _, err = p.serves(current); errors.Is(err, kerr.FencedLeaderEpoch) {
		err = kerr.NotLeaderForPartition // it has ended meanwhile, and what was read need not be of it
	}
	return b, err
}

// ServeRead answers a read of another node.
func (m *Manager) ServeRead(ctx context.Context, req *kmsg.FetchRequest) *kmsg.FetchResponse {
	resp := req.ResponseKind().(*kmsg.FetchResponse)
	if req.Version != PeerFetchVersion || req.ReplicaState.ID >= 0 {
		resp.ErrorCode = kerr.InvalidRequest.Code
		return resp
	}
	wait := min(time.Duration(req.MaxWaitMillis)*time.Millisecond, maxFetchWait)
	if wait <= 0 {
		ctx, cancel := context.WithTimeout(ctx, maxFetchWait) // for all together: who asks for many bounds does not wait for one after the other
		defer cancel()
		for i := range req.Topics {
			for j := range req.Topics[i].Partitions {
				m.addRead(resp, req.Topics[i].TopicID, m.readPeer(ctx, req.Topics[i].TopicID, &req.Topics[i].Partitions[j]))
			}
		}
		return resp
	}
	m.pollBounds(ctx, req, resp, wait)
	return resp
}

func (m *Manager) addRead(resp *kmsg.FetchResponse, topic [16]byte, p kmsg.FetchResponseTopicPartition) {
	t := kmsg.NewFetchResponseTopic()
	t.TopicID, t.Partitions = topic, append(t.Partitions, p)
	resp.Topics = append(resp.Topics, t)
}

// readPeer reads from a partition, or tells its bounds, when they are those that the leader before has told.
func (m *Manager) readPeer(ctx context.Context, topic [16]byte, r *kmsg.FetchRequestTopicPartition) kmsg.FetchResponseTopicPartition {
	out := kmsg.NewFetchResponseTopicPartition()
	out.Partition, out.LastStableOffset = r.Partition, -1
	p, err := m.byID(topic, r.Partition)
	switch {
	case err == nil && r.PartitionMaxBytes == 0:
		var b Bounds
		if b, err = p.SettledBounds(ctx, r.CurrentLeaderEpoch); err == nil {
			p.tellBounds(&out, b)
		}
	case err == nil:
		err = p.fillRead(&out, r)
	}
	out.ErrorCode = ErrorCode(err)
	return out
}

// fillRead fills in the bounds, and the records if bytes are asked.
func (p *Partition) fillRead(out *kmsg.FetchResponseTopicPartition, r *kmsg.FetchRequestTopicPartition) error {
	if r.PartitionMaxBytes > 0 {
		f, err := p.Fetch(r.FetchOffset, int(r.PartitionMaxBytes), ReadCommitted, r.CurrentLeaderEpoch)
		p.tellBounds(out, Bounds{LogStart: f.LogStart, HighWatermark: f.HighWatermark, LastStable: f.LastStable, LeaderEpoch: f.LeaderEpoch})
		if err != nil {
			return err
		}
		defer f.Chunk.Release()
		out.RecordBatches, err = f.Chunk.AppendTo(nil)
		slices.SortFunc(f.Aborted, func(a, b record.AbortedTxn) int { return cmp.Compare(a.FirstOffset, b.FirstOffset) })
		for _, a := range f.Aborted {
			t := kmsg.NewFetchResponseTopicPartitionAbortedTransaction()
			t.ProducerID, t.FirstOffset = a.ProducerID, a.FirstOffset
			out.AbortedTransactions = append(out.AbortedTransactions, t)
		}
		return err
	}
	epoch, err := p.serves(r.CurrentLeaderEpoch)
	if err != nil {
		return err
	}
	stable := p.lso.Load() // before the high watermark, so that it is never above it
	p.tellBounds(out, Bounds{LogStart: p.log.LogStart(), HighWatermark: p.hw.Load(), LastStable: stable, LeaderEpoch: epoch})
	return nil
}

func (p *Partition) tellBounds(out *kmsg.FetchResponseTopicPartition, b Bounds) {
	out.CurrentLeader.LeaderID, out.CurrentLeader.LeaderEpoch = p.node, b.LeaderEpoch
	out.LogStartOffset, out.LastStableOffset, out.HighWatermark = b.LogStart, b.LastStable, b.HighWatermark
}

// pollBounds waits until a partition has gone beyond what the reader knows, or cannot be read, and tells of those; of none when the time is over.
func (m *Manager) pollBounds(ctx context.Context, req *kmsg.FetchRequest, resp *kmsg.FetchResponse, wait time.Duration) {
	wake := make(chan struct{}, 1)
	for i := range req.Topics {
		for j := range req.Topics[i].Partitions {
			if p, err := m.byID(req.Topics[i].TopicID, req.Topics[i].Partitions[j].Partition); err == nil {
				defer p.Subscribe(wake)()
			}
		}
	}
	timer := m.opts.Clock.NewTimer(wait)
	defer timer.Stop()
	for {
		for i := range req.Topics {
			rt := &req.Topics[i]
			for j := range rt.Partitions {
				if p, news := m.progress(rt.TopicID, &rt.Partitions[j]); news {
					m.addRead(resp, rt.TopicID, p)
				}
			}
		}
		if len(resp.Topics) > 0 {
			return
		}
		select {
		case <-wake:
		case <-timer.C():
			return
		case <-ctx.Done():
			return
		}
	}
}

// progress tells a partition's bounds, and whether the reader does not know them.
func (m *Manager) progress(topic [16]byte, r *kmsg.FetchRequestTopicPartition) (out kmsg.FetchResponseTopicPartition, news bool) {
	out = kmsg.NewFetchResponseTopicPartition()
	out.Partition, out.LastStableOffset = r.Partition, -1
	ask := *r
	ask.PartitionMaxBytes = 0
	p, err := m.byID(topic, r.Partition)
	if err == nil {
		err = p.fillRead(&out, &ask)
	}
	out.ErrorCode = ErrorCode(err)
	return out, err != nil || out.LastStableOffset != r.FetchOffset || out.HighWatermark != r.HighWatermark
}
