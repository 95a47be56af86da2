package replication

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/replication/core"
	"github.com/millracedb/millrace/replication/metadata"
)

// sweepEvery is how often all partitions of a session are looked at, on both sides, whether or not anything is known to have happened: so a leader knows again that an idle follower is
// caught up, and a follower hears of a log start that has moved. It is far below lagMaxMs.
const sweepEvery = 5 * time.Second

// throttledWait is how soon a fetch looks again at what the throttle keeps back.
const throttledWait = 100 * time.Millisecond

// fetchSession is what a leader knows of all that one node copies from it (KIP-227): each fetch names the partitions only of which the follower has something new to say, the answer those of
// which the leader has. So idle partitions cost nothing on the wire, and nothing here: of all partitions only the busy ones are looked at.
type fetchSession struct {
	id       int32
	follower int32
	wake     chan struct{} // capacity one: a partition has become busy
	done     chan struct{} // closed when the session ends
	serving  sync.Mutex    // held by the fetch that is served; before Partition.mu, which is before mu

	mu struct {
		sync.Mutex
		epoch int32 // of the next fetch
		parts map[partKey]*fetchPart
		busy  []*fetchPart // each once
		swept time.Time
		ended bool
	}
}

// fetchPart is one partition of a session. Who serves the session has it to itself, but for busy.
type fetchPart struct {
	session *fetchSession
	key     partKey
	p       *Partition // nil: to be looked up
	ask     replicaFetch
	start   int64 // log start that the follower was told; the high watermark it was told is ask.hw
	busy    bool  // under session.mu
}

func newFetchSession(id, follower int32) *fetchSession {
	s := &fetchSession{id: id, follower: follower, wake: make(chan struct{}, 1), done: make(chan struct{})}
	s.mu.epoch = 1
	s.mu.parts = map[partKey]*fetchPart{}
	return s
}

// mark has a partition looked at when the session is served next, or now if a fetch waits.
func (s *fetchSession) mark(part *fetchPart) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.markLocked(part)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *fetchSession) markLocked(part *fetchPart) {
	if !part.busy {
		part.busy = true
		s.mu.busy = append(s.mu.busy, part)
	}
}

// takeBusy takes the partitions to be looked at, all of them if it is time.
func (s *fetchSession) takeBusy(now time.Time) []*fetchPart {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.mu.swept) >= sweepEvery {
		s.mu.swept = now
		for _, part := range s.mu.parts { // in the order of the map, which is another each time: nobody is always last
			s.markLocked(part)
		}
	}
	busy := s.mu.busy
	s.mu.busy = nil
	for _, part := range busy {
		part.busy = false
	}
	return busy
}

// keepBusy puts partitions back that have to be looked at again, before those that have come meanwhile.
func (s *fetchSession) keepBusy(parts []*fetchPart) {
	s.mu.Lock()
	defer s.mu.Unlock()
	came := s.mu.busy
	s.mu.busy = nil
	for _, part := range came {
		part.busy = false
	}
	for _, list := range [][]*fetchPart{parts, came} {
		for _, part := range list {
			if s.mu.parts[part.key] == part {
				s.markLocked(part)
			}
		}
	}
}

// update takes over what a fetch says, and adds and forgets partitions; false if the session has ended.
func (s *fetchSession) update(req *kmsg.FetchRequest) bool {
	var gone []*fetchPart
	s.mu.Lock()
	if s.mu.ended {
		s.mu.Unlock()
		return false
	}
	for i := range req.ForgottenTopics {
		rt := &req.ForgottenTopics[i]
		for _, id := range rt.Partitions {
			key := partKey{rt.TopicID, id}
			if part := s.mu.parts[key]; part != nil {
				delete(s.mu.parts, key)
				gone = append(gone, part)
			}
		}
	}
	for i := range req.Topics {
		rt := &req.Topics[i]
		for j := range rt.Partitions {
			rp := &rt.Partitions[j]
			key := partKey{rt.TopicID, rp.Partition}
			part := s.mu.parts[key]
			if part == nil {
				part = &fetchPart{session: s, key: key}
				s.mu.parts[key] = part
			}
			part.ask = replicaFetch{
				fetch:        core.Fetch{Replica: s.follower, Offset: rp.FetchOffset, LogStart: rp.LogStartOffset},
				currentEpoch: rp.CurrentLeaderEpoch, lastFetched: rp.LastFetchedEpoch, record: recordOf(rp), hw: rp.HighWatermark, maxBytes: int(rp.PartitionMaxBytes),
			}
			part.start = rp.LogStartOffset
			s.markLocked(part)
		}
	}
	s.mu.Unlock()
	for _, part := range gone {
		part.leave()
	}
	return true
}

