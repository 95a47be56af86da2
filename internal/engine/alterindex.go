package engine

import (
	"context"
	"slices"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/replication/metadata"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// addPrimaryKey is ALTER TABLE ... ADD PRIMARY KEY of a table that was made without one, as dumps and migrations do once the rows are there. The rows stay where
// their hidden key puts them; a unique index over the columns, which take no NULL, is the key.
func (a *relationAlter) addPrimaryKey(ctx context.Context, act *sql.AlterAction) error {
	c := act.Constraint
	if a.rel.HasPrimaryKey() {
		return sqlerr.New(sqlerr.InvalidTableDefinition, "multiple primary keys for table %q are not allowed", a.rel.Name).
			WithHint("The key of CREATE TABLE stays: rows lie where it puts them. For another one make a table, and INSERT INTO it SELECT from this one.").At(c.Offset())
	}
	if c.Name == "" {
		named := *c
		named.Name = a.rel.Name + "_pkey"
		c = &named
	}
	for _, name := range c.Columns {
		if i, err := columnOrdinal(a.rel, name); err != nil || a.rel.Columns[i].NotNull {
			continue // addUnique knows what is wrong with a name
		}
		if err := a.action(ctx, &sql.AlterAction{Pos: act.Pos, Op: sql.SetNotNull, Name: name}); err != nil {
			return err
		}
	}
	return a.addUnique(ctx, c, true)
}

// addUnique is ALTER TABLE ... ADD UNIQUE, or ADD PRIMARY KEY.
func (a *relationAlter) addUnique(ctx context.Context, c *sql.TableConstraint, primary bool) error {
	u, err := planner.BindUnique(a.rel, c)
	if err != nil {
		return err
	}
	t := &indexedTable{s: a.s, cat: a.cat, o: &a.next, rel: a.rel}
	spec := indexSpec{name: u.Name, cols: u.Cols, unique: true, constraint: true, primary: primary}
	o, err := a.s.addIndex(ctx, a.d, a.rel, a.next, &a.def, spec)
	if err != nil {
		return err
	}
	was := metadata.Object{Schema: a.cat.schemaOf(a.next), Name: a.nameNow()}
	before := *t
	before.o = &was
	a.d.after = a.s.indexBuilt(t, o, spec)
	return before.checkDistinct(ctx, o.Name, spec.cols)
}

// addUniqueColumn is ADD COLUMN ... UNIQUE. The rows that are there may not have one value.
func (a *relationAlter) addUniqueColumn(ctx context.Context, c *sql.ColumnDef, missing *string) error {
	u, err := planner.BindUnique(a.rel, &sql.TableConstraint{Pos: c.Pos, Name: c.UniqueName, Columns: []string{c.Name}, Deferrable: c.Deferrable})
	if err != nil {
		return err
	}
	spec := indexSpec{name: u.Name, cols: u.Cols, unique: true, constraint: true}
	o, err := a.s.addIndex(ctx, a.d, a.rel, a.next, &a.def, spec)
	if err != nil {
		return err
	}
	a.d.after = a.s.indexBuilt(&indexedTable{o: &a.next}, o, spec)
	if missing == nil {
		return nil
	}
	name := sql.String(&sql.Name{Parts: []string{a.cat.schemaOf(a.next), a.nameNow()}})
	if row, err := a.s.firstRow(ctx, a.cat, "SELECT 1 FROM "+name+" LIMIT 1 OFFSET 1"); err != nil || row == nil {
		return err
	}
	e := sqlerr.New(sqlerr.UniqueViolation, "could not create unique index %q", o.Name).WithDetail("Key (%s)=(%s) is duplicated.", c.Name, *missing)
	e.Schema, e.Table, e.Constraint = a.next.Schema, a.rel.Name, o.Name
	return e
}

// dropUnique is ALTER TABLE ... DROP CONSTRAINT of a UNIQUE; ok is false if the name is not one's.
func (a *relationAlter) dropUnique(name string) (ok bool) {
	ix := a.uniqueNamed(name)
	if ix != nil {
		a.forgetIndex(ix.OID)
	}
	return ix != nil
}

// uniqueNamed is the index of a UNIQUE, or of a PRIMARY KEY that came after the rows; nil if the name is not one's.
func (a *relationAlter) uniqueNamed(name string) *planner.Index {
	i := slices.IndexFunc(a.rel.Indexes, func(ix planner.Index) bool { return ix.Constraint && ix.Name == name })
	if i < 0 {
		return nil
	}
	return &a.rel.Indexes[i]
}

// renameUnique is ALTER TABLE ... RENAME CONSTRAINT of a UNIQUE: its index has the name.
func (a *relationAlter) renameUnique(act *sql.AlterAction) error {
	o, ok := a.cat.img.Object(metadata.OID(a.uniqueNamed(act.Name).OID))
	if !ok {
		return sqlerr.New(sqlerr.UndefinedObject, "constraint %q for table %q does not exist", act.Name, a.rel.Name).At(act.Offset())
	}
	next := *o
	if err := a.s.alterIdentity(a.d, a.cat, &next, &sql.AlterAction{Pos: act.Pos, Op: sql.RenameTo, NewName: act.NewName}); err != nil {
		return err
	}
	a.d.batch.PutObject(next)
	return nil
}

// forgetIndex drops an index of the table that is altered.
func (a *relationAlter) forgetIndex(oid uint32) {
	a.def.dropIndex(oid)
	if o, ok := a.cat.img.Object(metadata.OID(oid)); ok {
		a.d.batch.DeleteObject(o.OID, o.Version)
	}
}

// indexesOn are the indexes that have a column.
func (a *relationAlter) indexesOn(ord int) []planner.Index {
	return slices.DeleteFunc(slices.Clone(a.rel.Indexes), func(ix planner.Index) bool { return !slices.Contains(ix.Cols, ord) })
}

// moveIndexes takes the indexes along when their table goes to another schema.
func (a *relationAlter) moveIndexes() {
	for _, x := range a.def.Indexes {
		if o, ok := a.cat.img.Object(metadata.OID(x.OID)); ok && o.Schema != a.next.Schema {
			moved := *o
			moved.Schema = a.next.Schema
			a.d.batch.PutObject(moved)
		}
	}
}

// checkUnindexed refuses to give a column of an index a type whose values lie in another order.
func (a *relationAlter) checkUnindexed(act *sql.AlterAction, next *planner.Relation) error {
	ord, err := columnOrdinal(a.rel, act.Name)
	if err != nil {
		return err
	}
	was, is := a.rel.Columns[ord].Type.Kind, next.Columns[ord].Type.Kind
	text := func(k types.Kind) bool { return k == types.Text || k == types.Varchar }
	if on := a.indexesOn(ord); len(on) > 0 && was != is && (!text(was) || !text(is)) {
		return sqlerr.New(sqlerr.DependentObjectsStillExist, "cannot change the type of column %q of %q because index %q has it", act.Name, a.rel.Name, on[0].Name).
			WithHint("DROP the index, and CREATE it again afterwards.").At(act.Offset())
	}
	return nil
}
