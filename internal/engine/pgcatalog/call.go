package pgcatalog

import (
	"context"

	"github.com/millracedb/millrace/exec/expr"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql/types"
)

// callFunc is the implementation of a function. Strict functions never see NULL.
type callFunc func(c *catalog, args []types.Datum) (types.Datum, error)

// calls are the functions by planner.Func.ID.
var calls = joinCalls(sessionCalls, settingCalls, lockCalls, visibleCalls, definitionCalls, privilegeCalls, sizeCalls, nameCalls, sequenceCalls)

func joinCalls(groups ...map[string]callFunc) map[string]callFunc {
	all := map[string]callFunc{}
	for _, g := range groups {
		for id, f := range g {
			if all[id] != nil {
				panic("pgcatalog: function given twice: " + id)
			}
			all[id] = f
		}
	}
	return all
}

// Call answers a function of the session or the catalog, by planner.Func.ID.
func Call(ctx context.Context, w World, s Session, id string, args []types.Datum) (types.Datum, error) {
	f := calls[id]
	if f == nil {
		return types.NullDatum, sqlerr.New(sqlerr.FeatureNotSupported, "function %s is not supported yet", id)
	}
	return f(&catalog{ctx: ctx, w: w, s: s}, args)
}

// CallSet answers a set-returning one.
func CallSet(ctx context.Context, w World, s Session, id string, args []types.Datum) expr.Rows {
	return func(yield func([]types.Datum, error) bool) {
		f := setCalls[id]
		if f == nil {
			yield(nil, sqlerr.New(sqlerr.FeatureNotSupported, "function %s is not supported yet", id))
			return
		}
		for _, r := range f(&catalog{ctx: ctx, w: w, s: s}, args) {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// value is a function without arguments that cannot fail.
func value(f func(c *catalog) types.Datum) callFunc {
	return func(c *catalog, _ []types.Datum) (types.Datum, error) { return f(c), nil }
}

// always returns the same value.
func always(d types.Datum) callFunc {
	return func(*catalog, []types.Datum) (types.Datum, error) { return d, nil }
}

// ofOID is a function of one OID; further arguments are about the form of the answer and do not count.
func ofOID(f func(c *catalog, oid uint32) types.Datum) callFunc {
	return func(c *catalog, args []types.Datum) (types.Datum, error) { return f(c, uint32(args[0].I)), nil }
}
