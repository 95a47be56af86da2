package planner

import (
	"slices"
	"strconv"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// Check is a CHECK constraint: a row for which Expr is false is refused. NULL is not false (PostgreSQL docs, 5.4.1).
type Check struct {
	Name    string
	Expr    Expr // over the relation's columns
	Text    string
	Columns []int // those that Expr reads
}

// columnChecks binds the CHECKs of a column definition.
func (d *definer) columnChecks(c *sql.ColumnDef) error {
	for _, k := range c.Checks {
		if err := d.check(k.Name, c.Name, k.Expr); err != nil {
			return err
		}
	}
	return nil
}

// check binds a CHECK constraint. It is named after the column it stands at, or the only one it reads, unless it has a name.
func (d *definer) check(name, column string, e sql.Expr) error {
	_, sc := newScan(&Relation{Name: d.rel.Name, Kind: Virtual, Columns: d.rel.Columns})
	b := d.st.binder()
	b.scope, b.clause = sc, "check constraints"
	x, err := b.bindCondition(e, "CHECK")
	if err != nil {
		return err
	}
	if hasSubquery(x) {
		return sqlerr.New(sqlerr.FeatureNotSupported, "cannot use subquery in check constraint").At(e.Offset())
	}
	if d.rel.Kind == Stream {
		return sqlerr.New(sqlerr.FeatureNotSupported, "a stream has no CHECK constraints").
			WithDetail("Reason: a stream holds what was recorded, by whoever recorded it.").
			WithHint("What works: CREATE STREAM ... AS SELECT ... WHERE keeps the rows that pass.").At(e.Offset())
	}
	k := Check{Name: name, Expr: d.st.p.foldExpr(x), Text: sql.String(e)}
	VisitExpr(x, func(e Expr) {
		if ref, ok := e.(*ColumnRef); ok && !contains(k.Columns, ref.Ord) {
			k.Columns = append(k.Columns, ref.Ord)
		}
	})
	if name == "" {
		if column == "" && len(k.Columns) == 1 {
			column = d.rel.Columns[k.Columns[0]].Name
		}
		k.Name = d.rel.freeCheckName(column)
	} else if d.rel.hasCheck(name) {
		return sqlerr.New(sqlerr.DuplicateObject, "constraint %q for relation %q already exists", name, d.rel.Name).At(e.Offset())
	}
	d.rel.Checks = append(d.rel.Checks, k)
	return nil
}

func (r *Relation) hasCheck(name string) bool {
	return slices.ContainsFunc(r.Checks, func(k Check) bool { return k.Name == name })
}

func (r *Relation) freeCheckName(column string) string {
	base := r.Name
	if column != "" {
		base += "_" + column
	}
	base += "_check"
	name := base
	for n := 1; r.hasCheck(name); n++ {
		name = base + strconv.Itoa(n)
	}
	return name
}

// refuseConstraint says why a constraint does not run, and what does.
func refuseConstraint(k sql.ConstraintKind, pos sql.Pos) error {
	switch k {
	case sql.ForeignKeyConstraint:
		return notYet("FOREIGN KEY", "a write into one table does not look into another",
			"the definition without REFERENCES; a view with NOT EXISTS shows rows whose partner is missing, and an index on the columns serves joins", pos)
	default:
		return notYet("another PRIMARY KEY", "the rows that are there lie where their present key puts them",
			"CREATE TABLE ... with the new key, and INSERT INTO it SELECT from this one", pos)
	}
}

// SerialKind tells how a column takes its values from a sequence of its own.
type SerialKind byte

// The kinds. Identity columns are those of the SQL standard (PostgreSQL docs, CREATE TABLE).
const (
	NotSerial         SerialKind = 0
	Serial            SerialKind = 's' // a default
	IdentityAlways    SerialKind = 'a' // INSERT may not give a value
	IdentityByDefault SerialKind = 'd'
)

func (k SerialKind) identity() bool { return k == IdentityAlways || k == IdentityByDefault }

// NextValue is the default of a column that takes its values from a sequence.
func NextValue(sequence uint32, t types.Type) (Expr, error) {
	b := (&Planner{}).begin(nil, nil).binder() //nolint:staticcheck // nothing is looked up
	call := &Call{
		Func: findFunc("nextval(regclass)"), Args: []Expr{&Const{types.Of(types.Regclass), types.IntDatum(int64(sequence))}}, Typ: types.Of(types.Int8),
	}
	return b.coerce(call, t, CastAssignment, -1)
}
