package engine

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/replication/metadata"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// An index is an object of the catalog, for its name and OID, and an entry in the definition of its table, which says what it is.

// indexOf is the payload of an index.
type indexOf struct {
	Table uint32 `json:"table"`
}

// indexDefinition is an index in the definition of its table.
type indexDefinition struct {
	OID        uint32 `json:"oid"`
	Columns    []int  `json:"columns"` // ordinals
	Unique     bool   `json:"unique,omitempty"`
	Constraint bool   `json:"constraint,omitempty"`
	Primary    bool   `json:"primary,omitempty"`
}

// setIndexes gives a relation the indexes of its definition, by the names that they have now.
func setIndexes(img *metadata.Image, rel *planner.Relation, def definition) {
	rel.Indexes = nil
	for _, x := range def.Indexes {
		o, ok := img.Object(metadata.OID(x.OID))
		if !ok {
			continue
		}
		rel.Indexes = append(rel.Indexes, planner.Index{OID: x.OID, Name: o.Name, Cols: x.Columns, Unique: x.Unique, Constraint: x.Constraint, Primary: x.Primary})
	}
	rel.Rules += def.IndexRules
}

// indexSpec is an index to be made.
type indexSpec struct {
	name               string // "" for one to be chosen
	cols               []int
	unique, constraint bool
	primary            bool
}

// addIndex puts an index of a table into the batch and the table's definition, which the caller writes.
func (s *session) addIndex(ctx context.Context, d *ddl, rel *planner.Relation, table metadata.Object, def *definition, spec indexSpec) (*metadata.Object, error) {
	if len(def.Indexes) >= maxIndexes {
		return nil, sqlerr.New(sqlerr.ProgramLimitExceeded, "%q has %d indexes", rel.Name, maxIndexes).WithHint("DROP those that are not needed.")
	}
	name := spec.name
	if name == "" {
		parts := []string{table.Name}
		for _, ord := range spec.cols {
			parts = append(parts, rel.Columns[ord].Name)
		}
		word := "idx"
		if spec.constraint {
			word = "key"
		}
		name = freeName(d, table.Schema, strings.Join(append(parts, word), "_"))
	} else if _, taken := d.img.ObjectByName(spaceRelation, table.Schema, name); taken || d.names[table.Schema+"."+name] {
		return nil, sqlerr.New(sqlerr.DuplicateTable, "relation %q already exists", name)
	}
	oid, err := s.newOIDs(ctx, table.Schema, 1)
	if err != nil {
		return nil, err
	}
	o := metadata.Object{OID: oid, Kind: kindIndex, Space: spaceRelation, Schema: table.Schema, Name: name, Owner: table.Owner, DependsOn: []metadata.OID{table.OID}}
	if o.Payload, err = json.Marshal(indexOf{Table: uint32(table.OID)}); err != nil {
		return nil, err
	}
	d.batch.PutObject(o)
	if !isTemp(oid) {
		d.made = append(d.made, oid)
	}
	def.Indexes = append(def.Indexes, indexDefinition{OID: uint32(oid), Columns: spec.cols, Unique: spec.unique, Constraint: spec.constraint, Primary: spec.primary})
	def.IndexRules++
	return &o, nil
}

// maxIndexes bounds the indexes of a table: each is written with every row.
const maxIndexes = 64

// addUniques makes the indexes of the UNIQUE constraints of a new table.
func (s *session) addUniques(ctx context.Context, d *ddl, rel *planner.Relation, table metadata.Object, def *definition) error {
	for _, u := range rel.Uniques {
		if _, err := s.addIndex(ctx, d, rel, table, def, indexSpec{name: u.Name, cols: u.Cols, unique: true, constraint: true}); err != nil {
			return err
		}
	}
	return nil
}

