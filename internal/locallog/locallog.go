package locallog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/coordinator"
	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/exec/lane"
	"github.com/millracedb/millrace/exec/logwatch"
	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/log"
	"github.com/millracedb/millrace/replication"
)

// coordinatorPause is the time between two tries of a request that a coordinator does not serve yet.
const coordinatorPause = 5 * time.Millisecond

// Log is the cluster's partitions as an exec.Log.
type Log struct {
	partitions *replication.Manager
	broker     *coordinator.Broker
	clock      clock.Clock

	// Of a node that may have peers.
	peers     Peers // nil for one that is alone
	anywhere  bool  // see NewWorker
	watch     *logwatch.Watcher
	subs      subscriptions
	bounds    *gather[boundsOf, kmsg.FetchResponseTopicPartition]
	committed *gather[kmsg.OffsetFetchRequestGroup, kmsg.OffsetFetchResponseGroup]
	reads     slots
	appenders [appenders]*lane.Appender
	next      atomic.Uint32 // appender
	cancel    context.CancelFunc
	wg        sync.WaitGroup
}

var _ exec.Log = (*Log)(nil)

// New makes a Log; peers is nil for a node that is alone for ever.
func New(partitions *replication.Manager, broker *coordinator.Broker, c clock.Clock, peers Peers) *Log {
	l := &Log{partitions: partitions, broker: broker, clock: c, peers: peers}
	if peers != nil {
		l.begin()
	}
	return l
}

// NewWorker makes a Log for tasks on a node that does not coordinate: it reads and, in lanes, writes every partition where it is led, and asks the coordinators where they are. The claims
// that go with offsets keep a task from committing that has lost its partition.
func NewWorker(partitions *replication.Manager, broker *coordinator.Broker, c clock.Clock, peers Peers) *Log {
	l := &Log{partitions: partitions, broker: broker, clock: c, peers: peers, anywhere: true}
	l.begin()
	return l
}

// begin starts what is for a node that may have peers.
func (l *Log) begin() {
	for i := range l.appenders {
		l.appenders[i] = lane.NewAppender(l.Transport(), l.clock)
	}
	l.bounds, l.committed = newGather(l.askBounds), newGather(l.askCommitted)
	l.watch = logwatch.New(polls{l}, l.clock)
	var ctx context.Context
	ctx, l.cancel = context.WithCancel(context.Background())
	l.wg.Go(func() { l.watch.Run(ctx) })
}

// Close ends what is under way at other nodes, and waits.
func (l *Log) Close() {
	if l.cancel != nil {
		l.cancel()
		l.bounds.close()
		l.committed.close()
		l.wg.Wait()
	}
}

// Transport is the way to leaders and this process's coordinators, for producers that are not lanes.
func (l *Log) Transport() lane.Transport { return transport{l} }

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
func (l *Log) Fetch(ctx context.Context, tp exec.TopicPartition, offset int64, maxBytes int) (out exec.Fetched, err error) {
	err = l.atLeader(ctx, tp, func(p *replication.Partition) error {
		out, err = fetchHere(p, offset, maxBytes)
		return err
	}, func(place Place) error {
		got, err := l.readAt(ctx, place, tp.Partition, offset, int32(min(max(maxBytes, 1), maxPeerRead)))
		if err == nil {
			out = fetchedOf(got)
		}
		return err
	})
	return out, err
}

// fetchHere reads from a partition of this process.
func fetchHere(p *replication.Partition, offset int64, maxBytes int) (exec.Fetched, error) {
	f, err := p.Fetch(offset, maxBytes, replication.ReadCommitted, -1)
	if err != nil {
		return exec.Fetched{}, err
	}
	out := exec.Fetched{Offsets: exec.Offsets{
		LogStart: f.LogStart, HighWatermark: f.HighWatermark, LastStable: f.LastStable, LeaderEpoch: f.LeaderEpoch,
	}}
	if out.Batches, out.Release, err = bytesOf(&f.Chunk); err != nil {
		return exec.Fetched{}, err
	}
	for _, a := range f.Aborted {
		out.Aborted = append(out.Aborted, exec.AbortedTxn(a))
	}
	slices.SortFunc(out.Aborted, func(a, b exec.AbortedTxn) int { return cmp.Compare(a.FirstOffset, b.FirstOffset) })
	return out, nil
}

// maxPeerRead bounds what is read from another node at a time, in bytes.
const maxPeerRead = 8 << 20

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

