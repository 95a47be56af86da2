package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/replication/metadata"
)

// A replacement is an object of its own until it takes over: a relation that nobody can name, whose query writes a topic of its own. What becomes of it
// is told by the catalog alone, so that a node which finds one that nobody looks after, for the one that did has died, knows what to do: one that has
// not begun to take over is discarded, for its statement was not answered; one that has is finished.
//
//  1. One entry says that both queries are to stand still, and that the replacement takes over.
//  2. Their groups get new generations, so that no task that has not heard of it commits any more.
//  3. What differs is written into the topic of the relation.
//  4. One entry gives the relation its new definition and the new query its place, and deletes the old query and the replacement.

// replacements are those that somebody looks after.
type replacements struct {
	sync.Mutex
	held map[metadata.OID]bool
}

// hold takes a replacement for oneself; false if somebody has it.
func (r *replacements) hold(oid metadata.OID) bool {
	r.Lock()
	defer r.Unlock()
	if r.held[oid] {
		return false
	}
	if r.held == nil {
		r.held = map[metadata.OID]bool{}
	}
	r.held[oid] = true
	return true
}

func (r *replacements) release(oid metadata.OID) {
	r.Lock()
	defer r.Unlock()
	delete(r.held, oid)
}

// finishReplacements takes up the replacements that nobody looks after.
func (s *supervisor) finishReplacements(img *metadata.Image) {
	if s.e.opts.Worker {
		return
	}
	for o := range img.Objects() {
		if o.Space != spaceReplacement || !s.replacing.hold(o.OID) {
			continue
		}
		def, err := relationDef(o)
		s.wg.Go(func() {
			defer s.replacing.release(o.OID)
			if err == nil && def.Swapping {
				err = s.takeOverFor(o.OID)
			} else {
				s.discard(o.OID)
			}
			if err != nil && s.ctx.Err() == nil {
				s.e.logger.Error("a relation is not replaced", "relation", o.Name, "err", err)
			}
		})
	}
}

// replace lets a replacement that the caller holds take over, whoever waits for it.
func (s *supervisor) replace(oid metadata.OID) <-chan error {
	done := make(chan error, 1)
	s.wg.Go(func() {
		defer s.replacing.release(oid)
		done <- s.takeOverFor(oid)
	})
	return done
}

// giveUp discards a replacement that the caller holds.
func (s *supervisor) giveUp(oid metadata.OID) {
	s.discard(oid)
	s.replacing.release(oid)
}

// takeOverFor goes through the steps; what the log or the catalog does not take now is tried again until the node ends.
func (s *supervisor) takeOverFor(oid metadata.OID) error {
	for {
		err := s.swap(oid)
		if err == nil || s.ctx.Err() != nil {
			return err
		}
		if errors.Is(err, errNothingToReplace) {
			s.discard(oid)
			return err
		}
		s.e.logger.Warn("a relation is not replaced yet", "oid", oid, "err", err)
		if !clock.Wait(s.ctx, s.e.clock, restartPause) {
			return s.ctx.Err()
		}
	}
}

// errNothingToReplace: what was to be replaced is gone, or changed so that it cannot be.
var errNothingToReplace = errors.New("nothing to replace")

// swapping is what a swap needs to know, as of one image.
type swapping struct {
	img                     *metadata.Image
	next, relation          *metadata.Object
	nextDef, relationDef    definition
	nextQuery, oldQuery     *metadata.Object
	nextQueryDef, oldQueryD queryDefinition
}

func (s *supervisor) loadSwap(oid metadata.OID) (*swapping, error) {
	w := &swapping{img: s.e.meta.Image()}
	object := func(oid metadata.OID) *metadata.Object {
		o, _ := w.img.Object(oid)
		return o
	}
	gone := func(what string) error {
		return fmt.Errorf("%w: %w", errNothingToReplace, sqlerr.New(sqlerr.SerializationFailure, "%s was dropped meanwhile", what))
	}
	var err error
	if w.next = object(oid); w.next == nil {
		return nil, gone("the new result")
	}
	if w.nextDef, err = relationDef(w.next); err != nil {
		return nil, err
	}
	if w.nextQuery = object(metadata.OID(w.nextDef.Query)); w.nextQuery == nil {
		return nil, gone("the new query")
	}
	if w.relation = object(metadata.OID(w.nextDef.Replaces)); w.relation == nil {
		return nil, gone("the relation")
	}
	if w.relationDef, err = relationDef(w.relation); err != nil {
		return nil, err
	}
	if w.oldQuery = object(metadata.OID(w.relationDef.Query)); w.oldQuery == nil {
		return nil, gone("the query")
	}
	if w.nextQueryDef, err = queryDef(w.nextQuery); err != nil {
		return nil, err
	}
	w.oldQueryD, err = queryDef(w.oldQuery)
	return w, err
}

