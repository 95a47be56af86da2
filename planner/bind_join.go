package planner

import (
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql"
)

var joinKinds = map[sql.JoinKind]JoinKind{
	sql.InnerJoin: InnerJoin, sql.LeftJoin: LeftJoin, sql.RightJoin: RightJoin, sql.FullJoin: FullJoin, sql.CrossJoin: CrossJoin,
	sql.SemiJoin: SemiJoin, sql.AntiJoin: AntiJoin,
}

func (b *binder) bindJoin(j *sql.Join) (Node, *scope, error) {
	if j.AsOf {
		return nil, nil, notYet("ASOF JOIN", "tables keep no history yet", "a join with the table's current rows", j.Pos)
	}
	l, ls, err := b.bindFromItem(j.Left)
	if err != nil {
		return nil, nil, err
	}
	r, rs, lateral, err := b.bindRight(j.Right, ls)
	if err != nil {
		return nil, nil, err
	}
	n := &Join{L: l, R: r, Kind: joinKinds[j.Kind], Lateral: lateral}
	if lateral && (n.Kind == RightJoin || n.Kind == FullJoin) {
		return nil, nil, sqlerr.New(sqlerr.InvalidColumnReference, "invalid reference to FROM-clause entry in a LATERAL item").
			WithDetail("The combining JOIN type must be INNER or LEFT for a LATERAL reference.").At(j.Offset())
	}
	sc, err := joinScopes(ls, rs)
	if err != nil {
		return nil, nil, sqlerr.From(err).At(j.Offset())
	}
	using := j.Using
	if j.Natural {
		using = commonNames(ls, rs)
	}
	switch {
	case len(using) > 0:
		sc, err = b.joinUsing(n, using, ls, rs, sc, j.Pos)
		if err == nil && j.UsingAlias != "" {
			err = nameMerged(sc, j.UsingAlias, len(using), j.Pos)
		}
	case j.On != nil:
		inner := *b
		inner.scope, inner.clause, inner.aggs, inner.windows, inner.srf = sc, "JOIN conditions", nil, nil, false
		n.Cond, err = inner.bindCondition(j.On, "JOIN/ON")
	}
	if err == nil {
		err = b.joinWithin(n, j)
	}
	if err != nil {
		return nil, nil, err
	}
	if n.Kind == SemiJoin || n.Kind == AntiJoin {
		sc = ls
	}
	if j.Alias != nil {
		if err := aliasJoin(sc, j.Alias, j.Pos); err != nil {
			return nil, nil, err
		}
	}
	return newJoin(n), sc, nil
}

func aliasJoin(sc *scope, a *sql.Alias, pos sql.Pos) error {
	tab := &scopeTab{name: a.Name}
	sc.tabs = []*scopeTab{tab}
	for i := range sc.cols {
		sc.cols[i].tab = tab
	}
	return renameScope(sc, a, a.Name, pos)
}

// commonNames are the columns that NATURAL JOIN joins by.
func commonNames(l, r *scope) []string {
	var out []string
	for _, c := range l.cols {
		if !c.star || !c.bare {
			continue
		}
		for _, d := range r.cols {
			if d.star && d.bare && d.name == c.name {
				out = append(out, c.name)
				break
			}
		}
	}
	return out
}

// joinUsing adds the equalities and puts the merged columns first (PostgreSQL docs, 7.2.1.1).
func (b *binder) joinUsing(n *Join, names []string, ls, rs, sc *scope, pos sql.Pos) (*scope, error) {
	var merged []scopeCol
	var conds []Expr
	for _, name := range names {
		lc, err := usingColumn(ls, name, "left", pos)
		if err != nil {
			return nil, err
		}
		rc, err := usingColumn(rs, name, "right", pos)
		if err != nil {
			return nil, err
		}
		l, r := lc.expr, shiftCols(rc.expr, ls.width)
		eq, err := b.operator("=", l, r, pos)
		if err != nil {
			return nil, err
		}
		conds = append(conds, eq)
		m := scopeCol{name: name, star: true, bare: true, base: lc.base}
		pair := []Expr{l, r}
		t, err := b.common(pair, nil, "JOIN/USING")
		if err != nil {
			return nil, err
		}
		switch n.Kind {
		case RightJoin:
			m.expr = pair[1]
		case FullJoin:
			m.expr, m.base = &Coalesce{pair, t}, Col{}
		default:
			m.expr = pair[0]
		}
		merged = append(merged, m)
		for i := range sc.cols {
			if c := &sc.cols[i]; c.name == name && c.bare {
				c.bare, c.star = false, false
			}
		}
	}
	n.Cond = conjunction(conds)
	sc.cols = append(merged, sc.cols...)
	return sc, nil
}

// nameMerged gives the merged columns, the first n of the scope, a table name as well: USING (a, b) AS name.
func nameMerged(sc *scope, name string, n int, pos sql.Pos) error {
	for _, t := range sc.tabs {
		if t.name == name && t.schema == "" {
			return sqlerr.New(sqlerr.DuplicateAlias, "table name %q specified more than once", name).At(pos.Offset())
		}
	}
	tab := &scopeTab{name: name}
	sc.tabs = append(sc.tabs, tab)
	for _, c := range sc.cols[:n] {
		c.tab, c.star, c.bare, c.own = tab, false, false, true
		sc.cols = append(sc.cols, c)
	}
	return nil
}

func usingColumn(s *scope, name, side string, pos sql.Pos) (*scopeCol, error) {
	c, err := s.match(nil, name, pos)
	if err != nil {
		return nil, sqlerr.New(sqlerr.AmbiguousColumn, "common column name %q appears more than once in %s table", name, side).At(pos.Offset())
	}
	if c == nil {
		return nil, sqlerr.New(sqlerr.UndefinedColumn, "column %q specified in USING clause does not exist in %s table", name, side).At(pos.Offset())
	}
	return c, nil
}