// Offsets implements exec.Log. A leader that does not know yet how far the ones before it had come is waited for.
func (l *Log) Offsets(ctx context.Context, tp exec.TopicPartition) (out exec.Offsets, err error) {
	err = l.atLeader(ctx, tp, func(p *replication.Partition) error {
		b, err := p.SettledBounds(ctx, -1)
		out = exec.Offsets(b)
		return err
	}, func(place Place) error {
		out, err = l.boundsAt(ctx, place, tp.Partition)
		return err
	})
	return out, err
}

// Append implements exec.Log.
func (l *Log) Append(ctx context.Context, batches []exec.PartitionBatch) ([]exec.Appended, error) {
	if l.peers == nil {
		return l.appendHere(ctx, batches)
	}
	for i := range batches {
		if l.leaderOf(batches[i].TopicPartition) != ownPart {
			return l.appenders[l.next.Add(1)%appenders].Append(ctx, batches)
		}
	}
	return l.appendHere(ctx, batches)
}

// appendHere appends to partitions of this process. All batches are written before the first sync is asked for, so that a partition syncs once.
func (l *Log) appendHere(ctx context.Context, batches []exec.PartitionBatch) ([]exec.Appended, error) {
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

// Committed implements exec.Log. While the group's coordinator is loading, or moving, it waits.
func (l *Log) Committed(ctx context.Context, group string, tps []exec.TopicPartition) ([]exec.PartitionOffset, error) {
	for wait := coordinatorPause; ; wait = min(2*wait, maxLeaderPause) {
		offsets, err := l.committedOnce(ctx, group, tps)
		var ke *kerr.Error
		if err == nil || !errors.As(err, &ke) || !ke.Retriable {
			return offsets, err
		}
		if !l.anywhere {
			wait = coordinatorPause
		}
		if !clock.Wait(ctx, l.clock, wait) {
			return nil, lane.Explain(err)
		}
	}
}

func (l *Log) committedOnce(ctx context.Context, group string, tps []exec.TopicPartition) ([]exec.PartitionOffset, error) {
	if l.anywhere {
		return l.committedAway(ctx, group, tps)
	}
	stable := make([]coordinator.TopicPartition, len(tps))
	for i, tp := range tps {
		stable[i] = coordinator.TopicPartition(tp)
	}
	if err := l.broker.AwaitStable(ctx, group, stable); err != nil {
		return nil, err
	}
	return committedIn(&l.broker.OffsetFetch(ctx, offsetFetch(offsetsIn(group, tps))).Groups[0], tps)
}

func offsetFetch(groups ...kmsg.OffsetFetchRequestGroup) *kmsg.OffsetFetchRequest {
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Version, req.RequireStable, req.Groups = 9, true, groups
	return req
}

func offsetsIn(group string, tps []exec.TopicPartition) kmsg.OffsetFetchRequestGroup {
	rg := kmsg.NewOffsetFetchRequestGroup()
	rg.Group, rg.Topics = group, make([]kmsg.OffsetFetchRequestGroupTopic, len(tps))
	for i, tp := range tps {
		rg.Topics[i] = kmsg.OffsetFetchRequestGroupTopic{Topic: tp.Topic, Partitions: []int32{tp.Partition}}
	}
	return rg
}

// committedIn takes what was committed for tps out of an answer.
func committedIn(got *kmsg.OffsetFetchResponseGroup, tps []exec.TopicPartition) ([]exec.PartitionOffset, error) {
	if err := kerr.ErrorForCode(got.ErrorCode); err != nil {
		return nil, err
	}
	offsets := make([]exec.PartitionOffset, len(tps))
	for i, tp := range tps {
		if i >= len(got.Topics) || len(got.Topics[i].Partitions) != 1 {
			return nil, kerr.UnknownServerError
		}
		part := &got.Topics[i].Partitions[0]
		if err := kerr.ErrorForCode(part.ErrorCode); err != nil { // unstable again
			return nil, err
		}
		offsets[i] = exec.PartitionOffset{TopicPartition: tp, Offset: part.Offset}
		if part.Metadata != nil {
			offsets[i].Metadata = *part.Metadata
		}
	}
	return offsets, nil
}

// DeleteRecords implements exec.Log.
func (l *Log) DeleteRecords(ctx context.Context, tp exec.TopicPartition, before int64) error {
	return l.atLeader(ctx, tp, func(p *replication.Partition) error {
		_, err := p.DeleteRecords(before)
		return err
	}, func(place Place) error {
		return l.deleteAt(ctx, place, tp, before)
	})
}
