package expr

import (
	"slices"
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql/types"
)

// ksqlDB's functions of arrays, maps and JSON texts (ksqlDB reference, "Scalar functions").

func init() {
	row("array_length(anyarray)", integer(func(a []types.Datum) int64 { return int64(types.ArrayLen(a[0].S)) }))
	row("array_concat(anyarray,anyarray)", arrayCat)
	row("array_union(anyarray,anyarray)", func(c *Call, a []types.Datum) (types.Datum, error) {
		both := append(c.elements(0, a[0]), c.elements(1, a[1])...)
		return c.array(distinctOf(elemOf(c.Args[0]), both, nil, false))
	})
	row("array_except(anyarray,anyarray)", func(c *Call, a []types.Datum) (types.Datum, error) {
		return c.array(distinctOf(elemOf(c.Args[0]), c.elements(0, a[0]), c.elements(1, a[1]), false))
	})
	row("array_intersect(anyarray,anyarray)", func(c *Call, a []types.Datum) (types.Datum, error) {
		return c.array(distinctOf(elemOf(c.Args[0]), c.elements(0, a[0]), c.elements(1, a[1]), true))
	})
	row("array_join(anyarray)", arrayJoin)
	row("array_join(anyarray,text)", arrayJoin)
	row("array_sort(anyarray,text)", arraySort)
	row("slice(anyarray,int4,int4)", func(c *Call, a []types.Datum) (types.Datum, error) {
		list := c.elements(0, a[0])
		from, to := max(a[1].I, 1), min(a[2].I, int64(len(list)))
		if from > to {
			return c.array(nil)
		}
		return c.array(list[from-1 : to])
	})
	registerMaps()
	registerJSONTexts()
}

// distinctOf keeps the first of equal elements: of those that are in other, or of those that are not.
func distinctOf(elem types.Type, list, other []types.Datum, in bool) []types.Datum {
	key := func(d types.Datum) string { return string(types.AppendKey(nil, elem, d)) }
	has := make(map[string]bool, len(other))
	for _, d := range other {
		has[key(d)] = true
	}
	seen := make(map[string]bool, len(list))
	return slices.DeleteFunc(list, func(d types.Datum) bool {
		k := key(d)
		drop := seen[k] || has[k] != in
		seen[k] = true
		return drop
	})
}

// arrayJoin is array_join(array [, delimiter]); a NULL element is spelled out.
func arrayJoin(c *Call, a []types.Datum) (types.Datum, error) {
	delim := ","
	if len(a) > 1 {
		delim = a[1].S
	}
	elem := elemOf(c.Args[0])
	var out []byte
	for i, d := range c.elements(0, a[0]) {
		if i > 0 {
			out = append(out, delim...)
		}
		if d.Null {
			out = append(out, "null"...)
		} else {
			out = types.AppendText(out, elem, d, c.Env.Text)
		}
	}
	return types.BytesDatum(string(out)), nil
}

func arraySort(c *Call, a []types.Datum) (types.Datum, error) {
	elem, list := elemOf(c.Args[0]), c.elements(0, a[0])
	sign := 1
	switch strings.ToUpper(a[1].S) {
	case "ASC", "ASCENDING":
	case "DESC", "DESCENDING":
		sign = -1
	default:
		return types.NullDatum, sqlerr.New(sqlerr.InvalidParameterValue, "unrecognized order: %q", a[1].S).WithHint("Use ASC or DESC.")
	}
	slices.SortStableFunc(list, func(x, y types.Datum) int {
		if x.Null || y.Null {
			return types.Compare(elem, x, y) // NULLs come last either way
		}
		return sign * types.Compare(elem, x, y)
	})
	return c.array(list)
}

func registerMaps() {
	textType := types.Of(types.Text)
	row("as_map(text[],anyarray)", func(c *Call, a []types.Datum) (types.Datum, error) {
		keys, values := c.elements(0, a[0]), c.elements(1, a[1])
		if len(keys) != len(values) {
			return types.NullDatum, sqlerr.New(sqlerr.ArraySubscriptError, "as_map needs as many values as keys, not %d and %d", len(values), len(keys))
		}
		entries := make([]types.MapEntry, len(keys))
		for i, k := range keys {
			if k.Null {
				return types.NullDatum, errNullMapKey
			}
			entries[i] = types.MapEntry{Key: k.S, Value: values[i]}
		}
		return types.MapDatum(*c.Ret.Elem, entries)
	})
	row("map_keys(map)", func(c *Call, a []types.Datum) (types.Datum, error) {
		entries, err := types.MapEntries(*c.Args[0].Elem, a[0].S)
		list := make([]types.Datum, len(entries))
		for i, e := range entries {
			list[i] = types.BytesDatum(e.Key)
		}
		return types.ArrayDatum(textType, list), err
	})
	row("map_values(map)", func(c *Call, a []types.Datum) (types.Datum, error) {
		entries, err := types.MapEntries(*c.Args[0].Elem, a[0].S)
		list := make([]types.Datum, len(entries))
		for i, e := range entries {
			list[i] = e.Value
		}
		return types.ArrayDatum(*c.Args[0].Elem, list), err
	})
	row("map_union(map,map)", func(c *Call, a []types.Datum) (types.Datum, error) {
		if a[0].Null {
			return a[1], nil
		}
		if a[1].Null {
			return a[0], nil
		}
		left, err := types.MapEntries(*c.Args[0].Elem, a[0].S)
		if err != nil {
			return types.NullDatum, err
		}
		right, err := types.MapEntries(*c.Args[1].Elem, a[1].S)
		if err != nil {
			return types.NullDatum, err
		}
		return types.MapDatum(*c.Ret.Elem, append(left, right...))
	})
}

