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

// window is a random window over the stream s, called r.
func (g *gen) window() window {
	switch g.IntN(3) {
	case 0:
		return tumbling(pick(g, 1, 5, 60, 7))
	case 1:
		return hopping(pick(g, 2, 3, 4, 5), pick(g, 20, 7, 90, 1))
	default:
		return session(pick(g, 1, 10, 60, 180))
	}
}

func tumbling(minutes int) window {
	bin := fmt.Sprintf("date_bin('%d minutes', r.at, %s)", minutes, epoch)
	return window{
		clause: fmt.Sprintf("TUMBLING (SIZE %d MINUTES)", minutes), from: "s r{where}", group: bin, start: bin,
		end: fmt.Sprintf("%s + interval '%d minutes'", bin, minutes),
	}
}

// hopping is windows whose size the advance does not divide, unless it is a minute.
func hopping(hops, advance int) window {
	size := hops*advance - advance/2
	newest := fmt.Sprintf("date_bin('%d minutes', r.at, %s)", advance, epoch)
	starts := fmt.Sprintf("generate_series(%s - interval '%d minutes', %s, interval '%d minutes')", newest, hops*advance, newest, advance)
	in := fmt.Sprintf("(SELECT r.*, starts.at AS ws FROM s r, %s AS starts(at) WHERE starts.at + interval '%d minutes' > r.at) r", starts, size)
	return window{
		clause: fmt.Sprintf("HOPPING (SIZE %d MINUTES, ADVANCE BY %d MINUTES)", size, advance), from: in + "{where}", group: "r.ws", start: "r.ws",
		end: fmt.Sprintf("r.ws + interval '%d minutes'", size),
	}
}

// session windows are found by the gaps between rows, which are numbered.
func session(minutes int) window {
	numbered := "(SELECT r.*, row_number() OVER (PARTITION BY {groups} ORDER BY r.at) AS number FROM s r{where}) r"
	begun := fmt.Sprintf("(SELECT r.*, CASE WHEN r.at - lag(r.at) OVER w <= interval '%d minutes' THEN 0 ELSE 1 END AS begins FROM %s "+
		"WINDOW w AS (PARTITION BY {groups} ORDER BY r.number)) r", minutes, numbered)
	islands := fmt.Sprintf("(SELECT r.*, sum(r.begins) OVER (PARTITION BY {groups} ORDER BY r.number) AS island FROM %s) r", begun)
	return window{
		clause: fmt.Sprintf("SESSION (%d MINUTES)", minutes), from: islands, group: "r.island", start: "min(r.at)", end: "max(r.at)",
	}
}

// windowed groups the stream by a window and, mostly, by more.
func (g *gen) windowed(name string) (view, bool) {
	s := g.rels[len(base)-1].as("r")
	w := g.window()
	items, cols, groups := g.grouping(s, 1+g.IntN(2))
	rest, cols := g.aggregates(s, nil, append(cols, column{"ws", instant}, column{"we", instant}))
	where, having := g.where(s), g.having(s)
	columns := func(start, end string) string {
		return list(append(append(append([]string{}, items...), start+" AS ws", end+" AS we"), rest...))
	}
	return view{
		relation: relation{name: name, cols: cols, depth: 1},
		millrace: fmt.Sprintf("CREATE TABLE %s AS SELECT %s FROM s r%s WINDOW %s GROUP BY %s%s", name, columns("windowstart", "windowend"), where,
			w.clause, list(groups), having),
		postgres: fmt.Sprintf("CREATE VIEW %s AS SELECT %s FROM %s GROUP BY %s, %s%s", name, columns(w.start, w.end),
			strings.NewReplacer("{where}", where, "{groups}", list(groups)).Replace(w.from), list(groups), w.group, having),
	}, true
}
