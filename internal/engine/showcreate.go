package engine

import (
	"context"
	"slices"
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/replication/metadata"
	"github.com/millracedb/millrace/sql"
)

// showCreate runs SHOW CREATE: the statement that made a relation, and those that lead from there to what it is now, a row each.
func (s *session) showCreate(ctx context.Context, q *sql.ShowCreate) (rows, error) {
	cat := s.catalog()
	o, err := cat.object(q.Name)
	if err != nil {
		return nil, err
	}
	def, err := relationDef(o)
	if err != nil {
		return nil, err
	}
	rel, err := s.e.relation(ctx, cat.img, o)
	if err != nil {
		return nil, err
	}
	statements, err := alterStatements(o, def)
	if err != nil {
		return nil, err
	}
	var lines [][]string
	for _, text := range append(statements, indexStatements(rel)...) {
		lines = append(lines, []string{text})
	}
	return textRows(textColumns("statement"), lines), nil
}

// alterStatements are the CREATE of a relation and the ALTERs since, with the renames between them.
func alterStatements(o *metadata.Object, def definition) ([]string, error) {
	parsed, err := sql.ParseOne(def.Statement, newSettings(def.Settings).reading())
	if err != nil {
		return nil, err
	}
	create, ok := parsed.Statement.(*sql.CreateRelation)
	if !ok {
		return nil, sqlerr.New(sqlerr.DataCorrupted, "its definition is no CREATE statement")
	}
	out, name := []string{def.Statement}, create.Name.Object()
	rename := func(to string) {
		if to != name {
			out = append(out, "ALTER "+strings.ToUpper(kindWord(o.Kind))+" "+sql.QuoteIdent(name)+" RENAME TO "+sql.QuoteIdent(to))
			name = to
		}
	}
	for _, a := range def.Alters[len(def.Shapes):] { // those before the last CREATE OR REPLACE are in its statement
		parsed, err := sql.ParseOne(a.Statement, sql.Options{})
		if err != nil {
			return nil, err
		}
		if alter, ok := parsed.Statement.(*sql.Alter); ok {
			rename(alter.Name.Object())
		}
		out = append(out, a.Statement)
	}
	rename(o.Name)
	return out, nil
}

// indexStatements make the indexes and constraints that a table has got since its CREATE, and drop those that it has lost.
func indexStatements(rel *planner.Relation) []string {
	var out []string
	table := sql.QuoteIdent(rel.Name)
	list := func(cols []int) string {
		names := make([]string, len(cols))
		for i, ord := range cols {
			names[i] = sql.QuoteIdent(rel.Columns[ord].Name)
		}
		return " (" + strings.Join(names, ", ") + ")"
	}
	for _, ix := range rel.Indexes {
		made := ix.Constraint && slices.ContainsFunc(rel.Uniques, func(u planner.Unique) bool { return slices.Equal(u.Cols, ix.Cols) })
		switch name := sql.QuoteIdent(ix.Name); {
		case made:
		case ix.Primary:
			out = append(out, "ALTER TABLE "+table+" ADD CONSTRAINT "+name+" PRIMARY KEY"+list(ix.Cols))
		case ix.Constraint:
			out = append(out, "ALTER TABLE "+table+" ADD CONSTRAINT "+name+" UNIQUE"+list(ix.Cols))
		case ix.Unique:
			out = append(out, "CREATE UNIQUE INDEX "+name+" ON "+table+list(ix.Cols))
		default:
			out = append(out, "CREATE INDEX "+name+" ON "+table+list(ix.Cols))
		}
	}
	return out
}
