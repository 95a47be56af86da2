package coordinator

import (
	"context"
	"iter"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kerr"
)

// tenure is what the leases of both kinds of coordinators have in common: one term as leader of a partition of their topics.
type tenure struct {
	tp     TopicPartition
	part   Partition
	ready  atomic.Bool // loaded
	ctx    context.Context
	cancel context.CancelFunc

	writing struct {
		sync.Mutex
		over bool // nothing is appended any more
	}
}

func (t *tenure) term() *tenure { return t }

// begin makes the tenure one of a partition; it lasts until end, or ctx ends.
func (t *tenure) begin(ctx context.Context, tp TopicPartition, p Partition) {
	t.tp, t.part = tp, p
	t.ctx, t.cancel = context.WithCancel(ctx)
}

// end makes sure that nothing more is written: a tenure of the same term may follow.
func (t *tenure) end() {
	t.cancel()
	t.writing.Lock()
	defer t.writing.Unlock()
	t.writing.over = true
}

// append writes to the log while the tenure lasts.
func (t *tenure) append(ctx context.Context, batch []byte, opts AppendOptions) (base, next int64, err error) {
	t.writing.Lock()
	defer t.writing.Unlock()
	if t.writing.over {
		return 0, 0, kerr.NotLeaderForPartition
	}
	return t.part.Append(ctx, batch, opts)
}

// leaseTable keeps the leases of one kind of coordinators.
type leaseTable[L any, P interface {
	*L
	term() *tenure
}] struct {
	slots slots
	held  []atomic.Pointer[L] // by slot; nil where this node does not lead
}

func newLeaseTable[L any, P interface {
	*L
	term() *tenure
}](cfg Config) leaseTable[L, P] {
	return leaseTable[L, P]{slots{cfg.InternalPartitions, cfg.PartitionCount}, make([]atomic.Pointer[L], 2*cfg.InternalPartitions)}
}

// at is the lease of a partition, nil if this node does not lead it.
func (t *leaseTable[L, P]) at(tp TopicPartition) P {
	if slot, ok := t.slots.of(tp); ok {
		return t.held[slot].Load()
	}
	return nil
}

// serving is the lease of a partition by which this node can answer for what the partition keeps.
func (t *leaseTable[L, P]) serving(tp TopicPartition) (P, *kerr.Error) {
	l := t.at(tp)
	switch {
	case l == nil || !l.term().part.Leads():
		return nil, kerr.NotCoordinator
	case !l.term().ready.Load():
		return nil, kerr.CoordinatorLoadInProgress
	}
	return l, nil
}

// swap puts l, which may be nil, in place of the lease of a partition, which ends before.
func (t *leaseTable[L, P]) swap(tp TopicPartition, l P) {
	if slot, ok := t.slots.of(tp); ok {
		if old := P(t.held[slot].Swap(nil)); old != nil {
			old.term().end()
		}
		t.held[slot].Store(l)
	}
}

// all gives the leases, loaded or not.
func (t *leaseTable[L, P]) all() iter.Seq[P] {
	return func(yield func(P) bool) {
		for i := range t.held {
			if l := P(t.held[i].Load()); l != nil && !yield(l) {
				return
			}
		}
	}
}

// loaded gives the leases that are loaded.
func (t *leaseTable[L, P]) loaded() iter.Seq[P] {
	return func(yield func(P) bool) {
		for l := range t.all() {
			if l.term().ready.Load() && !yield(l) {
				return
			}
		}
	}
}

// close ends all leases.
func (t *leaseTable[L, P]) close() {
	for l := range t.all() {
		t.swap(l.term().tp, nil)
	}
}
