package engine

import (
	"context"

	"github.com/millracedb/millrace/exec/bounded"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// changes is what the parts of a statement have in common that changes tables in WITH: each reads the tables as they were when the statement
// began, and what earlier changes have returned (PostgreSQL docs, 7.8.4).
type changes struct {
	s    *session
	snap *snapshot
	kept map[int][]*vec.Batch // what each change has returned
	// touched are the keys of the rows, by table, that the statement has changed: of several changes to one row the first counts. Nil where there is
	// but one change.
	touched map[uint32]map[string]struct{}
	actual  map[planner.Node]*bounded.Actual // for EXPLAIN ANALYZE
}

// runChanges runs the changes in the WITH clause of q, each to its end. The caller closes the result when the rest of the statement is open.
// actual is nil unless they are to be measured.
func (s *session) runChanges(ctx context.Context, q *planner.Query, args []types.Datum, actual map[planner.Node]*bounded.Actual) (*changes, error) {
	snap, err := s.takeSnapshot(ctx, q.Reads, true)
	if err != nil {
		return nil, err
	}
	at := &changes{s: s, snap: snap, kept: map[int][]*vec.Batch{}, actual: actual}
	if len(q.Changes) > 0 {
		at.touched = map[uint32]map[string]struct{}{}
	}
	for _, change := range q.Changes {
		c, err := s.runChange(ctx, change.DML, args, at)
		if err != nil {
			at.close()
			return nil, err
		}
		at.kept[change.ID] = c.results
	}
	return at, nil
}

func (at *changes) close() {
	if err := at.snap.close(); err != nil {
		at.s.e.logger.Error("snapshot of a statement is not closed", "err", err)
	}
}

// firstTo keeps of the rows sel those that no earlier change of the statement has touched.
func (at *changes) firstTo(c *change, b *vec.Batch, sel []int32) []int32 {
	if at == nil || at.touched == nil {
		return sel
	}
	keys := at.touched[c.dml.Rel.OID]
	if keys == nil {
		keys = map[string]struct{}{}
		at.touched[c.dml.Rel.OID] = keys
	}
	out := sel[:0]
	for _, i := range sel {
		key := c.keyText(b, int(i))
		if _, ok := keys[key]; !ok {
			keys[key] = struct{}{}
			out = append(out, i)
		}
	}
	return out
}

// openChanging opens a SELECT that changes tables in WITH. The changes have been made when it returns.
func (s *session) openChanging(ctx context.Context, p *portal) (r rows, err error) {
	q := p.st.query
	err = s.wholly(func() error {
		at, err := s.runChanges(ctx, q, p.args, nil)
		if err != nil {
			return err
		}
		pull, err := s.openAt(at.snap, q, p.args, at) // which takes the use of the snapshot over
		if err == nil {
			r = pull
		}
		return err
	})
	return r, cause(ctx, err)
}
