package kafka

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/record"
)

const (
	isolationCommitted = 1
	// zstdFetchVersion is the first version whose clients must know zstd (KIP-110).
	zstdFetchVersion = 10
)

// fetchResponse is a response with the memory it takes until it is sent.
type fetchResponse struct {
	*kmsg.FetchResponse
	held int64
}

func (f *fetchResponse) release(b *budget) { b.give(f.held) }

// fetchRead is one partition of a request while it is answered.
type fetchRead struct {
	topic   string
	request *kmsg.FetchRequestTopicPartition
	part    Partition // nil if there is none here
	got     Fetched
	err     error
}

// fetcher answers one request.
type fetcher struct {
	c     *conn
	req   *kmsg.FetchRequest
	reads []fetchRead
	bytes int64 // found by the last look
}

// fetch answers key 1, versions 4 to 12. There are no fetch sessions (KIP-227): the session id is always 0, which tells clients to send whole
// requests. From 9 on leader epochs are checked. A request that finds less than MinBytes waits until there is more, MaxWaitMillis are
// over, or something is wrong with a partition. Requests of replicas are refused: they have a port of their own.
func fetch(c *conn, ctx context.Context, req *kmsg.FetchRequest) *fetchResponse {
	f := &fetcher{c: c, req: req}
	if req.ReplicaID >= 0 {
		return f.refuse(kerr.ClusterAuthorizationFailed)
	}
	if req.SessionID != 0 && req.SessionEpoch > 0 {
		return f.refuse(kerr.FetchSessionIDNotFound)
	}
	for i := range req.Topics {
		rt := &req.Topics[i]
		for j := range rt.Partitions {
			r := fetchRead{topic: rt.Topic, request: &rt.Partitions[j]}
			r.part, r.err = c.server.config.Partitions.Partition(r.topic, r.request.Partition)
			f.reads = append(f.reads, r)
		}
	}
	limit := int64(min(max(req.MaxBytes, 0), MaxFetchBytes))
	if !f.look(limit) {
		f.await(ctx, limit)
	}
	held := f.bytes
	if !c.server.memory.tryTake(held) {
		held = 0
		f.look(min(limit, scarceFetchBytes))
	}
	return &fetchResponse{f.respond(), held}
}

func (f *fetcher) refuse(err *kerr.Error) *fetchResponse {
	resp := f.req.ResponseKind().(*kmsg.FetchResponse)
	resp.ErrorCode = err.Code
	if f.req.Version >= 7 {
		return &fetchResponse{resp, 0}
	}
	for _, rt := range f.req.Topics {
		for i := range rt.Partitions {
			f.reads = append(f.reads, fetchRead{topic: rt.Topic, request: &rt.Partitions[i], err: err})
		}
	}
	return &fetchResponse{f.respond(), 0}
}

// look reads all partitions, in the client's order, and reports whether the request can be answered with what there is. The limit on bytes gives way to
// one whole batch of the first partition that has any (KIP-74).
func (f *fetcher) look(limit int64) bool {
	f.release()
	failed := false
	for i := range f.reads {
		r := &f.reads[i]
		if r.part == nil {
			failed = true
			continue
		}
		if f.bytes > 0 && f.bytes >= limit {
			// Bounds are told all the same: a client may wait for the high watermark to move.
			r.got, r.err = r.part.Fetch(r.request.FetchOffset, 0, f.committed(), r.request.CurrentLeaderEpoch)
			dropRecords(&r.got)
		} else {
			f.read(r, limit)
		}
		failed = failed || r.err != nil
	}
	return failed || len(f.reads) == 0 || f.bytes >= int64(f.req.MinBytes)
}

func (f *fetcher) read(r *fetchRead, limit int64) {
	most := min(limit-f.bytes, int64(max(r.request.PartitionMaxBytes, 0)))
	r.got, r.err = r.part.Fetch(r.request.FetchOffset, int(most), f.committed(), r.request.CurrentLeaderEpoch)
	if r.got.Records == nil {
		return
	}
	if n := r.got.Records.Len(); f.bytes > 0 && n > most {
		dropRecords(&r.got) // a whole batch that does not fit, and this is not the first
	} else {
		f.bytes += n
	}
}

