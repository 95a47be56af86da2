package sqllogictest

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

const (
	defaultTimeout    = 2 * time.Minute
	defaultConnection = "default"

	// maxFailures ends a script: what fails after so many says nothing new.
	maxFailures = 25
)

// Target is an empty database for one script.
type Target struct {
	// ConnString says how to reach it.
	ConnString string
	// ConnStrings are, in its stead, those of several servers of one database; the connections of a script are dealt over them. Any of them may go at any time: what a driver would send again is
	// sent again, as often as it takes, and where that cannot be the run ends with ErrBrokenOff.
	ConnStrings []string
	// Kill ends one of several servers without warning and returns how to reach the others. Nil: kills are left out.
	Kill func(ctx context.Context) (connStrings []string, err error)
	// Restart stops the server in order, starts it again and returns how to reach it now. Nil: restarts are left out.
	Restart func(ctx context.Context) (connString string, err error)
	// Close takes it away. It may be nil.
	Close func() error
}

// Options say how to run a script.
type Options struct {
	// Engine is what skipif and onlyif compare with: "millrace" or "postgres".
	Engine string
	// Fresh makes an empty database.
	Fresh func(ctx context.Context) (Target, error)
	// Vars are the variables that the script may use from the start.
	Vars map[string]string
	// RestartAt restarts the server before the nth statement, counted from 1 as Script.Statements counts them; 0: not. Where a connection has a
	// transaction open it waits for the next statement at which none has.
	RestartAt int
	// KillAt kills a server before the nth statement, by the same rules.
	KillAt int
	// Rewrite takes the rows that the server gives as right, for Script.Rewritten.
	Rewrite bool
	// Timeout bounds each record that does not say its own; 0: 2 min.
	Timeout time.Duration
}

// Failure is a record that did not do what the script says.
type Failure struct {
	Pos string // file:line
	SQL string // with variables put in
	Why string
}

func (f Failure) Error() string {
	return fmt.Sprintf("%s:\n    %s\n%s", f.Pos, strings.ReplaceAll(f.SQL, "\n", "\n    "), f.Why)
}

// Run runs the script in a fresh database. It returns the records that failed; the error is one that kept the script from running to its end.
func (s *Script) Run(ctx context.Context, opts Options) (failures []Failure, err error) {
	target, err := opts.Fresh(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: a fresh database: %w", s.Path, err)
	}
	r := newRun(s, opts, target)
	defer func() {
		r.disconnect(context.WithoutCancel(ctx))
		if target.Close != nil {
			if e := target.Close(); e != nil && err == nil {
				err = fmt.Errorf("%s: closing the database: %w", s.Path, e)
			}
		}
	}()
	for _, rec := range s.records {
		if rec.onlyIf != "" && rec.onlyIf != opts.Engine || rec.skipIf != "" && rec.skipIf == opts.Engine {
			continue
		}
		if rec.kind == kindHalt || len(r.failures) == maxFailures {
			break
		}
		if err := r.step(ctx, rec); err != nil {
			return r.failures, fmt.Errorf("%s: %w", rec.pos(), err)
		}
	}
	return r.failures, nil
}

// run is one run of a script.
type run struct {
	script   *Script
	opts     Options
	target   Target
	conns    map[string]*connection
	current  string
	timeout  time.Duration
	vars     map[string]string
	labels   map[string]labelled
	failures []Failure

	statements  int  // begun
	restartOwed bool // RestartAt is past, and a transaction was open
	killOwed    bool
	opened      int // connections
}

type connection struct {
	*pgconn.PgConn
	settings []string // the SET and RESET statements that were run
}

type labelled struct {
	pos  string
	rows []string
}

func newRun(s *Script, opts Options, target Target) *run {
	r := &run{
		script: s, opts: opts, target: target, conns: map[string]*connection{}, current: defaultConnection, timeout: opts.Timeout,
		vars: map[string]string{}, labels: map[string]labelled{},
	}
	if r.timeout == 0 {
		r.timeout = defaultTimeout
	}
	for k, v := range opts.Vars {
		r.vars[k] = v
	}
	s.results = map[*record]result{}
	return r
}

func (r *run) fail(rec *record, sql, format string, args ...any) {
	r.failures = append(r.failures, Failure{Pos: rec.pos(), SQL: sql, Why: fmt.Sprintf(format, args...)})
}

