package pgcatalog

import (
	"strings"

	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// index is an index of a table as pg_index shows it: that of the primary key, or one beside it.
type index struct {
	oid     uint32
	name    string
	cols    []int
	unique  bool
	primary bool
	// constraint is the letter of the constraint behind it, 0 for none.
	constraint byte
}

// indexes are those of a table, that of the primary key first.
func (r relation) indexes() []index {
	var out []index
	if key := r.primaryKey(); len(key) > 0 {
		out = append(out, index{oid: indexOID(r.OID), name: r.keyName(), cols: key, unique: true, primary: true, constraint: 'p'})
	}
	for _, ix := range r.Indexes {
		x := index{oid: ix.OID, name: ix.Name, cols: ix.Cols, unique: ix.Unique, primary: ix.Primary}
		switch {
		case ix.Primary:
			x.constraint = 'p'
		case ix.Constraint:
			x.constraint = 'u'
		}
		out = append(out, x)
	}
	return out
}

// uniqueConstraints are the indexes with a constraint behind them.
func (r relation) uniqueConstraints() []index {
	var out []index
	for _, ix := range r.indexes() {
		if ix.constraint != 0 {
			out = append(out, ix)
		}
	}
	return out
}

// word is what the constraint is called.
func (ix index) word() string {
	if ix.primary {
		return "PRIMARY KEY"
	}
	return "UNIQUE"
}

// columnList are the names of an index's columns.
func (r relation) columnList(ix index) string {
	var names []string
	for _, k := range ix.cols {
		names = append(names, sql.QuoteIdent(r.Columns[k].Name))
	}
	return strings.Join(names, ", ")
}

// indexText is the statement that would make an index.
func (r relation) indexText(ix index, qualified bool) string {
	table := sql.QuoteIdent(r.Name)
	if qualified {
		table = sql.QuoteIdent(r.Schema) + "." + table
	}
	create := "CREATE INDEX "
	if ix.unique {
		create = "CREATE UNIQUE INDEX "
	}
	return create + sql.QuoteIdent(ix.name) + " ON " + table + " USING btree (" + r.columnList(ix) + ")"
}

// attnums are the numbers of an index's columns in its table.
func (ix index) attnums() []int64 {
	out := make([]int64, len(ix.cols))
	for i, k := range ix.cols {
		out[i] = int64(k + 1)
	}
	return out
}

// classByOID finds a row of pg_class: a relation, or with ix the table of an index.
func (c *catalog) classByOID(oid uint32) (r relation, ix *index, ok bool) {
	if table, isKey := tableOfIndex(oid); isKey {
		if r, ok = c.relationByOID(table); !ok || len(r.primaryKey()) == 0 {
			return r, nil, false
		}
		return r, &r.indexes()[0], true
	}
	if r, ok = c.relationByOID(oid); ok {
		return r, nil, true
	}
	for _, r := range c.userRelations() {
		for _, ix := range r.indexes() {
			if ix.oid == oid {
				return r, &ix, true
			}
		}
	}
	return relation{}, nil, false
}

// indexByName finds an index.
func (c *catalog) indexByName(schema, name string) (oid uint32, ok bool) {
	for _, r := range c.userRelations() {
		if r.Schema != schema {
			continue
		}
		for _, ix := range r.indexes() {
			if ix.name == name {
				return ix.oid, true
			}
		}
	}
	return 0, false
}

// fillIndex fills pg_index.
func (c *catalog) fillIndex(t *table) {
	for _, r := range c.userRelations() {
		for _, ix := range r.indexes() {
			n := len(ix.cols)
			classes, collations, options := make([]int64, n), make([]int64, n), make([]int64, n)
			for i, k := range ix.cols {
				typ := r.Columns[k].Type
				classes[i], collations[i] = int64(opclassOf(typ)), int64(typeCollation(typ))
			}
			t.add(row{
				"indexrelid": oid(ix.oid), "indrelid": oid(r.OID), "indnatts": num(int64(n)), "indnkeyatts": num(int64(n)),
				"indisunique": flag(ix.unique), "indisprimary": flag(ix.primary), "indimmediate": flag(true), "indisvalid": flag(true), "indisready": flag(true),
				"indislive": flag(true), "indkey": int2s(ix.attnums()...), "indcollation": oids(collations...), "indclass": oids(classes...), "indoption": int2s(options...),
			})
		}
	}
}

// addUnique adds the constraints behind a table's indexes to pg_constraint.
func (r relation) addUnique(t *table, schema uint32) {
	for _, ix := range r.uniqueConstraints() {
		t.add(row{
			"oid": oid(ix.oid), "conname": text(ix.name), "connamespace": oid(schema), "contype": text(string(ix.constraint)), "convalidated": flag(true),
			"conrelid": oid(r.OID), "conindid": oid(ix.oid), "confupdtype": text(" "), "confdeltype": text(" "), "confmatchtype": text(" "),
			"conislocal": flag(true), "connoinherit": flag(true), "conkey": list(types.Int2, ix.attnums()),
		})
	}
}

// fillIndexes fills pg_indexes.
func (c *catalog) fillIndexes(t *table) {
	for _, r := range c.userRelations() {
		for _, ix := range r.indexes() {
			t.add(row{"schemaname": text(r.Schema), "tablename": text(r.Name), "indexname": text(ix.name), "indexdef": text(r.indexText(ix, true))})
		}
	}
}

// fillStatIndexes fills pg_stat_user_indexes. Nothing is counted.
func (c *catalog) fillStatIndexes(t *table) {
	for _, r := range c.userRelations() {
		for _, ix := range r.indexes() {
			t.add(row{
				"relid": oid(r.OID), "indexrelid": oid(ix.oid), "schemaname": text(r.Schema), "relname": text(r.Name), "indexrelname": text(ix.name),
				"idx_scan": num(0), "idx_tup_read": num(0), "idx_tup_fetch": num(0),
			})
		}
	}
}
