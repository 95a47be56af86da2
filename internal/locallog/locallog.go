// Package locallog is exec.Log on this process's own partitions: where the executor's interface meets replication and the
// coordinators. Nothing is encoded on the way: reads that the tail cache can serve share its memory, and lanes hand their requests to
// the coordinators as structs.
//
// A Log has no goroutines and nothing to close; the replication.Manager and the coordinator.Broker that it is given are run by
// the node. Debugging starts at Log.Fetch for reads and in package exec/lane for writes.
package locallog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/coordinator"
	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/exec/lane"
	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/log"
	"github.com/millracedb/millrace/replication"
)

// coordinatorPause is the time between two tries of a request that a coordinator does not serve yet.
const coordinatorPause = 5 * time.Millisecond

// Log is this process's partitions as an exec.Log.
type Log struct {
	partitions *replication.Manager
	broker     *coordinator.Broker
	clock      clock.Clock
}

var _ exec.Log = (*Log)(nil)

// New makes a Log.
func New(partitions *replication.Manager, broker *coordinator.Broker, c clock.Clock) *Log {
	return &Log{partitions: partitions, broker: broker, clock: c}
}

// transport hands requests to the coordinators of this process.
type transport struct{ *coordinator.Broker }

func (transport) TransactionVersion() int16 { return 2 }

// Transport is the way to this process's leaders and coordinators, for producers that are not lanes.
func (l *Log) Transport() lane.Transport { return transport{l.broker} }

func (l *Log) partition(tp exec.TopicPartition) (*replication.Partition, error) {
	p, err := l.partitions.Partition(tp.Topic, tp.Partition)
	if err != nil {
		return nil, lane.Explain(err)
	}
	return p, nil
}

// PartitionCount implements exec.Log.
func (l *Log) PartitionCount(_ context.Context, topic string) (int32, error) {
	if n := l.partitions.PartitionCount(topic); n > 0 {
		return n, nil
	}
	return 0, lane.Explain(kerr.UnknownTopicOrPartition)
}

// Fetch implements exec.Log.
func (l *Log) Fetch(_ context.Context, tp exec.TopicPartition, offset int64, maxBytes int) (exec.Fetched, error) {
	p, err := l.partition(tp)
	if err != nil {
		return exec.Fetched{}, err
	}
	f, err := p.Fetch(offset, maxBytes, replication.ReadCommitted, -1)
	if err != nil {
		return exec.Fetched{}, lane.Explain(err)
	}
	out := exec.Fetched{Offsets: exec.Offsets{
		LogStart: f.LogStart, HighWatermark: f.HighWatermark, LastStable: f.LastStable, LeaderEpoch: f.LeaderEpoch,
	}}
	if out.Batches, out.Release, err = bytesOf(&f.Chunk); err != nil {
		return exec.Fetched{}, lane.Explain(err)
	}
	for _, a := range f.Aborted {
		out.Aborted = append(out.Aborted, exec.AbortedTxn(a))
	}
	slices.SortFunc(out.Aborted, func(a, b exec.AbortedTxn) int { return int(a.FirstOffset - b.FirstOffset) })
	return out, nil
}

// buffers are for what comes from a file.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

func nothing() {}

// bytesOf takes the bytes out of a chunk and releases it: without a copy when the tail cache has them.
func bytesOf(c *log.Chunk) (data []byte, release func(), err error) {
	defer c.Release()
	if c.Len() == 0 {
		return nil, nothing, nil
	}
	if data := c.Data(); data != nil {
		return data, nothing, nil
	}
	buf := buffers.Get().(*[]byte)
	data, err = c.AppendTo((*buf)[:0])
	*buf = data
	if err != nil {
		buffers.Put(buf)
		return nil, nil, err
	}
	return data, func() { buffers.Put(buf) }, nil
}

// Offsets implements exec.Log.
func (l *Log) Offsets(_ context.Context, tp exec.TopicPartition) (exec.Offsets, error) {
	p, err := l.partition(tp)
	if err != nil {
		return exec.Offsets{}, err
	}
	if !p.Leads() {
		return exec.Offsets{}, lane.Explain(kerr.NotLeaderForPartition)
	}
	stable := p.LastStableOffset() // before the high watermark, so that it is never above
	return exec.Offsets{
		LogStart: p.LogStart(), HighWatermark: p.HighWatermark(), LastStable: stable, LeaderEpoch: p.LeaderEpoch(),
	}, nil
}

