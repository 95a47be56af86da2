package engine

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// settingDef describes a run-time parameter: PostgreSQL's that drivers need, and ours.
type settingDef struct {
	name     string // as it is reported and shown
	value    string // default
	doc      string
	category string
	readOnly bool
	// check brings a value to its canonical form, or says what is allowed.
	check func(v string) (string, error)
}

// settingDefs are all settings by lower-case name.
var settingDefs = map[string]*settingDef{}

const (
	serverVersion = "15.8"
	catClient     = "Client Connection Defaults"
	catPreset     = "Preset Options"
	catStream     = "Millrace"
)

func init() {
	define := func(category, name, value, doc string, check func(string) (string, error)) {
		settingDefs[strings.ToLower(name)] = &settingDef{name: name, value: value, doc: doc, category: category, check: check}
	}
	preset := func(name, value, doc string) {
		settingDefs[strings.ToLower(name)] = &settingDef{name: name, value: value, doc: doc, category: catPreset, readOnly: true}
	}
	preset("server_version", serverVersion, "The PostgreSQL version whose behaviour the wire and the catalog follow.")
	preset("server_version_num", "150008", "The same as a number.")
	preset("server_encoding", "UTF8", "Text is UTF-8.")
	preset("integer_datetimes", "on", "Times are 64-bit integers.")
	preset("in_hot_standby", "off", "Whether the session only reads, on the node of its client.")
	preset("is_superuser", "on", "Whether the current user is a superuser.")
	preset("max_identifier_length", "63", "Bytes of an identifier.")
	preset("block_size", "8192", "Reported for clients that ask.")
	preset("max_index_keys", "32", "Columns of a key that drivers ask for.")
	preset("lc_collate", "C", "Text compares by bytes.")
	preset("lc_ctype", "C", "Text classification.")
	preset("session_authorization", "", "The user that logged in.")
	preset("millrace_version", "", "The release of this server.")
	preset(settingLevel, "", "What all nodes of the cluster understand: rises when all are upgraded.")
	preset("transaction_isolation_level", "read committed", "As transaction_isolation.")

	define(catClient, "application_name", "", "The name of the client program.", nil)
	define(catClient, "client_encoding", "UTF8", "Always UTF8.", checkEncoding)
	define(catClient, "client_min_messages", "notice", "The least severity of messages sent.", oneOf("debug5", "debug4", "debug3", "debug2", "debug1", "log", "notice", "warning", "error"))
	define(catClient, "DateStyle", "ISO, MDY", "ISO output; MDY, DMY or YMD input.", checkDateStyle)
	define(catClient, "IntervalStyle", "postgres", "How intervals print.", oneOf("postgres", "postgres_verbose", "sql_standard", "iso_8601"))
	define(catClient, "TimeZone", "UTC", "The session's time zone.", checkZone)
	define(catClient, "extra_float_digits", "1", "Floats print shortest exact.", checkInt(-15, 3))
	define(catClient, "bytea_output", "hex", "How bytea prints.", oneOf("hex", "escape"))
	define(catClient, "search_path", `"$user", public`, "Schemas that unqualified names are looked up in.", nil)
	define(catClient, "standard_conforming_strings", "on", "Always on.", oneOf("on"))
	define(catClient, "backslash_quote", "safe_encoding", "Accepted and ignored.", nil)
	define(catClient, "statement_timeout", "0", "The longest a statement may run; 0 is no limit.", checkDuration)
	define(catClient, "lock_timeout", "0", "The longest wait for a key lock; 0 is no limit.", checkDuration)
	define(catClient, "idle_in_transaction_session_timeout", "0", "Accepted; an idle block holds nothing back.", checkDuration)
	define(catClient, "default_transaction_isolation", "read committed", "Isolation of new transactions.", oneOf("read uncommitted", "read committed", "repeatable read", "serializable"))
	define(catClient, "default_transaction_read_only", "off", "Whether new transactions are read only.", checkBool)
	define(catClient, "default_transaction_deferrable", "off", "Accepted and ignored.", checkBool)
	define(catClient, "transaction_isolation", "read committed", "Isolation of this transaction.", oneOf("read uncommitted", "read committed", "repeatable read", "serializable"))
	define(catClient, "transaction_read_only", "off", "Whether this transaction is read only.", checkBool)
	define(catClient, "transaction_deferrable", "off", "Accepted and ignored.", checkBool)
	define(catClient, settingRole, noRole, "The role whose rights count: SET ROLE.", nil)
	define(catClient, "row_security", "on", "Accepted and ignored.", checkBool)
	define(catClient, "synchronous_commit", "on", "Accepted; a commit is always durable unless the topic says fsync = 'interval'.", nil)
	define(catClient, "escape_string_warning", "on", "Accepted and ignored.", checkBool)
	define(catClient, "check_function_bodies", "on", "Accepted and ignored.", checkBool)
	define(catClient, "default_table_access_method", "heap", "Accepted and ignored.", nil)
	define(catClient, "default_tablespace", "", "Accepted and ignored.", nil)
	define(catClient, "jit", "off", "Accepted and ignored.", checkBool)
	define(catClient, "geqo", "on", "Accepted and ignored.", checkBool)
	define(catClient, "enable_seqscan", "on", "Accepted and ignored.", checkBool)
	define(catClient, "synchronize_seqscans", "on", "Accepted and ignored.", checkBool)
	define(catClient, "session_replication_role", "origin", "Accepted and ignored.", oneOf("origin", "replica", "local"))
	define(catClient, "max_parallel_workers_per_gather", "0", "Accepted and ignored.", checkInt(0, 1024))
	define(catClient, "maintenance_work_mem", "64MB", "Accepted and ignored; --memory decides.", nil)
	define(catClient, "work_mem", "4MB", "Accepted and ignored; --memory decides.", nil)
	define(catClient, "tcp_keepalives_idle", "0", "Accepted and ignored.", nil)
	define(catClient, "xmloption", "content", "Accepted and ignored.", nil)

	define(catStream, "auto_offset_reset", "latest", "Where push queries over streams start.", oneOf("latest", "earliest"))
	define(catStream, "consistency", "latest", "What a pull query waits for.", oneOf("latest", "session", "eventual"))
	define(catStream, "read_wait", "5s", "How long a pull query waits for the views it reads.", checkDuration)
	define(catStream, "idle_timeout", "10s", "When a partition without news counts as idle; fixed at CREATE.", checkDuration)
	define(catStream, "num_standby_replicas", "1", "How many other nodes keep the state of each task; fixed at CREATE.", checkInt(0, maxStandbys))
	define(catStream, "commit_interval", "100ms", "The longest a task holds results back.", checkDuration)
	define(catStream, "emit", "commit", "commit: one change per key and commit; each: one per input row.", oneOf("commit", "each"))
	define(catStream, "background_ddl", "off", "CREATE ... AS answers at once.", checkBool)
	define(catStream, "show_changes", "off", "Push queries over updating results have a first column op.", checkBool)
	define(catStream, "push_output", "rows", "How psql gets push queries.", oneOf("rows", "copy"))
	define(catStream, "push_query_timeout", "0", "Ends push queries after this long; 0 is never.", checkDuration)
	define(catStream, "transaction_buffer", "64MB", "The most a transaction block may hold back.", checkBytes)
	define(catStream, "max_future", "1h", "How far rowtime may be ahead of the clock; fixed at CREATE.", checkFuture)
	define(catStream, "dialect", "millrace", "The SQL dialect: millrace, or ksql for ksqlDB's rules.", oneOf("millrace", "ksql"))
}