// createIndex runs CREATE INDEX.
func (s *session) createIndex(ctx context.Context, q *sql.CreateIndex) (string, error) {
	const tag = "CREATE INDEX"
	if err := s.checkDDL(tag); err != nil {
		return "", err
	}
	t, err := s.indexedTable(ctx, q.Table)
	if err != nil {
		return "", err
	}
	spec, err := indexColumns(t.rel, q)
	if err != nil {
		return "", err
	}
	if q.Name != nil {
		spec.name = q.Name.Object()
		if _, ok := t.cat.img.ObjectByName(spaceRelation, t.o.Schema, spec.name); ok && q.IfNotExists {
			s.notice(sqlerr.DuplicateTable, "relation %q already exists, skipping", spec.name)
			return tag, nil
		}
	}
	d := s.beginDDL()
	if err := s.indexTable(ctx, d, t, spec); err != nil {
		d.cancel()
		return "", err
	}
	return tag, d.end(ctx)
}

// indexTable adds an index to a table that is there, whose rows must not break it.
func (s *session) indexTable(ctx context.Context, d *ddl, t *indexedTable, spec indexSpec) error {
	o, err := s.addIndex(ctx, d, t.rel, *t.o, &t.def, spec)
	if err != nil {
		return err
	}
	if spec.unique {
		if err := t.checkDistinct(ctx, o.Name, spec.cols); err != nil {
			return err
		}
	}
	next := *t.o
	if next.Payload, err = json.Marshal(t.def); err != nil {
		return err
	}
	d.batch.PutObject(next)
	d.after = s.indexBuilt(t, o, spec)
	return nil
}

// indexBuilt is what comes after an index was made durable: to wait until its entries are complete. Rows that another session has committed since they were
// looked at may break a unique index, which then goes again.
func (s *session) indexBuilt(t *indexedTable, o *metadata.Object, spec indexSpec) func(context.Context) error {
	if isTemp(t.o.OID) {
		return nil
	}
	return func(ctx context.Context) error {
		table, ok := s.e.meta.Image().Object(t.o.OID)
		if !ok {
			return nil
		}
		rel, err := s.e.relation(ctx, s.e.meta.Image(), table)
		if err != nil {
			return err
		}
		if err := s.e.tables.kept.WaitIndexed(ctx, rel, uint32(o.OID)); err != nil || !spec.unique {
			return cause(ctx, err)
		}
		now := &indexedTable{s: s, cat: s.catalog(), o: table, rel: rel}
		broken := now.checkDistinct(ctx, o.Name, spec.cols)
		if broken == nil {
			return nil
		}
		if now.def, err = relationDef(table); err != nil {
			return err
		}
		b := s.e.meta.NewBatch()
		if err := now.removeIndex(b, uint32(o.OID)); err != nil {
			return err
		}
		if _, err := s.e.apply(ctx, b); err != nil {
			return err
		}
		return broken
	}
}

// indexedTable is a table that gets or loses an index.
type indexedTable struct {
	s   *session
	cat *catalog
	o   *metadata.Object
	rel *planner.Relation
	def definition
}

func (s *session) indexedTable(ctx context.Context, name *sql.Name) (*indexedTable, error) {
	t := &indexedTable{s: s, cat: s.catalog()}
	var err error
	if t.o, err = t.cat.object(name); err != nil {
		return nil, err
	}
	if err := s.checkOwner(t.o); err != nil {
		return nil, err
	}
	if t.rel, err = s.e.relation(ctx, t.cat.img, t.o); err != nil {
		return nil, err
	}
	if t.rel.Kind != planner.Table {
		return nil, sqlerr.New(sqlerr.WrongObjectType, "cannot create an index on %q: it is %s", t.rel.Name, article(kindWord(t.o.Kind))).
			WithHint("What works: tables and results of queries that are tables.").At(name.Offset())
	}
	t.def, err = relationDef(t.o)
	return t, err
}

