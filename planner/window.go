package planner

import (
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql"
)

// WindowKind names the windows.
type WindowKind uint8

// The kinds of window.
const (
	Tumbling WindowKind = iota
	Hopping
	Session
)

// WindowSpec is WINDOW TUMBLING, HOPPING or SESSION, in milliseconds of event time. Tumbling and hopping windows are aligned to the epoch
// and reach from their start to before their end; sessions include both ends.
type WindowSpec struct {
	Kind      WindowKind
	SizeMs    int64 // of a session: the gap that ends it
	AdvanceMs int64 // of hopping windows: from start to start
	GraceMs   int64 // -1 where none was written: its default depends on EMIT
	// RetentionMs is how long after its end a closed window's row stays in the table, 0 for ever.
	RetentionMs int64
}

// Limits of windows.
const (
	// maxWindowMs bounds every length of time in a window, so that sums of them and of times do not overflow.
	maxWindowMs = 100_000 * 86_400_000
	// maxHops bounds the windows that one row is in: those of a day that begin every minute.
	maxHops = 1440
)

// Step is how far apart windows start, in ms.
func (w *WindowSpec) Step() int64 {
	if w.Kind == Hopping {
		return w.AdvanceMs
	}
	return w.SizeMs
}

// Start returns the start of the newest window that holds the time t, in ms.
func (w *WindowSpec) Start(t int64) int64 {
	past := t % w.Step()
	if past < 0 {
		past += w.Step()
	}
	return t - past
}

// MaxWindows is how many windows a row can be in.
func (w *WindowSpec) MaxWindows() int64 {
	if w.Kind != Hopping {
		return 1
	}
	return (w.SizeMs + w.AdvanceMs - 1) / w.AdvanceMs
}

// String describes the window as EXPLAIN and DESCRIBE do.
func (w *WindowSpec) String() string {
	s := map[WindowKind]string{Tumbling: "tumbling", Hopping: "hopping", Session: "session"}[w.Kind] + " " + FormatMillis(w.SizeMs)
	if w.Kind == Hopping {
		s += " every " + FormatMillis(w.AdvanceMs)
	}
	if w.GraceMs >= 0 {
		s += ", grace " + FormatMillis(w.GraceMs)
	}
	if w.RetentionMs > 0 {
		s += ", retention " + FormatMillis(w.RetentionMs)
	}
	return s
}

// bounds are the columns of a window in the key of its table.
func (w *WindowSpec) bounds() []string {
	if w.Kind == Session { // a late row may begin a session where one that has closed began
		return []string{"windowstart", "windowend"}
	}
	return []string{"windowstart"}
}

// WindowBound says which bound of which window column i is, "" for none.
func (r *Relation) WindowBound(i int) string {
	if r.Window == nil {
		return ""
	}
	bounds := r.Window.bounds()
	for k, name := range bounds {
		if at := len(r.Key) - len(bounds) + k; at >= 0 && r.Key[at] == i {
			return name + " of " + r.Window.String()
		}
	}
	return ""
}

// Covering returns how many windows hold the time t, and how many of these, the newest, are still open at the stream time now, in ms.
func (w *WindowSpec) Covering(t, now int64) (all, open int64) {
	newest := w.Start(t)
	if w.Kind != Hopping {
		if newest+w.SizeMs+w.GraceMs <= now {
			return 1, 0
		}
		return 1, 1
	}
	// Window k before the newest ends at newest - k*advance + size; it holds what is before that.
	end := newest + w.SizeMs
	all = (end - t + w.AdvanceMs - 1) / w.AdvanceMs
	switch closing := end + w.GraceMs; { // the newest window's
	case closing <= now:
		return all, 0
	case closing-(all-1)*w.AdvanceMs > now:
		return all, all
	default:
		return all, (closing - now + w.AdvanceMs - 1) / w.AdvanceMs
	}
}

// bindWindow reads the WINDOW TUMBLING (...) clause.
func (s *selectBlock) bindWindow() error {
	w := s.sel.Window
	if w == nil {
		return nil
	}
	if s.sel.GroupBy == nil {
		return sqlerr.New(sqlerr.SyntaxError, "WINDOW needs a GROUP BY clause").
			WithHint("Group by at least one column, or by () for one row per window.").At(w.Offset())
	}
	spec, err := s.b.st.windowSpec(w)
	if err != nil {
		return err
	}
	if s.b.ksql() {
		spec.ksqlDefaults()
	}
	s.b.window = spec
	return nil
}

