package exec

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
)

// TablesConfig is what a node's table rows are kept with.
type TablesConfig struct {
	Log    Log
	State  StateStore
	Clock  clock.Clock
	Logger *slog.Logger
	// LanePrefix begins the transactional ids of the lanes that commit transactions over several partitions.
	LanePrefix string
	// ErrorsTopic is the topic of millrace.errors, of one partition; empty: records that do not decode are only counted.
	ErrorsTopic string
	// OnFailed is called when the rows of a partition can not be kept up any longer.
	OnFailed func(oid uint32, partition int32, err error)
	// Standby says that the rows are kept for when this node takes the tables over from another, which serves them: nothing is owned, what fails is tried again, and only
	// standbyTurns partitions are read and written at a time.
	Standby bool
	// StateRetention is how old local rows may be that lack something of their topic and are gone on from: older ones may have missed deletes that are compacted away
	// since (Kafka's delete.retention.ms). 0, and nil: any age, for there is no other node where the rows could have gone on.
	StateRetention func() time.Duration
	// DiskLow tells that the disk is nearly full: standbys wait then. May be nil.
	DiskLow func() bool
}

// Tables keeps the rows of table partitions on this node: of tables whose topic others write (followed) and of ordinary tables
// that this node owns. It is safe for concurrent use. Close stops all and waits.
type Tables struct {
	cfg    TablesConfig
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	lane   *committer
	locks  lockTable
	chunks chunkPool     // of transactions
	rotate atomic.Int32  // where the next batch of rows without key goes
	read   atomic.Int64  // rows read from topics
	turns  chan struct{} // of standbys; nil: all go on at once
	mu     struct {
		sync.Mutex
		parts  map[tableKey]*tablePart
		closed bool
	}
}

type tableKey struct {
	oid       uint32
	partition int32
}

// tablePart is one partition of a table, kept up by its goroutine.
type tablePart struct {
	t      *Tables
	name   string
	tp     TopicPartition
	key    tableKey
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}
	owner  *ownerQueue // nil when followed
	// altered tells the goroutine that the definition, and with it the indexes, has changed.
	altered chan struct{}
	expires bool // its goroutine that deletes rows by ttl was started; guarded by the mutex of Tables
	mu      struct {
		sync.Mutex
		rel      *planner.Relation
		indexed  map[uint32]bool   // indexes whose entries are complete
		position int64             // next offset that is not in the rows; -1 before the state was opened
		serving  bool              // of an owner
		decoded  *planner.Relation // by which a follower decodes; nil while it has not caught up with the topic
		err      error
		changed  chan struct{}
		skipped  int64 // records that do not decode, as the mark has it
		read     int64 // rows read from the topic
		began    int64 // position when the first hidden key was given out
		hidden   uint32
	}
}

// NewTables returns a Tables that keeps nothing yet.
func NewTables(cfg TablesConfig) *Tables {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.OnFailed == nil {
		cfg.OnFailed = func(uint32, int32, error) {}
	}
	t := &Tables{cfg: cfg}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.mu.parts = map[tableKey]*tablePart{}
	if cfg.Standby {
		t.turns = make(chan struct{}, standbyTurns)
	}
	t.locks.init()
	t.lane = startCommitter(t.ctx, &t.wg, cfg.Log, cfg.Clock, TableLanes(cfg.LanePrefix)[0], committerOptions{})
	return t
}

// LaneIDs returns the transactional ids of the lanes that writes to tables go through, for Runner.Fence: what they left open must be decided
// before their partitions can be owned.
func (t *Tables) LaneIDs() []string { return []string{t.lane.id} }

// TableLanes are the same for a Tables with this prefix, so that another node can fence them.
func TableLanes(prefix string) []string { return []string{prefix + "-tables"} }

// Follow keeps the rows of a partition of a table that others write: a table over a topic, or a query's result.
func (t *Tables) Follow(rel *planner.Relation, partition int32) error {
	return t.start(rel, partition, false)
}

