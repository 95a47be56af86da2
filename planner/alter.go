package planner

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// Alter returns rel as one action of ALTER makes it. Only actions on columns, constraints and ttl are the planner's; names, owners and the other
// options are the catalog's. rel itself stays as it is: running queries go on reading what they were planned with. Whether rows that are
// there satisfy a new rule is for the caller to see to, as is what else reads a dropped column.
func (p *Planner) Alter(ctx context.Context, rel *Relation, a *sql.AlterAction) (*Relation, error) {
	next := *rel
	next.Columns, next.Checks = slices.Clone(rel.Columns), slices.Clone(rel.Checks)
	x := &alterer{st: p.begin(ctx, nil), rel: &next, a: a}
	if err := x.checkKind(); err != nil {
		return nil, err
	}
	apply, ok := map[sql.AlterOp]func() error{
		sql.AddColumn: x.addColumn, sql.DropColumn: x.dropColumn, sql.RenameColumn: x.renameColumn,
		sql.SetDefault: x.setDefault, sql.DropDefault: x.dropDefault, sql.SetNotNull: x.setNotNull, sql.DropNotNull: x.dropNotNull,
		sql.SetOptions: x.setTTL, sql.ResetOptions: x.setTTL,
		sql.SetType: x.setType, sql.AddIdentity: x.addIdentity, sql.DropIdentity: x.dropIdentity, sql.AddConstraint: x.addConstraint, sql.DropConstraint: x.dropConstraint, sql.RenameConstraint: x.renameConstraint,
	}[a.Op]
	if !ok {
		return nil, sqlerr.New(sqlerr.InternalError, "not an action on columns")
	}
	return &next, apply()
}

// alterer applies one action to rel, a copy.
type alterer struct {
	st  *statement
	rel *Relation
	a   *sql.AlterAction
}

// checkKind refuses actions that the kind of relation does not have.
func (x *alterer) checkKind() error {
	if x.a.Op == sql.RenameColumn {
		return nil
	}
	switch {
	case x.rel.Kind == View:
		return sqlerr.New(sqlerr.WrongObjectType, "%q is a view: its columns are those of its query", x.rel.Name).
			WithHint("CREATE OR REPLACE VIEW gives it another query.").At(x.a.Offset())
	case x.rel.Query != 0:
		return sqlerr.New(sqlerr.WrongObjectType, "the columns of %q are those of the query that writes it", x.rel.Name).
			WithHint("CREATE OR REPLACE gives it another query; RENAME COLUMN works.").At(x.a.Offset())
	}
	return nil
}

// column finds the column that the action names.
func (x *alterer) column() (int, error) {
	i := x.rel.column(x.a.Name)
	if i < 0 || x.rel.Columns[i].Hidden {
		return -1, relationColumnError(x.rel, x.a.Name, x.a.Offset())
	}
	return i, nil
}

func (x *alterer) addColumn() error {
	def := x.a.Column
	if x.rel.column(def.Name) >= 0 {
		return sqlerr.New(sqlerr.DuplicateColumn, "column %q of relation %q already exists", def.Name, x.rel.Name).At(def.Offset())
	}
	if def.PrimaryKey || def.Key {
		return sqlerr.New(sqlerr.FeatureNotSupported, "a column that is added cannot be part of the key").
			WithDetail("Reason: the rows that are there lie where their present key puts them.").
			WithHint("What works: CREATE TABLE ... with the new key, and INSERT INTO it SELECT from this one.").At(def.Offset())
	}
	if len(x.rel.Columns) >= maxColumns {
		return sqlerr.New(sqlerr.TooManyColumns, "a relation can have at most %d columns", maxColumns).At(def.Offset())
	}
	d := &definer{st: x.st, rel: x.rel}
	col, err := d.column(def)
	if err != nil {
		return err
	}
	col.Field = x.freeField(col.Name)
	x.rel.Columns = append(x.rel.Columns, *col)
	if err := d.columnChecks(def); err != nil {
		return err
	}
	if x.rel.Kind == Table && !x.rel.Ordinary { // the topic may have had the member all along
		x.rel.Generation++
	}
	return x.checkFormats(def.Offset())
}

