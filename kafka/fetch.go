package kafka

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/record"
)

const (
	isolationCommitted = 1
	// zstdFetchVersion is the first version whose clients must know zstd (KIP-110).
	zstdFetchVersion = 10
	// topicIDFetchVersion is the first version that has topic ids in place of names (KIP-516).
	topicIDFetchVersion = 13
)

// fetchRead is one partition of a request while it is answered.
type fetchRead struct {
	topic   fetchTopic
	request kmsg.FetchRequestTopicPartition
	part    Partition // nil if there is none here
	got     Fetched
	err     error
	cached  *sessionPart // nil without a session
}

// fetchTopic is a topic as the request names it: by its id from version 13 on, else by its name. Both are known unless there is no such topic.
type fetchTopic struct {
	name string
	id   [16]byte
}

// fetcher answers one request.
type fetcher struct {
	c       *conn
	req     *kmsg.FetchRequest
	session *fetchSession // nil without one
	whole   bool          // every partition is answered, even if nothing has changed
	reads   []fetchRead
	bytes   int64 // found by the last look
}

// fetch answers key 1, versions 4 to 17. From 7 on there are sessions (fetch_session.go), from 9 on leader epochs are checked, from 13 on topics go by their ids. A
// request that finds less than MinBytes waits until there is more, MaxWaitMillis are over, or something is wrong with a partition. Requests of replicas are refused: they
// have a port of their own.
func fetch(c *conn, ctx context.Context, req *kmsg.FetchRequest) *fetchResponse {
	f := &fetcher{c: c, req: req}
	if req.ReplicaID >= 0 || req.ReplicaState.ID >= 0 {
		return f.refuse(kerr.ClusterAuthorizationFailed)
	}
	var err *kerr.Error
	if f.session, err = c.fetchSession(req); err != nil {
		return f.refuse(err)
	}
	f.gather()
	limit := int64(min(max(req.MaxBytes, 0), MaxFetchBytes))
	if !f.look(limit) {
		f.await(ctx, limit)
	}
	held := f.inMemory()
	if !c.server.memory.tryTake(held) {
		f.look(min(limit, scarceFetchBytes))
		held = 0
	}
	resp := f.respond(held)
	c.pause = max(c.pause, c.charge(quotaConsume, float64(resp.recordBytes())))
	return resp
}

func (f *fetcher) refuse(err *kerr.Error) *fetchResponse {
	if f.req.Version >= 7 {
		return &fetchResponse{version: f.req.Version, code: err.Code}
	}
	f.gather()
	for i := range f.reads {
		f.reads[i].part, f.reads[i].err = nil, err
	}
	return f.respond(0)
}

// gather lists what is to be read: what the request names, or the session's partitions if it only names changes.
func (f *fetcher) gather() {
	f.whole = f.session == nil || f.req.SessionEpoch <= 0
	if f.session != nil {
		for _, p := range f.session.parts {
			f.add(p.topic, p.request, p)
		}
		return
	}
	for i := range f.req.Topics {
		rt := &f.req.Topics[i]
		for _, rp := range rt.Partitions {
			f.add(fetchTopic{rt.Topic, rt.TopicID}, rp, nil)
		}
	}
}

// add looks a partition up. The topic of an id is looked up again with each request: it may have been deleted.
func (f *fetcher) add(topic fetchTopic, request kmsg.FetchRequestTopicPartition, cached *sessionPart) {
	r := fetchRead{topic: topic, request: request, cached: cached}
	if f.req.Version >= topicIDFetchVersion {
		t, ok := f.c.server.config.Cluster.TopicByID(topic.id)
		if !ok {
			r.err = kerr.UnknownTopicID
		}
		r.topic.name = t.Name
	}
	if r.err == nil {
		r.part, r.err = f.c.partition(kmsg.ACLOperationRead, r.topic.name, request.Partition)
	}
	f.reads = append(f.reads, r)
}

// look reads all partitions, in their order, and reports whether the request can be answered with what there is. The limit on bytes gives way to
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
	begin := f.c.server.config.Clock.Now()
	defer func() { f.c.waited += f.c.server.config.Clock.Now().Sub(begin) }()
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

// inMemory is how much of what was found stays in memory until it is sent; the rest goes from file to socket.
func (f *fetcher) inMemory() (n int64) {
	for i := range f.reads {
		if r := f.reads[i].got.Records; r != nil && r.Data() != nil {
			n += r.Len()
		}
	}
	return n
}

// respond hands what was found over to a response.
func (f *fetcher) respond(held int64) *fetchResponse {
	resp := &fetchResponse{version: f.req.Version, held: held, parts: make([]fetchedPart, 0, len(f.reads))}
	for i := range f.reads {
		r := &f.reads[i]
		if r.err == nil && f.req.Version < zstdFetchVersion {
			r.err = f.refuseZstd(r)
		}
		if f.whole || r.changed() {
			resp.parts = append(resp.parts, respondPart(r))
		}
		r.remember()
	}
	f.c.hintFetch(resp)
	if f.session != nil {
		resp.session = f.session.id
		f.session.rotate(f.reads)
	}
	return resp
}

func respondPart(r *fetchRead) fetchedPart {
	part := fetchedPart{topic: r.topic, partition: r.request.Partition, code: code(r.err)}
	part.HighWatermark, part.LastStable, part.LogStart = -1, -1, -1
	if r.err == nil || errors.Is(r.err, kerr.OffsetOutOfRange) {
		part.Fetched = r.got
	}
	return part
}

// refuseZstd refuses records that a client of an old version could not read (KIP-110).
func (f *fetcher) refuseZstd(r *fetchRead) error {
	if r.got.Records == nil {
		return nil
	}
	b, err := r.got.Records.AppendTo(nil)
	if err == nil && hasZstd(b) {
		err = kerr.UnsupportedCompressionType
	}
	if err != nil {
		dropRecords(&r.got)
	}
	return err
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
