package pgcatalog

import (
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

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

// fillConstraint fills pg_constraint.
func (c *catalog) fillConstraint(t *table) {
	schemas := c.schemaOIDs()
	for _, r := range c.userRelations() {
		r.addChecks(t, schemas[r.Schema])
		r.addUnique(t, schemas[r.Schema])
	}
}
