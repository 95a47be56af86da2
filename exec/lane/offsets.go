package lane

import (
	"context"
	"errors"
	"fmt"
	"slices"
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

// commitOffsets puts the offsets of all tasks into the transaction. Tasks whose claim is over get ErrStaleGeneration in their result;
// an error concerns the whole round.
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
			errs[i] = p.commitClaim(ctx, c, tasks, byClaim[c], results)
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

// commitClaim puts the offsets of the tasks of one claim into the transaction.
func (p *producer) commitClaim(ctx context.Context, c claim, tasks []exec.TaskCommit, left []int, results []exec.TaskResult) error {
	for again := true; again && len(left) > 0; {
		over, err := p.commitGroup(ctx, c, tasks, left)
		if err != nil {
			return err
		}
		for i, err := range over {
			results[i].Err = err
		}
		again = len(over) > 0 // nothing was taken of a request that was refused in part
		left = slices.DeleteFunc(left, func(i int) bool { return over[i] != nil })
	}
	return nil
}

// commitGroup sends the offsets of the tasks with these indexes. The first result has the tasks whose claim is over; if there are any, nothing was taken. If an earlier attempt got no good answer that is not known:
// it may have been in time, and the offsets, pending in the transaction, would count without the tasks' data when the others commit. So the tasks are blamed then, and the transaction goes.
func (p *producer) commitGroup(ctx context.Context, c claim, tasks []exec.TaskCommit, indexes []int) (over map[int]error, _ error) {
	if err := p.addOffsets(ctx, c.group); err != nil {
		return nil, err
	}
	req := p.offsetsRequest(c, tasks, indexes)
	answered, tries := false, 0
	err := p.retryFor(ctx, p.patience(), func() (bool, error) {
		tries++
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
	some := &blame{}
	switch {
	case err == nil && len(over) > 0 && tries > 1:
		return nil, &blame{over}
	case err == nil:
		return over, nil
	case !answered || ctx.Err() != nil || isOfProducer(err):
		return nil, p.explain("TxnOffsetCommit", err)
	}
	for _, i := range indexes {
		some.add(i, fmt.Errorf("offsets of group %q: %w", c.group, Explain(err)))
	}
	return nil, some
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
