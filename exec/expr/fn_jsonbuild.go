package expr

import (
	"strconv"
	"strings"

	"github.com/millracedb/millrace/sql/types"
)

// The functions that make JSON of SQL values.

func init() {
	for _, k := range []string{"json", "jsonb"} {
		binary := k == "jsonb"
		finish := func(s []byte) (types.Datum, error) {
			if binary {
				return canonical(string(s))
			}
			return types.BytesDatum(string(s)), nil
		}
		row("to_"+k+"(any)", func(c *Call, a []types.Datum) (types.Datum, error) {
			return finish(appendAnyJSON(nil, c.Args[0], a[0], c.Env))
		})
		object := func(c *Call, a []types.Datum) (types.Datum, error) {
			out, err := buildObject(c, a, binary)
			if err != nil {
				return types.NullDatum, err
			}
			return finish(out)
		}
		array := func(c *Call, a []types.Datum) (types.Datum, error) {
			out := []byte{'['}
			for i, d := range a {
				if i > 0 {
					out = append(out, ", "...)
				}
				out = appendAnyJSON(out, c.Args[i], d, c.Env)
			}
			return finish(append(out, ']'))
		}
		row(k+"_build_object()", object)
		row(k+"_build_object(any...)", object)
		row(k+"_build_array()", array)
		row(k+"_build_array(any...)", array)
	}
	for _, id := range []string{"row_to_json(record)", "array_to_json(anyarray)"} {
		row(id, func(c *Call, a []types.Datum) (types.Datum, error) {
			return types.BytesDatum(string(appendAnyJSON(nil, c.Args[0], a[0], c.Env))), nil
		})
	}
}

func buildObject(c *Call, a []types.Datum, binary bool) ([]byte, error) {
	if len(a)%2 != 0 {
		err := jsonParameterError("argument list must have even number of elements")
		return nil, err
	}
	out := []byte{'{'}
	for i := 0; i < len(a); i += 2 {
		if a[i].Null {
			if binary {
				return nil, jsonParameterError("argument %d: key must not be null", i+1)
			}
			return nil, jsonParameterError("argument %d cannot be null", i+1)
		}
		switch c.Args[i].Kind {
		case types.Array, types.Struct, types.Record, types.Map, types.JSON, types.JSONB:
			return nil, jsonParameterError("key value must be scalar, not array, composite, or json")
		}
		if i > 0 {
			out = append(out, ", "...)
		}
		out = types.AppendJSONString(out, jsonKeyText(c.Args[i], a[i], c.Env))
		out = append(out, " : "...)
		out = appendAnyJSON(out, c.Args[i+1], a[i+1], c.Env)
	}
	return append(out, '}'), nil
}

func jsonKeyText(t types.Type, d types.Datum, env *Env) string {
	if t.Kind == types.Bool {
		return strconv.FormatBool(d.I != 0)
	}
	if b := appendAnyJSON(nil, t, d, env); b[0] != '"' {
		return string(b)
	} else {
		return unquoteJSON(string(b))
	}
}

// appendAnyJSON appends a value as PostgreSQL's to_json prints it: times in ISO 8601 in the session's zone, numbers and booleans as they
// are, JSON embedded, everything else as its text.
func appendAnyJSON(dst []byte, t types.Type, d types.Datum, env *Env) []byte {
	if d.Null {
		return append(dst, "null"...)
	}
	switch t.Kind {
	case types.Bool:
		return strconv.AppendBool(dst, d.I != 0)
	case types.Int2, types.Int4, types.Int8:
		return strconv.AppendInt(dst, d.I, 10)
	case types.Float4, types.Float8, types.Numeric:
		s := types.FormatText(t, d, env.Text)
		if c := s[len(s)-1]; c >= '0' && c <= '9' {
			return append(dst, s...)
		}
		return types.AppendJSONString(dst, s)
	case types.JSON, types.JSONB, types.Map:
		return append(dst, d.S...)
	case types.Timestamp, types.TimestampTZ:
		return types.AppendJSONString(dst, isoTimestamp(t, d, env))
	case types.Array, types.Int2Vector, types.OIDVector:
		elem := elemOf(t)
		dst = append(dst, '[')
		it := types.NewElements(d.S)
		for first := true; it.Next(elem); first = false {
			if !first {
				dst = append(dst, ',')
			}
			dst = appendAnyJSON(dst, elem, it.Value, env)
		}
		return append(dst, ']')
	case types.Struct, types.Record:
		return appendRowJSON(dst, t.Fields, d.S, env)
	}
	return types.AppendJSONString(dst, types.FormatText(t, d, env.Text))
}

func appendRowJSON(dst []byte, fields []types.Field, s string, env *Env) []byte {
	dst = append(dst, '{')
	it := types.NewElements(s)
	for i, f := range fields {
		if i > 0 {
			dst = append(dst, ',')
		}
		name := f.Name
		if name == "" {
			name = "f" + strconv.Itoa(i+1)
		}
		if !it.Next(f.Type) {
			it.Value = types.NullDatum
		}
		dst = append(types.AppendJSONString(dst, name), ':')
		dst = appendAnyJSON(dst, f.Type, it.Value, env)
	}
	return append(dst, '}')
}

// isoTimestamp is the text of a time with a T in it, and the minutes of its offset.
func isoTimestamp(t types.Type, d types.Datum, env *Env) string {
	set := types.Settings{}
	if env.Text != nil {
		set = *env.Text
	}
	s := strings.Replace(types.FormatText(t, d, &set), " ", "T", 1)
	if t.Kind == types.TimestampTZ && len(s) > 3 && (s[len(s)-3] == '+' || s[len(s)-3] == '-') {
		s += ":00"
	}
	return s
}
