package oracle

import (
	"fmt"
	"strings"
)

// tableJoin joins two or three tables or views on equalities, and may aggregate the result.
func (g *gen) tableJoin(name string) (view, bool) {
	l, ok := g.source(isTable)
	if !ok {
		return view{}, false
	}
	s, from := l.as("l"), fmt.Sprintf(" FROM %s l", l.name)
	rel := relation{name: name, depth: l.depth + 1}
	for _, alias := range []string{"r", "m"}[:pick(g, 1, 1, 2)] {
		r, ok := g.source(isTable)
		if !ok {
			return view{}, false
		}
		on, ok := g.equality(s, r.as(alias))
		if !ok {
			return view{}, false
		}
		s = append(s, r.as(alias)...)
		kind := pick(g, "JOIN", "JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN")
		if kind != "FULL JOIN" && g.one(3) { // PostgreSQL has FULL JOIN on equalities alone
			on += " AND " + g.condition(s, 1)
		}
		from += fmt.Sprintf(" %s %s %s ON %s", kind, r.name, alias, on)
		rel.depth = max(rel.depth, r.depth+1)
	}
	from += g.where(s)
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

// streamStream joins the base stream with itself within a time; rows come in any order, so the grace is longer than all of them.
func (g *gen) streamStream(name string) (view, bool) {
	r := g.rels[len(base)-1]
	s := append(r.as("l"), r.as("r")...)
	on, _ := g.equality(r.as("l"), r.as("r"))
	if g.one(2) {
		on += " AND " + g.condition(s, 1)
	}
	before, after := pick(g, 0, 1, 90, 700), pick(g, 0, 30, 600)
	within := fmt.Sprintf(" WITHIN (%d MINUTES, %d MINUTES) GRACE PERIOD 1 DAY", before, after)
	bounds := fmt.Sprintf(" AND r.at BETWEEN l.at - INTERVAL '%d minutes' AND l.at + INTERVAL '%d minutes'", before, after)
	if g.one(3) { // said by a condition, with bounds that no row can be late for
		within, bounds = "", ""
		on += " AND l.at - r.at < INTERVAL '13 hours' AND r.at < l.at + INTERVAL '13 hours'"
	}
	what, group := "STREAM", ""
	var items []string
	v := view{relation: relation{name: name, stream: true, depth: 1}}
	if g.one(3) {
		keys, cols, groups := g.grouping(s, 1)
		items, v.cols = g.aggregates(s, keys, cols)
		what, v.stream, group = "TABLE", false, " GROUP BY "+list(groups)
	} else {
		items, v.cols = g.columns(s)
	}
	group = g.where(s) + group
	build := func(within, bounds string) string {
		return fmt.Sprintf("SELECT %s FROM s l JOIN s r%s ON %s%s%s", list(items), within, on, bounds, group)
	}
	v.millrace = fmt.Sprintf("CREATE %s %s AS %s", what, name, build(within, ""))
	v.postgres = fmt.Sprintf("CREATE VIEW %s AS %s", name, build("", bounds))
	return v, true
}
