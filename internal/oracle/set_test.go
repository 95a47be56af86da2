package oracle

import (
	"fmt"
	"strings"
)

// exact are the kinds whose equal values look the same: of equal rows any may be the one that shows.
var exact = []kind{integer, text, boolean}

// exactColumns is a SELECT list of expressions of the given kinds.
func (g *gen) exactColumns(s scope, kinds []kind) (items []string, cols []column) {
	for i, k := range kinds {
		e := g.expr(s, k, g.IntN(2))
		if k == text {
			e += "::text" // a bare constant has no type of its own in every place
		}
		items, cols = append(items, fmt.Sprintf("%s AS %s", e, alias(i))), append(cols, column{alias(i), k})
	}
	return items, cols
}

func (g *gen) exactKinds() []kind {
	kinds := make([]kind, 1+g.IntN(3))
	for i := range kinds {
		kinds[i] = pick(g, exact...)
	}
	return kinds
}

// setOperation is a UNION, INTERSECT or EXCEPT of two or three queries.
func (g *gen) setOperation(name string) (view, bool) {
	kinds := g.exactKinds()
	rel := relation{name: name, stream: true}
	branch := func() string {
		from, _ := g.source(func(relation) bool { return true })
		s := from.as("r")
		items, cols := g.exactColumns(s, kinds)
		rel.cols, rel.depth, rel.stream = cols, max(rel.depth, from.depth+1), rel.stream && from.stream
		return fmt.Sprintf("SELECT %s FROM %s r%s", list(items), from.name, g.where(s))
	}
	query := branch()
	for range 1 + g.IntN(2) {
		op := pick(g, "UNION ALL", "UNION ALL", "UNION", "INTERSECT", "INTERSECT ALL", "EXCEPT", "EXCEPT ALL")
		rel.stream = rel.stream && op == "UNION ALL"
		query = fmt.Sprintf("(%s) %s %s", query, op, branch())
	}
	return same(rel, query), true
}

// first is DISTINCT, DISTINCT ON, or the first rows in an order of all columns.
func (g *gen) first(name string) (view, bool) {
	from, _ := g.source(func(relation) bool { return true })
	s := from.as("r")
	items, cols := g.exactColumns(s, g.exactKinds())
	rel := relation{name: name, cols: cols, depth: from.depth + 1}
	tail := fmt.Sprintf("%s FROM %s r%s", list(items), from.name, g.where(s))
	var by []string
	for _, c := range cols {
		by = append(by, c.name+pick(g, "", " DESC", " NULLS FIRST", " DESC NULLS LAST"))
	}
	order := " ORDER BY " + strings.Join(by, ", ")
	switch g.IntN(4) {
	case 0:
		return same(rel, "SELECT DISTINCT "+tail), true
	case 1:
		return same(rel, "SELECT DISTINCT ON ("+cols[0].name+") "+tail+order), true
	case 2:
		return same(rel, fmt.Sprintf("SELECT %s%s LIMIT %d OFFSET %d", tail, order, 1+g.IntN(4), g.IntN(3))), true
	default:
		return same(rel, fmt.Sprintf("SELECT %s%s FETCH FIRST %d ROWS WITH TIES", tail, order, 1+g.IntN(3))), true
	}
}

// partition is what OVER partitions by: mostly a column, sometimes with another, which may change while the first, a key, does not.
func (g *gen) partition(s scope) string {
	return g.column(s, pick(g, exact...)) + pick(g, "", "", ", 1", ", "+g.column(s, pick(g, exact...)))
}

// over is a projection with window functions whose values do not depend on the order of equal rows.
func (g *gen) over(name string) (view, bool) {
	from, _ := g.source(func(relation) bool { return true })
	s := from.as("r")
	items, cols := g.columns(s)
	for range 1 + g.IntN(2) {
		k := len(cols)
		call := pick(g, "rank()", "dense_rank()", "count(*)", fmt.Sprintf("sum(%s)::bigint", g.column(s, integer)), fmt.Sprintf("max(%s)", g.column(s, integer)))
		fn, cast, _ := strings.Cut(call, "::")
		if cast != "" {
			cast = "::" + cast
		}
		window := fmt.Sprintf("(PARTITION BY %s ORDER BY %s%s)", g.partition(s), g.expr(s, integer, 1), pick(g, "", " DESC", " NULLS FIRST"))
		items, cols = append(items, fmt.Sprintf("(%s OVER %s)%s AS %s", fn, window, cast, alias(k))), append(cols, column{alias(k), integer})
	}
	rel := relation{name: name, cols: cols, depth: from.depth + 1}
	return same(rel, fmt.Sprintf("SELECT %s FROM %s r%s", list(items), from.name, g.where(s))), true
}

// numbered is the first rows of each group by row_number(), in an order of all columns.
func (g *gen) numbered(name string) (view, bool) {
	from, _ := g.source(func(relation) bool { return true })
	s := from.as("r")
	items, cols := g.exactColumns(s, g.exactKinds())
	var by []string
	for _, i := range items {
		e, _, _ := strings.Cut(i, " AS ")
		by = append(by, "("+e+")"+pick(g, "", " DESC", " NULLS FIRST"))
	}
	k, partition := len(cols), g.partition(s)
	cols = append(cols, column{alias(k), integer})
	query := fmt.Sprintf("SELECT * FROM (SELECT %s, row_number() OVER (PARTITION BY %s ORDER BY %s) AS %s FROM %s r%s) q WHERE %s %s %d",
		list(items), partition, list(by), alias(k), from.name, g.where(s), alias(k), pick(g, "<=", "<", "="), 1+g.IntN(3))
	return same(relation{name: name, cols: cols, depth: from.depth + 1}, query), true
}
