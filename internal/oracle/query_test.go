package oracle

import (
	"fmt"
	"strings"
)

// view is a random view: what makes it on either side, and what it is as something to select from.
type view struct {
	relation
	millrace string
	postgres string
	// arrival: rows are as of the arrival of a stream's row, so PostgreSQL gets them by an INSERT after each batch, where %d
	// stands for the first seq of the batch.
	arrival string
}

func (g *gen) view(name string) view {
	shape := pick(g,
		g.project, g.project, g.aggregated, g.aggregated, g.groupingSets, g.groupingSets,
		g.tableJoin, g.tableJoin, g.streamTable, g.streamStream, g.streamStream, g.streamStream, g.subqueries, g.subqueries,
		g.windowed, g.windowed, g.windowed, g.windowed,
		g.setOperation, g.setOperation, g.first, g.first, g.numbered, g.over)
	for {
		if v, ok := shape(name); ok {
			v.millrace, v.postgres = here(v.millrace), there(v.postgres)
			g.rels = append(g.rels, v.relation)
			return v
		}
		shape = g.project
	}
}

// columns is a SELECT list of random expressions, keeping some columns as they are.
func (g *gen) columns(s scope) ([]string, []column) {
	var items []string
	var cols []column
	for i := range 2 + g.IntN(4) {
		k := s[g.IntN(len(s))].kind
		items = append(items, fmt.Sprintf("%s AS %s", g.expr(s, k, g.IntN(3)), alias(i)))
		cols = append(cols, column{alias(i), k})
	}
	return items, cols
}

// same makes a view whose SELECT is the same on both sides.
func same(r relation, query string) view {
	what := "TABLE"
	if r.stream {
		what = "STREAM"
	} else if len(here(query))%2 == 0 {
		what = "MATERIALIZED VIEW"
	}
	return view{
		relation: r,
		millrace: fmt.Sprintf("CREATE %s %s AS %s", what, r.name, query),
		postgres: fmt.Sprintf("CREATE VIEW %s AS %s", r.name, query),
	}
}

// project is a filter and a projection, of a relation or of the windows of its rows, and of each row several times.
func (g *gen) project(name string) (view, bool) {
	from, _ := g.source(func(relation) bool { return true })
	s, table, where := from.as("r"), from.name+" r", g.where(from.as("r"))
	rel := relation{name: name, stream: from.stream, depth: from.depth + 1}
	if times := s.of(instant); len(times) > 0 && g.one(3) {
		call := g.windowTable(from, strings.TrimPrefix(pick(g, times...), "r."))
		table, rel.stream = call.from, rel.stream && !call.updates
		s = append(s, column{"r.windowstart", instant}, column{"r.windowend", instant})
	} else if g.one(6) {
		table += fmt.Sprintf(" CROSS JOIN LATERAL generate_series(1, %s %% 4) AS copies(n)", g.column(s, integer))
		s = append(s, column{"copies.n", integer})
	}
	items, cols := g.columns(s)
	if isTimed(from) {
		at, whole := "r."+from.time, table == from.name+" r"
		if whole && g.one(2) { // the rows of TUMBLE() have no rowtime to select
			at = fork("r.rowtime", at)
		}
		items, cols = append(items, at+" AS at"), append(cols, column{"at", instant})
		rel.time, rel.closes = "at", from.closes && where == "" && whole
	}
	rel.cols = cols
	return same(rel, fmt.Sprintf("SELECT %s FROM %s%s", list(items), table, where)), true
}

// grouping is a GROUP BY and a SELECT list for it; before are items and columns that come first.
func (g *gen) grouping(s scope, n int) (items []string, cols []column, groups []string) {
	for range n {
		k := pick(g, integer, text, integer, boolean)
		if len(s.of(k)) == 0 {
			k = integer
		}
		e := g.expr(s, k, g.IntN(2))
		if !strings.Contains(e, ".") { // a constant, which GROUP BY reads as a position or refuses
			e, k = g.grouped(s)
		}
		name := alias(len(cols))
		items, cols, groups = append(items, e+" AS "+name), append(cols, column{name, k}), append(groups, e)
	}
	return items, cols, groups
}

// grouped is a column to group by, or whether there is one. Not a numeric one: key bytes are canonical, so a group of 1.0 and 1.00 is 1
// here and either of the two there.
func (g *gen) grouped(s scope) (string, kind) {
	c := s[g.IntN(len(s))]
	if c.kind == numeric || c.kind == double {
		return fmt.Sprintf("(%s IS NULL)", c.name), boolean
	}
	return c.name, c.kind
}

func (g *gen) aggregates(s scope, items []string, cols []column) ([]string, []column) {
	for range 1 + g.IntN(3) {
		e, k := g.aggregate(s)
		name := alias(len(cols))
		items, cols = append(items, e+" AS "+name), append(cols, column{name, k})
	}
	return items, cols
}

// aggregated is an aggregate with or without GROUP BY, over updating input or not.
func (g *gen) aggregated(name string) (view, bool) {
	from, _ := g.source(func(relation) bool { return true })
	s := from.as("r")
	items, cols, groups := g.grouping(s, g.IntN(3))
	items, cols = g.aggregates(s, items, cols)
	query := fmt.Sprintf("SELECT %s FROM %s r%s", list(items), from.name, g.where(s))
	if len(groups) > 0 {
		query += " GROUP BY " + list(groups) + g.having(s)
	}
	return same(relation{name: name, cols: cols, depth: from.depth + 1}, query), true
}

// having is a condition on the groups of rows of s, or none.
func (g *gen) having(s scope) string {
	if !g.one(4) {
		return ""
	}
	if ints := s.of(integer); len(ints) > 0 && g.one(2) {
		return fmt.Sprintf(" HAVING %s(%s) %s %d", pick(g, "min", "max", "sum"), pick(g, ints...), pick(g, "<", ">="), g.IntN(8))
	}
	return fmt.Sprintf(" HAVING count(*) %s %d", pick(g, "<", ">=", "<>"), 1+g.IntN(3))
}

// groupingSets is an aggregate with ROLLUP, CUBE or GROUPING SETS.
func (g *gen) groupingSets(name string) (view, bool) {
	from, _ := g.source(func(relation) bool { return true })
	s := from.as("r")
	items, cols, groups := g.grouping(s, 2)
	if groups[0] == groups[1] {
		return view{}, false
	}
	k := len(cols)
	items, cols = append(items, fmt.Sprintf("grouping(%s) AS %s", list(groups), alias(k))), append(cols, column{alias(k), integer})
	items, cols = g.aggregates(s, items, cols)
	sets := fmt.Sprintf(pick(g, "ROLLUP (%[1]s, %[2]s)", "CUBE (%[1]s, %[2]s)", "GROUPING SETS ((%[1]s), (%[2]s))", "GROUPING SETS ((%[2]s, %[1]s), (), (%[1]s))"),
		groups[0], groups[1])
	return same(relation{name: name, cols: cols, depth: from.depth + 1},
		fmt.Sprintf("SELECT %s FROM %s r%s GROUP BY %s%s", list(items), from.name, g.where(s), sets, g.having(s))), true
}
