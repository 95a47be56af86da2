package node

import (
	"context"
	"errors"

	"github.com/millracedb/millrace/coordinator"
	"github.com/millracedb/millrace/replication/metadata"
)

// Topics that the node itself needs, besides the coordinators'.
const (
	// TopicErrors is the dead-letter stream behind millrace.errors.
	TopicErrors = "_millrace_errors"
	// TopicNotify is the stream of notifications behind millrace.notify. It has one partition, so that they have one order.
	TopicNotify = "_millrace_notify"

	internalPartitions = 16
	queryPartitions    = 8
	errorPartitions    = 1
	notifyPartitions   = 1
)

// coordinatorTopics are made when the cluster forms, and never later: where a group or transactional id is kept must not change. A cluster that an older release has formed has Kafka's two alone, which
// the node with the queries leads.
var coordinatorTopics = []metadata.TopicSpec{
	{Name: coordinator.TransactionTopic, Partitions: internalPartitions, Owner: metadata.Owner{Kind: metadata.OwnerClients}},
	{Name: coordinator.OffsetsTopic, Partitions: internalPartitions, Owner: metadata.Owner{Kind: metadata.OwnerClients}},
	{Name: coordinator.QueryTransactionTopic, Partitions: queryPartitions, Owner: metadata.Owner{Kind: metadata.OwnerInternal}},
	{Name: coordinator.QueryOffsetsTopic, Partitions: queryPartitions, Owner: metadata.Owner{Kind: metadata.OwnerInternal}},
}

// internalTopics are made when they are not there. Errors are kept 7 days and 1 GiB, notifications, which nobody reads twice, for an hour and 256 MiB.
var internalTopics = []metadata.TopicSpec{
	{Name: TopicErrors, Partitions: errorPartitions, Configs: map[string]string{
		"cleanup.policy": "delete", "retention.ms": "604800000", "retention.bytes": "1073741824", "message.timestamp.type": "LogAppendTime",
	}},
	{Name: TopicNotify, Partitions: notifyPartitions, Configs: map[string]string{
		"cleanup.policy": "delete", "retention.ms": "3600000", "retention.bytes": "268435456", "segment.bytes": "16777216", "message.timestamp.type": "LogAppendTime",
	}},
}

// formTopics makes the internal topics that are not there yet.
func formTopics(ctx context.Context, store *metadata.Store) error {
	b := store.NewBatch()
	if _, formed := b.Image().Topic(coordinator.OffsetsTopic); !formed {
		for _, spec := range coordinatorTopics {
			spec.Configs = map[string]string{"cleanup.policy": "compact", "segment.bytes": "16777216"}
			b.CreateTopic(spec)
		}
	}
	for _, spec := range internalTopics {
		if _, ok := b.Image().Topic(spec.Name); !ok {
			spec.Owner = metadata.Owner{Kind: metadata.OwnerInternal}
			b.CreateTopic(spec)
		}
	}
	if b.Len() == 0 {
		return nil
	}
	if _, err := store.Apply(ctx, b); !errors.Is(err, metadata.ErrExists) {
		return err
	}
	return nil
}
