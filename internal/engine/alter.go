package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/millracedb/millrace/exec/expr"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/replication/metadata"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// alter runs ALTER of relations, sequences, schemas and roles.
func (s *session) alter(ctx context.Context, q *sql.Alter) (string, error) {
	tag := "ALTER " + string(q.Kind)
	if err := s.checkDDL(tag); err != nil {
		return "", err
	}
	switch q.Kind {
	case sql.KindStream, sql.KindTable, sql.KindView, sql.KindMaterializedView:
		return tag, s.alterRelation(ctx, q)
	case sql.KindSequence:
		return tag, s.alterNamed(ctx, q, (*catalog).sequenceObject)
	case sql.KindIndex:
		return tag, s.alterIndex(ctx, q)
	case sql.KindType:
		return tag, s.alterType(ctx, q)
	case sql.KindSchema:
		return tag, s.alterSchema(ctx, q)
	case sql.KindRole:
		return tag, s.renameRole(ctx, q)
	}
	return "", sqlerr.New(sqlerr.FeatureNotSupported, "%s is not supported yet", tag).At(q.Offset())
}

// skipMissing tells IF EXISTS that the object is not there.
func (s *session) skipMissing(err error, ifExists bool, name *sql.Name) bool {
	if code := sqlerr.CodeOf(err); !ifExists || code != sqlerr.UndefinedTable && code != sqlerr.UndefinedObject {
		return false
	}
	s.notice(sqlerr.SuccessfulCompletion, "relation %q does not exist, skipping", name.Object())
	return true
}

// relationAlter is an ALTER of a relation in progress.
type relationAlter struct {
	s    *session
	d    *ddl
	cat  *catalog
	next metadata.Object
	def  definition
	rel  *planner.Relation
	// fill are the new columns whose default gives each row that is there a value of its own.
	fill []string
}

func (s *session) alterRelation(ctx context.Context, q *sql.Alter) error {
	cat := s.catalog()
	o, err := cat.anyObject(q.Name)
	if err != nil {
		if s.skipMissing(err, q.IfExists, q.Name) {
			return nil
		}
		return err
	}
	if !isRelation(o) { // as in PostgreSQL, ALTER TABLE takes what shares the name space for what they have in common
		return s.alterNamed(ctx, q, (*catalog).anyObject)
	}
	if err := checkAlterKind(q.Kind, o); err != nil {
		return err
	}
	if err := s.checkOwner(o); err != nil {
		return err
	}
	a := &relationAlter{s: s, cat: cat, next: *o}
	if a.def, err = relationDef(o); err != nil {
		return err
	}
	if a.rel, err = s.e.relation(ctx, cat.img, o); err != nil {
		return err
	}
	if a.fills(ctx, q) {
		s.begin().several = true // so that the rows that the statement changes come with the definition
	}
	a.d = s.beginDDL()
	for _, act := range q.Actions {
		if err := a.action(ctx, act); err != nil {
			a.d.cancel()
			return err
		}
	}
	a.moveIndexes()
	if a.next.Payload, err = json.Marshal(a.def); err != nil {
		return err
	}
	a.d.batch.PutObject(a.next)
	if a.d.after == nil && !a.rel.Ordinary && len(s.e.feedersOf(cat.img, uint32(o.OID))) > 0 {
		a.d.after = s.awaitEverywhere // tasks of continuous INSERTs keep to the new rules
	}
	if err := a.d.end(ctx); err != nil {
		return err
	}
	return a.fillColumns(ctx)
}

// checkAlterKind refuses the wrong word for a relation; TABLE is right for all but streams.
func checkAlterKind(k sql.ObjectKind, o *metadata.Object) error {
	if k == sql.KindTable && o.Kind != kindStream {
		return nil
	}
	return checkKind("ALTER", k, o)
}

