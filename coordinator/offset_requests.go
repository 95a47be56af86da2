package coordinator

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/record"
)

// commitPart is one partition of a commit, of either request.
type commitPart struct {
	tp TopicPartition
	c  committed
}

// split takes the parts whose metadata fits and returns the code of each one.
func split(parts []commitPart) (tps []TopicPartition, offsets []committed, codes []int16) {
	codes = make([]int16, len(parts))
	for i, p := range parts {
		if len(p.c.metadata) > maxOffsetMetadata {
			codes[i] = kerr.OffsetMetadataTooLarge.Code
			continue
		}
		tps, offsets = append(tps, p.tp), append(offsets, p.c)
	}
	return tps, offsets, codes
}

func metadataOf(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// OffsetCommit answers key 8, when the offsets are durable.
func (o *Offsets) OffsetCommit(ctx context.Context, req *kmsg.OffsetCommitRequest) *kmsg.OffsetCommitResponse {
	now := o.clock.Now().UnixMilli()
	var parts []commitPart
	for _, rt := range req.Topics {
		for _, rp := range rt.Partitions {
			parts = append(parts, commitPart{TopicPartition{rt.Topic, rp.Partition}, committed{
				offset: rp.Offset, leaderEpoch: rp.LeaderEpoch, metadata: metadataOf(rp.Metadata), commitMillis: now,
			}})
		}
	}
	tps, offsets, codes := split(parts)
	kerror := o.commit(ctx, claim{req.Group, req.MemberID, req.Generation, req.Version}, tps, offsets)

	resp := req.ResponseKind().(*kmsg.OffsetCommitResponse)
	i := 0
	for _, rt := range req.Topics {
		topic := kmsg.NewOffsetCommitResponseTopic()
		topic.Topic = rt.Topic
		for _, rp := range rt.Partitions {
			part := kmsg.NewOffsetCommitResponseTopicPartition()
			part.Partition, part.ErrorCode = rp.Partition, combine(codes[i], kerror)
			topic.Partitions = append(topic.Partitions, part)
			i++
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

func combine(code int16, kerror *kerr.Error) int16 {
	if kerror != nil {
		return kerror.Code
	}
	return code
}

func (o *Offsets) commit(ctx context.Context, c claim, tps []TopicPartition, offsets []committed) *kerr.Error {
	l, kerror := o.lease(c.group)
	if kerror != nil {
		return kerror
	}
	base, next, kerror := l.appendOffsets(ctx, c, record.BatchOptions{}, coordinatorAppend, tps, offsets)
	if kerror != nil || len(tps) == 0 {
		return kerror
	}
	if err := l.part.WaitHighWatermark(ctx, next); err != nil {
		return coordinatorError(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, tp := range tps {
		offsets[i].position = base + int64(i)
		l.applyLocked(offsetKey{c.group, tp}, offsets[i])
	}
	return nil
}

// appendOffsets checks the claim and appends the offsets, in one step; inside a transaction they are pending at once.
func (l *offsetLease) appendOffsets(ctx context.Context, c claim, opts record.BatchOptions, how AppendOptions, tps []TopicPartition, offsets []committed) (base, next int64, _ *kerr.Error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if kerror := l.checkLocked(c, opts.Transactional, tps); kerror != nil {
		return 0, 0, kerror
	}
	if len(tps) == 0 {
		return 0, 0, nil
	}
	batch, err := encodeOffsets(opts, c.group, tps, offsets)
	if err != nil {
		return 0, 0, kerr.InvalidRequest
	}
	base, next, err = l.append(ctx, batch, how)
	if err != nil {
		return 0, 0, coordinatorError(err)
	}
	if opts.Transactional {
		for i, tp := range tps {
			offsets[i].position = base + int64(i)
			l.pendLocked(opts.ProducerID, opts.ProducerEpoch, offsetKey{c.group, tp}, offsets[i])
		}
	}
	return base, next, nil
}

// TxnOffsetCommit answers key 28. The offsets count when the transaction commits; the answer comes when they are durable.
func (o *Offsets) TxnOffsetCommit(ctx context.Context, req *kmsg.TxnOffsetCommitRequest) *kmsg.TxnOffsetCommitResponse {
	return o.txnOffsetCommit(ctx, req, remote)
}

func (o *Offsets) txnOffsetCommit(ctx context.Context, req *kmsg.TxnOffsetCommitRequest, from caller) *kmsg.TxnOffsetCommitResponse {
	now := o.clock.Now().UnixMilli()
	var parts []commitPart
	for _, rt := range req.Topics {
		for _, rp := range rt.Partitions {
			parts = append(parts, commitPart{TopicPartition{rt.Topic, rp.Partition}, committed{
				offset: rp.Offset, leaderEpoch: rp.LeaderEpoch, metadata: metadataOf(rp.Metadata), commitMillis: now,
			}})
		}
	}
	tps, offsets, codes := split(parts)
	c := claim{group: req.Group, member: req.MemberID, generation: req.Generation}
	kerror := o.txnCommit(ctx, req, c, tps, offsets, from)

	resp := req.ResponseKind().(*kmsg.TxnOffsetCommitResponse)
	i := 0
	for _, rt := range req.Topics {
		topic := kmsg.NewTxnOffsetCommitResponseTopic()
		topic.Topic = rt.Topic
		for _, rp := range rt.Partitions {
			part := kmsg.NewTxnOffsetCommitResponseTopicPartition()
			part.Partition, part.ErrorCode = rp.Partition, combine(codes[i], kerror)
			if kerror == kerr.IllegalGeneration && o.notTried(c, TopicPartition{rt.Topic, rp.Partition}) {
				part.ErrorCode = kerr.OperationNotAttempted.Code
			}
			topic.Partitions = append(topic.Partitions, part)
			i++
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

func (o *Offsets) txnCommit(ctx context.Context, req *kmsg.TxnOffsetCommitRequest, c claim, tps []TopicPartition, offsets []committed, from caller) *kerr.Error {
	l, kerror := o.lease(req.Group)
	if kerror != nil {
		return kerror
	}
	if kerror := l.check(c, tps); kerror != nil { // before a transaction is opened for nothing
		return kerror
	}
	ref := producerRef{
		transactionalID: req.TransactionalID, producerID: req.ProducerID, epoch: req.ProducerEpoch, implicit: req.Version >= 5,
	}
	self := o.partitionOf(req.Group)
	opts := record.BatchOptions{
		Transactional: true, Idempotent: true,
		ProducerID: req.ProducerID, ProducerEpoch: req.ProducerEpoch, BaseSequence: record.NoSequence,
	}
	var next int64
	if from == remote && o.txns.peers != nil && !o.txns.coordinates(ref.transactionalID, from) {
		next, kerror = o.txnCommitApart(ctx, l, self, ref, c, opts, tps, offsets)
	} else {
		var h held
		if h, kerror = o.txns.hold(ctx, ref, []TopicPartition{self}); kerror == nil {
			next, kerror = o.txnCommitHeld(ctx, l, self, h, c, opts, tps, offsets, from)
		}
	}
	switch {
	case kerror == kerr.InvalidTxnState:
		return txnStateError(req.Version >= abortableCommitVersion)
	case kerror != nil || from == inProcess:
		return kerror
	}
	if err := l.part.WaitHighWatermark(ctx, next); err != nil {
		return coordinatorError(err)
	}
	return nil
}

// txnCommitHeld appends the offsets of a transaction that this node coordinates, and gives the hold of it up.
func (o *Offsets) txnCommitHeld(ctx context.Context, l *offsetLease, self TopicPartition, h held, c claim, opts record.BatchOptions, tps []TopicPartition, offsets []committed, from caller) (next int64, kerror *kerr.Error) {
	if o.txns.spread([]TopicPartition{self}) { // whoever coordinates after a crash must know of every batch that whoever leads then has
		if err := h.durable(ctx); err != nil {
			h.release()
			return 0, coordinatorError(err)
		}
	}
	_, next, kerror = l.appendOffsets(ctx, c, opts, coordinatorAppend, tps, offsets)
	h.release()
	if kerror != nil || from == inProcess {
		return next, kerror
	}
	if err := h.durable(ctx); err != nil {
		return next, coordinatorError(err)
	}
	return next, nil
}

// txnCommitApart is txnCommitHeld for a transaction whose coordinator is another node, which is asked as it is for the first batch of a producer (see admit).
func (o *Offsets) txnCommitApart(ctx context.Context, l *offsetLease, self TopicPartition, ref producerRef, c claim, opts record.BatchOptions, tps []TopicPartition, offsets []committed) (next int64, kerror *kerr.Error) {
	how := coordinatorAppend
	how.Verified = true
	for admitted := uint64(0); ; admitted = how.Guard {
		how.Guard = l.part.BeginVerification(ref.producerID, ref.epoch)
		if how.Guard == 0 || how.Guard == admitted {
			break // it is in the transaction already, or admitted; see admission
		}
		if kerror := o.txns.askAbout(ctx, ref, self); kerror != nil {
			return 0, kerror
		}
	}
	_, next, kerror = l.appendOffsets(ctx, c, opts, how, tps, offsets)
	return next, kerror
}

func (l *offsetLease) check(c claim, tps []TopicPartition) *kerr.Error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.checkLocked(c, true, tps)
}

// OffsetFetch answers key 9, versions 0 to 9.
func (o *Offsets) OffsetFetch(_ context.Context, req *kmsg.OffsetFetchRequest) *kmsg.OffsetFetchResponse {
	resp := req.ResponseKind().(*kmsg.OffsetFetchResponse)
	if req.Version >= 8 {
		for _, rg := range req.Groups {
			resp.Groups = append(resp.Groups, o.fetchGroup(rg, req.RequireStable))
		}
		return resp
	}
	rg := kmsg.NewOffsetFetchRequestGroup()
	rg.Group = req.Group
	for _, rt := range req.Topics {
		topic := kmsg.NewOffsetFetchRequestGroupTopic()
		topic.Topic, topic.Partitions = rt.Topic, rt.Partitions
		rg.Topics = append(rg.Topics, topic)
	}
	got := o.fetchGroup(rg, req.RequireStable)
	resp.ErrorCode = got.ErrorCode
	for _, gt := range got.Topics {
		topic := kmsg.NewOffsetFetchResponseTopic()
		topic.Topic = gt.Topic
		for _, gp := range gt.Partitions {
			part := kmsg.NewOffsetFetchResponseTopicPartition()
			part.Partition, part.Offset, part.LeaderEpoch = gp.Partition, gp.Offset, gp.LeaderEpoch
			part.Metadata, part.ErrorCode = gp.Metadata, gp.ErrorCode
			topic.Partitions = append(topic.Partitions, part)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

// fetchGroup looks up the offsets of one group; without topics, all it has. What was never committed is -1 without an error.
func (o *Offsets) fetchGroup(rg kmsg.OffsetFetchRequestGroup, requireStable bool) kmsg.OffsetFetchResponseGroup {
	out := kmsg.NewOffsetFetchResponseGroup()
	out.Group = rg.Group
	out.Topics = []kmsg.OffsetFetchResponseGroupTopic{}
	l, kerror := o.lease(rg.Group)
	if kerror != nil {
		out.ErrorCode = kerror.Code
		return out
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.mu.groups[rg.Group]
	if kerror := g.mayFetch(&rg); kerror != nil {
		out.ErrorCode = kerror.Code
		return out
	}
	if rg.Topics == nil && g != nil {
		rg.Topics = g.topics()
	}
	for _, rt := range rg.Topics {
		topic := kmsg.NewOffsetFetchResponseGroupTopic()
		topic.Topic = rt.Topic
		for _, p := range rt.Partitions {
			topic.Partitions = append(topic.Partitions, g.fetch(TopicPartition{rt.Topic, p}, requireStable))
		}
		out.Topics = append(out.Topics, topic)
	}
	return out
}

// mayFetch refuses a member of the consumer protocol that is not in its present epoch; one that says nothing of itself may look.
func (g *group) mayFetch(rg *kmsg.OffsetFetchRequestGroup) *kerr.Error {
	if g == nil || !g.consumer.live() || rg.MemberID == nil && rg.MemberEpoch < 0 {
		return nil
	}
	return g.consumer.checkClaim(metadataOf(rg.MemberID), rg.MemberEpoch)
}

func (g *group) fetch(tp TopicPartition, requireStable bool) kmsg.OffsetFetchResponseGroupTopicPartition {
	part := kmsg.NewOffsetFetchResponseGroupTopicPartition()
	part.Partition, part.Offset, part.LeaderEpoch, part.Metadata = tp.Partition, -1, -1, kmsg.StringPtr("")
	if g == nil {
		return part
	}
	if requireStable && g.unstable[tp] > 0 {
		part.ErrorCode = kerr.UnstableOffsetCommit.Code
		return part
	}
	if c, ok := g.offsets[tp]; ok {
		part.Offset, part.LeaderEpoch, part.Metadata = c.offset, c.leaderEpoch, kmsg.StringPtr(c.metadata)
	}
	return part
}

// topics lists all partitions that have an offset.
func (g *group) topics() []kmsg.OffsetFetchRequestGroupTopic {
	byTopic := map[string]int{}
	topics := []kmsg.OffsetFetchRequestGroupTopic{}
	for tp := range g.offsets {
		i, ok := byTopic[tp.Topic]
		if !ok {
			i = len(topics)
			byTopic[tp.Topic] = i
			topic := kmsg.NewOffsetFetchRequestGroupTopic()
			topic.Topic = tp.Topic
			topics = append(topics, topic)
		}
		topics[i].Partitions = append(topics[i].Partitions, tp.Partition)
	}
	return topics
}
