// Package kafkalog is exec.Log over Kafka's protocol: the topics, groups and transactions of a cluster that is not this
// process, be it Apache Kafka or anything that speaks like it. Connections and the search for coordinators are franz-go's
// kgo; requests are raw kmsg, for the batches come and go as bytes.
//
//   - transport.go carries the requests of lanes and appends (package exec/lane) to the leaders and coordinators
//   - topics.go    remembers leaders and asks again when one has moved
//   - watch.go     long polls, by which package exec/logwatch tells subscribers of progress
//
// # Life cycle
//
// Open asks the cluster what it finalised (transactions as of KIP-890 or before) and fixes the versions of requests by that. Close
// ends the watcher and the connections. Lanes must not be used after it.
package kafkalog

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/exec/lane"
	"github.com/millracedb/millrace/exec/logwatch"
	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/record"
)

const (
	// readCommitted is Fetch's and ListOffsets' isolation level.
	readCommitted, readUncommitted int8 = 1, 0
	// Special timestamps of ListOffsets.
	latest, earliest int64 = -1, -2
	// stablePause is the time between two looks at offsets that an open transaction touches.
	stablePause = 5 * time.Millisecond
	// deleteTimeout is how long brokers may take over DeleteRecords.
	deleteTimeout = 30 * time.Second
)

// Options say where the cluster is.
type Options struct {
	// Seeds are addresses, host:port, of some brokers.
	Seeds []string
	// Client are further options of the connections, such as TLS and SASL.
	Client []kgo.Opt
	Clock  clock.Clock
	Logger *slog.Logger
}

// Log is a foreign cluster as an exec.Log.
type Log struct {
	client     *kgo.Client
	pollClient *kgo.Client // long polls would hold up the reads on a connection they share
	clock      clock.Clock
	log        *slog.Logger
	version    int16 // of transactions
	topics     topicCache
	appender   *lane.Appender
	watch      *logwatch.Watcher

	cancel context.CancelFunc
	wg     sync.WaitGroup
}

var _ exec.Log = (*Log)(nil)

// Open connects to a cluster.
func Open(ctx context.Context, opts Options) (*Log, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	version, err := transactionVersion(ctx, opts)
	if err != nil {
		return nil, fmt.Errorf("kafka cluster at %v: %w", opts.Seeds, err)
	}
	l := &Log{clock: opts.Clock, log: opts.Logger, version: version}
	if l.client, err = newClient(opts, version); err != nil {
		return nil, err
	}
	if l.pollClient, err = newClient(opts, version); err != nil {
		l.client.Close()
		return nil, err
	}
	l.topics.log = l
	l.appender = lane.NewAppender(transport{l}, opts.Clock)
	l.watch = logwatch.New(polls{l}, opts.Clock)
	watchCtx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	l.wg.Go(func() { l.watch.Run(watchCtx) })
	return l, nil
}

// Close ends the connections and waits for the watcher.
func (l *Log) Close() error {
	l.cancel()
	l.pollClient.Close()
	l.client.Close()
	l.wg.Wait()
	return nil
}

// maxVersions caps the requests: topics go by name (later versions of some know only ids), and transactions as the cluster has them.
func maxVersions(txnVersion int16) *kversion.Versions {
	v := kversion.Stable()
	v.SetMaxKeyVersion(int16(kmsg.Produce), 12)
	v.SetMaxKeyVersion(int16(kmsg.Fetch), 12)
	v.SetMaxKeyVersion(int16(kmsg.OffsetFetch), 9)
	v.SetMaxKeyVersion(int16(kmsg.TxnOffsetCommit), 5)
	v.SetMaxKeyVersion(int16(kmsg.AddPartitionsToTxn), 3)
	if txnVersion < 2 {
		v.SetMaxKeyVersion(int16(kmsg.Produce), 11)
		v.SetMaxKeyVersion(int16(kmsg.TxnOffsetCommit), 4)
		v.SetMaxKeyVersion(int16(kmsg.EndTxn), 4)
	}
	return v
}

func newClient(opts Options, txnVersion int16) (*kgo.Client, error) {
	all := append([]kgo.Opt{kgo.SeedBrokers(opts.Seeds...), kgo.MaxVersions(maxVersions(txnVersion))}, opts.Client...)
	return kgo.NewClient(all...)
}