// action runs one action.
func (a *relationAlter) action(ctx context.Context, act *sql.AlterAction) error {
	switch act.Op {
	case sql.RenameTo, sql.SetSchema, sql.OwnerTo:
		return a.s.alterIdentity(a.d, a.cat, &a.next, act)
	case sql.SetOptions, sql.ResetOptions:
		return a.options(ctx, act)
	case sql.AddColumn:
		return a.addColumn(ctx, act)
	case sql.DropColumn:
		return a.dropColumn(ctx, act)
	case sql.AddIdentity:
		return a.addIdentity(ctx, act)
	case sql.DropIdentity:
		return a.dropIdentity(ctx, act)
	}
	switch {
	case act.Op == sql.AddConstraint && act.Constraint.Kind == sql.UniqueConstraint:
		return a.addUnique(ctx, act.Constraint, false)
	case act.Op == sql.AddConstraint && act.Constraint.Kind == sql.PrimaryKeyConstraint && a.rel.Ordinary:
		return a.addPrimaryKey(ctx, act)
	case act.Op == sql.DropConstraint && a.dropUnique(act.Name):
		return nil
	case act.Op == sql.RenameConstraint && a.uniqueNamed(act.Name) != nil:
		return a.renameUnique(act)
	case act.Op == sql.ValidateConstraint && (a.hasConstraint(act.Name) || a.uniqueNamed(act.Name) != nil):
		return nil // they hold for all rows from the first
	case act.Op == sql.ValidateConstraint:
		return sqlerr.New(sqlerr.UndefinedObject, "constraint %q of relation %q does not exist", act.Name, a.rel.Name).At(act.Offset())
	}
	if act.Op == sql.DropConstraint && act.If && !a.hasConstraint(act.Name) {
		a.s.notice(sqlerr.SuccessfulCompletion, "constraint %q of relation %q does not exist, skipping", act.Name, a.rel.Name)
		return nil
	}
	next, err := a.plan(ctx, act)
	if err != nil {
		return err
	}
	if err := a.checkRows(ctx, act, next); err != nil {
		return err
	}
	if act.Op == sql.SetType {
		if err := a.checkUnread(ctx, act, "change the type of"); err != nil {
			return err
		}
		if err := a.checkUnindexed(act, next); err != nil {
			return err
		}
	}
	return a.add(act, next, nil)
}

// plan applies an action to the relation as it is now.
func (a *relationAlter) plan(ctx context.Context, act *sql.AlterAction) (*planner.Relation, error) {
	next, err := a.planner().Alter(ctx, a.rel, act)
	if err != nil {
		return nil, err
	}
	return next, setSequences(next, a.def)
}

// planner binds what the action says as it will be bound from the catalog, and notes the names in it.
func (a *relationAlter) planner() *planner.Planner {
	if a.def.Names == nil {
		a.def.Names = names{}
	}
	return a.s.e.storedPlanner(a.cat.img, a.s.definitionSettings(), a.def.Names, a.def.Names)
}

// add notes an action in the definition.
func (a *relationAlter) add(act *sql.AlterAction, next *planner.Relation, missing *string) error {
	stmt := &sql.Alter{Kind: sql.KindTable, Name: &sql.Name{Parts: []string{a.next.Name}}, Actions: []*sql.AlterAction{act}}
	a.def.Alters = append(a.def.Alters, alteration{Statement: sql.String(stmt), Settings: a.s.definitionSettings(), Missing: missing})
	a.rel, a.next.DependsOn = next, a.dependsOn()
	if len(a.def.Alters) > maxAlterations {
		return sqlerr.New(sqlerr.ProgramLimitExceeded, "%q was altered %d times", a.rel.Name, maxAlterations).
			WithHint("CREATE it anew and copy the rows.")
	}
	return nil
}

// maxAlterations bounds a definition, which must fit an entry of the metadata.
const maxAlterations = 2000

func (a *relationAlter) dependsOn() []metadata.OID { return a.def.Names.oids(a.next.OID) }

func (a *relationAlter) hasConstraint(name string) bool {
	for _, k := range a.rel.Checks {
		if k.Name == name {
			return true
		}
	}
	return false
}

// fills tells whether an action gives each row a value of its own. An action that does not bind is refused later.
func (a *relationAlter) fills(ctx context.Context, q *sql.Alter) bool {
	for _, act := range q.Actions {
		if act.Op != sql.AddColumn || !a.rel.Ordinary {
			continue
		}
		if next, err := a.planner().Alter(ctx, a.rel, act); err == nil {
			c := next.Columns[len(next.Columns)-1]
			return c.Serial != planner.NotSerial || planner.IsVolatile(c.Default)
		}
	}
	return false
}

func (a *relationAlter) addColumn(ctx context.Context, act *sql.AlterAction) error {
	if _, err := columnOrdinal(a.rel, act.Column.Name); err == nil && act.If {
		a.s.notice(sqlerr.DuplicateColumn, "column %q of relation %q already exists, skipping", act.Column.Name, a.rel.Name)
		return nil
	}
	next, err := a.plan(ctx, act)
	if err != nil {
		return err
	}
	ord := len(next.Columns) - 1
	col := &next.Columns[ord]
	if col.Serial != planner.NotSerial {
		if err := a.s.addSequences(ctx, a.d, next, []*sql.ColumnDef{act.Column}, ord, a.next, &a.def); err != nil {
			return err
		}
		if err := setSequences(next, a.def); err != nil {
			return err
		}
	}
	var missing *string
	if a.rel.Ordinary {
		if missing, err = a.missing(ctx, col); err != nil {
			return err
		}
	}
	if err := a.checkRows(ctx, act, next); err != nil {
		return err
	}
	if err := a.add(act, next, missing); err != nil || !act.Column.Unique {
		return err
	}
	return a.addUniqueColumn(ctx, act.Column, missing)
}

