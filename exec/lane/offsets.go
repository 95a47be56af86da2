package lane

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/exec"
)

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
	for _, c := range order {
		stale, err := p.commitGroup(ctx, c, tasks, byClaim[c])
		if err != nil {
			return err
		}
		if stale != nil {
			for _, i := range byClaim[c] {
				results[i].Err = fmt.Errorf("%w: group %q (%w)", exec.ErrStaleGeneration, c.group, stale)
			}
		}
	}
	return nil
}

// commitGroup sends the offsets of the tasks with these indexes. The first result is set when the claim is over.
func (p *producer) commitGroup(ctx context.Context, c claim, tasks []exec.TaskCommit, indexes []int) (over, _ error) {
	if err := p.addOffsets(ctx, c.group); err != nil {
		return nil, err
	}
	req := p.offsetsRequest(c, tasks, indexes)
	answered := false
	err := p.retryFor(ctx, p.patience(), func() (bool, error) {
		resp, err := p.transport.Request(ctx, req)
		if answered = err == nil; !answered {
			return true, err
		}
		code := firstError(resp.(*kmsg.TxnOffsetCommitResponse))
		if stale(code) {
			over = kerr.ErrorForCode(code)
			return false, nil
		}
		err = kerr.ErrorForCode(code)
		return passes(err), err
	})
	switch {
	case err == nil:
		return over, nil
	case !answered || ctx.Err() != nil || isOfProducer(err):
		return nil, p.explain("TxnOffsetCommit", err)
	}
	some := &blame{}
	for _, i := range indexes {
		some.add(i, fmt.Errorf("offsets of group %q: %w", c.group, Explain(err)))
	}
	return nil, some
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
