package sqllogictest

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// retryPause is the time between two tries of a statement after a kill.
const retryPause = 50 * time.Millisecond

// retryable reports whether a driver would send a statement again that ended so: the server says that it had no effect, or that it is not there, or the connection is one that the kill
// has broken before anything was sent on it.
func retryable(conn *connection, out outcome, err error, wantState string) bool {
	switch {
	case err != nil:
		return conn.survivor
	case out.err == nil || out.err.Code == wantState:
		return false
	}
	switch out.err.Code {
	case "57P01", "57P02": // the server stops or has crashed: nothing was sent on a connection that was open before
		return conn.survivor
	case "57P03", "40001", "08001", "08004", "08006":
		return true
	}
	return false
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
	r.target.ConnStrings, r.killed = connStrings, true
	for _, c := range r.conns {
		c.survivor = true
	}
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