// step runs one record. An error ends the script.
func (r *run) step(ctx context.Context, rec *record) error {
	switch rec.kind {
	case kindConnection:
		r.current = rec.name
		return nil
	case kindTimeout:
		r.timeout = rec.timeout
		return nil
	case kindRestart:
		return r.restart(ctx)
	}
	if err := r.interrupt(ctx); err != nil {
		return err
	}
	sql, err := r.substitute(rec.sql)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	conn, out, err := r.send(ctx, rec, sql)
	if conn == nil {
		return err
	}
	if err != nil {
		r.lost(ctx, rec, sql, out, err)
		return nil
	}
	if out.err == nil && setting.MatchString(sql) && !local.MatchString(sql) {
		conn.settings = append(conn.settings, sql)
	}
	return r.check(rec, sql, out)
}

// several reports whether there is more than one server, of which any may go.
func (r *run) several() bool { return len(r.target.ConnStrings) > 0 }

// send runs the SQL of a record on the current connection, as often as it takes where there are several servers. Without a connection the error says why.
func (r *run) send(ctx context.Context, rec *record, sql string) (*connection, outcome, error) {
	for {
		conn, err := r.connect(ctx)
		if err != nil {
			if r.several() && !errors.Is(err, ErrBrokenOff) && pause(ctx) {
				continue
			}
			return nil, outcome{}, err
		}
		inBlock := conn.TxStatus() != 'I'
		var out outcome
		switch rec.kind {
		case kindPush:
			out, err = read(ctx, conn.PgConn, sql, rec.pushRows)
		case kindCopy:
			out, err = copyIn(ctx, conn.PgConn, sql, rec.rows)
		case kindCopyOut:
			out, err = copyOut(ctx, conn.PgConn, sql)
		default:
			out, err = execute(ctx, conn.PgConn, sql)
		}
		if !r.several() || ctx.Err() != nil {
			return conn, out, err
		}
		switch fateOf(sql, inBlock, out, err, rec.wantState) {
		case settled:
			return conn, out, err
		case brokenOff:
			why := err
			if out.err != nil {
				why = out.err
			}
			return nil, outcome{}, fmt.Errorf("%w: %w", ErrBrokenOff, why)
		case again:
			if !pause(ctx) {
				return conn, out, err
			}
		}
	}
}

// lost reports a connection that broke or did not answer in time. The next record gets a new one.
func (r *run) lost(ctx context.Context, rec *record, sql string, out outcome, err error) {
	why := fmt.Sprintf("the connection failed: %v", err)
	if ctx.Err() != nil {
		why = fmt.Sprintf("no answer in %v", r.timeout)
	}
	if len(out.values) > 0 {
		why += fmt.Sprintf("; rows so far:\n%s", diff(nil, out.lines(rec)))
	}
	r.fail(rec, sql, "%s", why)
	_ = r.conns[r.current].Close(context.WithoutCancel(ctx))
	delete(r.conns, r.current)
}

// check compares what the server answered with the record.
func (r *run) check(rec *record, sql string, out outcome) error {
	switch rec.kind {
	case kindStatement, kindCopy:
		r.checkStatement(rec, sql, out)
		return nil
	case kindLet:
		switch {
		case out.err != nil:
			r.fail(rec, sql, "%s", describeError(out.err))
		case len(out.values) == 0 || len(out.values[0]) == 0:
			r.fail(rec, sql, "no value for $%s: the query gave no row", rec.name)
		default:
			r.vars[rec.name] = out.values[0][0]
		}
		return nil
	default:
		return r.checkRows(rec, sql, out)
	}
}

func (r *run) checkStatement(rec *record, sql string, out outcome) {
	switch {
	case rec.wantState == "" && out.err != nil:
		r.fail(rec, sql, "%s", describeError(out.err))
	case rec.wantState != "" && out.err == nil:
		r.fail(rec, sql, "no error; want %s", rec.wantState)
	case rec.wantState != "" && out.err.Code != rec.wantState:
		r.fail(rec, sql, "%s\n    want %s", describeError(out.err), rec.wantState)
	case rec.wantError != nil && !rec.wantError.MatchString(out.err.Message):
		r.fail(rec, sql, "%s\n    want a message that matches %q", describeError(out.err), rec.wantError)
	case rec.wantCount >= 0 && out.count != rec.wantCount:
		r.fail(rec, sql, "%d rows were touched; want %d", out.count, rec.wantCount)
	}
}

