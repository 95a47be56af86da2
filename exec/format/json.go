package format

import (
	"strconv"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/sql/types"
)

// jsonEncoder writes rows as docs/formats/json.md says.
type jsonEncoder struct {
	columns []Column
	// names holds before each value its name with what goes before it: `{"a":`, then `,"b":`; empty when not wrapped.
	names   [][]byte
	wrapped bool
	append  func(dst []byte, t types.Type, d types.Datum) []byte
}

func newJSONEncoder(s Schema) *jsonEncoder {
	e := &jsonEncoder{columns: s.Columns, wrapped: s.wrapped(), append: types.AppendJSON}
	if s.Key {
		e.append = types.AppendKeyJSON
	}
	for i, c := range s.Columns {
		var name []byte
		if e.wrapped {
			name = append(name, "{,"[min(i, 1)])
			name = append(types.AppendJSONString(name, c.Name), ':')
		}
		e.names = append(e.names, name)
	}
	return e
}

// AppendRow implements Encoder.
func (e *jsonEncoder) AppendRow(dst []byte, cols []*vec.Vector, i int) ([]byte, error) {
	for c := range e.columns {
		dst = append(dst, e.names[c]...)
		v := cols[c]
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
	case len(e.columns) == 0:
		dst = append(dst, "{}"...)
	default:
		dst = append(dst, '}')
	}
	return dst, nil
}
