package pgcatalog

import (
	"strings"

	"github.com/millracedb/millrace/sql/types"
)

// sizeCalls tell sizes and what else PostgreSQL knows of files. What a relation takes on disk is its topic's business, so sizes are 0
// for all that exists (PostgreSQL docs, chapter 9.27.7).
var sizeCalls = map[string]callFunc{
	"pg_table_size(regclass)":          ofOID(relationSize),
	"pg_indexes_size(regclass)":        ofOID(relationSize),
	"pg_relation_size(regclass)":       ofOID(relationSize),
	"pg_relation_size(regclass,text)":  ofOID(relationSize),
	"pg_total_relation_size(regclass)": ofOID(relationSize),
	"pg_database_size(oid)":            always(num(0)),
	"pg_database_size(name)":           always(num(0)),
	"pg_tablespace_size(oid)":          always(num(0)),
	"pg_tablespace_location(oid)":      always(text("")),
	"pg_stat_get_numscans(oid)":        always(num(0)),
	"pg_stat_get_live_tuples(oid)":     always(num(0)),
	"pg_relation_filenode(regclass)": ofOID(func(c *catalog, o uint32) types.Datum {
		if r, ix, ok := c.classByOID(o); ok && (ix != nil || filenode(r) != 0) {
			return oid(o)
		}
		return types.NullDatum
	}),
	"pg_filenode_relation(oid,oid)": func(c *catalog, args []types.Datum) (types.Datum, error) {
		if _, _, ok := c.classByOID(uint32(args[1].I)); ok {
			return args[1], nil
		}
		return types.NullDatum, nil
	},
	"pg_relation_is_publishable(regclass)": ofOID(func(c *catalog, o uint32) types.Datum {
		r, ok := c.relationByOID(o)
		if !ok {
			return types.NullDatum
		}
		return flag(r.kind == 'r' && r.OID >= firstUserOID)
	}),
	"pg_relation_is_updatable(regclass,bool)":    ofOID(updatable),
	"pg_column_is_updatable(regclass,int2,bool)": ofOID(func(c *catalog, o uint32) types.Datum { return flag(updatable(c, o).I != 0) }),
	"pg_encoding_to_char(int4)": func(_ *catalog, args []types.Datum) (types.Datum, error) {
		if args[0].I == encodingUTF8 {
			return text("UTF8"), nil
		}
		return text(""), nil
	},
	"pg_char_to_encoding(name)": func(_ *catalog, args []types.Datum) (types.Datum, error) {
		switch strings.ToLower(strings.ReplaceAll(args[0].S, "-", "")) {
		case "utf8", "unicode":
			return num(encodingUTF8), nil
		}
		return num(-1), nil
	},
}

// encodingUTF8 is PostgreSQL's number of the encoding.
const encodingUTF8 = 6

func relationSize(c *catalog, o uint32) types.Datum {
	if _, _, ok := c.classByOID(o); ok {
		return num(0)
	}
	return types.NullDatum
}

// updatable returns PostgreSQL's bits for the changes a relation takes: 4 UPDATE, 8 INSERT, 16 DELETE.
func updatable(c *catalog, o uint32) types.Datum {
	r, ok := c.relationByOID(o)
	switch {
	case !ok || r.Query != 0 || r.OID < firstUserOID:
		return num(0)
	case r.kind == 'r':
		return num(4 | 8 | 16)
	case r.Definition != "" && r.ViewText == "":
		return num(8) // a stream
	default:
		return num(0)
	}
}
