package pgcatalog

import (
	"fmt"
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql/types"
)

// sessionCalls tell about the session and the server (PostgreSQL docs, chapter 9.26.1).
var sessionCalls = map[string]callFunc{
	"version()":                    value(version),
	"current_database()":           value(database),
	"current_catalog()":            value(database),
	"current_schema()":             value(currentSchema),
	"current_schemas(bool)":        currentSchemas,
	"current_user()":               value(user),
	"current_role()":               value(user),
	"session_user()":               value(sessionUser),
	"user()":                       value(user),
	"pg_blocking_pids(int4)":       always(types.ArrayDatum(types.Of(types.Int4), nil)), // who waits for a lock of whom is not told
	"age(int8)":                    always(num(1)),                                      // of a transaction by its number: see xmin in the planner
	"pg_backend_pid()":             value(func(c *catalog) types.Datum { return num(int64(c.s.BackendPID())) }),
	"pg_is_in_recovery()":          value(func(c *catalog) types.Datum { v, _ := c.s.Setting("in_hot_standby"); return flag(v == "on") }),
	"pg_my_temp_schema()":          always(oid(0)),
	"pg_client_encoding()":         always(text("UTF8")),
	"getdatabaseencoding()":        always(text("UTF8")),
	"pg_sleep(float8)":             sleep,
	"txid_current()":               value(transactionID),
	"pg_current_xact_id()":         value(transactionID),
	"pg_conf_load_time()":          value(started),
	"pg_postmaster_start_time()":   value(started),
	"pg_cancel_backend(int4)":      signal("canceled", Session.CancelBackend),
	"pg_terminate_backend(int4)":   signal("terminated", Session.TerminateBackend),
	"pg_is_other_temp_schema(oid)": always(flag(false)),
	"inet_client_addr()":           value(func(c *catalog) types.Datum { host, _ := c.clientAddress(); return host }),
	"inet_client_port()":           value(func(c *catalog) types.Datum { _, port := c.clientAddress(); return port }),
	// Which of the server's addresses the client came to is not known here; PostgreSQL has NULL for a connection through a Unix socket.
	"inet_server_addr()":   always(types.NullDatum),
	"inet_server_port()":   always(types.NullDatum),
	"current_query()":      always(types.NullDatum),
	"pg_notify(text,text)": notify,
}

// lockCalls are advisory locks. They lock nothing: Millrace has them for clients that take one round their own schema changes, and says yes.
var lockCalls = map[string]callFunc{
	"pg_advisory_lock(int8)":      always(text("")),
	"pg_advisory_xact_lock(int8)": always(text("")),
	"pg_advisory_unlock(int8)":    always(flag(true)),
	"pg_advisory_unlock_all()":    always(text("")),
	"pg_try_advisory_lock(int8)":  always(flag(true)),
}

// version begins like PostgreSQL's, since drivers read the number out of it.
func version(c *catalog) types.Datum {
	v, _ := c.s.Setting("server_version")
	return text(fmt.Sprintf("PostgreSQL %s (Millrace %s)", v, c.s.Release()))
}

func database(c *catalog) types.Datum { return text(c.w.Database()) }
func user(c *catalog) types.Datum     { return text(c.s.User()) }

func sessionUser(c *catalog) types.Datum { return text(c.s.SessionUser()) }

// transactionID is a number that no other transaction of the session has, and that grows: its start.
func transactionID(c *catalog) types.Datum { return num(c.s.StartMicros()) }

func started(c *catalog) types.Datum { return num(c.w.StartMicros()) }

// clientAddress is where the session's client is.
func (c *catalog) clientAddress() (host, port types.Datum) {
	for _, b := range c.w.Backends() {
		if b.PID == c.s.BackendPID() {
			return splitAddress(b.Address)
		}
	}
	return types.NullDatum, types.NullDatum
}

