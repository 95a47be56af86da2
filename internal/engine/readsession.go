package engine

import (
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql"
)

// A session whose start-up packet says that it only reads may run on a worker: from the rows that the node keeps as a standby of the tables, after the same waits as where the tables are served. It asks
// the leaders how far topics reach and the nodes of tasks how far those are, so what it answers under consistency = latest is what was acknowledged, or it is an error.

// ServesReads tells whether sessions that only read can run here now: the rows of all tables are here, and have been complete at some time.
func (e *Engine) ServesReads() bool {
	if !e.opts.Worker || !e.opts.TableStandby {
		return false
	}
	img := e.meta.Image()
	for o := range img.Objects() {
		if !isRelation(o) || o.Kind == kindView || o.Kind == kindStream {
			continue
		}
		rel, err := e.relation(e.super.ctx, img, o)
		if err != nil {
			return false
		}
		for p := range rel.Partitions {
			if !e.tables.kept.Reads(rel, p, 0) {
				return false
			}
		}
	}
	return true
}

// onlyReads refuses what a session on a worker cannot do.
func (s *session) onlyReads(format string, args ...any) error {
	return sqlerr.New(sqlerr.ReadOnlySQLTransaction, format, args...).
		WithHint("The session only reads, on node %d, as default_transaction_read_only in its start-up packet says. Connect without that to write.", s.e.opts.NodeID)
}

// checkReads refuses statements that change something. Functions that do refuse themselves.
func (s *session) checkReads(st *statement) error {
	switch q := st.parsed.Statement.(type) {
	case *sql.Query, *sql.Explain, *sql.Execute, *sql.DeclareCursor:
		return nil
	case *sql.Copy:
		if !q.From {
			return nil
		}
		return s.checkWrite("COPY FROM")
	}
	if ownAffair(st.parsed.Statement) {
		return nil
	}
	verb, _, _ := strings.Cut(sql.String(st.parsed.Statement), " ")
	return s.checkWrite(strings.ToUpper(verb))
}

// ownAffair tells whether a statement changes nothing but its session, or shows something.
func ownAffair(st sql.Statement) bool {
	switch st.(type) {
	case *sql.Transaction, *sql.Set, *sql.SetTransaction, *sql.SetConstraints, *sql.Reset, *sql.Show, *sql.ShowObjects, *sql.ShowCreate, *sql.Describe, *sql.Print, *sql.Discard,
		*sql.Listen, *sql.Unlisten, *sql.Prepare, *sql.Deallocate, *sql.Fetch, *sql.CloseCursor:
		return true
	}
	return false
}

// lacksRows is the error of a session on a worker for a relation whose newest rows are not here.
func (s *session) lacksRows(r *planner.Relation, limit string) error {
	return sqlerr.New(sqlerr.CannotConnectNow, "relation %q on node %d lacks the newest rows: they did not come within read_wait (%s)", r.Name, s.e.opts.NodeID, limit).
		WithHint("Try again, SET read_wait to more, SET consistency = 'eventual' to read what there is, or connect without default_transaction_read_only.")
}
