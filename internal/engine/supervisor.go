package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/replication/metadata"
	"github.com/millracedb/millrace/sql"
)

// supervisor makes what runs on this node what the catalog says: tasks of persistent queries, owners and materializers of tables. One goroutine does
// all of it, so starts and stops never overlap.
type supervisor struct {
	e      *Engine
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	kick   chan struct{} // capacity one: look again though the image is the same

	// starting is held while something is started, and by a DROP while it stops things and notes in dropping that they are not to be
	// started again: another session's change may make the supervisor look at an image that still has them.
	starting sync.Mutex
	dropping map[metadata.OID]bool

	// replacing are the replacements that somebody looks after.
	replacing replacements

	gone  map[int32]bool // nodes whose lanes have been fenced since they were last seen; of the loop
	retry bool           // something could not be started; of the loop

	mu struct {
		sync.Mutex
		running map[metadata.OID]*runningQuery
		tables  map[metadata.OID]*planner.Relation
		ready   map[int32]readiness
		index   uint64        // of the image that was acted on
		acted   chan struct{} // closed and replaced when index moves

		// What the runner has told of and the loop has not heard yet; the queries and their tasks bound both.
		failures map[metadata.OID]error    // queries that failed for good: to be marked in the catalog
		over     map[exec.TaskKey]struct{} // tasks that another node has taken over, or thinks it has
	}
}

// runningQuery is a persistent query, some tasks of which may run here.
type runningQuery struct {
	version  uint64
	revision int
	plan     *planner.Persistent
	sink     *planner.Relation
	target   atomic.Pointer[planner.Relation] // of an INSERT: sink as it is now, for tasks that run
	start    map[exec.TopicPartition]int64    // where it begins, but for what it reads from the beginning
	state    string
	// standbys is how many other nodes keep the state of each task.
	standbys int
	// Guarded by the supervisor's mu.
	nodes  [][]int32                 // that run its tasks, by fragment and partition
	paused bool                      // it should have none
	own    map[exec.TaskKey]struct{} // tasks that run here
	placed context.Context           // ends when a task gets another node, or ends here
	move   context.CancelFunc

	life context.Context // ends when the query is stopped for good, so that nobody waits for it any more
	end  context.CancelFunc
}

