package engine

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/pgwire"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

const (
	// maxPrepared and maxPortals bound what one session may keep open.
	maxPrepared = 10_000
	maxPortals  = 10_000
)

// session is one client's state. One goroutine uses it at a time.
type session struct {
	e       *Engine
	info    *pgwire.SessionInfo
	client  pgwire.Client
	set     *settings
	tx      *txn
	stmts   statements
	portals map[string]*portal
	// writes: the transaction may change more than the session.
	writes atomic.Bool
	// written are the positions that this session's own writes reached, for consistency = session.
	written positions
	temp    temporary
	// values are what it got from sequences.
	values sequenceValues
	ported ported
	// textCache is what values print by; dropped when a setting changes.
	textCache *types.Settings
}

var _ pgwire.Session = (*session)(nil)

// statement is a parsed and analysed statement.
type statement struct {
	text   string // what positions refer to
	parsed sql.Parsed
	params []types.Type
	cols   []column
	wire   []pgwire.Column
	kind   pgwire.PortalKind
	verb   string // of the command tag
	counts bool   // the tag counts rows, as SELECT's does
	query  *planner.Query
	point  *pointRead // the query, when it reads one row
	dml    *planner.DML
	// showOp: a push query under show_changes, whose rows have the column op in front.
	showOp bool
	// prepared says when it got its name, in microseconds, by what PREPARE, "" for the protocol's message, and how that was read.
	prepared struct {
		micros  int64
		sql     string
		reading sql.Options
	}
	// image is the index of the metadata image that the plan was made from.
	image uint64
	// path is what else it depends on: the settings that give names their meaning.
	path string
	// temp is the version of the session's temporary objects.
	temp uint32
}

// changes are the INSERTs, UPDATEs and DELETEs of the statement, that in its own text first.
func (st *statement) changes() (out []*planner.DML) {
	q := st.query
	if st.dml != nil {
		out, q = append(out, st.dml), st.dml.Source
	}
	if q != nil {
		for _, c := range q.Changes {
			out = append(out, c.DML)
		}
	}
	return out
}

// visible are the ordinals of the columns that a query shows; nil: all.
func (st *statement) visible() []int {
	if st.query == nil {
		return nil
	}
	if !st.showOp {
		return st.query.Columns
	}
	out := []int{0}
	for _, ord := range st.query.Columns {
		out = append(out, ord+1)
	}
	return out
}

// ParamTypes implements pgwire.Statement.
func (st *statement) ParamTypes() []uint32 {
	out := make([]uint32, len(st.params))
	for i, t := range st.params {
		out[i] = t.OID()
	}
	return out
}

// Columns implements pgwire.Statement. COPY TO has columns, but none that a client is told of before the data.
func (st *statement) Columns() []pgwire.Column {
	if st.kind == pgwire.PortalCopyOut {
		return nil
	}
	return st.wire
}

// Text implements pgwire.Statement.
func (st *statement) Text() string { return st.text }

// Parameter implements pgwire.Session.
func (s *session) Parameter(name string) string { return s.set.must(strings.ToLower(name)) }

// Writes implements pgwire.Session.
func (s *session) Writes() bool { return s.writes.Load() }

// TxStatus implements pgwire.Session.
func (s *session) TxStatus() pgwire.TxStatus {
	switch {
	case s.tx == nil || !s.tx.explicit:
		return pgwire.TxIdle
	case s.tx.failed:
		return pgwire.TxFailed
	default:
		return pgwire.TxBlock
	}
}

// text returns the settings that values print and parse by.
func (s *session) text() *types.Settings {
	if s.textCache == nil {
		s.textCache = s.set.text(s.e.clock.Now())
		s.textCache.RegName = s.regName
		s.textCache.RegOID = s.regOID
	}
	return s.textCache
}

// parsedQuery is a statement of a simple Query with its text.
type parsedQuery struct {
	text   string
	parsed sql.Parsed
}

