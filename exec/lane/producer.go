package lane

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/record"
)

// The versions of requests that follow KIP-890 part 2, and the last ones before it. A transport over the wire may lower them.
const (
	produceImplicit, produceExplicit       int16 = 12, 11
	txnOffsetsImplicit, txnOffsetsExplicit int16 = 5, 4
	endBumps, endKeeps                     int16 = 5, 4
	initVersion                            int16 = 5
	addPartitionsVersion                   int16 = 3
	addOffsetsVersion                      int16 = 4

	acksAll int16 = -1
)

// producer is a producer id with its sequence numbers. One goroutine uses it at a time.
type producer struct {
	transport Transport
	clock     clock.Clock
	txID      *string // nil for one that is only idempotent
	timeout   time.Duration

	id        int64
	epoch     int16
	sequences map[exec.TopicPartition]int32 // next one, per partition, of this epoch
	added     map[exec.TopicPartition]bool  // partitions that the open transaction has, where they must be added by request
	inDoubt   bool                          // a batch may have been appended though its answer was an error, or never came
}

// patience is how long a request inside a transaction, or an append outside one, is tried again.
func (p *producer) patience() time.Duration {
	if p.txID == nil {
		return giveUpAfter
	}
	return p.timeout / 2
}

func (p *producer) implicit() bool { return p.transport.TransactionVersion() >= 2 }

// forget drops the identity.
func (p *producer) forget() { p.become(record.NoProducerID, record.NoProducerEpoch) }

// become takes a new epoch, in which sequences start anew.
func (p *producer) become(id int64, epoch int16) {
	if id != p.id || epoch != p.epoch || p.sequences == nil {
		p.sequences = map[exec.TopicPartition]int32{}
	}
	p.id, p.epoch = id, epoch
}

// init gets a producer id, or the next epoch of the one there is: if somebody else took the transactional id meanwhile that is
// ErrFenced.
func (p *producer) init(ctx context.Context) error {
	req := kmsg.NewPtrInitProducerIDRequest()
	req.Version = initVersion
	req.TransactionalID = p.txID
	req.TransactionTimeoutMillis = int32(p.timeout.Milliseconds())
	req.ProducerID, req.ProducerEpoch = p.id, p.epoch
	err := p.retry(ctx, func() (bool, error) {
		resp, err := p.transport.Request(ctx, req)
		if err != nil {
			return true, err
		}
		r := resp.(*kmsg.InitProducerIDResponse)
		if r.ErrorCode != 0 {
			return retriable(r.ErrorCode), kerr.ErrorForCode(r.ErrorCode)
		}
		p.become(r.ProducerID, r.ProducerEpoch)
		return false, nil
	})
	p.added = nil
	if err != nil {
		return p.explain("InitProducerID", err)
	}
	return nil
}

// endOnce sends EndTxn once.
func (p *producer) endOnce(ctx context.Context, commit bool) (code int16, err error) {
	req := kmsg.NewPtrEndTxnRequest()
	req.Version = endKeeps
	if p.implicit() {
		req.Version = endBumps
	}
	req.TransactionalID, req.Commit = *p.txID, commit
	req.ProducerID, req.ProducerEpoch = p.id, p.epoch
	resp, err := p.transport.Request(ctx, req)
	if err != nil {
		return 0, err
	}
	r := resp.(*kmsg.EndTxnResponse)
	if r.ErrorCode == 0 {
		p.added = nil
		if p.implicit() {
			p.become(r.ProducerID, r.ProducerEpoch)
		}
	}
	return r.ErrorCode, nil
}

// send is one batch on its way; out receives where it went.
type send struct {
	task  int // index of the task that it is of
	batch *exec.PartitionBatch
	out   *exec.Appended
	err   error // the last answer
}

