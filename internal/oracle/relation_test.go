package oracle

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// kind is a column's type, as far as expressions care.
type kind int

const (
	integer kind = iota // int or bigint
	double
	numeric
	text
	boolean
	instant // timestamptz
)

type column struct {
	name string
	kind kind
}

// relation is something to select from, under the same name on both sides.
type relation struct {
	name   string
	cols   []column
	stream bool
	// depth is how many views there are below.
	depth int
	// time is the column that is the rows' rowtime; "" if none is.
	time string
	// closes: the rows that end a world's time reach every partition of it.
	closes bool
}

// base are the relations that rows are written to. They have keys of one column and of two, and a stream.
var base = []struct {
	relation
	millrace, postgres string
}{
	{
		relation{name: "t", cols: []column{{"id", integer}, {"a", integer}, {"b", text}, {"d", double}, {"n", numeric}}},
		`CREATE TABLE t (id INT PRIMARY KEY, a INT, b TEXT, d DOUBLE PRECISION, n NUMERIC(8,2))`, "",
	},
	{
		relation{name: "u", cols: []column{{"k", text}, {"a", integer}, {"n", numeric}, {"f", boolean}}},
		`CREATE TABLE u (k TEXT PRIMARY KEY, a INT, n NUMERIC(8,2), f BOOLEAN)`, "",
	},
	{
		relation{name: "w", cols: []column{{"x", integer}, {"y", integer}, {"v", integer}, {"b", text}, {"at", instant}}, time: "at", closes: true},
		`CREATE TABLE w (x INT, y INT, v BIGINT, b TEXT, at TIMESTAMPTZ, PRIMARY KEY (x, y)) WITH (timestamp = 'at')`,
		`CREATE TABLE w (x INT, y INT, v BIGINT, b TEXT, at TIMESTAMPTZ, PRIMARY KEY (x, y))`,
	},
	{
		relation{name: "s", stream: true, cols: []column{{"seq", integer}, {"a", integer}, {"b", text}, {"v", integer}, {"at", instant}}, time: "at", closes: true},
		`CREATE STREAM s (seq BIGINT, a INT, b TEXT, v INT, at TIMESTAMPTZ) WITH (timestamp = 'at')`,
		`CREATE TABLE s (seq BIGINT, a INT, b TEXT, v INT, at TIMESTAMPTZ)`,
	},
}

// gen makes everything that is random.
type gen struct {
	*rand.Rand
	rels []relation
	seq  int // rows of the stream so far
}

func newGen(r *rand.Rand) *gen {
	g := &gen{Rand: r}
	for _, b := range base {
		g.rels = append(g.rels, b.relation)
	}
	return g
}

func pick[T any](g *gen, of ...T) T { return of[g.IntN(len(of))] }

// one reports true once in n.
func (g *gen) one(n int) bool { return g.IntN(n) == 0 }

// source picks a relation; views on views on views are deep enough.
func (g *gen) source(want func(relation) bool) (relation, bool) {
	var fit []relation
	for _, r := range g.rels {
		if r.depth < 3 && want(r) {
			fit = append(fit, r)
		}
	}
	if len(fit) == 0 {
		return relation{}, false
	}
	return pick(g, fit...), true
}

func isTable(r relation) bool { return !r.stream }

func isTimed(r relation) bool { return r.time != "" }

// scope is what an expression may refer to.
type scope []column

// as names the columns of r by an alias.
func (r relation) as(alias string) scope {
	var s scope
	for _, c := range r.cols {
		s = append(s, column{alias + "." + c.name, c.kind})
	}
	return s
}

func (s scope) of(k kind) []string {
	var names []string
	for _, c := range s {
		if c.kind == k {
			names = append(names, c.name)
		}
	}
	return names
}

// names lists columns for a SELECT.
func names(cols []column) string {
	var list []string
	for _, c := range cols {
		list = append(list, c.name)
	}
	return strings.Join(list, ", ")
}

func alias(i int) string { return fmt.Sprintf("c%d", i) }