// Parse implements pgwire.Session.
func (s *session) Parse(_ context.Context, text string) ([]pgwire.Query, error) {
	all, err := sql.Parse(text, s.set.reading())
	if err != nil {
		return nil, err
	}
	out := make([]pgwire.Query, len(all))
	for i, p := range all {
		out[i] = &parsedQuery{text: text, parsed: p}
	}
	if len(all) > 1 {
		s.begin().several = true
	}
	return out, nil
}

// Run implements pgwire.Session.
func (s *session) Run(ctx context.Context, q pgwire.Query) (pgwire.Portal, error) {
	pq := q.(*parsedQuery)
	s.stmts.forget("")
	st, err := s.analyze(ctx, pq.text, pq.parsed, nil)
	if err != nil {
		return nil, err
	}
	if len(st.params) > 0 {
		return nil, sqlerr.New(sqlerr.UndefinedParameter, "there is no parameter $1").WithHint("A simple query has no parameters; send it by the extended protocol.")
	}
	return s.makePortal("", st, nil, nil)
}

// Prepare implements pgwire.Session.
func (s *session) Prepare(ctx context.Context, name, text string, oids []uint32) (pgwire.Statement, error) {
	parsed, err := sql.ParseOne(text, s.set.reading())
	if err != nil {
		return nil, err
	}
	hints := make([]types.Type, len(oids))
	for i, o := range oids {
		t, ok := s.typeOfOID(ctx, o)
		if !ok && o != 0 && o != 705 {
			return nil, sqlerr.New(sqlerr.UndefinedObject, "there is no type with OID %d for parameter $%d", o, i+1)
		}
		hints[i] = t
	}
	st, err := s.analyze(ctx, text, parsed, hints)
	if err != nil {
		return nil, err
	}
	return st, s.keepStatement(name, st)
}

func (s *session) keepStatement(name string, st *statement) error {
	if name != "" && s.stmts.has(name) {
		return sqlerr.New(sqlerr.DuplicatePreparedStatement, "prepared statement %q already exists", name)
	}
	if s.stmts.len() >= maxPrepared {
		return sqlerr.New(sqlerr.InsufficientResources, "this session has %d prepared statements already", maxPrepared).WithHint("DEALLOCATE those that are no longer needed.")
	}
	st.prepared.micros, st.prepared.reading = s.e.clock.Now().UnixMicro(), s.set.reading()
	s.stmts.put(name, st)
	return nil
}

// Bind implements pgwire.Session.
func (s *session) Bind(ctx context.Context, wst pgwire.Statement, b *pgwire.Bind) (pgwire.Portal, error) {
	st := wst.(*statement)
	if st.query != nil || st.dml != nil {
		fresh, err := s.refresh(ctx, st)
		if err != nil {
			return nil, err
		}
		st = fresh
	}
	if _, ok := st.parsed.Statement.(*sql.Fetch); ok {
		fresh, err := s.analyze(ctx, st.text, st.parsed, nil)
		if err != nil {
			return nil, err
		}
		st = fresh
	}
	args := make([]types.Datum, len(b.Params))
	for i, p := range b.Params {
		d, err := s.decodeParam(st.params[i], p)
		if err != nil {
			return nil, sqlerr.From(err).WithDetail("It is the value of parameter $%d.", i+1)
		}
		args[i] = d
	}
	return s.makePortal(b.Portal, st, args, b.ResultFormats)
}

func (s *session) decodeParam(t types.Type, p pgwire.Param) (types.Datum, error) {
	switch {
	case p.Value == nil:
		return types.NullDatum, nil
	case p.Format == pgwire.BinaryFormat:
		return types.ParseBinary(t, p.Value)
	default:
		return types.ParseText(t, string(p.Value), s.text())
	}
}

