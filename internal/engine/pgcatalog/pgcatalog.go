package pgcatalog

import (
	"context"

	"github.com/millracedb/millrace/exec/expr"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// Lookup returns a virtual relation, nil if there is none of that name.
func Lookup(schema, name string) *planner.Relation { return nil }

// Rows computes the rows of a virtual relation, all columns in order.
func Rows(ctx context.Context, w World, s Session, rel *planner.Relation) ([][]types.Datum, error) {
	return nil, nil
}

// Call answers a function of the session or the catalog, by planner.Func.ID.
func Call(ctx context.Context, w World, s Session, id string, args []types.Datum) (types.Datum, error) {
	return types.NullDatum, sqlerr.New(sqlerr.FeatureNotSupported, "function %s is not supported yet", id)
}

// CallSet answers a set-returning one.
func CallSet(ctx context.Context, w World, s Session, id string, args []types.Datum) expr.Rows {
	return func(func([]types.Datum, error) bool) {}
}

// RegName returns what a value of a reg type prints as.
func RegName(w World, s Session, k types.Kind, oid uint32) (string, bool) { return "", false }

// RegOID resolves the text of a reg type.
func RegOID(w World, s Session, k types.Kind, name string) (uint32, error) {
	return 0, sqlerr.New(sqlerr.UndefinedObject, "%q does not exist", name)
}
