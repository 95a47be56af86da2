package oracle

import (
	"fmt"
	"slices"
	"strings"
)

// streamStream joins two streams, or one with itself, within a time. Rows come in any order, so the grace is longer than all of them.
func (g *gen) streamStream(name string) (view, bool) {
	kind := pick(g, "", "LEFT ", "RIGHT ", "FULL ")
	want := func(r relation) bool { return r.stream && isTimed(r) && (kind == "" || r.closes) }
	lr, _ := g.source(want)
	rr, _ := g.source(want)
	l, r := lr.as("l"), rr.as("r")
	s := append(append(scope{}, l...), r...)
	on, lKeys, rKeys, ok := g.equalities(l, r)
	if !ok {
		return view{}, false
	}
	if g.one(2) {
		on += " AND " + g.besideKeys(kind, l.timeless(), r.timeless())
	}
	lAt, rAt := "l."+lr.time, "r."+rr.time
	bound, within := g.timeBound(lAt, rAt)
	j := outerJoin{kind: kind, left: lr.name, right: rr.name, lAt: lAt, rAt: rAt, on: on + bound, lKeys: lKeys, rKeys: rKeys}
	from := " FROM " + fork(fmt.Sprintf("%s l %sJOIN %s r%s ON %s%s", lr.name, kind, rr.name, within, on, here(bound)), j.postgres())

	rel := relation{name: name, stream: true, depth: max(lr.depth, rr.depth) + 1}
	if g.one(3) {
		items, cols, groups := g.grouping(s, 1)
		items, rel.cols = g.aggregates(s, items, cols)
		rel.stream = false
		return same(rel, "SELECT "+list(items)+from+g.where(s.timeless())+" GROUP BY "+list(groups)), true
	}
	items, cols := g.columns(s)
	items, rel.cols, rel.time = append(items, fmt.Sprintf("greatest(%s, %s) AS at", lAt, rAt)), append(cols, column{"at", instant}), "at"
	return same(rel, "SELECT "+list(items)+from+g.where(s.timeless())), true
}

// timeBound bounds the times of a pair: by WITHIN here and a condition there, or by a condition on either side. No row can be late for it.
func (g *gen) timeBound(lAt, rAt string) (bound, within string) {
	if g.one(3) {
		l, r := fork("l.rowtime", lAt), fork("r.rowtime", rAt)
		return fmt.Sprintf(" AND %s - %s < INTERVAL '13 hours' AND %s < %s + INTERVAL '13 hours'", l, r, r, l), ""
	}
	before, after := pick(g, 0, 1, 90, 700), pick(g, 0, 30, 600)
	return fork("", fmt.Sprintf(" AND %s BETWEEN %s - INTERVAL '%d minutes' AND %s + INTERVAL '%d minutes'", rAt, lAt, before, lAt, after)),
		fmt.Sprintf(" WITHIN (%d MINUTES, %d MINUTES) GRACE PERIOD 1 DAY", before, after)
}

// timeless is s without times: conditions on the times of both sides would bound the join more narrowly, and rows be late for it.
func (s scope) timeless() scope {
	return slices.DeleteFunc(slices.Clone(s), func(c column) bool { return c.kind == instant })
}

// besideKeys is a further condition of a join. Of an outer one it compares no two columns of different sides for equality: they would be keys
// as well, and a row whose key is NULL does not wait for partners.
func (g *gen) besideKeys(kind string, l, r scope) string {
	if kind == "" {
		return g.condition(append(append(scope{}, l...), r...), 1)
	}
	if g.one(2) || len(l.of(integer)) == 0 || len(r.of(integer)) == 0 {
		return g.condition(pick(g, l, r), 1)
	}
	return fmt.Sprintf("%s %s %s", g.column(l, integer), pick(g, "<", "<>", ">="), g.column(r, integer))
}

// outerJoin is a join of streams as PostgreSQL is told it. A row without a partner leaves when the time of the world has ended, or at once if
// its key is NULL.
type outerJoin struct {
	kind, left, right string
	lAt, rAt          string
	on                string
	lKeys, rKeys      []string
}

// postgres is what stands in FROM: pairs of rows, either of which may be NULL, taken apart again.
func (j outerJoin) postgres() string {
	pairs := fmt.Sprintf("SELECT l, r FROM %s l JOIN %s r ON %s", j.left, j.right, j.on)
	if j.kind == "" {
		return fmt.Sprintf("%s l JOIN %s r ON %s", j.left, j.right, j.on)
	}
	if j.kind != "RIGHT " {
		pairs += fmt.Sprintf(" UNION ALL SELECT l, NULL FROM %s l WHERE NOT EXISTS (SELECT FROM %s r WHERE %s) AND %s", j.left, j.right, j.on, leaves(j.lAt, j.lKeys))
	}
	if j.kind != "LEFT " {
		pairs += fmt.Sprintf(" UNION ALL SELECT NULL, r FROM %s r WHERE NOT EXISTS (SELECT FROM %s l WHERE %s) AND %s", j.right, j.left, j.on, leaves(j.rAt, j.rKeys))
	}
	return fmt.Sprintf("(%s) j, LATERAL (SELECT (j.l).*) l, LATERAL (SELECT (j.r).*) r", pairs)
}

// leaves says when a row without a partner leaves.
func leaves(at string, keys []string) string {
	return fmt.Sprintf("(%s < %s OR %s IS NULL)", at, ended, strings.Join(keys, " IS NULL OR "))
}