func oneOf(allowed ...string) func(string) (string, error) {
	return func(v string) (string, error) {
		v = strings.ToLower(v)
		if !slices.Contains(allowed, v) {
			return "", fmt.Errorf("allowed: %s", strings.Join(allowed, ", "))
		}
		return v, nil
	}
}

func checkBool(v string) (string, error) {
	switch strings.ToLower(v) {
	case "on", "true", "yes", "1", "t", "y":
		return "on", nil
	case "off", "false", "no", "0", "f", "n":
		return "off", nil
	}
	return "", fmt.Errorf("allowed: on, off")
}

func checkInt(lo, hi int) func(string) (string, error) {
	return func(v string) (string, error) {
		n, err := strconv.Atoi(v)
		if err != nil || n < lo || n > hi {
			return "", fmt.Errorf("allowed: %d to %d", lo, hi)
		}
		return v, nil
	}
}

// checkEncoding takes UTF-8 under its usual names; asyncpg sends it in quotes.
func checkEncoding(v string) (string, error) {
	switch strings.ToLower(strings.Trim(v, `'"`)) {
	case "utf8", "utf-8", "unicode":
		return "UTF8", nil
	}
	return "", fmt.Errorf("allowed: UTF8")
}

func checkDateStyle(v string) (string, error) {
	order := "MDY"
	for _, p := range strings.Split(v, ",") {
		switch p = strings.ToUpper(strings.TrimSpace(p)); p {
		case "ISO", "DEFAULT", "":
		case "MDY", "DMY", "YMD":
			order = p
		case "US", "NONEURO", "NONEUROPEAN":
			order = "MDY"
		case "EURO", "EUROPEAN":
			order = "DMY"
		default:
			return "", fmt.Errorf("allowed: ISO with MDY, DMY or YMD")
		}
	}
	return "ISO, " + order, nil
}