func (s *supervisor) swap(oid metadata.OID) error {
	w, err := s.loadSwap(oid)
	if err != nil {
		return err
	}
	rel, err := s.e.relation(s.ctx, w.img, w.relation)
	if err != nil {
		return err
	}
	if err := s.standStill(w); err != nil {
		return err
	}
	for _, q := range []metadata.OID{w.oldQuery.OID, w.nextQuery.OID} {
		if err := s.fence(q); err != nil {
			return err
		}
	}
	if err := s.e.tables.kept.ReplaceRows(s.ctx, rel.Topic, w.nextDef.Topic); err != nil {
		return err
	}
	return s.exchange(oid)
}

// standStill makes both queries stop, and returns when they have here.
func (s *supervisor) standStill(w *swapping) error {
	w.oldQueryD.State, w.nextQueryDef.State, w.nextDef.Swapping = stateReplacing, stateReplacing, true
	b := s.e.meta.NewBatch()
	for _, change := range []struct {
		o       *metadata.Object
		payload any
	}{{w.oldQuery, w.oldQueryD}, {w.nextQuery, w.nextQueryDef}, {w.next, w.nextDef}} {
		next := *change.o
		var err error
		if next.Payload, err = json.Marshal(change.payload); err != nil {
			return err
		}
		b.PutObject(next)
	}
	r, err := s.e.meta.Apply(s.ctx, b)
	if err != nil {
		return err
	}
	return s.waitActed(s.ctx, r.Index)
}

// fence claims all partitions of a query's groups: a task of another node that has not heard that it is to stop commits nothing more. What such a task has under way is waited for: a lane commits
// its offsets, which the claim refuses, before it writes.
func (s *supervisor) fence(oid metadata.OID) error {
	q, ok := s.query(uint32(oid))
	if !ok {
		return nil // it never ran: its plan cannot be made
	}
	reads := map[string][]exec.TopicPartition{}
	for _, f := range q.plan.Fragments {
		group := exec.FragmentGroup(groupName(oid), q.plan, f)
		for p := range f.Partitions {
			reads[group] = append(reads[group], exec.TaskInputs(f, p)...)
		}
	}
	var claims []groupClaim
	for group, tps := range reads {
		claims = append(claims, claimOf(oid, group, tps))
	}
	for _, c := range s.e.claim(s.ctx, claims) {
		if err := c.err(); err != nil {
			return err
		}
	}
	for group, tps := range reads {
		if _, err := s.e.log.Committed(s.ctx, group, tps); err != nil {
			return err
		}
	}
	return nil
}

// exchange gives the relation its new definition and query, and deletes what it had.
func (s *supervisor) exchange(oid metadata.OID) error {
	w, err := s.loadSwap(oid)
	if err != nil {
		return err
	}
	relation, err := s.e.replaced(s.ctx, w.img, w.relation, w.nextDef)
	if err != nil {
		return err
	}
	w.nextQueryDef.Sink, w.nextQueryDef.State = uint32(w.relation.OID), stateRunning
	w.nextQueryDef.Revision++
	query := *w.nextQuery
	query.DependsOn = append(w.nextDef.Names.oids(w.relation.OID), w.relation.OID)
	if query.Payload, err = json.Marshal(w.nextQueryDef); err != nil {
		return err
	}
	b := s.e.meta.NewBatch()
	b.PutObject(relation)
	b.PutObject(query)
	gone := []*metadata.Object{w.oldQuery, w.next}
	for _, o := range gone {
		for t := range w.img.TopicsOwnedBy(o.OID) {
			b.DeleteTopic(t.ID)
		}
		b.DeleteObject(o.OID, o.Version)
	}
	return s.e.commitDDL(s.ctx, b, gone)
}

