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
// acknowledgements. The fetches are a session (KIP-227): each names the partitions only that are elsewhere than the leader was told.
type fetcher struct {
	m      *Manager
	leader int32
	wake   chan struct{} // capacity one: there is a partition to follow

	// Of the goroutine alone.
	sessionID, sessionEpoch int32 // of the next fetch; epoch 0 begins a session
	at                      map[partKey]*position
	fresh                   map[partKey]*position // those whose leader has not answered yet in the epoch in which it is asked
	swept                   time.Time

	mu struct {
		sync.Mutex
		parts map[*Partition]struct{}
		dirty map[*Partition]struct{} // to be looked at before the next fetch, also those that are followed no more
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
		f = &fetcher{m: m, leader: leader, wake: make(chan struct{}, 1), at: map[partKey]*position{}, fresh: map[partKey]*position{}}
		f.mu.parts, f.mu.dirty = map[*Partition]struct{}{}, map[*Partition]struct{}{}
		m.mu.fetchers[leader] = f
		m.wg.Go(f.run)
	}
	f.add(p)
}

func (f *fetcher) add(p *Partition) {
	f.mu.Lock()
	f.mu.parts[p] = struct{}{}
	f.mu.dirty[p] = struct{}{}
	f.mu.Unlock()
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

func (f *fetcher) forget(p *Partition) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.mu.parts[p]; ok {
		delete(f.mu.parts, p)
		f.mu.dirty[p] = struct{}{}
	}
}

// changed notes that a partition may be elsewhere now.
func (f *fetcher) changed(p *Partition) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.dirty[p] = struct{}{}
}

func (f *fetcher) run() {
	pause := fetchPauseMin
	timer := f.m.opts.Clock.NewTimer(pause)
	defer timer.Stop()
	for f.m.ctx.Err() == nil {
		req := f.request(f.m.ctx)
		if len(f.at) == 0 && len(req.ForgottenTopics) == 0 {
			timer.Reset(fetchPauseMax) // a partition whose log failed may have been repaired
			select {
			case <-f.wake:
			case <-timer.C():
			case <-f.m.ctx.Done():
			}
			continue
		}
		err := f.round(f.m.ctx, req)
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

// request makes the next fetch, from where each partition is that is elsewhere than the leader knows.
func (f *fetcher) request(ctx context.Context) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.MaxWaitMillis, req.MinBytes, req.MaxBytes = fetchVersion, int32(fetchWait.Milliseconds()), 1, fetchBytes
	req.SessionID, req.SessionEpoch = f.sessionID, f.sessionEpoch
	req.ReplicaState.ID, req.ReplicaState.Epoch = f.m.opts.NodeID, int64(f.m.opts.Peers.Epoch())
	here, gone := f.positions()
	byTopic := map[[16]byte]int{}
	for _, pos := range here {
		p := pos.p
		key := partKey{p.topicID, p.id}
		if err := p.log.WaitDurable(ctx, pos.offset); err != nil {
			gone = append(gone, p) // its log takes nothing any more, or the node stops
			continue
		}
		if was := f.at[key]; was != nil && *was == pos {
			continue
		}
		f.at[key] = &pos
		f.fresh[key] = &pos
		i, ok := byTopic[p.topicID]
		if !ok {
			i = len(req.Topics)
			byTopic[p.topicID] = i
			t := kmsg.NewFetchRequestTopic()
			t.TopicID = p.topicID
			req.Topics = append(req.Topics, t)
		}
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, pos.request())
	}
	for _, p := range gone {
		key := partKey{p.topicID, p.id}
		if was := f.at[key]; was == nil || was.p != p {
			continue // another one of its name is followed by now
		}
		delete(f.at, key)
		delete(f.fresh, key)
		if f.sessionEpoch > 0 {
			t := kmsg.NewFetchRequestForgottenTopic()
			t.TopicID, t.Partitions = p.topicID, []int32{p.id}
			req.ForgottenTopics = append(req.ForgottenTopics, t)
		}
	}
	return req
}

