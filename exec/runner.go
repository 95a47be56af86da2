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
	"github.com/millracedb/millrace/planner"
)

// Defaults of a Runner.
const (
	DefaultCommitInterval = 100 * time.Millisecond
	DefaultIdleTimeout    = 10 * time.Second
	DefaultTaskMemory     = 64 << 20
)

// RunnerConfig is what a node's tasks run on.
type RunnerConfig struct {
	Log   Log
	State StateStore
	Clock clock.Clock
	// LanePrefix begins the transactional ids of this runner's lanes; they are LanePrefix-0, LanePrefix-1... It must be the
	// node's own, and the same after a restart.
	LanePrefix string
	// Lanes is the number of committers, one per core.
	Lanes int
	// ErrorsTopic is the topic of millrace.errors; empty: error rows are only counted.
	ErrorsTopic string
	// TaskMemory bounds the rows that one task keeps in memory, in bytes.
	TaskMemory int64
	// Regain opens a lane again that another node has fenced, believing this one dead. It is for tasks whose claims alone decide whether they may commit.
	Regain bool
	// WaitAll waits until the tasks of a fragment, on whichever nodes they run, have taken in everything below positions. Its error ends the session of the task that waits. Nil: only tasks
	// of this runner are waited for.
	WaitAll func(ctx context.Context, query uint64, fragment uint32, positions []PartitionOffset) error
	// Tables owns the ordinary tables that queries write into; nil where none do.
	Tables *Tables
	// OnFailed is called when a task fails for good: the query is marked as failed with the SQLSTATE that err carries.
	OnFailed func(query uint64, partition int32, err error)
	// OnLost is called when a task ended since another node owns its partition now, or the lane.
	OnLost func(spec TaskSpec, err error)
	Logger *slog.Logger
}

// TaskSpec assigns one task: a fragment of a query on one partition number.
type TaskSpec struct {
	Query    uint64 // catalog OID
	Name     string // as users know the query
	Plan     *planner.Persistent
	Fragment *planner.Fragment
	// Partition is the partition number of the fragment's inputs and of its state.
	Partition int32
	// Group, Member and Generation are the claim under which offsets are committed. Two fragments that read one topic commit
	// two positions of it, so they must be in different groups: FragmentGroup names them.
	Group      string
	Member     string
	Generation int32
	// PlanEpoch grows when the query's plan is replaced; blocks of older epochs are skipped.
	PlanEpoch uint64
	// Start is where sources begin when nothing is committed yet: the offset, or for partitions not in it the beginning. It is the same at
	// every start of the query.
	Start map[TopicPartition]int64
	// CommitInterval bounds how long results wait, IdleTimeout says when a silent partition is idle. Zero: the defaults.
	CommitInterval time.Duration
	IdleTimeout    time.Duration
	// Target holds, for a continuous INSERT, the relation that it writes as it is now: the plan has it as it was. May be nil.
	Target *atomic.Pointer[planner.Relation]
	// StateRetention bounds the age of local state that is trusted: half of the changelog's delete.retention.ms. Zero: no bound.
	StateRetention time.Duration
}

// TaskKey names a task.
type TaskKey struct {
	Query     uint64 // catalog OID
	Fragment  uint32
	Partition int32
}

// Key is the task's name.
func (s *TaskSpec) Key() TaskKey { return TaskKey{s.Query, s.Fragment.ID, s.Partition} }

// Runner runs the tasks that are assigned to this node. It is safe for concurrent use. Close stops all tasks and waits.
type Runner struct {
	cfg    RunnerConfig
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup // committers
	lanes  []*committer
	mu     struct {
		sync.Mutex
		tasks    map[TaskKey]*task
		standbys map[TaskKey]*standby
		progress map[uint64]*progress
		closed   bool
		next     int
	}
}

