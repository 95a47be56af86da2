package coordinator

import (
	"context"
	"math/rand"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millracedb/millrace/internal/record"
)

// memLog is a node's partitions in memory. Flush makes appends durable; crash forgets the rest.
type memLog struct {
	mu struct {
		sync.Mutex
		parts map[TopicPartition]*memPartition
		away  map[TopicPartition]bool // another node leads them
	}
	// skipSync, when set, turns the Flush of matching partitions into a lie: the high watermark moves, a crash forgets all the same.
	skipSync func(tp TopicPartition) bool
	// takesAlong leaves out the log's rule that a transaction which is known to be lost is aborted before the next one of its producer.
	takesAlong bool
	// steps, when not nil, counts down with each append and sync; at zero the node is dead and nothing is written any more.
	steps *atomic.Int64
}

// dead takes a step and reports whether it was one too many.
func (m *memLog) dead() bool { return m.steps != nil && m.steps.Add(-1) < 0 }

type memPartition struct {
	log *memLog
	tp  TopicPartition
	mu  struct {
		sync.Mutex
		frames   [][]byte
		ends     []int64 // LEO behind each frame
		durable  int     // number of frames that a crash leaves
		synced   int     // number of frames below the high watermark
		open     map[int64]int16
		epochs   map[int64]int16
		refusals int    // number of appends still to be refused
		guard    uint64 // the last that was given
		guards   map[int64]uint64
		stuck    chan struct{} // while set the high watermark rests until it closes
		outlives bool          // the next leader has it all the same
		deposed  bool          // another node leads: nothing more comes below the high watermark
	}
}

func newMemLog(topics map[string]int32) *memLog {
	m := &memLog{}
	m.mu.parts = map[TopicPartition]*memPartition{}
	for topic, n := range topics {
		for p := range n {
			m.add(TopicPartition{topic, p})
		}
	}
	return m
}

func (m *memLog) add(tp TopicPartition) *memPartition {
	p := &memPartition{log: m, tp: tp}
	p.mu.open, p.mu.epochs, p.mu.guards = map[int64]int16{}, map[int64]int16{}, map[int64]uint64{}
	m.mu.parts[tp] = p
	return p
}

func (m *memLog) get(topic string, partition int32) *memPartition {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.parts[TopicPartition{topic, partition}]
}

func (m *memLog) remove(tp TopicPartition) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.mu.parts, tp)
}

func (m *memLog) Partition(topic string, partition int32) (Partition, error) {
	p := m.get(topic, partition)
	if p == nil {
		return nil, kerr.UnknownTopicOrPartition
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.away[p.tp] {
		return nil, kerr.NotLeaderForPartition
	}
	return p, nil
}

// setAway makes another node lead these partitions and no others.
func (m *memLog) setAway(tps ...TopicPartition) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.away = map[TopicPartition]bool{}
	for _, tp := range tps {
		m.mu.away[tp] = true
	}
}

func (m *memLog) OpenTransactions() []OpenTransaction {
	m.mu.Lock()
	defer m.mu.Unlock()
	var open []OpenTransaction
	for tp, p := range m.mu.parts {
		if m.mu.away[tp] {
			continue
		}
		p.mu.Lock()
		for id, epoch := range p.mu.open {
			open = append(open, OpenTransaction{tp, id, epoch})
		}
		p.mu.Unlock()
	}
	return open
}

// crash returns the log as a restarted node finds it: all that was flushed, and of the rest in each partition a random prefix.
func (m *memLog) crash(rng *rand.Rand) *memLog {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := newMemLog(nil)
	for tp, p := range m.mu.parts {
		p.mu.Lock()
		keep := p.mu.durable + rng.Intn(len(p.mu.frames)-p.mu.durable+1)
		q := next.add(tp)
		for _, f := range p.mu.frames[:keep] {
			h, _ := record.ParseHeader(f)
			q.push(h, append([]byte(nil), f...))
		}
		q.mu.durable, q.mu.synced = keep, keep
		p.mu.Unlock()
	}
	return next
}

func (p *memPartition) BeginVerification(id int64, epoch int16) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e, open := p.mu.open[id]; open && e == epoch {
		return 0
	}
	if p.mu.guards[id] == 0 {
		p.mu.guard++
		p.mu.guards[id] = p.mu.guard
	}
	return p.mu.guards[id]
}

func (p *memPartition) LeaderEpoch() int32 { return 1 }
func (p *memPartition) Leads() bool        { return true }
func (p *memPartition) LogStart() int64    { return 0 }

func (p *memPartition) LogEnd() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.endLocked()
}

func (p *memPartition) endLocked() int64 {
	if len(p.mu.ends) == 0 {
		return 0
	}
	return p.mu.ends[len(p.mu.ends)-1]
}