// transactionVersion asks for the finalised feature transaction.version.
func transactionVersion(ctx context.Context, opts Options) (int16, error) {
	probe, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(opts.Seeds...)}, opts.Client...)...)
	if err != nil {
		return 0, err
	}
	defer probe.Close()
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = "millrace", "0"
	resp, err := req.RequestWith(ctx, probe)
	if err != nil {
		return 0, err
	}
	for _, f := range resp.FinalizedFeatures {
		if f.Name == "transaction.version" {
			return f.MaxVersionLevel, nil
		}
	}
	return 0, nil
}

// PartitionCount implements exec.Log. It asks the cluster each time.
func (l *Log) PartitionCount(ctx context.Context, topic string) (int32, error) {
	t, err := l.topics.refresh(ctx, topic)
	if err != nil {
		return 0, err
	}
	return int32(len(t.parts)), nil
}

// Fetch implements exec.Log.
func (l *Log) Fetch(ctx context.Context, tp exec.TopicPartition, offset int64, maxBytes int) (exec.Fetched, error) {
	var out exec.Fetched
	err := l.topics.atLeader(ctx, tp, func(leader leadership) error {
		resp, err := fetch(ctx, l.client, leader.broker, readRequest(maxBytes, position{tp, offset}))
		if err != nil {
			return err
		}
		p := partitionOf(resp, tp)
		if p == nil {
			return kerr.UnknownServerError
		}
		if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
			return err
		}
		out = exec.Fetched{
			Batches: wholeBatches(p.RecordBatches),
			Offsets: exec.Offsets{
				LogStart: p.LogStartOffset, HighWatermark: p.HighWatermark, LastStable: p.LastStableOffset, LeaderEpoch: leader.epoch,
			},
			Release: func() {},
		}
		for _, a := range p.AbortedTransactions {
			out.Aborted = append(out.Aborted, exec.AbortedTxn{ProducerID: a.ProducerID, FirstOffset: a.FirstOffset})
		}
		return nil
	})
	return out, err
}

// wholeBatches cuts off a batch that the broker sent only the beginning of.
func wholeBatches(b []byte) []byte {
	for n := 0; ; {
		_, frame, _, err := record.Next(b[n:])
		if err != nil || len(frame) == 0 {
			return b[:n:n]
		}
		n += len(frame)
		if n == len(b) {
			return b
		}
	}
}

// Offsets implements exec.Log.
func (l *Log) Offsets(ctx context.Context, tp exec.TopicPartition) (exec.Offsets, error) {
	var out exec.Offsets
	err := l.topics.atLeader(ctx, tp, func(leader leadership) error {
		out.LeaderEpoch = leader.epoch
		for _, ask := range []struct {
			to        *int64
			timestamp int64
			isolation int8
		}{
			// The last stable offset first: it may rise meanwhile, but never above a high watermark that is read later.
			{&out.LastStable, latest, readCommitted},
			{&out.HighWatermark, latest, readUncommitted},
			{&out.LogStart, earliest, readUncommitted},
		} {
			offset, err := l.listOffset(ctx, leader, tp, ask.timestamp, ask.isolation)
			if err != nil {
				return err
			}
			*ask.to = offset
		}
		return nil
	})
	return out, err
}

func (l *Log) listOffset(ctx context.Context, leader leadership, tp exec.TopicPartition, timestamp int64, isolation int8) (int64, error) {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID, req.IsolationLevel = -1, isolation
	part := kmsg.NewListOffsetsRequestTopicPartition()
	part.Partition, part.Timestamp, part.CurrentLeaderEpoch = tp.Partition, timestamp, -1
	topic := kmsg.NewListOffsetsRequestTopic()
	topic.Topic, topic.Partitions = tp.Topic, append(topic.Partitions, part)
	req.Topics = append(req.Topics, topic)
	resp, err := l.client.Broker(int(leader.broker)).RetriableRequest(ctx, req)
	if err != nil {
		return 0, err
	}
	for _, rt := range resp.(*kmsg.ListOffsetsResponse).Topics {
		for _, rp := range rt.Partitions {
			return rp.Offset, kerr.ErrorForCode(rp.ErrorCode)
		}
	}
	return 0, kerr.UnknownServerError
}

