package planner

import (
	"sort"
	"strconv"
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// Options are the WITH options of a stream or table, read and checked. Zero values mean "not given" unless said otherwise.
type Options struct {
	Topic           string
	Partitions      int32
	Replicas        int16
	KeyFormat       string
	ValueFormat     string
	KeyDelimiter    byte
	ValueDelimiter  byte
	Timestamp       string
	TimestampFormat string
	// WrapSingleValue is true unless the option says false.
	WrapSingleValue bool
	Partitioner     string
	Window          *WindowSpec
	// TTLMs and HistoryMs are the options ttl and history, in ms.
	TTLMs, HistoryMs int64
	// Latest: auto_offset_reset = 'latest', for CREATE ... AS and INSERT ... EMIT CHANGES.
	Latest bool
	// Configs are the topic's settings in Kafka's names.
	Configs map[string]string

	given map[string]*sql.Option
}

// optionScope says where an option may stand.
type optionScope uint8

const (
	anywhere   optionScope = iota
	definition             // not with AS
	query                  // only with AS, or INSERT ... EMIT CHANGES
)

type optionDef struct {
	scope optionScope
	read  func(o *Options, value string, opt *sql.Option) error
}

// formats that run in this release, and those that are only known.
var (
	formatsBuilt = []string{"delimited", "json", "kafka", "none"}
	formatsKnown = []string{"avro", "delimited", "json", "json_sr", "kafka", "none", "protobuf", "protobuf_nosr"}
)

var optionDefs map[string]optionDef

func init() { // a variable initializer would refer to itself through unknownOption
	optionDefs = map[string]optionDef{
		"topic":      {anywhere, func(o *Options, v string, _ *sql.Option) error { o.Topic = v; return nil }},
		"partitions": {anywhere, func(o *Options, v string, opt *sql.Option) error { return readCount(&o.Partitions, v, 100_000, opt) }},
		"replicas": {anywhere, func(o *Options, v string, opt *sql.Option) error {
			var n int32
			err := readCount(&n, v, 1_000, opt)
			o.Replicas = int16(n)
			return err
		}},
		"key_format":   {anywhere, func(o *Options, v string, opt *sql.Option) error { return readFormat(&o.KeyFormat, v, opt) }},
		"value_format": {anywhere, func(o *Options, v string, opt *sql.Option) error { return readFormat(&o.ValueFormat, v, opt) }},
		"format": {anywhere, func(o *Options, v string, opt *sql.Option) error {
			if err := readFormat(&o.KeyFormat, v, opt); err != nil {
				return err
			}
			return readFormat(&o.ValueFormat, v, opt)
		}},
		"timestamp":         {anywhere, func(o *Options, v string, _ *sql.Option) error { o.Timestamp = v; return nil }},
		"timestamp_format":  {anywhere, func(o *Options, v string, _ *sql.Option) error { o.TimestampFormat = v; return nil }},
		"wrap_single_value": {anywhere, func(o *Options, v string, opt *sql.Option) error { return readBool(&o.WrapSingleValue, v, opt) }},
		"value_delimiter":   {anywhere, func(o *Options, v string, opt *sql.Option) error { return readDelimiter(&o.ValueDelimiter, v, opt) }},
		"key_delimiter":     {anywhere, func(o *Options, v string, opt *sql.Option) error { return readDelimiter(&o.KeyDelimiter, v, opt) }},
		"history": {anywhere, func(o *Options, v string, opt *sql.Option) (err error) {
			o.HistoryMs, err = readInterval(v, opt)
			return err
		}},
		"window_type": {definition, readWindowType},
		"window_size": {definition, readWindowSize},
		"partitioner": {definition, readPartitioner},
		"ttl": {anywhere, func(o *Options, v string, opt *sql.Option) (err error) {
			o.TTLMs, err = readInterval(v, opt)
			return err
		}},
		"retention_ms":         {anywhere, topicConfig("retention.ms", isInt)},
		"cleanup_policy":       {anywhere, topicConfig("cleanup.policy", isCleanup)},
		"fsync":                {anywhere, topicConfig("fsync", oneOf("commit", "interval"))},
		"min_insync_replicas":  {anywhere, topicConfig("min.insync.replicas", isInt)},
		"num_standby_replicas": {query, topicConfig("", isInt)},
		"auto_offset_reset":    {query, readReset},
	}
}

// optionAliases are ksqlDB's names.
var optionAliases = map[string]string{"kafka_topic": "topic"}

// readOptions reads WITH (...). withQuery tells whether a query fills the relation.
func (st *statement) readOptions(opts []*sql.Option, withQuery bool) (*Options, error) {
	o := &Options{WrapSingleValue: true, Configs: map[string]string{}, given: map[string]*sql.Option{}}
	for _, opt := range opts {
		name := strings.ToLower(opt.Name)
		if a, ok := optionAliases[name]; ok {
			name = a
		}
		def, ok := optionDefs[name]
		switch {
		case !ok:
			return nil, unknownOption(opt, withQuery)
		case o.given[name] != nil:
			return nil, sqlerr.New(sqlerr.SyntaxError, "option %q given more than once", opt.Name).At(opt.Offset())
		case def.scope == query && !withQuery:
			return nil, sqlerr.New(sqlerr.InvalidParameterValue, "option %q is for CREATE ... AS only", opt.Name).At(opt.Offset())
		case def.scope == definition && withQuery:
			return nil, sqlerr.New(sqlerr.InvalidParameterValue, "option %q is not for CREATE ... AS", opt.Name).
				WithDetail("The query decides it.").At(opt.Offset())
		case opt.Value == nil || opt.Value.Kind == sql.NullLiteral:
			return nil, sqlerr.New(sqlerr.InvalidParameterValue, "option %q needs a value", opt.Name).At(opt.Offset())
		}
		o.given[name] = opt
		if err := def.read(o, opt.Value.Text, opt); err != nil {
			return nil, err
		}
	}
	if o.TimestampFormat != "" && o.Timestamp == "" {
		return nil, sqlerr.New(sqlerr.InvalidParameterValue, "option \"timestamp_format\" needs option \"timestamp\"").At(o.given["timestamp_format"].Offset())
	}
	if o.Window != nil && (o.Window.SizeMs == 0) != (o.Window.Kind == Session) {
		return nil, sqlerr.New(sqlerr.InvalidParameterValue, "window_size goes with window_type TUMBLING or HOPPING, and only with those")
	}
	return o, nil
}

// AlterOptions reads the options of ALTER ... SET and RESET that are settings of the topic, in Kafka's names. What decides where and how rows are
// written is fixed when the relation is made.
func AlterOptions(rel *Relation, a *sql.AlterAction) (set map[string]string, unset []string, err error) {
	o := &Options{Configs: map[string]string{}, given: map[string]*sql.Option{}}
	for _, opt := range a.Options {
		name := strings.ToLower(opt.Name)
		def, ok := optionDefs[name]
		config := alterable[name]
		switch {
		case !ok:
			return nil, nil, unknownOption(opt, rel.Query != 0)
		case name == "ttl" && rel.Query == 0:
			continue // LifetimeAction has it
		case config == "":
			return nil, nil, sqlerr.New(sqlerr.FeatureNotSupported, "option %q is fixed when %q is made", name, rel.Name).
				WithHint("What can be set: cleanup_policy, fsync, min_insync_replicas, retention_ms, and the ttl of an ordinary table.").At(opt.Offset())
		case name == "cleanup_policy" && rel.Kind == Table:
			return nil, nil, sqlerr.New(sqlerr.InvalidParameterValue, "the topic of table %q is compacted: its rows are the latest of each key", rel.Name).At(opt.Offset())
		case a.Op == sql.ResetOptions:
			unset = append(unset, config)
			continue
		case opt.Value == nil || opt.Value.Kind == sql.NullLiteral:
			return nil, nil, sqlerr.New(sqlerr.InvalidParameterValue, "option %q needs a value", opt.Name).At(opt.Offset())
		}
		if err := def.read(o, opt.Value.Text, opt); err != nil {
			return nil, nil, err
		}
	}
	return o.Configs, unset, nil
}

// alterable are the options that ALTER may set, with the topic's setting.
var alterable = map[string]string{
	"retention_ms": "retention.ms", "cleanup_policy": "cleanup.policy", "fsync": "fsync", "min_insync_replicas": "min.insync.replicas",
}

func unknownOption(opt *sql.Option, withQuery bool) error {
	var names []string
	best, dist := "", 4
	for name, def := range optionDefs {
		if def.scope == query && !withQuery || def.scope == definition && withQuery {
			continue
		}
		names = append(names, name)
		if d := editDistance(strings.ToLower(opt.Name), name); d < dist || d == dist && name < best {
			best, dist = name, d
		}
	}
	sort.Strings(names)
	err := sqlerr.New(sqlerr.InvalidParameterValue, "unknown option %q", opt.Name).WithDetail("Known options: %s.", strings.Join(names, ", ")).At(opt.Offset())
	if best != "" {
		return err.WithHint("Perhaps you meant %q.", best)
	}
	return err
}

func badOption(opt *sql.Option, want string) error {
	return sqlerr.New(sqlerr.InvalidParameterValue, "invalid value for option %q: %q", opt.Name, opt.Value.Text).WithHint("It must be %s.", want).At(opt.Value.Offset())
}

func readCount(to *int32, v string, limit int64, opt *sql.Option) error {
	n, err := strconv.ParseInt(v, 10, 32)
	if err != nil || n < 1 || n > limit {
		return badOption(opt, "a whole number from 1 to "+strconv.FormatInt(limit, 10))
	}
	*to = int32(n)
	return nil
}

func readBool(to *bool, v string, opt *sql.Option) error {
	d, err := types.ParseText(types.Of(types.Bool), v, nil)
	if err != nil {
		return badOption(opt, "true or false")
	}
	*to = d.I != 0
	return nil
}

func readFormat(to *string, v string, opt *sql.Option) error {
	f := strings.ToLower(v)
	for _, b := range formatsBuilt {
		if f == b {
			*to = f
			return nil
		}
	}
	for _, k := range formatsKnown {
		if f == k {
			return notYet("format "+strings.ToUpper(f), "its codec is not built", "json, delimited, kafka and none", opt.Value.Pos)
		}
	}
	return badOption(opt, "one of "+strings.Join(formatsKnown, ", "))
}

// readDelimiter takes one ASCII character that cannot be mistaken, or ksqlDB's words SPACE and TAB.
func readDelimiter(to *byte, v string, opt *sql.Option) error {
	switch strings.ToUpper(v) {
	case "SPACE":
		v = " "
	case "TAB":
		v = "\t"
	}
	if len(v) != 1 || v[0] >= 0x80 || v[0] == 0 || v == `"` || v == "\n" || v == "\r" {
		return badOption(opt, "one ASCII character other than a quote and a line break, or SPACE or TAB")
	}
	*to = v[0]
	return nil
}

func topicConfig(name string, check func(string) string) func(*Options, string, *sql.Option) error {
	return func(o *Options, v string, opt *sql.Option) error {
		v = strings.ToLower(v)
		if want := check(v); want != "" {
			return badOption(opt, want)
		}
		if name != "" {
			o.Configs[name] = v
		}
		return nil
	}
}

func isInt(v string) string {
	if _, err := strconv.ParseInt(v, 10, 64); err != nil {
		return "a whole number"
	}
	return ""
}

func isCleanup(v string) string {
	for _, p := range strings.Split(v, ",") {
		if p = strings.TrimSpace(p); p != "compact" && p != "delete" {
			return "compact, delete, or both with a comma between"
		}
	}
	return ""
}

func oneOf(values ...string) func(string) string {
	return func(v string) string {
		for _, x := range values {
			if v == x {
				return ""
			}
		}
		return "one of " + strings.Join(values, ", ")
	}
}

func readPartitioner(o *Options, v string, opt *sql.Option) error {
	o.Partitioner = strings.ToLower(v)
	if want := oneOf("murmur2", "crc32", "fnv1a")(o.Partitioner); want != "" {
		return badOption(opt, want)
	}
	return nil
}

func readReset(o *Options, v string, opt *sql.Option) error {
	v = strings.ToLower(v)
	if want := oneOf("earliest", "latest")(v); want != "" {
		return badOption(opt, want)
	}
	o.Latest = v == "latest"
	return nil
}

func readWindowType(o *Options, v string, opt *sql.Option) error {
	kind, ok := map[string]WindowKind{"tumbling": Tumbling, "hopping": Hopping, "session": Session}[strings.ToLower(v)]
	if !ok {
		return badOption(opt, "TUMBLING, HOPPING or SESSION")
	}
	if o.Window == nil {
		o.Window = &WindowSpec{}
	}
	o.Window.Kind = kind
	return nil
}

func readWindowSize(o *Options, v string, opt *sql.Option) error {
	ms, err := readInterval(v, opt)
	if err != nil {
		return err
	}
	if o.Window == nil {
		o.Window = &WindowSpec{}
	}
	o.Window.SizeMs = ms
	return nil
}

func readInterval(v string, opt *sql.Option) (int64, error) {
	d, err := types.ParseText(types.Of(types.Interval), v, nil)
	if err != nil {
		return 0, badOption(opt, "a length of time, as in '1 hour'")
	}
	ms, err := intervalMs(d, opt.Value.Offset())
	if err != nil || ms <= 0 {
		return 0, badOption(opt, "a positive length of time in days, hours and less: months and years are not of one length")
	}
	return ms, nil
}