func checkZone(v string) (string, error) {
	if strings.EqualFold(v, "default") || strings.EqualFold(v, "local") {
		return "UTC", nil
	}
	if _, err := types.LookupZone(v); err != nil {
		return "", fmt.Errorf("not a known time zone")
	}
	return v, nil
}

// checkDuration takes PostgreSQL's forms: milliseconds, or a number with a unit.
func checkDuration(v string) (string, error) {
	d, err := parseDuration(v)
	if err != nil || d == 0 || d%time.Millisecond != 0 {
		return v, err
	}
	for _, u := range slices.Backward(shownUnits) { // in the largest unit that takes no fraction, as PostgreSQL shows them
		if d%u.unit == 0 {
			return strconv.FormatInt(int64(d/u.unit), 10) + u.suffix, nil
		}
	}
	return v, nil
}

// checkFuture refuses 0: clocks are never so equal that rows of now would pass.
func checkFuture(v string) (string, error) {
	if d, err := parseDuration(v); err == nil && d < time.Millisecond {
		return v, fmt.Errorf("allowed: 1ms or more")
	}
	return checkDuration(v)
}

var shownUnits = []struct {
	suffix string
	unit   time.Duration
}{{"ms", time.Millisecond}, {"s", time.Second}, {"min", time.Minute}, {"h", time.Hour}, {"d", 24 * time.Hour}}

var durationUnits = []struct {
	suffix string
	unit   time.Duration
}{{"us", time.Microsecond}, {"ms", time.Millisecond}, {"min", time.Minute}, {"s", time.Second}, {"h", time.Hour}, {"d", 24 * time.Hour}}

func parseDuration(v string) (time.Duration, error) {
	s := strings.TrimSpace(v)
	unit := time.Millisecond
	for _, u := range durationUnits {
		if rest, ok := strings.CutSuffix(s, u.suffix); ok {
			s, unit = strings.TrimSpace(rest), u.unit
			break
		}
	}
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || n < 0 || n > float64(1<<62)/float64(unit) {
		return 0, fmt.Errorf("allowed: a number of milliseconds, or a number with us, ms, s, min, h or d")
	}
	return time.Duration(n * float64(unit)), nil
}

func checkBytes(v string) (string, error) {
	if _, err := parseBytes(v); err != nil {
		return "", err
	}
	return v, nil
}

func parseBytes(v string) (int64, error) {
	s := strings.ToLower(strings.TrimSpace(v))
	s = strings.TrimSuffix(strings.TrimSuffix(s, "b"), "i")
	shift := 0
	for i, suffix := range []string{"k", "m", "g"} {
		if rest, ok := strings.CutSuffix(s, suffix); ok {
			s, shift = rest, 10*(i+1)
		}
	}
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if err != nil || n < 0 || n > 1<<40 {
		return 0, fmt.Errorf("allowed: a number of bytes, or a number with kB, MB or GB")
	}
	return n << shift, nil
}

// settings are one session's values. A transaction works on a copy, so that a rollback undoes SET.
type settings struct {
	values map[string]string // by lower-case name, where they differ from the default
	base   map[string]string // what RESET goes back to: the start-up packet's
	local  map[string]prior  // set by SET LOCAL: gone at the end of the transaction
	edits  int               // changes of values
}

// prior is what a setting had before SET LOCAL.
type prior struct {
	value string
	set   bool
}

// maxOwnSettings bounds the settings that a session makes up (names with a dot).
const maxOwnSettings = 1000

func newSettings(fixed map[string]string) *settings {
	return &settings{values: map[string]string{}, base: fixed, local: map[string]prior{}}
}

func (s *settings) clone() *settings {
	c := newSettings(s.base)
	c.edits = s.edits
	for k, v := range s.values {
		c.values[k] = v
	}
	for k, v := range s.local {
		c.local[k] = v
	}
	return c
}

// get returns a setting by lower-case name; ok is false for an unknown one.
func (s *settings) get(name string) (string, bool) {
	if v, ok := s.values[name]; ok {
		return v, true
	}
	return s.defaultOf(name)
}

func (s *settings) defaultOf(name string) (string, bool) {
	if v, ok := s.base[name]; ok {
		return v, true
	}
	if name == "emit" && s.ksql() {
		return "each", true // ksqlDB's results have a version for each row
	}
	if d, ok := settingDefs[name]; ok {
		return d.value, true
	}
	return "", false
}

// ksql reports whether statements are read by ksqlDB's rules.
func (s *settings) ksql() bool { return s.must("dialect") == "ksql" }

// reading is how the text of a statement is parsed.
func (s *settings) reading() sql.Options {
	d, _ := sql.DialectOf(s.must("dialect"))
	return sql.Options{Dialect: d}
}

// must returns a setting that is known to exist.
func (s *settings) must(name string) string {
	v, _ := s.get(name)
	return v
}

