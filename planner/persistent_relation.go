package planner

import (
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

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
		Placement: true, TimestampColumn: -1, IdleTimeout: m.st.p.idleTimeout(), MaxFuture: m.st.p.Settings.MaxFuture, KSQL: m.st.p.Settings.KSQL,
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
	if own := m.windowed(); own != nil && len(m.spec.PrimaryKey) == 0 && len(m.rel.Key) > 0 {
		m.rel.Window = own.Window
	}
	if err := m.retention(); err != nil {
		return err
	}
	if err := setLifetimes(m.rel, m.opts); err != nil {
		return err
	}
	if m.opts.Timestamp != "" {
		if m.rel.TimestampColumn = m.st.optionColumn(m.rel, m.opts.Timestamp); m.rel.TimestampColumn < 0 {
			return sqlerr.New(sqlerr.UndefinedColumn, "column %q does not exist", m.opts.Timestamp).At(m.opts.given["timestamp"].Offset())
		}
		m.rel.TimestampFormat = m.opts.TimestampFormat
		if err := checkTimestamp(&m.rel.Columns[m.rel.TimestampColumn], m.opts, m.rel.KSQL, m.opts.given["timestamp"].Offset()); err != nil {
			return err
		}
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
	if err := m.retention(); err != nil {
		return err
	}
	if m.stream() && m.root.Props().Mode != ModeAppend {
		return sqlerr.New(sqlerr.FeatureNotSupported, "a stream cannot take the rows of a query that updates and deletes").
			WithHint("What works: INSERT INTO a table, or EMIT FINAL with a window.").At(stmt.Offset())
	}
	return nil
}

// refuseLoop refuses a query that would write into a table that it reads: each of its rows would come back to it.
func (m *maker) refuseLoop(stmt *sql.Insert) error {
	if !m.rel.Ordinary {
		return nil
	}
	for _, r := range m.st.reads {
		if r.OID == m.rel.OID {
			return sqlerr.New(sqlerr.FeatureNotSupported, "a continuous INSERT cannot read the table that it writes, %q", m.rel.Name).
				WithDetail("Reason: every row that it writes would be read again.").
				WithHint("What works: an INSERT without EMIT, which runs once, or another table.").At(stmt.Offset())
		}
	}
	return nil
}

// fillRowID gives rows for a table without a primary key their hidden one. It is made of what identifies the row and of the query's name, so the
// same row has the same key after a restart, and rows of different queries have different ones.
func (m *maker) fillRowID(query string) {
	n := m.root
	ident := n.Props().ChangeKey
	if n.Props().Mode == ModeAppend {
		ident = m.s.edges[n].ident
	}
	text := types.Of(types.Text)
	parts := append([]Expr{&Const{text, types.BytesDatum(query)}}, refs(n, ident)...)
	id := &Call{Func: findFunc("jsonb_build_array(any...)"), Args: parts, Typ: types.Of(types.JSONB)}
	sum := &Call{Func: findFunc("md5(text)"), Args: []Expr{&Cast{Arg: id, To: text, Explicit: true}}, Typ: text}
	key := &Cast{Arg: sum, To: types.Of(types.UUID), Explicit: true}
	at := m.rel.Key[0]
	out := newProject(n, append(identity(n), key), append(append([]Col(nil), n.Props().Cols...), Col{Name: m.rel.Columns[at].Name, Type: key.To, Hidden: true}))
	out.P.Mode, out.P.PartitionKey = n.Props().Mode, n.Props().PartitionKey
	if out.P.Mode != ModeAppend {
		out.P.ChangeKey = []int{len(out.Exprs) - 1}
	}
	m.s.edges[out] = m.s.edges[n]
	m.cols[at] = len(out.Exprs) - 1
	m.root = out
}