func newSupervisor(e *Engine) *supervisor {
	s := &supervisor{e: e, kick: make(chan struct{}, 1), gone: map[int32]bool{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.dropping = map[metadata.OID]bool{}
	s.mu.running = map[metadata.OID]*runningQuery{}
	s.mu.tables = map[metadata.OID]*planner.Relation{}
	s.mu.ready = map[int32]readiness{}
	s.mu.acted = make(chan struct{})
	s.mu.failures = map[metadata.OID]error{}
	s.mu.over = map[exec.TaskKey]struct{}{}
	return s
}

func (s *supervisor) start() { s.wg.Go(s.loop) }

func (s *supervisor) close() {
	s.cancel()
	s.wg.Wait()
}

// restartPause is the wait before a query is taken up again that could not be started, or whose claim was found to be over.
const restartPause = 200 * time.Millisecond

func (s *supervisor) loop() {
	for {
		img, changed := s.e.meta.Watch()
		s.retry = false
		s.fenceGone(img)
		s.reconcile(s.dealOut(img))
		s.markFailed()
		if !s.wait(changed) || !s.takeBack() {
			return
		}
	}
}

// wait returns when it is time to look again; false when the supervisor ends.
func (s *supervisor) wait(changed <-chan struct{}) bool {
	var again <-chan time.Time
	if s.retry {
		timer := s.e.clock.NewTimer(restartPause)
		defer timer.Stop()
		again = timer.C()
	}
	select {
	case <-changed:
	case <-again:
	case <-s.kick:
	case <-s.ctx.Done():
		return false
	}
	return true
}

// lookAgain makes the loop look again though the image is the same.
func (s *supervisor) lookAgain() {
	select {
	case s.kick <- struct{}{}:
	default: // it will anyway
	}
}

// failed is told by the runner that a query has failed for good. The first of its tasks to fail gives the reason.
func (s *supervisor) failed(query uint64, _ int32, err error) {
	s.noteFailure(metadata.OID(query), err)
	s.lookAgain()
}

func (s *supervisor) noteFailure(oid metadata.OID, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.mu.failures[oid]; !ok {
		s.mu.failures[oid] = err
	}
}

// fenceGone ends, on the query node, what the lanes of nodes that have gone left open, so that nobody waits for it to time out.
func (s *supervisor) fenceGone(img *metadata.Image) {
	if s.e.opts.Worker || s.e.opts.Peers == nil {
		return
	}
	for k := range img.Brokers() {
		if k.ID == s.e.opts.NodeID || k.Fenced == s.gone[k.ID] {
			continue
		}
		s.gone[k.ID] = k.Fenced
		if !k.Fenced {
			continue
		}
		s.wg.Go(func() {
			if err := s.e.runner.Fence(s.ctx, exec.RunnerLanes(lanePrefix(k.ID), lanes)); err != nil && s.ctx.Err() == nil {
				s.e.logger.Warn("what a node left open ends when it times out", "node", k.ID, "err", err)
			}
		})
	}
}

// markFailed marks what has failed; what the metadata does not take now is tried again.
func (s *supervisor) markFailed() {
	s.mu.Lock()
	failures := s.mu.failures
	s.mu.failures = map[metadata.OID]error{}
	s.mu.Unlock()
	for oid, reason := range failures {
		if err := s.mark(oid, reason); err != nil && s.ctx.Err() == nil {
			s.e.logger.Warn("a failed query is not marked yet", "oid", oid, "err", err)
			s.noteFailure(oid, reason)
			s.retry = true
		}
	}
}

// mark writes a failure into the catalog, so that SQL says so everywhere and for ever.
func (s *supervisor) mark(oid metadata.OID, reason error) error {
	for {
		img := s.e.meta.Image()
		o, ok := img.Object(oid)
		if !ok {
			return nil // dropped meanwhile
		}
		def, err := queryDef(o)
		if err != nil {
			return err
		}
		if def.State == stateFailed {
			return nil
		}
		s.e.logger.Error("persistent query failed", "query", o.Name, "err", reason)
		se := sqlerr.From(reason)
		def.State, def.SQLState, def.Error = stateFailed, string(se.Code), se.Message
		next := *o
		if next.Payload, err = json.Marshal(def); err != nil {
			return err
		}
		b := s.e.meta.NewBatch()
		b.PutObject(next)
		if _, err := s.e.meta.Apply(s.ctx, b); !errors.Is(err, metadata.ErrVersionConflict) {
			return err
		}
	}
}

// reconcile starts and stops until this node runs what img says.
func (s *supervisor) reconcile(img *metadata.Image) {
	if err := s.e.opts.WaitIndex(s.ctx, img.Index()); err != nil {
		return
	}
	s.stopGone(img)
	s.finishReplacements(img)
	s.e.cache.forget(img)
	s.e.defs.forget(img)
	var queries []*metadata.Object
	for o := range img.Objects() {
		switch {
		case isRelation(o) && o.Kind != kindView && o.Kind != kindStream:
			if !s.e.opts.Worker || s.e.opts.TableStandby {
				s.startTable(img, o)
			}
		case o.Space == spaceQuery:
			queries = append(queries, o)
		}
	}
	s.startQueries(img, queries)
	s.mu.Lock()
	s.mu.index = img.Index()
	close(s.mu.acted)
	s.mu.acted = make(chan struct{})
	s.mu.Unlock()
}

// stopBeforeDrop stops what a DROP is about to take the topics from. If the DROP then fails, again brings it back.
func (s *supervisor) stopBeforeDrop(objects []*metadata.Object) {
	s.starting.Lock()
	defer s.starting.Unlock()
	for _, o := range objects {
		s.dropping[o.OID] = true
		s.mu.Lock()
		_, isTable := s.mu.tables[o.OID]
		delete(s.mu.tables, o.OID)
		_, isQuery := s.mu.running[o.OID]
		s.mu.Unlock()
		if isTable {
			s.e.tables.stop(uint32(o.OID))
		}
		if isQuery {
			s.e.runner.StopQuery(uint64(o.OID))
			s.forget(o.OID)
		}
	}
}

// afterDrop deletes the state of what was dropped.
func (s *supervisor) afterDrop(objects []*metadata.Object) {
	for _, o := range objects {
		switch o.Space {
		case spaceQuery:
			s.deleteGroups(o.OID)
		case spaceRelation:
			s.deleteErrorsGroup(o.OID)
		}
		s.dropState(o.OID)
	}
}

// again makes the supervisor look at the image once more.
func (s *supervisor) again(objects []*metadata.Object) {
	s.starting.Lock()
	for _, o := range objects {
		delete(s.dropping, o.OID)
	}
	s.starting.Unlock()
	s.lookAgain()
}

// stopGone stops what was dropped, paused or failed.
func (s *supervisor) stopGone(img *metadata.Image) {
	s.starting.Lock()
	for oid := range s.dropping {
		if _, ok := img.Object(oid); !ok {
			delete(s.dropping, oid) // from here on no image has it
		}
	}
	s.starting.Unlock()
	for oid, q := range s.queries() {
		o, ok := img.Object(oid)
		if !ok {
			s.e.runner.StopQuery(uint64(oid))
			s.forget(oid)
			s.dropState(oid)
			s.deleteGroups(oid)
			continue
		}
		if def, err := s.e.defs.query(o); err == nil && def.State != stateRunning && q.state == stateRunning {
			s.e.runner.PauseQuery(uint64(oid), def.failure())
			s.disown(q)
			q.state = def.State
		}
	}
	s.mu.Lock()
	var gone []metadata.OID
	for oid := range s.mu.tables {
		if _, ok := img.Object(oid); !ok {
			gone = append(gone, oid)
			delete(s.mu.tables, oid)
		}
	}
	s.mu.Unlock()
	for _, oid := range gone {
		s.e.tables.stop(uint32(oid))
		s.dropState(oid)
		s.deleteErrorsGroup(oid)
	}
}

func (s *supervisor) dropState(oid metadata.OID) {
	if err := s.e.opts.State.Drop(uint64(oid)); err != nil {
		s.e.logger.Error("state of a dropped object is not deleted", "oid", oid, "err", err)
	}
}

// tables are the tables whose rows this node keeps, wholly or in part.
func (s *supervisor) tables() []*planner.Relation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.mu.tables))
}