// freeField is a name in records that no column of the relation has had before, "" if that is the column's own.
func (x *alterer) freeField(name string) string {
	if !x.rel.Ordinary {
		return "" // the topic is the truth
	}
	taken := func(field string) bool {
		return slices.ContainsFunc(x.rel.Columns, func(c Column) bool { return strings.EqualFold(c.FieldName(), field) })
	}
	if !taken(name) {
		return ""
	}
	for n := 2; ; n++ {
		if field := name + "_" + strconv.Itoa(n); !taken(field) {
			return field
		}
	}
}

// checkFormats refuses what the formats of the topic cannot hold.
func (x *alterer) checkFormats(pos int) error {
	values := valueColumns(x.rel)
	switch {
	case x.rel.ValueFormat == "kafka" && len(values) != 1, x.rel.ValueFormat == "none" && len(values) > 0:
		return sqlerr.New(sqlerr.InvalidTableDefinition, "value_format %s has no room for another column", x.rel.ValueFormat).
			WithHint("value_format json has.").At(pos)
	case !x.rel.WrapSingleValue && len(values) != 1:
		return sqlerr.New(sqlerr.InvalidTableDefinition, "%q is written with wrap_single_value = false, which is for one column", x.rel.Name).At(pos)
	}
	return nil
}

func (x *alterer) dropColumn() error {
	i, err := x.column()
	if err != nil {
		return err
	}
	c := &x.rel.Columns[i]
	switch {
	case contains(x.rel.Key, i):
		return sqlerr.New(sqlerr.FeatureNotSupported, "column %q is part of the key and cannot be dropped", c.Name).
			WithDetail("Reason: rows are told apart and placed by it.").
			WithHint("What works: CREATE TABLE ... with another key, and INSERT INTO it SELECT from this one.").At(x.a.Offset())
	case i == x.rel.TimestampColumn:
		return sqlerr.New(sqlerr.DependentObjectsStillExist, "cannot drop column %q because rowtime comes from it", c.Name).At(x.a.Offset())
	case x.rel.Watermark != nil && anyExpr(x.rel.Watermark, func(e Expr) bool { ref, ok := e.(*ColumnRef); return ok && ref.Ord == i }):
		return sqlerr.New(sqlerr.DependentObjectsStillExist, "cannot drop column %q because WATERMARK FOR reads it", c.Name).At(x.a.Offset())
	}
	x.rel.Checks = slices.DeleteFunc(x.rel.Checks, func(k Check) bool { return contains(k.Columns, i) })
	*c = Column{
		Name: "........dropped." + strconv.Itoa(i+1) + "........", Type: c.Type, Field: c.FieldName(), Hidden: true, Dropped: true,
	}
	x.rel.Rules++
	return x.checkFormats(x.a.Offset())
}

func (x *alterer) renameColumn() error {
	i, err := x.column()
	if err != nil {
		return err
	}
	if x.rel.column(x.a.NewName) >= 0 {
		return sqlerr.New(sqlerr.DuplicateColumn, "column %q of relation %q already exists", x.a.NewName, x.rel.Name).At(x.a.Offset())
	}
	c := &x.rel.Columns[i]
	c.Field, c.Name = c.FieldName(), x.a.NewName
	if x.rel.Kind == View {
		x.rel.ViewColumns = nil
		for _, c := range x.rel.Columns {
			x.rel.ViewColumns = append(x.rel.ViewColumns, c.Name)
		}
	}
	return nil
}

func (x *alterer) setDefault() error {
	i, err := x.column()
	if err != nil {
		return err
	}
	if err := x.refuseIdentity(i); err != nil {
		return err
	}
	d := &definer{st: x.st, rel: x.rel}
	x.rel.Columns[i].Serial = NotSerial
	return d.setDefault(&x.rel.Columns[i], x.a.Expr)
}

func (x *alterer) dropDefault() error {
	i, err := x.column()
	if err != nil {
		return err
	}
	if err := x.refuseIdentity(i); err != nil {
		return err
	}
	c := &x.rel.Columns[i]
	c.Default, c.DefaultText, c.Serial = nil, "", 0
	return nil
}

