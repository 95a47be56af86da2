package exec

import (
	"context"
	"time"

	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/planner"
)

// A standby reads what the owner of a table or the tasks of a query write into the table's topic, decodes it as the table is defined here, and keeps the rows under the name under which it
// would own or follow them: who takes the tables over goes on from the mark. Until then they are a copy that is a little behind.

// standbyTurns is how many partitions are read and written at a time: it bounds what a node that has much to catch up with does for that, and the memory that takes, about
// 10 MiB each.
const standbyTurns = 2

// standbyRest is the time between two looks whether a full disk has room again.
const standbyRest = time.Second

// takeTurn waits for this partition's turn. One that had it gives it to whoever waits the longest first.
func (s *tableSession) takeTurn(ctx context.Context) error {
	turns := s.p.t.turns
	if turns == nil {
		return nil
	}
	s.endTurn()
	for full := s.p.t.cfg.DiskLow; full != nil && full(); {
		if !clock.Wait(ctx, s.p.t.cfg.Clock, standbyRest) {
			return ctx.Err()
		}
	}
	select {
	case turns <- struct{}{}:
		s.inTurn = true
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *tableSession) endTurn() {
	if s.inTurn {
		s.inTurn = false
		<-s.p.t.turns
	}
}

// noteWhole says by which definition the rows are decoded once they hold what the topic held when it was opened.
func (s *tableSession) noteWhole() {
	if s.src.position() >= s.whole {
		s.p.caughtUp(s.rel)
	}
}

// caughtUp says by which definition the rows are decoded that hold the whole topic; nil: they do not.
func (p *tablePart) caughtUp(rel *planner.Relation) {
	if !p.t.cfg.Standby {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.decoded != rel {
		p.mu.decoded = rel
		p.changedLocked()
	}
}

// alter takes in the table's present definition. Where it says something else about how records are decoded, a standby does not know from which record on it should have: it makes the rows
// anew. Who follows a topic elsewhere decodes by it from here on; the owner writes as the definition says.
func (s *tableSession) alter() error {
	rel := s.p.relation()
	shape := tableShape(rel)
	if shape == s.shape {
		s.rel = rel
		return s.reindex()
	}
	if s.p.t.cfg.Standby {
		if err := s.clear(); err != nil {
			return err
		}
		return errReload
	}
	s.rel, s.shape = rel, shape
	if err := s.reindex(); err != nil {
		return err
	}
	if err := s.commit(s.newBatch(0, 0)); err != nil || s.p.owner != nil {
		return err
	}
	return errReload
}