// end ends the session: a fetch that waits is answered, and no partition knows of it any more.
func (s *fetchSession) end() {
	s.mu.Lock()
	if s.mu.ended {
		s.mu.Unlock()
		return
	}
	s.mu.ended = true
	close(s.done)
	s.mu.Unlock()
	s.serving.Lock()
	defer s.serving.Unlock()
	s.mu.Lock()
	parts := s.mu.parts
	s.mu.parts, s.mu.busy = map[partKey]*fetchPart{}, nil
	s.mu.Unlock()
	for _, part := range parts {
		part.leave()
	}
}

// session finds the session that a fetch belongs to, or begins one; once says that it ends with this fetch.
func (m *Manager) session(from int32, req *kmsg.FetchRequest) (s *fetchSession, once bool, err error) {
	if req.SessionEpoch < 0 {
		return newFetchSession(0, from), true, nil
	}
	m.mu.Lock()
	old := m.mu.sessions[from]
	if req.SessionEpoch == 0 {
		m.mu.lastSession++
		s = newFetchSession(m.mu.lastSession, from)
		m.mu.sessions[from] = s
		m.mu.Unlock()
		if old != nil {
			old.end()
		}
		return s, false, nil
	}
	m.mu.Unlock()
	if old == nil || old.id != req.SessionID {
		return nil, false, kerr.FetchSessionIDNotFound
	}
	old.mu.Lock()
	defer old.mu.Unlock()
	if old.mu.ended || old.mu.epoch != req.SessionEpoch {
		return nil, false, kerr.InvalidFetchSessionEpoch
	}
	old.mu.epoch = nextSessionEpoch(old.mu.epoch)
	return old, false, nil
}

// nextSessionEpoch is the epoch of the fetch after one; 0 and -1 mean other things.
func nextSessionEpoch(epoch int32) int32 { return max(epoch+1, 1) }

// freshLeader reports whether this node has come to lead something just now.
func (m *Manager) freshLeader() bool {
	at := m.ledSince.Load()
	return at != 0 && m.opts.Clock.Since(m.lease.begun)-time.Duration(at) < freshTime
}

// noteLeaderships has followers come back soon if changes make this node the leader of something.
func (m *Manager) noteLeaderships(changes []metadata.TopicChange) {
	if !slices.ContainsFunc(changes, func(c metadata.TopicChange) bool { return begins(c, m.opts.NodeID) }) {
		return
	}
	m.ledSince.Store(max(1, int64(m.opts.Clock.Since(m.lease.begun))))
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.mu.sessions {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// begins reports whether a node leads a partition of a topic that it did not lead before the change.
func begins(c metadata.TopicChange, node int32) bool {
	if c.New == nil {
		return false
	}
	for i, p := range c.New.Partitions {
		if p.Leader == node && (c.Old == nil || i >= len(c.Old.Partitions) || c.Old.Partitions[i].Leader != node) {
			return true
		}
	}
	return false
}

// endSessions ends the sessions of nodes that so says.
func (m *Manager) endSessions(so func(follower int32) bool) {
	var ended []*fetchSession
	m.mu.Lock()
	for follower, s := range m.mu.sessions {
		if so(follower) {
			delete(m.mu.sessions, follower)
			ended = append(ended, s)
		}
	}
	m.mu.Unlock()
	for _, s := range ended {
		s.end()
	}
}

const (
	// maxFetchWait bounds what a follower may ask to wait.
	maxFetchWait = time.Second
	// freshWait bounds it while this node has only just come to lead some partition, for freshTime: a follower that waits here for the records of others cannot ask for those of that one, and
	// without it nothing is committed there.
	freshWait = 10 * time.Millisecond
	freshTime = time.Second
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
		resp.ErrorCode = code(err)
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
		out.ErrorCode = code(err)
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

// enter finds the partition and has it tell the session of what happens to it.
func (part *fetchPart) enter(m *Manager) error {
	if part.p != nil {
		return nil
	}
	p, err := m.byID(part.key.topic, part.key.id)
	if err != nil {
		return err
	}
	part.p = p
	p.addFollower(part)
	return nil
}

// leave ends that.
func (part *fetchPart) leave() {
	if part.p != nil {
		part.p.removeFollower(part)
	}
}
