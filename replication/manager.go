package replication

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/log"
	"github.com/millracedb/millrace/replication/metadata"
)

// openParallel is how many partitions are opened at once: each waits for the disk a few times.
const openParallel = 16

// Metadata is what a Manager needs of the metadata; *metadata.Store is one.
type Metadata interface {
	Watch() (*metadata.Image, <-chan struct{})
}

// Options are what Open needs. All but Peers must be set.
type Options struct {
	Logs     *log.Manager // closed by its owner, after Manager.Close
	Metadata Metadata
	NodeID   int32
	Clock    clock.Clock
	Logger   *slog.Logger
	// Peers is nil for a node that will never have any.
	Peers Peers
}

// Manager holds this node's partitions as the metadata wants them. Its methods are safe for concurrent use.
type Manager struct {
	opts   Options
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	asks   chan ask
	lease  *lease

	outbound, inbound throttle     // of catching up
	ledSince          atomic.Int64 // when this node last came to lead something, in nanoseconds after lease.begun; 0: never

	mu struct {
		sync.Mutex
		topics      map[string]*topicPartitions
		fetchers    map[int32]*fetcher      // by the leader that is copied
		sessions    map[int32]*fetchSession // by the node that copies
		lastSession int32
		image       *metadata.Image
		acted       chan struct{}                // closed and replaced when image is
		unopened    map[log.TopicPartition]error // why a partition that belongs here is not open
		offline     error
		closed      bool
	}
}

// topicPartitions are this node's partitions of one topic; nil where it holds no replica.
type topicPartitions struct {
	topic      *metadata.Topic
	partitions []*Partition
}

// Open opens the partitions that the metadata puts on this node, takes up the leaderships it is given, deletes what is on disk of topics that are gone, and follows
// the metadata until Close. The node has registered before. A partition that cannot be opened is logged, answers KAFKA_STORAGE_ERROR, and is tried again; the others serve.
//
// It fails if the directory holds partitions while the metadata knows no topic at all: then the metadata was lost, and to go on would delete everything.
func Open(opts Options) (*Manager, error) {
	img, changed := opts.Metadata.Watch()
	if found := opts.Logs.Found(); len(found) > 0 && img.TopicCount() == 0 {
		return nil, fmt.Errorf("replication: the data directory holds %d partitions, but the metadata knows no topic, as if it were lost or another cluster's: restore the whole directory from a backup, or start the node on an empty one", len(found))
	}
	m := &Manager{opts: opts, asks: make(chan ask, maxAsks), lease: newLease(opts.Clock)}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	m.mu.topics = map[string]*topicPartitions{}
	m.mu.fetchers = map[int32]*fetcher{}
	m.mu.sessions = map[int32]*fetchSession{}
	m.mu.acted, m.mu.unopened = make(chan struct{}), map[log.TopicPartition]error{}
	m.act(img)
	m.deleteStrays(img)
	m.wg.Go(func() { m.watch(changed) })
	if opts.Peers != nil {
		m.wg.Go(m.propose)
		m.wg.Go(m.tick)
	}
	return m, nil
}

// deleteStrays deletes partitions on disk that the metadata does not know: their topic was deleted, and the node stopped before it had seen to it.
func (m *Manager) deleteStrays(img *metadata.Image) {
	for tp, id := range m.opts.Logs.Found() {
		if t, ok := img.TopicByID(metadata.UUID(id)); ok {
			if r, ok := t.Partition(tp.Partition); ok && metadata.Has(r.Replicas, m.opts.NodeID) {
				continue // it could not be opened
			}
		}
		m.opts.Logger.Info("deleting a partition whose topic is gone", "topic", tp.Topic, "partition", tp.Partition, "id", id)
		if err := m.opts.Logs.DeleteLog(tp); err != nil {
			m.opts.Logger.Error("partition cannot be deleted", "topic", tp.Topic, "partition", tp.Partition, "err", err)
		}
	}
}

func (m *Manager) watch(changed <-chan struct{}) {
	retry := m.opts.Clock.NewTimer(reopenEvery)
	defer retry.Stop()
	for {
		select {
		case <-changed:
			var img *metadata.Image
			img, changed = m.opts.Metadata.Watch()
			m.act(img)
		case <-retry.C():
			m.reopen()
			retry.Reset(reopenEvery)
		case <-m.ctx.Done():
			return
		}
	}
}