func (s *settings) duration(name string) time.Duration {
	d, err := parseDuration(s.must(name))
	if err != nil {
		return 0
	}
	return d
}

func (s *settings) on(name string) bool { return s.must(name) == "on" }

// ksqlSettings are ksqlDB's names of settings, without the prefixes that it allows.
var ksqlSettings = map[string]string{"auto.offset.reset": "auto_offset_reset"}

// key is the lower-case name of a setting, ours for one of ksqlDB's.
func (s *settings) key(name string) string {
	key := strings.ToLower(name)
	if own, ok := ksqlSettings[strings.TrimPrefix(key, "ksql.streams.")]; ok && s.ksql() {
		return own
	}
	return key
}

// set gives name a value; it returns the name as reported.
func (s *settings) set(name, value string, local bool) (string, error) {
	key := s.key(name)
	d, ok := settingDefs[key]
	if !ok {
		// A name with a dot is the user's own (PostgreSQL docs, 20.16).
		if strings.Contains(key, ".") {
			if len(s.values) >= len(settingDefs)+maxOwnSettings {
				return "", sqlerr.New(sqlerr.InsufficientResources, "this session has %d settings of its own already", maxOwnSettings)
			}
			s.put(key, value, local)
			return key, nil
		}
		return "", unknownSetting(name)
	}
	if d.readOnly {
		return "", sqlerr.New("55P02", "parameter %q cannot be changed", d.name)
	}
	if d.check != nil {
		v, err := d.check(value)
		if err != nil {
			return "", sqlerr.New(sqlerr.InvalidParameterValue, "invalid value for parameter %q: %q", d.name, value).WithHint("%s.", capitalize(err.Error()))
		}
		value = v
	}
	s.put(key, value, local)
	return d.name, nil
}

// put stores a value, for the transaction only or for the session (PostgreSQL docs, SET: what comes last counts).
func (s *settings) put(key, value string, local bool) {
	if _, ok := s.local[key]; local && !ok {
		old, set := s.values[key]
		s.local[key] = prior{old, set}
	} else if !local {
		delete(s.local, key)
	}
	s.values[key] = value
	s.edits++
}

func capitalize(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func unknownSetting(name string) error {
	e := sqlerr.New(sqlerr.UndefinedObject, "unrecognized configuration parameter %q", name)
	var near []string
	for k := range settingDefs {
		if strings.HasPrefix(k, strings.ToLower(name[:min(3, len(name))])) {
			near = append(near, k)
		}
	}
	if sort.Strings(near); len(near) > 0 {
		return e.WithHint("Near it: %s. SHOW SETTINGS lists all.", strings.Join(near[:min(5, len(near))], ", "))
	}
	return e.WithHint("SHOW SETTINGS lists all.")
}

// reset gives name its value from the start of the session.
func (s *settings) reset(name string) (string, error) {
	key := s.key(name)
	if _, ok := s.get(key); !ok {
		return "", unknownSetting(name)
	}
	delete(s.values, key)
	delete(s.local, key)
	s.edits++
	if d, ok := settingDefs[key]; ok {
		return d.name, nil
	}
	return key, nil
}

// endLocal drops what SET LOCAL set, at the end of a transaction, and returns the names of what changed.
func (s *settings) endLocal() []string {
	var changed []string
	for k, old := range s.local {
		if old.set {
			s.values[k] = old.value
		} else {
			delete(s.values, k)
		}
		delete(s.local, k)
		s.edits++
		if d, ok := settingDefs[k]; ok {
			changed = append(changed, d.name)
		}
	}
	for _, k := range []string{"transaction_isolation", "transaction_read_only", "transaction_deferrable"} {
		delete(s.values, k)
	}
	return changed
}

// searchPath returns the schemas of search_path, $user left out.
func (s *settings) searchPath() []string {
	var out []string
	for _, p := range strings.Split(s.must("search_path"), ",") {
		p = strings.Trim(strings.TrimSpace(p), `"'`)
		if p != "" && p != "$user" {
			out = append(out, p)
		}
	}
	return out
}

// text returns the settings that values print and parse by.
func (s *settings) text(now time.Time) *types.Settings {
	t := &types.Settings{Now: now}
	if z, err := types.LookupZone(s.must("timezone")); err == nil {
		t.Zone = z
	}
	switch {
	case strings.HasSuffix(s.must("datestyle"), "DMY"):
		t.DateOrder = types.DMY
	case strings.HasSuffix(s.must("datestyle"), "YMD"):
		t.DateOrder = types.YMD
	}
	t.IntervalStyle = types.IntervalStyles[s.must("intervalstyle")]
	t.ByteaEscape = s.must("bytea_output") == "escape"
	return t
}