// missing is what the rows that are there have in a new column: its default as of now. A volatile default gives each row a value of its own.
func (a *relationAlter) missing(ctx context.Context, col *planner.Column) (*string, error) {
	if col.Default == nil {
		return nil, nil
	}
	if planner.IsVolatile(col.Default) {
		a.fill = append(a.fill, col.Name)
		return nil, nil
	}
	d, err := expr.Eval(col.Default, a.s.env(ctx, nil))
	if err != nil || d.Null {
		return nil, err
	}
	text := types.FormatText(col.Type, d, nil)
	col.Missing = &d
	return &text, nil
}

// fillColumns gives the rows that are there the values of new columns with a volatile default.
func (a *relationAlter) fillColumns(ctx context.Context) error {
	if len(a.fill) == 0 {
		return nil
	}
	upd := &sql.Update{Table: &sql.Table{Name: &sql.Name{Parts: []string{a.next.Schema, a.next.Name}}}}
	for _, c := range a.fill {
		upd.Set = append(upd.Set, &sql.Assignment{Columns: []string{c}, Value: &sql.Default{}})
	}
	dml, err := a.s.planner(a.s.catalog()).PlanUpdate(ctx, upd, nil)
	if err != nil {
		return err
	}
	_, err = a.s.change(ctx, &portal{s: a.s, st: &statement{dml: dml}})
	return err
}

// checkRows refuses a rule that a row breaks.
func (a *relationAlter) checkRows(ctx context.Context, act *sql.AlterAction, next *planner.Relation) error {
	if !a.rel.Ordinary {
		return nil // the rule is for what SQL writes
	}
	name := sql.String(&sql.Name{Parts: []string{a.cat.schemaOf(a.next), a.nameNow()}})
	switch act.Op {
	case sql.AddColumn:
		c := next.Columns[len(next.Columns)-1]
		if !c.NotNull || c.Missing != nil || len(a.fill) > 0 && a.fill[len(a.fill)-1] == c.Name {
			return a.checkNewConstraint(ctx, act, next, name)
		}
		if any, err := a.anyRow(ctx, "SELECT 1 FROM "+name+" LIMIT 1"); err != nil || !any {
			return err
		}
		return nullsIn(a.rel, c.Name)
	case sql.SetNotNull:
		column := sql.QuoteIdent(act.Name)
		if any, err := a.anyRow(ctx, fmt.Sprintf("SELECT 1 FROM %s WHERE %s IS NULL LIMIT 1", name, column)); err != nil || !any {
			return err
		}
		return nullsIn(a.rel, act.Name)
	case sql.AddConstraint:
		k := next.Checks[len(next.Checks)-1]
		return a.checkBroken(ctx, k, fmt.Sprintf("SELECT 1 FROM %s WHERE NOT (%s) LIMIT 1", name, k.Text))
	}
	return nil
}

// checkNewConstraint checks the CHECKs of a new column with the value that the rows have in it.
func (a *relationAlter) checkNewConstraint(ctx context.Context, act *sql.AlterAction, next *planner.Relation, name string) error {
	checks := next.Checks[len(next.Checks)-len(act.Column.Checks):]
	c := next.Columns[len(next.Columns)-1]
	value := "NULL"
	if c.Missing != nil {
		value = quoteLiteral(types.FormatText(c.Type, *c.Missing, nil))
	}
	for _, k := range checks {
		err := a.checkBroken(ctx, k, fmt.Sprintf("SELECT 1 FROM (SELECT *, %s::%s AS %s FROM %s) %s WHERE NOT (%s) LIMIT 1",
			value, c.Type, sql.QuoteIdent(c.Name), name, sql.QuoteIdent(a.rel.Name), k.Text))
		if err != nil {
			return err
		}
	}
	return nil
}

// checkBroken refuses a constraint that a row breaks, which the query finds.
func (a *relationAlter) checkBroken(ctx context.Context, k planner.Check, query string) error {
	any, err := a.anyRow(ctx, query)
	if err != nil || !any {
		return err
	}
	e := sqlerr.New(sqlerr.CheckViolation, "check constraint %q of relation %q is violated by some row", k.Name, a.rel.Name)
	e.Schema, e.Table, e.Constraint = a.rel.Schema, a.rel.Name, k.Name
	return e
}

func nullsIn(rel *planner.Relation, column string) error {
	e := sqlerr.New(sqlerr.NotNullViolation, "column %q of relation %q contains null values", column, rel.Name)
	e.Schema, e.Table, e.Column = rel.Schema, rel.Name, column
	return e
}