func dropRecords(got *Fetched) {
	if got.Records != nil {
		got.Records.Release()
		got.Records = nil
	}
}

func (f *fetcher) committed() bool { return f.req.IsolationLevel == isolationCommitted }

// await looks again whenever one of the partitions says so, until there is enough or the time is over.
func (f *fetcher) await(ctx context.Context, limit int64) {
	wait := min(time.Duration(max(f.req.MaxWaitMillis, 0))*time.Millisecond, maxWait)
	if wait == 0 {
		return
	}
	wake := make(chan struct{}, 1)
	for i := range f.reads {
		defer f.reads[i].part.Subscribe(wake)()
	}
	timer := f.c.server.config.Clock.NewTimer(wait)
	defer timer.Stop()
	for !f.look(limit) {
		select {
		case <-wake:
		case <-timer.C():
			return
		case <-ctx.Done():
			return
		}
	}
}

// release gives up what the last look found.
func (f *fetcher) release() {
	f.bytes = 0
	for i := range f.reads {
		dropRecords(&f.reads[i].got)
	}
}

// respond builds the response and gives up the records, copied into it.
func (f *fetcher) respond() *kmsg.FetchResponse {
	defer f.release()
	resp := f.req.ResponseKind().(*kmsg.FetchResponse)
	resp.Topics = make([]kmsg.FetchResponseTopic, 0, len(f.req.Topics))
	next := 0
	for _, rt := range f.req.Topics {
		topic := kmsg.NewFetchResponseTopic()
		topic.Topic = rt.Topic
		topic.Partitions = make([]kmsg.FetchResponseTopicPartition, 0, len(rt.Partitions))
		for range rt.Partitions {
			topic.Partitions = append(topic.Partitions, f.respondPart(&f.reads[next]))
			next++
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

func (f *fetcher) respondPart(r *fetchRead) kmsg.FetchResponseTopicPartition {
	part := kmsg.NewFetchResponseTopicPartition()
	part.Partition = r.request.Partition
	part.RecordBatches = []byte{}
	part.AbortedTransactions = []kmsg.FetchResponseTopicPartitionAbortedTransaction{}
	err := r.err
	if err == nil && r.got.Records != nil {
		part.RecordBatches, err = r.got.Records.AppendTo(make([]byte, 0, r.got.Records.Len()))
		if err == nil && f.req.Version < zstdFetchVersion && hasZstd(part.RecordBatches) {
			err = kerr.UnsupportedCompressionType
		}
	}
	part.HighWatermark = -1
	if part.ErrorCode = code(err); err != nil {
		part.RecordBatches = []byte{}
		if !errors.Is(err, kerr.OffsetOutOfRange) {
			return part
		}
	}
	part.HighWatermark, part.LastStableOffset, part.LogStartOffset = r.got.HighWatermark, r.got.LastStable, r.got.LogStart
	for _, a := range r.got.Aborted {
		txn := kmsg.NewFetchResponseTopicPartitionAbortedTransaction()
		txn.ProducerID, txn.FirstOffset = a.ProducerID, a.FirstOffset
		part.AbortedTransactions = append(part.AbortedTransactions, txn)
	}
	// Clients take them off the front as they read on.
	slices.SortFunc(part.AbortedTransactions, func(a, b kmsg.FetchResponseTopicPartitionAbortedTransaction) int {
		return cmp.Compare(a.FirstOffset, b.FirstOffset)
	})
	return part
}

// hasZstd reports whether a batch is compressed with zstd.
func hasZstd(batches []byte) bool {
	for len(batches) > 0 {
		h, err := record.ParseHeader(batches)
		if err != nil {
			return false
		}
		if h.Attributes.Codec() == record.Zstd {
			return true
		}
		batches = batches[min(h.Size(), len(batches)):]
	}
	return false
}