// NewRunner starts a runner without tasks.
func NewRunner(cfg RunnerConfig) *Runner {
	if cfg.Lanes <= 0 {
		cfg.Lanes = 1
	}
	if cfg.TaskMemory <= 0 {
		cfg.TaskMemory = DefaultTaskMemory
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.OnFailed == nil {
		cfg.OnFailed = func(uint64, int32, error) {}
	}
	if cfg.OnLost == nil {
		cfg.OnLost = func(TaskSpec, error) {}
	}
	r := &Runner{cfg: cfg}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.mu.tasks = map[TaskKey]*task{}
	r.mu.standbys = map[TaskKey]*standby{}
	r.mu.progress = map[uint64]*progress{}
	for _, id := range RunnerLanes(cfg.LanePrefix, cfg.Lanes) {
		r.lanes = append(r.lanes, startCommitter(r.ctx, &r.wg, cfg.Log, cfg.Clock, id, committerOptions{patient: true, regain: cfg.Regain}))
	}
	return r
}

// errRunnerClosed answers calls after Close.
var errRunnerClosed = errors.New("the runner is closed")

// Start starts a task; a standby of it ends first. It returns when the task has its goroutine; what goes wrong later is told by OnFailed and OnLost. A
// task that runs already is an error.
func (r *Runner) Start(spec TaskSpec) error {
	r.StopStandbys(func(k TaskKey) bool { return k == spec.Key() })
	if spec.CommitInterval <= 0 {
		spec.CommitInterval = DefaultCommitInterval
	}
	if spec.IdleTimeout <= 0 {
		spec.IdleTimeout = DefaultIdleTimeout
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.closed {
		return errRunnerClosed
	}
	if old := r.mu.tasks[spec.Key()]; old != nil {
		select {
		case <-old.done: // it ended by itself
		default:
			return fmt.Errorf("task %d of query %q runs already on partition %d", spec.Fragment.ID, spec.Name, spec.Partition)
		}
	}
	for k, other := range r.mu.tasks {
		if k.Query == spec.Query && k.Fragment != spec.Fragment.ID && other.spec.Group == spec.Group && sharesTopic(other.spec.Fragment, spec.Fragment) {
			return fmt.Errorf("fragments %d and %d of query %q read one topic and commit in one group", k.Fragment, spec.Fragment.ID, spec.Name)
		}
	}
	t := &task{
		r: r, spec: spec, lane: r.lanes[r.mu.next%len(r.lanes)], progress: r.progressLocked(spec.Query, spec.Name),
		done: make(chan struct{}), wake: make(chan struct{}, 1),
	}
	r.mu.next++
	t.ctx, t.cancel = context.WithCancel(r.ctx)
	r.mu.tasks[spec.Key()] = t
	t.progress.setState(QueryRunning, nil)
	go t.run()
	return nil
}

func (r *Runner) progressLocked(query uint64, name string) *progress {
	p := r.mu.progress[query]
	if p == nil {
		p = newProgress(name)
		r.mu.progress[query] = p
	}
	return p
}

// Stop stops tasks and waits until all have ended; their progress is forgotten. A round in flight is waited for; what was not committed is not lost, it
// is read again by whoever starts the task next.
func (r *Runner) Stop(tasks ...TaskKey) {
	byQuery := map[uint64][]TaskKey{}
	chosen := make(map[TaskKey]bool, len(tasks))
	for _, k := range tasks {
		byQuery[k.Query], chosen[k] = append(byQuery[k.Query], k), true
	}
	r.stop(func(k TaskKey) bool { return chosen[k] })
	for query, tasks := range byQuery {
		if p := r.find(query); p != nil {
			p.forget(tasks)
		}
	}
}

// StopQuery stops all tasks and standbys of a query here. Its progress is forgotten.
func (r *Runner) StopQuery(query uint64) {
	r.StopStandbys(func(k TaskKey) bool { return k.Query == query })
	r.stop(func(k TaskKey) bool { return k.Query == query })
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.mu.progress, query)
}

// PauseQuery stops all tasks and standbys of a query here and keeps its progress, marked as paused, or as failed if failure says why it has failed on another node. To resume, Start the tasks again.
func (r *Runner) PauseQuery(query uint64, failure error) {
	r.StopStandbys(func(k TaskKey) bool { return k.Query == query })
	r.stop(func(k TaskKey) bool { return k.Query == query })
	p := r.find(query)
	switch {
	case p == nil:
	case failure != nil:
		p.setState(QueryFailed, failure)
	default:
		p.setState(QueryPaused, nil)
	}
}

func (r *Runner) stop(which func(TaskKey) bool) {
	r.mu.Lock()
	var stopped []*task
	for k, t := range r.mu.tasks {
		if which(k) {
			stopped = append(stopped, t)
			t.cancel()
		}
	}
	r.mu.Unlock()
	for _, t := range stopped {
		<-t.done
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range stopped {
		if r.mu.tasks[t.spec.Key()] == t {
			delete(r.mu.tasks, t.spec.Key())
		}
	}
}

// Fence shuts out the lanes with these transactional ids: what they had not committed never will be. Whoever takes over a
// node's tasks calls it before Start.
func (r *Runner) Fence(ctx context.Context, transactionalIDs []string) error {
	errs := make([]error, len(transactionalIDs)) // one for each: each waits for replicas
	var wg sync.WaitGroup
	slots := make(chan struct{}, maxFences)
	for i, id := range transactionalIDs {
		slots <- struct{}{}
		wg.Go(func() {
			if errs[i] = r.fence(ctx, id); errs[i] != nil {
				errs[i] = fmt.Errorf("fence lane %s: %w", id, errs[i])
			}
			<-slots
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (r *Runner) fence(ctx context.Context, id string) error {
	lane, err := r.cfg.Log.OpenLane(ctx, id)
	if err != nil {
		return err
	}
	return lane.Close()
}

// maxFences bounds the lanes that are fenced at the same time.
const maxFences = 16

// LaneIDs returns the transactional ids of this runner's lanes.
func (r *Runner) LaneIDs() []string {
	ids := make([]string, len(r.lanes))
	for i, l := range r.lanes {
		ids[i] = l.id
	}
	return ids
}

// RunnerLanes are the transactional ids of the lanes of a runner with this prefix and number of lanes, so that another node can fence them.
func RunnerLanes(prefix string, lanes int) []string {
	ids := make([]string, lanes)
	for i := range ids {
		ids[i] = fmt.Sprintf("%s-%d", prefix, i)
	}
	return ids
}

// Abandon is for a node whose work another has taken over: tasks and lanes give up what they have under way instead of finishing it. Close comes after it.
func (r *Runner) Abandon() { r.cancel() }

// Close stops all tasks and lanes and waits for them.
func (r *Runner) Close() error {
	r.mu.Lock()
	r.mu.closed = true
	r.mu.Unlock()
	r.StopStandbys(func(TaskKey) bool { return true })
	r.stop(func(TaskKey) bool { return true })
	r.cancel()
	r.wg.Wait()
	return nil
}
