package expr

import (
	"fmt"
	"slices"
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql/types"
)

// Array functions and operators (PostgreSQL docs, 9.19; array_contains and those after it are ksqlDB's). Arrays have one dimension.

func init() {
	row("||(anyarray,anyarray)", arrayCat)
	row("array_cat(anyarray,anyarray)", arrayCat)
	row("||(anyarray,anyelement)", arrayAppend)
	row("array_append(anyarray,anyelement)", arrayAppend)
	row("||(anyelement,anyarray)", flipped(arrayPrepend))
	row("array_prepend(anyelement,anyarray)", flipped(arrayPrepend))
	row("@>(anyarray,anyarray)", arrayTest(func(a, b *elemSet) bool { return a.hasAll(b) }))
	row("<@(anyarray,anyarray)", arrayTest(func(a, b *elemSet) bool { return b.hasAll(a) }))
	row("&&(anyarray,anyarray)", arrayTest(func(a, b *elemSet) bool { return a.hasAny(b) }))
	registerArraySizes()
	registerArraySearch()
	registerArrayChanges()
	registerArrayText()
}

// elements returns the elements of argument i.
func (c *Call) elements(i int, d types.Datum) []types.Datum {
	return types.ArrayElements(elemOf(c.Args[i]), d.S)
}

// array boxes elements as the call's result.
func (c *Call) array(list []types.Datum) (types.Datum, error) {
	if len(list) > types.MaxArrayElements {
		return types.NullDatum, errArrayTooLarge
	}
	return types.ArrayDatum(elemOf(c.Ret), list), nil
}

func arrayCat(c *Call, a []types.Datum) (types.Datum, error) {
	switch {
	case a[0].Null:
		return a[1], nil
	case a[1].Null:
		return a[0], nil
	}
	return c.array(append(c.elements(0, a[0]), c.elements(1, a[1])...))
}

func arrayAppend(c *Call, a []types.Datum) (types.Datum, error) {
	if a[0].Null {
		return c.array(a[1:2])
	}
	return c.array(append(c.elements(0, a[0]), a[1]))
}

// arrayPrepend takes the array first; the calls are flipped.
func arrayPrepend(c *Call, a []types.Datum) (types.Datum, error) {
	if a[0].Null {
		return c.array(a[1:2])
	}
	return c.array(slices.Insert(c.elements(0, a[0]), 0, a[1]))
}

// elemSet is an array as a set; a NULL element equals nothing.
type elemSet struct {
	keys map[string]struct{}
	null bool
}

func newElemSet(elem types.Type, s string) *elemSet {
	set := &elemSet{keys: map[string]struct{}{}}
	var buf []byte
	for it := types.NewElements(s); it.Next(elem); {
		if it.Value.Null {
			set.null = true
			continue
		}
		buf = types.AppendKey(buf[:0], elem, it.Value)
		set.keys[string(buf)] = struct{}{}
	}
	return set
}

func (s *elemSet) hasAll(o *elemSet) bool {
	if o.null {
		return false
	}
	for k := range o.keys {
		if _, ok := s.keys[k]; !ok {
			return false
		}
	}
	return true
}

func (s *elemSet) hasAny(o *elemSet) bool {
	for k := range o.keys {
		if _, ok := s.keys[k]; ok {
			return true
		}
	}
	return false
}

func arrayTest(f func(a, b *elemSet) bool) rowFunc {
	return func(c *Call, a []types.Datum) (types.Datum, error) {
		return types.BoolDatum(f(newElemSet(elemOf(c.Args[0]), a[0].S), newElemSet(elemOf(c.Args[1]), a[1].S))), nil
	}
}

// firstSubscript is that of arrays of the type: 1, but 0 for the catalog's vectors.
func firstSubscript(t types.Type) int64 {
	if t.Kind == types.Int2Vector || t.Kind == types.OIDVector {
		return 0
	}
	return 1
}