// refresh analyses a statement anew if the catalog or the search path changed since.
func (s *session) refresh(ctx context.Context, st *statement) (*statement, error) {
	if st.image == s.imageIndex() && st.image != staged && st.path == s.namePath() && st.temp == s.temp.version {
		return st, nil
	}
	fresh, err := s.analyze(ctx, st.text, st.parsed, st.params)
	if err != nil {
		return nil, err
	}
	if !sameColumns(st.cols, fresh.cols) {
		return nil, sqlerr.New(sqlerr.FeatureNotSupported, "cached plan must not change result type")
	}
	fresh.prepared = st.prepared
	s.stmts.renew(st, fresh)
	return fresh, nil
}

func sameColumns(a, b []column) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !a[i].typ.Equal(b[i].typ) {
			return false
		}
	}
	return true
}

// makePortal registers a portal of st.
func (s *session) makePortal(name string, st *statement, args []types.Datum, formats []pgwire.Format) (*portal, error) {
	if err := s.checkFailed(st); err != nil {
		return nil, err
	}
	if old, ok := s.portals[name]; ok {
		if name != "" {
			return nil, sqlerr.New(sqlerr.DuplicateCursor, "cursor %q already exists", name)
		}
		old.finish()
	}
	if len(s.portals) >= maxPortals {
		return nil, sqlerr.New(sqlerr.InsufficientResources, "this session has %d portals open already", maxPortals)
	}
	p := &portal{s: s, name: name, st: st, kind: st.kind, args: args, formats: formats}
	p.visible = st.visible()
	s.portals[name] = p
	return p, nil
}

// checkFailed refuses everything but the end of a failed block.
func (s *session) checkFailed(st *statement) error {
	if s.tx == nil || !s.tx.failed {
		return nil
	}
	t, _ := st.parsed.Statement.(*sql.Transaction)
	if s.tx.lost {
		return s.checkLost(t)
	}
	if t != nil {
		switch t.Kind {
		case sql.Commit, sql.Rollback, sql.RollbackTo:
			return nil
		}
	}
	return sqlerr.New(sqlerr.InFailedSQLTransaction, "current transaction is aborted, commands ignored until end of transaction block")
}

// Portal implements pgwire.Session.
func (s *session) Portal(name string) (pgwire.Portal, error) {
	p, ok := s.portals[name]
	if !ok {
		return nil, s.ported.lostCursor(name, sqlerr.New(sqlerr.InvalidCursorName, "portal %q does not exist", name))
	}
	return p, nil
}

// ClosePortal implements pgwire.Session.
func (s *session) ClosePortal(name string) {
	if p, ok := s.portals[name]; ok {
		p.finish()
		delete(s.portals, name)
	}
}

// closePortals closes all portals that do not outlive a transaction, or all.
func (s *session) closePortals(all bool) {
	for name, p := range s.portals {
		if all || !p.hold {
			p.finish()
			delete(s.portals, name)
		}
	}
}

// Sync implements pgwire.Session.
func (s *session) Sync(ctx context.Context) error {
	if s.tx == nil || s.tx.explicit {
		return nil
	}
	return s.commit(ctx)
}

// Fail implements pgwire.Session.
func (s *session) Fail(error) {
	switch {
	case s.tx == nil:
		s.closePortals(false)
	case s.tx.explicit:
		s.tx.fail()
	default:
		s.rollback()
	}
}

// Close implements pgwire.Session.
func (s *session) Close() {
	s.closePortals(true) // first, for a COPY in progress uses the transaction
	if s.tx != nil {
		s.rollback()
	}
	s.discardTemp()
	s.e.sessionClosed(s)
}

var errStatementTimeout = sqlerr.New(sqlerr.QueryCanceled, "canceling statement due to statement timeout")

// statementContext bounds a statement by statement_timeout.
func (s *session) statementContext(ctx context.Context) (context.Context, context.CancelFunc) {
	d := s.set.duration("statement_timeout")
	if d == 0 {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, d, errStatementTimeout)
}

// cause replaces the bare error of an ended context by the reason it ended for.
func cause(ctx context.Context, err error) error {
	if err != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		if c := context.Cause(ctx); c != nil {
			return c
		}
	}
	return err
}
