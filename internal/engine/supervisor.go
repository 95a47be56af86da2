package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/millracedb/millrace/coordinator"
	"github.com/millracedb/millrace/exec"
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
	reason chan failure  // queries that failed, to be marked in the catalog
	kick   chan struct{} // capacity one: look again though the image is the same

	// starting is held while something is started, and by a DROP while it stops things and notes in dropping that they are not to be
	// started again: another session's change may make the supervisor look at an image that still has them.
	starting sync.Mutex
	dropping map[metadata.OID]bool

	mu struct {
		sync.Mutex
		running map[metadata.OID]*runningQuery
		tables  map[metadata.OID]*planner.Relation
		index   uint64        // of the image that was acted on
		acted   chan struct{} // closed and replaced when index moves
	}
}

// runningQuery is a persistent query whose tasks run here.
type runningQuery struct {
	version uint64
	plan    *planner.Persistent
	sink    *planner.Relation
	start   map[exec.TopicPartition]int64 // where it begins, but for what it reads from the beginning
	state   string
	life    context.Context // ends when the query is stopped for good, so that nobody waits for it any more
	end     context.CancelFunc
}

type failure struct {
	query metadata.OID
	err   error
}

// maxFailures bounds the failures that wait to be marked; more are found again when the tasks are started anew.
const maxFailures = 1024