func registerArraySizes() {
	size := func(f func(first, n int64) int64) rowFunc {
		return func(c *Call, a []types.Datum) (types.Datum, error) {
			n := int64(types.ArrayLen(a[0].S))
			if n == 0 || len(a) > 1 && a[1].I != 1 {
				return types.NullDatum, nil
			}
			return types.IntDatum(f(firstSubscript(c.Args[0]), n)), nil
		}
	}
	row("array_length(anyarray,int4)", size(func(_, n int64) int64 { return n }))
	row("array_lower(anyarray,int4)", size(func(first, _ int64) int64 { return first }))
	row("array_upper(anyarray,int4)", size(func(first, n int64) int64 { return first + n - 1 }))
	row("array_ndims(anyarray)", size(func(int64, int64) int64 { return 1 }))
	row("array_dims(anyarray)", func(c *Call, a []types.Datum) (types.Datum, error) {
		n, first := int64(types.ArrayLen(a[0].S)), firstSubscript(c.Args[0])
		if n == 0 {
			return types.NullDatum, nil
		}
		return types.BytesDatum(fmt.Sprintf("[%d:%d]", first, first+n-1)), nil
	})
	row("cardinality(anyarray)", integer(func(a []types.Datum) int64 { return int64(types.ArrayLen(a[0].S)) }))
}

// same reports whether two elements are not distinct.
func same(elem types.Type, a, b types.Datum) bool {
	return a.Null == b.Null && (a.Null || types.Compare(elem, a, b) == 0)
}

func registerArraySearch() {
	position := func(c *Call, a []types.Datum) (types.Datum, error) {
		if a[0].Null {
			return types.NullDatum, nil
		}
		first := firstSubscript(c.Args[0])
		from := first
		if len(a) > 2 {
			if a[2].Null {
				return types.NullDatum, sqlerr.New("22004", "initial position must not be null")
			}
			from = a[2].I
		}
		elem := elemOf(c.Args[0])
		for i, e := range c.elements(0, a[0]) {
			if at := first + int64(i); at >= from && same(elem, e, a[1]) {
				return types.IntDatum(at), nil
			}
		}
		return types.NullDatum, nil
	}
	row("array_position(anyarray,anyelement)", position)
	row("array_position(anyarray,anyelement,int4)", position)
	row("array_positions(anyarray,anyelement)", func(c *Call, a []types.Datum) (types.Datum, error) {
		if a[0].Null {
			return types.NullDatum, nil
		}
		elem, first := elemOf(c.Args[0]), firstSubscript(c.Args[0])
		var list []types.Datum
		for i, e := range c.elements(0, a[0]) {
			if same(elem, e, a[1]) {
				list = append(list, types.IntDatum(first+int64(i)))
			}
		}
		return c.array(list)
	})
	row("array_contains(anyarray,anyelement)", func(c *Call, a []types.Datum) (types.Datum, error) {
		elem := elemOf(c.Args[0])
		return types.BoolDatum(slices.ContainsFunc(c.elements(0, a[0]), func(e types.Datum) bool { return same(elem, e, a[1]) })), nil
	})
	best := func(sign int) rowFunc {
		return func(c *Call, a []types.Datum) (types.Datum, error) {
			elem, best := elemOf(c.Args[0]), types.NullDatum
			for _, e := range c.elements(0, a[0]) {
				if !e.Null && (best.Null || types.Compare(elem, e, best)*sign > 0) {
					best = e
				}
			}
			return best, nil
		}
	}
	row("array_max(anyarray)", best(1))
	row("array_min(anyarray)", best(-1))
}

