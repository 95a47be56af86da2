package engine

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/pgwire"
	"github.com/millracedb/millrace/sql"
)

// A session whose client is connected to another node outlives the node that it runs on. What it needs for that is given to the client's node as it changes (Changes), and comes with the session to the
// next node (takeUp): settings, prepared statements, channels of LISTEN, what it got from sequences. A transaction block does not outlive its node, nor do cursors, whose names are kept so that they are missed with
// a reason. A session with temporary tables ends with its node.

// The names in a session's state; a statement's is stateStatement and its own.
const (
	stateSettings  = "settings"
	stateStatement = "statement/"
	stateCursors   = "cursors"
	stateSequences = "sequences"
	stateEars      = "channels"
)

// ported is what a session has to do with its state on another node.
type ported struct {
	resumed bool                // the session was on another node before
	lost    map[string]struct{} // cursors that it had there
	// What the other node has.
	settings      *settings
	edits         int
	settingsText  string
	cursorsText   string
	sequenceEdits int
	bound         string
	hears         bool // LISTEN or UNLISTEN was said since earsText was made
	earsText      string
}

// Changes implements pgwire.Session.
func (s *session) Changes(report func(name, value string, set bool)) {
	for name := range s.stmts.changed {
		value, ok := s.stmts.encode(name)
		report(stateStatement+name, value, ok)
	}
	clear(s.stmts.changed)
	if s.tx != nil && s.tx.explicit {
		return
	}
	p := &s.ported
	if p.settings != s.set || p.edits != s.set.edits {
		p.settings, p.edits = s.set, s.set.edits
		s.changeText(&p.settingsText, s.set.encode(), stateSettings, report)
	}
	if len(s.portals) > 0 || p.cursorsText != "" {
		s.changeText(&p.cursorsText, s.heldCursors(), stateCursors, report)
	}
	if p.sequenceEdits != s.values.edits {
		p.sequenceEdits = s.values.edits
		report(stateSequences, s.values.encode(), true)
	}
	if p.hears {
		p.hears = false
		s.changeText(&p.earsText, s.e.hub.encodeEars(s), stateEars, report)
	}
	s.changeText(&p.bound, s.boundBy(), pgwire.StateBound, report)
}

// changeText reports a value if it is another one than before; an empty one is none.
func (s *session) changeText(before *string, now, name string, report func(name, value string, set bool)) {
	if *before != now {
		*before = now
		report(name, now, now != "")
	}
}

// boundBy is why the session cannot go on with another node, or empty.
func (s *session) boundBy() string {
	if len(s.temp.objects) > 0 {
		return "Its temporary tables are gone."
	}
	return ""
}

// heldCursors are the names of the cursors that outlive transactions, those lost before among them.
func (s *session) heldCursors() string {
	names := slices.Collect(maps.Keys(s.ported.lost))
	for name, p := range s.portals {
		if p.cursor && p.hold {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), stateFields)
}

// takeUp makes the session what it was on the node that it comes from.
func (s *session) takeUp(r *pgwire.Resumed) {
	p := &s.ported
	p.resumed = true
	p.settingsText, p.cursorsText = r.State[stateSettings], r.State[stateCursors]
	s.set.decode(p.settingsText)
	if p.cursorsText != "" {
		p.lost = map[string]struct{}{}
		for _, name := range strings.Split(p.cursorsText, stateFields) {
			p.lost[name] = struct{}{}
		}
	}
	p.hears, p.earsText = true, r.State[stateEars]
	s.values.decode(r.State[stateSequences])
	s.stmts.asleep = map[string]sleeper{}
	for name, value := range r.State {
		if name, ok := strings.CutPrefix(name, stateStatement); ok {
			if z, ok := decodeSleeper(value); ok {
				s.stmts.asleep[name] = z
			}
		}
	}
	if r.Failed {
		t := s.begin()
		t.explicit, t.failed, t.lost = true, true, r.Untold
	}
}

// lostCursor replaces the error about a cursor that is not there if it was on a node that is gone.
func (p *ported) lostCursor(name string, err *sqlerr.Error) error {
	if _, ok := p.lost[name]; !ok {
		return err
	}
	return sqlerr.New(sqlerr.InvalidCursorName, "cursor %q is gone with the node that ran it", name).WithHint("DECLARE it again.")
}

// checkLost answers the first statement after the loss of a block, of which the client does not know. t is nil unless it is one of transactions.
func (s *session) checkLost(t *sql.Transaction) error {
	s.tx.lost = false
	switch {
	case t != nil && t.Kind == sql.Rollback:
		return nil
	case t != nil && t.Kind == sql.Commit:
		s.rollback()
	}
	return pgwire.LostBlock()
}

// encode is what differs from the start of the session, and the dialect in any case: who judges a statement must know it.
func (s *settings) encode() string {
	values := s.values
	if s.ksql() {
		values = maps.Clone(values)
		values["dialect"] = "ksql"
	}
	if len(values) == 0 {
		return ""
	}
	text, err := json.Marshal(values)
	if err != nil {
		return "" // a map of strings has no such error
	}
	return string(text)
}

func (s *settings) decode(text string) {
	if text != "" && json.Unmarshal([]byte(text), &s.values) != nil {
		s.values = map[string]string{}
	}
}

// encode lists the values, and the sequence that was used last.
func (v *sequenceValues) encode() string {
	fields := []string{strconv.FormatUint(uint64(v.last), 10)}
	for oid, value := range v.current {
		fields = append(fields, strconv.FormatUint(uint64(oid), 10)+"="+strconv.FormatInt(value, 10))
	}
	return strings.Join(fields, ",")
}

func (v *sequenceValues) decode(text string) {
	last, values, _ := strings.Cut(text, ",")
	for _, f := range strings.Split(values, ",") {
		oid, value, _ := strings.Cut(f, "=")
		o, errOID := strconv.ParseUint(oid, 10, 32)
		n, err := strconv.ParseInt(value, 10, 64)
		if errOID == nil && err == nil && !isTemp(uint32(o)) {
			v.gave(uint32(o), n)
		}
	}
	if o, err := strconv.ParseUint(last, 10, 32); err == nil {
		v.last = uint32(o)
	}
	v.edits = 0
}