// windowSpec reads the durations of a stream window.
func (st *statement) windowSpec(w *sql.StreamWindow) (*WindowSpec, error) {
	spec := &WindowSpec{Kind: WindowKind(w.Kind), GraceMs: -1}
	for _, part := range []struct {
		d  *sql.Duration
		to *int64
	}{{w.Size, &spec.SizeMs}, {w.Advance, &spec.AdvanceMs}, {w.Grace, &spec.GraceMs}, {w.Retention, &spec.RetentionMs}} {
		if part.d == nil {
			continue
		}
		ms, err := st.durationMs(part.d)
		if err != nil {
			return nil, err
		}
		if ms > maxWindowMs {
			return nil, sqlerr.New(sqlerr.InvalidParameterValue, "a window's lengths of time are at most %s", FormatMillis(maxWindowMs)).At(part.d.Offset())
		}
		*part.to = ms
	}
	if w.Retention != nil && spec.RetentionMs == 0 {
		return nil, sqlerr.New(sqlerr.InvalidParameterValue, "RETENTION must be positive").At(w.Retention.Offset())
	}
	return spec, spec.check(w.Offset())
}

func (w *WindowSpec) check(pos int) error {
	switch {
	case w.SizeMs <= 0 && w.Kind == Session:
		return sqlerr.New(sqlerr.InvalidParameterValue, "the gap of a session window must be positive").At(pos)
	case w.SizeMs <= 0:
		return sqlerr.New(sqlerr.InvalidParameterValue, "the size of a window must be positive").At(pos)
	case w.Kind == Hopping && (w.AdvanceMs <= 0 || w.AdvanceMs > w.SizeMs):
		return sqlerr.New(sqlerr.InvalidParameterValue, "ADVANCE BY must be positive and at most the size of the window").At(pos)
	case w.MaxWindows() > maxHops:
		return sqlerr.New(sqlerr.InvalidParameterValue, "each row would be in %d windows; %d is the most", w.MaxWindows(), maxHops).
			WithHint("ADVANCE BY at least %s.", FormatMillis((w.SizeMs+maxHops-1)/maxHops)).At(pos)
	}
	return nil
}

// checkSession refuses session windows over rows that can be taken back.
func checkSession(w *WindowSpec, in Node) error {
	if w == nil || w.Kind != Session || in.Props().Mode == ModeAppend {
		return nil
	}
	return sqlerr.New(sqlerr.FeatureNotSupported, "WINDOW SESSION over a table or an updating view is not supported").
		WithDetail("Reason: a row that leaves may part a session in two, and its other rows are not kept.").
		WithHint("What works: WINDOW SESSION over a stream, or WINDOW TUMBLING or HOPPING over the table.")
}

// checkRetention refuses a retention that is over before the window has closed.
func (w *WindowSpec) checkRetention() error {
	if w.RetentionMs == 0 || w.RetentionMs >= w.GraceMs {
		return nil
	}
	return sqlerr.New(sqlerr.InvalidParameterValue, "a RETENTION of %s is over before the window closes, %s after its end",
		FormatMillis(w.RetentionMs), FormatMillis(w.GraceMs)).
		WithHint("Say GRACE PERIOD, or a RETENTION of at least %s.", FormatMillis(w.GraceMs))
}

// retention refuses RETENTION where the rows of the table are not those of the windows: it could not be said which of them leave.
func (m *maker) retention() error {
	own := m.windowed()
	if m.stream() || m.rel.Window == nil || m.spec.Query == nil { // the last: an INSERT
		own = nil
	}
	if own != nil && m.st.p.Settings.KSQL {
		own.Window.ksqlRetention()
	}
	var err error
	visitNodes(m.root, func(n Node) {
		if a, ok := n.(*Aggregate); ok && a != own && a.Window != nil && a.Window.RetentionMs > 0 {
			err = sqlerr.New(sqlerr.FeatureNotSupported, "RETENTION needs a table whose rows are the windows'").
				WithDetail("Reason: after the retention a window's row leaves the table; here the rows are made of it or are not in a table of their own.").
				WithHint("What works: CREATE TABLE ... AS SELECT ... WINDOW ... GROUP BY without PRIMARY KEY, and further queries over that table. " +
					"For streams, WITH (retention_ms = ...).").At(m.spec.Pos)
		}
	})
	return err
}

// windowed is the aggregate with a window whose rows the query gives, perhaps filtered and projected; nil if it is another kind of query.
func (m *maker) windowed() *Aggregate {
	n := m.root
	for {
		switch x := n.(type) {
		case *Aggregate:
			if x.Window == nil {
				return nil
			}
			return x
		case *Project:
			n = x.In
		case *Filter:
			n = x.In
		default:
			return nil
		}
	}
}
