package engine

import (
	"fmt"
	"sort"
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql"
)

// setting runs SET, RESET, SET TRANSACTION and DISCARD.
func (s *session) setting(q sql.Statement) (string, error) {
	switch q := q.(type) {
	case *sql.Set:
		return "SET", s.setValue(q)
	case *sql.Reset:
		if q.Name != "" {
			name, err := s.set.reset(q.Name)
			if err != nil {
				return "", err
			}
			s.changed(name)
			return "RESET", nil
		}
		role := s.set.must(settingRole)
		s.resetAll()
		s.set.put(settingRole, role, false) // as in PostgreSQL, RESET ALL leaves it
		s.roleChanged()
		return "RESET", nil
	case *sql.SetTransaction:
		if q.Session {
			return "SET", s.sessionModes(q.Modes)
		}
		return "SET", s.setModes(q.Modes)
	case *sql.Discard:
		return s.discard(q)
	default:
		panic(fmt.Sprintf("engine: %T sets nothing", q))
	}
}

func (s *session) setValue(q *sql.Set) error {
	if q.Default {
		name, err := s.set.reset(q.Name)
		if err == nil {
			s.changed(name)
		}
		return err
	}
	values := make([]string, len(q.Values))
	for i, v := range q.Values {
		values[i] = v.Text
	}
	value := strings.Join(values, ", ")
	if q.Interval != nil {
		value = q.Interval.Text
	}
	name, err := s.setTo(q.Name, value, q.Local)
	if err != nil {
		return err
	}
	if q.Local && (s.tx == nil || !s.tx.explicit && !s.tx.several) {
		s.warn(sqlerr.NoActiveSQLTransaction, "SET LOCAL can only be used in transaction blocks")
	}
	s.changed(name)
	return nil
}

// changed tells the client about a new value and forgets what depended on the old one.
func (s *session) changed(name string) {
	s.textCache = nil
	s.client.ParameterChanged(name, s.set.must(strings.ToLower(name)))
	if name == settingRole {
		s.roleChanged()
	}
}

func (s *session) resetAll() {
	s.restore(newSettings(s.set.base))
}

// sessionModes is SET SESSION CHARACTERISTICS AS TRANSACTION.
func (s *session) sessionModes(m sql.TransactionModes) error {
	if m.Isolation != "" {
		if _, err := s.set.set("default_transaction_isolation", m.Isolation, false); err != nil {
			return err
		}
	}
	if m.ReadOnly != sql.Unset {
		v := "off"
		if m.ReadOnly == sql.Yes {
			v = "on"
		}
		if _, err := s.set.set("default_transaction_read_only", v, false); err != nil {
			return err
		}
		s.changed("default_transaction_read_only")
	}
	return nil
}

func (s *session) discard(q *sql.Discard) (string, error) {
	switch q.What {
	case "ALL":
		if s.tx != nil && s.tx.explicit {
			return "", sqlerr.New(sqlerr.ActiveSQLTransaction, "DISCARD ALL cannot run inside a transaction block")
		}
		s.closePortals(true)
		s.stmts.forgetAll()
		s.e.hub.unlisten(s, "")
		s.ported.hears = true
		s.resetAll()
		s.discardTemp()
	case "TEMP":
		s.discardTemp()
	case "PLANS", "SEQUENCES":
	}
	return "DISCARD " + q.What, nil
}

// analyzeShow gives SHOW's columns.
func (s *session) analyzeShow(st *statement, q *sql.Show) error {
	st.verb = "SHOW"
	if q.Name == "all" {
		st.cols = textColumns("name", "setting", "description")
		return nil
	}
	name, ok := showName(q.Name)
	if !ok {
		if _, known := s.set.get(name); !known {
			return unknownSetting(q.Name)
		}
	}
	if d, known := settingDefs[name]; known {
		name = d.name
	}
	st.cols = textColumns(name)
	return nil
}

// showName spells the two-word forms of SHOW as settings.
func showName(name string) (string, bool) {
	switch name = strings.ToLower(name); name {
	case "time zone":
		return "timezone", true
	case "transaction isolation level":
		return "transaction_isolation", true
	case "session authorization":
		return "session_authorization", true
	}
	_, ok := settingDefs[name]
	return name, ok
}

// value is a setting by lower-case name; those of the transaction are what it runs with.
func (s *session) value(name string) (string, bool) {
	switch {
	case name == settingLevel:
		return s.e.featureLevel(), true
	case s.tx == nil:
	case name == "transaction_isolation":
		return s.tx.isolation, true
	case name == "transaction_read_only" && s.tx.readOnly:
		return "on", true
	case name == "transaction_read_only":
		return "off", true
	}
	return s.set.get(name)
}

func (s *session) show(q *sql.Show) (rows, error) {
	if q.Name != "all" {
		name, _ := showName(q.Name)
		v, _ := s.value(name)
		return textRows(textColumns(name), [][]string{{v}}), nil
	}
	var out [][]string
	for key, d := range settingDefs {
		v, _ := s.value(key)
		out = append(out, []string{d.name, v, d.doc})
	}
	sort.Slice(out, func(i, j int) bool { return out[i][0] < out[j][0] })
	return textRows(textColumns("name", "setting", "description"), out), nil
}
