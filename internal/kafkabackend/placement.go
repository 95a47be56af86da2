package kafkabackend

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millracedb/millrace/kafka"
	"github.com/millracedb/millrace/replication/controller"
	"github.com/millracedb/millrace/replication/metadata"
)

// maxPlaced bounds the partitions that one entry changes, so that it stays below metadata.MaxEntryBytes.
const maxPlaced = 2048

// Reassign implements kafka.Cluster.
func (c *Cluster) Reassign(ctx context.Context, moves []kafka.Move) []error {
	return c.place(ctx, len(moves), func(i int) kafka.TopicPartition { return moves[i].TopicPartition }, func(b *metadata.Batch, i int, t *metadata.Topic, p metadata.Partition) error {
		m := &moves[i]
		var n metadata.Partition
		var newEpoch bool
		var err error
		if m.Replicas == nil {
			n, newEpoch, err = controller.CancelReassignment(b.Image(), t, p)
		} else {
			n, newEpoch, err = controller.Reassign(b.Image(), t, p, m.Replicas)
		}
		if have := len(p.Original()); err == nil && !m.Resize && m.Replicas != nil && len(m.Replicas) != have {
			err = fmt.Errorf("%w: %d replicas instead of %d, though the request allows no change of their number", kerr.InvalidReplicationFactor, len(m.Replicas), have)
		}
		if err == nil {
			b.ChangePartition(t.ID, p, n, newEpoch, nil)
		}
		return err
	})
}

// Elect implements kafka.Cluster.
func (c *Cluster) Elect(ctx context.Context, partitions []kafka.TopicPartition, unclean bool) []error {
	return c.place(ctx, len(partitions), func(i int) kafka.TopicPartition { return partitions[i] }, func(b *metadata.Batch, _ int, t *metadata.Topic, p metadata.Partition) error {
		n, err := controller.Elect(b.Image(), t, p, unclean)
		if err == nil {
			b.ChangePartition(t.ID, p, n, true, nil)
		}
		return err
	})
}

// place changes the records of n partitions, in entries of up to maxPlaced; change puts that of partition i into the batch or says why not. A partition that is named again is changed once.
func (c *Cluster) place(ctx context.Context, n int, name func(int) kafka.TopicPartition, change func(*metadata.Batch, int, *metadata.Topic, metadata.Partition) error) []error {
	errs := make([]error, n)
	for from := 0; from < n; from += maxPlaced {
		to := min(from+maxPlaced, n)
		err := c.apply(ctx, func(b *metadata.Batch) error {
			seen := make(map[kafka.TopicPartition]bool, to-from)
			for i := from; i < to; i++ {
				at := name(i)
				t, ok := b.Image().Topic(at.Topic)
				var p metadata.Partition
				if ok {
					p, ok = t.Partition(at.Partition)
				}
				switch {
				case !ok:
					errs[i] = fmt.Errorf("%w: there is no partition %s-%d", kerr.UnknownTopicOrPartition, at.Topic, at.Partition)
				case seen[at]:
					errs[i] = fmt.Errorf("%w: partition %s-%d is named more than once", kerr.InvalidRequest, at.Topic, at.Partition)
				default:
					seen[at] = true
					errs[i] = change(b, i, t, p)
				}
			}
			return nil
		})
		for i := from; err != nil && i < to; i++ {
			if errs[i] == nil {
				errs[i] = err
			}
		}
	}
	return errs
}
