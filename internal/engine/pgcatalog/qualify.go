package pgcatalog

import (
	"slices"
	"strings"

	"github.com/millracedb/millrace/sql"
)

// Definitions are kept as they were written. Whoever asks for one under a search path that does not find the names in it, as pg_dump does with an empty one, gets
// them with their schemas.

// hiddenTypes are the user's types that a text may name and that the search path does not find, by name: schemas.
func (c *catalog) hiddenTypes(definition string) map[string]string {
	out := map[string]string{}
	for _, u := range c.w.Types() {
		if strings.Contains(definition, u.Name) && !c.typeVisible(u) {
			out[u.Name] = u.Schema
		}
	}
	return out
}

// qualifyExpr gives the types in an expression their schemas where they need them.
func (c *catalog) qualifyExpr(text string) string {
	hidden := c.hiddenTypes(text)
	if len(hidden) == 0 {
		return text
	}
	const before = "SELECT "
	parsed, err := sql.ParseOne(before+text, sql.Options{})
	if err != nil {
		return text
	}
	qualify(parsed.Statement, nil, hidden)
	return strings.TrimPrefix(sql.String(parsed.Statement), before)
}

// qualifyView does the same for the query of a view, and for the relations that it reads.
func (c *catalog) qualifyView(r relation) string {
	hidden, types := map[string]string{}, c.hiddenTypes(r.ViewText)
	for _, o := range c.w.Needs(r.OID) {
		if of, ok := c.relationByOID(o); ok && !c.visible(of.Relation) {
			hidden[of.Name] = of.Schema
		}
	}
	if len(hidden)+len(types) == 0 {
		return r.ViewText
	}
	parsed, err := sql.ParseOne(r.ViewText, sql.Options{})
	if err != nil {
		return r.ViewText
	}
	sql.Inspect(parsed.Statement, func(n sql.Node) {
		if cte, ok := n.(*sql.CTE); ok {
			delete(hidden, cte.Name)
		}
	})
	qualify(parsed.Statement, hidden, types)
	return sql.String(parsed.Statement)
}

// qualify gives bare names of tables and types the schemas in the maps.
func qualify(tree sql.Node, tables, types map[string]string) {
	sql.Inspect(tree, func(n sql.Node) {
		switch n := n.(type) {
		case *sql.Table:
			if schema := tables[n.Name.Object()]; schema != "" && len(n.Name.Parts) == 1 {
				if n.Alias == nil {
					n.Alias = &sql.Alias{Pos: n.Pos, Name: n.Name.Object()}
				}
				n.Name.Parts = slices.Insert(n.Name.Parts, 0, schema)
			}
		case *sql.TypeName:
			if n.Schema == "" {
				n.Schema = types[n.Name]
			}
		}
	})
}