func (p *memPartition) Append(_ context.Context, batches []byte, o AppendOptions) (base, next int64, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.refusals > 0 {
		p.mu.refusals--
		return 0, 0, kerr.KafkaStorageError
	}
	if p.log.dead() {
		return 0, 0, kerr.KafkaStorageError
	}
	h, frame, _, err := record.Next(batches)
	if err != nil {
		return 0, 0, err
	}
	if _, open := p.mu.open[h.ProducerID]; o.Verified && !open && (o.Guard == 0 || o.Guard != p.mu.guards[h.ProducerID]) {
		return 0, 0, kerr.InvalidTxnState
	}
	if h.HasProducer() {
		p.abortLostLocked(h, frame, o.TransactionVersion)
		if last, ok := p.mu.epochs[h.ProducerID]; ok && h.ProducerEpoch < last {
			return 0, 0, kerr.InvalidProducerEpoch
		}
	}
	base = p.appendLocked(h, frame)
	return base, p.endLocked(), nil
}

func (p *memPartition) appendLocked(h record.Header, frame []byte) (base int64) {
	base = p.endLocked()
	frame = append([]byte(nil), frame...)
	record.SetBaseOffset(frame, base)
	h.BaseOffset = base
	p.push(h, frame)
	return base
}

// abortLostLocked does what log.Log.Append does with a transaction that h shows to be lost.
func (p *memPartition) abortLostLocked(h record.Header, frame []byte, version int16) {
	epoch, open := p.mu.open[h.ProducerID]
	if !open || p.log.takesAlong {
		return
	}
	lost := h.ProducerEpoch > epoch
	if h.IsControl() {
		m, _, _ := record.ParseControl(frame)
		m.TransactionVersion = version
		lost = !m.Ends(epoch)
	}
	if lost {
		abort := record.AppendControl(nil, record.Marker{ProducerID: h.ProducerID, ProducerEpoch: epoch + 1}, 0)
		ah, _ := record.ParseHeader(abort)
		p.appendLocked(ah, abort)
	}
}

func (p *memPartition) push(h record.Header, frame []byte) {
	p.mu.frames = append(p.mu.frames, frame)
	p.mu.ends = append(p.mu.ends, h.LastOffset()+1)
	if !h.HasProducer() {
		return
	}
	p.mu.epochs[h.ProducerID] = h.ProducerEpoch
	delete(p.mu.guards, h.ProducerID)
	switch {
	case h.IsControl():
		delete(p.mu.open, h.ProducerID)
	case h.IsTransactional():
		p.mu.open[h.ProducerID] = h.ProducerEpoch
	}
}

func (p *memPartition) Flush(offset int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flushLocked(offset)
}

func (p *memPartition) flushLocked(int64) {
	if p.mu.stuck != nil || p.mu.synced == len(p.mu.frames) || p.log.dead() {
		return
	}
	p.mu.synced = len(p.mu.frames)
	if p.log.skipSync == nil || !p.log.skipSync(p.tp) {
		p.mu.durable = len(p.mu.frames)
	}
}

func (p *memPartition) Outlived(context.Context, int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.outlives
}

func (p *memPartition) WaitHighWatermark(ctx context.Context, offset int64) error {
	p.mu.Lock()
	stuck, deposed := p.mu.stuck, p.mu.deposed
	p.mu.Unlock()
	if deposed {
		return kerr.NotLeaderForPartition
	}
	if stuck != nil {
		select {
		case <-stuck:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	p.Flush(offset)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.synced < len(p.mu.frames) && p.mu.ends[p.mu.synced] <= offset {
		return kerr.KafkaStorageError
	}
	return ctx.Err()
}

// depose ends the leadership as a coordinator sees it that has not been told yet: it appends, and hears that another node leads when it waits.
func (p *memPartition) depose() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.deposed = true
}

// block makes the high watermark rest until unblock is called.
func (p *memPartition) block() (unblock func()) {
	stuck := make(chan struct{})
	p.mu.Lock()
	p.mu.stuck = stuck
	p.mu.Unlock()
	return func() {
		p.mu.Lock()
		p.mu.stuck = nil
		p.mu.Unlock()
		close(stuck)
	}
}

// refuse makes the next n appends fail.
func (p *memPartition) refuse(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.refusals = n
}

func (p *memPartition) refusalsLeft() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.refusals
}

func (p *memPartition) Read(_ context.Context, offset int64, _ int) ([]byte, func(), error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []byte
	for i, f := range p.mu.frames {
		if p.mu.ends[i] > offset {
			out = append(out, f...)
			break // one batch at a time, so that callers come again
		}
	}
	return out, func() {}, nil
}

// committedValues returns the values of the records that a read_committed reader sees once everything open is left out.
func (p *memPartition) committedValues() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	pending := map[int64][]string{}
	var out []string
	var it record.Iterator
	for _, f := range p.mu.frames {
		h, _ := record.ParseHeader(f)
		if h.IsControl() {
			if m, _, _ := record.ParseControl(f); m.Commit {
				out = append(out, pending[h.ProducerID]...)
			}
			delete(pending, h.ProducerID)
			continue
		}
		if err := it.Reset(f); err != nil {
			panic(err)
		}
		for it.Next() {
			if h.IsTransactional() {
				pending[h.ProducerID] = append(pending[h.ProducerID], string(it.Record.Value))
			} else {
				out = append(out, string(it.Record.Value))
			}
		}
	}
	return out
}