func (x *alterer) refuseIdentity(i int) error {
	if c := &x.rel.Columns[i]; c.Serial.identity() {
		return sqlerr.New(sqlerr.SyntaxError, "column %q of relation %q is an identity column", c.Name, x.rel.Name).At(x.a.Offset())
	}
	return nil
}

// addIdentity makes a column of a table take its values from a sequence. PostgreSQL's conditions: NOT NULL, and no default.
func (x *alterer) addIdentity() error {
	i, err := x.column()
	if err != nil {
		return err
	}
	c := &x.rel.Columns[i]
	refuse := func(code sqlerr.Code, format string, args ...any) error {
		return sqlerr.New(code, format, args...).At(x.a.Offset())
	}
	switch {
	case !x.rel.Ordinary:
		return refuse(sqlerr.FeatureNotSupported, "an identity column in %q, which is not an ordinary table, is not supported", x.rel.Name)
	case c.Serial.identity():
		return refuse(sqlerr.ObjectNotInPrerequisiteState, "column %q of relation %q is already an identity column", c.Name, x.rel.Name)
	case c.Default != nil || c.Serial != NotSerial:
		return refuse(sqlerr.ObjectNotInPrerequisiteState, "column %q of relation %q already has a default value", c.Name, x.rel.Name)
	case !c.NotNull:
		return refuse(sqlerr.ObjectNotInPrerequisiteState, "column %q of relation %q must be declared NOT NULL before identity can be added", c.Name, x.rel.Name)
	}
	kind, err := identityKind(x.a.Column, c.Type)
	c.Serial = kind
	return err
}

// dropIdentity leaves the column its values and no default.
func (x *alterer) dropIdentity() error {
	i, err := x.column()
	if err != nil {
		return err
	}
	c := &x.rel.Columns[i]
	if !c.Serial.identity() {
		return sqlerr.New(sqlerr.ObjectNotInPrerequisiteState, "column %q of relation %q is not an identity column", c.Name, x.rel.Name).At(x.a.Offset())
	}
	c.Default, c.Serial, c.Sequence = nil, NotSerial, 0
	return nil
}

func (x *alterer) setNotNull() error {
	i, err := x.column()
	if err != nil {
		return err
	}
	x.rel.Columns[i].NotNull = true
	x.rel.Rules++
	return nil
}

func (x *alterer) dropNotNull() error {
	i, err := x.column()
	if err != nil {
		return err
	}
	if err := x.refuseIdentity(i); err != nil {
		return err
	}
	primary := slices.ContainsFunc(x.rel.Indexes, func(ix Index) bool { return ix.Primary && contains(ix.Cols, i) })
	if (primary || contains(x.rel.Key, i)) && x.rel.Kind == Table {
		return sqlerr.New(sqlerr.InvalidTableDefinition, "column %q is in a primary key", x.a.Name).At(x.a.Offset())
	}
	x.rel.Columns[i].NotNull = false
	return nil
}

// setType changes a column's type where every value that is stored is a value of the new one as it is.
func (x *alterer) setType() error {
	i, err := x.column()
	if err != nil {
		return err
	}
	c := &x.rel.Columns[i]
	t, err := x.st.resolveType(x.a.Type)
	if err != nil {
		return err
	}
	if x.a.Expr != nil && !x.castsOnly(t) || !widens(c.Type, t) || contains(x.rel.Key, i) && t.Kind != c.Type.Kind {
		return sqlerr.New(sqlerr.FeatureNotSupported, "the type of column %q cannot be changed from %s to %s", c.Name, c.Type, t).
			WithDetail("Reason: the values that are there stay as they are written; only a wider type of the same form reads them.").
			WithHint("What works: ADD COLUMN of the new type, UPDATE, DROP COLUMN of the old one, RENAME COLUMN.").At(x.a.Offset())
	}
	c.Type = t
	if c.Default != nil {
		b := x.st.binder()
		if c.Default, err = b.assign(c.Default, c, x.a.Pos); err != nil {
			return err
		}
		c.Default = x.st.p.foldExpr(c.Default)
	}
	x.rel.Rules++
	return nil
}