// Own makes this node the owner of a partition of an ordinary table: it is the only writer of the topic. It returns once the
// partition's goroutine runs; writes wait until the rows have caught up with the topic.
func (t *Tables) Own(rel *planner.Relation, partition int32) error {
	return t.start(rel, partition, true)
}

func (t *Tables) start(rel *planner.Relation, partition int32, own bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.mu.closed {
		return errRunnerClosed
	}
	k := tableKey{rel.OID, partition}
	if t.mu.parts[k] != nil {
		return fmt.Errorf("partition %d of table %q is kept here already", partition, rel.Name)
	}
	p := &tablePart{t: t, name: rel.Name, tp: TopicPartition{rel.Topic, partition}, key: k, done: make(chan struct{}), altered: make(chan struct{}, 1)}
	p.mu.rel, p.mu.position, p.mu.changed = rel, -1, make(chan struct{})
	if own {
		p.owner = newOwnerQueue()
	}
	p.ctx, p.cancel = context.WithCancel(t.ctx)
	t.mu.parts[k] = p
	t.wg.Go(p.run)
	p.keepTTLLocked(rel)
	return nil
}

// Alter gives a table that is kept here its new definition, whose topic, key and generation are the same. Rows stay as they are.
func (t *Tables) Alter(rel *planner.Relation) {
	for partition := range rel.Partitions {
		if p := t.part(rel.OID, partition); p != nil {
			p.mu.Lock()
			p.mu.rel = rel
			p.mu.Unlock()
			select {
			case p.altered <- struct{}{}:
			default: // it is told already
			}
			t.mu.Lock()
			if !t.mu.closed && t.mu.parts[p.key] == p {
				p.keepTTLLocked(rel)
			}
			t.mu.Unlock()
		}
	}
}

// relation is the table's present definition.
func (p *tablePart) relation() *planner.Relation {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.rel
}

// Stop ends the keeping of one partition and waits. Writers that wait for it get a 40001.
func (t *Tables) Stop(oid uint32, partition int32) {
	t.stop(func(k tableKey) bool { return k == tableKey{oid, partition} })
}

// StopTable ends the keeping of all partitions of a table here.
func (t *Tables) StopTable(oid uint32) {
	t.stop(func(k tableKey) bool { return k.oid == oid })
}