// registerJSONTexts registers the functions of JSON as text. As in ksqlDB, a text that is no JSON, or not of the kind wanted, gives NULL.
func registerJSONTexts() {
	textType := types.Of(types.Text)
	row("is_json_string(text)", func(_ *Call, a []types.Datum) (types.Datum, error) {
		return types.BoolDatum(!a[0].Null && isJSON(a[0].S)), nil
	})
	row("json_items(text)", func(_ *Call, a []types.Datum) (types.Datum, error) {
		items, ok := elementsOfText(a[0].S)
		if !ok {
			return types.NullDatum, nil
		}
		return types.ArrayDatum(textType, items), nil
	})
	row("json_keys(text)", func(_ *Call, a []types.Datum) (types.Datum, error) {
		entries, ok := membersOfText(a[0].S)
		if !ok {
			return types.NullDatum, nil
		}
		list := make([]types.Datum, len(entries))
		for i, e := range entries {
			list[i] = types.BytesDatum(e.Key)
		}
		return types.ArrayDatum(textType, list), nil
	})
	row("json_records(text)", func(_ *Call, a []types.Datum) (types.Datum, error) {
		entries, ok := membersOfText(a[0].S)
		if !ok {
			return types.NullDatum, nil
		}
		return types.MapDatum(textType, entries)
	})
	row("json_concat(text,text...)", jsonTextConcat)
	row("json_array_contains(text,any)", jsonArrayContains)
	row("to_json_string(any)", func(c *Call, a []types.Datum) (types.Datum, error) {
		if a[0].Null {
			return types.BytesDatum("null"), nil
		}
		return types.BytesDatum(string(types.AppendJSON(nil, c.Args[0], a[0]))), nil
	})
}

func isJSON(s string) bool { return types.ValidateJSON(s) == nil }

// membersOfText reads the members of an object, their values as canonical JSON.
func membersOfText(s string) ([]types.MapEntry, bool) {
	if !isJSON(s) || !strings.HasPrefix(strings.TrimLeft(s, " \t\r\n"), "{") {
		return nil, false
	}
	entries, err := types.MapEntries(types.Of(types.JSONB), s)
	return entries, err == nil
}

// elementsOfText reads the elements of an array as canonical JSON.
func elementsOfText(s string) ([]types.Datum, bool) {
	jsonType := types.Of(types.JSONB)
	list, err := types.DatumFromJSON(types.ArrayOf(jsonType), []byte(s))
	if err != nil || list.Null {
		return nil, false
	}
	return types.ArrayElements(jsonType, list.S), true
}

// jsonTextConcat merges objects, the later members winning, or joins arrays; anything else counts as an array of itself.
func jsonTextConcat(_ *Call, a []types.Datum) (types.Datum, error) {
	jsonType := types.Of(types.JSONB)
	objects := true
	var entries []types.MapEntry
	var list []types.Datum
	for _, d := range a {
		if !isJSON(d.S) {
			return types.NullDatum, nil
		}
		more, isObject := membersOfText(d.S)
		entries, objects = append(entries, more...), objects && isObject
		if items, ok := elementsOfText(d.S); ok {
			list = append(list, items...)
			continue
		}
		item, err := types.DatumFromJSON(jsonType, []byte(d.S))
		if err != nil {
			return types.NullDatum, err
		}
		list = append(list, item)
	}
	if objects {
		return types.MapDatum(jsonType, entries)
	}
	out, err := types.CanonicalJSON(string(types.AppendJSON(nil, types.ArrayOf(jsonType), types.ArrayDatum(jsonType, list))))
	return types.BytesDatum(out), err
}

func jsonArrayContains(c *Call, a []types.Datum) (types.Datum, error) {
	items, ok := elementsOfText(a[0].S)
	if !ok {
		return types.BoolDatum(false), nil
	}
	want, err := types.CanonicalJSON(string(types.AppendJSON(nil, c.Args[1], a[1])))
	if err != nil {
		return types.NullDatum, err
	}
	return types.BoolDatum(slices.ContainsFunc(items, func(d types.Datum) bool {
		return types.Compare(types.Of(types.JSONB), d, types.BytesDatum(want)) == 0
	})), nil
}
