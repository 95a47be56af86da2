package engine

import (
	"context"
	"errors"
	"io"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/pgwire"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// pushRows is a running push query.
type pushRows struct {
	q   *exec.PushQuery
	op  bool               // rows have the column op in front
	end context.Context    // bounds it by push_query_timeout; nil: nothing does
	off context.CancelFunc // of end
}

var errPushTimeout = sqlerr.New(sqlerr.QueryCanceled, "canceling statement due to push query timeout")

// openPush starts a push query. It begins with what was acknowledged before, as a pull query would see it.
func (s *session) openPush(ctx context.Context, p *portal) (rows, error) {
	q := p.st.query
	for _, r := range q.Reads {
		if s.created(r.OID) {
			return nil, sqlerr.New(sqlerr.FeatureNotSupported, "a push query over relation %q, which this transaction has made, is not supported", r.Name).
				WithHint("COMMIT first, or send the query in a message of its own.")
		}
	}
	if err := s.await(ctx, tablesOf(q.Reads)); err != nil {
		return nil, err
	}
	if !q.ShowOp && q.Root.Props().Mode != planner.ModeAppend {
		s.notice(sqlerr.SuccessfulCompletion, "rows are new versions only; deletes are left out (SET show_changes = on shows all changes)")
	}
	if q.LimitRows < 0 {
		s.warnPsql(p)
	}
	env := s.env(context.WithoutCancel(ctx), p.args)
	pq, err := exec.OpenPush(ctx, exec.PushConfig{
		Log: s.e.log, State: s.e.opts.State, Clock: s.e.clock, Env: env, IdleTimeout: s.set.duration("idle_timeout"),
	}, q)
	if err != nil {
		return nil, cause(ctx, err)
	}
	r := &pushRows{q: pq, op: p.st.showOp}
	if d := s.set.duration("push_query_timeout"); d > 0 {
		r.end, r.off = context.WithTimeoutCause(context.WithoutCancel(ctx), d, errPushTimeout)
	}
	return r, nil
}

// warnPsql tells a person at psql, which keeps rows until it has the last one, how to see those of an endless result.
func (s *session) warnPsql(p *portal) {
	if s.set.must("application_name") != "psql" || p.kind != pgwire.PortalRows || p.cursor || p.st.kind != pgwire.PortalRows {
		return
	}
	how := `Use \set FETCH_COUNT 1, or COPY (...) TO STDOUT, or end the query with LIMIT n.`
	if p.st.query == nil {
		how = "SET push_output = 'copy', or end the statement with LIMIT n."
	}
	n := sqlerr.New(sqlerr.SuccessfulCompletion, "psql shows the rows of this query only when it ends").WithHint("%s", how)
	n.Severity = "NOTICE"
	s.client.Notice(n)
}

// withOp puts the operation of each row before its columns.
func withOp(b *vec.Batch) *vec.Batch {
	op := vec.NewVector(types.Of(types.Text), b.Len())
	for i := range b.Len() {
		op.AppendString(b.Op(i).String())
	}
	out := &vec.Batch{Cols: append([]*vec.Vector{op}, b.Cols...), Ops: b.Ops, Rowtime: b.Rowtime}
	out.SetLen(b.Len())
	return out
}

// tablesOf are the tables among relations: a push query over streams need not wait for what lies before its start.
func tablesOf(rels []*planner.Relation) []*planner.Relation {
	var out []*planner.Relation
	for _, r := range rels {
		if r.Kind == planner.Table {
			out = append(out, r)
		}
	}
	return out
}

func (r *pushRows) next(ctx context.Context, wait bool) (*vec.Batch, pgwire.Progress, error) {
	if r.end != nil {
		if r.end.Err() != nil {
			return nil, pgwire.Done, errPushTimeout
		}
		deadline, _ := r.end.Deadline()
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadlineCause(ctx, deadline, errPushTimeout)
		defer cancel()
	}
	for {
		b, err := r.q.Poll(ctx)
		switch {
		case errors.Is(err, io.EOF):
			return nil, pgwire.Done, nil
		case err != nil:
			return nil, pgwire.Done, cause(ctx, err)
		case b != nil:
			if r.op {
				b = withOp(b)
			}
			return b, pgwire.More, nil
		case !wait:
			return nil, pgwire.Idle, nil
		}
		if err := r.q.Wait(ctx); err != nil && !errors.Is(err, io.EOF) {
			return nil, pgwire.Done, cause(ctx, err)
		}
	}
}

func (r *pushRows) close() {
	if r.off != nil {
		r.off()
	}
	if err := r.q.Close(); err != nil {
		// What a push query holds is its own; there is nothing left to undo.
		return
	}
}
