package expr

import (
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// errNullMapKey is PostgreSQL's null_value_not_allowed.
var errNullMapKey = sqlerr.New("22004", "a key of a map cannot be null")

func isRow(k types.Kind) bool { return k == types.Struct || k == types.Record }

// compileMap is MAP(k := v, ...).
func compileMap(e *planner.MapExpr) (node, error) {
	ns, err := compileList(append(append([]planner.Expr{}, e.Keys...), e.Values...))
	if err != nil {
		return nil, err
	}
	n := len(e.Keys)
	return boxed(e.Typ, ns, func(_ *run, a []types.Datum) (types.Datum, error) {
		entries := make([]types.MapEntry, n)
		for i := range n {
			if a[i].Null {
				return types.NullDatum, errNullMapKey
			}
			entries[i] = types.MapEntry{Key: a[i].S, Value: a[n+i]}
		}
		return types.MapDatum(*e.Typ.Elem, entries)
	}), nil
}

// castRow converts a row field by field; nil if a field does not convert.
func castRow(from, to types.Type) castFunc {
	if len(from.Fields) != len(to.Fields) {
		return nil
	}
	for i := range to.Fields {
		if castFor(from.Fields[i].Type, to.Fields[i].Type) == nil {
			return nil
		}
	}
	return func(env *Env, _, _ types.Type, d types.Datum) (types.Datum, error) {
		out := make([]types.Datum, len(to.Fields))
		for i, f := range to.Fields {
			var err error
			if out[i], err = CastDatum(env, from.Fields[i].Type, f.Type, types.StructField(from.Fields, d.S, i), true); err != nil {
				return types.NullDatum, err
			}
		}
		return types.StructDatum(to.Fields, out), nil
	}
}

// castMap converts a map value by value; nil if the values do not convert.
func castMap(from, to types.Type) castFunc {
	if castFor(from, to) == nil {
		return nil
	}
	return func(env *Env, _, _ types.Type, d types.Datum) (types.Datum, error) {
		entries, err := types.MapEntries(from, d.S)
		if err != nil {
			return types.NullDatum, err
		}
		for i := range entries {
			if entries[i].Value, err = CastDatum(env, from, to, entries[i].Value, true); err != nil {
				return types.NullDatum, err
			}
		}
		return types.MapDatum(to, entries)
	}
}
