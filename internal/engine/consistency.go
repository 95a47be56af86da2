package engine

import (
	"context"
	"errors"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/replication/metadata"
)

// positions are ends of partitions: everything below counts.
type positions map[exec.TopicPartition]int64

func (p positions) raise(q map[exec.TopicPartition]int64) {
	for tp, at := range q {
		p[tp] = max(p[tp], at)
	}
}

// await waits until the relations that a pull query reads hold what the session's consistency asks for: latest, everything acknowledged before
// now, by whoever, through any chain of views; session, what this session wrote; eventual, nothing. After read_wait, own writes that are missing are an
// error, those of others a WARNING.
func (s *session) await(ctx context.Context, reads []*planner.Relation) error {
	level := s.set.must("consistency")
	if level == "eventual" || len(reads) == 0 {
		return nil
	}
	limit := s.set.duration("read_wait")
	wctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	img := s.e.meta.Image()
	if err := s.e.opts.WaitIndex(wctx, img.Index()); err != nil { // another session may have made a relation this moment
		return cause(ctx, err)
	}
	w := &waiter{e: s.e, img: img, done: map[uint32]positions{}, own: s.written, onlyOwn: level == "session" && !s.ported.resumed}
	for _, r := range reads {
		if r.OID == errorsOID {
			w.everything(wctx)
			continue
		}
		if r.Kind == planner.Virtual || r.Kind == planner.Sequence || r.OID < uint32(metadata.FirstOID) || isTemp(r.OID) || s.created(r.OID) {
			continue
		}
		_, err := w.relation(wctx, r)
		if err == nil {
			continue
		}
		if ctx.Err() != nil || wctx.Err() == nil { // a request to another node has a time-out of its own, which says nothing of read_wait
			return cause(ctx, err)
		}
		if level == "session" {
			return sqlerr.New(sqlerr.SerializationFailure, "relation %q did not take in this session's writes within read_wait (%s)", r.Name, limit).
				WithHint("Try again, or SET read_wait to more.")
		}
		if s.e.opts.Worker {
			return s.lacksRows(r, limit.String())
		}
		s.warn(sqlerr.Warning, "relation %q may lack the newest rows: what feeds it did not catch up within read_wait (%s)", r.Name, limit)
	}
	return nil
}

// dropped replaces the error of a statement by one that says so if a relation that it reads was dropped while it ran.
func (s *session) dropped(err error, reads []*planner.Relation) error {
	if err == nil || sqlerr.CodeOf(err) == sqlerr.QueryCanceled {
		return err
	}
	img := s.e.meta.Image()
	for _, r := range reads {
		if r.Kind == planner.Virtual || r.OID < uint32(metadata.FirstOID) || isTemp(r.OID) || s.created(r.OID) {
			continue
		}
		if _, ok := img.Object(metadata.OID(r.OID)); !ok {
			return sqlerr.New(sqlerr.UndefinedTable, "relation %q was dropped by another session while the statement read it", r.Name)
		}
	}
	return err
}

// waiter waits for relations through the queries that feed them.
type waiter struct {
	e       *Engine
	img     *metadata.Image
	done    map[uint32]positions
	own     positions
	onlyOwn bool
}

// everything waits, as long as ctx lasts, until all queries and tables over topics have taken in what their sources hold, so that millrace.errors has the rows
// that failed. A query that is paused or has failed is not waited for.
func (w *waiter) everything(ctx context.Context) {
	for _, o := range queries(w.img) {
		if err := w.query(ctx, uint32(o.OID)); err != nil && ctx.Err() != nil {
			return
		}
	}
	for _, r := range w.e.super.tables() {
		if r.Query != 0 || r.Ordinary {
			continue // nobody but Millrace writes there
		}
		if _, err := w.relation(ctx, r); err != nil && ctx.Err() != nil {
			return
		}
	}
}

