package oracle

import "fmt"

// windowTable is TUMBLE(), HOP() or SESSION() in FROM, called r.
type windowTable struct {
	from    string
	updates bool // over a stream too: a row's session may grow
}

func (g *gen) windowTable(r relation, at string) windowTable {
	switch g.IntN(3) {
	case 0:
		return tumble(r.name, at, pick(g, 1, 5, 60, 7))
	case 1:
		return hop(r.name, at, pick(g, 2, 3, 5), pick(g, 20, 7, 90))
	default:
		k := r.cols[g.IntN(len(r.cols))]
		if k.kind == double || k.kind == numeric {
			return sessions(r.name, at, pick(g, 10, 60, 180), "")
		}
		return sessions(r.name, at, pick(g, 10, 60, 180), pick(g, k.name, k.name, ""))
	}
}

func tumble(table, at string, minutes int) windowTable {
	start := bin("x."+at, minutes)
	return windowTable{from: fork(fmt.Sprintf("TUMBLE(%s, %s, INTERVAL '%d minutes') AS r", table, at, minutes),
		fmt.Sprintf("(SELECT x.*, %s AS windowstart, %s + interval '%d minutes' AS windowend FROM %s x WHERE x.%s IS NOT NULL) r", start, start, minutes, table, at))}
}

func hop(table, at string, hops, advance int) windowTable {
	size := hops*advance - advance/2
	newest := bin("x."+at, advance)
	return windowTable{from: fork(fmt.Sprintf("HOP(%s, %s, INTERVAL '%d minutes', INTERVAL '%d minutes') AS r", table, at, size, advance),
		fmt.Sprintf("(SELECT x.*, starts.at AS windowstart, starts.at + interval '%d minutes' AS windowend FROM %s x, "+
			"generate_series(%s - interval '%d minutes', %s, interval '%d minutes') AS starts(at) WHERE starts.at + interval '%d minutes' > x.%s) r",
			size, table, newest, hops*advance, newest, advance, size, at))}
}

// sessions are those of a key, or of all rows.
func sessions(table, at string, minutes int, key string) windowTable {
	arg, by := "", ""
	if key != "" {
		arg, by = ", "+key, "PARTITION BY x."+key
	}
	begun := fmt.Sprintf("(SELECT x.*, CASE WHEN x.%s - lag(x.%s) OVER (%s ORDER BY x.%s) <= interval '%d minutes' THEN 0 ELSE 1 END AS begins FROM %s x WHERE x.%s IS NOT NULL) x",
		at, at, by, at, minutes, table, at)
	islands := fmt.Sprintf("(SELECT x.*, sum(x.begins) OVER (%s ORDER BY x.%s) AS island FROM %s) x", by, at, begun)
	within := "PARTITION BY x.island"
	if key != "" {
		within += ", x." + key
	}
	return windowTable{updates: true, from: fork(fmt.Sprintf("SESSION(%s, %s, INTERVAL '%d minutes'%s) AS r", table, at, minutes, arg),
		fmt.Sprintf("(SELECT x.*, min(x.%s) OVER (%s) AS windowstart, max(x.%s) OVER (%s) AS windowend FROM %s) r", at, within, at, within, islands))}
}
