package pgcatalog

import (
	"strconv"
	"strings"

	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// The views of information_schema (PostgreSQL docs, chapter 37). The result of a persistent query is listed too, as MATERIALIZED VIEW:
// PostgreSQL leaves materialized views out, and tools that look here would never find what Millrace is for.

func (c *catalog) fillInfoCatalogName(t *table) { t.add(row{"catalog_name": text(c.w.Database())}) }

func (c *catalog) fillInfoRoles(t *table) { t.add(row{"role_name": text(c.s.User())}) }

func (c *catalog) fillInfoSchemata(t *table) {
	for _, s := range c.w.Schemas() {
		t.add(row{"catalog_name": text(c.w.Database()), "schema_name": text(s.Name), "schema_owner": text(s.Owner)})
	}
}

// insertable reports whether INSERT INTO the relation works.
func (r relation) insertable() bool {
	return r.OID >= firstUserOID && r.Query == 0 && (r.Kind == planner.Table || r.Kind == planner.Stream)
}

func tableType(r relation) string {
	switch r.kind {
	case 'v':
		return "VIEW"
	case 'm':
		return "MATERIALIZED VIEW"
	default:
		if r.Schema == schemaTemp {
			return "LOCAL TEMPORARY"
		}
		return "BASE TABLE"
	}
}

func (c *catalog) fillInfoTables(t *table) {
	db := text(c.w.Database())
	for _, r := range c.relations() {
		if r.kind == 'S' {
			continue
		}
		t.add(row{
			"table_catalog": db, "table_schema": text(r.Schema), "table_name": text(r.Name), "table_type": text(tableType(r)),
			"is_insertable_into": yesNo(r.insertable()), "is_typed": yesNo(false),
		})
	}
}

func (c *catalog) fillInfoViews(t *table) {
	db := text(c.w.Database())
	for _, r := range c.relations() {
		if r.kind == 'v' {
			t.add(row{
				"table_catalog": db, "table_schema": text(r.Schema), "table_name": text(r.Name), "view_definition": viewDef(c, r.OID), "check_option": text("NONE"),
				"is_updatable": yesNo(false), "is_insertable_into": yesNo(r.insertable()), "is_trigger_updatable": yesNo(false),
				"is_trigger_deletable": yesNo(false), "is_trigger_insertable_into": yesNo(false),
			})
		}
	}
}

func (c *catalog) fillInfoColumns(t *table) {
	db := text(c.w.Database())
	for _, r := range c.relations() {
		if r.kind == 'S' {
			continue
		}
		writable := r.insertable() && r.kind == 'r'
		for i, col := range r.columns() {
			cells := row{
				"table_catalog": db, "table_schema": text(r.Schema), "table_name": text(r.Name), "column_name": text(col.Name),
				"ordinal_position": num(int64(i + 1)), "column_default": optional(c.defaultText(col)), "is_nullable": yesNo(!r.notNull(i)),
				"dtd_identifier": text(strconv.Itoa(i + 1)), "is_self_referencing": yesNo(false), "is_identity": yesNo(isIdentity(col)), "identity_cycle": yesNo(false),
				"is_generated": text("NEVER"), "is_updatable": yesNo(writable),
			}
			c.describeIdentity(cells, col)
			describeType(cells, db, col.Type)
			t.add(cells)
		}
	}
}

func (c *catalog) fillInfoElementTypes(t *table) {
	db := text(c.w.Database())
	for _, r := range c.relations() {
		for i, col := range r.columns() {
			elem := col.Type.Elem
			if col.Type.Kind != types.Array {
				continue
			}
			id, object := strconv.Itoa(i+1), "TABLE"
			if r.kind == 'v' {
				object = "VIEW"
			}
			// What PostgreSQL tells of an element is its name alone.
			t.add(row{
				"object_catalog": db, "object_schema": text(r.Schema), "object_name": text(r.Name), "object_type": text(object),
				"collection_type_identifier": text(id), "dtd_identifier": text("a" + id), "data_type": text(dataType(*elem)),
				"udt_catalog": db, "udt_schema": text(udtSchema(*elem)), "udt_name": text(udtName(*elem)),
			})
		}
	}
}

// fillInfoConstraints fills table_constraints.
func (c *catalog) fillInfoConstraints(t *table) {
	db := text(c.w.Database())
	for _, r := range c.userRelations() {
		for _, ix := range r.uniqueConstraints() {
			t.add(row{
				"constraint_catalog": db, "constraint_schema": text(r.Schema), "constraint_name": text(ix.name), "table_catalog": db,
				"table_schema": text(r.Schema), "table_name": text(r.Name), "constraint_type": text(ix.word()), "is_deferrable": yesNo(false),
				"initially_deferred": yesNo(false), "enforced": yesNo(true),
			})
		}
		for _, k := range r.Checks {
			t.add(row{
				"constraint_catalog": db, "constraint_schema": text(r.Schema), "constraint_name": text(k.Name), "table_catalog": db,
				"table_schema": text(r.Schema), "table_name": text(r.Name), "constraint_type": text("CHECK"), "is_deferrable": yesNo(false),
				"initially_deferred": yesNo(false), "enforced": yesNo(true),
			})
		}
	}
}

// fillInfoKeyColumns fills key_column_usage.
func (c *catalog) fillInfoKeyColumns(t *table) {
	c.eachKeyColumn(func(cells row, position int) {
		cells["ordinal_position"] = num(int64(position))
		t.add(cells)
	})
}

// fillInfoConstraintColumns fills constraint_column_usage.
func (c *catalog) fillInfoConstraintColumns(t *table) {
	c.eachKeyColumn(func(cells row, _ int) { t.add(cells) })
}

// eachKeyColumn yields the columns of primary keys and UNIQUE constraints with their positions, from 1.
func (c *catalog) eachKeyColumn(yield func(cells row, position int)) {
	db := text(c.w.Database())
	for _, r := range c.userRelations() {
		for _, ix := range r.uniqueConstraints() {
			for i, k := range ix.cols {
				yield(row{
					"constraint_catalog": db, "constraint_schema": text(r.Schema), "constraint_name": text(ix.name), "table_catalog": db,
					"table_schema": text(r.Schema), "table_name": text(r.Name), "column_name": text(r.Columns[k].Name),
				}, i+1)
			}
		}
	}
}

// fillInfoConstraintTables fills constraint_table_usage.
func (c *catalog) fillInfoConstraintTables(t *table) {
	db := text(c.w.Database())
	for _, r := range c.userRelations() {
		for _, ix := range r.uniqueConstraints() {
			t.add(row{
				"table_catalog": db, "table_schema": text(r.Schema), "table_name": text(r.Name), "constraint_catalog": db,
				"constraint_schema": text(r.Schema), "constraint_name": text(ix.name),
			})
		}
	}
}

// privilegeNames are the words of the letters of relations.
var privilegeNames = []struct {
	letter rune
	word   string
}{
	{'a', "INSERT"}, {'r', "SELECT"}, {'w', "UPDATE"}, {'d', "DELETE"}, {'D', "TRUNCATE"}, {'x', "REFERENCES"}, {'t', "TRIGGER"},
}

// fillInfoGrants fills table_privileges and role_table_grants: an owner may do everything, others what was granted.
func (c *catalog) fillInfoGrants(t *table) {
	db := text(c.w.Database())
	for _, r := range c.userRelations() {
		if r.kind == 'S' {
			continue
		}
		owner := c.owner(r)
		for _, g := range append([]Grant{{Grantee: owner, Grantor: owner, Privileges: allOfRelation, Options: allOfRelation}}, c.w.Grants(r.OID)...) {
			grantee := g.Grantee
			if grantee == "" {
				grantee = "PUBLIC"
			}
			for _, p := range privilegeNames {
				if !strings.ContainsRune(g.Privileges, p.letter) {
					continue
				}
				t.add(row{
					"grantor": text(g.Grantor), "grantee": text(grantee), "table_catalog": db, "table_schema": text(r.Schema), "table_name": text(r.Name),
					"privilege_type": text(p.word), "is_grantable": yesNo(strings.ContainsRune(g.Options, p.letter)), "with_hierarchy": yesNo(p.word == "SELECT"),
				})
			}
		}
	}
}

func (c *catalog) fillInfoRoutines(t *table) {
	db := text(c.w.Database())
	for _, p := range procs().all {
		if p.f == nil || prokinds[p.f.Kind] != "f" {
			continue
		}
		specific := text(p.name + "_" + strconv.FormatUint(uint64(p.oid), 10))
		t.add(row{
			"specific_catalog": db, "specific_schema": text(schemaPgCatalog), "specific_name": specific, "routine_catalog": db,
			"routine_schema": text(schemaPgCatalog), "routine_name": text(p.name), "routine_type": text("FUNCTION"), "data_type": text(p.f.Ret.Kind.String()),
			"type_udt_catalog": db, "type_udt_schema": text(schemaPgCatalog), "type_udt_name": text(p.f.Ret.Name()), "dtd_identifier": text("0"),
			"routine_body": text("EXTERNAL"), "routine_definition": text(p.name), "external_language": text("INTERNAL"), "parameter_style": text("GENERAL"),
			"is_deterministic": yesNo(p.f.Volatility == planner.Immutable), "sql_data_access": text("MODIFIES"), "is_null_call": yesNo(!p.f.NotStrict),
			"schema_level_routine": yesNo(true), "max_dynamic_result_sets": num(0), "security_type": text("INVOKER"), "as_locator": yesNo(false),
			"is_udt_dependent": yesNo(false),
		})
	}
}
