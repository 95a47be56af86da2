package pgwire

import (
	"context"
	"encoding/binary"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// fakeBackend is a database of a few statements, spelt so that PostgreSQL answers them alike, and some for tests only: a
// push query fed by the test (select emit changes), panics, notices.
type fakeBackend struct {
	auth func(*SessionInfo) (Auth, error) // nil means trust
	feed chan string                      // rows of push queries
	// started gets a value when a push query, pg_sleep or test block begins to wait; closed when a session is closed.
	started chan string
	closed  chan struct{}

	mu struct {
		sync.Mutex
		listeners map[string][]*fakeSession
		infos     []*SessionInfo
		aborted   []string // reasons of aborted COPY IN
		notYet    int      // how many sessions cannot be served yet
	}
}

func newFakeBackend() *fakeBackend {
	b := &fakeBackend{feed: make(chan string, 16), started: make(chan string, 16), closed: make(chan struct{}, 64)}
	b.mu.listeners = map[string][]*fakeSession{}
	return b
}

func (b *fakeBackend) Authentication(_ context.Context, info *SessionInfo) (Auth, error) {
	if b.auth != nil {
		return b.auth(info)
	}
	return Auth{}, nil
}

func (b *fakeBackend) NewSession(_ context.Context, info *SessionInfo, client Client) (Session, error) {
	if info.Database == "nowhere" {
		return nil, sqlerr.New(sqlerr.InvalidCatalogName, "database %q does not exist", info.Database)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mu.notYet > 0 {
		b.mu.notYet--
		return nil, fmt.Errorf("not yet: %w", sqlerr.New(sqlerr.CannotConnectNow, "log is unavailable"))
	}
	b.mu.infos = append(b.mu.infos, info)
	s := &fakeSession{
		backend: b, client: client, pid: info.PID, status: TxIdle,
		statements: map[string]*fakeStatement{}, portals: map[string]*fakePortal{},
		settings: map[string]string{
			"client_encoding": "UTF8", "DateStyle": "ISO, MDY", "server_version": "15.0", "TimeZone": "UTC",
			"standard_conforming_strings": "on", "integer_datetimes": "on", "server_encoding": "UTF8",
		},
	}
	for _, setting := range info.Settings {
		s.settings[setting.Name] = setting.Value
	}
	if r := info.Resumed; r != nil {
		for name, value := range r.State {
			s.settings[name] = value
		}
		if r.Failed {
			s.status, s.untold = TxFailed, r.Untold
		}
	}
	return s, nil
}

type fakeSession struct {
	backend    *fakeBackend
	client     Client
	pid        int32
	status     TxStatus
	writes     atomic.Bool
	untold     bool // of the loss of a block
	implicit   bool
	statements map[string]*fakeStatement
	portals    map[string]*fakePortal
	settings   map[string]string
	table      []string
}

func (s *fakeSession) Parameter(name string) string { return s.settings[name] }
func (s *fakeSession) TxStatus() TxStatus           { return s.status }
func (s *fakeSession) Writes() bool                 { return s.writes.Load() }

func (s *fakeSession) Parse(_ context.Context, text string) ([]Query, error) {
	var queries []Query
	at := 0
	for _, part := range strings.Split(text, ";") {
		if sql := strings.TrimSpace(part); sql != "" && !strings.HasPrefix(sql, "--") {
			if word, _, _ := strings.Cut(sql, " "); word == "selec" {
				return nil, sqlerr.New(sqlerr.SyntaxError, "syntax error at or near %q", word).At(at + strings.Index(part, word))
			}
			queries = append(queries, fakeQuery{sql: sql, text: text, at: at + strings.Index(part, sql)})
		}
		at += len(part) + 1
	}
	return queries, nil
}

type fakeQuery struct {
	sql, text string
	at        int
}

func (s *fakeSession) Run(_ context.Context, q Query) (Portal, error) {
	st, err := s.analyse(q.(fakeQuery), nil)
	if err != nil {
		return nil, err
	}
	delete(s.statements, "")
	s.portals[""] = &fakePortal{session: s, fakeStatement: st}
	return s.portals[""], nil
}

func (s *fakeSession) Prepare(ctx context.Context, name, text string, types []uint32) (Statement, error) {
	queries, err := s.Parse(ctx, text)
	if err != nil {
		return nil, err
	}
	if len(queries) > 1 {
		return nil, sqlerr.New(sqlerr.SyntaxError, "cannot insert multiple commands into a prepared statement")
	}
	st := &fakeStatement{kind: PortalEmpty, text: text}
	if len(queries) == 1 {
		if st, err = s.analyse(queries[0].(fakeQuery), types); err != nil {
			return nil, err
		}
	}
	if _, taken := s.statements[name]; taken && name != "" {
		return nil, sqlerr.New(sqlerr.DuplicatePreparedStatement, "prepared statement %q already exists", name)
	}
	s.statements[name] = st
	return st, nil
}

func (s *fakeSession) Statement(_ context.Context, name string) (Statement, error) {
	st, ok := s.statements[name]
	switch {
	case ok:
		return st, nil
	case name == "":
		return nil, sqlerr.New(sqlerr.InvalidSQLStatementName, "unnamed prepared statement does not exist")
	}
	return nil, sqlerr.New(sqlerr.InvalidSQLStatementName, "prepared statement %q does not exist", name)
}

func (s *fakeSession) CloseStatement(name string) { delete(s.statements, name) }

func (s *fakeSession) Bind(_ context.Context, st Statement, b *Bind) (Portal, error) {
	p := &fakePortal{session: s, fakeStatement: st.(*fakeStatement), formats: b.ResultFormats}
	if err := s.checkBlock(p.fakeStatement); err != nil {
		return nil, err
	}
	if _, taken := s.portals[b.Portal]; taken && b.Portal != "" {
		return nil, sqlerr.New(sqlerr.DuplicateCursor, "cursor %q already exists", b.Portal)
	}
	for _, param := range b.Params {
		switch {
		case param.Value == nil:
			p.params = append(p.params, "NULL")
		case param.Format == BinaryFormat && len(param.Value) == 4:
			p.params = append(p.params, strconv.Itoa(int(int32(binary.BigEndian.Uint32(param.Value)))))
		default:
			p.params = append(p.params, string(param.Value))
		}
	}
	s.implicit = s.status == TxIdle
	s.portals[b.Portal] = p
	p.name = b.Portal
	return p, nil
}

func (s *fakeSession) Portal(name string) (Portal, error) {
	if p, ok := s.portals[name]; ok {
		return p, nil
	}
	return nil, sqlerr.New(sqlerr.InvalidCursorName, "portal %q does not exist", name)
}

func (s *fakeSession) ClosePortal(name string) { delete(s.portals, name) }

func (s *fakeSession) Sync(context.Context) error {
	if s.settings["fail_commit"] == "now" {
		delete(s.settings, "fail_commit")
		return sqlerr.New(sqlerr.SerializationFailure, "could not commit")
	}
	if s.settings["fail_commit"] == "next" {
		s.settings["fail_commit"] = "now"
	}
	if s.status == TxIdle {
		clear(s.portals)
		s.implicit = false
	}
	return nil
}

func (s *fakeSession) Fail(error) {
	if s.status != TxIdle {
		s.status = TxFailed
	}
	clear(s.portals)
}

func (s *fakeSession) Close() {
	b := s.backend
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.mu.listeners)
	b.closed <- struct{}{}
}

func (s *fakeSession) checkBlock(st *fakeStatement) error {
	if s.untold && st.verb != "rollback" {
		s.untold = false
		return LostBlock()
	}
	if s.status == TxFailed && st.verb != "rollback" && st.verb != "commit" {
		return sqlerr.New(sqlerr.InFailedSQLTransaction, "current transaction is aborted, commands ignored until end of transaction block")
	}
	return nil
}

// fakeStatement also stands for the portal it is bound to.
type fakeStatement struct {
	kind    PortalKind
	verb    string
	args    []string
	text    string
	types   []uint32
	columns []Column
}

func (st *fakeStatement) ParamTypes() []uint32 { return st.types }
func (st *fakeStatement) Columns() []Column    { return st.columns }
func (st *fakeStatement) Text() string         { return st.text }

var (
	int4Column = Column{TypeOID: 23, TypeLen: 4, TypeMod: -1}
	textColumn = Column{TypeOID: 25, TypeLen: -1, TypeMod: -1}
)

func named(c Column, name string) []Column {
	c.Name = name
	return []Column{c}
}

// fakeGrammar are the statements; %d stands for digits, %w for a word, %s for the rest.
var fakeGrammar = []struct {
	pattern string
	kind    PortalKind
	columns []Column
	types   []uint32
}{
	{"select %d", PortalRows, named(int4Column, "?column?"), nil},
	{"select 1/0", PortalRows, named(int4Column, "?column?"), nil},
	{"select generate_series(%d,%d)", PortalRows, named(int4Column, "generate_series"), nil},
	{`select \$1::int4`, PortalRows, named(int4Column, "int4"), []uint32{23}},
	{`select \$1::text`, PortalRows, named(textColumn, "text"), []uint32{25}},
	{"select null::text", PortalRows, named(textColumn, "text"), nil},
	{"select repeat('x',%d)", PortalRows, named(textColumn, "repeat"), nil},
	{"select pg_sleep(%d)", PortalRows, []Column{{Name: "pg_sleep", TypeOID: 2278, TypeLen: 4, TypeMod: -1}}, nil},
	{"select emit changes", PortalRows, named(textColumn, "v"), nil},
	{"select panic", PortalRows, named(textColumn, "v"), nil},
	{"copy push to stdout", PortalCopyOut, nil, nil},
	{"copy t from stdin", PortalCopyIn, nil, nil},
	{"copy t to stdout", PortalCopyOut, nil, nil},
	{"create temp table t (a text)", PortalCommand, nil, nil},
	{"begin", PortalCommand, nil, nil},
	{"commit", PortalCommand, nil, nil},
	{"rollback", PortalCommand, nil, nil},
	{"set %w to '%w'", PortalCommand, nil, nil},
	{"show %w", PortalRows, nil, nil},
	{"listen %w", PortalCommand, nil, nil},
	{"notify %w, '%w'", PortalCommand, nil, nil},
	{"notice %s", PortalCommand, nil, nil},
}

var fakePatterns = func() (out []*regexp.Regexp) {
	for _, g := range fakeGrammar {
		p := strings.NewReplacer("(", `\(`, ")", `\)`, "?", `\?`).Replace(g.pattern)
		p = strings.NewReplacer("%d", `(\d+)`, "%w", `(\w+)`, "%s", "(.*)").Replace(p)
		out = append(out, regexp.MustCompile("(?i)^"+p+"$"))
	}
	return out
}()

func (s *fakeSession) analyse(q fakeQuery, _ []uint32) (*fakeStatement, error) {
	for i, g := range fakeGrammar {
		m := fakePatterns[i].FindStringSubmatch(q.sql)
		if m == nil {
			continue
		}
		st := &fakeStatement{kind: g.kind, verb: g.pattern, args: m[1:], text: q.text, types: g.types, columns: g.columns}
		if g.pattern == "show %w" {
			st.columns = named(textColumn, m[1])
		}
		if err := s.checkBlock(st); err != nil || g.pattern != "select 1/0" {
			return st, err
		}
		return nil, sqlerr.New(sqlerr.DivisionByZero, "division by zero")
	}
	if s.status == TxFailed {
		return nil, s.checkBlock(&fakeStatement{})
	}
	word, name, _ := strings.Cut(q.sql, " ")
	return nil, sqlerr.New(sqlerr.UndefinedColumn, "column %q does not exist", name).At(q.at + len(word) + 1)
}

type fakePortal struct {
	*fakeStatement
	session *fakeSession
	name    string
	params  []string
	formats []Format
	given   int
	done    bool
	tag     string
}

func (p *fakePortal) Kind() PortalKind        { return p.kind }
func (p *fakePortal) ResultFormats() []Format { return p.formats }

func (p *fakePortal) arg(i int) int {
	n, _ := strconv.Atoi(p.args[i])
	return n
}

type fakeRows []string

func (r fakeRows) Len() int { return len(r) }

func (r fakeRows) AppendValue(dst []byte, row, _ int, format Format) ([]byte, bool) {
	if r[row] == "NULL" {
		return dst, true
	}
	if n, err := strconv.Atoi(r[row]); err == nil && format == BinaryFormat {
		return binary.BigEndian.AppendUint32(dst, uint32(n)), false
	}
	return append(dst, r[row]...), false
}

func (r fakeRows) AppendRow(dst []byte, row int) []byte { return append(dst, r[row]+"\n"...) }

func (p *fakePortal) Next(ctx context.Context, limit int, wait bool) (RowBatch, Progress, error) {
	if p.done {
		if p.kind == PortalCommand {
			return nil, Done, sqlerr.New(sqlerr.ObjectNotInPrerequisiteState, "portal %q cannot be run", p.name)
		}
		return nil, Done, nil
	}
	switch p.verb {
	case "select generate_series(%d,%d)":
		return p.series(limit)
	case "select emit changes":
		rows, progress, err := p.push(ctx, wait)
		return rows, progress, err
	}
	rows, err := p.run(ctx)
	p.done = err == nil
	return rows, Done, err
}

// series gives at most 100 rows at a time.
func (p *fakePortal) series(limit int) (RowBatch, Progress, error) {
	if limit == 0 || limit > 100 {
		limit = 100
	}
	var rows fakeRows
	for len(rows) < limit && p.arg(0)+p.given <= p.arg(1) {
		rows = append(rows, strconv.Itoa(p.arg(0)+p.given))
		p.given++
	}
	if p.arg(0)+p.given > p.arg(1) {
		p.done = true
		return rows, Done, nil
	}
	return rows, More, nil
}

// push gives the rows the test feeds, one at a time, until one says "end"; after "suspend" it suspends.
func (p *fakePortal) push(ctx context.Context, wait bool) (fakeRows, Progress, error) {
	select {
	case row := <-p.session.backend.feed:
		return p.pushed(row)
	default:
	}
	if !wait {
		return nil, Idle, nil
	}
	select {
	case p.session.backend.started <- p.verb:
	default:
	}
	select {
	case row := <-p.session.backend.feed:
		return p.pushed(row)
	case <-ctx.Done():
		return nil, More, fmt.Errorf("push query: %w", ctx.Err())
	}
}

func (p *fakePortal) pushed(row string) (fakeRows, Progress, error) {
	switch row {
	case "end":
		p.done = true
		return nil, Done, nil
	case "suspend":
		return nil, Suspended, nil
	}
	return fakeRows{row}, More, nil
}

func (p *fakePortal) run(ctx context.Context) (fakeRows, error) {
	s := p.session
	switch p.verb {
	case "select %d":
		return fakeRows{p.args[0]}, nil
	case `select \$1::int4`, `select \$1::text`:
		return fakeRows{p.params[0]}, nil
	case "select null::text":
		return fakeRows{"NULL"}, nil
	case "select repeat('x',%d)":
		return fakeRows{strings.Repeat("x", p.arg(0))}, nil
	case "select pg_sleep(%d)":
		s.backend.started <- p.verb
		<-ctx.Done()
		return nil, ctx.Err()
	case "select panic":
		panic("as the test asked")
	case "show %w":
		return fakeRows{s.settings[p.args[0]]}, nil
	}
	return nil, p.command()
}

func (p *fakePortal) command() error {
	s := p.session
	switch p.verb {
	case "create temp table t (a text)":
		p.tag = "CREATE TABLE"
	case "begin":
		s.status, p.tag = TxBlock, "BEGIN"
	case "commit", "rollback":
		p.tag = strings.ToUpper(p.verb)
		if s.status == TxFailed {
			p.tag = "ROLLBACK"
		}
		s.status = TxIdle
		clear(s.portals)
	case "set %w to '%w'":
		p.tag = "SET"
		s.settings[p.args[0]] = p.args[1]
		s.client.ParameterChanged(p.args[0], p.args[1])
	case "listen %w":
		p.tag = "LISTEN"
		s.backend.mu.Lock()
		s.backend.mu.listeners[p.args[0]] = append(s.backend.mu.listeners[p.args[0]], s)
		s.backend.mu.Unlock()
	case "notify %w, '%w'":
		p.tag = "NOTIFY"
		s.backend.mu.Lock()
		for _, l := range s.backend.mu.listeners[p.args[0]] {
			l.client.Notify(Notification{PID: s.pid, Channel: p.args[0], Payload: p.args[1]})
		}
		s.backend.mu.Unlock()
	case "notice %s":
		p.tag = "NOTICE"
		s.client.Notice(sqlerr.New(sqlerr.SuccessfulCompletion, "%s", p.args[0]).WithHint("a hint"))
	}
	return nil
}

func (p *fakePortal) CommandTag(dst []byte, rows int64) []byte {
	if p.kind == PortalRows {
		word, _, _ := strings.Cut(p.verb, " ")
		if word == "show" {
			return append(dst, "SHOW"...)
		}
		return strconv.AppendInt(append(dst, "SELECT "...), rows, 10)
	}
	return append(dst, p.tag...)
}

func (p *fakePortal) CopyIn(context.Context) (CopyIn, error) { return &fakeCopyIn{portal: p}, nil }

type fakeCopyIn struct {
	portal *fakePortal
	data   []byte
}

func (c *fakeCopyIn) Formats() []Format { return []Format{TextFormat} }

func (c *fakeCopyIn) Write(_ context.Context, chunk []byte) error {
	c.data = append(c.data, chunk...)
	if strings.Contains(string(c.data), "\t") {
		return sqlerr.New(sqlerr.BadCopyFileFormat, "extra data after last expected column")
	}
	return nil
}

func (c *fakeCopyIn) Finish(context.Context) error {
	data := strings.TrimSuffix(string(c.data), "\\.\n") // which psql sends
	rows := strings.Split(strings.TrimSuffix(data, "\n"), "\n")
	c.portal.session.table = append(c.portal.session.table, rows...)
	c.portal.tag = fmt.Sprintf("COPY %d", len(rows))
	return nil
}

func (c *fakeCopyIn) Abort(reason error) {
	b := c.portal.session.backend
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mu.aborted = append(b.mu.aborted, reason.Error())
}

func (p *fakePortal) CopyOut(context.Context) (CopyOut, error) { return &fakeCopyOut{portal: p}, nil }

type fakeCopyOut struct{ portal *fakePortal }

func (c *fakeCopyOut) Formats() []Format { return []Format{TextFormat} }

func (c *fakeCopyOut) Next(ctx context.Context, wait bool) (CopyBatch, Progress, error) {
	if c.portal.verb == "copy push to stdout" {
		rows, progress, err := c.portal.push(ctx, wait)
		c.portal.given += len(rows)
		c.portal.tag = fmt.Sprintf("COPY %d", c.portal.given)
		return rows, progress, err
	}
	c.portal.tag = fmt.Sprintf("COPY %d", len(c.portal.session.table))
	return fakeRows(c.portal.session.table), Done, nil
}

// Changes reports the settings; the fake's statements do not outlive it.
func (s *fakeSession) Changes(report func(name, value string, set bool)) {
	for name, value := range s.settings {
		report(name, value, true)
	}
}
