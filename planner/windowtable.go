package planner

import (
	"fmt"
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql"
)

// TUMBLE(t, ts, size), HOP(t, ts, size, advance) and SESSION(t, ts, gap, key...) in FROM give the rows of a relation with the bounds of their
// windows, as windowstart and windowend: HOP a row once per window, SESSION with the rows' sessions by key. ts is any expression over the
// relation; rows without time are in no window. Each is a query over the relation, like a view.

// windowTables says how many arguments each takes.
var windowTables = map[string]struct{ least, most int }{"tumble": {3, 3}, "hop": {4, 4}, "session": {3, 1000}}

// isWindowTable reports whether a call in FROM is one of these: then its first argument is a relation's name.
func isWindowTable(call *sql.FuncCall) bool {
	if _, ok := windowTables[call.Name]; !ok || len(call.Args) == 0 {
		return false
	}
	_, ok := call.Args[0].Value.(*sql.ColumnRef)
	return ok
}

func (b *binder) bindWindowTable(f *sql.TableFunc, call *sql.FuncCall) (Node, *scope, error) {
	word := strings.ToUpper(call.Name)
	if n := windowTables[call.Name]; len(call.Args) < n.least || len(call.Args) > n.most {
		return nil, nil, sqlerr.New(sqlerr.UndefinedFunction, "%s does not take %d arguments", word, len(call.Args)).
			WithHint("TUMBLE(table, time, size), HOP(table, time, size, advance), SESSION(table, time, gap, key...).").At(call.Offset())
	}
	ref := call.Args[0].Value.(*sql.ColumnRef)
	table := &sql.Table{Pos: ref.Pos, Name: &sql.Name{Pos: ref.Pos, Parts: ref.Parts}}
	_, sc, err := b.bindTable(table)
	if err != nil {
		return nil, nil, err
	}
	text := windowTableQuery(call, table.Name, sc)
	parsed, err := sql.ParseOne(text, sql.Options{})
	if err != nil {
		return nil, nil, sqlerr.From(err).At(call.Offset())
	}
	b.st.copying++
	n, err := b.beside().bindQuery(parsed.Statement.(*sql.Query))
	b.st.copying--
	if err != nil { // a position inside the made text would point at the wrong place
		return nil, nil, sqlerr.From(err).At(call.Offset())
	}
	out := scopeOf(n, call.Name)
	if f.Alias != nil {
		err = renameScope(out, f.Alias, call.Name, f.Pos)
	}
	return n, out, err
}

// windowTableQuery is the query that a call stands for. sc is the scope of the relation.
func windowTableQuery(call *sql.FuncCall, table *sql.Name, sc *scope) string {
	arg := func(i int) string { return "(" + sql.String(call.Args[i].Value) + ")" }
	var cols []string
	for _, c := range sc.cols {
		if c.star {
			cols = append(cols, sql.QuoteIdent(c.name))
		}
	}
	var parts []string
	for _, p := range table.Parts {
		parts = append(parts, sql.QuoteIdent(p))
	}
	name, alias := strings.Join(parts, "."), sql.QuoteIdent(table.Object())
	list, at, size := strings.Join(cols, ", "), arg(1), arg(2)
	const origin = "'1970-01-01 00:00:00+00'"
	switch call.Name {
	case "tumble":
		start := fmt.Sprintf("date_bin(%s, %s, %s)", size, at, origin)
		return fmt.Sprintf("SELECT %s, %s AS windowstart, %s + %s AS windowend FROM %s WHERE %s IS NOT NULL", list, start, start, size, name, at)
	case "hop":
		advance := arg(3)
		newest := fmt.Sprintf("date_bin(%s, %s, %s)", advance, at, origin)
		return fmt.Sprintf(`SELECT %s, "?start" AS windowstart, "?start" + %s AS windowend FROM %s, LATERAL generate_series(%s, %s - %s, -%s) AS "?hops"("?start")
			WHERE "?start" + %s > %s`, list, size, name, newest, newest, size, advance, size, at)
	}
	own, keys := []string{at + ` AS "?at"`}, []string(nil) // pseudo columns are not among the columns of a subquery
	for i := 3; i < len(call.Args); i++ {
		key := fmt.Sprintf(`"?key%d"`, i)
		own, keys = append(own, arg(i)+" AS "+key), append(keys, key)
	}
	by := func(more ...string) string {
		if keys := append(keys[:len(keys):len(keys)], more...); len(keys) > 0 {
			return "PARTITION BY " + strings.Join(keys, ", ")
		}
		return ""
	}
	timed := fmt.Sprintf(`SELECT *, %s FROM %s WHERE %s IS NOT NULL`, strings.Join(own, ", "), name, at)
	begins := fmt.Sprintf(`SELECT *, CASE WHEN "?at" - lag("?at") OVER (%s ORDER BY "?at") <= %s THEN 0 ELSE 1 END AS "?begins" FROM (%s) AS %s`, by(), size, timed, alias)
	numbered := fmt.Sprintf(`SELECT *, sum("?begins") OVER (%s ORDER BY "?at") AS "?session" FROM (%s) AS %s`, by(), begins, alias)
	return fmt.Sprintf(`SELECT %s, min("?at") OVER (%s) AS windowstart, max("?at") OVER (%s) AS windowend FROM (%s) AS %s`,
		list, by(`"?session"`), by(`"?session"`), numbered, alias)
}
