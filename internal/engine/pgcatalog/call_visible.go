package pgcatalog

import (
	"slices"

	"github.com/millracedb/millrace/sql/types"
)

// visibleCalls ask whether the bare name of an object finds it (PostgreSQL docs, chapter 9.26.3). What is built in is in pg_catalog and always
// found; NULL stands for an object that is not there.
var visibleCalls = map[string]callFunc{
	"pg_table_is_visible(oid)": ofOID(func(c *catalog, o uint32) types.Datum {
		r, _, ok := c.classByOID(o)
		if !ok {
			return types.NullDatum
		}
		return flag(c.visible(r.Relation))
	}),
	"pg_type_is_visible(oid)": ofOID(func(c *catalog, o uint32) types.Datum {
		if _, ok := types.FromOID(o); ok {
			return flag(true)
		}
		for _, u := range c.w.Types() {
			if u.OID == o || u.Type.Kind == types.EnumKind && u.Type.ArrayOID() == o {
				return flag(c.typeVisible(u))
			}
		}
		return types.NullDatum
	}),
	"pg_function_is_visible(oid)":  ofOID(func(_ *catalog, o uint32) types.Datum { return trueOrNull(procs().byOID[o] != nil) }),
	"pg_collation_is_visible(oid)": ofOID(func(_ *catalog, o uint32) types.Datum { return trueOrNull(o == oidDefault || o == oidC) }),
	"pg_opclass_is_visible(oid)":   ofOID(func(_ *catalog, o uint32) types.Datum { return trueOrNull(isOpclass(o)) }),

	"pg_operator_is_visible(oid)":       ofOID(func(_ *catalog, o uint32) types.Datum { return trueOrNull(operators()[o]) }),
	"pg_opfamily_is_visible(oid)":       ofOID(func(_ *catalog, o uint32) types.Datum { return trueOrNull(opfamilyNames[o] != "") }),
	"pg_conversion_is_visible(oid)":     always(types.NullDatum),
	"pg_statistics_obj_is_visible(oid)": always(types.NullDatum),
	"pg_ts_config_is_visible(oid)":      always(types.NullDatum),
	"pg_ts_dict_is_visible(oid)":        always(types.NullDatum),
	"pg_ts_parser_is_visible(oid)":      always(types.NullDatum),
	"pg_ts_template_is_visible(oid)":    always(types.NullDatum),
}

// typeVisible reports whether the bare name finds the type.
func (c *catalog) typeVisible(u UserType) bool {
	if _, builtin := types.Lookup(u.Name); builtin {
		return false
	}
	all := c.w.Types()
	for _, schema := range c.path() {
		if i := slices.IndexFunc(all, func(x UserType) bool { return x.Schema == schema && x.Name == u.Name }); i >= 0 {
			return all[i].OID == u.OID
		}
	}
	return false
}

func trueOrNull(ok bool) types.Datum {
	if ok {
		return flag(true)
	}
	return types.NullDatum
}