// discard drops a replacement and its query.
func (s *supervisor) discard(oid metadata.OID) {
	for s.ctx.Err() == nil {
		img := s.e.meta.Image()
		o, ok := img.Object(oid)
		if !ok {
			return
		}
		b := s.e.meta.NewBatch()
		gone := []*metadata.Object{o}
		if query, ok := img.Object(metadata.OID(writerOf(o))); ok {
			gone = append(gone, query)
		}
		for _, o := range gone {
			for t := range img.TopicsOwnedBy(o.OID) {
				b.DeleteTopic(t.ID)
			}
			b.DeleteObject(o.OID, o.Version)
		}
		err := s.e.commitDDL(s.ctx, b, gone)
		if err == nil || sqlerr.CodeOf(err) != sqlerr.SerializationFailure {
			if err != nil && s.ctx.Err() == nil {
				s.e.logger.Error("a result that was to replace another is not deleted", "relation", o.Name, "err", err)
			}
			return
		}
	}
}

// errReplaced: a relation that a statement reads got another query while it waited; with its plan made anew the statement can run.
var errReplaced = sqlerr.New(sqlerr.SerializationFailure, "a relation was replaced by another session meanwhile").WithHint("Run the statement again.")

// replaced waits for the end of a replacement that a query is part of, and then returns errReplaced.
func (w *waiter) replaced(ctx context.Context, oid uint32) error {
	for {
		img, changed := w.e.meta.Watch()
		if w.e.feedersIn(img).state[oid] != stateReplacing {
			return errReplaced
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// replacedSince reports whether what a plan reads has been replaced, or is about to be, since the image that the plan was made with: a snapshot may
// then have some of the new rows.
func (s *session) replacedSince(ctx context.Context, image uint64, reads []*planner.Relation) error {
	img := s.e.meta.Image()
	if img.Index() == image {
		return nil
	}
	for _, r := range reads {
		if r.Query == 0 {
			continue
		}
		if o, ok := img.Object(metadata.OID(r.OID)); ok && writerOf(o) != r.Query {
			return errReplaced
		}
		if s.e.feedersIn(img).state[r.Query] == stateReplacing {
			return (&waiter{e: s.e}).replaced(ctx, r.Query)
		}
	}
	return nil
}

// missing says why no query runs under an OID: it is gone since the image was taken, or is being started again, or does not run.
func (w *waiter) missing(ctx context.Context, oid uint32) error {
	if w.e.feedersIn(w.e.meta.Image()).state[oid] == stateReplacing {
		return w.replaced(ctx, oid)
	}
	if _, there := w.e.queryObject(oid); !there && w.img != w.e.meta.Image() || there && w.behind(ctx) {
		return errReplaced
	}
	if _, runs := w.e.super.query(oid); runs { // by now
		return errReplaced
	}
	return w.notRunning(oid)
}

// rowsOf waits until the kept rows of a relation hold what its topic does below the ends.
func (w *waiter) rowsOf(ctx context.Context, r *planner.Relation, ends positions) error {
	if r.Query != 0 && r.Generation > 0 {
		w.behind(ctx) // what keeps the rows may be that of an earlier generation still
	}
	err := w.e.tables.waitApplied(ctx, r, ends)
	if code := sqlerr.CodeOf(err); r.Query == 0 || ctx.Err() != nil || code != sqlerr.SerializationFailure && code != sqlerr.ObjectNotInPrerequisiteState {
		return err
	}
	if _, there := w.e.meta.Image().Object(metadata.OID(r.OID)); !there {
		return err
	}
	w.behind(ctx)
	return errReplaced // what kept the rows has ended, for one that keeps those of the new query
}

// behind reports whether the supervisor had not acted on the newest image, and returns when it has.
func (w *waiter) behind(ctx context.Context) bool {
	index := w.e.meta.Image().Index()
	s := w.e.super
	s.mu.Lock()
	behind := s.mu.index < index
	s.mu.Unlock()
	return behind && s.waitActed(ctx, index) == nil
}

// startsAgain reports whether a query that has no tasks is about to have some, and returns when the supervisor has seen to it.
func (w *waiter) startsAgain(ctx context.Context, oid uint32) bool {
	behind := w.behind(ctx)
	return behind || w.e.feedersIn(w.e.meta.Image()).state[oid] == stateRunning
}

// over is told to those who waited for a query that has ended under them: it was replaced or dropped, or has got another plan, and the newest definitions
// say which. Only when the node stops there are none to ask.
func (w *waiter) over(oid uint32) error {
	if w.e.super.ctx.Err() == nil {
		return errReplaced
	}
	return w.notRunning(oid)
}
