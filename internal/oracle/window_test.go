package oracle

import (
	"fmt"
	"strings"
)

// epoch is where windows are aligned.
const epoch = "timestamptz '1970-01-01 00:00:00Z'"

// window is a window on this side, and what stands for it on the other: an input that has each row once per window, and the
// expressions for its bounds.
type window struct {
	clause     string
	from       string // PostgreSQL's FROM, with {where} and {groups} where the WHERE and what the query groups by go
	group      string // what it groups by, beside what the query groups by
	start, end string
}

// window is a random window over a relation with time, called r.
func (g *gen) window(r relation) window {
	kinds := 3
	if !r.stream {
		kinds = 2 // sessions take no rows that change
	}
	switch g.IntN(kinds) {
	case 0:
		return tumbling(r, pick(g, 1, 5, 60, 7))
	case 1:
		return hopping(r, pick(g, 2, 3, 4, 5, 12), pick(g, 20, 7, 90, 1))
	default:
		return session(r, pick(g, 1, 10, 60, 180))
	}
}

func tumbling(r relation, minutes int) window {
	bin := bin("r."+r.time, minutes)
	return window{
		clause: fmt.Sprintf("TUMBLING (SIZE %d MINUTES", minutes), from: r.name + " r{where}", group: bin, start: bin,
		end: fmt.Sprintf("%s + interval '%d minutes'", bin, minutes),
	}
}

// bin is the start of the tumbling window of a time.
func bin(at string, minutes int) string {
	return fmt.Sprintf("date_bin('%d minutes', %s, %s)", minutes, at, epoch)
}

// hopping is windows whose size the advance does not divide, unless it is a minute.
func hopping(r relation, hops, advance int) window {
	size := hops*advance - advance/2
	newest := bin("r."+r.time, advance)
	starts := fmt.Sprintf("generate_series(%s - interval '%d minutes', %s, interval '%d minutes')", newest, hops*advance, newest, advance)
	in := fmt.Sprintf("(SELECT r.*, starts.at AS hop FROM %s r, %s AS starts(at) WHERE starts.at + interval '%d minutes' > r.%s) r", r.name, starts, size, r.time)
	return window{
		clause: fmt.Sprintf("HOPPING (SIZE %d MINUTES, ADVANCE BY %d MINUTES", size, advance), from: in + "{where}", group: "r.hop", start: "r.hop",
		end: fmt.Sprintf("r.hop + interval '%d minutes'", size),
	}
}

// session windows are found by the gaps between rows, which are numbered.
func session(r relation, minutes int) window {
	at := "r." + r.time
	numbered := fmt.Sprintf("(SELECT r.*, row_number() OVER (PARTITION BY {groups} ORDER BY %s) AS number FROM %s r{where}) r", at, r.name)
	begun := fmt.Sprintf("(SELECT r.*, CASE WHEN %s - lag(%s) OVER w <= interval '%d minutes' THEN 0 ELSE 1 END AS begins FROM %s "+
		"WINDOW w AS (PARTITION BY {groups} ORDER BY r.number)) r", at, at, minutes, numbered)
	islands := fmt.Sprintf("(SELECT r.*, sum(r.begins) OVER (PARTITION BY {groups} ORDER BY r.number) AS island FROM %s) r", begun)
	return window{
		clause: fmt.Sprintf("SESSION (%d MINUTES", minutes), from: islands, group: "r.island", start: fmt.Sprintf("min(%s)", at), end: fmt.Sprintf("max(%s)", at),
	}
}

// windowed groups a stream, or a table with time, by a window and, mostly, by more. With EMIT FINAL its rows are there when the time of the
// world has ended.
func (g *gen) windowed(name string) (view, bool) {
	final := g.one(2)
	from, _ := g.source(func(r relation) bool { return isTimed(r) && (r.closes || !final) })
	s, w := from.as("r"), g.window(from)
	items, cols, groups := g.grouping(s, 1+g.IntN(2))
	items = append(items, fork("windowstart", w.start)+" AS ws", fork("windowend", w.end)+" AS we")
	items, cols = g.aggregates(s, items, append(cols, column{"ws", instant}, column{"we", instant}))
	rel := relation{name: name, depth: from.depth + 1, stream: final && g.one(2)}
	at := "r." + from.time
	if from.stream {
		if from.name == "s" { // of rows with equal times any may be the last in PostgreSQL
			items, cols = g.byOffset(s, at, items, cols)
		}
		items, cols, rel.time = append(items, "max("+at+") AS at"), append(cols, column{"at", instant}), "at"
	}
	rel.cols = cols
	where, having := g.where(s), g.having(s)
	input := strings.NewReplacer("{where}", where, "{groups}", list(groups)).Replace(w.from)
	grace, emit := ")", ""
	if final {
		grace, emit = ", GRACE PERIOD 1 DAY)", " EMIT FINAL"
		having = fork(having, closedOnly(having, w.end))
	}
	query := fmt.Sprintf("SELECT %s FROM %s GROUP BY %s%s%s%s", list(items),
		fork(fmt.Sprintf("%s r%s WINDOW %s%s", from.name, where, w.clause, grace), input), list(groups), fork("", ", "+w.group), having, fork(emit, ""))
	return same(rel, query), true
}

// closedOnly adds to HAVING, on PostgreSQL's side, that the window has closed.
func closedOnly(having, end string) string {
	if having == "" {
		having = " HAVING true"
	}
	return fmt.Sprintf("%s AND %s < %s", having, end, ended)
}

// byOffset adds, now and then, an aggregate that goes by the time of rows, no two of which have the same.
func (g *gen) byOffset(s scope, at string, items []string, cols []column) ([]string, []column) {
	if !g.one(3) {
		return items, cols
	}
	x, name := g.column(s, text)+"::text", alias(len(cols))
	f, order := "latest_by_offset", " DESC"
	if g.one(2) {
		f, order = "earliest_by_offset", ""
	}
	call := fork(fmt.Sprintf("%s(%s)", f, x), fmt.Sprintf("(array_agg(%s ORDER BY %s%s) FILTER (WHERE %s IS NOT NULL))[1]", x, at, order, x))
	return append(items, call+" AS "+name), append(cols, column{name, text})
}
