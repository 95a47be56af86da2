package locallog

import (
	"context"
	"sync"
)

// readsPerNode is how many reads of records are under way at a node at the same time: each has a connection of its own, and tasks that start together would open more than a node takes.
const readsPerNode = 64

// slots bounds what is under way at each node.
type slots struct {
	sync.Mutex
	of map[int32]chan struct{}
}

// begin waits for a slot of a node; done gives it up.
func (s *slots) begin(ctx context.Context, node int32) (done func(), err error) {
	s.Lock()
	if s.of == nil {
		s.of = map[int32]chan struct{}{}
	}
	slot := s.of[node]
	if slot == nil {
		slot = make(chan struct{}, readsPerNode)
		s.of[node] = slot
	}
	s.Unlock()
	select {
	case slot <- struct{}{}:
		return func() { <-slot }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