// produce appends the batches. A request takes one batch per partition, so those that share a partition go one after the other.
func (p *producer) produce(ctx context.Context, sends []send) error {
	for len(sends) > 0 {
		var wave, later []send
		taken := make(map[exec.TopicPartition]bool, len(sends))
		for _, s := range sends {
			if taken[s.batch.TopicPartition] {
				later = append(later, s)
				continue
			}
			taken[s.batch.TopicPartition] = true
			wave = append(wave, s)
		}
		if err := p.produceWave(ctx, wave); err != nil {
			return err
		}
		sends = later
	}
	return nil
}

// produceWave sends at most one batch per partition, again and again until each is acknowledged. The sequence numbers keep a batch that
// was sent twice from being appended twice.
func (p *producer) produceWave(ctx context.Context, wave []send) error {
	if err := p.addPartitions(ctx, wave); err != nil {
		return err
	}
	for _, s := range wave {
		if err := p.stamp(s.batch); err != nil {
			some := &blame{}
			some.add(s.task, err)
			return some
		}
	}
	answered := false
	err := p.retryFor(ctx, p.patience(), func() (again bool, _ error) {
		resp, err := p.transport.Request(ctx, p.produceRequest(wave))
		if answered = err == nil; !answered {
			p.inDoubt = true
			return true, err
		}
		sent := len(wave)
		wave, again, err = acknowledged(wave, resp.(*kmsg.ProduceResponse))
		p.inDoubt = p.inDoubt || len(wave) < sent || maybeAppended(err)
		return again, err
	})
	switch {
	case err == nil:
		return nil
	case !answered || ctx.Err() != nil || isOfProducer(err):
		return p.explain("Produce", err)
	}
	some := &blame{}
	for _, s := range wave {
		some.add(s.task, fmt.Errorf("append to %s-%d: %w", s.batch.Topic, s.batch.Partition, Explain(s.err)))
	}
	return some
}

func isOfProducer(err error) bool {
	var ke *kerr.Error
	return errors.As(err, &ke) && ofProducer(ke)
}

// maybeAppended reports whether the error of a partition leaves open that the batch is in its log.
func maybeAppended(err error) bool {
	return errors.Is(err, kerr.RequestTimedOut) || errors.Is(err, kerr.NotEnoughReplicasAfterAppend) || errors.Is(err, kerr.UnknownServerError) ||
		errors.Is(err, kerr.KafkaStorageError)
}

// stamp makes the batch this producer's and takes its sequence numbers.
func (p *producer) stamp(b *exec.PartitionBatch) error {
	h, frame, rest, err := record.Next(b.Batch)
	if err == nil && len(rest) > 0 {
		err = kerr.InvalidRecord
	}
	if err != nil {
		return fmt.Errorf("batch for %s-%d: %w", b.Topic, b.Partition, err)
	}
	sequence := p.sequences[b.TopicPartition]
	setProducer(frame, p.id, p.epoch, sequence, p.txID != nil)
	p.sequences[b.TopicPartition] = record.AddSequence(sequence, h.LastOffsetDelta+1)
	return nil
}

func (p *producer) produceRequest(wave []send) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Version = produceExplicit
	if p.implicit() {
		req.Version = produceImplicit
	}
	req.TransactionID, req.Acks = p.txID, acksAll
	req.TimeoutMillis = int32(giveUpAfter.Milliseconds())
	byTopic := map[string]int{}
	for _, s := range wave {
		i, ok := byTopic[s.batch.Topic]
		if !ok {
			i = len(req.Topics)
			byTopic[s.batch.Topic] = i
			topic := kmsg.NewProduceRequestTopic()
			topic.Topic = s.batch.Topic
			req.Topics = append(req.Topics, topic)
		}
		part := kmsg.NewProduceRequestTopicPartition()
		part.Partition, part.Records = s.batch.Partition, s.batch.Batch
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, part)
	}
	return req
}