func newSupervisor(e *Engine) *supervisor {
	s := &supervisor{e: e, reason: make(chan failure, maxFailures), kick: make(chan struct{}, 1)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.dropping = map[metadata.OID]bool{}
	s.mu.running = map[metadata.OID]*runningQuery{}
	s.mu.tables = map[metadata.OID]*planner.Relation{}
	s.mu.acted = make(chan struct{})
	return s
}

func (s *supervisor) start() { s.wg.Go(s.loop) }

func (s *supervisor) close() {
	s.cancel()
	s.wg.Wait()
}

func (s *supervisor) loop() {
	for {
		img, changed := s.e.meta.Watch()
		s.reconcile(img)
		select {
		case <-changed:
		case f := <-s.reason:
			s.mark(f)
		case <-s.kick:
		case <-s.ctx.Done():
			return
		}
	}
}

// failed is told by the runner that a query has failed for good.
func (s *supervisor) failed(query uint64, _ int32, err error) {
	select {
	case s.reason <- failure{metadata.OID(query), err}:
	default:
	}
}

// lost is told by the runner that a task ended because another node took over.
func (s *supervisor) lost(spec exec.TaskSpec, err error) {
	s.e.logger.Warn("task lost its partition", "query", spec.Name, "partition", spec.Partition, "err", err)
}

// mark writes a failure into the catalog, so that SQL says so everywhere and for ever.
func (s *supervisor) mark(f failure) {
	for {
		img := s.e.meta.Image()
		o, ok := img.Object(f.query)
		if !ok {
			return // dropped meanwhile
		}
		def, err := queryDef(o)
		if err != nil || def.State == stateFailed {
			return
		}
		s.e.logger.Error("persistent query failed", "query", o.Name, "err", f.err)
		se := sqlerr.From(f.err)
		def.State, def.SQLState, def.Error = stateFailed, string(se.Code), se.Message
		next := *o
		if next.Payload, err = json.Marshal(def); err != nil {
			return
		}
		b := s.e.meta.NewBatch()
		b.PutObject(next)
		if _, err := s.e.meta.Apply(s.ctx, b); !errors.Is(err, metadata.ErrVersionConflict) {
			return
		}
	}
}

// reconcile starts and stops until this node runs what img says.
func (s *supervisor) reconcile(img *metadata.Image) {
	if err := s.e.opts.WaitIndex(s.ctx, img.Index()); err != nil {
		return
	}
	s.stopGone(img)
	s.e.cache.forget(img)
	for o := range img.Objects() {
		switch {
		case isRelation(o) && o.Kind != kindView && o.Kind != kindStream:
			s.startTable(img, o)
		case o.Space == spaceQuery:
			s.startQuery(img, o)
		}
	}
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
		if o.Space == spaceQuery {
			s.deleteGroups(o.OID)
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
	select {
	case s.kick <- struct{}{}:
	default:
	}
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
		if def, err := queryDef(o); err == nil && def.State != stateRunning && q.state == stateRunning {
			s.e.runner.PauseQuery(uint64(oid))
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
	}
}

func (s *supervisor) dropState(oid metadata.OID) {
	if err := s.e.opts.State.Drop(uint64(oid)); err != nil {
		s.e.logger.Error("state of a dropped object is not deleted", "oid", oid, "err", err)
	}
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
	case err != nil || rel == was:
	case ok && rel.Generation == was.Generation && rel.Topic == was.Topic:
		s.e.tables.kept.Alter(rel)
	default:
		if ok {
			s.e.tables.stop(uint32(o.OID))
		}
		err = s.e.tables.start(s.ctx, rel)
	}
	if err != nil {
		s.e.logger.Error("table cannot be started", "table", o.Name, "err", err)
		return
	}
	s.mu.Lock()
	s.mu.tables[o.OID] = rel
	s.mu.Unlock()
}

// startQuery plans a persistent query and starts its tasks.
func (s *supervisor) startQuery(img *metadata.Image, o *metadata.Object) {
	s.starting.Lock()
	defer s.starting.Unlock()
	if s.dropping[o.OID] {
		return
	}
	def, err := queryDef(o)
	if err != nil {
		s.e.logger.Error("query cannot be read", "query", o.Name, "err", err)
		return
	}
	q, known := s.query(uint32(o.OID))
	if known && (q.state == stateRunning || def.State != stateRunning) {
		return
	}
	if !known {
		if q, err = s.plan(img, o, def); err != nil {
			s.failed(uint64(o.OID), 0, fmt.Errorf("its plan cannot be made: %w", err))
			return
		}
		q.start = startOffsets(def)
		q.life, q.end = context.WithCancel(s.ctx)
		s.mu.Lock()
		s.mu.running[o.OID] = q
		s.mu.Unlock()
	}
	if def.State != stateRunning {
		return
	}
	q.state = stateRunning
	if err := s.startTasks(o, q); err != nil {
		s.failed(uint64(o.OID), 0, err)
	}
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
	parsed, err := sql.ParseOne(def.Statement, sql.Options{})
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
	names := []string{groupName(oid)}
	for n := range uint32(maxGroups) {
		names = append(names, exec.GroupOfFragment(groupName(oid), n))
	}
	for _, name := range names {
		if _, _, ok, err := s.e.opts.Groups.Group(name); err == nil && !ok {
			continue
		}
		if err := s.e.opts.Groups.DeleteGroup(s.ctx, name, true); err != nil {
			s.e.logger.Warn("group of a dropped query is not deleted", "group", name, "err", err)
		}
	}
}

// claim takes a new generation of a group for this node.
func (s *supervisor) claim(group, member string) (generation int32, err error) {
	generation, _, _, err = s.e.opts.Groups.Group(group)
	if err != nil {
		return 0, err
	}
	generation++
	return generation, s.e.opts.Groups.SetGroup(s.ctx, group, generation, []coordinator.GroupMember{{ID: member, ClientID: "millrace"}})
}

// startTasks takes a new generation of the query's groups and starts its tasks under them, inputs before those that read them.
func (s *supervisor) startTasks(o *metadata.Object, q *runningQuery) error {
	member := fmt.Sprintf("node-%d", s.e.opts.NodeID)
	generations := map[string]int32{}
	for _, f := range q.plan.Fragments {
		group := exec.FragmentGroup(groupName(o.OID), q.plan, f)
		generation, claimed := generations[group]
		if !claimed {
			var err error
			if generation, err = s.claim(group, member); err != nil {
				return err
			}
			generations[group] = generation
		}
		for p := range f.Partitions {
			err := s.e.runner.Start(exec.TaskSpec{
				Query: uint64(o.OID), Name: o.Name, Plan: q.plan, Fragment: f, Partition: p,
				Group: group, Member: member, Generation: generation, IdleTimeout: q.sink.IdleTimeout, Start: q.start,
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
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
