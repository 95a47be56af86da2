package engine

import (
	"slices"

	"github.com/millracedb/millrace/replication/metadata"
)

// A node that has just joined, or comes back, opens the partitions that it is to have a replica of before it runs anything, which are thousands where there are hundreds of queries. It is dealt no
// tasks until it has told that it is that far: where they are they go on meanwhile, and are stopped for no longer than a move takes.

// readyNodes are the active nodes to which tasks may be dealt: those that were dealt some before, and those that have told that they run queries.
func (s *supervisor) readyNodes(img *metadata.Image) []int32 {
	before := img.DealtNodes()
	return slices.DeleteFunc(activeNodes(img), func(id int32) bool {
		return id != s.e.opts.NodeID && !slices.Contains(before, id) && !s.isReady(img, id)
	})
}

// isReady reports whether a node has told that it runs queries since it registered; if not, it is asked, and the loop looks again when it has answered.
func (s *supervisor) isReady(img *metadata.Image, id int32) bool {
	k, ok := img.Broker(id)
	if !ok {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.mu.ready[id]
	if r.epoch != k.Epoch {
		r = readiness{epoch: k.Epoch}
		s.mu.ready[id] = r
		s.wg.Go(func() { s.awaitReady(id, k.Epoch) })
	}
	return r.told
}

// readiness is what is known of a node in one of its lives.
type readiness struct {
	epoch uint64 // of its registration
	told  bool
}

// awaitReady waits until a node has acted on the metadata, twice: what it is to have replicas of is decided just after it has come.
func (s *supervisor) awaitReady(id int32, epoch uint64) {
	for range 2 {
		if !s.e.awaitActedAt(s.ctx, id, s.e.meta.Image().Index()) {
			return
		}
	}
	s.mu.Lock()
	k, ok := s.e.meta.Image().Broker(id)
	switch {
	case s.mu.ready[id].epoch != epoch:
	case ok && k.Epoch == epoch && !k.Fenced && !k.Draining:
		s.mu.ready[id] = readiness{epoch, true}
	default:
		delete(s.mu.ready, id) // it has gone again: it is asked when it is back
	}
	s.mu.Unlock()
	s.lookAgain()
}
