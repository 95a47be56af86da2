package locallog

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/coordinator"
	"github.com/millracedb/millrace/exec"
)

// What a worker asks of coordinators and leaders of topics that are not spread.

// atCoordinator sends a request to the coordinator that it is for, also if that is this node: an answer over the node port says that what it asked for is durable.
func (l *Log) atCoordinator(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	var at coordinator.TopicPartition
	switch r := req.(type) {
	case *kmsg.InitProducerIDRequest:
		if r.TransactionalID == nil {
			return l.broker.Request(ctx, req)
		}
		at = coordinator.TransactionPartition(*r.TransactionalID, l.partitions.PartitionCount)
	case *kmsg.EndTxnRequest:
		at = coordinator.TransactionPartition(r.TransactionalID, l.partitions.PartitionCount)
	case *kmsg.TxnOffsetCommitRequest:
		at = coordinator.OffsetsPartition(r.Group, l.partitions.PartitionCount)
	default:
		return nil, fmt.Errorf("%s is not sent to another node", kmsg.NameForKey(req.Key()))
	}
	node, err := l.coordinatorOf(at)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, produceTimeout)
	defer cancel()
	return l.peers.Call(ctx, node, req)
}

// coordinatorOf is the node that leads a partition of a coordinator's topic.
func (l *Log) coordinatorOf(at coordinator.TopicPartition) (int32, error) {
	place, err := l.peers.Place(at.Topic, at.Partition)
	if errors.Is(err, kerr.UnknownTopicOrPartition) {
		return 0, kerr.CoordinatorNotAvailable
	}
	return place.Node, err
}

// committedAway asks the group's coordinator for committed offsets once.
func (l *Log) committedAway(ctx context.Context, group string, tps []exec.TopicPartition) ([]exec.PartitionOffset, error) {
	node, err := l.coordinatorOf(coordinator.OffsetsPartition(group, l.partitions.PartitionCount))
	if err != nil {
		return nil, err
	}
	got, err := l.committed.ask(ctx, node, offsetsIn(group, tps))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", kerr.CoordinatorNotAvailable, err)
	}
	return committedIn(&got, tps)
}

// askCommitted asks a coordinator for the committed offsets of many groups.
func (l *Log) askCommitted(ctx context.Context, node int32, groups []kmsg.OffsetFetchRequestGroup) ([]kmsg.OffsetFetchResponseGroup, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	resp, err := l.peers.Call(ctx, node, offsetFetch(groups...))
	if err != nil {
		return nil, err
	}
	return resp.(*kmsg.OffsetFetchResponse).Groups, nil
}

// deleteAt has the leader elsewhere delete records.
func (l *Log) deleteAt(ctx context.Context, place Place, tp exec.TopicPartition, before int64) error {
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.Version = 2
	part := kmsg.NewDeleteRecordsRequestTopicPartition()
	part.Partition, part.Offset = tp.Partition, before
	topic := kmsg.NewDeleteRecordsRequestTopic()
	topic.Topic, topic.Partitions = tp.Topic, append(topic.Partitions, part)
	req.Topics = append(req.Topics, topic)
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	resp, err := l.peers.Call(ctx, place.Node, req)
	if err != nil {
		return err
	}
	for _, rt := range resp.(*kmsg.DeleteRecordsResponse).Topics {
		for _, rp := range rt.Partitions {
			return kerr.ErrorForCode(heard(rp.ErrorCode))
		}
	}
	return kerr.UnknownServerError
}
