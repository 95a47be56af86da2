package planner

import (
	"context"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// PersistentSpec is a CREATE STREAM, TABLE or MATERIALIZED VIEW ... AS: either the statement, or its parts.
type PersistentSpec struct {
	// Create is the statement; the fields below it then come from there, except QueryName.
	Create *sql.CreateRelation

	Schema, Name string
	Kind         sql.ObjectKind // KindStream, KindTable or KindMaterializedView
	Options      []*sql.Option
	// Columns rename the query's columns, in order; PrimaryKey names the declared key, nil to derive it.
	Columns    []string
	PrimaryKey []string
	Query      *sql.Query
	// QueryName names internal topics; "" is Name.
	QueryName string
	Pos       int // where errors about the whole statement point
}

// specOf reads the parts from the statement.
func specOf(stmt *sql.CreateRelation) (PersistentSpec, error) {
	spec := PersistentSpec{
		Schema: stmt.Name.Schema(), Name: stmt.Name.Object(), Kind: stmt.Kind, Options: stmt.Options,
		Columns: stmt.Aliases, Query: stmt.Query, Pos: stmt.Offset(),
	}
	for _, c := range stmt.Constraints {
		if c.Kind != sql.PrimaryKeyConstraint || spec.PrimaryKey != nil {
			return spec, sqlerr.New(sqlerr.InvalidTableDefinition, "CREATE ... AS takes one PRIMARY KEY and no other constraint").At(c.Offset())
		}
		spec.PrimaryKey = c.Columns
	}
	if len(stmt.Columns) > 0 {
		return spec, sqlerr.New(sqlerr.SyntaxError, "the columns of CREATE ... AS come from its query").At(stmt.Columns[0].Offset())
	}
	return spec, nil
}

// PlanPersistent plans a persistent query and the relation it fills. The relation's OID, query OID, owner and definition text are the caller's to
// fill in, before it stores either. The sink's own topic is Persistent.SinkTopic.
func (p *Planner) PlanPersistent(ctx context.Context, spec PersistentSpec) (*Persistent, *Relation, error) {
	st := p.begin(ctx, nil)
	if spec.Create != nil {
		name := spec.QueryName
		var err error
		if spec, err = specOf(spec.Create); err != nil {
			return nil, nil, err
		}
		spec.QueryName = name
	}
	opts, err := st.readOptions(spec.Options, true)
	if err != nil {
		return nil, nil, err
	}
	m := &maker{st: st, opts: opts, spec: spec}
	if err := m.plan(spec.Query, spec.Kind != sql.KindStream); err != nil {
		return nil, nil, err
	}
	if err := m.relation(); err != nil {
		return nil, nil, err
	}
	if err := m.sink(); err != nil {
		return nil, nil, err
	}
	out := m.finish(m.name())
	topic := p.relationTopic(m.rel, opts)
	out.SinkTopic = &topic
	return out, m.rel, nil
}

// PlanInsertPersistent plans INSERT INTO relation SELECT ... EMIT CHANGES, a persistent query into an existing stream or table over a topic.
// name names the query.
func (p *Planner) PlanInsertPersistent(ctx context.Context, stmt *sql.Insert, name string) (*Persistent, error) {
	st := p.begin(ctx, nil)
	rel, err := st.relation(stmt.Table)
	if err != nil {
		return nil, err
	}
	if err := checkWritable(rel, "insert into", stmt.Table.Offset()); err != nil {
		return nil, err
	}
	if rel.Ordinary {
		return nil, notYet("a continuous INSERT into an ordinary table", "its rows are written by its owners only",
			"CREATE TABLE ... AS SELECT, or INSERT INTO a stream", stmt.Table.Pos)
	}
	if stmt.OnConflict != nil || len(stmt.Returning) > 0 {
		return nil, sqlerr.New(sqlerr.SyntaxError, "a continuous INSERT has neither ON CONFLICT nor RETURNING").At(stmt.Offset())
	}
	opts, err := st.readOptions(stmt.Options, true)
	if err != nil {
		return nil, err
	}
	opts.Partitions = rel.Partitions
	m := &maker{st: st, opts: opts, rel: rel, spec: PersistentSpec{Name: name, Kind: sql.KindTable, Pos: stmt.Offset()}}
	if rel.Kind == Stream {
		m.spec.Kind = sql.KindStream
	}
	if err := m.plan(stmt.Query, false); err != nil {
		return nil, err
	}
	if err := m.mapColumns(stmt); err != nil {
		return nil, err
	}
	if err := m.sink(); err != nil {
		return nil, err
	}
	return m.finish(name), nil
}

// maker builds one persistent query.
type maker struct {
	st   *statement
	opts *Options
	spec PersistentSpec
	s    *streamer
	root Node
	// visible are the ordinals of the selected columns in root.
	visible []int
	rel     *Relation
	cols    []int // for each column of rel the ordinal in root, -1 for none
}

func (m *maker) name() string {
	if m.spec.QueryName != "" {
		return m.spec.QueryName
	}
	return m.spec.Name
}

func (m *maker) stream() bool { return m.spec.Kind == sql.KindStream }

// plan binds the query and makes it run for ever. identify asks for an identity of rows that have no key.
func (m *maker) plan(q *sql.Query, identify bool) error {
	if len(m.st.params) > 0 {
		return sqlerr.New(sqlerr.UndefinedParameter, "a persistent query cannot have parameters").At(q.Offset())
	}
	bare, partitionBy := takePartitionBy(q)
	if bare.Limit != nil {
		return sqlerr.New(sqlerr.FeatureNotSupported, "LIMIT has no place in a persistent query").
			WithHint("LIMIT when you read it.").At(bare.Limit.Offset())
	}
	n, _, err := m.st.bindUnbounded(bare)
	if err != nil {
		return err
	}
	if len(m.st.params) > 0 {
		return sqlerr.New(sqlerr.UndefinedParameter, "a persistent query cannot have parameters").At(q.Offset())
	}
	n = m.st.p.optimize(n)
	if readsOp(n) {
		return notYet("the pseudo column op in a persistent query", "a stream of changes needs old rows in its topic",
			"op in a push query", posOf(q))
	}
	final := q.Emit != nil && q.Emit.Final
	m.s = newStreamer(n, final)
	m.s.latest = m.opts.Latest
	m.s.identify = identify && len(m.spec.PrimaryKey) == 0
	if m.opts.Partitions > 0 {
		m.s.partitions = m.opts.Partitions
	}
	root, at, err := m.s.lower(n)
	if err != nil {
		return sqlerr.From(err).At(q.Offset())
	}
	if err := m.s.checkFinal(q.Emit); err != nil {
		return err
	}
	for i, c := range n.Props().Cols {
		if !c.Hidden {
			m.visible = append(m.visible, at[i])
		}
	}
	m.root = root
	if len(partitionBy) > 0 {
		return m.partitionBy(partitionBy)
	}
	return nil
}

// takePartitionBy takes PARTITION BY, which keys the result, off the query.
func takePartitionBy(q *sql.Query) (*sql.Query, []sql.Expr) {
	sel, ok := q.Body.(*sql.Select)
	if !ok || len(sel.PartitionBy) == 0 {
		return q, nil
	}
	bare, body := *q, *sel
	by := body.PartitionBy
	body.PartitionBy = nil
	bare.Body = &body
	return &bare, by
}

// partitionBy makes selected columns the stream's key.
func (m *maker) partitionBy(by []sql.Expr) error {
	if !m.stream() {
		return sqlerr.New(sqlerr.InvalidTableDefinition, "PARTITION BY re-keys a stream").
			WithHint("A table's key is declared by PRIMARY KEY or comes from the query.").At(by[0].Offset())
	}
	var key []int
	for _, e := range by {
		ord := -1
		name := targetName(e)
		for _, v := range m.visible {
			if m.root.Props().Cols[v].Name == name {
				ord = v
			}
		}
		if ord < 0 {
			return notYet("PARTITION BY an expression that is not selected", "the key is made of the stream's columns",
				"select it under a name and PARTITION BY that name", posOf(e))
		}
		key = append(key, ord)
	}
	e := m.s.edges[m.root]
	e.streamKey = key
	m.s.edges[m.root] = e
	return nil
}

// relation derives the relation that the query fills.
func (m *maker) relation() error {
	p := m.root.Props()
	if m.stream() && p.Mode != ModeAppend {
		return sqlerr.New(sqlerr.FeatureNotSupported, "CREATE STREAM AS needs a query whose rows never change").
			WithDetail("Reason: a stream holds facts; this query updates and deletes rows.").
			WithHint("What works: CREATE TABLE ... AS, or EMIT FINAL with a window.").At(m.spec.Pos)
	}
	m.rel = &Relation{
		Schema: m.spec.Schema, Name: m.spec.Name, Kind: Table, Topic: m.opts.Topic, Partitions: m.s.partitions, WrapSingleValue: m.opts.WrapSingleValue,
		Placement: true, TimestampColumn: -1, IdleTimeout: m.st.p.idleTimeout(), TTL: m.opts.TTL,
	}
	if m.stream() {
		m.rel.Kind = Stream
	}
	if len(m.spec.Columns) > len(m.visible) {
		return sqlerr.New(sqlerr.SyntaxError, "too many column names were specified").At(m.spec.Pos)
	}
	for i, v := range m.visible {
		c := p.Cols[v]
		if i < len(m.spec.Columns) {
			c.Name = m.spec.Columns[i]
		}
		if m.rel.column(c.Name) >= 0 {
			return sqlerr.New(sqlerr.DuplicateColumn, "column %q specified more than once", c.Name).
				WithHint("Give one of them another name with AS.").At(m.spec.Pos)
		}
		if c.Type.Kind == types.Void || c.Type.Kind == types.Record && len(c.Type.Fields) == 0 {
			return sqlerr.New(sqlerr.InvalidTableDefinition, "column %q has pseudo-type %s", c.Name, c.Type).At(m.spec.Pos)
		}
		m.addColumn(v, c.Name, c.Type, false)
	}
	if err := m.key(); err != nil {
		return err
	}
	m.window()
	if m.opts.Timestamp != "" {
		if m.rel.TimestampColumn = m.rel.column(m.opts.Timestamp); m.rel.TimestampColumn < 0 {
			return sqlerr.New(sqlerr.UndefinedColumn, "column %q does not exist", m.opts.Timestamp).At(m.opts.given["timestamp"].Offset())
		}
		m.rel.TimestampFormat = m.opts.TimestampFormat
	}
	nameTopic(m.rel)
	return setFormats(m.rel, m.opts, m.spec.Pos)
}

func (m *maker) addColumn(ord int, name string, t types.Type, hidden bool) int {
	for m.rel.column(name) >= 0 {
		name += "_"
	}
	m.rel.Columns = append(m.rel.Columns, Column{Name: name, Type: t, Hidden: hidden})
	m.cols = append(m.cols, ord)
	return len(m.cols) - 1
}

// key settles the key: the declared one, else for tables the change key (hidden columns where it was not selected), for streams
// that of the source if it was selected whole.
func (m *maker) key() error {
	p, e := m.root.Props(), m.s.edges[m.root]
	if len(m.spec.PrimaryKey) > 0 {
		if m.stream() {
			return sqlerr.New(sqlerr.InvalidTableDefinition, "a stream has no PRIMARY KEY").WithHint("Use PARTITION BY.").At(m.spec.Pos)
		}
		for _, name := range m.spec.PrimaryKey {
			i := m.rel.column(name)
			if i < 0 {
				return sqlerr.New(sqlerr.UndefinedColumn, "column %q named in key does not exist", name).At(m.spec.Pos)
			}
			m.rel.Key = append(m.rel.Key, i)
		}
		return nil
	}
	ords := e.streamKey
	if !m.stream() {
		if ords = p.ChangeKey; p.Mode == ModeAppend {
			ords = e.ident
		}
	}
	for _, ord := range ords {
		i := -1
		for j, c := range m.cols {
			if c == ord {
				i = j
				break
			}
		}
		if i < 0 && m.stream() { // a stream carries no hidden key
			m.rel.Key = nil
			return nil
		}
		if i < 0 {
			i = m.addColumn(ord, p.Cols[ord].Name, p.Cols[ord].Type, true)
		}
		m.rel.Key = append(m.rel.Key, i)
	}
	return nil
}

// window marks a relation whose rows are results of windows.
func (m *maker) window() {
	var find func(n Node) *Aggregate
	find = func(n Node) *Aggregate {
		switch x := n.(type) {
		case *Aggregate:
			return x
		case *Project:
			return find(x.In)
		case *Filter:
			return find(x.In)
		}
		return nil
	}
	a := find(m.root)
	if a == nil || a.Window == nil || len(m.spec.PrimaryKey) > 0 {
		return
	}
	last := len(m.rel.Key) - 1
	if last >= 0 && m.root.Props().Cols[m.cols[m.rel.Key[last]]].Name == "windowstart" && m.rel.Columns[m.rel.Key[last]].Name == "windowstart" {
		m.rel.Window = a.Window
		m.rel.Retention = durationOfMillis(a.Window.RetentionMs)
	}
}

// mapColumns matches the selected columns with those of an existing relation.
func (m *maker) mapColumns(stmt *sql.Insert) error {
	targets, err := insertTargets(m.rel, stmt)
	if err != nil {
		return err
	}
	if len(m.visible) != len(targets) {
		return countMismatch(len(m.visible), len(targets), stmt.Offset())
	}
	b := m.st.binder()
	exprs := identity(m.root)
	cols := append([]Col(nil), m.root.Props().Cols...)
	changed := false
	m.cols = make([]int, len(m.rel.Columns))
	for i := range m.cols {
		m.cols[i] = -1
	}
	for i, v := range m.visible {
		c := &m.rel.Columns[targets[i]]
		x, err := b.assign(exprs[v], c, posOf(stmt))
		if err != nil {
			return err
		}
		m.cols[targets[i]] = v
		if _, plain := x.(*ColumnRef); !plain {
			exprs, cols, changed = append(exprs, x), append(cols, Col{Name: c.Name, Type: c.Type}), true
			m.cols[targets[i]] = len(exprs) - 1
		}
	}
	for i := range m.rel.Columns {
		if d := m.rel.Columns[i].Default; m.cols[i] < 0 && d != nil {
			exprs, cols, changed = append(exprs, d), append(cols, Col{Name: m.rel.Columns[i].Name, Type: d.Type()}), true
			m.cols[i] = len(exprs) - 1
		}
	}
	if changed {
		out := newProject(m.root, exprs, cols)
		out.P.Mode, out.P.ChangeKey, out.P.PartitionKey = m.root.Props().Mode, m.root.Props().ChangeKey, m.root.Props().PartitionKey
		m.s.edges[out] = m.s.edges[m.root]
		m.root = out
	}
	if m.stream() && m.root.Props().Mode != ModeAppend {
		return sqlerr.New(sqlerr.FeatureNotSupported, "a stream cannot take the rows of a query that updates and deletes").
			WithHint("What works: INSERT INTO a table, or EMIT FINAL with a window.").At(stmt.Offset())
	}
	return nil
}

// sink ends the plan: one writer per key of a table, and all live rows per key kept where the sink's key does not tell the rows apart.
func (m *maker) sink() error {
	n := m.root
	if m.rel.Kind == Table {
		key := make([]int, len(m.rel.Key))
		for i, k := range m.rel.Key {
			if key[i] = m.cols[k]; key[i] < 0 {
				return sqlerr.New(sqlerr.NotNullViolation, "the query gives no value for key column %q", m.rel.Columns[k].Name).At(m.spec.Pos)
			}
		}
		var by []int
		for _, k := range m.rel.PartitionKey() {
			by = append(by, m.cols[k])
		}
		if by == nil {
			by = []int{}
		}
		n = m.s.placeBy(n, by)
		if n.Props().Mode != ModeAppend && !subset(n.Props().ChangeKey, key) {
			n = m.s.normalize(n)
			out := &Materialize{P: *n.Props(), In: n, SinkKey: key}
			out.P.Mode, out.P.ChangeKey, out.P.OpID = ModeUpsert, key, 0
			m.s.edges[out] = m.s.edges[n]
			n = out
		}
	}
	sink := &Sink{P: *n.Props(), In: n, Rel: m.rel, Map: m.cols, Rowtime: -1}
	sink.P.OpID = 0
	if t := m.rel.TimestampColumn; t >= 0 && m.rel.Columns[t].Type.Kind != types.Text {
		sink.Rowtime = m.cols[t]
	}
	m.root = sink
	return nil
}

func (m *maker) finish(name string) *Persistent {
	m.st.finishParams()
	finishStream(m.root)
	out := &Persistent{Sink: m.root.(*Sink), Reads: m.st.reads}
	fragment(out, m.root, name, m.s.partitions, m.st.p.replicas())
	return out
}
