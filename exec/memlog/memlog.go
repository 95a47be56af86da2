// Package memlog is exec.Log in memory, for tests: topics with partitions, lanes that fence each other, committed offsets with
// generations, transaction markers, and faults on demand. Everything is one mutex; nothing is ever lost but by a fault.
package memlog

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/internal/record"
)

// Fault is what the next commit of a lane meets.
type Fault int

// The faults.
const (
	None          Fault = iota
	Unavailable         // nothing is committed, try again
	UnknownCommit       // committed, but the answer is lost
	UnknownAbort        // aborted, and the answer is lost
	Down                // as Unavailable, until another fault is set
	UnknownTopic        // the first task hears that a topic is not known, by somebody who has not heard of it yet
)

// Log is the log. The zero value is not ready: use New.
type Log struct {
	mu struct {
		sync.Mutex
		topics      map[string][]*partition
		lanes       map[string]int // epoch by transactional id
		offsets     map[string]map[exec.TopicPartition]exec.PartitionOffset
		generations map[string]int32
		fault       Fault
		elected     func(exec.TopicPartition) bool
		deposed     func(exec.TopicPartition) bool
		fetches     map[string]int // records given out by topic
		commits     int
	}
}

type partition struct {
	start   int64
	next    int64
	batches []batch
	subs    map[int]chan<- struct{}
	nextSub int
}

type batch struct {
	base, last int64
	bytes      []byte
	records    int
}

// New returns an empty log.
func New() *Log {
	l := &Log{}
	l.mu.topics = map[string][]*partition{}
	l.mu.lanes = map[string]int{}
	l.mu.offsets = map[string]map[exec.TopicPartition]exec.PartitionOffset{}
	l.mu.generations = map[string]int32{}
	l.mu.fetches = map[string]int{}
	return l
}

// Create makes a topic, or makes it anew.
func (l *Log) Create(topic string, partitions int32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	parts := make([]*partition, partitions)
	for i := range parts {
		parts[i] = &partition{subs: map[int]chan<- struct{}{}}
	}
	l.mu.topics[topic] = parts
}

// SetFault makes the next commit of any lane meet f.
func (l *Log) SetFault(f Fault) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.fault = f
}

// Elections has elected say of each fetch whether it finds a leader that has just been elected: until that has heard from its followers it knows nothing to be committed that the reader does
// not have (KIP-207). nil: none does.
func (l *Log) Elections(elected func(exec.TopicPartition) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.elected = elected
}

// Deposed has deposed say of each fetch whether it finds a node that has not heard yet that another one leads, and has none of the records. nil: none does.
func (l *Log) Deposed(deposed func(exec.TopicPartition) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.deposed = deposed
}

// SetGeneration makes g the only generation of group that may commit.
func (l *Log) SetGeneration(group string, g int32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.generations[group] = g
}

// Fetched returns how many records of topic were given out by Fetch.
func (l *Log) Fetched(topic string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.fetches[topic]
}

// Commits returns how many rounds lanes have committed.
func (l *Log) Commits() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.commits
}

func (l *Log) partLocked(tp exec.TopicPartition) (*partition, error) {
	parts := l.mu.topics[tp.Topic]
	if int(tp.Partition) >= len(parts) || tp.Partition < 0 {
		return nil, fmt.Errorf("%w: %s-%d", exec.ErrUnknownTopic, tp.Topic, tp.Partition)
	}
	return parts[tp.Partition], nil
}

// PartitionCount implements exec.Log.
func (l *Log) PartitionCount(_ context.Context, topic string) (int32, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	parts, ok := l.mu.topics[topic]
	if !ok {
		return 0, fmt.Errorf("%w: %s", exec.ErrUnknownTopic, topic)
	}
	return int32(len(parts)), nil
}

func (p *partition) offsets() exec.Offsets {
	return exec.Offsets{LogStart: p.start, HighWatermark: p.next, LastStable: p.next, LeaderEpoch: 1}
}

// Fetch implements exec.Log.
func (l *Log) Fetch(_ context.Context, tp exec.TopicPartition, offset int64, maxBytes int) (exec.Fetched, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p, err := l.partLocked(tp)
	if err != nil {
		return exec.Fetched{}, err
	}
	if offset < p.start || offset > p.next || offset > p.start && l.mu.deposed != nil && l.mu.deposed(tp) {
		return exec.Fetched{}, fmt.Errorf("%w: %d", exec.ErrOffsetOutOfRange, offset)
	}
	f := exec.Fetched{Offsets: p.offsets(), Release: func() {}}
	if l.mu.elected != nil && l.mu.elected(tp) {
		f.HighWatermark, f.LastStable = offset, offset
		p.wake()
		return f, nil
	}
	i, _ := slices.BinarySearchFunc(p.batches, offset, func(b batch, at int64) int {
		if b.last < at {
			return -1
		}
		return 1
	})
	for ; i < len(p.batches) && (len(f.Batches) == 0 || len(f.Batches)+len(p.batches[i].bytes) <= maxBytes); i++ {
		f.Batches = append(f.Batches, p.batches[i].bytes...)
		l.mu.fetches[tp.Topic] += p.batches[i].records
	}
	return f, nil
}

// Offsets implements exec.Log.
func (l *Log) Offsets(_ context.Context, tp exec.TopicPartition) (exec.Offsets, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p, err := l.partLocked(tp)
	if err != nil {
		return exec.Offsets{}, err
	}
	return p.offsets(), nil
}

