package pgcatalog

import "github.com/millracedb/millrace/sql/types"

// Primary keys are the only constraints and the only indexes.

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
