package expr

import (
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql/types"
)

// The functions and operators that read JSON (PostgreSQL docs, 9.16). json and jsonb share them: a jsonb value is its canonical text.

func init() {
	for _, k := range []string{"json", "jsonb"} {
		registerGetters(k)
		row(k+"_typeof("+k+")", text(func(a []types.Datum) string { return jsonTypeName(a[0].S) }))
		row(k+"_array_length("+k+")", func(_ *Call, a []types.Datum) (types.Datum, error) {
			switch {
			case jsonKind(a[0].S) == '[':
				return types.IntDatum(jsonLen(a[0].S)), nil
			case jsonKind(a[0].S) == '{':
				return types.NullDatum, jsonParameterError("cannot get array length of a non-array")
			}
			return types.NullDatum, jsonParameterError("cannot get array length of a scalar")
		})
		registerJSONSets(k)
	}
	row("_pg_record_of(jsonb,text)", recordOf)
	row("@>(jsonb,jsonb)", jsonContains(false))
	row("<@(jsonb,jsonb)", jsonContains(true))
	row("jsonb_contains(jsonb,jsonb)", jsonContains(false))
	exists := func(_ *Call, a []types.Datum) (types.Datum, error) {
		return types.BoolDatum(jsonExists(a[0].S, a[1].S)), nil
	}
	row("?(jsonb,text)", exists)
	row("jsonb_exists(jsonb,text)", exists)
	row("?|(jsonb,text[])", jsonExistsSome(false))
	row("?&(jsonb,text[])", jsonExistsSome(true))
	row("extractjsonfield(text,text)", extractJSONField)
}

// recordOf passes objects on, for a function like jsonb_to_recordset, which it is named with.
func recordOf(_ *Call, a []types.Datum) (types.Datum, error) {
	switch {
	case jsonKind(a[0].S) == '{':
		return a[0], nil
	case strings.HasSuffix(a[1].S, "set"):
		return types.NullDatum, jsonParameterError("argument of %s must be an array of objects", a[1].S)
	}
	return types.NullDatum, jsonParameterError("cannot call %s on a value that is not an object", a[1].S)
}

func optional(s string, ok bool) (types.Datum, error) {
	if !ok {
		return types.NullDatum, nil
	}
	return types.BytesDatum(s), nil
}

func optionalText(s string, ok bool) (types.Datum, error) {
	if !ok {
		return types.NullDatum, nil
	}
	return jsonAsText(s), nil
}

func registerGetters(k string) {
	path := func(a []types.Datum) []types.Datum { return types.ArrayElements(types.Of(types.Text), a[1].S) }
	for suffix, result := range map[string]func(string, bool) (types.Datum, error){"": optional, "_text": optionalText} {
		arrow, hash := "->", "#>"
		if suffix != "" {
			arrow, hash = "->>", "#>>"
		}
		row(arrow+"("+k+",text)", func(_ *Call, a []types.Datum) (types.Datum, error) { return result(jsonMember(a[0].S, a[1].S)) })
		row(arrow+"("+k+",int4)", func(_ *Call, a []types.Datum) (types.Datum, error) {
			if k == "jsonb" && !isContainer(a[0].S) && (a[1].I == 0 || a[1].I == -1) {
				return result(a[0].S, true) // a scalar is the one element of an array to PostgreSQL
			}
			return result(jsonItem(a[0].S, a[1].I))
		})
		row(hash+"("+k+",text[])", func(_ *Call, a []types.Datum) (types.Datum, error) { return result(jsonPath(a[0].S, path(a))) })
		row(k+"_extract_path"+suffix+"("+k+",text...)", func(_ *Call, a []types.Datum) (types.Datum, error) { return result(jsonPath(a[0].S, a[1:])) })
	}
}

func jsonExists(s, key string) bool {
	switch jsonKind(s) {
	case '{':
		_, ok := jsonMember(s, key)
		return ok
	case '[':
		for v := range jsonItems(s) {
			if jsonKind(v) == '"' && unquoteJSON(v) == key {
				return true
			}
		}
		return false
	case '"':
		return unquoteJSON(s) == key
	}
	return false
}

func jsonExistsSome(all bool) rowFunc {
	return func(_ *Call, a []types.Datum) (types.Datum, error) {
		for _, key := range types.ArrayElements(types.Of(types.Text), a[1].S) {
			if !key.Null && jsonExists(a[0].S, key.S) != all {
				return types.BoolDatum(!all), nil
			}
		}
		return types.BoolDatum(all), nil
	}
}

// jsonContains is a @> b, or flipped.
func jsonContains(flip bool) rowFunc {
	return func(_ *Call, a []types.Datum) (types.Datum, error) {
		x, y := a[0].S, a[1].S
		if flip {
			x, y = y, x
		}
		// An array contains a scalar that is one of its elements, at the top only.
		if jsonKind(x) == '[' && !isContainer(y) {
			y = "[" + y + "]"
		}
		return types.BoolDatum(contains(x, y)), nil
	}
}