func (s *supervisor) queries() map[metadata.OID]*runningQuery {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[metadata.OID]*runningQuery, len(s.mu.running))
	for k, v := range s.mu.running {
		out[k] = v
	}
	return out
}

func (s *supervisor) forget(oid metadata.OID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q, ok := s.mu.running[oid]; ok {
		q.end()
		delete(s.mu.running, oid)
	}
}

// query returns what runs here under an OID.
func (s *supervisor) query(oid uint32) (*runningQuery, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, ok := s.mu.running[metadata.OID(oid)]
	return q, ok
}

// startTable starts what keeps a table's rows, or tells it how the table was altered.
func (s *supervisor) startTable(img *metadata.Image, o *metadata.Object) {
	s.starting.Lock()
	defer s.starting.Unlock()
	if s.dropping[o.OID] {
		return
	}
	s.mu.Lock()
	was, ok := s.mu.tables[o.OID]
	s.mu.Unlock()
	rel, err := s.e.relation(s.ctx, img, o)
	switch {
	case err != nil:
	case rel == was:
		if s.e.opts.Worker {
			err = s.e.tables.standBy(img, rel) // its replicas may have moved
		}
	case ok && rel.Generation == was.Generation && rel.Topic == was.Topic:
		s.e.tables.kept.Alter(rel)
	default:
		if ok {
			s.e.tables.stop(uint32(o.OID))
		}
		err = s.e.tables.start(img, rel)
	}
	if err != nil {
		s.e.logger.Error("table cannot be started", "table", o.Name, "err", err)
		return
	}
	s.mu.Lock()
	s.mu.tables[o.OID] = rel
	s.mu.Unlock()
}

// known returns a query of the catalog, planned, and its definition; nil if it cannot be planned, which is marked, or is being dropped.
func (s *supervisor) known(img *metadata.Image, o *metadata.Object) (*runningQuery, queryDefinition) {
	s.starting.Lock()
	defer s.starting.Unlock()
	if s.dropping[o.OID] {
		return nil, queryDefinition{}
	}
	def, err := s.e.defs.query(o)
	if err != nil {
		s.e.logger.Error("query cannot be read", "query", o.Name, "err", err)
		return nil, def
	}
	if q, ok := s.query(uint32(o.OID)); ok {
		if q.revision == def.Revision {
			return q, def
		}
		s.e.runner.StopQuery(uint64(o.OID)) // CREATE OR REPLACE has given it another plan
		s.forget(o.OID)
	}
	q, err := s.plan(img, o, def)
	if err != nil {
		s.failed(uint64(o.OID), 0, fmt.Errorf("its plan cannot be made: %w", err))
		return nil, def
	}
	q.start, q.revision, q.standbys = startOffsets(def), def.Revision, standbyReplicas(def.Settings)
	q.life, q.end = context.WithCancel(s.ctx)
	q.placed, q.move = context.WithCancel(q.life)
	q.own = map[exec.TaskKey]struct{}{}
	s.mu.Lock()
	s.mu.running[o.OID] = q
	s.mu.Unlock()
	return q, def
}

