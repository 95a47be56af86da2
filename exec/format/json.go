package format

import (
	"strconv"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/sql/types"
)

// jsonEncoder writes rows as docs/formats/json.md says.
type jsonEncoder struct {
	columns []Column
	// names holds each value's name, `"a":`; empty when not wrapped.
	names     [][]byte
	wrapped   bool
	leavesOut bool // SQL NULL of json and jsonb: in values, not in keys
	append    func(dst []byte, t types.Type, d types.Datum) []byte
}

func newJSONEncoder(s Schema) *jsonEncoder {
	e := &jsonEncoder{columns: s.Columns, wrapped: s.wrapped(), leavesOut: !s.Key, append: types.AppendJSON}
	switch {
	case s.Key:
		e.append = types.AppendKeyJSON
	case s.Epoch:
		e.append = types.AppendEpochJSON
	}
	for _, c := range s.Columns {
		var name []byte
		if e.wrapped {
			name = append(types.AppendJSONString(name, c.Name), ':')
		}
		e.names = append(e.names, name)
	}
	return e
}

func isJSON(k types.Kind) bool { return k == types.JSON || k == types.JSONB }

// AppendRow implements Encoder.
func (e *jsonEncoder) AppendRow(dst []byte, cols []*vec.Vector, i int) ([]byte, error) {
	next := byte('{')
	for c := range e.columns {
		v := cols[c]
		if e.wrapped {
			if e.leavesOut && isJSON(v.Type.Kind) && v.IsNull(i) {
				continue // null would be read as JSON's, which is a value
			}
			dst = append(dst, next)
			next = ','
		}
		dst = append(dst, e.names[c]...)
		switch {
		case v.IsNull(i):
			dst = append(dst, "null"...)
		case v.Type.Kind == types.Int8 || v.Type.Kind == types.Int4:
			dst = strconv.AppendInt(dst, v.I64[i], 10)
		case v.Type.Kind == types.Text:
			dst = types.AppendJSONString(dst, v.Str(i))
		default:
			dst = e.append(dst, e.columns[c].Type, v.View(i))
		}
	}
	switch {
	case !e.wrapped:
	case next == '{':
		dst = append(dst, "{}"...)
	default:
		dst = append(dst, '}')
	}
	return dst, nil
}