// indexColumns says what CREATE INDEX asks for.
func indexColumns(rel *planner.Relation, q *sql.CreateIndex) (indexSpec, error) {
	spec := indexSpec{unique: q.Unique}
	refuse := func(what, hint string, pos sql.Pos) (indexSpec, error) {
		return spec, sqlerr.New(sqlerr.FeatureNotSupported, "%s is not supported", what).WithHint("%s", hint).At(pos.Offset())
	}
	switch {
	case q.Method != "" && q.Method != "btree" && q.Method != "hash":
		return refuse("the index method "+q.Method, "What works: btree, which is the default.", q.Pos)
	case q.Where != nil:
		return refuse("an index of some rows", "Leave WHERE out.", q.Pos)
	case len(q.Include) > 0:
		return refuse("INCLUDE", "The row is read after the index.", q.Pos)
	case len(q.Options) > 0:
		return refuse("the option "+q.Options[0].Name+" of an index", "Leave WITH out.", q.Options[0].Pos)
	case q.Unique && !rel.Ordinary:
		return refuse("a unique index on "+rel.Name, "Others write its rows; what works is an ordinary table, one without WITH (topic).", q.Pos)
	}
	var names []string
	for _, k := range q.Keys {
		ref, ok := k.Expr.(*sql.ColumnRef)
		if !ok || len(ref.Parts) != 1 {
			return refuse("an index over an expression", "What works: columns.", k.Pos)
		}
		names = append(names, ref.Parts[0])
	}
	var err error
	spec.cols, err = planner.IndexColumns(rel, names, q.Pos)
	return spec, err
}

// checkDistinct refuses a unique index that two rows break, or that a continuous query could.
func (t *indexedTable) checkDistinct(ctx context.Context, index string, cols []int) error {
	if q := t.s.e.feedersOf(t.s.e.meta.Image(), t.rel.OID); len(q) > 0 {
		return sqlerr.New(sqlerr.FeatureNotSupported, "a unique index on %q is not supported: a continuous query writes it", t.rel.Name).
			WithDetail("Its rows replace those of the same primary key only.").WithHint("TERMINATE the query, or CREATE INDEX without UNIQUE.")
	}
	var names, notNull []string
	for _, ord := range cols {
		name := sql.QuoteIdent(t.rel.Columns[ord].Name)
		names, notNull = append(names, name), append(notNull, name+" IS NOT NULL")
	}
	list := strings.Join(names, ", ")
	row, err := t.s.firstRow(ctx, t.cat, "SELECT "+list+" FROM "+sql.String(&sql.Name{Parts: []string{t.o.Schema, t.o.Name}})+
		" WHERE "+strings.Join(notNull, " AND ")+" GROUP BY "+list+" HAVING count(*) > 1 LIMIT 1")
	if err != nil || row == nil {
		return err
	}
	values := make([]string, len(row))
	for i, d := range row {
		names[i], values[i] = t.rel.Columns[cols[i]].Name, types.FormatText(t.rel.Columns[cols[i]].Type, d, t.s.text())
	}
	e := sqlerr.New(sqlerr.UniqueViolation, "could not create unique index %q", index).
		WithDetail("Key (%s)=(%s) is duplicated.", strings.Join(names, ", "), strings.Join(values, ", "))
	e.Schema, e.Table, e.Constraint = t.rel.Schema, t.rel.Name, index
	return e
}

// firstRow runs a query and returns its first row, nil if there is none.
func (s *session) firstRow(ctx context.Context, cat *catalog, query string) ([]types.Datum, error) {
	parsed, err := sql.ParseOne(query, sql.Options{})
	if err != nil {
		return nil, err
	}
	plan, err := s.ownPlanner(cat).PlanQuery(ctx, parsed.Statement.(*sql.Query), nil)
	if err != nil {
		return nil, err
	}
	r, err := s.openPull(ctx, plan, nil, false)
	if err != nil {
		return nil, err
	}
	defer r.close()
	b, _, err := r.next(ctx, true)
	if err != nil || b == nil || b.Len() == 0 {
		return nil, err
	}
	return b.Row(0), nil
}

// removeIndex takes an index out of the catalog and out of its table.
func (t *indexedTable) removeIndex(b *metadata.Batch, oid uint32) error {
	t.def.dropIndex(oid)
	next := *t.o
	var err error
	if next.Payload, err = json.Marshal(t.def); err != nil {
		return err
	}
	b.PutObject(next)
	if o, ok := t.cat.img.Object(metadata.OID(oid)); ok {
		b.DeleteObject(o.OID, o.Version)
	}
	return nil
}

func (d *definition) dropIndex(oid uint32) {
	d.Indexes = slices.DeleteFunc(slices.Clone(d.Indexes), func(x indexDefinition) bool { return x.OID == oid })
	d.IndexRules++
}

