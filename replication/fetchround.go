package replication

import (
	"context"
	"math"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// maxFetchWait bounds what a follower may ask to wait.
	maxFetchWait = time.Second
	// freshWait bounds it while this node has only just come to lead some partition, for freshTime: a follower that waits here for the records of others cannot ask for those of that one, and
	// without it nothing is committed there.
	freshWait = 10 * time.Millisecond
	freshTime = time.Second
	// throttledWait is how soon a fetch looks again at what the throttle keeps back.
	throttledWait = 100 * time.Millisecond
)

// ServeFetch answers a follower's Fetch, of version fetchVersion: it waits until there are records, or MaxWaitMillis are over, or ctx ends. from is the node that asks.
func (m *Manager) ServeFetch(ctx context.Context, from int32, req *kmsg.FetchRequest) *kmsg.FetchResponse {
	resp := req.ResponseKind().(*kmsg.FetchResponse)
	if req.Version < fetchVersion || req.ReplicaState.ID != from {
		resp.ErrorCode = kerr.InvalidRequest.Code
		return resp
	}
	s, once, err := m.session(from, req)
	if err != nil {
		resp.ErrorCode = ErrorCode(err)
		return resp
	}
	if once {
		defer s.end()
	}
	resp.SessionID = s.id
	s.serving.Lock()
	defer s.serving.Unlock()
	if !s.update(req) {
		resp.ErrorCode = kerr.FetchSessionIDNotFound.Code
		return resp
	}
	r := &fetchRound{m: m, s: s, resp: resp, maxBytes: int(req.MaxBytes), epoch: uint64(req.ReplicaState.Epoch)}
	r.wait(ctx, min(time.Duration(req.MaxWaitMillis)*time.Millisecond, maxFetchWait))
	return resp
}

// fetchRound is one Fetch of a follower while it is being answered.
type fetchRound struct {
	m        *Manager
	s        *fetchSession
	resp     *kmsg.FetchResponse
	maxBytes int           // that the answer may have
	epoch    uint64        // the follower's broker epoch
	held     time.Duration // until those that the throttle keeps back may have something; 0 if there are none
}

// wait makes the answer when there is news, or the time is over.
func (r *fetchRound) wait(ctx context.Context, limit time.Duration) {
	c := r.m.opts.Clock
	deadline := c.Now().Add(limit)
	timer := c.NewTimer(limit)
	defer timer.Stop()
	for !r.fill(false) {
		if soon := c.Now().Add(freshWait); r.m.freshLeader() && soon.Before(deadline) {
			deadline = soon
		}
		left := deadline.Sub(c.Now())
		if r.held > 0 {
			left = min(left, r.held)
		}
		timer.Reset(max(left, 0))
		select {
		case <-r.s.wake:
			continue
		case <-r.s.done:
			return
		case <-ctx.Done():
		case <-timer.C():
			if c.Now().Before(deadline) {
				continue
			}
		}
		r.fill(true)
		return
	}
}

// fill makes the answer, and reports whether it is one to be sent now; late is an answer with what there is.
func (r *fetchRound) fill(late bool) bool {
	r.resp.Topics, r.held = r.resp.Topics[:0], 0
	img, _ := r.m.opts.Metadata.Watch()
	eligible := eligible(img, r.s.follower, r.epoch)
	busy := r.s.takeBusy(r.m.opts.Clock.Now())
	left, send := r.maxBytes, late
	var first, again []*fetchPart // those that had no room, and those that are not at rest
	var told []*fetchPart
	for _, part := range busy {
		part.ask.fetch.BrokerEpoch, part.ask.fetch.Eligible = r.epoch, eligible
		out, v := r.visit(part, left)
		left -= len(out.RecordBatches)
		switch {
		case v.skipped:
			first = append(first, part)
		case !v.rest:
			again = append(again, part)
		}
		if !v.tells {
			continue
		}
		send = send || v.news
		t := kmsg.NewFetchResponseTopic()
		t.TopicID, t.Partitions = part.key.topic, append(t.Partitions, out)
		r.resp.Topics = append(r.resp.Topics, t)
		told = append(told, part)
	}
	if send {
		for i, part := range told {
			out := &r.resp.Topics[i].Partitions[0]
			if out.ErrorCode != 0 || out.DivergingEpoch.Epoch >= 0 {
				continue // it takes nothing else from that
			}
			part.ask.hw, part.start = max(part.ask.hw, out.HighWatermark), max(part.start, out.LogStartOffset)
		}
	} else {
		again = append(again, told...) // it is said with the next answer
	}
	r.s.keepBusy(append(first, again...))
	return send
}

// visited is what came of a look at a partition.
type visited struct {
	tells   bool // there is something for the follower in the answer
	news    bool // which it is waiting for
	rest    bool // nothing is to be done before the partition changes or the follower says something
	skipped bool // there was no room for its records
}

// visit looks at one partition for the follower.
func (r *fetchRound) visit(part *fetchPart, left int) (out kmsg.FetchResponseTopicPartition, v visited) {
	out = kmsg.NewFetchResponseTopicPartition()
	out.Partition, out.LastStableOffset = part.key.id, -1
	err := part.enter(r.m)
	now, throttled := r.m.opts.Clock.Now(), r.m.throttled(&r.m.outbound, part.key.topic, part.key.id, SettingThrottledAtLeader)
	var got replicaFetched
	if err == nil {
		ask := part.ask
		ask.maxBytes, ask.behindBytes = min(ask.maxBytes, left), math.MaxInt
		if throttled {
			ask.behindBytes = r.m.outbound.left(now)
		}
		got, err = part.p.fetchReplica(&ask)
		out.HighWatermark, out.LogStartOffset = got.hw, got.start
	}
	if err == nil {
		out.RecordBatches, err = got.chunk.AppendTo(nil)
		got.chunk.Release()
	}
	if err != nil {
		part.leave()
		part.p = nil
		out.ErrorCode = ErrorCode(err)
		return out, visited{tells: true, news: true}
	}
	if got.diverging.Epoch >= 0 {
		out.DivergingEpoch.Epoch, out.DivergingEpoch.EndOffset = got.diverging.Epoch, got.diverging.End
	}
	v.news = len(out.RecordBatches) > 0 || got.diverging.Epoch >= 0
	v.tells = v.news || got.hw > part.ask.hw || got.start > part.start
	if throttled && !got.inSync {
		r.m.outbound.took(len(out.RecordBatches))
		if got.more && len(out.RecordBatches) == 0 {
			r.held = throttledWait
		}
	}
	v.skipped = !v.news && got.more
	v.rest = !v.news && !got.more && got.inSync && got.hw == got.end && part.ask.fetch.Offset == got.end
	return out, v
}
