package pgcatalog

import (
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql/types"
)

// nameCalls are to_regclass and its like: a name's OID, or NULL if there is none (PostgreSQL docs, chapter 9.26.4).
var nameCalls = map[string]callFunc{
	"to_regclass(text)":     toReg(types.Regclass),
	"to_regtype(text)":      toReg(types.Regtype),
	"to_regproc(text)":      toReg(types.Regproc),
	"to_regnamespace(text)": toReg(types.Regnamespace),
	"to_regrole(text)":      toReg(types.Regrole),
}

func toReg(k types.Kind) callFunc {
	return func(c *catalog, args []types.Datum) (types.Datum, error) {
		o, err := c.regOID(k, args[0].S)
		switch sqlerr.CodeOf(err) {
		case sqlerr.SuccessfulCompletion:
			return oid(o), nil
		case sqlerr.InvalidName, sqlerr.FeatureNotSupported, sqlerr.SyntaxError: // the text is no name
			return types.NullDatum, err
		default:
			return types.NullDatum, nil
		}
	}
}
