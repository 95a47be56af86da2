package replication

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// fetchVersion is the version of Fetch between nodes: the first with the follower's high watermark (KIP-1166); broker epochs came with 15.
	fetchVersion = 18
	// fetchWait is how long a leader may hold a fetch for which it has nothing.
	fetchWait = 500 * time.Millisecond
	// fetchBytes bounds an answer, fetchPartitionBytes the part of one partition in it, but for a single larger batch.
	fetchBytes          = 8 << 20
	fetchPartitionBytes = 1 << 20
	// fetchPauseMin and fetchPauseMax bound the wait after a fetch that failed.
	fetchPauseMin = 20 * time.Millisecond
	fetchPauseMax = 500 * time.Millisecond
)

// fetcher copies from one leader all partitions that this node follows it in, with one fetch at a time: what a fetch brought is durable before the next is sent, so its offsets are
// acknowledgements.
type fetcher struct {
	m      *Manager
	leader int32
	wake   chan struct{} // capacity one: there is a partition to follow

	mu struct {
		sync.Mutex
		parts map[*Partition]struct{}
	}
}

// follow has a partition copied from leader from now on, and from no one else; nobody if leader is negative.
func (m *Manager) follow(p *Partition, leader int32) {
	if m.opts.Peers == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.closed {
		return
	}
	for node, f := range m.mu.fetchers {
		if node != leader {
			f.forget(p)
		}
	}
	if leader < 0 || leader == m.opts.NodeID {
		return
	}
	f := m.mu.fetchers[leader]
	if f == nil {
		f = &fetcher{m: m, leader: leader, wake: make(chan struct{}, 1)}
		f.mu.parts = map[*Partition]struct{}{}
		m.mu.fetchers[leader] = f
		m.wg.Go(f.run)
	}
	f.add(p)
}

func (f *fetcher) add(p *Partition) {
	f.mu.Lock()
	f.mu.parts[p] = struct{}{}
	f.mu.Unlock()
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

func (f *fetcher) forget(p *Partition) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.mu.parts, p)
}

func (f *fetcher) run() {
	pause := fetchPauseMin
	timer := f.m.opts.Clock.NewTimer(pause)
	defer timer.Stop()
	for f.m.ctx.Err() == nil {
		req, at := f.request(f.m.ctx)
		if len(at) == 0 {
			timer.Reset(fetchPauseMax) // a partition whose log failed may have been repaired
			select {
			case <-f.wake:
			case <-timer.C():
			case <-f.m.ctx.Done():
			}
			continue
		}
		err := f.round(f.m.ctx, req, at)
		if err == nil {
			pause = fetchPauseMin
			continue
		}
		f.m.opts.Logger.Debug("fetch from leader", "leader", f.leader, "err", err)
		timer.Reset(pause)
		select {
		case <-timer.C():
		case <-f.wake: // the leader may have changed
		case <-f.m.ctx.Done():
		}
		pause = min(2*pause, fetchPauseMax)
	}
}

// partKey names a partition in a Fetch.
type partKey struct {
	topic [16]byte
	id    int32
}

// request makes the next fetch, from where each partition is.
func (f *fetcher) request(ctx context.Context) (*kmsg.FetchRequest, map[partKey]*position) {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionEpoch = fetchVersion, int32(fetchWait.Milliseconds()), 1, fetchBytes, -1
	req.ReplicaState.ID, req.ReplicaState.Epoch = f.m.opts.NodeID, int64(f.m.opts.Peers.Epoch())
	positions := f.positions()
	at := make(map[partKey]*position, len(positions))
	byTopic := map[[16]byte]int{}
	for _, pos := range positions { // in the order of the map, which is another each time: nobody is always last
		p := pos.p
		if err := p.log.WaitDurable(ctx, pos.offset); err != nil {
			continue // its log takes nothing any more, or the node stops
		}
		i, ok := byTopic[p.topicID]
		if !ok {
			i = len(req.Topics)
			byTopic[p.topicID] = i
			t := kmsg.NewFetchRequestTopic()
			t.TopicID = p.topicID
			req.Topics = append(req.Topics, t)
		}
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, pos.request())
		at[partKey{p.topicID, p.id}] = &pos
	}
	return req, at
}

// positions is where the partitions are. What a partition holds from a time when this node led it, and what a transaction wrote may not be synced then, is synced first: to ask from an
// offset is to say that everything below it is durable.
func (f *fetcher) positions() []position {
	f.mu.Lock()
	parts := make([]*Partition, 0, len(f.mu.parts))
	for p := range f.mu.parts {
		parts = append(parts, p)
	}
	f.mu.Unlock()
	positions := make([]position, 0, len(parts))
	for _, p := range parts {
		if pos, ok := p.position(f.leader); ok {
			p.Flush(pos.offset)
			positions = append(positions, pos)
		}
	}
	return positions
}

// round makes one fetch and acts on the answer. All appends come first, so that their syncs run side by side. The error is one after which to pause.
func (f *fetcher) round(ctx context.Context, req *kmsg.FetchRequest, at map[partKey]*position) error {
	resp, err := f.m.opts.Peers.Fetch(ctx, f.leader, req)
	if err != nil {
		return err
	}
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return err
	}
	moved := false
	var errs error
	each := func(do func(*position, *kmsg.FetchResponseTopicPartition) error) {
		for i := range resp.Topics {
			rt := &resp.Topics[i]
			for j := range rt.Partitions {
				rp := &rt.Partitions[j]
				pos := at[partKey{rt.TopicID, rp.Partition}]
				if pos == nil {
					continue
				}
				moved = moved || rp.ErrorCode == 0
				errs = errors.Join(errs, do(pos, rp))
			}
		}
	}
	each((*position).take)
	each(func(pos *position, rp *kmsg.FetchResponseTopicPartition) error { return pos.finish(ctx, rp) })
	if moved {
		return nil
	}
	return errs
}