// castsOnly reports whether USING says no more than the new type does: c::t, as migration tools write it.
func (x *alterer) castsOnly(t types.Type) bool {
	cast, ok := x.a.Expr.(*sql.Cast)
	if !ok {
		return false
	}
	ref, ok := cast.X.(*sql.ColumnRef)
	if !ok || len(ref.Parts) != 1 || ref.Parts[0] != x.a.Name {
		return false
	}
	to, err := x.st.resolveType(cast.Type)
	return err == nil && to.Equal(t) && to.Mod == t.Mod
}

// widens reports whether every value of type from, as it is stored, is one of type to.
func widens(from, to types.Type) bool {
	if from.Equal(to) && from.Mod == to.Mod {
		return true
	}
	rank := map[types.Kind]int{types.Int2: 1, types.Int4: 2, types.Int8: 3}
	text := func(t types.Type) bool { return t.Kind == types.Text || t.Kind == types.Varchar }
	switch {
	case rank[from.Kind] > 0:
		return rank[to.Kind] >= rank[from.Kind]
	case text(from) && text(to):
		return to.Mod < 0 || from.Mod >= 0 && to.Mod >= from.Mod
	case from.Kind == types.Numeric && to.Kind == types.Numeric:
		return to.Mod < 0
	}
	return false
}

func (x *alterer) addConstraint() error {
	c := x.a.Constraint
	if c.Kind != sql.CheckConstraint {
		return refuseConstraint(c.Kind, c.Pos)
	}
	d := &definer{st: x.st, rel: x.rel}
	x.rel.Rules++
	return d.check(c.Name, "", c.Check)
}

func (x *alterer) dropConstraint() error {
	for i, k := range x.rel.Checks {
		if k.Name == x.a.Name {
			x.rel.Checks = slices.Delete(x.rel.Checks, i, i+1)
			return nil
		}
	}
	return sqlerr.New(sqlerr.UndefinedObject, "constraint %q of relation %q does not exist", x.a.Name, x.rel.Name).At(x.a.Offset())
}

func (x *alterer) renameConstraint() error {
	for i := range x.rel.Checks {
		if x.rel.Checks[i].Name != x.a.Name {
			continue
		}
		if x.rel.hasCheck(x.a.NewName) {
			return sqlerr.New(sqlerr.DuplicateObject, "constraint %q for relation %q already exists", x.a.NewName, x.rel.Name).At(x.a.Offset())
		}
		x.rel.Checks[i].Name = x.a.NewName
		return nil
	}
	if x.a.Name == x.rel.Name+"_pkey" && x.rel.HasPrimaryKey() {
		return sqlerr.New(sqlerr.FeatureNotSupported, "the primary key of CREATE TABLE cannot be renamed: it has its name from the table").At(x.a.Offset())
	}
	return sqlerr.New(sqlerr.UndefinedObject, "constraint %q for table %q does not exist", x.a.Name, x.rel.Name).At(x.a.Offset())
}

// IsVolatile reports whether a default gives every row a value of its own.
func IsVolatile(e Expr) bool { return e != nil && pinned(e) }

// UsesColumn reports whether a query reads column ord of a relation.
func (q *Query) UsesColumn(oid uint32, ord int) bool { return usesColumn(q.Root, oid, ord) }

// UsesColumn reports whether a persistent query reads or writes column ord of a relation.
func (p *Persistent) UsesColumn(oid uint32, ord int) bool {
	for _, f := range p.Fragments {
		if usesColumn(f.Root, oid, ord) {
			return true
		}
	}
	return p.Sink.Rel.OID == oid && p.SinkTopic == nil && ord < len(p.Sink.Map) && p.Sink.Map[ord] >= 0
}

func usesColumn(n Node, oid uint32, ord int) bool {
	used := false
	visitNodes(n, func(n Node) {
		if s, ok := n.(*Scan); ok && s.Rel.OID == oid {
			used = used || contains(s.Cols, ord)
		}
	})
	return used
}