// existing are the schemas of a search path that exist.
func (c *catalog) existing(path []string) []string {
	have := c.schemaOIDs()
	var out []string
	for _, s := range path {
		if _, ok := have[s]; ok {
			out = append(out, s)
		}
	}
	return out
}

func currentSchema(c *catalog) types.Datum {
	if path := c.existing(c.s.SearchPath()); len(path) > 0 {
		return text(path[0])
	}
	return types.NullDatum
}

// currentSchemas returns the search path, with the schemas searched without being named if asked.
func currentSchemas(c *catalog, args []types.Datum) (types.Datum, error) {
	if args[0].I == 0 {
		return texts(types.Name, c.existing(c.s.SearchPath())), nil
	}
	return texts(types.Name, c.existing(c.path())), nil
}

// maxSleep is a hundred years in seconds; longer would not fit a time.Duration for much longer.
const maxSleep = 100 * 365.25 * 24 * 3600

// sleep waits; less than nothing, or not a number, is nothing.
func sleep(c *catalog, args []types.Datum) (types.Datum, error) {
	seconds := args[0].F
	if !(seconds > 0) {
		return text(""), nil
	}
	return text(""), c.s.Sleep(min(seconds, maxSleep))
}

// notify is NOTIFY as a function; a NULL payload is an empty one, a NULL channel has no name (PostgreSQL docs, NOTIFY).
func notify(c *catalog, args []types.Datum) (types.Datum, error) {
	return text(""), c.s.Notify(args[0].S, args[1].S)
}

// signal makes a function that acts on another session: one's own role's, or as a superuser anybody's (PostgreSQL docs, chapter 9.27.2).
func signal(what string, act func(Session, int32) bool) callFunc {
	return func(c *catalog, args []types.Datum) (types.Datum, error) {
		pid := int32(args[0].I)
		for _, b := range c.w.Backends() {
			if b.PID == pid && b.User != c.s.User() && !c.superuser(c.s.User()) {
				return types.NullDatum, sqlerr.New(sqlerr.InsufficientPrivilege, "must be a member of the role whose process is being %s", what)
			}
		}
		return flag(act(c.s, pid)), nil
	}
}

// superuser reports whether a role is one.
func (c *catalog) superuser(name string) bool {
	for _, r := range c.roles() {
		if r.Name == name {
			return r.Superuser
		}
	}
	return false
}

// settingCalls read and change settings (PostgreSQL docs, chapter 9.27.1).
var settingCalls = map[string]callFunc{
	"current_setting(text)": func(c *catalog, a []types.Datum) (types.Datum, error) {
		v, ok := c.s.Setting(a[0].S)
		if !ok {
			return types.NullDatum, sqlerr.New(sqlerr.UndefinedObject, "unrecognized configuration parameter %q", a[0].S)
		}
		return text(v), nil
	},
	"current_setting(text,bool)": func(c *catalog, a []types.Datum) (types.Datum, error) {
		v, ok := c.s.Setting(a[0].S)
		switch {
		case ok:
			return text(v), nil
		case a[1].I != 0:
			return types.NullDatum, nil
		default:
			return types.NullDatum, sqlerr.New(sqlerr.UndefinedObject, "unrecognized configuration parameter %q", a[0].S)
		}
	},
	"set_config(text,text,bool)": setConfig,
}

// setConfig changes a setting and returns its new value. A NULL value stands for the default.
func setConfig(c *catalog, args []types.Datum) (types.Datum, error) {
	if args[0].Null {
		return types.NullDatum, sqlerr.New(sqlerr.InvalidParameterValue, "set_config needs the name of a parameter")
	}
	name, value := args[0].S, args[1].S
	if args[1].Null {
		for _, s := range c.w.Settings() {
			if strings.EqualFold(s.Name, name) {
				value = s.Default
			}
		}
	}
	local := !args[2].Null && args[2].I != 0
	if err := c.s.SetSetting(name, value, local); err != nil {
		return types.NullDatum, err
	}
	now, _ := c.s.Setting(name)
	return text(now), nil
}
