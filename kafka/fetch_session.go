package kafka

import (
	"math"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// finalSessionEpoch ends a session, or asks without one; initialSessionEpoch asks for a new one (KIP-227).
	finalSessionEpoch   = -1
	initialSessionEpoch = 0
	// maxSessionParts bounds the partitions of a session. Clients that read more send whole requests.
	maxSessionParts = 10_000
	// sessionPartBytes is what a partition of a session takes of the memory for requests, names included.
	sessionPartBytes = 512
)

// fetchSession is an incremental fetch session (KIP-227): the server keeps the partitions that a client reads, requests name what has changed, and responses leave out
// what has not. It belongs to the connection that began it: clients reconnect seldom, hear FETCH_SESSION_ID_NOT_FOUND then, and begin another, and nothing has to guess
// when a session is over.
type fetchSession struct {
	id    int32
	epoch int32          // of the next request
	byID  bool           // topics go by ids: all requests of a session have versions on the same side of 13
	parts []*sessionPart // in the order in which they are read
	index map[sessionKey]*sessionPart
	held  int64
}

// sessionKey is a partition as requests name it.
type sessionKey struct {
	topic     fetchTopic
	partition int32
}

// sessionPart is a partition of a session, with what the client was told last.
type sessionPart struct {
	topic              fetchTopic
	request            kmsg.FetchRequestTopicPartition
	end, stable, start int64
}

// fetchSession finds or begins the session of a request and brings it up to date; nil if the request has none, or if there is no memory for one.
func (c *conn) fetchSession(req *kmsg.FetchRequest) (*fetchSession, *kerr.Error) {
	s := c.session
	switch {
	case req.SessionEpoch == finalSessionEpoch:
		if s != nil && s.id == req.SessionID {
			c.closeSession()
		}
		return nil, nil
	case req.SessionEpoch == initialSessionEpoch:
		c.closeSession()
		s = &fetchSession{id: c.server.newSessionID(), byID: req.Version >= topicIDFetchVersion, index: map[sessionKey]*sessionPart{}}
		c.session = s
		if !c.updateSession(req) {
			return nil, nil // the client is told so by the session id 0
		}
	case s == nil || s.id != req.SessionID:
		return nil, kerr.FetchSessionIDNotFound
	case s.epoch != req.SessionEpoch:
		return nil, kerr.InvalidFetchSessionEpoch
	case s.byID != (req.Version >= topicIDFetchVersion):
		return nil, kerr.FetchSessionTopicIDError
	case !c.updateSession(req):
		return nil, kerr.FetchSessionIDNotFound
	}
	if s.epoch == math.MaxInt32 {
		s.epoch = initialSessionEpoch
	}
	s.epoch++
	return s, nil
}

// newSessionID is never 0, which stands for no session.
func (s *Server) newSessionID() int32 {
	for {
		if id := s.sessions.Add(1) & math.MaxInt32; id != 0 {
			return id
		}
	}
}

func (c *conn) closeSession() {
	if c.session != nil {
		c.server.memory.give(c.session.held)
		c.session = nil
	}
}

// updateSession adds and forgets partitions as the request says. If the session grows too large it is closed.
func (c *conn) updateSession(req *kmsg.FetchRequest) bool {
	s := c.session
	for i := range req.Topics {
		rt := &req.Topics[i]
		for _, rp := range rt.Partitions {
			s.set(fetchTopic{rt.Topic, rt.TopicID}, rp)
		}
	}
	forgotten := false
	for i := range req.ForgottenTopics {
		rt := &req.ForgottenTopics[i]
		for _, p := range rt.Partitions {
			delete(s.index, sessionKey{fetchTopic{rt.Topic, rt.TopicID}, p})
			forgotten = true
		}
	}
	if forgotten {
		s.parts = slices.DeleteFunc(s.parts, func(p *sessionPart) bool { return s.index[p.key()] != p })
	}
	more := int64(len(s.parts))*sessionPartBytes - s.held
	if len(s.parts) > maxSessionParts || more > 0 && !c.server.memory.tryTake(more) {
		c.closeSession()
		return false
	}
	if more < 0 {
		c.server.memory.give(-more)
	}
	s.held += more
	return true
}

// set adds a partition, or changes what is asked of it.
func (s *fetchSession) set(topic fetchTopic, request kmsg.FetchRequestTopicPartition) {
	key := sessionKey{topic, request.Partition}
	if p := s.index[key]; p != nil {
		p.request = request
		return
	}
	p := &sessionPart{topic: topic, request: request, end: -1, stable: -1, start: -1}
	s.index[key] = p
	s.parts = append(s.parts, p)
}

func (p *sessionPart) key() sessionKey { return sessionKey{p.topic, p.request.Partition} }

// changed reports whether the client of a session has to hear of a partition. Errors are told again each time.
func (r *fetchRead) changed() bool {
	p := r.cached
	return r.err != nil || r.got.Records != nil || r.got.HighWatermark != p.end || r.got.LastStable != p.stable || r.got.LogStart != p.start
}

// remember keeps what the client is told now.
func (r *fetchRead) remember() {
	p := r.cached
	switch {
	case p == nil:
	case r.err != nil:
		p.end, p.stable, p.start = -1, -1, -1
	default:
		p.end, p.stable, p.start = r.got.HighWatermark, r.got.LastStable, r.got.LogStart
	}
}

// rotate puts the partitions whose records were read behind those that had none, so that under a limit of bytes each has its turn.
func (s *fetchSession) rotate(reads []fetchRead) {
	s.parts = s.parts[:0]
	for _, served := range []bool{false, true} {
		for i := range reads {
			if r := &reads[i]; (r.got.Records != nil) == served {
				s.parts = append(s.parts, r.cached)
			}
		}
	}
}