// anyRow tells whether a query over the relation as it was before the statement has a row.
func (a *relationAlter) anyRow(ctx context.Context, query string) (bool, error) {
	parsed, err := sql.ParseOne(query, sql.Options{})
	if err != nil {
		return false, err
	}
	plan, err := a.s.ownPlanner(a.cat).PlanQuery(ctx, parsed.Statement.(*sql.Query), nil)
	if err != nil {
		return false, err
	}
	r, err := a.s.openPull(ctx, plan, nil, false)
	if err != nil {
		return false, err
	}
	defer r.close()
	b, _, err := r.next(ctx, true)
	return b != nil && b.Len() > 0, err
}

// nameNow is the name under which the catalog has the relation before the statement.
func (a *relationAlter) nameNow() string {
	if o, ok := a.cat.img.Object(a.next.OID); ok {
		return o.Name
	}
	return a.next.Name
}

func (c *catalog) schemaOf(o metadata.Object) string {
	if was, ok := c.img.Object(o.OID); ok {
		return was.Schema
	}
	return o.Schema
}

func (a *relationAlter) dropColumn(ctx context.Context, act *sql.AlterAction) error {
	ord, err := columnOrdinal(a.rel, act.Name)
	if err != nil && act.If {
		a.s.notice(sqlerr.SuccessfulCompletion, "column %q of relation %q does not exist, skipping", act.Name, a.rel.Name)
		return nil
	}
	next, err := a.plan(ctx, act)
	if err != nil {
		return err
	}
	if err := a.checkUnread(ctx, act, "drop"); err != nil {
		return err
	}
	delete(a.def.Comments, ord)
	for _, ix := range a.indexesOn(ord) {
		a.forgetIndex(ix.OID)
	}
	a.forgetSequence(ord)
	return a.add(act, next, nil)
}

// checkUnread refuses to change a column that others read.
func (a *relationAlter) checkUnread(ctx context.Context, act *sql.AlterAction, verb string) error {
	ord, err := columnOrdinal(a.rel, act.Name)
	if err != nil {
		return err
	}
	readers, err := a.s.e.columnReaders(ctx, a.cat.img, a.next.OID, ord)
	if err != nil || len(readers) == 0 {
		return err
	}
	return sqlerr.New(sqlerr.DependentObjectsStillExist, "cannot %s column %q of %q because other objects depend on it", verb, act.Name, a.rel.Name).
		WithDetail("%s depends on it.", strings.Join(readers, ", ")).WithHint("DROP those first.").At(act.Offset())
}

// writesOwn tells whether a query is that of a CREATE ... AS: the relation stands for it.
func writesOwn(img *metadata.Image, o *metadata.Object) bool {
	def, err := queryDef(o)
	if err != nil {
		return false
	}
	sink, ok := img.Object(metadata.OID(def.Sink))
	return ok && writerOf(sink) == uint32(o.OID)
}

// columnReaders names the views and queries that read a column of a relation, or write it.
func (e *Engine) columnReaders(ctx context.Context, img *metadata.Image, oid metadata.OID, ord int) ([]string, error) {
	var out []string
	for _, dep := range img.Dependents(oid) {
		o, ok := img.Object(dep)
		if !ok || o.Kind == kindSequence || o.Kind == kindIndex || o.Space == spaceQuery && writesOwn(img, o) {
			continue
		}
		reads, err := e.readsColumn(ctx, img, o, uint32(oid), ord)
		if err != nil {
			return nil, err
		}
		if reads {
			out = append(out, kindWord(o.Kind)+" "+qualified(o.Schema, o.Name))
		}
	}
	return out, nil
}

// readsColumn tells whether a view or query uses a column of a relation.
func (e *Engine) readsColumn(ctx context.Context, img *metadata.Image, o *metadata.Object, oid uint32, ord int) (bool, error) {
	if o.Space == spaceQuery {
		def, err := queryDef(o)
		if err != nil {
			return false, err
		}
		q, err := e.super.plan(img, o, def)
		if err != nil {
			return false, err
		}
		return q.plan.UsesColumn(oid, ord), nil
	}
	b, err := e.bound(ctx, img, o)
	if err != nil {
		return false, err
	}
	if b.plan != nil {
		return b.plan.UsesColumn(oid, ord), nil
	}
	if b.rel.Kind != planner.View {
		return false, nil
	}
	parsed, err := sql.ParseOne(b.rel.ViewText, sql.Options{})
	if err != nil {
		return false, err
	}
	query, ok := parsed.Statement.(*sql.Query)
	if !ok {
		return false, errors.New("the text of a view is not a query")
	}
	def, err := relationDef(o)
	if err != nil {
		return false, err
	}
	plan, err := e.storedPlanner(img, def.Settings, def.Names, nil).PlanQuery(ctx, query, nil)
	if err != nil {
		return false, err
	}
	return plan.UsesColumn(oid, ord), nil
}
