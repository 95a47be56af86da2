package pgcatalog

import (
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// Primary keys and CHECK are the constraints; the indexes are those of primary keys.

// checkOID is the OID of a CHECK constraint of a table.
func checkOID(table uint32, i int) uint32 {
	return 3<<30 | (table*maxChecks+uint32(i))&(1<<30-1)
}

// maxChecks is how many CHECK constraints of a table have an OID of their own.
const maxChecks = 64

// checkByOID finds a CHECK constraint.
func (c *catalog) checkByOID(o uint32) (planner.Check, bool) {
	if o>>30 != 3 {
		return planner.Check{}, false
	}
	for _, r := range c.userRelations() {
		for i, k := range r.Checks {
			if checkOID(r.OID, i) == o {
				return k, true
			}
		}
	}
	return planner.Check{}, false
}

// addChecks adds the CHECK constraints of a table to pg_constraint.
func (r relation) addChecks(t *table, schema uint32) {
	for i, k := range r.Checks {
		attnums := make([]int64, len(k.Columns))
		for n, ord := range k.Columns {
			attnums[n] = int64(ord + 1)
		}
		t.add(row{
			"oid": oid(checkOID(r.OID, i)), "conname": text(k.Name), "connamespace": oid(schema), "contype": text("c"), "convalidated": flag(true),
			"conrelid": oid(r.OID), "confupdtype": text(" "), "confdeltype": text(" "), "confmatchtype": text(" "), "conislocal": flag(true),
			"conkey": list(types.Int2, attnums), "conbin": text(k.Text),
		})
	}
}

// fillIndex fills pg_index.
func (c *catalog) fillIndex(t *table) {
	for _, r := range c.userRelations() {
		key := r.primaryKey()
		if len(key) == 0 {
			continue
		}
		attnums, classes, collations, options := make([]int64, len(key)), make([]int64, len(key)), make([]int64, len(key)), make([]int64, len(key))
		for i, k := range key {
			typ := r.Columns[k].Type
			attnums[i], classes[i], collations[i] = int64(k+1), int64(opclassOf(typ)), int64(typeCollation(typ))
		}
		t.add(row{
			"indexrelid": oid(indexOID(r.OID)), "indrelid": oid(r.OID), "indnatts": num(int64(len(key))), "indnkeyatts": num(int64(len(key))),
			"indisunique": flag(true), "indisprimary": flag(true), "indimmediate": flag(true), "indisvalid": flag(true), "indisready": flag(true),
			"indislive": flag(true), "indkey": int2s(attnums...), "indcollation": oids(collations...), "indclass": oids(classes...), "indoption": int2s(options...),
		})
	}
}

// fillConstraint fills pg_constraint.
func (c *catalog) fillConstraint(t *table) {
	schemas := c.schemaOIDs()
	for _, r := range c.userRelations() {
		r.addChecks(t, schemas[r.Schema])
		key := r.primaryKey()
		if len(key) == 0 {
			continue
		}
		attnums := make([]int64, len(key))
		for i, k := range key {
			attnums[i] = int64(k + 1)
		}
		t.add(row{
			"oid": oid(indexOID(r.OID)), "conname": text(r.keyName()), "connamespace": oid(schemas[r.Schema]), "contype": text("p"), "convalidated": flag(true),
			"conrelid": oid(r.OID), "conindid": oid(indexOID(r.OID)), "confupdtype": text(" "), "confdeltype": text(" "), "confmatchtype": text(" "),
			"conislocal": flag(true), "connoinherit": flag(true), "conkey": list(types.Int2, attnums),
		})
	}
}

// fillIndexes fills pg_indexes.
func (c *catalog) fillIndexes(t *table) {
	for _, r := range c.userRelations() {
		if len(r.primaryKey()) > 0 {
			t.add(row{"schemaname": text(r.Schema), "tablename": text(r.Name), "indexname": text(r.keyName()), "indexdef": text(r.indexText(true))})
		}
	}
}

// fillStatIndexes fills pg_stat_user_indexes. Nothing is counted.
func (c *catalog) fillStatIndexes(t *table) {
	for _, r := range c.userRelations() {
		if len(r.primaryKey()) > 0 {
			t.add(row{
				"relid": oid(r.OID), "indexrelid": oid(indexOID(r.OID)), "schemaname": text(r.Schema), "relname": text(r.Name), "indexrelname": text(r.keyName()),
				"idx_scan": num(0), "idx_tup_read": num(0), "idx_tup_fetch": num(0),
			})
		}
	}
}