// Subscribe implements exec.Log.
func (l *Log) Subscribe(tp exec.TopicPartition, wake chan<- struct{}) (func(), error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p, err := l.partLocked(tp)
	if err != nil {
		return nil, err
	}
	id := p.nextSub
	p.nextSub++
	p.subs[id] = wake
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(p.subs, id)
	}, nil
}

// append adds one batch, whose bytes it copies.
func (p *partition) append(frame []byte) (exec.Appended, error) {
	b := append([]byte(nil), frame...)
	h, err := record.ParseHeader(b)
	if err != nil {
		return exec.Appended{}, err
	}
	base := p.next
	record.SetBaseOffset(b, base)
	record.SetLeaderEpoch(b, 1)
	p.next = base + int64(h.LastOffsetDelta) + 1
	records := int(h.Count)
	if h.IsControl() {
		records = 0
	}
	p.batches = append(p.batches, batch{base: base, last: p.next - 1, bytes: b, records: records})
	return exec.Appended{BaseOffset: base, LeaderEpoch: 1}, nil
}

func (p *partition) wake() {
	for _, c := range p.subs {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// Append implements exec.Log.
func (l *Log) Append(_ context.Context, batches []exec.PartitionBatch) ([]exec.Appended, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.appendLocked(batches)
}

func (l *Log) appendLocked(batches []exec.PartitionBatch) ([]exec.Appended, error) {
	placed := make([]exec.Appended, len(batches))
	for i, b := range batches {
		p, err := l.partLocked(b.TopicPartition)
		if err != nil {
			return nil, err
		}
		if placed[i], err = p.append(b.Batch); err != nil {
			return nil, err
		}
		p.wake()
	}
	return placed, nil
}

// Committed implements exec.Log.
func (l *Log) Committed(_ context.Context, group string, tps []exec.TopicPartition) ([]exec.PartitionOffset, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := make([]exec.PartitionOffset, len(tps))
	for i, tp := range tps {
		at[i] = exec.PartitionOffset{TopicPartition: tp, Offset: -1}
		if o, ok := l.mu.offsets[group][tp]; ok {
			at[i] = o
		}
	}
	return at, nil
}

// DeleteRecords implements exec.Log.
func (l *Log) DeleteRecords(_ context.Context, tp exec.TopicPartition, before int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	p, err := l.partLocked(tp)
	if err != nil {
		return err
	}
	p.start = max(p.start, min(before, p.next))
	return nil
}

// OpenLane implements exec.Log.
func (l *Log) OpenLane(_ context.Context, id string) (exec.Lane, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.lanes[id]++
	return &lane{log: l, id: id, epoch: l.mu.lanes[id]}, nil
}

type lane struct {
	log   *Log
	id    string
	epoch int
}

var errInjected = errors.New("injected fault")

// Commit implements exec.Lane.
func (n *lane) Commit(_ context.Context, tasks []exec.TaskCommit) ([]exec.TaskResult, error) {
	l := n.log
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.lanes[n.id] != n.epoch {
		return nil, exec.ErrFenced
	}
	fault := l.mu.fault
	if fault != Down {
		l.mu.fault = None
	}
	switch fault {
	case Unavailable, Down:
		return nil, errors.Join(exec.ErrUnavailable, errInjected)
	case UnknownAbort:
		return nil, errors.Join(exec.ErrUnknownOutcome, errInjected)
	}
	results := make([]exec.TaskResult, len(tasks))
	touched := map[exec.TopicPartition]bool{}
	for i, t := range tasks {
		if i == 0 && fault == UnknownTopic {
			results[i].Err = exec.ErrUnknownTopic
			continue
		}
		if g, ok := l.mu.generations[t.Group]; ok && g != t.Generation {
			results[i].Err = exec.ErrStaleGeneration
			continue
		}
		placed, err := l.appendLocked(t.Batches)
		if err != nil {
			return nil, err
		}
		results[i].Appended = placed
		for _, b := range t.Batches {
			touched[b.TopicPartition] = true
		}
		l.commitOffsetsLocked(t)
	}
	if err := l.markLocked(touched); err != nil {
		return nil, err
	}
	l.mu.commits++
	if fault == UnknownCommit {
		return nil, errors.Join(exec.ErrUnknownOutcome, errInjected)
	}
	return results, nil
}

func (l *Log) commitOffsetsLocked(t exec.TaskCommit) {
	if t.Group == "" {
		return
	}
	if l.mu.offsets[t.Group] == nil {
		l.mu.offsets[t.Group] = map[exec.TopicPartition]exec.PartitionOffset{}
	}
	for _, o := range t.Offsets {
		l.mu.offsets[t.Group][o.TopicPartition] = o
	}
}

// markLocked appends the markers that end the transaction.
func (l *Log) markLocked(touched map[exec.TopicPartition]bool) error {
	marker := record.AppendControl(nil, record.Marker{ProducerID: 1, Commit: true}, 0)
	for tp := range maps.Keys(touched) {
		p, err := l.partLocked(tp)
		if err != nil {
			return err
		}
		if _, err := p.append(marker); err != nil {
			return err
		}
		p.wake()
	}
	return nil
}

// Close implements exec.Lane.
func (*lane) Close() error { return nil }
