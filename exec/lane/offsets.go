package lane

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/exec"
)

// offsetsParallel is how many groups are sent their offsets at the same time: a request has one group, a round those of all its queries, and each answer waits for the offsets to be on all replicas.
const offsetsParallel = 16

// claim is what tasks of one group on one member have in common: their offsets go in one request.
type claim struct {
	group, member string
	generation    int32
}

// commitOffsets puts the offsets of all tasks without an error into the transaction. Those whose claim is over are blamed with ErrStaleGeneration.
func (p *producer) commitOffsets(ctx context.Context, tasks []exec.TaskCommit, results []exec.TaskResult) error {
	byClaim := map[claim][]int{}
	var order []claim
	for i := range tasks {
		t := &tasks[i]
		if t.Group == "" || len(t.Offsets) == 0 || results[i].Err != nil {
			continue
		}
		c := claim{t.Group, t.Member, t.Generation}
		if t.Member == "" {
			c.generation = -1
		}
		if byClaim[c] == nil {
			order = append(order, c)
		}
		byClaim[c] = append(byClaim[c], i)
	}
	errs := make([]error, len(order))
	var wg sync.WaitGroup
	slots := make(chan struct{}, offsetsParallel)
	for i, c := range order {
		slots <- struct{}{}
		wg.Go(func() {
			errs[i] = p.commitClaim(ctx, c, tasks, byClaim[c])
			<-slots
		})
	}
	wg.Wait() // also after an error: nothing may be on its way when the transaction is aborted
	return joined(errs)
}

// joined is the error of a round of which errs are those of its parts: one that concerns all of it, else what is wrong with some tasks.
func joined(errs []error) error {
	all := &blame{}
	for _, err := range errs {
		var some *blame
		switch {
		case err == nil:
		case !errors.As(err, &some):
			return err
		default:
			for i, err := range some.byTask {
				all.add(i, err)
			}
		}
	}
	if len(all.byTask) == 0 {
		return nil
	}
	return all
}

// commitClaim puts the offsets of the tasks of one claim into the transaction. Tasks whose claim is over are blamed: the request in which that is said was not carried out, but one that was sent before, here or underneath,
// and whose answer was lost, may have been in time. Offsets that are pending by it would count without the tasks' data if the others went on in the same transaction.
func (p *producer) commitClaim(ctx context.Context, c claim, tasks []exec.TaskCommit, indexes []int) error {
	if err := p.addOffsets(ctx, c.group); err != nil {
		return err
	}
	req := p.offsetsRequest(c, tasks, indexes)
	answered := false
	var over map[int]error
	err := p.retryFor(ctx, p.patience(), func() (bool, error) {
		resp, err := p.transport.Request(ctx, req)
		if answered = err == nil; !answered {
			return true, err
		}
		r := resp.(*kmsg.TxnOffsetCommitResponse)
		if over = staleTasks(c.group, r, tasks, indexes); len(over) > 0 {
			return false, nil
		}
		err = kerr.ErrorForCode(firstError(r))
		return passes(err), err
	})
	switch {
	case len(over) > 0:
		return &blame{over}
	case err == nil:
		return nil
	case !answered || ctx.Err() != nil || isOfProducer(err):
		return p.explain("TxnOffsetCommit", err)
	}
	some := &blame{}
	for _, i := range indexes {
		some.add(i, fmt.Errorf("offsets of group %q: %w", c.group, Explain(err)))
	}
	return some
}

// staleTasks are the tasks of which a partition was refused since it has another owner, with ErrStaleGeneration.
func staleTasks(group string, resp *kmsg.TxnOffsetCommitResponse, tasks []exec.TaskCommit, indexes []int) map[int]error {
	if !stale(firstError(resp)) && firstError(resp) != kerr.OperationNotAttempted.Code {
		return nil
	}
	refused := map[exec.TopicPartition]error{}
	for _, rt := range resp.Topics {
		for _, rp := range rt.Partitions {
			if stale(rp.ErrorCode) {
				refused[exec.TopicPartition{Topic: rt.Topic, Partition: rp.Partition}] = kerr.ErrorForCode(rp.ErrorCode)
			}
		}
	}
	over := map[int]error{}
	for _, i := range indexes {
		for _, o := range tasks[i].Offsets {
			if err := refused[o.TopicPartition]; err != nil {
				over[i] = fmt.Errorf("%w: group %q (%w)", exec.ErrStaleGeneration, group, err)
			}
		}
	}
	return over
}

func firstError(resp *kmsg.TxnOffsetCommitResponse) int16 {
	for _, rt := range resp.Topics {
		for _, rp := range rt.Partitions {
			if rp.ErrorCode != 0 {
				return rp.ErrorCode
			}
		}
	}
	return 0
}

func (p *producer) offsetsRequest(c claim, tasks []exec.TaskCommit, indexes []int) *kmsg.TxnOffsetCommitRequest {
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.Version = txnOffsetsExplicit
	if p.implicit() {
		req.Version = txnOffsetsImplicit
	}
	req.TransactionalID, req.ProducerID, req.ProducerEpoch = *p.txID, p.id, p.epoch
	req.Group, req.MemberID, req.Generation = c.group, c.member, c.generation
	byTopic := map[string]int{}
	for _, t := range indexes {
		for _, o := range tasks[t].Offsets {
			i, ok := byTopic[o.Topic]
			if !ok {
				i = len(req.Topics)
				byTopic[o.Topic] = i
				topic := kmsg.NewTxnOffsetCommitRequestTopic()
				topic.Topic = o.Topic
				req.Topics = append(req.Topics, topic)
			}
			part := kmsg.NewTxnOffsetCommitRequestTopicPartition()
			part.Partition, part.Offset, part.LeaderEpoch = o.Partition, o.Offset, -1
			part.Metadata = kmsg.StringPtr(o.Metadata)
			req.Topics[i].Partitions = append(req.Topics[i].Partitions, part)
		}
	}
	return req
}

// addOffsets puts the group into the transaction, where its offsets do not do that.
func (p *producer) addOffsets(ctx context.Context, group string) error {
	if p.implicit() {
		return nil
	}
	req := kmsg.NewPtrAddOffsetsToTxnRequest()
	req.Version = addOffsetsVersion
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Group = *p.txID, p.id, p.epoch, group
	err := p.retryFor(ctx, p.patience(), func() (bool, error) {
		resp, err := p.transport.Request(ctx, req)
		if err != nil {
			return true, err
		}
		code := resp.(*kmsg.AddOffsetsToTxnResponse).ErrorCode
		return retriable(code), kerr.ErrorForCode(code)
	})
	if err != nil {
		return p.explain("AddOffsetsToTxn", err)
	}
	return nil
}
