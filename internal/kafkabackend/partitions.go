package kafkabackend

import (
	"bytes"
	"context"

	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/kafka"
	"github.com/millracedb/millrace/log"
	"github.com/millracedb/millrace/replication"
)

// Partitions are this node's partitions as the listener wants them.
type Partitions struct{ Manager *replication.Manager }

// Partition implements kafka.Partitions.
func (p Partitions) Partition(topic string, id int32) (kafka.Partition, error) {
	part, err := p.Manager.Partition(topic, id)
	if err != nil {
		return nil, err
	}
	return partition{part}, nil
}

// AwaitLeader implements kafka.Partitions. A node without a replica knows nothing more.
func (p Partitions) AwaitLeader(ctx context.Context, topic string, id int32) {
	if part, err := p.Manager.Partition(topic, id); err == nil {
		part.AwaitLeader(ctx)
	}
}

type partition struct{ *replication.Partition }

func isolation(committed bool) replication.Isolation {
	if committed {
		return replication.ReadCommitted
	}
	return replication.ReadUncommitted
}

func (p partition) Fetch(offset int64, maxBytes int, committed bool, current int32) (kafka.Fetched, error) {
	f, err := p.Partition.Fetch(offset, maxBytes, isolation(committed), current)
	out := kafka.Fetched{HighWatermark: f.HighWatermark, LastStable: f.LastStable, LogStart: f.LogStart, Aborted: f.Aborted}
	if err == nil && f.Chunk.Len() > 0 {
		out.Records = &records{f.Chunk}
	} else if err == nil {
		f.Chunk.Release()
	}
	return out, err
}

// records is a chunk of the log.
type records struct{ log.Chunk }

// FileRange implements kafka.Records.
func (r *records) FileRange() (fd uintptr, pos int64, ok bool) {
	f, pos, ok := r.File()
	if !ok {
		return 0, 0, false
	}
	fd, ok = fsys.Fd(f)
	return fd, pos, ok
}

// ReadAt implements kafka.Records.
func (r *records) ReadAt(p []byte, off int64) (int, error) {
	f, pos, ok := r.File()
	if !ok {
		return bytes.NewReader(r.Data()).ReadAt(p, off)
	}
	return f.ReadAt(p, pos+off)
}

func (p partition) ListOffset(timestamp int64, committed bool, current int32) (kafka.TimedOffset, bool, error) {
	o, ok, err := p.ListOffsets(timestamp, isolation(committed), current)
	return kafka.TimedOffset{Offset: o.Offset, Timestamp: o.Timestamp, LeaderEpoch: o.LeaderEpoch}, ok, err
}

// Producers implements kafka.Partition.
func (p partition) Producers() []kafka.Producer {
	known := p.Partition.Producers()
	all := make([]kafka.Producer, len(known))
	for i, s := range known {
		all[i] = kafka.Producer{
			ID: s.ProducerID, Epoch: s.Epoch, LastSequence: s.LastSequence, LastTimestamp: s.LastTimestamp.UnixMilli(), CoordinatorEpoch: s.CoordinatorEpoch, TxnStart: s.TxnStart,
		}
	}
	return all
}