const queryCancelled = "57014"

func (r *run) checkRows(rec *record, sql string, out outcome) error {
	if rec.kind == kindPush && len(out.values) >= rec.pushRows && out.err != nil && out.err.Code == queryCancelled {
		out.err = nil // as asked for
		out.values = out.values[:rec.pushRows]
	}
	if out.err != nil {
		r.fail(rec, sql, "%s", describeError(out.err))
		return nil //nolint:nilerr // a record that failed is counted; the run goes on
	}
	if rec.kind == kindPush && len(out.values) < rec.pushRows {
		r.fail(rec, sql, "the query ended by itself after %d rows", len(out.values))
		return nil
	}
	r.script.results[rec] = out.result
	if r.opts.Rewrite {
		return nil
	}
	if !sameTypes(rec.types, out.types) {
		r.fail(rec, sql, "    types %q; want %q", out.types, rec.types)
	}
	want := make([]string, len(rec.rows))
	for i, row := range rec.rows {
		var err error
		if want[i], err = r.substitute(row); err != nil {
			return err
		}
	}
	have := out.lines(rec)
	if !slices.Equal(want, have) {
		r.fail(rec, sql, "    rows (- wanted, + given):\n%s", diff(want, have))
	}
	r.checkLabel(rec, sql, have)
	return nil
}

func (r *run) checkLabel(rec *record, sql string, have []string) {
	if rec.label == "" {
		return
	}
	first, ok := r.labels[rec.label]
	if !ok {
		r.labels[rec.label] = labelled{rec.pos(), have}
	} else if !slices.Equal(first.rows, have) {
		r.fail(rec, sql, "    label %s: rows differ from those at %s (- there, + here):\n%s", rec.label, first.pos, diff(first.rows, have))
	}
}

var (
	setting  = regexp.MustCompile(`(?i)^\s*(SET|RESET)\s`)
	local    = regexp.MustCompile(`(?i)^\s*SET\s+(LOCAL|TRANSACTION|CONSTRAINTS)\s`)
	variable = regexp.MustCompile(`\$([a-zA-Z][a-zA-Z0-9_]*)|\$\{([a-zA-Z][a-zA-Z0-9_]*)\}`)
)

// substitute puts the values of variables into text.
func (r *run) substitute(text string) (string, error) {
	var unknown error
	text = variable.ReplaceAllStringFunc(text, func(m string) string {
		name := strings.Trim(m, "${}")
		if v, ok := r.vars[name]; ok {
			return v
		}
		if strings.HasPrefix(m, "${") {
			unknown = fmt.Errorf("no variable %s", m)
		}
		return m
	})
	return text, unknown
}

// connect returns the current connection, opened if need be.
func (r *run) connect(ctx context.Context) (*connection, error) {
	old, ok := r.conns[r.current]
	if !ok {
		return r.open(ctx, r.current)
	}
	if !r.several() {
		if old.IsClosed() {
			return r.open(ctx, r.current)
		}
		return old, nil
	}
	if !old.IsClosed() && old.Ping(ctx) == nil {
		return old, nil // as pools of drivers ask before they hand out a connection
	}
	if r.script.NoRestart || old.TxStatus() == 'T' {
		return nil, fmt.Errorf("%w: connection %s", ErrBrokenOff, r.current)
	}
	return r.reopen(ctx, r.current, old)
}

func (r *run) open(ctx context.Context, name string) (*connection, error) {
	connString := r.target.ConnString
	if n := len(r.target.ConnStrings); n > 0 {
		connString = r.target.ConnStrings[r.opened%n]
	}
	r.opened++
	conn, err := pgconn.Connect(ctx, connString)
	if err != nil {
		return nil, fmt.Errorf("connection %s: %w", name, err)
	}
	c := &connection{PgConn: conn}
	r.conns[name] = c
	return c, nil
}

func (r *run) disconnect(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	for _, c := range r.conns {
		_ = c.Close(ctx)
	}
}
