package coordinator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/record"
)

// producePart is one partition of a Produce request on its way.
type producePart struct {
	tp      TopicPartition
	records []byte
	part    Partition
	base    int64
	next    int64
	err     error
	stamped int64 // when the log has appended it, in ms; -1 if the records keep their own timestamps

	transactional bool   // its batch is of a transaction
	verify        bool   // whose coordinator is another node: only with the guard may it begin here
	guard         uint64 // of BeginVerification
}

// caller says where a request comes from. A producer in this process dies with it, so inside a transaction nothing has to wait for
// the disk before EndTxn syncs it all: a crash loses the producer, its transaction and what it wrote together. A remote one goes on
// after a crash of this node, and would commit what is left of a transaction; what it was answered must be durable.
type caller bool

const (
	remote    caller = false
	inProcess caller = true
)

// Produce answers key 0 for partitions that this node leads. The batches are patched in place. Batches of a transaction are appended
// while it is held (KIP-890). With acks = -1 the answer comes when all is below the high watermark.
func (b *Broker) Produce(ctx context.Context, req *kmsg.ProduceRequest) *kmsg.ProduceResponse {
	return b.produce(ctx, req, remote)
}

// StartProduce is Produce in two steps: it appends, and returns a function that waits and answers. The next request of the same producer can be started in between, so that
// one sync serves both. The records are not used after it has returned.
func (b *Broker) StartProduce(ctx context.Context, req *kmsg.ProduceRequest) (finish func() *kmsg.ProduceResponse) {
	return b.startProduce(ctx, req, remote)
}

func (b *Broker) produce(ctx context.Context, req *kmsg.ProduceRequest, from caller) *kmsg.ProduceResponse {
	return b.startProduce(ctx, req, from)()
}

func (b *Broker) startProduce(ctx context.Context, req *kmsg.ProduceRequest, from caller) func() *kmsg.ProduceResponse {
	var parts []producePart
	for i := range req.Topics {
		rt := &req.Topics[i]
		for j := range rt.Partitions {
			tp := TopicPartition{rt.Topic, rt.Partitions[j].Partition}
			pp := producePart{tp: tp, records: rt.Partitions[j].Records, base: -1, stamped: -1}
			pp.part, pp.err = b.partitions.Partition(tp.Topic, tp.Partition)
			parts = append(parts, pp)
		}
	}
	h, how := b.appendAll(ctx, req, parts, from)
	waits := !how.held || how.apart || from == remote
	if waits {
		flushAll(parts)
	}
	return func() *kmsg.ProduceResponse {
		if waits && (req.Acks == -1 || how.apart) {
			waitAll(ctx, parts)
		}
		if waits && how.held {
			b.waitHeld(ctx, h, parts)
		}
		return produceResponse(req, parts, from)
	}
}

// errorMessageVersion is the first version whose answers have room for a text (KIP-467).
const errorMessageVersion = 8

