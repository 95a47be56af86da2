package pgcatalog

import (
	"context"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// fills are the functions that make the rows, by qualified name. A virtual table without one is empty.
var fills = map[string]func(c *catalog, t *table){
	"pg_catalog.pg_am":                  (*catalog).fillAm,
	"pg_catalog.pg_attrdef":             (*catalog).fillAttrdef,
	"pg_catalog.pg_attribute":           (*catalog).fillAttribute,
	"pg_catalog.pg_auth_members":        (*catalog).fillAuthMembers,
	"pg_catalog.pg_class":               (*catalog).fillClass,
	"pg_catalog.pg_collation":           (*catalog).fillCollation,
	"pg_catalog.pg_constraint":          (*catalog).fillConstraint,
	"pg_catalog.pg_database":            (*catalog).fillDatabase,
	"pg_catalog.pg_depend":              (*catalog).fillDepend,
	"pg_catalog.pg_description":         (*catalog).fillDescription,
	"pg_catalog.pg_enum":                (*catalog).fillEnum,
	"pg_catalog.pg_extension":           (*catalog).fillExtension,
	"pg_catalog.pg_group":               (*catalog).fillGroup,
	"pg_catalog.pg_index":               (*catalog).fillIndex,
	"pg_catalog.pg_indexes":             (*catalog).fillIndexes,
	"pg_catalog.pg_language":            (*catalog).fillLanguage,
	"pg_catalog.pg_matviews":            (*catalog).fillMatviews,
	"pg_catalog.pg_namespace":           (*catalog).fillNamespace,
	"pg_catalog.pg_opclass":             (*catalog).fillOpclass,
	"pg_catalog.pg_operator":            (*catalog).fillOperator,
	"pg_catalog.pg_opfamily":            (*catalog).fillOpfamily,
	"pg_catalog.pg_prepared_statements": (*catalog).fillPrepared,
	"pg_catalog.pg_proc":                (*catalog).fillProc,
	"pg_catalog.pg_roles":               (*catalog).fillRoles,
	"pg_catalog.pg_sequence":            (*catalog).fillSequence,
	"pg_catalog.pg_sequences":           (*catalog).fillSequences,
	"pg_catalog.pg_shadow":              (*catalog).fillUser,
	"pg_catalog.pg_stat_gssapi":         (*catalog).fillStatGSSAPI,
	"pg_catalog.pg_settings":            (*catalog).fillSettings,
	"pg_catalog.pg_stat_activity":       (*catalog).fillActivity,
	"pg_catalog.pg_stat_all_tables":     (*catalog).fillStatAllTables,
	"pg_catalog.pg_stat_database":       (*catalog).fillStatDatabase,
	"pg_catalog.pg_stat_user_indexes":   (*catalog).fillStatIndexes,
	"pg_catalog.pg_stat_user_tables":    (*catalog).fillStatUserTables,
	"pg_catalog.pg_tables":              (*catalog).fillTables,
	"pg_catalog.pg_tablespace":          (*catalog).fillTablespace,
	"pg_catalog.pg_timezone_names":      (*catalog).fillTimezoneNames,
	"pg_catalog.pg_type":                (*catalog).fillType,
	"pg_catalog.pg_user":                (*catalog).fillUser,
	"pg_catalog.pg_views":               (*catalog).fillViews,

	"information_schema.columns":                         (*catalog).fillInfoColumns,
	"information_schema.constraint_column_usage":         (*catalog).fillInfoConstraintColumns,
	"information_schema.constraint_table_usage":          (*catalog).fillInfoConstraintTables,
	"information_schema.element_types":                   (*catalog).fillInfoElementTypes,
	"information_schema.enabled_roles":                   (*catalog).fillInfoRoles,
	"information_schema.information_schema_catalog_name": (*catalog).fillInfoCatalogName,
	"information_schema.key_column_usage":                (*catalog).fillInfoKeyColumns,
	"information_schema.role_table_grants":               (*catalog).fillInfoGrants,
	"information_schema.routines":                        (*catalog).fillInfoRoutines,
	"information_schema.schemata":                        (*catalog).fillInfoSchemata,
	"information_schema.sequences":                       (*catalog).fillInfoSequences,
	"information_schema.table_constraints":               (*catalog).fillInfoConstraints,
	"information_schema.table_privileges":                (*catalog).fillInfoGrants,
	"information_schema.tables":                          (*catalog).fillInfoTables,
	"information_schema.views":                           (*catalog).fillInfoViews,

	"millrace.table_copies": (*catalog).fillMillTableCopies,
	"millrace.columns":      (*catalog).fillMillColumns,
	"millrace.relations":    (*catalog).fillMillRelations,
	"millrace.queries":      (*catalog).fillMillQueries,
	"millrace.tasks":        (*catalog).fillMillTasks,
	"millrace.topics":       (*catalog).fillMillTopics,
	"millrace.partitions":   (*catalog).fillMillPartitions,
	"millrace.groups":       (*catalog).fillMillGroups,
	"millrace.nodes":        (*catalog).fillMillNodes,
	"millrace.moves":        (*catalog).fillMillMoves,
	"millrace.quotas":       (*catalog).fillMillQuotas,
	"millrace.settings":     (*catalog).fillMillSettings,
	"millrace.functions":    (*catalog).fillMillFunctions,
	"millrace.types":        (*catalog).fillMillTypes,
}

// Rows computes the rows of a virtual relation, all columns in order. Rows are shared and must not be changed.
func Rows(ctx context.Context, w World, s Session, rel *planner.Relation) ([][]types.Datum, error) {
	v := shapes.byOID[rel.OID]
	if v == nil {
		return nil, sqlerr.New(sqlerr.UndefinedTable, "relation %q is not a virtual table", rel.Name)
	}
	t := &table{v: v}
	if fill := fills[rel.Schema+"."+rel.Name]; fill != nil {
		fill(&catalog{ctx: ctx, w: w, s: s}, t)
	}
	return t.rows, nil
}
