package engine

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/replication/metadata"
)

// errNotClaimed: the coordinator of a query's group did not answer, and another may soon.
var errNotClaimed = errors.New("the query's partitions are not claimed")

// start is a query whose tasks are made those that an image says.
type start struct {
	o       *metadata.Object
	q       *runningQuery
	def     queryDefinition
	missing map[*planner.Fragment][]exec.TaskKey // that are to run here and do not
	claims  map[string]int                       // of what they read: the index among the claims of all queries, by group
}

// startQueries makes the tasks of queries that run here those that img says. First those end that are to run elsewhere; then what those read that are to run here is claimed, and they start. Each is
// one step for all queries; tasks that stay where they are notice nothing.
func (s *supervisor) startQueries(img *metadata.Image, objects []*metadata.Object) {
	var all []*start
	for _, o := range objects {
		if q, def := s.known(img, o); q != nil {
			all = append(all, &start{o: o, q: q, def: def})
		}
	}
	s.starting.Lock()
	defer s.starting.Unlock()
	all = slices.DeleteFunc(all, func(st *start) bool { return s.dropping[st.o.OID] })
	begun := s.e.clock.Now()
	ended := s.release(img, all)
	released := s.e.clock.Now()
	made := s.takeUp(img, slices.DeleteFunc(all, func(st *start) bool { return st.def.State != stateRunning }))
	if ended+made > 0 {
		s.e.logger.Info("tasks of queries move", "ended", ended, "in", released.Sub(begun), "claims", made, "made_in", s.e.clock.Since(released))
	}
}

// release ends the tasks that are to run elsewhere, and returns how many they were.
func (s *supervisor) release(img *metadata.Image, all []*start) (ended int) {
	var leave []exec.TaskKey
	for _, st := range all {
		leave = append(leave, s.place(st.o.OID, st.q, s.e.taskNodes(img, st.o.OID, st.q.plan), st.def.State != stateRunning)...)
	}
	s.halt(leave)
	return len(leave)
}

// takeUp claims what the tasks read that are to run here and do not, and starts them. It returns how many claims were made.
func (s *supervisor) takeUp(img *metadata.Image, all []*start) (made int) {
	var claims []groupClaim
	for _, st := range all {
		st.q.state = stateRunning
		s.retarget(img, st)
		claims = s.addClaims(claims, st)
	}
	var got []claimed
	if len(claims) > 0 {
		got = s.e.claim(s.ctx, claims)
	}
	var unclaimed []error
	for _, st := range all {
		switch err := s.run(img, st, got); {
		case errors.Is(err, errNotClaimed):
			unclaimed = append(unclaimed, err)
		case err != nil:
			s.failed(uint64(st.o.OID), 0, err)
		default:
			made += len(st.claims)
		}
	}
	if len(unclaimed) > 0 {
		s.retry = true
		s.e.logger.Info("tasks of queries cannot be taken up yet", "queries", len(unclaimed), "err", unclaimed[0])
	}
	return made
}

// retarget tells the tasks of an INSERT how the relation was altered that they write.
func (s *supervisor) retarget(img *metadata.Image, st *start) {
	if sink, ok := img.Object(metadata.OID(st.def.Sink)); ok && s.e.defs.writer(sink) != uint32(st.o.OID) {
		if rel, err := s.e.relation(s.ctx, img, sink); err == nil {
			st.q.target.Store(rel)
		}
	}
}

// addClaims appends the claims of what a query's missing tasks read.
func (s *supervisor) addClaims(claims []groupClaim, st *start) []groupClaim {
	st.missing = s.missing(st.o.OID, st.q)
	reads := map[string][]exec.TopicPartition{}
	for f, tasks := range st.missing {
		group := exec.FragmentGroup(groupName(st.o.OID), st.q.plan, f)
		for _, k := range tasks {
			reads[group] = append(reads[group], exec.TaskInputs(f, k.Partition)...)
		}
	}
	st.claims = map[string]int{}
	for _, group := range slices.Sorted(maps.Keys(reads)) {
		st.claims[group] = len(claims)
		claims = append(claims, claimOf(st.o.OID, group, reads[group]))
	}
	return claims
}

// run starts the tasks of a query whose claims are made, and its standbys.
func (s *supervisor) run(img *metadata.Image, st *start, got []claimed) error {
	for _, i := range st.claims {
		err := got[i].err()
		if err != nil && s.e.opts.Peers != nil {
			return fmt.Errorf("%w: %w", errNotClaimed, err)
		} else if err != nil {
			return err
		}
	}
	if err := s.startTasks(st, got); err != nil {
		return err
	}
	return s.followTasks(img, st.o, st.q)
}

// startTasks starts the missing tasks of a query, inputs before those that read them.
func (s *supervisor) startTasks(st *start, got []claimed) error {
	for _, f := range st.q.plan.Fragments {
		group := exec.FragmentGroup(groupName(st.o.OID), st.q.plan, f)
		for _, k := range st.missing[f] {
			err := s.e.runner.Start(exec.TaskSpec{
				Query: uint64(st.o.OID), Name: st.o.Name, Plan: st.q.plan, Fragment: f, Partition: k.Partition,
				Group: group, Member: memberName(s.e.opts.NodeID), Generation: got[st.claims[group]].Generation, IdleTimeout: st.q.sink.IdleTimeout, Start: st.q.start,
				Target: &st.q.target, StateRetention: s.stateRetention(),
			})
			if err != nil {
				return err
			}
			s.mu.Lock()
			st.q.own[k] = struct{}{}
			s.mu.Unlock()
		}
	}
	return nil
}
