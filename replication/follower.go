package replication

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/record"
	"github.com/millracedb/millrace/log"
	"github.com/millracedb/millrace/replication/core"
)

// The follower's side of replication, for one partition. Where its log parts from the leader's is found by leader epochs, never by the high watermark (KIP-101).

// position is where a follower is when it asks. What the leader answers counts only while it is still there.
type position struct {
	p      *Partition
	epoch  int32 // of the leadership that is followed
	offset int64 // the log's end, durable
	record int32 // partition epoch of the newest record known
	last   int32 // epoch of its last batch, -1 if there is none
	hold   bool  // it asks for no records now, for its catching up is throttled
}

// position returns where to go on following the given leader; ok is false if this replica does not, or its log takes nothing or is damaged.
func (p *Partition) position(leader int32) (pos position, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.leader != nil || p.mu.follows != leader || p.mu.offline != nil || p.log.Failure() != nil || p.log.Damage() != nil {
		return pos, false
	}
	return position{p, p.mu.followEpoch, p.log.LEO(), p.mu.record, p.log.LatestEpoch(), false}, true
}

// request is the position as a part of a Fetch. Its ReplicaDirectoryID, of which nodes have but one, has the record that this replica knows (see recordOf).
func (pos *position) request() kmsg.FetchRequestTopicPartition {
	r := kmsg.NewFetchRequestTopicPartition()
	r.Partition, r.CurrentLeaderEpoch, r.FetchOffset = pos.p.id, pos.epoch, pos.offset
	r.LastFetchedEpoch, r.LogStartOffset, r.HighWatermark = pos.last, pos.p.log.LogStart(), pos.p.HighWatermark()
	if !pos.hold {
		r.PartitionMaxBytes = fetchPartitionBytes
	}
	binary.BigEndian.PutUint32(r.ReplicaDirectoryID[:], uint32(pos.record)+1)
	return r
}

// served notes that the leader of an epoch has answered this replica: it has taken up its leadership.
func (p *Partition) served(epoch int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.servedEpoch = max(p.mu.servedEpoch, epoch)
	p.wakeLocked()
}

// AwaitLeader waits until the leader that this replica follows is known to have taken up its leadership, or ctx ends. Who is sent there before is turned away.
func (p *Partition) AwaitLeader(ctx context.Context) {
	wake := make(chan struct{}, 1)
	defer p.Subscribe(wake)()
	for p.awaitsLeader() {
		select {
		case <-wake:
		case <-ctx.Done():
			return
		}
	}
}

func (p *Partition) awaitsLeader() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.followsLocked() && p.mu.servedEpoch < p.mu.followEpoch
}

// catchesUp reports whether this replica is behind those that acknowledgements wait for.
func (p *Partition) catchesUp() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.mu.inSync
}

// recordOf is the partition epoch of the newest record that the replica knows that sent r; -1 if it does not say: its release is an older one.
func recordOf(r *kmsg.FetchRequestTopicPartition) int32 {
	return int32(binary.BigEndian.Uint32(r.ReplicaDirectoryID[:])) - 1
}

// take acts on the leader's answer: it appends, cuts its log where it parts from the leader's, or begins anew. It is followed by finish once what was appended is durable.
// An error is a reason to pause before the next fetch.
func (pos *position) take(r *kmsg.FetchResponseTopicPartition) error {
	p := pos.p
	p.lead.RLock()
	defer p.lead.RUnlock()
	if now, ok := p.position(pos.leader()); !ok || now.epoch != pos.epoch || now.offset != pos.offset {
		return nil // the leadership moved while the answer was on its way
	}
	switch err := kerr.ErrorForCode(r.ErrorCode); {
	case errors.Is(err, kerr.OffsetOutOfRange):
		p.logger.Warn("replica has nothing in common with its leader and begins anew", "end", pos.offset, "leader_start", r.LogStartOffset)
		return p.restartAt(r.LogStartOffset)
	case err != nil:
		return err
	case r.DivergingEpoch.Epoch >= 0:
		return p.cut(core.EpochEnd{Epoch: r.DivergingEpoch.Epoch, End: r.DivergingEpoch.EndOffset})
	case len(r.RecordBatches) == 0:
		return nil
	}
	_, err := p.log.Append(r.RecordBatches, log.AppendInfo{Origin: log.Replica})
	return err
}

// beginsEpoch reports whether taking an answer makes a leader epoch durable that the log does not know yet.
func (pos *position) beginsEpoch(r *kmsg.FetchResponseTopicPartition) bool {
	if len(r.RecordBatches) == 0 {
		return false
	}
	h, err := record.ParseHeader(r.RecordBatches)
	return err == nil && h.LeaderEpoch > pos.p.log.LatestEpoch()
}

func (pos *position) leader() int32 {
	pos.p.mu.Lock()
	defer pos.p.mu.Unlock()
	if pos.p.mu.followEpoch != pos.epoch {
		return -1
	}
	return pos.p.mu.follows
}

// cut takes off what the leader does not have. leader is where the leader's log ends that epoch.
func (p *Partition) cut(leader core.EpochEnd) error {
	epoch, end := p.log.EndOffsetForEpoch(leader.Epoch)
	to, _ := core.TruncateTo(leader, core.EpochEnd{Epoch: epoch, End: end}, p.log.LEO())
	if to < p.log.LogStart() {
		return p.restartAt(to)
	}
	if end := p.log.LEO(); to < end {
		p.logger.Info("replica cuts its log to its leader's", "end", end, "to", to, "epoch", leader.Epoch)
	}
	leo, err := p.log.TruncateTo(to)
	p.lowerHW(leo)
	p.wake() // see Outlived
	return err
}

func (p *Partition) restartAt(offset int64) error {
	err := p.log.RestartAt(offset)
	p.hw.Store(offset)
	p.wake()
	return err
}

func (p *Partition) lowerHW(leo int64) {
	p.hw.Store(min(p.hw.Load(), leo))
}

// finish waits until what was appended is durable, and takes over the leader's high watermark and log start.
func (pos *position) finish(ctx context.Context, r *kmsg.FetchResponseTopicPartition) error {
	p := pos.p
	if r.ErrorCode != 0 || r.DivergingEpoch.Epoch >= 0 {
		return nil
	}
	end := p.log.LEO()
	if err := p.log.WaitDurable(ctx, end); err != nil {
		return err
	}
	p.lead.RLock()
	defer p.lead.RUnlock()
	if now, ok := p.position(pos.leader()); !ok || now.epoch != pos.epoch {
		return nil
	}
	hw := core.FollowerHW(p.hw.Load(), r.HighWatermark, p.log.DurableEnd())
	p.log.SetHighWatermark(hw)
	if p.hw.Swap(hw) != hw {
		p.wake()
	}
	if start := min(r.LogStartOffset, hw); start > p.log.LogStart() {
		if _, err := p.log.DeleteRecordsBefore(start); err != nil {
			return err
		}
	}
	return nil
}
