package oracle

import (
	"fmt"
	"strings"
	"time"
)

// start is the time of the first rows of the stream; all lie within twelve hours, so that none is late.
var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

const span = 12 * time.Hour

// value is a literal for a column, sometimes NULL. Doubles are multiples of a quarter: their sums do not depend on the order.
func (g *gen) value(k kind) string {
	if g.one(8) {
		return "NULL"
	}
	return g.constant(k)
}

// change is a statement that changes a table, the same on both sides. The first rounds insert more than they delete.
func (g *gen) change() string {
	b := base[g.IntN(len(base)-1)]
	switch g.IntN(6) {
	case 0:
		return fmt.Sprintf("DELETE FROM %s WHERE %s", b.name, g.condition(bare(b.cols), 1))
	case 1, 2:
		// Not of keys: whether an UPDATE that moves keys collides on its way depends on the order of rows.
		i := g.free(b.name)
		c := b.cols[i+g.IntN(len(b.cols)-i)]
		return fmt.Sprintf("UPDATE %s SET %s = %s WHERE %s", b.name, c.name, g.update(b.cols, c.kind), g.condition(bare(b.cols), 1))
	default:
		return g.insert(b.relation)
	}
}

func (g *gen) update(cols []column, k kind) string {
	if g.one(3) {
		return g.value(k)
	}
	if k == double || k == numeric { // repeated doubling would grow without end
		return g.constant(k)
	}
	if k == integer {
		return fmt.Sprintf("(%s + 1) %% 7", g.column(bare(cols), integer))
	}
	return g.value(k)
}

// free is the first column that is not of the key.
func (g *gen) free(table string) int {
	if table == "w" {
		return 2
	}
	return 1
}

func bare(cols []column) scope { return scope(cols) }

// insert writes a few rows with keys of a small range, so that many are there already.
func (g *gen) insert(r relation) string {
	keys := g.free(r.name)
	seen := map[string]bool{}
	var rows []string
	for range 1 + g.IntN(6) {
		var key, cells []string
		for i, c := range r.cols {
			if i >= keys {
				cells = append(cells, g.value(c.kind))
				continue
			}
			v := g.constant(c.kind)
			if keys == 1 && c.kind == integer {
				v = fmt.Sprint(g.IntN(20))
			}
			key, cells = append(key, v), append(cells, v)
		}
		if id := list(key); !seen[id] { // ON CONFLICT may not meet a row twice
			seen[id] = true
			rows = append(rows, "("+list(cells)+")")
		}
	}
	q := fmt.Sprintf("INSERT INTO %s VALUES %s ON CONFLICT (%s) DO ", r.name, list(rows), names(r.cols[:keys]))
	if g.one(4) {
		return q + "NOTHING"
	}
	var sets []string
	for _, c := range r.cols[keys:] {
		sets = append(sets, fmt.Sprintf("%s = excluded.%s", c.name, c.name))
	}
	return q + "UPDATE SET " + list(sets)
}

// streamRows writes rows to the stream, in an order that is not that of time.
func (g *gen) streamRows() string {
	var rows []string
	for range 1 + g.IntN(12) {
		at := start.Add(time.Duration(g.Int64N(int64(span/time.Millisecond))) * time.Millisecond)
		rows = append(rows, fmt.Sprintf("(%d, %s, %s, %s, '%s')", g.seq, g.value(integer), g.value(text), g.value(integer), at.Format(time.RFC3339Nano)))
		g.seq++
	}
	return "INSERT INTO s VALUES " + strings.Join(rows, ", ")
}
