package oracle

import (
	"fmt"
	"strings"
	"time"
)

// start is the time of the first rows of the stream; all lie within twelve hours, so that none is late.
var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

const span = 12 * time.Hour

// ending is the time of the rows that end a world's time: by then every window has closed and every row has found its partners or never will.
// PostgreSQL knows in the table ended that it has come; what is before endedAt is over then.
var (
	ending  = start.Add(30 * 24 * time.Hour)
	endedAt = start.Add(15 * 24 * time.Hour)
)

const ended = "(SELECT ended.at FROM ended)"

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
		to := g.update(b.cols, c.kind)
		if c.name == b.time {
			to = g.constant(instant)
		}
		return fmt.Sprintf("UPDATE %s SET %s = %s WHERE %s", b.name, c.name, to, g.condition(bare(b.cols), 1))
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

// cell is a value for a column of r. Every row has its time.
func (g *gen) cell(r relation, c column) string {
	if c.name == r.time {
		return g.constant(c.kind)
	}
	return g.value(c.kind)
}

// insert writes a few rows with keys of a small range, so that many are there already.
func (g *gen) insert(r relation) string {
	keys := g.free(r.name)
	seen := map[string]bool{}
	var rows []string
	for range 1 + g.IntN(6) {
		var key, cells []string
		for i, c := range r.cols {
			if i >= keys {
				cells = append(cells, g.cell(r, c))
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
		rows = append(rows, g.streamRow(start.Add(time.Duration(g.Int64N(int64(span/time.Millisecond)))*time.Millisecond)))
	}
	return "INSERT INTO s VALUES " + strings.Join(rows, ", ")
}

func (g *gen) streamRow(at time.Time) string {
	g.seq++
	return fmt.Sprintf("(%d, %s, %s, %s, '%s')", g.seq-1, g.value(integer), g.value(text), g.value(integer), at.Format(time.RFC3339Nano))
}

// end is the rows that end a world's time, in each partition of what has time: each INSERT into a stream without key goes to the next
// partition, and a few dozen keys of a table are in all of them.
func (g *gen) end(partitions int) []string {
	var changes, rows []string
	for i := range 64 {
		rows = append(rows, fmt.Sprintf("(%d, %d, %s, %s, '%s')", 1000+i, i, g.value(integer), g.value(text), ending.Format(time.RFC3339)))
	}
	changes = append(changes, "INSERT INTO w VALUES "+list(rows))
	for i := range partitions {
		changes = append(changes, "INSERT INTO s VALUES "+g.streamRow(ending.Add(time.Duration(i)*time.Millisecond)))
	}
	return changes
}
