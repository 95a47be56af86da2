package pgcatalog

// The views of pg_catalog over relations: pg_tables, pg_views and their like (PostgreSQL docs, chapter 54).

func (c *catalog) fillTables(t *table) {
	for _, r := range c.relations() {
		if r.kind == 'r' {
			t.add(row{
				"schemaname": text(r.Schema), "tablename": text(r.Name), "tableowner": text(c.owner(r)), "hasindexes": flag(len(r.indexes()) > 0),
				"hasrules": flag(false), "hastriggers": flag(false), "rowsecurity": flag(false),
			})
		}
	}
}

func (c *catalog) fillViews(t *table) {
	for _, r := range c.relations() {
		if r.kind == 'v' {
			t.add(row{"schemaname": text(r.Schema), "viewname": text(r.Name), "viewowner": text(c.owner(r)), "definition": viewDef(c, r.OID)})
		}
	}
}

func (c *catalog) fillMatviews(t *table) {
	for _, r := range c.relations() {
		if r.kind == 'm' {
			t.add(row{
				"schemaname": text(r.Schema), "matviewname": text(r.Name), "matviewowner": text(c.owner(r)), "hasindexes": flag(len(r.indexes()) > 0),
				"ispopulated": flag(true), "definition": viewDef(c, r.OID),
			})
		}
	}
}

// owner is who owns a relation; what is built in is the first role's.
func (c *catalog) owner(r relation) string {
	if r.Owner != "" {
		return r.Owner
	}
	return c.bootstrap()
}

// fillStatAllTables fills pg_stat_all_tables, fillStatUserTables pg_stat_user_tables. Nothing is counted.
func (c *catalog) fillStatAllTables(t *table)  { c.fillStatTables(t, 0) }
func (c *catalog) fillStatUserTables(t *table) { c.fillStatTables(t, firstUserOID) }

var tableCounters = []string{
	"seq_scan", "seq_tup_read", "n_tup_ins", "n_tup_upd", "n_tup_del", "n_tup_hot_upd", "n_live_tup", "n_dead_tup", "n_mod_since_analyze",
	"n_ins_since_vacuum", "vacuum_count", "autovacuum_count", "analyze_count", "autoanalyze_count",
}

func (c *catalog) fillStatTables(t *table, first uint32) {
	for _, r := range c.relations() {
		if r.kind == 'v' || r.kind == 'S' || r.OID < first {
			continue
		}
		cells := row{"relid": oid(r.OID), "schemaname": text(r.Schema), "relname": text(r.Name)}
		for _, counter := range tableCounters {
			cells[counter] = num(0)
		}
		t.add(cells)
	}
}

// fillDescription fills pg_description: the comments on relations, columns and schemas.
func (c *catalog) fillDescription(t *table) {
	for _, r := range c.userRelations() {
		if r.Comment != "" {
			t.add(row{"objoid": oid(r.OID), "classoid": oid(oidPgClass), "description": text(r.Comment)})
		}
		for i, col := range r.columns() {
			if col.Comment != "" {
				t.add(row{"objoid": oid(r.OID), "classoid": oid(oidPgClass), "objsubid": num(int64(i + 1)), "description": text(col.Comment)})
			}
		}
	}
	for _, u := range c.w.Types() {
		if u.Comment != "" {
			t.add(row{"objoid": oid(u.OID), "classoid": oid(oidPgType), "description": text(u.Comment)})
		}
	}
	for _, s := range c.w.Schemas() {
		if s.Comment != "" {
			t.add(row{"objoid": oid(s.OID), "classoid": oid(oidPgNamespace), "description": text(s.Comment)})
		}
	}
}
