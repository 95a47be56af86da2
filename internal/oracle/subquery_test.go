package oracle

import "fmt"

// subqueries is a projection of a table whose condition and columns hold subqueries.
func (g *gen) subqueries(name string) (view, bool) {
	from, ok := g.source(isTable)
	other, ok2 := g.source(isTable)
	if !ok || !ok2 || len(from.as("r").of(integer)) == 0 || len(other.as("o").of(integer)) == 0 {
		return view{}, false
	}
	s, o := from.as("r"), other.as("o")
	items, cols := g.columns(s)
	if g.one(2) {
		k := len(cols)
		items, cols = append(items, fmt.Sprintf("%s AS %s", g.scalarSubquery(s, o, other.name), alias(k))), append(cols, column{alias(k), integer})
	}
	cond := g.membership(s, o, other.name)
	if g.one(2) {
		cond = fmt.Sprintf("(%s %s %s)", cond, pick(g, "OR", "AND"), g.condition(s, 1))
	}
	rel := relation{name: name, cols: cols, depth: max(from.depth, other.depth) + 1}
	return same(rel, fmt.Sprintf("SELECT %s FROM %s r WHERE %s", list(items), from.name, cond)), true
}

// scalarSubquery is one integer of a relation o, for all rows of s or for each.
func (g *gen) scalarSubquery(s, o scope, table string) string {
	f := pick(g, "count(%s)", "sum(%s)::bigint", "max(%s)", "count(*) + min(%s)")
	if g.one(2) {
		return fmt.Sprintf("(SELECT "+f+" FROM %s o%s)", g.expr(o, integer, 1), table, g.where(o))
	}
	tie := fmt.Sprintf("%s = %s", g.column(o, integer), g.column(s, integer))
	if g.one(3) {
		tie += " AND " + g.condition(o, 1)
	}
	return fmt.Sprintf("(SELECT "+f+" FROM %s o WHERE %s)", g.expr(o, integer, 1), table, tie)
}

func (g *gen) membership(s, o scope, table string) string {
	k := pick(g, integer, integer, text)
	if len(o.of(k)) == 0 || len(s.of(k)) == 0 {
		k = integer
	}
	switch g.IntN(6) {
	case 0:
		return fmt.Sprintf("%sEXISTS (SELECT 1 FROM %s o%s)", pick(g, "", "NOT "), table, g.where(o))
	case 1:
		return fmt.Sprintf("%sEXISTS (SELECT 1 FROM %s o WHERE %s = %s)", pick(g, "", "NOT "), table, g.column(o, k), g.column(s, k))
	case 2:
		return fmt.Sprintf("%sEXISTS (SELECT 1 FROM %s o WHERE %s = %s AND %s)", pick(g, "", "NOT "), table, g.column(o, k), g.column(s, k), g.further(s, o))
	case 3:
		return fmt.Sprintf("%s %sIN (SELECT %s FROM %s o WHERE %s = %s%s)", g.expr(s, integer, 1), pick(g, "", "NOT "), g.column(o, integer), table,
			g.column(o, k), g.column(s, k), pick(g, "", " AND "+g.further(s, o)))
	case 4:
		return fmt.Sprintf("(%s %s %s)", g.expr(s, integer, 1), pick(g, "<", "=", ">="), g.scalarSubquery(s, o, table))
	default:
		return fmt.Sprintf("%s %sIN (SELECT %s FROM %s o%s)", g.expr(s, k, 1), pick(g, "", "NOT "), g.column(o, k), table, g.where(o))
	}
}

// further is a condition on the rows of a subquery and of the outer query that is no equality.
func (g *gen) further(s, o scope) string {
	cond := fmt.Sprintf("%s %s %s", g.expr(o, integer, 1), pick(g, "<", ">=", "<>", "IS DISTINCT FROM"), g.expr(s, integer, 1))
	if g.one(3) {
		cond = fmt.Sprintf("(%s OR %s)", cond, g.condition(o, 1))
	}
	return cond
}