// relation waits until everything acknowledged in what r is made from has come out in r's topic and rows, and returns how far r's topic
// reaches then.
func (w *waiter) relation(ctx context.Context, r *planner.Relation) (positions, error) {
	if p, ok := w.done[r.OID]; ok {
		return p, nil
	}
	w.done[r.OID] = positions{} // a query may read what it writes
	for _, q := range w.e.feedersOf(w.img, r.OID) {
		if err := w.query(ctx, q); err != nil {
			return nil, err
		}
	}
	out := positions{}
	for _, tp := range topicPartitions(r) {
		if w.onlyOwn && r.Query == 0 {
			if at, ok := w.own[tp]; ok {
				out[tp] = at
			}
			continue
		}
		bounds := w.e.log.Offsets
		if r.Query != 0 { // nobody but the query's tasks writes there, and they have no transaction open for long
			bounds = w.settled
		}
		o, err := bounds(ctx, tp)
		if err != nil {
			return nil, err
		}
		out[tp] = o.LastStable
	}
	w.done[r.OID] = out
	if r.Kind != planner.Table {
		return out, nil
	}
	return out, w.rowsOf(ctx, r, out)
}

func (w *waiter) settled(ctx context.Context, tp exec.TopicPartition) (exec.Offsets, error) {
	return exec.Settled(ctx, w.e.log, tp)
}

// feeders are the queries that write each relation, as of one image. Every pull query asks for them, so they are worked out once an image.
type feeders struct {
	img   *metadata.Image
	of    map[uint32][]uint32
	state map[uint32]string // of the queries
}

// feedersIn returns the queries of an image.
func (e *Engine) feedersIn(img *metadata.Image) *feeders {
	f := e.feeders.Load()
	if f == nil || f.img != img {
		f = &feeders{img: img, of: map[uint32][]uint32{}, state: map[uint32]string{}}
		for _, o := range queries(img) {
			if def, err := e.defs.query(o); err == nil {
				f.of[def.Sink], f.state[uint32(o.OID)] = append(f.of[def.Sink], uint32(o.OID)), def.State
			}
		}
		e.feeders.Store(f)
	}
	return f
}

// feedersOf returns the OIDs of the queries that write a relation.
func (e *Engine) feedersOf(img *metadata.Image, oid uint32) []uint32 { return e.feedersIn(img).of[oid] }

// query waits until a query has brought through what its sources hold.
func (w *waiter) query(ctx context.Context, oid uint32) error {
	if w.e.feedersIn(w.img).state[oid] == stateReplacing {
		return w.replaced(ctx, oid)
	}
	q, ok := w.e.super.query(oid)
	if !ok {
		return w.missing(ctx, oid)
	}
	base := positions{}
	for _, r := range q.plan.Reads {
		p, err := w.relation(ctx, r)
		if err != nil {
			return err
		}
		base.raise(p)
	}
	wctx, stop := mergeDone(ctx, q.life)
	defer stop()
	err := w.through(wctx, q, oid, base)
	switch {
	case err == nil || ctx.Err() != nil:
	case w.e.feedersIn(w.e.meta.Image()).state[oid] == stateReplacing:
		return w.replaced(ctx, oid)
	case q.life.Err() != nil:
		return w.over(oid)
	case sqlerr.CodeOf(err) == sqlerr.ObjectNotInPrerequisiteState && w.startsAgain(ctx, oid):
		return errReplaced
	}
	return err
}

// notRunning says why a query has no tasks here.
func (w *waiter) notRunning(oid uint32) error {
	o, ok := w.e.queryObject(oid)
	if !ok {
		return sqlerr.New(sqlerr.UndefinedObject, "query %d was dropped meanwhile", oid)
	}
	e := sqlerr.New(sqlerr.ObjectNotInPrerequisiteState, "query %q does not run on this node", o.Name)
	if def, err := queryDef(o); err == nil && def.State == stateFailed {
		e = sqlerr.New(sqlerr.ObjectNotInPrerequisiteState, "query %q has failed: %s", o.Name, def.Error)
	}
	return e.WithHint("RESUME it to try again.")
}

// awaitQuery waits until a new query runs and, unless background_ddl is on, has consumed what its sources held.
func (s *session) awaitQuery(ctx context.Context, oid uint32) error {
	img := s.e.meta.Image()
	if err := s.e.super.waitActed(ctx, img.Index()); err != nil {
		return err
	}
	if s.set.on("background_ddl") {
		return nil
	}
	w := &waiter{e: s.e, img: img, done: map[uint32]positions{}}
	if err := w.query(ctx, oid); err != nil {
		if errors.Is(err, context.Canceled) {
			s.warn(sqlerr.Warning, "the query exists and goes on; only the wait for it was cancelled")
		}
		return cause(ctx, err)
	}
	if q, ok := s.e.super.query(oid); ok && q.sink.Kind == planner.Table {
		_, err := w.relation(ctx, q.sink)
		return cause(ctx, err)
	}
	return nil
}
