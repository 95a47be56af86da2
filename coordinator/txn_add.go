package coordinator

import (
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// producerRef is a producer's claim on a transaction, as its requests carry it.
type producerRef struct {
	transactionalID string
	producerID      int64
	epoch           int16
	// implicit: the client relies on its appends to add partitions to the transaction (KIP-890 part 2). Otherwise they must have been
	// added before.
	implicit bool
}

// held is a transaction that cannot end before release.
type held struct {
	l    *lease
	e    *txnEntry
	next int64 // offset behind the newest record of the transaction
}

func (h held) release() { h.e.unlock() }

// durable waits until the record that puts the partitions into the transaction is below the high watermark.
func (h held) durable(ctx context.Context) error {
	h.l.part.Flush(h.next)
	return h.l.part.WaitHighWatermark(ctx, h.next)
}

// hold keeps the transaction from ending, with parts in it. Appends run while it is held, so that none can land behind the markers of
// their own transaction (KIP-890 part 1).
func (c *Transactions) hold(ctx context.Context, ref producerRef, parts []TopicPartition) (held, *kerr.Error) {
	l, e, kerror := c.open(ctx, ref.transactionalID)
	if kerror != nil {
		return held{}, kerror
	}
	if ref.implicit {
		kerror = c.add(l, e, ref, parts, epochBumpVersion)
	} else {
		t := e.value.Load()
		for _, tp := range parts {
			if kerror == nil {
				kerror = t.verifyPartition(ref.producerID, ref.epoch, tp)
			}
		}
	}
	if kerror != nil {
		e.unlock()
		return held{}, kerror
	}
	return held{l, e, e.next}, nil
}

// add puts parts into the transaction; the caller has the turn. The record is not waited for.
func (c *Transactions) add(l *lease, e *txnEntry, ref producerRef, parts []TopicPartition, version int16) *kerr.Error {
	next, changed, kerror := e.value.Load().addPartitions(ref.producerID, ref.epoch, parts, version, c.nowMillis())
	if kerror != nil || !changed {
		return kerror
	}
	if _, err := c.install(l, e, next); err != nil {
		return coordinatorError(err)
	}
	return nil
}

// addExplicit is what AddPartitionsToTxn and AddOffsetsToTxn come to. Only clients and nodes that may outlive this one call it, so
// the record is waited for.
func (c *Transactions) addExplicit(ctx context.Context, ref producerRef, parts []TopicPartition, version int16) *kerr.Error {
	l, e, kerror := c.open(ctx, ref.transactionalID)
	if kerror != nil {
		return kerror
	}
	kerror = c.add(l, e, ref, parts, version)
	h := held{l, e, e.next}
	h.release()
	if kerror != nil {
		return kerror
	}
	if err := h.durable(ctx); err != nil {
		return coordinatorError(err)
	}
	return nil
}

// verify is VerifyOnly of AddPartitionsToTxn v4: another broker asks before it appends.
func (c *Transactions) verify(ctx context.Context, ref producerRef, tp TopicPartition) *kerr.Error {
	_, e, kerror := c.open(ctx, ref.transactionalID)
	if kerror != nil {
		return kerror
	}
	defer e.unlock()
	return e.value.Load().verifyPartition(ref.producerID, ref.epoch, tp)
}

// AddPartitionsToTxn answers key 24: versions 0 to 3 for clients, 4 and up for brokers.
func (c *Transactions) AddPartitionsToTxn(ctx context.Context, req *kmsg.AddPartitionsToTxnRequest) *kmsg.AddPartitionsToTxnResponse {
	resp := req.ResponseKind().(*kmsg.AddPartitionsToTxnResponse)
	if req.Version >= 4 {
		for i := range req.Transactions {
			resp.Transactions = append(resp.Transactions, c.addBatched(ctx, &req.Transactions[i]))
		}
		return resp
	}
	var parts []TopicPartition
	missing := map[TopicPartition]bool{}
	for _, rt := range req.Topics {
		for _, p := range rt.Partitions {
			tp := TopicPartition{rt.Topic, p}
			parts = append(parts, tp)
			if c.unknown(tp) {
				missing[tp] = true
			}
		}
	}
	kerror := kerr.OperationNotAttempted // all or nothing
	if len(missing) == 0 {
		kerror = c.addExplicit(ctx, producerRef{transactionalID: req.TransactionalID, producerID: req.ProducerID, epoch: req.ProducerEpoch}, parts, 0)
	}
	for _, rt := range req.Topics {
		topic := kmsg.NewAddPartitionsToTxnResponseTopic()
		topic.Topic = rt.Topic
		for _, p := range rt.Partitions {
			part := kmsg.NewAddPartitionsToTxnResponseTopicPartition()
			part.Partition = p
			switch {
			case missing[TopicPartition{rt.Topic, p}]:
				part.ErrorCode = kerr.UnknownTopicOrPartition.Code
			case kerror != nil:
				part.ErrorCode = kerror.Code
			}
			topic.Partitions = append(topic.Partitions, part)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

// unknown reports whether this node has not heard of a partition: it would take it for deleted when the transaction ends, and leave it open.
func (c *Transactions) unknown(tp TopicPartition) bool {
	_, err := c.partitions.Partition(tp.Topic, tp.Partition)
	return err != nil && kerrOf(err) == kerr.UnknownTopicOrPartition
}

// addBatched answers the leader of partitions, about a producer that has added them, or relies on its batches to add them.
func (c *Transactions) addBatched(ctx context.Context, rt *kmsg.AddPartitionsToTxnRequestTransaction) kmsg.AddPartitionsToTxnResponseTransaction {
	out := kmsg.NewAddPartitionsToTxnResponseTransaction()
	out.TransactionalID = rt.TransactionalID
	ref := producerRef{transactionalID: rt.TransactionalID, producerID: rt.ProducerID, epoch: rt.ProducerEpoch}
	var parts []TopicPartition
	for _, topic := range rt.Topics {
		for _, p := range topic.Partitions {
			parts = append(parts, TopicPartition{topic.Topic, p})
		}
	}
	var kerror *kerr.Error
	switch {
	case rt.VerifyOnly:
	case slices.ContainsFunc(parts, c.unknown):
		kerror = kerr.UnknownTopicOrPartition
	default:
		kerror = c.addExplicit(ctx, ref, parts, epochBumpVersion)
	}
	for _, topic := range rt.Topics {
		ot := kmsg.NewAddPartitionsToTxnResponseTransactionTopic()
		ot.Topic = topic.Topic
		for _, p := range topic.Partitions {
			perror := kerror
			if rt.VerifyOnly {
				perror = c.verify(ctx, ref, TopicPartition{topic.Topic, p})
			}
			op := kmsg.NewAddPartitionsToTxnResponseTransactionTopicPartition()
			op.Partition = p
			if perror != nil {
				op.ErrorCode = perror.Code
			}
			ot.Partitions = append(ot.Partitions, op)
		}
		out.Topics = append(out.Topics, ot)
	}
	return out
}

// AddOffsetsToTxn answers key 25: the partition that keeps the group joins the transaction.
func (c *Transactions) AddOffsetsToTxn(ctx context.Context, req *kmsg.AddOffsetsToTxnRequest) *kmsg.AddOffsetsToTxnResponse {
	resp := req.ResponseKind().(*kmsg.AddOffsetsToTxnResponse)
	tp := OffsetsPartition(req.Group, c.leases.slots.count)
	ref := producerRef{transactionalID: req.TransactionalID, producerID: req.ProducerID, epoch: req.ProducerEpoch}
	if kerror := c.addExplicit(ctx, ref, []TopicPartition{tp}, 0); kerror != nil {
		resp.ErrorCode = kerror.Code
	}
	return resp
}