// acknowledged returns those of wave that were not appended, with their errors. The error returned is the one that counts for all: of
// the producer, else one that trying again does not cure, else any.
func acknowledged(wave []send, resp *kmsg.ProduceResponse) (left []send, again bool, _ error) {
	codes := make(map[exec.TopicPartition]*kmsg.ProduceResponseTopicPartition, len(wave))
	for i := range resp.Topics {
		rt := &resp.Topics[i]
		for j := range rt.Partitions {
			codes[exec.TopicPartition{Topic: rt.Topic, Partition: rt.Partitions[j].Partition}] = &rt.Partitions[j]
		}
	}
	var producer, final, passing error
	var refused, held []send
	for _, s := range wave {
		a := codes[s.batch.TopicPartition]
		switch {
		case a == nil:
			s.err = kerr.UnknownServerError
		case a.ErrorCode == 0 || a.ErrorCode == kerr.DuplicateSequenceNumber.Code:
			*s.out = exec.Appended{BaseOffset: a.BaseOffset, LeaderEpoch: a.CurrentLeader.LeaderEpoch}
			continue
		default:
			s.err = kerr.ErrorForCode(a.ErrorCode)
		}
		switch {
		case passes(s.err):
			passing = s.err
			held = append(held, s)
		case isOfProducer(s.err):
			producer = s.err
			refused = append(refused, s)
		default:
			final = s.err
			refused = append(refused, s)
		}
	}
	switch {
	case producer != nil:
		return refused, false, producer
	case final != nil:
		return refused, false, final
	}
	return held, true, passing
}

// passes reports whether the error of a partition may go away by itself. A topic that is unknown is not waited for: whoever made it
// waited until it was there.
func passes(err error) bool {
	var ke *kerr.Error
	return errors.As(err, &ke) && retriable(ke.Code) && ke != kerr.UnknownTopicOrPartition && ke != kerr.UnknownTopicID
}

// addPartitions puts the partitions into the transaction, where appends do not do that.
func (p *producer) addPartitions(ctx context.Context, wave []send) error {
	if p.txID == nil || p.implicit() {
		return nil
	}
	req := kmsg.NewPtrAddPartitionsToTxnRequest()
	req.Version = addPartitionsVersion
	req.TransactionalID, req.ProducerID, req.ProducerEpoch = *p.txID, p.id, p.epoch
	for _, s := range wave {
		if p.added[s.batch.TopicPartition] {
			continue
		}
		topic := kmsg.NewAddPartitionsToTxnRequestTopic()
		topic.Topic, topic.Partitions = s.batch.Topic, []int32{s.batch.Partition}
		req.Topics = append(req.Topics, topic)
	}
	if len(req.Topics) == 0 {
		return nil
	}
	var culprit exec.TopicPartition
	err := p.retryFor(ctx, p.patience(), func() (bool, error) {
		culprit = exec.TopicPartition{}
		resp, err := p.transport.Request(ctx, req)
		if err != nil {
			return true, err
		}
		for _, rt := range resp.(*kmsg.AddPartitionsToTxnResponse).Topics {
			for _, rp := range rt.Partitions {
				if code := rp.ErrorCode; code != 0 && code != kerr.OperationNotAttempted.Code {
					culprit = exec.TopicPartition{Topic: rt.Topic, Partition: rp.Partition}
					err := kerr.ErrorForCode(code)
					return passes(err), err
				}
			}
		}
		return false, nil
	})
	if err != nil && (culprit.Topic == "" || isOfProducer(err)) {
		return p.explain("AddPartitionsToTxn", err)
	}
	if err != nil {
		some := &blame{}
		for _, s := range wave {
			if s.batch.TopicPartition == culprit {
				some.add(s.task, fmt.Errorf("add %s-%d to the transaction: %w", culprit.Topic, culprit.Partition, Explain(err)))
			}
		}
		return some
	}
	if p.added == nil {
		p.added = map[exec.TopicPartition]bool{}
	}
	for _, s := range wave {
		p.added[s.batch.TopicPartition] = true
	}
	return nil
}
