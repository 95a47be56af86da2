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
	on, _, _, ok := g.equalities(l, r)
	return on, ok
}

// equalities is the same, with the columns of either side.
func (g *gen) equalities(l, r scope) (on string, left, right []string, ok bool) {
	for _, k := range []kind{integer, text} {
		if a, b := l.of(k), r.of(k); len(a) > 0 && len(b) > 0 {
			left, right = append(left, pick(g, a...)), append(right, pick(g, b...))
		}
	}
	if len(left) == 0 {
		return "", nil, nil, false
	}
	if len(left) == 2 && !g.one(4) {
		i := g.IntN(2)
		left, right = left[i:i+1], right[i:i+1]
	}
	var pairs []string
	for i := range left {
		pairs = append(pairs, left[i]+" = "+right[i])
	}
	return strings.Join(pairs, " AND "), left, right, true
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