// positions is where the partitions are that may have moved, all of them if it is time, and which are followed no more. What a partition holds from a time when this node led it, and what a
// transaction wrote may not be synced then, is synced first: to ask from an offset is to say that everything below it is durable.
func (f *fetcher) positions() (here []position, gone []*Partition) {
	now := f.m.opts.Clock.Now()
	f.mu.Lock()
	look := f.mu.dirty
	f.mu.dirty = map[*Partition]struct{}{}
	if f.sessionEpoch == 0 || now.Sub(f.swept) >= sweepEvery {
		f.swept = now
		for p := range f.mu.parts {
			look[p] = struct{}{}
		}
	}
	var followed []*Partition
	for p := range look {
		if _, ok := f.mu.parts[p]; ok {
			followed = append(followed, p)
		} else {
			gone = append(gone, p)
		}
	}
	f.mu.Unlock()
	for _, p := range followed {
		p.lead.RLock() // or a log that is dropped just now might be found half dropped
		pos, ok := p.position(f.leader)
		p.lead.RUnlock()
		if ok {
			if pos.hold = f.throttled(p) && f.m.inbound.left(now) == 0; pos.hold {
				f.changed(p)
			}
			p.Flush(pos.offset)
			here = append(here, pos)
		} else {
			gone = append(gone, p)
		}
	}
	return here, gone
}

// throttled reports whether what is copied of a partition counts for the throttle.
func (f *fetcher) throttled(p *Partition) bool {
	return f.m.inbound.active() && p.catchesUp() && f.m.throttled(&f.m.inbound, p.topicID, p.id, SettingThrottledAtFollower)
}

// restart has the next fetch begin a session.
func (f *fetcher) restart() {
	f.sessionID, f.sessionEpoch = 0, 0
	clear(f.at)
	clear(f.fresh)
}

// heard notes of which partitions the leader has answered for the first time in its epoch: of those about which it does not complain.
func (f *fetcher) heard(resp *kmsg.FetchResponse) {
	if len(f.fresh) == 0 {
		return
	}
	refused := map[partKey]bool{}
	for i := range resp.Topics {
		for _, rp := range resp.Topics[i].Partitions {
			refused[partKey{resp.Topics[i].TopicID, rp.Partition}] = rp.ErrorCode != 0
		}
	}
	for key, pos := range f.fresh {
		if !refused[key] {
			pos.p.served(pos.epoch)
			delete(f.fresh, key)
		}
	}
}

// round makes one fetch and acts on the answer. All appends come first, so that their syncs run side by side, and so do those appends that write a checkpoint themselves: a replica that is new, or has a
// new leader, does with its first records, and the others that are copied from this leader, which are in sync, would wait for thousands of them. The error is one after which to pause.
func (f *fetcher) round(ctx context.Context, req *kmsg.FetchRequest) error {
	resp, err := f.m.opts.Peers.Fetch(ctx, f.leader, req)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil {
		f.restart()
		return err
	}
	f.heard(resp)
	var acted outcome
	each := func(do func(*position, *kmsg.FetchResponseTopicPartition)) {
		for i := range resp.Topics {
			rt := &resp.Topics[i]
			for j := range rt.Partitions {
				rp := &rt.Partitions[j]
				pos := f.at[partKey{rt.TopicID, rp.Partition}]
				if pos == nil {
					continue
				}
				do(pos, rp)
			}
		}
	}
	var slow []func()
	each(func(pos *position, rp *kmsg.FetchResponseTopicPartition) {
		f.changed(pos.p)
		if len(rp.RecordBatches) > 0 && f.throttled(pos.p) {
			f.m.inbound.took(len(rp.RecordBatches))
		}
		if pos.beginsEpoch(rp) {
			slow = append(slow, func() { acted.note(rp, pos.take(rp)) })
			return
		}
		acted.note(rp, pos.take(rp))
	})
	parallel(slow)
	each(func(pos *position, rp *kmsg.FetchResponseTopicPartition) { acted.note(rp, pos.finish(ctx, rp)) })
	if f.sessionID, f.sessionEpoch = resp.SessionID, nextSessionEpoch(f.sessionEpoch); f.sessionID == 0 {
		f.restart() // its release knows of no sessions
	}
	if acted.moved {
		return nil
	}
	return acted.errs
}

// outcome is what came of the answers for all partitions.
type outcome struct {
	sync.Mutex
	moved bool // something could be done for one
	errs  error
}

func (o *outcome) note(r *kmsg.FetchResponseTopicPartition, err error) {
	o.Lock()
	defer o.Unlock()
	o.moved = o.moved || r.ErrorCode == 0 && err == nil
	o.errs = errors.Join(o.errs, err)
}
