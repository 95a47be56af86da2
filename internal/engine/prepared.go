package engine

import (
	"context"
	"slices"
	"strings"

	"github.com/millracedb/millrace/exec/expr"
	"github.com/millracedb/millrace/internal/engine/pgcatalog"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/pgwire"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// prepare runs PREPARE name (types) AS statement.
func (s *session) prepare(ctx context.Context, p *portal, q *sql.Prepare) (string, error) {
	hints := make([]types.Type, len(q.Types))
	pl := s.planner(s.catalog())
	for i, t := range q.Types {
		var err error
		if hints[i], err = pl.ResolveType(ctx, t); err != nil {
			return "", err
		}
	}
	inner := p.st.parsed
	inner.Statement = q.Statement
	st, err := s.analyze(ctx, p.st.text, inner, hints)
	if err != nil {
		return "", err
	}
	st.prepared.sql = p.st.parsed.Text
	return "PREPARE", s.keepStatement(q.Name, st)
}

func (s *session) deallocate(q *sql.Deallocate) (string, error) {
	if q.Name == "" {
		s.stmts.forgetAll()
		return "DEALLOCATE ALL", nil
	}
	if !s.stmts.has(q.Name) {
		return "", sqlerr.New(sqlerr.InvalidSQLStatementName, "prepared statement %q does not exist", q.Name)
	}
	s.stmts.forget(q.Name)
	return "DEALLOCATE", nil
}

// executed makes a portal of EXECUTE's target with its arguments.
func (s *session) executed(ctx context.Context, p *portal, q *sql.Execute) (*portal, error) {
	st, err := s.preparedStatement(ctx, q.Name)
	if err != nil {
		return nil, err
	}
	if st.query != nil || st.dml != nil {
		if st, err = s.refresh(ctx, st); err != nil {
			return nil, err
		}
	}
	if len(q.Args) != len(st.params) {
		return nil, sqlerr.New(sqlerr.SyntaxError, "wrong number of parameters for prepared statement %q", q.Name).
			WithDetail("Expected %d parameters but got %d.", len(st.params), len(q.Args))
	}
	pl := s.planner(s.catalog())
	args := make([]types.Datum, len(q.Args))
	for i, a := range q.Args {
		e, err := pl.BindScalar(ctx, a, st.params[i])
		if err != nil {
			return nil, err
		}
		if args[i], err = expr.Eval(e, s.env(ctx, p.args)); err != nil {
			return nil, err
		}
	}
	return &portal{s: s, st: st, kind: st.kind, args: args, visible: st.visible()}, nil
}

func (s *session) executeRows(ctx context.Context, p *portal, q *sql.Execute) (rows, string, error) {
	target, err := s.executed(ctx, p, q)
	if err != nil {
		return nil, "", err
	}
	p.visible = target.visible
	return s.open(ctx, target)
}

func (s *session) executeCommand(ctx context.Context, p *portal, q *sql.Execute) (string, error) {
	target, err := s.executed(ctx, p, q)
	if err != nil {
		return "", err
	}
	return s.command(ctx, target)
}

// declare opens an SQL cursor. One over a push query may be declared outside a transaction and outlives it.
func (s *session) declare(ctx context.Context, p *portal, q *sql.DeclareCursor) (string, error) {
	inner := p.st.parsed
	inner.Statement = q.Query
	st, err := s.analyze(ctx, p.st.text, inner, p.st.params)
	if err != nil {
		return "", err
	}
	push := st.query.Unbounded
	if push && q.Scroll == sql.Yes {
		return "", sqlerr.New(sqlerr.FeatureNotSupported, "a SCROLL cursor over a query that does not end is not supported").
			WithHint("Leave out SCROLL, or EMIT CHANGES.")
	}
	if !push && !q.Hold && !s.tx.explicit && !s.tx.several {
		return "", sqlerr.New(sqlerr.NoActiveSQLTransaction, "DECLARE CURSOR can only be used in transaction blocks").WithHint("Write BEGIN first, or declare it WITH HOLD, or over a query with EMIT CHANGES.")
	}
	if _, ok := s.portals[q.Name]; ok {
		return "", sqlerr.New(sqlerr.DuplicateCursor, "cursor %q already exists", q.Name)
	}
	c, err := s.makePortal(q.Name, st, p.args, nil)
	if err != nil {
		return "", err
	}
	c.cursor, c.hold, c.tx, c.kind = true, push || q.Hold, s.tx, pgwire.PortalRows
	if q.Scroll == sql.Yes {
		c.scroll = newScrollback(st.cols)
	}
	if q.Binary {
		c.formats = []pgwire.Format{pgwire.BinaryFormat}
	}
	// The query starts now, so that it sees this moment and not that of the first FETCH.
	if err := c.start(ctx); err != nil {
		s.ClosePortal(q.Name)
		return "", err
	}
	return "DECLARE CURSOR", nil
}

func (s *session) cursor(name string) (*portal, error) {
	c, ok := s.portals[name]
	if !ok {
		return nil, s.ported.lostCursor(name, sqlerr.New(sqlerr.InvalidCursorName, "cursor %q does not exist", name))
	}
	return c, nil
}

// analyzeFetch gives FETCH its cursor's columns. It may be prepared before there is a cursor, and then has none; Bind looks again.
func (s *session) analyzeFetch(st *statement, q *sql.Fetch) {
	if q.Move {
		st.verb, st.counts = "MOVE", true
		return
	}
	st.verb, st.counts = "FETCH", true
	if c, err := s.cursor(q.Cursor); err == nil {
		st.cols = c.st.cols
	}
}

func (s *session) closeCursor(q *sql.CloseCursor) (string, error) {
	if q.Name == "" {
		s.closePortals(true)
		return "CLOSE CURSOR ALL", nil
	}
	if _, err := s.cursor(q.Name); err != nil {
		return "", err
	}
	s.ClosePortal(q.Name)
	return "CLOSE CURSOR", nil
}

// Prepared implements pgcatalog.Session.
func (c catalogSession) Prepared() []pgcatalog.Prepared {
	var out []pgcatalog.Prepared
	for _, name := range c.s.stmts.names() {
		st, err := c.s.preparedStatement(context.Background(), name)
		if name == "" || err != nil { // the tables of one that came from another node may be gone
			continue
		}
		p := pgcatalog.Prepared{Name: name, Statement: st.text, Micros: st.prepared.micros, Params: st.params}
		if st.prepared.sql != "" {
			p.Statement, p.FromSQL = st.prepared.sql, true
		}
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b pgcatalog.Prepared) int { return strings.Compare(a.Name, b.Name) })
	return out
}