// plan plans a query from its definition.
func (s *supervisor) plan(img *metadata.Image, o *metadata.Object, def queryDefinition) (*runningQuery, error) {
	sinkObject, ok := img.Object(metadata.OID(def.Sink))
	if r := s.e.system.byOID(metadata.OID(def.Sink)); r != nil {
		return s.planInsert(img, o, def, r)
	}
	if !ok {
		return nil, sqlerr.New(sqlerr.UndefinedTable, "its result is gone")
	}
	if writerOf(sinkObject) == uint32(o.OID) {
		c, err := s.e.bound(s.ctx, img, sinkObject)
		if err != nil {
			return nil, err
		}
		return &runningQuery{version: o.Version, plan: c.plan, sink: c.rel}, nil
	}
	sink, err := s.e.relation(s.ctx, img, sinkObject)
	if err != nil {
		return nil, err
	}
	return s.planInsert(img, o, def, sink)
}

// planInsert plans a query that an INSERT has made.
func (s *supervisor) planInsert(img *metadata.Image, o *metadata.Object, def queryDefinition, sink *planner.Relation) (*runningQuery, error) {
	parsed, err := sql.ParseOne(def.Statement, newSettings(def.Settings).reading())
	if err != nil {
		return nil, err
	}
	insert, ok := parsed.Statement.(*sql.Insert)
	if !ok {
		return nil, sqlerr.New(sqlerr.DataCorrupted, "its definition is no INSERT statement")
	}
	plan, err := s.e.bindInsert(s.ctx, img, insert, def, nil, uint32(o.OID))
	return &runningQuery{version: o.Version, plan: plan, sink: sink}, err
}

func startOffsets(def queryDefinition) map[exec.TopicPartition]int64 {
	out := map[exec.TopicPartition]int64{}
	for topic, ends := range def.Start {
		for p, at := range ends {
			out[tpOf(topic, int32(p))] = at
		}
	}
	return out
}

func groupName(oid metadata.OID) string { return fmt.Sprintf("millrace-query-%d", oid) }

// maxGroups bounds the groups of a query that deleteGroups looks for: one for all fragments, and one for each that reads a topic again.
const maxGroups = 64

// deleteGroups deletes the groups of a query that is no more. It knows no plan by then, so it asks for every name that there can be.
func (s *supervisor) deleteGroups(oid metadata.OID) {
	if s.e.opts.Worker {
		return
	}
	names := []string{groupName(oid)}
	for n := range uint32(maxGroups) {
		names = append(names, exec.GroupOfFragment(groupName(oid), n))
	}
	for _, name := range names {
		if _, _, ok, err := s.e.opts.Groups.Group(name); err == nil && !ok {
			continue
		}
		if err := s.deleteGroup(name); err != nil {
			s.e.logger.Warn("group of a dropped query is not deleted", "group", name, "err", err)
		}
	}
}

// deleteErrorsGroup deletes the group of a table that is no more, if there is one: most never need it.
func (s *supervisor) deleteErrorsGroup(oid metadata.OID) {
	if s.e.opts.Worker {
		return
	}
	name := exec.TableErrorsGroup(uint32(oid))
	if err := s.deleteGroup(name); err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		s.e.logger.Warn("group of a dropped table is not deleted", "group", name, "err", err)
	}
}

// deleteTries bounds how often a group is tried to be deleted in which a node that has not stopped its tasks yet has a transaction open.
const deleteTries = 20

func (s *supervisor) deleteGroup(name string) (err error) {
	for range deleteTries {
		if err = s.e.opts.Groups.DeleteGroup(s.ctx, name, true); !errors.Is(err, kerr.NonEmptyGroup) || s.e.opts.Peers == nil {
			return err
		}
		if !clock.Wait(s.ctx, s.e.clock, askPause) {
			return err
		}
	}
	return err
}

// waitActed waits until the supervisor has acted on an image of at least index.
func (s *supervisor) waitActed(ctx context.Context, index uint64) error {
	for {
		s.mu.Lock()
		done, acted := s.mu.index >= index, s.mu.acted
		s.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-acted:
		case <-ctx.Done():
			return cause(ctx, ctx.Err())
		case <-s.ctx.Done():
			return sqlerr.New(sqlerr.AdminShutdown, "the node is stopping")
		}
	}
}
