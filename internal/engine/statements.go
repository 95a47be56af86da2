package engine

import (
	"context"
	"strconv"
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/pgwire"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// statements are a session's prepared statements by name, those of the protocol and of PREPARE. Those that came with the session from another node are analysed when they are first used: there may be
// thousands, and what they name may be gone.
type statements struct {
	awake   map[string]*statement
	asleep  map[string]sleeper
	changed map[string]struct{} // since the last session.Changes; nil if nobody asks
}

// sleeper is what a statement is made from.
type sleeper struct {
	micros  int64
	oids    []uint32 // of all parameters
	text    string   // of the statement, or of the PREPARE that made it
	bySQL   bool
	reading sql.Options
}

// parse reads the statement; byText is the PREPARE that made it, if one did.
func (z sleeper) parse() (parsed sql.Parsed, byText string, err error) {
	if parsed, err = sql.ParseOne(z.text, z.reading); err != nil {
		return parsed, "", err
	}
	if p, ok := parsed.Statement.(*sql.Prepare); ok && z.bySQL {
		byText = parsed.Text
		parsed.Statement = p.Statement
	}
	return parsed, byText, nil
}

func newStatements(relayed bool) statements {
	s := statements{awake: map[string]*statement{}}
	if relayed {
		s.changed = map[string]struct{}{}
	}
	return s
}

func (s *statements) touch(name string) {
	if s.changed != nil {
		s.changed[name] = struct{}{}
	}
}

func (s *statements) has(name string) bool {
	_, awake := s.awake[name]
	_, asleep := s.asleep[name]
	return awake || asleep
}

func (s *statements) len() int { return len(s.awake) + len(s.asleep) }

func (s *statements) put(name string, st *statement) {
	delete(s.asleep, name)
	s.awake[name] = st
	s.touch(name)
}

func (s *statements) forget(name string) {
	if s.has(name) {
		delete(s.awake, name)
		delete(s.asleep, name)
		s.touch(name)
	}
}

func (s *statements) forgetAll() {
	for _, name := range s.names() {
		s.forget(name)
	}
}

func (s *statements) names() []string {
	out := make([]string, 0, s.len())
	for name := range s.awake {
		out = append(out, name)
	}
	for name := range s.asleep {
		out = append(out, name)
	}
	return out
}

// renew replaces a statement that was analysed again, under all its names.
func (s *statements) renew(old, fresh *statement) {
	for name, have := range s.awake {
		if have == old {
			s.awake[name] = fresh
		}
	}
}

// prepared returns a prepared statement, analysed; 26000 if there is none.
func (s *session) preparedStatement(ctx context.Context, name string) (*statement, error) {
	if st, ok := s.stmts.awake[name]; ok {
		return st, nil
	}
	z, ok := s.stmts.asleep[name]
	switch {
	case ok:
	case name == "":
		return nil, sqlerr.New(sqlerr.InvalidSQLStatementName, "unnamed prepared statement does not exist")
	default:
		return nil, sqlerr.New(sqlerr.InvalidSQLStatementName, "prepared statement %q does not exist", name)
	}
	st, err := s.wake(ctx, z)
	if err != nil {
		return nil, err
	}
	delete(s.stmts.asleep, name)
	s.stmts.awake[name] = st
	return st, nil
}

// wake analyses a statement that came from another node, with the types of parameters that were found there.
func (s *session) wake(ctx context.Context, z sleeper) (*statement, error) {
	parsed, byText, err := z.parse()
	if err != nil {
		return nil, err
	}
	hints := make([]types.Type, len(z.oids))
	for i, o := range z.oids {
		t, ok := s.typeOfOID(ctx, o)
		if !ok {
			return nil, sqlerr.New(sqlerr.UndefinedObject, "the type of parameter $%d is gone", i+1)
		}
		hints[i] = t
	}
	st, err := s.analyze(ctx, z.text, parsed, hints)
	if err != nil {
		return nil, err
	}
	st.prepared.micros, st.prepared.sql, st.prepared.reading = z.micros, byText, z.reading
	return st, nil
}

// The fields of a statement in a session's state are separated by zero bytes, which none of them contains.
const stateFields = "\x00"

// encode is a statement as it is given to another node; ok is false if there is none of that name.
func (s *statements) encode(name string) (value string, ok bool) {
	st, ok := s.awake[name]
	if !ok {
		return "", false // who sleeps has not changed
	}
	oids := make([]string, len(st.params))
	for i, t := range st.params {
		oids[i] = strconv.FormatUint(uint64(t.OID()), 10)
	}
	text, by := st.text, ""
	if st.prepared.sql != "" {
		text, by = st.prepared.sql, "sql"
	}
	return strings.Join([]string{strconv.FormatInt(st.prepared.micros, 10), strings.Join(oids, ","), by, strconv.Itoa(int(st.prepared.reading.Dialect)), text}, stateFields), true
}

// decodeSleeper reads what encode has written.
func decodeSleeper(value string) (z sleeper, ok bool) {
	fields := strings.SplitN(value, stateFields, 5)
	if len(fields) != 5 {
		return z, false
	}
	micros, err := strconv.ParseInt(fields[0], 10, 64)
	z = sleeper{micros: micros, text: fields[4], bySQL: fields[2] != ""}
	if fields[3] == strconv.Itoa(int(sql.KSQL)) {
		z.reading.Dialect = sql.KSQL
	}
	if fields[1] != "" {
		for _, f := range strings.Split(fields[1], ",") {
			oid, bad := strconv.ParseUint(f, 10, 32)
			if bad != nil {
				err = bad
			}
			z.oids = append(z.oids, uint32(oid))
		}
	}
	return z, err == nil
}

// Statement implements pgwire.Session.
func (s *session) Statement(ctx context.Context, name string) (pgwire.Statement, error) {
	st, err := s.preparedStatement(ctx, name)
	if err != nil {
		return nil, err
	}
	return st, nil
}

// CloseStatement implements pgwire.Session.
func (s *session) CloseStatement(name string) { s.stmts.forget(name) }
