package sqllogictest

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"
)

// retryPause is the time between two tries of a statement.
const retryPause = 50 * time.Millisecond

// ErrBrokenOff ends a run over several servers of which one went in the middle of what cannot be done a second time: a statement that writes, a transaction, a session of which the script needs more
// than its settings. Whoever runs the script may run it again from its beginning, in a database that is fresh again.
var ErrBrokenOff = errors.New("a server went while a statement was under way that cannot be sent again")

// fate is what is to be done when a statement has ended.
type fate uint8

const (
	settled   fate = iota // it is as the server says
	again                 // it had no effect, or reads only: a driver sends it again
	brokenOff             // nobody knows
)

// A statement may be sent twice if it begins as one that reads and has no word of one that writes.
var (
	reads   = regexp.MustCompile(`(?i)^\s*(SELECT|VALUES|TABLE|SHOW|WITH|EXPLAIN|DESCRIBE)\b`)
	defines = regexp.MustCompile(`(?i)^\s*(CREATE|ALTER|DROP)\b`)
	writes  = regexp.MustCompile(`(?i)\b(INSERT|UPDATE|DELETE|MERGE|INTO|NEXTVAL|SETVAL)\b`)
)

// fateOf tells what became of a statement on one of several servers; inBlock says that a transaction was open when it was sent.
func fateOf(sql string, inBlock bool, out outcome, err error, wantState string) fate {
	switch {
	case err != nil:
	case out.err == nil || out.err.Code == wantState:
		return settled
	default:
		switch out.err.Code {
		case "57P03", "40001", "08001", "08004": // it had no effect
			if inBlock || defines.MatchString(sql) {
				return brokenOff // a definition is made, and what waits for the rows of its query has found nobody
			}
			return again
		case "57P01", "57P02", "08006", "08007", "40003":
		default:
			return settled
		}
	}
	if !inBlock && reads.MatchString(sql) && !writes.MatchString(sql) {
		return again
	}
	return brokenOff
}

// pause waits before another try; false when ctx has ended.
func pause(ctx context.Context) bool {
	select {
	case <-time.After(retryPause): //nolint:forbidigo // the runner is a client, outside of what the clock of a node decides
		return true
	case <-ctx.Done():
		return false
	}
}

// interrupt restarts or kills the server before the statement that the options name.
func (r *run) interrupt(ctx context.Context) error {
	r.statements++
	r.restartOwed = r.restartOwed || r.statements == r.opts.RestartAt
	r.killOwed = r.killOwed || r.statements == r.opts.KillAt
	if !r.restartOwed && !r.killOwed || r.inTransaction() {
		return nil
	}
	if r.restartOwed {
		r.restartOwed = false
		if err := r.restart(ctx); err != nil {
			return err
		}
	}
	if r.killOwed {
		r.killOwed = false
		return r.kill(ctx)
	}
	return nil
}

// inTransaction reports whether a connection has a transaction open.
func (r *run) inTransaction() bool {
	for _, c := range r.conns {
		if !c.IsClosed() && c.TxStatus() != 'I' {
			return true
		}
	}
	return false
}

// kill ends one of the servers. What was connected to it, or through it, notices at its next statement.
func (r *run) kill(ctx context.Context) error {
	if r.target.Kill == nil {
		return nil
	}
	connStrings, err := r.target.Kill(ctx)
	if err != nil {
		return fmt.Errorf("killing a server: %w", err)
	}
	r.target.ConnStrings = connStrings
	return nil
}

// restart stops and starts the server, opens the connections anew and gives them their settings back.
func (r *run) restart(ctx context.Context) error {
	if r.target.Restart == nil {
		return nil
	}
	r.disconnect(ctx)
	connString, err := r.target.Restart(ctx)
	if err != nil {
		return fmt.Errorf("restarting the server: %w", err)
	}
	r.target.ConnString = connString
	for name, old := range r.conns {
		if _, err := r.reopen(ctx, name, old); err != nil {
			return err
		}
	}
	return nil
}

// reopen opens a connection in place of one that is gone and gives it its settings back.
func (r *run) reopen(ctx context.Context, name string, old *connection) (*connection, error) {
	c, err := r.open(ctx, name)
	if err != nil {
		return nil, err
	}
	for _, sql := range old.settings {
		out, err := execute(ctx, c.PgConn, sql)
		if err == nil && out.err != nil {
			err = out.err
		}
		if err != nil {
			r.conns[name] = old // it is tried again with all of them
			return nil, errors.Join(fmt.Errorf("connection %s, opened again, %s: %w", name, sql, err), c.Close(ctx))
		}
	}
	c.settings = old.settings
	return c, nil
}
