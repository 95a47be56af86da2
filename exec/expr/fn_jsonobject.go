package expr

import (
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql/types"
)

// jsonb_object: objects of text arrays (PostgreSQL docs, table 9.47).

func init() {
	row("jsonb_object(text[])", func(_ *Call, a []types.Datum) (types.Datum, error) {
		list := types.ArrayElements(types.Of(types.Text), a[0].S)
		if len(list)%2 != 0 {
			return types.NullDatum, sqlerr.New(sqlerr.ArraySubscriptError, "array must have even number of elements")
		}
		var keys, values []types.Datum
		for i := 0; i < len(list); i += 2 {
			keys, values = append(keys, list[i]), append(values, list[i+1])
		}
		return objectOf(keys, values)
	})
	row("jsonb_object(text[],text[])", func(_ *Call, a []types.Datum) (types.Datum, error) {
		keys, values := types.ArrayElements(types.Of(types.Text), a[0].S), types.ArrayElements(types.Of(types.Text), a[1].S)
		if len(keys) != len(values) {
			return types.NullDatum, sqlerr.New(sqlerr.ArraySubscriptError, "mismatched array dimensions")
		}
		return objectOf(keys, values)
	})
}

// objectOf makes an object of texts; of equal keys the last one counts.
func objectOf(keys, values []types.Datum) (types.Datum, error) {
	out := []byte{'{'}
	for i, k := range keys {
		if k.Null {
			return types.NullDatum, sqlerr.New("22004", "null value not allowed for object key")
		}
		if i > 0 {
			out = append(out, ',')
		}
		out = append(types.AppendJSONString(out, k.S), ':')
		if values[i].Null {
			out = append(out, "null"...)
			continue
		}
		out = types.AppendJSONString(out, values[i].S)
	}
	return canonical(string(append(out, '}')))
}
