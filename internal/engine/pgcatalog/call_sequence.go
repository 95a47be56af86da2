package pgcatalog

import (
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql/types"
)

// sequenceCalls are the functions on sequences.
var sequenceCalls = map[string]callFunc{
	"nextval(regclass)": func(c *catalog, args []types.Datum) (types.Datum, error) {
		return ofSequence(c, args, func(o uint32) (int64, error) { return c.s.NextValue(o) })
	},
	"currval(regclass)": func(c *catalog, args []types.Datum) (types.Datum, error) {
		return ofSequence(c, args, func(o uint32) (int64, error) { return c.s.CurrentValue(o) })
	},
	"pg_get_serial_sequence(text,text)": serialSequence,
	"lastval()": func(c *catalog, _ []types.Datum) (types.Datum, error) {
		v, err := c.s.LastValue()
		return types.IntDatum(v), err
	},
	"setval(regclass,int8)": func(c *catalog, args []types.Datum) (types.Datum, error) {
		return ofSequence(c, args, func(o uint32) (int64, error) { return args[1].I, c.s.SetValue(o, args[1].I, true) })
	},
	"setval(regclass,int8,bool)": func(c *catalog, args []types.Datum) (types.Datum, error) {
		return ofSequence(c, args, func(o uint32) (int64, error) { return args[1].I, c.s.SetValue(o, args[1].I, args[2].I != 0) })
	},
}

// ofSequence calls f with the sequence that the first argument names.
func ofSequence(c *catalog, args []types.Datum, f func(oid uint32) (int64, error)) (types.Datum, error) {
	o := uint32(args[0].I)
	r, ok := c.relationByOID(o)
	switch {
	case !ok:
		return types.NullDatum, sqlerr.New(sqlerr.UndefinedTable, "relation with OID %d does not exist", o)
	case r.kind != 'S':
		return types.NullDatum, sqlerr.New(sqlerr.WrongObjectType, "%q is not a sequence", r.Name)
	}
	v, err := f(o)
	return types.IntDatum(v), err
}
