package engine

import (
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/millracedb/millrace/pgwire"
	"github.com/millracedb/millrace/sql"
)

// Judge tells what messages of a client may have done that a node did not answer before it went; state is the session's from before. Where it is in doubt it says that they may have written.
func Judge(state pgwire.State, unanswered []pgwire.Message) pgwire.Effects {
	j := judge{state: state, parsed: map[string]string{}, givesUp: true}
	for _, m := range unanswered {
		j.message(m)
	}
	return pgwire.Effects{Writes: j.writes, Commits: j.commits, GivesUp: j.givesUp && j.some}
}

type judge struct {
	state           pgwire.State
	parsed          map[string]string // statements that the messages prepare
	writes, commits bool
	givesUp, some   bool // nothing but ROLLBACK was seen; something was
}

func (j *judge) message(m pgwire.Message) {
	switch m.Type {
	case 'S', 'H', 'D', 'C', 'E', 'd', 'c', 'f': // what they run was named before
		if m.Type == 'E' && m.Body == nil {
			j.unknown()
		}
	case 'Q':
		var q pgproto3.Query
		if m.Body == nil || q.Decode(m.Body) != nil {
			j.unknown()
			return
		}
		j.text(q.String)
	case 'P':
		var p pgproto3.Parse
		if m.Body == nil || p.Decode(m.Body) != nil {
			j.unknown()
			return
		}
		j.parsed[p.Name] = p.Query
	case 'B':
		var b pgproto3.Bind
		if m.Body == nil || b.Decode(m.Body) != nil {
			j.unknown()
			return
		}
		j.named(b.PreparedStatement)
	default:
		j.unknown()
	}
}

func (j *judge) unknown() { j.some, j.givesUp, j.writes, j.commits = true, false, true, true }

// named judges a prepared statement.
func (j *judge) named(name string) {
	if text, ok := j.parsed[name]; ok {
		j.text(text)
		return
	}
	z, ok := decodeSleeper(j.state[stateStatement+name])
	if !ok {
		j.unknown()
		return
	}
	parsed, _, err := z.parse()
	if err != nil {
		j.unknown()
		return
	}
	j.statement(parsed.Statement, z.text)
}

func (j *judge) text(text string) {
	set := newSettings(nil)
	set.decode(j.state[stateSettings])
	reading := set.reading()
	all, err := sql.Parse(text, reading)
	if err != nil { // a message before may have changed the dialect
		reading.Dialect = sql.Millrace + sql.KSQL - reading.Dialect
		all, err = sql.Parse(text, reading)
	}
	if err != nil {
		j.some, j.givesUp = true, false // it did nothing but to fail
		return
	}
	for _, p := range all {
		j.statement(p.Statement, text)
	}
}

// statement judges one of the statements in text.
func (j *judge) statement(st sql.Statement, text string) {
	j.some = true
	if t, ok := st.(*sql.Transaction); ok {
		switch t.Kind {
		case sql.Rollback:
			j.givesUp = j.givesUp && !t.Chain
			return
		case sql.Commit:
			j.commits = true
		}
	}
	j.givesUp = false
	switch st := st.(type) {
	case *sql.Execute:
		j.named(st.Name)
	case *sql.Query, *sql.DeclareCursor, *sql.Explain:
		j.writes = j.writes || mayWrite(text)
	case *sql.Copy:
		j.writes = j.writes || st.From || mayWrite(text)
	default:
		j.writes = j.writes || !ownAffair(st)
	}
}

// mayWrite reports whether the text of a query has a word of those with which queries write.
func mayWrite(text string) bool {
	text = strings.ToLower(text)
	for _, word := range []string{"insert", "update", "delete", "merge", "into", "pg_notify", "setval", "pg_terminate_backend", "pg_cancel_backend", "analyze"} {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}