// Append implements exec.Log.
func (l *Log) Append(ctx context.Context, batches []exec.PartitionBatch) ([]exec.Appended, error) {
	return l.appender.Append(ctx, batches)
}

// OpenLane implements exec.Log.
func (l *Log) OpenLane(ctx context.Context, transactionalID string) (exec.Lane, error) {
	return lane.Open(ctx, lane.Options{Transport: transport{l}, Clock: l.clock, TransactionalID: transactionalID})
}

// Transport is the way to the cluster's leaders and coordinators, for producers that are not lanes.
func (l *Log) Transport() lane.Transport { return transport{l} }

// Committed implements exec.Log.
func (l *Log) Committed(ctx context.Context, group string, tps []exec.TopicPartition) ([]exec.PartitionOffset, error) {
	for {
		offsets, err := l.committedOnce(ctx, group, tps)
		if kerr.IsRetriable(err) {
			if !clock.Wait(ctx, l.clock, stablePause) {
				return nil, ctx.Err()
			}
			continue
		}
		if err != nil {
			return nil, lane.Explain(err)
		}
		return offsets, nil
	}
}

func (l *Log) committedOnce(ctx context.Context, group string, tps []exec.TopicPartition) ([]exec.PartitionOffset, error) {
	req := kmsg.NewPtrOffsetFetchRequest()
	req.RequireStable = true
	rg := kmsg.NewOffsetFetchRequestGroup()
	rg.Group = group
	rg.Topics = []kmsg.OffsetFetchRequestGroupTopic{}
	for _, tp := range tps {
		topic := kmsg.NewOffsetFetchRequestGroupTopic()
		topic.Topic, topic.Partitions = tp.Topic, []int32{tp.Partition}
		rg.Topics = append(rg.Topics, topic)
	}
	req.Groups = append(req.Groups, rg)
	resp, err := req.RequestWith(ctx, l.client)
	if err != nil {
		return nil, err
	}
	found := make(map[exec.TopicPartition]exec.PartitionOffset, len(tps))
	for _, g := range resp.Groups {
		if g.ErrorCode == kerr.GroupIDNotFound.Code {
			continue // it has committed nothing
		}
		if err := kerr.ErrorForCode(g.ErrorCode); err != nil {
			return nil, err
		}
		for _, rt := range g.Topics {
			for _, rp := range rt.Partitions {
				if err := kerr.ErrorForCode(rp.ErrorCode); err != nil {
					return nil, err
				}
				tp := exec.TopicPartition{Topic: rt.Topic, Partition: rp.Partition}
				found[tp] = exec.PartitionOffset{TopicPartition: tp, Offset: rp.Offset, Metadata: text(rp.Metadata)}
			}
		}
	}
	offsets := make([]exec.PartitionOffset, len(tps))
	for i, tp := range tps {
		o, ok := found[tp]
		if !ok {
			o = exec.PartitionOffset{TopicPartition: tp, Offset: -1}
		}
		offsets[i] = o
	}
	return offsets, nil
}

// text is a string of the protocol that may be null.
func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// DeleteRecords implements exec.Log.
func (l *Log) DeleteRecords(ctx context.Context, tp exec.TopicPartition, before int64) error {
	return l.topics.atLeader(ctx, tp, func(leader leadership) error {
		req := kmsg.NewPtrDeleteRecordsRequest()
		req.TimeoutMillis = int32(deleteTimeout.Milliseconds())
		part := kmsg.NewDeleteRecordsRequestTopicPartition()
		part.Partition, part.Offset = tp.Partition, before
		topic := kmsg.NewDeleteRecordsRequestTopic()
		topic.Topic, topic.Partitions = tp.Topic, append(topic.Partitions, part)
		req.Topics = append(req.Topics, topic)
		resp, err := l.client.Broker(int(leader.broker)).RetriableRequest(ctx, req)
		if err != nil {
			return err
		}
		for _, rt := range resp.(*kmsg.DeleteRecordsResponse).Topics {
			for _, rp := range rt.Partitions {
				return kerr.ErrorForCode(rp.ErrorCode)
			}
		}
		return kerr.UnknownServerError
	})
}
