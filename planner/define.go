package planner

import (
	"context"
	"strconv"
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// maxColumns bounds the columns of a relation, as PostgreSQL's tuples do.
const maxColumns = 1600

// hiddenKeyName is the column of a table without a primary key that identifies its rows. Its value comes from the log position of the
// INSERT that made the row.
const hiddenKeyName = "_rowid"

// definer turns a CREATE STREAM or TABLE with elements into a relation.
type definer struct {
	st   *statement
	stmt *sql.CreateRelation
	opts *Options
	rel  *Relation
}

// BindDefinition binds CREATE STREAM or CREATE TABLE with columns (not AS): the relation (its OID, owner and definition text are the caller's to
// fill in) and the topics to create. A topic that must already exist (WITH (topic)) is listed too: the caller creates it if it is missing.
func (p *Planner) BindDefinition(ctx context.Context, stmt *sql.CreateRelation) (*Relation, []TopicSpec, error) {
	st := p.begin(ctx, nil)
	if stmt.Query != nil || (stmt.Kind != sql.KindStream && stmt.Kind != sql.KindTable) {
		return nil, nil, sqlerr.New(sqlerr.InternalError, "not a definition with columns")
	}
	opts, err := st.readOptions(stmt.Options, false)
	if err != nil {
		return nil, nil, err
	}
	d := &definer{st: st, stmt: stmt, opts: opts}
	d.rel = &Relation{
		Schema: stmt.Name.Schema(), Name: stmt.Name.Object(), Kind: Stream, Topic: opts.Topic, Partitions: opts.Partitions,
		WrapSingleValue: opts.WrapSingleValue, TimestampColumn: -1, IdleTimeout: p.idleTimeout(), MaxFuture: p.Settings.MaxFuture, Window: opts.Window,
		KSQL: p.Settings.KSQL,
	}
	if stmt.Kind == sql.KindTable {
		d.rel.Kind = Table
		d.rel.Ordinary = opts.Topic == "" && !stmt.Source
	}
	for _, step := range []func() error{d.columns, d.key, d.constraints, d.time, d.lifetimes, d.formats} {
		if err := step(); err != nil {
			return nil, nil, err
		}
	}
	rel := d.rel
	if stmt.Temporary {
		return d.temporary()
	}
	if rel.Partitions == 0 {
		rel.Partitions = p.partitions()
	}
	nameTopic(rel)
	rel.Placement = rel.Ordinary || opts.Partitioner == "murmur2"
	return rel, []TopicSpec{p.relationTopic(rel, opts)}, nil
}

// temporary makes the definition that of a temporary table, which has no topic and so nothing that WITH could set.
func (d *definer) temporary() (*Relation, []TopicSpec, error) {
	switch {
	case d.stmt.Kind != sql.KindTable:
		return nil, nil, sqlerr.New(sqlerr.FeatureNotSupported, "a stream cannot be temporary").
			WithDetail("Its rows are a topic, which all sessions see.").WithHint("CREATE TEMPORARY TABLE.").At(d.stmt.Offset())
	case len(d.stmt.Options) > 0:
		return nil, nil, sqlerr.New(sqlerr.InvalidTableDefinition, "a temporary table takes no option %q", d.stmt.Options[0].Name).
			WithDetail("It has no topic: its session keeps its rows.").At(d.stmt.Options[0].Offset())
	case d.stmt.Watermark != nil:
		return nil, nil, sqlerr.New(sqlerr.InvalidTableDefinition, "a temporary table takes no WATERMARK").At(d.stmt.Offset())
	}
	d.rel.Ordinary, d.rel.Temporary, d.rel.Partitions = true, true, 1
	return d.rel, nil, nil
}

// nameTopic gives a relation without topic option the topic of its name.
func nameTopic(rel *Relation) {
	if rel.Topic != "" {
		return
	}
	rel.Topic = rel.Name
	if rel.Schema != "" && rel.Schema != "public" {
		rel.Topic = rel.Schema + "." + rel.Name
	}
}

// relationTopic describes the topic of a relation.
func (p *Planner) relationTopic(rel *Relation, opts *Options) TopicSpec {
	t := TopicSpec{Name: rel.Topic, Partitions: rel.Partitions, Replicas: opts.Replicas, Configs: map[string]string{}}
	if t.Replicas == 0 {
		t.Replicas = p.replicas()
	}
	t.Configs["retention.ms"] = "-1"
	t.Configs["cleanup.policy"] = "delete"
	if rel.Kind == Table {
		t.Configs["cleanup.policy"] = "compact"
	}
	if rel.HistoryMs > 0 { // compaction leaves the versions that joins may ask for
		t.Configs["min.compaction.lag.ms"] = strconv.FormatInt(rel.HistoryMs, 10)
	}
	for k, v := range opts.Configs {
		t.Configs[k] = v
	}
	return t
}

func (d *definer) columns() error {
	defs := d.stmt.Columns
	if len(defs) == 0 {
		return sqlerr.New(sqlerr.FeatureNotSupported, "%s %q has no columns", strings.ToLower(string(d.stmt.Kind)), d.rel.Name).
			WithDetail("Reason: there is no schema registry to take them from.").WithHint("What works: list the columns.").At(d.stmt.Offset())
	}
	if len(defs) > maxColumns {
		return sqlerr.New(sqlerr.TooManyColumns, "a relation can have at most %d columns", maxColumns).At(d.stmt.Offset())
	}
	for _, c := range defs {
		if d.rel.column(c.Name) >= 0 {
			return sqlerr.New(sqlerr.DuplicateColumn, "column %q specified more than once", c.Name).At(c.Offset())
		}
		col, err := d.column(c)
		if err != nil {
			return err
		}
		d.rel.Columns = append(d.rel.Columns, *col)
	}
	for _, c := range defs {
		if err := d.columnChecks(c); err != nil {
			return err
		}
	}
	return nil
}

func (d *definer) column(c *sql.ColumnDef) (*Column, error) {
	if c.Type == nil {
		return nil, sqlerr.New(sqlerr.SyntaxError, "column %q has no type", c.Name).At(c.Offset())
	}
	if err := refuseElements(c); err != nil {
		return nil, err
	}
	if c.Headers || c.HeaderKey != nil {
		return d.headerColumn(c)
	}
	col := &Column{Name: c.Name, NotNull: c.NotNull || c.PrimaryKey}
	t, err := d.columnType(c, col)
	if err != nil {
		return nil, err
	}
	if t.Kind == types.Record || isVector(t.Kind) {
		return nil, sqlerr.New(sqlerr.InvalidTableDefinition, "column %q has pseudo-type %s", c.Name, t).At(c.Offset())
	}
	col.Type = t
	if c.Default == nil {
		return col, nil
	}
	if col.Serial != NotSerial {
		return nil, sqlerr.New(sqlerr.SyntaxError, "multiple default values specified for column %q of table %q", c.Name, d.rel.Name).At(c.Default.Offset())
	}
	return col, d.setDefault(col, c.Default)
}

// columnType resolves a column's type; serial is an integer with a sequence.
func (d *definer) columnType(c *sql.ColumnDef, col *Column) (types.Type, error) {
	if k := serialKind(c.Type); k != types.Unknown {
		if c.Identity != nil {
			return types.Type{}, sqlerr.New(sqlerr.SyntaxError, "both default and identity specified for column %q of table %q", c.Name, d.rel.Name).At(c.Offset())
		}
		col.Serial, col.NotNull = Serial, true
		return types.Of(k), nil
	}
	t, err := d.st.resolveType(c.Type)
	if err != nil || c.Identity == nil {
		return t, err
	}
	col.NotNull = true
	col.Serial, err = identityKind(c, t)
	return t, err
}

// identityKind tells which kind of identity a column of type t is declared to have.
func identityKind(c *sql.ColumnDef, t types.Type) (SerialKind, error) {
	switch {
	case t.Kind != types.Int2 && t.Kind != types.Int4 && t.Kind != types.Int8:
		return NotSerial, sqlerr.New(sqlerr.InvalidParameterValue, "identity column type must be smallint, integer, or bigint").At(c.Offset())
	case c.Identity.Always:
		return IdentityAlways, nil
	}
	return IdentityByDefault, nil
}

// setDefault binds a column's default.
func (d *definer) setDefault(col *Column, e sql.Expr) error {
	b := d.st.binder()
	b.clause = "DEFAULT expressions"
	x, err := b.bindExpr(e)
	if sqlerr.CodeOf(err) == sqlerr.UndefinedColumn {
		return sqlerr.New(sqlerr.FeatureNotSupported, "cannot use column reference in DEFAULT expression").At(e.Offset())
	}
	if err != nil {
		return err
	}
	if hasSubquery(x) {
		return sqlerr.New(sqlerr.FeatureNotSupported, "cannot use subquery in DEFAULT expression").At(e.Offset())
	}
	if x, err = b.assign(x, col, posOf(e)); err != nil {
		return err
	}
	col.Default, col.DefaultText = d.st.p.foldExpr(x), sql.String(e)
	return nil
}

func serialKind(t *sql.TypeName) types.Kind {
	switch t.Name {
	case "serial", "serial4":
		return types.Int4
	case "bigserial", "serial8":
		return types.Int8
	case "smallserial", "serial2":
		return types.Int2
	}
	return types.Unknown
}

func refuseElements(c *sql.ColumnDef) error {
	switch {
	case c.Generated != nil:
		return notYet("generated columns", "rows are stored as they come", "a view that computes the column", c.Pos)
	case c.References != nil:
		return refuseConstraint(sql.ForeignKeyConstraint, c.Pos)
	}
	return nil
}

// key finds the key columns: KEY for streams, PRIMARY KEY for tables, on columns or beside them.
func (d *definer) key() error {
	stream := d.rel.Kind == Stream
	for i, c := range d.stmt.Columns {
		if !c.Key && !c.PrimaryKey {
			continue
		}
		if stream && c.PrimaryKey {
			return sqlerr.New(sqlerr.InvalidTableDefinition, "a stream has no PRIMARY KEY: its rows are facts, and several may have one key").
				WithHint("Write %s %s KEY.", c.Name, d.rel.Columns[i].Type).At(c.Offset())
		}
		if !stream && c.Key && !c.PrimaryKey {
			return sqlerr.New(sqlerr.InvalidTableDefinition, "a table's key column is declared PRIMARY KEY, not KEY").
				WithHint("Write %s %s PRIMARY KEY.", c.Name, d.rel.Columns[i].Type).At(c.Offset())
		}
		if len(d.rel.Key) > 0 && c.PrimaryKey {
			return sqlerr.New(sqlerr.InvalidTableDefinition, "multiple primary keys for table %q are not allowed", d.rel.Name).
				WithHint("A key of several columns is written PRIMARY KEY (a, b).").At(c.Offset())
		}
		d.rel.Key = append(d.rel.Key, i)
	}
	return nil
}

func (d *definer) constraints() error {
	for _, c := range d.stmt.Columns {
		if c.Unique && !c.PrimaryKey {
			if err := d.unique(&sql.TableConstraint{Pos: c.Pos, Name: c.UniqueName, Columns: []string{c.Name}, Deferrable: c.Deferrable}); err != nil {
				return err
			}
		}
	}
	for _, c := range d.stmt.Constraints {
		if c.Kind == sql.CheckConstraint {
			if err := d.check(c.Name, "", c.Check); err != nil {
				return err
			}
			continue
		}
		if c.Kind == sql.UniqueConstraint {
			if err := d.unique(c); err != nil {
				return err
			}
			continue
		}
		if c.Kind != sql.PrimaryKeyConstraint {
			return refuseConstraint(c.Kind, c.Pos)
		}
		if d.rel.Kind == Stream {
			return sqlerr.New(sqlerr.InvalidTableDefinition, "a stream has no PRIMARY KEY").WithHint("Mark its key columns KEY.").At(c.Offset())
		}
		if len(d.rel.Key) > 0 {
			return sqlerr.New(sqlerr.InvalidTableDefinition, "multiple primary keys for table %q are not allowed", d.rel.Name).At(c.Offset())
		}
		for _, name := range c.Columns {
			i := d.rel.column(name)
			if i < 0 {
				return sqlerr.New(sqlerr.UndefinedColumn, "column %q named in key does not exist", name).At(c.Offset())
			}
			if contains(d.rel.Key, i) {
				return sqlerr.New(sqlerr.DuplicateColumn, "column %q appears twice in primary key constraint", name).At(c.Offset())
			}
			d.rel.Key = append(d.rel.Key, i)
			d.rel.Columns[i].NotNull = true
		}
	}
	for _, k := range d.rel.Key {
		c := &d.rel.Columns[k]
		if hasMap(c.Type) || c.Headers || c.Type.Kind == types.JSON {
			return sqlerr.New(sqlerr.InvalidTableDefinition, "column %q of type %s cannot be part of a key", c.Name, c.Type).At(d.stmt.Offset())
		}
	}
	if d.rel.Kind == Table && len(d.rel.Key) == 0 {
		if !d.rel.Ordinary {
			return sqlerr.New(sqlerr.InvalidTableDefinition, "a table over a topic needs a PRIMARY KEY").
				WithDetail("The latest record of each key is the table's row.").
				WithHint("Declare the columns that the record key holds PRIMARY KEY, or create a STREAM.").At(d.stmt.Offset())
		}
		d.rel.Columns = append(d.rel.Columns, Column{Name: hiddenKeyName, Type: types.Of(types.UUID), NotNull: true, Hidden: true})
		d.rel.Key = []int{len(d.rel.Columns) - 1}
	}
	return nil
}

func hasMap(t types.Type) bool {
	if t.Kind == types.Map || t.Elem != nil && hasMap(*t.Elem) {
		return true
	}
	for _, f := range t.Fields {
		if hasMap(f.Type) {
			return true
		}
	}
	return false
}

// time finds what gives rowtime: the timestamp option or WATERMARK FOR, not both.
func (d *definer) time() error {
	name, pos := d.opts.Timestamp, -1
	if o := d.opts.given["timestamp"]; o != nil {
		pos = o.Offset()
	}
	if w := d.stmt.Watermark; w != nil {
		if name != "" {
			return sqlerr.New(sqlerr.InvalidTableDefinition, "option \"timestamp\" and WATERMARK FOR both name the column of rowtime").
				WithHint("Keep one of them.").At(w.Offset())
		}
		name, pos = w.Column, w.Offset()
	}
	if name == "" {
		return nil
	}
	i := d.st.optionColumn(d.rel, name)
	if i < 0 {
		return sqlerr.New(sqlerr.UndefinedColumn, "column %q does not exist", name).At(pos)
	}
	if err := checkTimestamp(&d.rel.Columns[i], d.opts, d.rel.KSQL, pos); err != nil {
		return err
	}
	d.rel.TimestampColumn, d.rel.TimestampFormat = i, d.opts.TimestampFormat
	if d.stmt.Watermark == nil {
		return nil
	}
	return d.watermark(d.stmt.Watermark)
}

// optionColumn finds the column that an option names, as written or folded.
func (st *statement) optionColumn(rel *Relation, name string) int {
	if i := rel.column(name); i >= 0 {
		return i
	}
	if st.p.Settings.KSQL {
		return rel.column(strings.ToUpper(name))
	}
	return rel.column(strings.ToLower(name))
}

// checkTimestamp refuses columns that cannot give rowtime.
func checkTimestamp(c *Column, opts *Options, ksql bool, pos int) error {
	format, example := opts.TimestampFormat, "YYYY-MM-DD HH24:MI:SS"
	if ksql {
		example = "yyyy-MM-dd HH:mm:ss"
		if _, err := types.ParseJavaPattern(format); format != "" && err != nil {
			return sqlerr.From(err).At(opts.given["timestamp_format"].Offset())
		}
	}
	switch c.Type.Kind {
	case types.Timestamp, types.TimestampTZ, types.Int8, types.Date:
	case types.Text, types.Varchar:
		if format == "" {
			return sqlerr.New(sqlerr.InvalidTableDefinition, "rowtime from column %q of type %s needs option \"timestamp_format\"", c.Name, c.Type).
				WithHint("For example timestamp_format = '%s'.", example).At(pos)
		}
	default:
		return sqlerr.New(sqlerr.DatatypeMismatch, "column %q of type %s cannot give rowtime", c.Name, c.Type).
			WithHint("It must be TIMESTAMPTZ, TIMESTAMP, BIGINT (milliseconds), DATE, or TEXT with timestamp_format.").At(pos)
	}
	return nil
}

// watermark binds the expression that is the stream time a row proves.
func (d *definer) watermark(w *sql.Watermark) error {
	_, sc := newScan(&Relation{Name: d.rel.Name, Kind: Virtual, Columns: d.rel.Columns})
	b := d.st.binder()
	b.scope, b.clause = sc, "WATERMARK"
	x, err := b.bindExpr(w.Expr)
	if err != nil {
		return err
	}
	k := x.Type().Kind
	if k != types.TimestampTZ && k != types.Timestamp && k != types.Int8 && k != types.Date {
		return sqlerr.New(sqlerr.DatatypeMismatch, "the WATERMARK expression must be a point in time, not %s", x.Type()).At(w.Expr.Offset())
	}
	if pinned(x) {
		return sqlerr.New(sqlerr.InvalidTableDefinition, "the WATERMARK expression must not be volatile").At(w.Expr.Offset())
	}
	d.rel.Watermark = d.st.p.foldExpr(x)
	return nil
}

// BindView binds CREATE VIEW: its query is planned once to find its columns and its errors, and kept as text. text is the
// statement as written, for SHOW CREATE.
func (p *Planner) BindView(ctx context.Context, stmt *sql.CreateRelation, text string) (*Relation, error) {
	if stmt.Query == nil || stmt.Query.Emit != nil {
		return nil, sqlerr.New(sqlerr.SyntaxError, "a view is a query without EMIT").
			WithHint("CREATE MATERIALIZED VIEW keeps a result up to date.").At(stmt.Offset())
	}
	if len(stmt.Options) > 0 {
		return nil, sqlerr.New(sqlerr.InvalidParameterValue, "a view has no options: nothing is stored").At(stmt.Options[0].Offset())
	}
	q, err := p.PlanQuery(ctx, stmt.Query, nil)
	if err != nil {
		return nil, err
	}
	if err := q.RefuseChanges("views"); err != nil {
		return nil, err
	}
	if len(q.Params) > 0 {
		return nil, sqlerr.New(sqlerr.UndefinedParameter, "there is no parameter $1").At(stmt.Query.Offset())
	}
	rel := &Relation{
		Schema: stmt.Name.Schema(), Name: stmt.Name.Object(), Kind: View, ViewText: sql.String(stmt.Query), ViewColumns: stmt.Aliases,
		TimestampColumn: -1, Definition: text, KSQL: p.Settings.KSQL,
	}
	if len(stmt.Aliases) > len(q.Columns) {
		return nil, sqlerr.New(sqlerr.SyntaxError, "CREATE VIEW specifies more column names than columns").At(stmt.Offset())
	}
	for i, ord := range q.Columns {
		c := q.Root.Props().Cols[ord]
		if i < len(stmt.Aliases) {
			c.Name = stmt.Aliases[i]
		}
		if rel.column(c.Name) >= 0 {
			return nil, sqlerr.New(sqlerr.DuplicateColumn, "column %q specified more than once", c.Name).At(stmt.Query.Offset())
		}
		rel.Columns = append(rel.Columns, Column{Name: c.Name, Type: c.Type})
	}
	return rel, nil
}