// dropIndexes runs DROP INDEX.
func (s *session) dropIndexes(ctx context.Context, q *sql.Drop) error {
	for _, name := range q.Names {
		if err := s.dropIndex(ctx, q, name); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) dropIndex(ctx context.Context, q *sql.Drop, name *sql.Name) error {
	cat := s.catalog()
	o, err := cat.indexObject(name)
	if err != nil {
		if s.skipMissingIndex(err, q.IfExists, name) {
			return nil
		}
		return err
	}
	t, err := s.tableOfIndex(ctx, cat, o)
	if err != nil {
		return err
	}
	if ix := t.rel.Index(uint32(o.OID)); ix != nil && ix.Constraint {
		return sqlerr.New(sqlerr.DependentObjectsStillExist, "cannot drop index %s because constraint %s on table %s requires it", o.Name, o.Name, t.rel.Name).
			WithHint("You can drop constraint %s on table %s instead.", o.Name, t.rel.Name)
	}
	d := s.beginDDL()
	if err := t.removeIndex(d.batch, uint32(o.OID)); err != nil {
		d.cancel()
		return err
	}
	return d.end(ctx)
}

func (s *session) skipMissingIndex(err error, ifExists bool, name *sql.Name) bool {
	if !ifExists || sqlerr.CodeOf(err) != sqlerr.UndefinedObject {
		return false
	}
	s.notice(sqlerr.SuccessfulCompletion, "index %q does not exist, skipping", name.Object())
	return true
}

// tableOfIndex is the table that an index is of, which the session's role must own.
func (s *session) tableOfIndex(ctx context.Context, cat *catalog, o *metadata.Object) (*indexedTable, error) {
	table, err := indexTable(o)
	if err != nil {
		return nil, err
	}
	t := &indexedTable{s: s, cat: cat}
	var ok bool
	if t.o, ok = cat.img.Object(metadata.OID(table)); !ok {
		return nil, sqlerr.New(sqlerr.UndefinedTable, "the table of index %q was dropped", o.Name)
	}
	if err := s.checkOwner(t.o); err != nil {
		return nil, err
	}
	if t.rel, err = s.e.relation(ctx, cat.img, t.o); err != nil {
		return nil, err
	}
	t.def, err = relationDef(t.o)
	return t, err
}

func indexTable(o *metadata.Object) (uint32, error) {
	var x indexOf
	err := json.Unmarshal(o.Payload, &x)
	return x.Table, err
}

// indexObject finds an index by name.
func (c *catalog) indexObject(name *sql.Name) (*metadata.Object, error) {
	o, err := c.anyObject(name)
	switch {
	case err != nil:
		return nil, sqlerr.New(sqlerr.UndefinedObject, "index %q does not exist", name.Object()).At(name.Offset())
	case o.Kind != kindIndex:
		return nil, sqlerr.New(sqlerr.WrongObjectType, "%q is not an index", o.Name).WithHint("Use DROP %s.", strings.ToUpper(kindWord(o.Kind))).At(name.Offset())
	}
	return o, nil
}

// alterIndex runs ALTER INDEX ... RENAME TO: its table is told, for it shows the name.
func (s *session) alterIndex(ctx context.Context, q *sql.Alter) error {
	cat := s.catalog()
	o, err := cat.indexObject(q.Name)
	if err != nil {
		if s.skipMissingIndex(err, q.IfExists, q.Name) {
			return nil
		}
		return err
	}
	t, err := s.tableOfIndex(ctx, cat, o)
	if err != nil {
		return err
	}
	d := s.beginDDL()
	next := *o
	for _, act := range q.Actions {
		if act.Op != sql.RenameTo {
			err = sqlerr.New(sqlerr.FeatureNotSupported, "this change of an index is not supported").WithHint("What works: RENAME TO.").At(act.Offset())
		} else {
			err = s.alterIdentity(d, cat, &next, act)
		}
		if err != nil {
			return err
		}
	}
	d.batch.PutObject(next)
	d.batch.PutObject(*t.o)
	return d.end(ctx)
}