func (t *Tables) stop(which func(tableKey) bool) {
	t.mu.Lock()
	var stopped []*tablePart
	for k, p := range t.mu.parts {
		if which(k) {
			p.cancel()
			stopped = append(stopped, p)
		}
	}
	t.mu.Unlock()
	for _, p := range stopped {
		<-p.done
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range stopped {
		delete(t.mu.parts, p.key)
	}
}

// Abandon is for a node whose work another has taken over: what is under way is given up. Close comes after it.
func (t *Tables) Abandon() { t.cancel() }

// Close stops everything and waits.
func (t *Tables) Close() error {
	t.mu.Lock()
	t.mu.closed = true
	t.mu.Unlock()
	t.stop(func(tableKey) bool { return true })
	t.cancel()
	t.wg.Wait()
	return nil
}

func (t *Tables) part(oid uint32, partition int32) *tablePart {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.mu.parts[tableKey{oid, partition}]
}

// Position returns the next offset of a partition's topic that is not in the rows yet; ok is false if it is not kept here.
func (t *Tables) Position(oid uint32, partition int32) (at int64, ok bool) {
	p := t.part(oid, partition)
	if p == nil {
		return 0, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.position, p.mu.position >= 0
}

// Keeps tells whether the rows of a partition are kept here.
func (t *Tables) Keeps(oid uint32, partition int32) bool { return t.part(oid, partition) != nil }

// RowsRead returns how many rows were read from the topics of all tables, to catch up with them or to follow them.
func (t *Tables) RowsRead() int64 { return t.read.Load() }

// Read returns how many rows of a partition were read from its topic since it is kept here.
func (t *Tables) Read(oid uint32, partition int32) int64 {
	p := t.part(oid, partition)
	if p == nil {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.read
}

// Skipped returns how many records of a partition did not decode since its rows were made, here or on the node that they were taken over from.
func (t *Tables) Skipped(oid uint32, partition int32) int64 {
	p := t.part(oid, partition)
	if p == nil {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.skipped
}

// Wait returns when the rows of a partition hold everything of the topic below offset, as rel says, so that a snapshot taken afterwards does: a standby may still have to decode them so.
func (t *Tables) Wait(ctx context.Context, rel *planner.Relation, partition int32, offset int64) error {
	p := t.part(rel.OID, partition)
	if p == nil {
		return notKept(rel, partition)
	}
	return p.wait(ctx, func() bool { return p.mu.position >= offset && p.decodesLocked(rel) })
}

// Reads tells whether the rows of a partition that are kept here hold everything of the topic below offset, as rel says.
func (t *Tables) Reads(rel *planner.Relation, partition int32, offset int64) bool {
	p := t.part(rel.OID, partition)
	if p == nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.position >= offset && p.decodesLocked(rel)
}

// decodesLocked tells whether a standby's rows were decoded as rel says, and have been there all at some time. Who serves the table has them as its definition is.
func (p *tablePart) decodesLocked(rel *planner.Relation) bool {
	if !p.t.cfg.Standby {
		return true
	}
	return p.mu.decoded == rel || p.mu.decoded != nil && p.mu.decoded.Generation == rel.Generation && tableShape(p.mu.decoded) == tableShape(rel)
}

func notKept(rel *planner.Relation, partition int32) error {
	return sqlerr.New(sqlerr.ObjectNotInPrerequisiteState, "partition %d of table %q is not kept on this node", partition, rel.Name)
}

// wait returns when ready, which is called with the lock held, says so.
func (p *tablePart) wait(ctx context.Context, ready func() bool) error {
	for {
		p.mu.Lock()
		ok, err, changed := ready(), p.mu.err, p.mu.changed
		p.mu.Unlock()
		if err != nil {
			return err
		}
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-p.done:
			return p.lost()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (p *tablePart) setSkipped(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.skipped = n
}

func (p *tablePart) publish(position int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.position = position
	p.changedLocked()
}

// setServing says whether the rows hold the whole topic and writes are taken. They are not while the outcome of a write is unknown: who then got its
// locks must not read rows that may be old.
func (p *tablePart) setServing(serving bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.serving = serving
	p.changedLocked()
}

func (p *tablePart) changedLocked() {
	close(p.mu.changed)
	p.mu.changed = make(chan struct{})
}

func (p *tablePart) fail(err error) {
	p.mu.Lock()
	p.mu.err = err
	p.changedLocked()
	p.mu.Unlock()
	p.t.cfg.Logger.Error("rows of a table cannot be kept up", "table", p.name, "partition", p.key.partition, "err", err)
	p.t.cfg.OnFailed(p.key.oid, p.key.partition, err)
}

// run keeps the partition until it is stopped, starting over after what passes.
func (p *tablePart) run() {
	defer close(p.done)
	defer p.turnAway()
	var pause retryPause
	for {
		begun := p.t.cfg.Clock.Now()
		err := p.session()
		switch {
		case p.ctx.Err() != nil:
			return
		case errors.Is(err, ErrUnavailable), errors.Is(err, ErrUnknownOutcome), errors.Is(err, errReload):
		case p.t.cfg.Standby: // its topic may be about to be dropped, for one
			p.t.cfg.Logger.Info("the standby of a table begins again", "table", p.name, "partition", p.key.partition, "err", err)
		default:
			p.fail(err)
			return
		}
		if !clock.Wait(p.ctx, p.t.cfg.Clock, pause.after(p.t.cfg.Clock.Since(begun))) {
			return
		}
	}
}
