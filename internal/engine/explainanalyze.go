package engine

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/millracedb/millrace/exec/bounded"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// explainOptions are those of EXPLAIN (...) that change its answer; verbose, costs, settings, buffers and wal have nothing to tell here.
type explainOptions struct{ analyze, timing, summary bool }

// readExplain reads the options (PostgreSQL docs, EXPLAIN).
func readExplain(q *sql.Explain) (explainOptions, error) {
	out := explainOptions{timing: true}
	var summary *bool
	for _, o := range q.Options {
		if o.Name == "format" {
			if o.Value == nil || !strings.EqualFold(o.Value.Text, "text") {
				return out, sqlerr.New(sqlerr.FeatureNotSupported, "EXPLAIN has no format but text").At(o.Offset())
			}
			continue
		}
		on := true
		if o.Value != nil {
			switch strings.ToLower(o.Value.Text) {
			case "true", "on", "1":
			case "false", "off", "0":
				on = false
			default:
				return out, sqlerr.New(sqlerr.SyntaxError, "%s requires a Boolean value", o.Name).At(o.Offset())
			}
		}
		switch o.Name {
		case "analyze":
			out.analyze = on
		case "timing":
			out.timing = on
		case "summary":
			summary = &on
		case "verbose", "costs", "settings", "buffers", "wal":
		default:
			return out, sqlerr.New(sqlerr.SyntaxError, "unrecognized EXPLAIN option %q", o.Name).
				WithHint("Options are analyze, timing, summary, verbose, costs, settings, buffers, wal and format.").At(o.Offset())
		}
	}
	out.summary = out.analyze
	if summary != nil {
		out.summary = *summary
	}
	return out, nil
}

// explainAnalyze runs a statement, throws its rows away, and tells what each operator has done: dml is nil for a SELECT. What it changes stays changed.
func (s *session) explainAnalyze(ctx context.Context, q *planner.Query, dml *planner.DML, args []types.Datum, opts explainOptions, began time.Time) (string, error) {
	if q.Unbounded {
		return "", sqlerr.New(sqlerr.FeatureNotSupported, "EXPLAIN ANALYZE needs a query that ends").WithDetail("EMIT makes it endless.").
			WithHint("Leave ANALYZE out. Of a query that runs, EXPLAIN ANALYZE QUERY id tells the same.")
	}
	planned := s.e.clock.Now()
	actual := map[planner.Node]*bounded.Actual{}
	var changed int64
	err := s.wholly(func() error {
		at, err := s.runChanges(ctx, q, args, actual)
		if err != nil {
			return err
		}
		if dml != nil {
			defer at.close()
			c, err := s.runChange(ctx, dml, args, at)
			if err == nil {
				changed = c.count
			}
			return err
		}
		r, err := s.openAt(at.snap, q, args, at)
		if err != nil {
			return err
		}
		defer r.close()
		for {
			if b, _, err := r.next(ctx, true); err != nil || b == nil {
				return err
			}
		}
	})
	if err != nil {
		return "", cause(ctx, err)
	}
	ran := s.e.clock.Now()
	tell := func(n planner.Node) string { return tellActual(actual[n], opts.timing) }
	text := planner.ExplainActual(q, tell)
	if dml != nil {
		text = planner.ExplainActualDML(dml, tell) + fmt.Sprintf("Rows Changed: %d\n", changed)
	}
	if opts.summary {
		text += fmt.Sprintf("Planning Time: %.3f ms\nExecution Time: %.3f ms\n", milliseconds(planned.Sub(began)), milliseconds(ran.Sub(planned)))
	}
	return text, nil
}

// tellActual says it as PostgreSQL does: times in ms and rows are means over the loops.
func tellActual(a *bounded.Actual, timing bool) string {
	if a == nil {
		return "(never executed)"
	}
	mean := func(n int64) float64 { return float64(n) / float64(a.Loops) }
	out := "(actual "
	if timing {
		out += fmt.Sprintf("time=%.3f..%.3f ", mean(a.First)/1000, mean(a.Total)/1000)
	}
	return out + fmt.Sprintf("rows=%.0f loops=%d)", mean(a.Rows), a.Loops)
}