func contains(x, y string) bool {
	kind := jsonKind(x)
	if kind != jsonKind(y) {
		return false
	}
	switch kind {
	case '{':
		for name, v := range jsonMembers(y) {
			if have, ok := jsonMember(x, name); !ok || !contains(have, v) {
				return false
			}
		}
		return true
	case '[':
		for v := range jsonItems(y) {
			if !containsItem(x, v) {
				return false
			}
		}
		return true
	}
	return x == y || kind == 0 && types.CompareNumeric(x, y) == 0
}

func containsItem(array, item string) bool {
	for v := range jsonItems(array) {
		if contains(v, item) {
			return true
		}
	}
	return false
}

func registerJSONSets(k string) {
	b := k == "jsonb"
	items := func(asText bool) setFunc {
		name := k + "_array_elements"
		if asText {
			name += "_text"
		}
		return func(_ *Call, a []types.Datum) Rows {
			s := a[0].S
			if kind := jsonKind(s); kind != '[' {
				return failed(notAnArray(name, b, kind))
			}
			return func(yield func([]types.Datum, error) bool) {
				for v := range jsonItems(s) {
					if !yield([]types.Datum{jsonOrText(v, asText)}, nil) {
						return
					}
				}
			}
		}
	}
	setFn(k+"_array_elements("+k+")", items(false))
	setFn(k+"_array_elements_text("+k+")", items(true))
	each := func(name string, asText, keysOnly bool) setFunc {
		return func(_ *Call, a []types.Datum) Rows {
			s := a[0].S
			if kind := jsonKind(s); kind != '{' {
				return failed(notAnObject(name, b, keysOnly, kind))
			}
			return func(yield func([]types.Datum, error) bool) {
				for n, v := range jsonMembers(s) {
					out := []types.Datum{types.BytesDatum(n)}
					if !keysOnly {
						out = append(out, jsonOrText(v, asText))
					}
					if !yield(out, nil) {
						return
					}
				}
			}
		}
	}
	setFn(k+"_each("+k+")", each(k+"_each", false, false))
	setFn(k+"_each_text("+k+")", each(k+"_each_text", true, false))
	setFn(k+"_object_keys("+k+")", each(k+"_object_keys", false, true))
}

func jsonOrText(v string, asText bool) types.Datum {
	if asText {
		return jsonAsText(v)
	}
	return types.BytesDatum(v)
}

// notAnArray words the error as json and jsonb each do.
func notAnArray(name string, binary bool, kind byte) error {
	switch {
	case binary && kind == '{':
		return jsonParameterError("cannot extract elements from an object")
	case binary:
		return jsonParameterError("cannot extract elements from a scalar")
	case kind == '{':
		return jsonParameterError("cannot call %s on a non-array", name)
	}
	return jsonParameterError("cannot call %s on a scalar", name)
}

func notAnObject(name string, binary, keys bool, kind byte) error {
	switch {
	case binary && !keys:
		return jsonParameterError("cannot call %s on a non-object", name)
	case keys && kind == '[':
		return jsonParameterError("cannot call %s on an array", name)
	case keys:
		return jsonParameterError("cannot call %s on a scalar", name)
	case kind == '[':
		return jsonParameterError("cannot deconstruct an array as an object")
	}
	return jsonParameterError("cannot deconstruct a scalar")
}

// extractJSONField is ksqlDB's: a path of the form $.member[0]['other'] into a text. What is not there is NULL.
func extractJSONField(_ *Call, a []types.Datum) (types.Datum, error) {
	if err := types.ValidateJSON(a[0].S); err != nil {
		return types.NullDatum, err
	}
	path, err := parseJSONPath(a[1].S)
	if err != nil {
		return types.NullDatum, err
	}
	return optionalText(jsonPath(a[0].S, path))
}

func parseJSONPath(s string) ([]types.Datum, error) {
	bad := sqlerr.New(sqlerr.InvalidParameterValue, "invalid JSON path: %q", s)
	rest, ok := strings.CutPrefix(s, "$")
	if !ok {
		return nil, bad
	}
	var path []types.Datum
	for rest != "" {
		var name string
		switch rest[0] {
		case '.':
			rest = rest[1:]
			n := strings.IndexAny(rest, ".[")
			if n < 0 {
				n = len(rest)
			}
			name, rest = rest[:n], rest[n:]
		case '[':
			var ok bool
			if name, rest, ok = strings.Cut(rest[1:], "]"); !ok {
				return nil, bad
			}
			name = strings.Trim(name, `'"`)
		default:
			return nil, bad
		}
		if name == "" {
			return nil, bad
		}
		path = append(path, types.BytesDatum(name))
	}
	return path, nil
}