func registerArrayChanges() {
	row("array_remove(anyarray,anyelement)", func(c *Call, a []types.Datum) (types.Datum, error) {
		if a[0].Null {
			return a[0], nil
		}
		elem := elemOf(c.Args[0])
		return c.array(slices.DeleteFunc(c.elements(0, a[0]), func(e types.Datum) bool { return same(elem, e, a[1]) }))
	})
	row("array_replace(anyarray,anyelement,anyelement)", func(c *Call, a []types.Datum) (types.Datum, error) {
		if a[0].Null {
			return a[0], nil
		}
		elem, list := elemOf(c.Args[0]), c.elements(0, a[0])
		for i, e := range list {
			if same(elem, e, a[1]) {
				list[i] = a[2]
			}
		}
		return c.array(list)
	})
	row("array_fill(anyelement,int4[])", arrayFill)
	row("trim_array(anyarray,int4)", func(c *Call, a []types.Datum) (types.Datum, error) {
		list := c.elements(0, a[0])
		if n := a[1].I; n < 0 || n > int64(len(list)) {
			return types.NullDatum, sqlerr.New(sqlerr.ArraySubscriptError, "number of elements to trim must be between 0 and %d", len(list))
		}
		return c.array(list[:len(list)-int(a[1].I)])
	})
	row("array_distinct(anyarray)", func(c *Call, a []types.Datum) (types.Datum, error) {
		elem, list := elemOf(c.Args[0]), c.elements(0, a[0])
		seen := map[string]struct{}{}
		return c.array(slices.DeleteFunc(list, func(e types.Datum) bool {
			key := string(types.AppendKey(nil, elem, e))
			_, ok := seen[key]
			seen[key] = struct{}{}
			return ok
		}))
	})
	row("array_sort(anyarray)", func(c *Call, a []types.Datum) (types.Datum, error) {
		elem, list := elemOf(c.Args[0]), c.elements(0, a[0])
		slices.SortStableFunc(list, func(x, y types.Datum) int { return types.Compare(elem, x, y) })
		return c.array(list)
	})
}

func arrayFill(c *Call, a []types.Datum) (types.Datum, error) {
	if a[1].Null {
		return types.NullDatum, sqlerr.New("22004", "dimension array or low bound array cannot be null")
	}
	dims := types.ArrayElements(types.Of(types.Int4), a[1].S)
	switch {
	case len(dims) == 0:
		return c.array(nil)
	case len(dims) > 1:
		return types.NullDatum, sqlerr.New(sqlerr.FeatureNotSupported, "arrays of more than one dimension are not supported")
	case dims[0].Null:
		return types.NullDatum, sqlerr.New("22004", "dimension values cannot be null")
	case dims[0].I < 0 || dims[0].I > types.MaxArrayElements:
		return types.NullDatum, errArrayTooLarge
	}
	if int64(len(a[0].S))*dims[0].I > maxTextBytes {
		return types.NullDatum, errArrayTooLarge
	}
	return c.array(slices.Repeat(a[:1], int(dims[0].I)))
}

func registerArrayText() {
	toString := func(c *Call, a []types.Datum) (types.Datum, error) {
		if a[0].Null || a[1].Null {
			return types.NullDatum, nil
		}
		elem := elemOf(c.Args[0])
		var out []byte
		some := false
		for it := types.NewElements(a[0].S); it.Next(elem); {
			if it.Value.Null && (len(a) < 3 || a[2].Null) {
				continue
			}
			if some {
				out = append(out, a[1].S...)
			}
			if some = true; it.Value.Null {
				out = append(out, a[2].S...)
			} else {
				out = types.AppendText(out, elem, it.Value, c.Env.Text)
			}
		}
		return types.BytesDatum(string(out)), nil
	}
	row("array_to_string(anyarray,text)", toString)
	row("array_to_string(anyarray,text,text)", toString)
	row("string_to_array(text,text)", stringToArray)
	row("string_to_array(text,text,text)", stringToArray)
}

func stringToArray(c *Call, a []types.Datum) (types.Datum, error) {
	if a[0].Null {
		return types.NullDatum, nil
	}
	return c.array(splitText(a))
}

// splitText splits text a[0] at a[1]: at every character if that is NULL. Parts equal to a[2], if there is one, are NULL.
func splitText(a []types.Datum) []types.Datum {
	var parts []string
	switch {
	case a[0].S == "":
	case a[1].Null:
		parts = strings.Split(a[0].S, "")
	case a[1].S == "":
		parts = []string{a[0].S}
	default:
		parts = strings.Split(a[0].S, a[1].S)
	}
	list := make([]types.Datum, len(parts))
	for i, p := range parts {
		list[i] = types.BytesDatum(p)
		if len(a) > 2 && !a[2].Null && a[2].S == p {
			list[i] = types.NullDatum
		}
	}
	return list
}
