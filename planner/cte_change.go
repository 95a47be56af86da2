package planner

import (
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql"
)

// Change is an INSERT, UPDATE or DELETE in WITH. It runs once and to its end, whoever reads what it returns and how much of it, on the snapshot
// of the whole statement: what it writes is seen by none of the statement's parts (PostgreSQL docs, 7.8.4).
type Change struct {
	// ID is that of the WorkScans that read what it returns.
	ID   int
	Name string
	DML  *DML

	source Node // until the statement is bound
}

// bindChange binds a WITH query that changes a table.
func (b *binder) bindChange(w *sql.With, def *sql.CTE) (*Change, error) {
	switch {
	case b.st.unbounded:
		return nil, sqlerr.New(sqlerr.FeatureNotSupported, "a continuous query cannot change tables in WITH").
			WithHint("What works: INSERT INTO ... SELECT ... EMIT CHANGES as a query of its own.").At(def.Offset())
	case w != b.st.with:
		return nil, sqlerr.New(sqlerr.FeatureNotSupported, "WITH clause containing a data-modifying statement must be at the top level").At(def.Offset())
	}
	b.st.nextID++
	out := &Change{ID: b.st.nextID, Name: def.Name}
	inner := &binder{st: b.st, ctes: b.ctes}
	var err error
	switch x := def.Statement.(type) {
	case *sql.Insert:
		if x.Query != nil && x.Query.Emit != nil {
			return nil, sqlerr.New(sqlerr.SyntaxError, "EMIT is not allowed in WITH").At(x.Query.Emit.Offset())
		}
		out.DML, out.source, err = inner.bindInsert(x)
	case *sql.Update:
		out.DML, out.source, err = inner.bindUpdate(x)
	case *sql.Delete:
		out.DML, out.source, err = inner.bindDelete(x)
	default:
		err = sqlerr.New(sqlerr.SyntaxError, "WITH takes SELECT, VALUES, INSERT, UPDATE and DELETE").At(def.Offset())
	}
	if err != nil {
		return nil, err
	}
	b.st.changes = append(b.st.changes, out)
	return out, nil
}

// RefuseChanges is the error of a statement, named as its subject, whose query may not change tables in WITH, and nil if it does not.
func (q *Query) RefuseChanges(what string) error {
	if len(q.Changes) == 0 {
		return nil
	}
	return sqlerr.New(sqlerr.FeatureNotSupported, "%s must not contain data-modifying statements in WITH", what).
		WithDetail("WITH query %q changes %q.", q.Changes[0].Name, q.Changes[0].DML.Rel.Name)
}

// changed reads what the change returns.
func (c *cte) changed(t *sql.Table) (Node, error) {
	cols := append([]Col(nil), c.change.DML.ReturningCols...)
	if len(cols) == 0 {
		return nil, sqlerr.New(sqlerr.FeatureNotSupported, "WITH query %q does not have a RETURNING clause", c.def.Name).At(t.Offset())
	}
	return nameColumns(&WorkScan{P: Props{Cols: cols}, ID: c.change.ID, Name: c.def.Name}, c.def)
}

// finishChanges settles the changes of a statement, when all of it is bound.
func (st *statement) finishChanges() ([]*Change, error) {
	for _, c := range st.changes {
		q, err := st.p.finishPlan(st, c.source)
		if err != nil {
			return nil, err
		}
		c.source = nil
		st.p.settleDML(c.DML, q)
	}
	return st.changes, nil
}
