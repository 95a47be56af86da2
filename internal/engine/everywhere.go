package engine

import (
	"context"
	"sync"
	"time"

	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/sqlerr"
)

// everywhereLimit bounds how long a statement waits for other nodes to act on it.
const everywhereLimit = 10 * time.Second

// knownLimit bounds how long one waits for other nodes to hear of it: longer than a node may be silent before it is fenced.
const knownLimit = 3 * time.Second

// awaitEverywhere waits until every node has acted on the metadata as it is now: what was paused or dropped has no tasks any more, and every task knows what was
// added. A node that is fenced runs nothing that counts. Who does not tell in time is named in a WARNING.
func (s *session) awaitEverywhere(ctx context.Context) error {
	if s.e.opts.Peers == nil {
		return nil
	}
	index := s.e.meta.Image().Index()
	wctx, cancel := context.WithTimeout(ctx, everywhereLimit)
	defer cancel()
	for k := range s.e.meta.Image().Brokers() {
		if k.ID == s.e.opts.NodeID || s.e.awaitActedAt(wctx, k.ID, index) {
			continue
		}
		if ctx.Err() != nil {
			return cause(ctx, ctx.Err())
		}
		s.warn(sqlerr.Warning, "tasks on node %d may go on as before for a moment: it does not answer", k.ID)
	}
	return nil
}

// awaitActedAt waits until a node has acted on an image of at least index, or has no part in the cluster; false when ctx has ended before.
func (e *Engine) awaitActedAt(ctx context.Context, node int32, index uint64) bool {
	return e.awaitAt(ctx, node, "acted", index, func(a answer, err error) bool { return err == nil && a.Done })
}

// awaitAt asks a node about the metadata of an index until done says that the answer will do, or the node has no part in the cluster; false when ctx has ended before.
func (e *Engine) awaitAt(ctx context.Context, node int32, kind string, index uint64, done func(answer, error) bool) bool {
	for {
		if k, ok := e.meta.Image().Broker(node); !ok || k.Fenced || k.Draining {
			return true
		}
		if done(e.ask(ctx, node, question{Kind: kind, Index: index})) {
			return true
		}
		if !clock.Wait(ctx, e.clock, askPause) {
			return false
		}
	}
}

// awaitKnown waits until every node has heard of the metadata of an index, so that whoever reads there after the statement was answered reads by what it has changed. A node that does not answer is
// fenced soon, and reads nothing any more under consistency = latest by then.
func (e *Engine) awaitKnown(ctx context.Context, index uint64) {
	if e.opts.Peers == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, knownLimit)
	defer cancel()
	known := func(a answer, err error) bool {
		return a.Done || sqlerr.CodeOf(err) == sqlerr.FeatureNotSupported // of a release whose sessions do not read there
	}
	var wg sync.WaitGroup
	for k := range e.meta.Image().Brokers() {
		if k.ID != e.opts.NodeID {
			wg.Go(func() { e.awaitAt(ctx, k.ID, "knows", index, known) })
		}
	}
	wg.Wait()
}

// answerKnows waits a while until this node has heard of the metadata of an index.
func (e *Engine) answerKnows(ctx context.Context, index uint64) bool {
	ctx, cancel := context.WithTimeout(ctx, reachedWait)
	defer cancel()
	return e.opts.WaitIndex(ctx, index) == nil
}

// answerActed waits a while until this node has acted on an image.
func (e *Engine) answerActed(ctx context.Context, index uint64) bool {
	ctx, cancel := context.WithTimeout(ctx, reachedWait)
	defer cancel()
	return e.super.waitActed(ctx, index) == nil
}