// act makes the partitions those of img. Only one goroutine calls it.
func (m *Manager) act(img *metadata.Image) {
	m.mu.Lock()
	old := m.mu.image
	m.mu.Unlock()
	m.setThrottles(img)
	var changes []metadata.TopicChange
	if old != nil {
		changes = img.TopicsChangedSince(old)
	} else {
		for t := range img.Topics() {
			changes = append(changes, metadata.TopicChange{New: t})
		}
	}
	var gone, work []func()
	for _, c := range changes {
		if c.New == nil {
			gone = append(gone, m.drop(c.Old)...)
		}
	}
	parallel(gone) // first, for a topic may have come back under its name
	for _, c := range changes {
		if c.New != nil {
			work = append(work, m.take(c.New)...)
		}
	}
	parallel(work)
	m.noteLeaderships(changes)
	if old != nil && !img.SameBrokers(old) {
		m.brokersChanged(img)
	}
	m.mu.Lock()
	m.mu.image = img
	close(m.mu.acted)
	m.mu.acted = make(chan struct{})
	m.mu.Unlock()
}

// brokersChanged tells the leaders here which followers are still to be reckoned with.
func (m *Manager) brokersChanged(img *metadata.Image) {
	active := func(id int32, epoch uint64) bool { return eligible(img, id, epoch) }
	for _, p := range m.Partitions() {
		p.mu.Lock()
		if p.mu.leader != nil {
			p.raisedLocked(p.mu.leader.BrokersChanged(active, p.nowMs()))
		}
		p.mu.Unlock()
	}
	m.endSessions(func(follower int32) bool {
		_, ok := img.Broker(follower)
		return !ok
	})
}

// eligible reports whether a broker may join an ISR: it is active, with this epoch.
func eligible(img *metadata.Image, id int32, epoch uint64) bool {
	k, ok := img.Broker(id)
	return ok && !k.Fenced && !k.Draining && k.Epoch == epoch
}

// parallel runs all of work, up to openParallel at a time.
func parallel(work []func()) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, openParallel)
	for _, f := range work {
		slots <- struct{}{}
		wg.Go(func() {
			f()
			<-slots
		})
	}
	wg.Wait()
}

// take notes a new or changed topic and returns what is to be done for its partitions.
func (m *Manager) take(t *metadata.Topic) (work []func()) {
	config := m.logConfig(t)
	m.mu.Lock()
	tp := m.mu.topics[t.Name]
	if tp == nil {
		tp = &topicPartitions{}
		m.mu.topics[t.Name] = tp
	}
	before := tp.topic
	tp.topic = t
	for len(tp.partitions) < len(t.Partitions) {
		tp.partitions = append(tp.partitions, nil)
	}
	m.mu.Unlock()
	for i := range t.Partitions {
		r := t.Partitions[i]
		switch p, here := tp.partitions[i], metadata.Has(r.Replicas, m.opts.NodeID); {
		case p != nil && here:
			work = append(work, func() { m.change(p, before, t, r, config) })
		case here:
			work = append(work, func() { m.open(tp, t, r, config) })
		case p != nil:
			m.mu.Lock()
			tp.partitions[i] = nil
			m.mu.Unlock()
			work = append(work, func() { m.delete(p, kerr.NotLeaderForPartition) })
		}
	}
	return work
}

// logConfig is what a topic's settings make of its logs.
func (m *Manager) logConfig(t *metadata.Topic) log.Config {
	config, err := LogConfig(t.Configs)
	if err != nil {
		// Settings are checked before they are stored; a bad one is of another release. The defaults keep everything.
		m.opts.Logger.Error("topic has settings that this release cannot read", "topic", t.Name, "err", err)
		config = log.Config{}.WithDefaults()
	}
	return config
}

// open opens a partition and takes up its leadership.
func (m *Manager) open(tp *topicPartitions, t *metadata.Topic, r metadata.Partition, config log.Config) {
	p := m.newPartition(t, r.ID)
	l, err := m.openLog(log.TopicPartition{Topic: t.Name, Partition: r.ID}, log.TopicID(t.ID), config, p)
	m.noteUnopened(p, err)
	if err != nil {
		return
	}
	p.log = l
	if err := p.update(t, r); err != nil {
		p.logger.Error("partition cannot be led", "err", err)
	}
	m.mu.Lock()
	if m.mu.offline != nil {
		p.goOffline(m.mu.offline)
	}
	tp.partitions[r.ID] = p
	m.mu.Unlock()
	m.follow(p, r.Leader)
	if l.Damage() != nil {
		m.damaged(p)
	}
}

// openLog opens a log. What is there of a topic that had the name before goes first.
func (m *Manager) openLog(tp log.TopicPartition, id log.TopicID, config log.Config, p *Partition) (*log.Log, error) {
	onDamage := func() { m.damaged(p) }
	l, err := m.opts.Logs.OpenLog(tp, id, config, p.onDurable, onDamage)
	if !errors.Is(err, kerr.InconsistentTopicID) {
		return l, err
	}
	if err := m.opts.Logs.DeleteLog(tp); err != nil {
		return nil, err
	}
	return m.opts.Logs.OpenLog(tp, id, config, p.onDurable, onDamage)
}

