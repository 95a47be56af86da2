package pgcatalog

import (
	"context"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// fills are the functions that make the rows, by qualified name. A virtual table without one is empty.
var fills = map[string]func(c *catalog, t *table){
	"pg_catalog.pg_class":     (*catalog).fillClass,
	"pg_catalog.pg_attribute": (*catalog).fillAttribute,
	"pg_catalog.pg_attrdef":   (*catalog).fillAttrdef,
	"pg_catalog.pg_namespace": (*catalog).fillNamespace,
	"pg_catalog.pg_type":      (*catalog).fillType,
	"pg_catalog.pg_proc":      (*catalog).fillProc,

	"millrace.relations":  (*catalog).fillMillRelations,
	"millrace.queries":    (*catalog).fillMillQueries,
	"millrace.tasks":      (*catalog).fillMillTasks,
	"millrace.topics":     (*catalog).fillMillTopics,
	"millrace.partitions": (*catalog).fillMillPartitions,
	"millrace.groups":     (*catalog).fillMillGroups,
	"millrace.nodes":      (*catalog).fillMillNodes,
	"millrace.settings":   (*catalog).fillMillSettings,
	"millrace.functions":  (*catalog).fillMillFunctions,
	"millrace.types":      (*catalog).fillMillTypes,
}

// Rows computes the rows of a virtual relation, all columns in order. The caller owns the slices.
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
