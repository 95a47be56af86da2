package planner

import (
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// cte is one WITH query that may be named, linked to those that stood before it. It is bound anew wherever it is named.
type cte struct {
	def  *sql.CTE
	env  *env // rows that enclose the WITH clause
	next *cte // what its own text may name
	// recursive: it may name itself. work is set while its recursive term is bound: naming it then reads the last round.
	recursive bool
	work      *workTable
	change    *Change // INSERT, UPDATE or DELETE
}

type workTable struct {
	id   int
	cols []Col
	used bool
	// barred says where the query's own name may not stand, while that is bound; empty otherwise.
	barred string
}

func (c *cte) find(name string) *cte {
	for ; c != nil; c = c.next {
		if c.def.Name == name {
			return c
		}
	}
	return nil
}

func (b *binder) addCTEs(w *sql.With) error {
	seen := map[string]bool{}
	for _, def := range w.CTEs {
		if seen[def.Name] {
			return sqlerr.New(sqlerr.DuplicateAlias, "WITH query name %q specified more than once", def.Name).At(def.Offset())
		}
		seen[def.Name] = true
		q, ok := def.Statement.(*sql.Query)
		if !ok {
			change, err := b.bindChange(w, def)
			if err != nil {
				return err
			}
			b.ctes = &cte{def: def, env: b.env, next: b.ctes, change: change}
			continue
		}
		if q.Emit != nil {
			return sqlerr.New(sqlerr.SyntaxError, "EMIT is not allowed in a subquery").At(q.Emit.Offset())
		}
		b.ctes = &cte{def: def, env: b.env, next: b.ctes, recursive: w.Recursive}
	}
	return nil
}

// levelsBetween counts the rows that were pushed since outer; the references of a query bound at outer are that many levels further out.
func levelsBetween(inner, outer *env) int {
	n := 0
	for e := inner; e != outer && e != nil; e = e.next {
		n++
	}
	return n
}

// bindCTE binds the WITH query that t names.
func (b *binder) bindCTE(c *cte, t *sql.Table) (Node, *scope, error) {
	n, err := b.cteNode(c, t)
	if err != nil {
		return nil, nil, err
	}
	sc := scopeOf(n, c.def.Name)
	if t.Alias != nil {
		err = renameScope(sc, t.Alias, c.def.Name, t.Pos)
	}
	return n, sc, err
}

func (b *binder) cteNode(c *cte, t *sql.Table) (Node, error) {
	switch {
	case c.work != nil && c.work.barred != "":
		return nil, wrongRecursion(c.def.Name, c.work.barred, t.Pos)
	case c.work != nil:
		c.work.used = true
		return &WorkScan{P: Props{Cols: c.work.cols}, ID: c.work.id}, nil
	case c.change != nil:
		return c.changed(t)
	}
	if err := b.st.enter(); err != nil { // WITH queries that name each other twice grow exponentially; count stops them
		return nil, err
	}
	defer b.st.leave()
	b.st.copying++
	defer func() { b.st.copying-- }()
	q := c.def.Statement.(*sql.Query)
	inner := &binder{st: b.st, env: c.env, ctes: c.next}
	var n Node
	var err error
	set, ok := q.Body.(*sql.SetOp)
	switch {
	case ok && c.recursive && set.Kind == sql.Union:
		n, err = inner.bindRecursive(c, q, set)
	case c.recursive:
		inner.ctes = c.barred("")
		n, err = inner.bindQuery(q)
	default:
		n, err = inner.bindQuery(q)
	}
	if err == nil {
		n, err = inner.settleUnknown(n)
	}
	if err != nil {
		return nil, err
	}
	if by := levelsBetween(b.env, c.env); by > 0 {
		raiseLevels(n, by)
	}
	return nameColumns(n, c.def)
}

// raiseLevels moves every reference to an enclosing row by more levels out.
func raiseLevels(n Node, by int) {
	mapNodeLevels(n, 0, func(e Expr, d int) Expr { return raiseExpr(e, d, by) })
}

func raiseExpr(e Expr, depth, by int) Expr {
	return mapExpr(e, func(x Expr) Expr {
		switch x := x.(type) {
		case *OuterRef:
			if x.Level > depth {
				return &OuterRef{x.Level + by, x.Ord, x.Typ, x.Name}
			}
		case *Subquery:
			mapNodeLevels(x.Plan, depth+1, func(e Expr, d int) Expr { return raiseExpr(e, d, by) })
		}
		return x
	})
}

func nameColumns(n Node, def *sql.CTE) (Node, error) {
	n = visibleOnly(n)
	if len(def.Columns) == 0 {
		return n, nil
	}
	cols := append([]Col(nil), n.Props().Cols...)
	if len(def.Columns) > len(cols) {
		return nil, sqlerr.New(sqlerr.InvalidColumnReference, "WITH query %q has %d columns available but %d columns specified",
			def.Name, len(cols), len(def.Columns)).At(def.Offset())
	}
	for i, name := range def.Columns {
		cols[i].Name = name
	}
	return newProject(n, identity(n), cols), nil
}

// bindRecursive binds base UNION [ALL] recursive term (PostgreSQL docs, 7.8.2.1). A query that does not name itself is a plain union.
func (b *binder) bindRecursive(c *cte, q *sql.Query, set *sql.SetOp) (Node, error) {
	if q.With != nil {
		if err := b.addCTEs(q.With); err != nil {
			return nil, err
		}
	}
	first := *b
	first.ctes = c.barred("within its non-recursive term")
	first.ctes.next = b.ctes
	base, err := first.bindPlainBody(set.Left)
	if err == nil {
		base, err = b.settleUnknown(visibleOnly(base))
	}
	if err != nil {
		return nil, err
	}
	cols := append([]Col(nil), base.Props().Cols...)
	for i := range cols {
		cols[i].TableOID, cols[i].AttNum = 0, 0
	}
	named := append([]Col(nil), cols...)
	for i, name := range c.def.Columns {
		if i < len(named) {
			named[i].Name = name
		}
	}
	b.st.nextID++
	self := *c
	self.work = &workTable{id: b.st.nextID, cols: named}
	self.next = b.ctes
	inner := *b
	inner.ctes = &self
	rec, err := inner.bindPlainBody(set.Right)
	if err != nil {
		return nil, err
	}
	if !self.work.used {
		plain := *b
		return plain.bindQuery(q)
	}
	if b.st.unbounded {
		return nil, sqlerr.New(sqlerr.FeatureNotSupported, "WITH RECURSIVE has no incremental form in a continuous query").
			WithHint("What works: WITH RECURSIVE in a query that ends.").At(set.Offset())
	}
	rec = visibleOnly(rec)
	if err := checkRecursion(c.def.Name, self.work.id, rec, set.Right); err != nil {
		return nil, err
	}
	if rec, err = b.recursiveTerm(c, rec, cols, set.Pos); err != nil {
		return nil, err
	}
	if len(q.OrderBy) > 0 {
		return nil, sqlerr.New(sqlerr.FeatureNotSupported, "ORDER BY in a recursive query is not implemented").At(q.OrderBy[0].Offset())
	}
	return b.bindLimit(&RecursiveUnion{P: Props{Cols: cols}, ID: self.work.id, All: set.All, Base: base, Rec: rec}, q)
}

func (b *binder) recursiveTerm(c *cte, rec Node, cols []Col, pos sql.Pos) (Node, error) {
	got := rec.Props().Cols
	if len(got) != len(cols) {
		return nil, sqlerr.New(sqlerr.SyntaxError, "each UNION query must have the same number of columns").At(pos.Offset())
	}
	want := make([]types.Type, len(cols))
	for i, col := range cols {
		want[i] = col.Type
		if !implicit(got[i].Type, col.Type) {
			return nil, sqlerr.New(sqlerr.DatatypeMismatch, "recursive query %q column %d has type %s in non-recursive term but type %s overall",
				c.def.Name, i+1, col.Type, got[i].Type).WithHint("Cast the output of the non-recursive term to the correct type.").At(pos.Offset())
		}
	}
	return b.coerceOutput(rec, want, "UNION", pos)
}