// change acts on a changed record or changed settings of a partition.
func (m *Manager) change(p *Partition, before, t *metadata.Topic, r metadata.Partition, config log.Config) {
	if p.log.Config() != config {
		if err := p.log.SetConfig(config); err != nil {
			p.logger.Error("settings cannot be applied", "err", err)
		}
	}
	was, _ := before.Partition(r.ID)
	if was.PartitionEpoch == r.PartitionEpoch && before.Owner == t.Owner && MinISR(before, was) == MinISR(t, r) {
		return
	}
	if err := p.update(t, r); err != nil {
		p.logger.Error("partition cannot be led", "err", err)
	}
	m.follow(p, r.Leader)
}

// drop forgets a topic that is gone and returns what is to be done for its partitions.
func (m *Manager) drop(t *metadata.Topic) (work []func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	tp := m.mu.topics[t.Name]
	delete(m.mu.topics, t.Name)
	if tp == nil {
		return nil
	}
	for _, p := range tp.partitions {
		if p != nil {
			work = append(work, func() { m.delete(p, kerr.UnknownTopicOrPartition) })
		}
	}
	return work
}

// delete ends a partition's service, telling who uses it why, and deletes its log.
func (m *Manager) delete(p *Partition, why error) {
	p.goOffline(why)
	m.follow(p, -1)
	if err := m.opts.Logs.DeleteLog(log.TopicPartition{Topic: p.topic, Partition: p.id}); err != nil {
		p.logger.Error("partition cannot be deleted", "err", err)
	}
}

// Partition returns this node's replica of a partition. Errors: UNKNOWN_TOPIC_OR_PARTITION; NOT_LEADER_OR_FOLLOWER if the node holds no replica of it;
// KAFKA_STORAGE_ERROR if it could not be opened.
func (m *Manager) Partition(topic string, id int32) (*Partition, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	tp := m.mu.topics[topic]
	if tp == nil || id < 0 || int(id) >= len(tp.partitions) {
		return nil, kerr.UnknownTopicOrPartition
	}
	switch p := tp.partitions[id]; {
	case p != nil:
		return p, nil
	case metadata.Has(tp.topic.Partitions[id].Replicas, m.opts.NodeID):
		return nil, m.whyUnopenedLocked(topic, id)
	default:
		return nil, kerr.NotLeaderForPartition
	}
}

// PartitionCount returns the number of partitions of a topic, as far as this node has acted on the metadata; 0 if there is no such topic.
func (m *Manager) PartitionCount(topic string) int32 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if tp := m.mu.topics[topic]; tp != nil {
		return int32(len(tp.topic.Partitions))
	}
	return 0
}

// Partitions returns all replicas of this node, in no order.
func (m *Manager) Partitions() []*Partition {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []*Partition
	for _, tp := range m.mu.topics {
		for _, p := range tp.partitions {
			if p != nil {
				out = append(out, p)
			}
		}
	}
	return out
}

// Watch returns the image that this node has acted on, and a channel that is closed when it has acted on a newer one.
func (m *Manager) Watch() (*metadata.Image, <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.image, m.mu.acted
}

// WaitIndex waits until this node has acted on the metadata up to the given index: the topics made there can be written to.
func (m *Manager) WaitIndex(ctx context.Context, index uint64) error {
	for {
		img, acted := m.Watch()
		if img.Index() >= index {
			return nil
		}
		select {
		case <-acted:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-m.ctx.Done():
			return errClosed
		}
	}
}

// errClosed is a NOT_LEADER_OR_FOLLOWER: a client that hears it looks for the partition elsewhere, or here again.
var errClosed = fmt.Errorf("replication: closed: %w", kerr.NotLeaderForPartition)

// GoOffline ends all service: the data directory has failed. Whoever waits is told err, which is made a KAFKA_STORAGE_ERROR.
func (m *Manager) GoOffline(err error) {
	if !errors.Is(err, kerr.KafkaStorageError) {
		err = fmt.Errorf("%w: %w", kerr.KafkaStorageError, err)
	}
	m.mu.Lock()
	m.mu.offline = err
	m.mu.Unlock()
	for _, p := range m.Partitions() {
		p.goOffline(err)
	}
}

// Close ends all service and the following of the metadata. The logs stay open: they are closed by whoever owns them, after this.
func (m *Manager) Close() error {
	m.mu.Lock()
	closed := m.mu.closed
	m.mu.closed = true
	m.mu.Unlock()
	if closed {
		return nil
	}
	m.cancel()
	m.wg.Wait()
	m.endSessions(func(int32) bool { return true })
	for _, p := range m.Partitions() {
		p.goOffline(errClosed)
	}
	return nil
}
