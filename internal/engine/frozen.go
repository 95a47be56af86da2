package engine

import (
	"context"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
)

// frozen is what a block under REPEATABLE READ or SERIALIZABLE reads from: one cut of all tables on the node and the ends of all
// streams, as of its first statement.
type frozen struct {
	state exec.StateSnapshot
	ends  positions
	users int // the transaction and what reads from it: a cursor WITH HOLD outlives its transaction
}

// release gives up one use.
func (f *frozen) release() error {
	if f.users--; f.users > 0 {
		return nil
	}
	return f.state.Close()
}

var errConcurrentUpdate = sqlerr.New(sqlerr.SerializationFailure, "could not serialize access due to concurrent update").
	WithHint("ROLLBACK and run the block again.")

// freezes tells whether the transaction reads from one cut.
func (t *txn) freezes() bool {
	return t != nil && t.explicit && (t.isolation == "repeatable read" || t.isolation == "serializable")
}

// freeze waits until what a statement reads is fresh enough. Under REPEATABLE READ the first statement takes the cut, which
// has what it waited for, and later ones read from that.
func (s *session) freeze(ctx context.Context, n *snapshot, reads []*planner.Relation) error {
	if !s.tx.freezes() {
		return s.await(ctx, reads)
	}
	if s.tx.frozen == nil {
		if err := s.await(ctx, reads); err != nil {
			return err
		}
		f, err := s.e.cut(ctx, s.world().Relations())
		if err != nil {
			return err
		}
		s.tx.frozen = f
	}
	n.frozen, n.state = s.tx.frozen, s.tx.frozen.state
	n.frozen.users++
	return nil
}

// cut takes a snapshot of all tables and the ends of all streams.
func (e *Engine) cut(ctx context.Context, rels []*planner.Relation) (*frozen, error) {
	f := &frozen{state: e.opts.State.Snapshot(), ends: positions{}, users: 1}
	for _, r := range rels {
		if r.Kind != planner.Stream {
			continue
		}
		for _, tp := range topicPartitions(r) {
			o, err := e.log.Offsets(ctx, tp)
			if err != nil {
				continue // a stream made by this block has no topic yet
			}
			f.ends[tp] = o.LastStable
		}
	}
	return f, nil
}

// thaw gives the cut up at the end of the transaction.
func (s *session) thaw(t *txn) {
	if t.frozen == nil {
		return
	}
	if err := t.frozen.release(); err != nil {
		s.e.logger.Error("snapshot of a transaction is not closed", "err", err)
	}
	t.frozen = nil
}