func produceResponse(req *kmsg.ProduceRequest, parts []producePart, from caller) *kmsg.ProduceResponse {
	resp := req.ResponseKind().(*kmsg.ProduceResponse)
	i := 0
	for _, rt := range req.Topics {
		topic := kmsg.NewProduceResponseTopic()
		topic.Topic, topic.TopicID = rt.Topic, rt.TopicID
		for range rt.Partitions {
			pp := &parts[i]
			part := kmsg.NewProduceResponseTopicPartition()
			part.Partition, part.BaseOffset, part.ErrorCode = pp.tp.Partition, pp.base, errorCode(pp.err)
			switch {
			case pp.err != nil:
				part.BaseOffset = -1
			case from == inProcess: // who wants to know it; on the wire the field only goes with an error
				part.CurrentLeader.LeaderEpoch = pp.part.LeaderEpoch()
				fallthrough
			default:
				part.LogStartOffset, part.LogAppendTime = pp.part.LogStart(), pp.stamped
			}
			if pp.err != nil && req.Version >= errorMessageVersion {
				text := pp.err.Error()
				part.ErrorMessage = &text
			}
			topic.Partitions = append(topic.Partitions, part)
			i++
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

// produceHow is how the batches of a request belong to a transaction.
type produceHow struct {
	held  bool // this node coordinates it
	apart bool // its coordinator and the leaders of its partitions are, or may come to be, different nodes
}

// appendAll appends what can be appended. It returns the transaction that the batches belong to, if this node coordinates it, no longer held.
func (b *Broker) appendAll(ctx context.Context, req *kmsg.ProduceRequest, parts []producePart, from caller) (h held, how produceHow) {
	ref, tps, kerror := transactionOf(req, parts)
	switch {
	case kerror != nil || len(tps) == 0:
	case b.peers != nil && !b.coordinates(ref.transactionalID, from):
		how.apart = true
		b.admit(ctx, ref, req.Version, parts)
	default:
		h, how, kerror = b.holdHere(ctx, ref, tps, from)
		switch {
		case kerror == nil:
			defer h.release()
		case b.peers != nil && from == remote && passes(kerror): // another node has just come to coordinate it
			how, kerror = produceHow{apart: true}, nil
			b.admit(ctx, ref, req.Version, parts)
		}
	}
	for i := range parts {
		pp := &parts[i]
		if pp.err == nil && kerror != nil {
			pp.err = produceError(kerror, req.Version)
		}
		if pp.err == nil {
			pp.append(ctx, AppendOptions{Origin: OriginClient, AnyISR: req.Acks != -1, Verified: pp.verify, Guard: pp.guard})
		}
	}
	return h, how
}

// holdHere holds a transaction that this node coordinates. The caller releases it unless there is an error.
func (b *Broker) holdHere(ctx context.Context, ref producerRef, tps []TopicPartition, from caller) (h held, how produceHow, kerror *kerr.Error) {
	if h, kerror = b.hold(ctx, ref, tps); kerror != nil {
		return h, how, kerror
	}
	how = produceHow{held: true, apart: b.spread(tps)}
	if b.peers != nil && !how.apart && from == inProcess {
		h.e.loosen(tps)
	}
	if how.apart {
		// Whoever coordinates after a crash must know of every batch that whoever leads then has.
		if err := h.durable(ctx); err != nil {
			h.release()
			return h, produceHow{}, coordinatorError(err)
		}
	}
	return h, how, nil
}

// append appends the batch. The log writes offset and time of the append into it, and so tells them.
func (pp *producePart) append(ctx context.Context, opts AppendOptions) {
	if pp.base, pp.next, pp.err = pp.part.Append(ctx, pp.records, opts); pp.err != nil {
		return
	}
	if h, err := record.ParseHeader(pp.records); err == nil && h.Attributes.Has(record.LogAppendTime) {
		pp.stamped = h.MaxTimestamp
	}
}

// waitHeld waits until the coordinator cannot forget that the partitions are part of the transaction.
func (b *Broker) waitHeld(ctx context.Context, h held, parts []producePart) {
	err := h.durable(ctx)
	if err == nil {
		return
	}
	for i := range parts {
		if parts[i].err == nil {
			parts[i].err = err
		}
	}
}

// transactionOf finds the transaction that the batches belong to, if any, from their headers.
func transactionOf(req *kmsg.ProduceRequest, parts []producePart) (ref producerRef, tps []TopicPartition, _ *kerr.Error) {
	for i := range parts {
		pp := &parts[i]
		if pp.err != nil {
			continue
		}
		h, err := producedHeader(pp.records)
		if err == nil && h.Attributes.Codec() == record.Zstd && req.Version < zstdVersion {
			err = fmt.Errorf("zstd needs version %d of the request: %w", zstdVersion, kerr.UnsupportedCompressionType)
		}
		if err != nil {
			pp.err = err
			continue
		}
		if !h.IsTransactional() {
			continue
		}
		if req.TransactionID == nil {
			return ref, tps, kerr.TransactionalIDAuthorizationFailed
		}
		if len(tps) > 0 && (ref.producerID != h.ProducerID || ref.epoch != h.ProducerEpoch) {
			return ref, tps, kerr.InvalidRequest
		}
		ref = producerRef{transactionalID: *req.TransactionID, producerID: h.ProducerID, epoch: h.ProducerEpoch, implicit: req.Version >= 12}
		pp.transactional = true
		tps = append(tps, pp.tp)
	}
	return ref, tps, nil
}

// zstdVersion is the first version whose clients may compress with zstd (KIP-110).
const zstdVersion = 7

// producedHeader is the header of the one batch that a produce request has for a partition.
func producedHeader(records []byte) (record.Header, error) {
	if len(records) < record.HeaderSize {
		return record.Header{}, fmt.Errorf("%d bytes of records are not a batch: %w", len(records), kerr.InvalidRecord)
	}
	h, err := record.ParseHeader(records)
	if err == nil && h.Size() != len(records) {
		err = fmt.Errorf("a batch of %d bytes in %d bytes of records, where there must be exactly one: %w", h.Size(), len(records), kerr.InvalidRecord)
	}
	return h, err
}

// produceError translates what the coordinator says to what the produce path answers: a fenced producer hears
// INVALID_PRODUCER_EPOCH there, which clients treat as the end of this transaction and not of the producer.
func produceError(kerror *kerr.Error, version int16) *kerr.Error {
	switch kerror {
	case kerr.InvalidTxnState:
		return txnStateError(version >= abortableProduceVersion)
	case kerr.ProducerFenced:
		return kerr.InvalidProducerEpoch
	case kerr.InvalidProducerIDMapping:
		return kerr.InvalidTxnState
	}
	return kerror
}

// The first versions whose clients know TRANSACTION_ABORTABLE: what came back is a reason to abort the transaction, not to give the producer up (KIP-890).
const (
	abortableProduceVersion = 11
	abortableCommitVersion  = 4
)

func txnStateError(abortable bool) *kerr.Error {
	if abortable {
		return kerr.TransactionAbortable
	}
	return kerr.InvalidTxnState
}

// flushAll starts the syncs of all partitions at once.
func flushAll(parts []producePart) {
	for i := range parts {
		if parts[i].err == nil {
			parts[i].part.Flush(parts[i].next)
		}
	}
}

// outlivePatience bounds the wait for the next leader to confirm what was under way when a leadership was handed over.
const outlivePatience = 500 * time.Millisecond

func outlived(ctx context.Context, pp *producePart) bool {
	ctx, cancel := context.WithTimeout(ctx, outlivePatience)
	defer cancel()
	return pp.part.Outlived(ctx, pp.next)
}

// waitAll waits until what was appended is below the high watermark. A leadership that ends meanwhile leaves open whether the next leader has it, which NOT_LEADER_OR_FOLLOWER would deny; where this
// replica learns of it soon, the producer need not ask again.
func waitAll(ctx context.Context, parts []producePart) {
	for i := range parts {
		if parts[i].err != nil {
			continue
		}
		err := parts[i].part.WaitHighWatermark(ctx, parts[i].next)
		if errors.Is(err, kerr.NotLeaderForPartition) && outlived(ctx, &parts[i]) {
			err = nil
		} else if errors.Is(err, kerr.NotLeaderForPartition) {
			err = fmt.Errorf("%w: %w", kerr.NotEnoughReplicasAfterAppend, err)
		}
		parts[i].err = err
	}
}
