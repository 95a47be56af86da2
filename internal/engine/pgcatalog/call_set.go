package pgcatalog

import (
	"strings"

	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// setCalls are the set-returning functions by planner.Func.ID.
var setCalls = map[string]func(c *catalog, args []types.Datum) [][]types.Datum{
	// Nothing is partitioned the way PostgreSQL means it, so a relation is its only ancestor where it has one at all.
	"pg_partition_ancestors(regclass)": func(*catalog, []types.Datum) [][]types.Datum { return nil },
	"pg_timezone_names()":              func(c *catalog, _ []types.Datum) [][]types.Datum { return c.timezoneNames() },
	"pg_listening_channels()":          listeningChannels,
	"pg_show_all_settings()":           func(c *catalog, _ []types.Datum) [][]types.Datum { return c.allSettings() },
	"pg_options_to_table(text[])":      func(_ *catalog, args []types.Datum) [][]types.Datum { return options(args[0]) },
	"pg_get_keywords()":                func(*catalog, []types.Datum) [][]types.Datum { return keywords() },
}

func listeningChannels(c *catalog, _ []types.Datum) [][]types.Datum {
	var out [][]types.Datum
	for _, name := range c.s.ListeningChannels() {
		out = append(out, []types.Datum{text(name)})
	}
	return out
}

// allSettings are the columns of pg_settings that every setting has.
func (c *catalog) allSettings() [][]types.Datum {
	t := &table{v: shapes.byName[qname{schemaPgCatalog, "pg_settings"}]}
	c.fillSettings(t)
	out := make([][]types.Datum, len(t.rows))
	for i, r := range t.rows {
		for _, column := range []string{"name", "setting", "category", "short_desc", "context", "vartype", "source", "boot_val", "reset_val"} {
			out[i] = append(out[i], r[t.v.ordinal[column]])
		}
	}
	return out
}

// options splits a list of option=value.
func options(list types.Datum) [][]types.Datum {
	var out [][]types.Datum
	for it := types.NewElements(list.S); it.Next(types.Of(types.Text)); {
		name, value, ok := strings.Cut(it.Value.S, "=")
		r := []types.Datum{text(name), types.NullDatum}
		if ok {
			r[1] = text(value)
		}
		out = append(out, r)
	}
	return out
}

// keywordList are the key words of PostgreSQL 15 and of Millrace that a client may meet in SQL.
const keywordList = `all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean both case cast changes
char character check coalesce collate collation column concurrently constraint create cross current_catalog current_date current_role
current_schema current_time current_timestamp current_user dec decimal default deferrable desc distinct do else emit end except exists extract
false fetch float for foreign freeze from full grace grant greatest group grouping having hopping ilike in initially inner inout int integer intersect
interval into is isnull join lateral leading least left like limit localtime localtimestamp materialized national natural nchar none normalize not
notnull null nullif numeric offset on only or order out outer overlaps overlay partition placing position precision primary query real references
returning right row select session session_user setof similar smallint some stream substring symmetric table tablesample then time timestamp to
trailing treat trim true tumbling union unique user using values varchar variadic verbose view watermark when where window with within`

// keywords lists words with PostgreSQL's classes: R reserved, U not. A word that has to be quoted to be a name is reserved.
func keywords() [][]types.Datum {
	var out [][]types.Datum
	for w := range strings.FieldsSeq(keywordList) {
		class, desc := "U", "unreserved"
		if sql.QuoteIdent(w) != w {
			class, desc = "R", "reserved"
		}
		out = append(out, []types.Datum{text(w), text(class), flag(class == "U"), text(desc), text("can be bare label")})
	}
	return out
}
