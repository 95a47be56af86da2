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
	shape := pick(g, g.project, g.project, g.aggregated, g.aggregated, g.tableJoin, g.tableJoin, g.streamTable, g.windowed)
	for {
		if v, ok := shape(name); ok {
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
	} else if len(query)%2 == 0 {
		what = "MATERIALIZED VIEW"
	}
	return view{
		relation: r,
		millrace: fmt.Sprintf("CREATE %s %s AS %s", what, r.name, query),
		postgres: fmt.Sprintf("CREATE VIEW %s AS %s", r.name, query),
	}
}

// project is a filter and a projection.
func (g *gen) project(name string) (view, bool) {
	from, _ := g.source(func(relation) bool { return true })
	s := from.as("r")
	items, cols := g.columns(s)
	query := fmt.Sprintf("SELECT %s FROM %s r%s", list(items), from.name, g.where(s))
	return same(relation{name: name, cols: cols, stream: from.stream, depth: from.depth + 1}, query), true
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

// tableJoin joins two tables or views on an equality, and may aggregate the result.
func (g *gen) tableJoin(name string) (view, bool) {
	l, ok := g.source(isTable)
	r, ok2 := g.source(isTable)
	if !ok || !ok2 {
		return view{}, false
	}
	on, ok := g.equality(l.as("l"), r.as("r"))
	if !ok {
		return view{}, false
	}
	kind := pick(g, "JOIN", "JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN")
	s := append(l.as("l"), r.as("r")...)
	if kind == "JOIN" && g.one(3) {
		on += " AND " + g.condition(s, 1)
	}
	from := fmt.Sprintf(" FROM %s l %s %s r ON %s%s", l.name, kind, r.name, on, g.where(s))
	rel := relation{name: name, depth: max(l.depth, r.depth) + 1}
	if g.one(3) {
		items, cols, groups := g.grouping(s, 1)
		items, rel.cols = g.aggregates(s, items, cols)
		return same(rel, "SELECT "+list(items)+from+" GROUP BY "+list(groups)), true
	}
	items, cols := g.columns(s)
	rel.cols = cols
	return same(rel, "SELECT "+list(items)+from), true
}

// equality is a join condition, of one or two columns of like kinds, keys or not.
func (g *gen) equality(l, r scope) (string, bool) {
	var pairs []string
	for _, k := range []kind{integer, text} {
		if a, b := l.of(k), r.of(k); len(a) > 0 && len(b) > 0 {
			pairs = append(pairs, pick(g, a...)+" = "+pick(g, b...))
		}
	}
	if len(pairs) == 0 {
		return "", false
	}
	if len(pairs) == 2 && !g.one(4) {
		pairs = pairs[g.IntN(2):][:1]
	}
	return strings.Join(pairs, " AND "), true
}

// streamTable joins a stream with a table as of the stream row's arrival. The base stream, for its seq says which rows are new.
func (g *gen) streamTable(name string) (view, bool) {
	l := g.rels[len(base)-1]
	r, _ := g.source(func(r relation) bool { return isTable(r) && r.depth == 0 })
	on, ok := g.equality(l.as("l"), r.as("r"))
	if !ok {
		return view{}, false
	}
	s := append(l.as("l"), r.as("r")...)
	items, cols := g.columns(s)
	query := fmt.Sprintf("SELECT %s FROM s l %s %s r ON %s", list(items), pick(g, "JOIN", "LEFT JOIN"), r.name, on)
	where, more := g.where(s), " WHERE l.seq >= %d"
	if where != "" {
		more = " AND l.seq >= %d"
	}
	return view{
		relation: relation{name: name, cols: cols, stream: true, depth: 1},
		millrace: fmt.Sprintf("CREATE STREAM %s AS %s%s", name, query, where),
		postgres: fmt.Sprintf("CREATE TABLE %s AS %s%s LIMIT 0", name, query, where),
		arrival:  strings.ReplaceAll(fmt.Sprintf("INSERT INTO %s %s%s", name, query, where), "%", "%%") + more,
	}, true
}
