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
	rowID := rel.Ordinary && rel.Columns[rel.Key[0]].Hidden
	if err := m.plan(stmt.Query, rowID); err != nil {
		return nil, err
	}
	if err := m.refuseLoop(stmt); err != nil {
		return nil, err
	}
	if err := m.mapColumns(stmt); err != nil {
		return nil, err
	}
	if rowID {
		m.fillRowID(name)
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
	n, err := m.st.bindUnbounded(bare)
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
	n = unnest(n)
	if err := m.st.refuseSubqueries(n); err != nil {
		return err
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
		if _, named := e.(*sql.ColumnRef); named && ord < 0 {
			return sqlerr.New(sqlerr.UndefinedColumn, "column %q of PARTITION BY is not selected", name).
				WithHint("The stream's key is made of its columns: add it to the SELECT list.").At(e.Offset())
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
		if m.rel.Ordinary || !placedWithin(n, key) { // else one task has all rows of a key, wherever the key's partition is
			n = m.s.placeBy(n, key)
		}
		if n.Props().Mode != ModeAppend && !subset(n.Props().ChangeKey, key) {
			n = m.s.normalize(n)
			out := &Materialize{P: *n.Props(), In: n, SinkKey: key}
			out.P.Mode, out.P.ChangeKey, out.P.OpID = ModeUpsert, key, 0
			m.s.edges[out] = m.s.edges[n]
			n = out
		} else if subset(key, n.Props().ChangeKey) {
			withoutOldRows(n)
		}
		if m.rel.TTLMs > 0 && !m.rel.Ordinary { // an ordinary table's owner sees to it
			out := &Expire{P: *n.Props(), In: n, Rel: m.rel, Key: key, Time: -1}
			if t := m.rel.TimestampColumn; t >= 0 {
				out.Time = m.cols[t]
			}
			out.P.Mode, out.P.ChangeKey, out.P.OpID = ModeUpsert, key, 0
			m.s.edges[out] = m.s.edges[n]
			n = out
		}
	}
	sink := &Sink{P: *n.Props(), In: n, Rel: m.rel, Map: m.cols, Rowtime: -1}
	sink.P.OpID = 0
	if t := m.rel.TimestampColumn; t >= 0 { // readers take rowtime from other kinds of column as they decode
		if k := m.rel.Columns[t].Type.Kind; k == types.Timestamp || k == types.TimestampTZ {
			sink.Rowtime = m.cols[t]
		}
	}
	m.root = sink
	return nil
}

// withoutOldRows tells an aggregate whose rows reach the sink as they are that nobody asks for the rows it replaces: the sink keeps the last of each
// key. A filter asks for them, or it would delete rows that never passed.
func withoutOldRows(n Node) {
	if n.Props().Mode != ModeRetract {
		return
	}
	switch x := n.(type) {
	case *Project:
		withoutOldRows(x.In)
		x.P.Mode = x.In.Props().Mode
	case *Aggregate:
		x.P.Mode = ModeUpsert
	}
}

func (m *maker) finish(name string) *Persistent {
	m.st.finishParams()
	finishStream(m.root)
	if !m.rel.Ordinary {
		passHeaders(m.root.(*Sink).In)
	}
	out := &Persistent{Sink: m.root.(*Sink), Reads: m.st.reads, Each: m.st.p.Settings.Each}
	fragment(out, m.root, name, m.s.partitions, m.st.p.replicas())
	return out
}
