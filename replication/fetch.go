package replication

import (
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millracedb/millrace/internal/record"
	"github.com/millracedb/millrace/log"
)

// Isolation says how far a reader may read.
type Isolation uint8

// The isolation levels. The first two have the numbers of Kafka's Fetch.
const (
	ReadUncommitted Isolation = 0 // to the high watermark
	ReadCommitted   Isolation = 1 // to the last stable offset
	ReadLogEnd      Isolation = 2 // everything written: a coordinator that loads its own log
)

// Fetched is the answer to a Fetch. Bounds are as they were before the read.
type Fetched struct {
	Chunk         log.Chunk // release it
	HighWatermark int64
	LastStable    int64
	LogStart      int64
	LeaderEpoch   int32
	// Aborted are the aborted transactions that overlap the chunk, and maybe some behind it; for ReadCommitted only.
	Aborted []record.AbortedTxn
}

// Fetch reads whole batches from the one that holds offset on: about maxBytes but at least one batch, nothing at the end. It never waits. current is the leader
// epoch that the reader knows, or -1.
//
// Errors: NOT_LEADER_OR_FOLLOWER, FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH, OFFSET_OUT_OF_RANGE, KAFKA_STORAGE_ERROR.
func (p *Partition) Fetch(offset int64, maxBytes int, iso Isolation, current int32) (Fetched, error) {
	epoch, err := p.serves(current)
	if err != nil {
		return Fetched{}, err
	}
	f := Fetched{LeaderEpoch: epoch, LogStart: p.log.LogStart()}
	f.LastStable = p.lso.Load() // before the high watermark, so that it is never above it
	f.HighWatermark = p.hw.Load()
	chunk, err := p.log.Read(offset, maxBytes, p.limit(iso, &f))
	if err != nil {
		return f, err
	}
	f.Chunk = chunk
	if iso == ReadCommitted && chunk.Len() > 0 {
		if f.Aborted, err = p.log.AbortedTransactions(offset, f.LastStable); err != nil {
			chunk.Release()
			return Fetched{}, err
		}
	}
	return f, nil
}

func (p *Partition) limit(iso Isolation, f *Fetched) int64 {
	switch iso {
	case ReadCommitted:
		return f.LastStable
	case ReadLogEnd:
		return p.log.LEO()
	default:
		return f.HighWatermark
	}
}

// Timestamps with a meaning of their own in ListOffsets, as in Kafka's protocol.
const (
	LatestOffset   int64 = -1
	EarliestOffset int64 = -2
	MaxTimestamp   int64 = -3
)

// ListOffsets finds the first readable record with at least the given timestamp (ms), or one of the offsets above. ok is false if there is none. The latest offset is
// OFFSET_NOT_AVAILABLE until this leader knows how far earlier ones had come.
func (p *Partition) ListOffsets(timestamp int64, iso Isolation, current int32) (t log.TimedOffset, ok bool, err error) {
	epoch, err := p.serves(current)
	if err != nil {
		return t, false, err
	}
	f := Fetched{LastStable: p.lso.Load(), HighWatermark: p.hw.Load()}
	limit := p.limit(iso, &f)
	at := func(offset int64) log.TimedOffset {
		t := log.TimedOffset{Offset: offset, Timestamp: -1, LeaderEpoch: p.log.EpochAt(offset)}
		if t.LeaderEpoch < 0 {
			t.LeaderEpoch = epoch // nothing is written there yet
		}
		return t
	}
	switch timestamp {
	case LatestOffset:
		if !p.settled() {
			return t, false, kerr.OffsetNotAvailable
		}
		return at(limit), true, nil
	case EarliestOffset:
		return at(p.log.LogStart()), true, nil
	case MaxTimestamp:
		t, ok, err = p.log.OffsetOfMaxTimestamp()
	default:
		if timestamp < 0 {
			return t, false, kerr.UnsupportedVersion
		}
		t, ok, err = p.log.OffsetForTime(timestamp)
	}
	return t, ok && t.Offset < limit, err
}

// settled reports whether everything that earlier leaders acknowledged is below the high watermark (KIP-207), and sees to it that it will be.
func (p *Partition) settled() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.leader == nil || p.mu.leader.HW() >= p.mu.leader.EpochStart() {
		return true
	}
	p.Flush(p.mu.leader.EpochStart())
	return false
}

// OffsetForLeaderEpoch returns the largest epoch at most epoch and where it ends (KIP-101, KIP-320); -1 and -1 if that is not known.
func (p *Partition) OffsetForLeaderEpoch(current, epoch int32) (int32, int64, error) {
	if _, err := p.serves(current); err != nil {
		return -1, -1, err
	}
	e, end := p.log.EndOffsetForEpoch(epoch)
	return e, end, nil
}

// DeleteRecords makes everything below offset unreadable, and returns the new log start. -1 stands for the high watermark; an offset above that is
// OFFSET_OUT_OF_RANGE.
func (p *Partition) DeleteRecords(offset int64) (int64, error) {
	if _, err := p.serves(-1); err != nil {
		return -1, err
	}
	hw := p.HighWatermark()
	if offset == -1 {
		offset = hw
	}
	if offset < 0 || offset > hw {
		return -1, kerr.OffsetOutOfRange
	}
	start, err := p.log.DeleteRecordsBefore(offset)
	if err != nil {
		return -1, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wakeLocked()
	return start, nil
}