// Subscribe implements exec.Log.
func (l *Log) Subscribe(tp exec.TopicPartition, wake chan<- struct{}) (cancel func(), err error) {
	p, err := l.partition(tp)
	if err != nil {
		return nil, err
	}
	return p.Subscribe(wake), nil
}

// Append implements exec.Log. All batches are written before the first sync is asked for, so that a partition syncs once.
func (l *Log) Append(ctx context.Context, batches []exec.PartitionBatch) ([]exec.Appended, error) {
	parts := make([]*replication.Partition, len(batches))
	for i := range batches {
		p, err := l.partition(batches[i].TopicPartition)
		if err != nil {
			return nil, err
		}
		parts[i] = p
	}
	results := make([]replication.AppendResult, 0, len(batches))
	opts := replication.AppendOptions{Acks: replication.AcksAll, Origin: log.Client, NoSync: true}
	for i, p := range parts {
		r, err := p.AppendAsync(batches[i].Batch, opts)
		switch {
		case err != nil && i == 0:
			return nil, lane.Explain(err)
		case err != nil:
			return nil, unknown(err)
		}
		results = append(results, r)
	}
	for i, p := range parts {
		p.Flush(results[i].LastOffset + 1)
	}
	out := make([]exec.Appended, len(batches))
	for i, p := range parts {
		if err := p.WaitCommitted(ctx, results[i]); err != nil {
			return nil, unknown(err)
		}
		out[i] = exec.Appended{BaseOffset: results[i].BaseOffset, LeaderEpoch: results[i].LeaderEpoch}
	}
	return out, nil
}

// unknown is the error of an append of which something is written.
func unknown(err error) error { return fmt.Errorf("append: %w (%w)", exec.ErrUnknownOutcome, err) }

// OpenLane implements exec.Log.
func (l *Log) OpenLane(ctx context.Context, transactionalID string) (exec.Lane, error) {
	return lane.Open(ctx, lane.Options{Transport: l.Transport(), Clock: l.clock, TransactionalID: transactionalID})
}

// Committed implements exec.Log. While the group's coordinator is loading it waits.
func (l *Log) Committed(ctx context.Context, group string, tps []exec.TopicPartition) ([]int64, error) {
	for {
		offsets, err := l.committedOnce(ctx, group, tps)
		var ke *kerr.Error
		if err == nil || !errors.As(err, &ke) || !ke.Retriable {
			return offsets, err
		}
		timer := l.clock.NewTimer(coordinatorPause)
		select {
		case <-timer.C():
		case <-ctx.Done():
			timer.Stop()
			return nil, lane.Explain(err)
		}
	}
}

func (l *Log) committedOnce(ctx context.Context, group string, tps []exec.TopicPartition) ([]int64, error) {
	stable := make([]coordinator.TopicPartition, len(tps))
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Version, req.RequireStable = 9, true
	rg := kmsg.NewOffsetFetchRequestGroup()
	rg.Group, rg.Topics = group, make([]kmsg.OffsetFetchRequestGroupTopic, len(tps))
	for i, tp := range tps {
		stable[i] = coordinator.TopicPartition(tp)
		rg.Topics[i] = kmsg.OffsetFetchRequestGroupTopic{Topic: tp.Topic, Partitions: []int32{tp.Partition}}
	}
	req.Groups = append(req.Groups, rg)
	if err := l.broker.AwaitStable(ctx, group, stable); err != nil {
		return nil, err
	}
	got := l.broker.OffsetFetch(ctx, req).Groups[0]
	if err := kerr.ErrorForCode(got.ErrorCode); err != nil {
		return nil, err
	}
	offsets := make([]int64, len(tps))
	for i := range tps {
		part := &got.Topics[i].Partitions[0]
		if err := kerr.ErrorForCode(part.ErrorCode); err != nil { // unstable again
			return nil, err
		}
		offsets[i] = part.Offset
	}
	return offsets, nil
}

// DeleteRecords implements exec.Log.
func (l *Log) DeleteRecords(_ context.Context, tp exec.TopicPartition, before int64) error {
	p, err := l.partition(tp)
	if err != nil {
		return err
	}
	if _, err := p.DeleteRecords(before); err != nil {
		return lane.Explain(err)
	}
	return nil
}
