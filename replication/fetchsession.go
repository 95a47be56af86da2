package replication

import (
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
