package coordinator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/clock"
)

// Config is what a Broker needs. All fields but Peers, InternalPartitions, PartitionCount, Topics and Logger must be set.
type Config struct {
	Partitions Partitions
	// AllocateIDs takes a block of producer ids from the metadata quorum.
	AllocateIDs func(context.Context) (first, count int64, err error)
	// Topics is what exists now. Without it there are no groups of the consumer protocol.
	Topics func() TopicsView
	Clock  clock.Clock
	Logger *slog.Logger
	// Peers are the other nodes; nil for a node that will never have any.
	Peers Peers
	// InternalPartitions is how many partitions each of the coordinators' topics has at most, fixed when the cluster forms.
	InternalPartitions int32
	// PartitionCount is how many a topic has, 0 if it does not exist. Without it Kafka's two topics have InternalPartitions, and queries have none of their own.
	PartitionCount func(topic string) int32
}

// Broker answers Kafka's requests for this node's partitions and coordinators: the Kafka listener and the lanes of
// this process share it.
type Broker struct {
	*Transactions
	*Offsets
	partitions Partitions
	markers    *markers
}

// New makes a Broker that leads nothing yet: see Lead.
func New(cfg Config) *Broker {
	if cfg.InternalPartitions == 0 {
		cfg.InternalPartitions = DefaultInternalPartitions
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if n := cfg.InternalPartitions; cfg.PartitionCount == nil {
		cfg.PartitionCount = func(topic string) int32 {
			if topic == TransactionTopic || topic == OffsetsTopic {
				return n
			}
			return 0
		}
	}
	offsets := newOffsets(cfg)
	m := &markers{partitions: cfg.Partitions, peers: cfg.Peers, offsets: offsets, clock: cfg.Clock, log: cfg.Logger}
	txns := newTransactions(cfg, m)
	offsets.txns = txns
	return &Broker{Transactions: txns, Offsets: offsets, partitions: cfg.Partitions, markers: m}
}

// Close stops all work and waits for it. Transactions that are decided but not finished are finished by the next leader.
func (b *Broker) Close() error {
	b.Transactions.close()
	b.Offsets.close()
	return nil
}

// Lead loads the given partitions of the coordinators' topics, which this node has come to lead, and then serves them: what was decided is finished in the background. An error is about some of
// them; the others serve, and Lead can be called again for those.
//
// Transactions that a crash made the coordinator forget (see the package comment) are aborted first.
func (b *Broker) Lead(ctx context.Context, tps []TopicPartition) error {
	open := b.partitions.OpenTransactions() // before anything serves, so none can begin unseen
	errs := make([]error, len(tps))
	leases := make([]*lease, len(tps))
	var wg sync.WaitGroup
	for i, tp := range tps {
		wg.Go(func() {
			if keepsTransactions(tp.Topic) {
				leases[i], errs[i] = b.Transactions.load(ctx, tp)
			} else {
				errs[i] = b.Offsets.load(ctx, tp)
			}
		})
	}
	wg.Wait()
	err := errors.Join(errs...)
	leases = slices.DeleteFunc(leases, func(l *lease) bool { return l == nil })
	b.abortOrphans(ctx, leases, open)
	for _, l := range leases {
		b.serve(l)
	}
	return err
}

// Resign gives up partitions that this node no longer leads.
func (b *Broker) Resign(tps []TopicPartition) {
	for _, tp := range tps {
		if keepsTransactions(tp.Topic) {
			b.Transactions.resign(tp)
		} else {
			b.Offsets.resign(tp)
		}
	}
}

// WriteTxnMarkers answers key 27.
func (b *Broker) WriteTxnMarkers(ctx context.Context, req *kmsg.WriteTxnMarkersRequest) *kmsg.WriteTxnMarkersResponse {
	return b.markers.WriteTxnMarkers(ctx, req)
}

// Request answers a producer in this process, without encoding anything; inside a transaction it does not wait for the disk, as
// the exported methods do for producers elsewhere. A request of a kind that producers do not send is an error. The version in
// req counts: set it.
func (b *Broker) Request(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	switch r := req.(type) {
	case *kmsg.ProduceRequest:
		return b.produce(ctx, r, inProcess), nil
	case *kmsg.InitProducerIDRequest:
		return b.InitProducerID(ctx, r), nil
	case *kmsg.AddPartitionsToTxnRequest:
		return b.AddPartitionsToTxn(ctx, r), nil
	case *kmsg.AddOffsetsToTxnRequest:
		return b.AddOffsetsToTxn(ctx, r), nil
	case *kmsg.EndTxnRequest:
		return b.EndTxn(ctx, r), nil
	case *kmsg.WriteTxnMarkersRequest:
		return b.WriteTxnMarkers(ctx, r), nil
	case *kmsg.TxnOffsetCommitRequest:
		return b.txnOffsetCommit(ctx, r, inProcess), nil
	case *kmsg.OffsetCommitRequest:
		return b.OffsetCommit(ctx, r), nil
	case *kmsg.OffsetFetchRequest:
		return b.OffsetFetch(ctx, r), nil
	}
	return nil, fmt.Errorf("%s is not served in process", kmsg.NameForKey(req.Key()))
}
