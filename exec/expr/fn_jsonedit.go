package expr

import (
	"slices"
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql/types"
)

// The functions that change jsonb values. They write the changed text and make it canonical again.

func init() {
	row("||(jsonb,jsonb)", jsonConcat)
	row("-(jsonb,text)", func(_ *Call, a []types.Datum) (types.Datum, error) { return jsonRemove(a[0].S, a[1:]) })
	row("-(jsonb,text[])", func(_ *Call, a []types.Datum) (types.Datum, error) {
		return jsonRemove(a[0].S, types.ArrayElements(types.Of(types.Text), a[1].S))
	})
	row("-(jsonb,int4)", jsonRemoveAt)
	row("#-(jsonb,text[])", func(_ *Call, a []types.Datum) (types.Datum, error) {
		if !isContainer(a[0].S) {
			return types.NullDatum, jsonParameterError("cannot delete path in scalar")
		}
		return editPath(a, pathEdit{})
	})
	set := func(_ *Call, a []types.Datum) (types.Datum, error) {
		if !isContainer(a[0].S) {
			return types.NullDatum, jsonParameterError("cannot set path in scalar")
		}
		return editPath(a, pathEdit{value: a[2].S, replace: true, create: len(a) < 4 || a[3].I != 0})
	}
	row("jsonb_set(jsonb,text[],jsonb)", set)
	row("jsonb_set(jsonb,text[],jsonb,bool)", set)
	row("jsonb_set_lax(jsonb,text[],jsonb)", setLax)
	row("jsonb_set_lax(jsonb,text[],jsonb,bool)", setLax)
	row("jsonb_set_lax(jsonb,text[],jsonb,bool,text)", setLax)
	insert := func(_ *Call, a []types.Datum) (types.Datum, error) {
		if !isContainer(a[0].S) {
			return types.NullDatum, jsonParameterError("cannot set path in scalar")
		}
		return editPath(a, pathEdit{value: a[2].S, create: true, after: len(a) > 3 && a[3].I != 0})
	}
	row("jsonb_insert(jsonb,text[],jsonb)", insert)
	row("jsonb_insert(jsonb,text[],jsonb,bool)", insert)
	row("jsonb_strip_nulls(jsonb)", func(_ *Call, a []types.Datum) (types.Datum, error) { return canonical(string(stripNulls(nil, a[0].S))) })
	row("json_strip_nulls(json)", text(func(a []types.Datum) string { return string(stripNulls(nil, a[0].S)) }))
	row("jsonb_pretty(jsonb)", text(func(a []types.Datum) string { return string(pretty(nil, a[0].S, 0)) }))
}

// setLax is jsonb_set where a NULL value is what the last argument says: use_json_null, delete_key, return_target or raise_exception.
func setLax(_ *Call, a []types.Datum) (types.Datum, error) {
	if a[0].Null || a[1].Null || len(a) > 3 && a[3].Null {
		return types.NullDatum, nil
	}
	if !isContainer(a[0].S) {
		return types.NullDatum, jsonParameterError("cannot set path in scalar")
	}
	edit := pathEdit{value: a[2].S, replace: true, create: len(a) < 4 || a[3].I != 0}
	if !a[2].Null {
		return editPath(a, edit)
	}
	how := "use_json_null"
	if len(a) > 4 {
		how = a[4].S
	}
	switch {
	case len(a) > 4 && a[4].Null:
		return types.NullDatum, jsonParameterError("null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or \"raise_exception\"")
	case how == "use_json_null":
		edit.value = "null"
		return editPath(a, edit)
	case how == "delete_key":
		return editPath(a, pathEdit{})
	case how == "return_target":
		return a[0], nil
	case how == "raise_exception":
		return types.NullDatum, sqlerr.New("22004", "JSON value must not be null").
			WithDetail("Exception was raised because null_value_treatment is \"raise_exception\".")
	}
	return types.NullDatum, jsonParameterError("null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or \"raise_exception\"")
}

// inner is the text between a container's brackets.
func inner(s string) string {
	s = strings.TrimSpace(s)
	return s[1 : len(s)-1]
}

func join(open, a, b, end string) string {
	if strings.TrimSpace(a) != "" && strings.TrimSpace(b) != "" {
		a += ","
	}
	return open + a + b + end
}

func jsonConcat(_ *Call, a []types.Datum) (types.Datum, error) {
	x, y := a[0].S, a[1].S
	if jsonKind(x) == '{' && jsonKind(y) == '{' {
		return canonical(join("{", inner(x), inner(y), "}"))
	}
	if jsonKind(x) == '[' {
		x = inner(x)
	}
	if jsonKind(y) == '[' {
		y = inner(y)
	}
	return canonical(join("[", x, y, "]"))
}

// rewrite writes a container anew with the members (name "" for elements) that f returns.
func rewrite(s string, f func(name, value string) (string, bool)) string {
	var b strings.Builder
	first := true
	write := func(name *string, value string) {
		if !first {
			b.WriteByte(',')
		}
		first = false
		if name != nil {
			b.Write(types.AppendJSONString(nil, *name))
			b.WriteByte(':')
		}
		b.WriteString(value)
	}
	if jsonKind(s) == '{' {
		b.WriteByte('{')
		for n, v := range jsonMembers(s) {
			if v, ok := f(n, v); ok {
				write(&n, v)
			}
		}
		b.WriteByte('}')
		return b.String()
	}
	b.WriteByte('[')
	for v := range jsonItems(s) {
		if v, ok := f("", v); ok {
			write(nil, v)
		}
	}
	b.WriteByte(']')
	return b.String()
}

// jsonRemove removes members by name, or strings from an array.
func jsonRemove(s string, keys []types.Datum) (types.Datum, error) {
	if !isContainer(s) {
		return types.NullDatum, jsonParameterError("cannot delete from scalar")
	}
	object := jsonKind(s) == '{'
	return canonical(rewrite(s, func(name, v string) (string, bool) {
		if !object {
			if jsonKind(v) != '"' {
				return v, true
			}
			name = unquoteJSON(v)
		}
		return v, !slices.ContainsFunc(keys, func(k types.Datum) bool { return !k.Null && k.S == name })
	}))
}

func jsonRemoveAt(_ *Call, a []types.Datum) (types.Datum, error) {
	switch jsonKind(a[0].S) {
	case '{':
		return types.NullDatum, jsonParameterError("cannot delete from object using integer index")
	case '[':
	default:
		return types.NullDatum, jsonParameterError("cannot delete from scalar")
	}
	at := a[1].I
	if at < 0 {
		at += jsonLen(a[0].S)
	}
	i := int64(-1)
	return canonical(rewrite(a[0].S, func(_, v string) (string, bool) { i++; return v, i != at }))
}

// pathEdit is a change at the end of a path: without replace and create the value there is removed.
type pathEdit struct {
	value           string
	replace, create bool
	after           bool
}

func editPath(a []types.Datum, e pathEdit) (types.Datum, error) {
	path := types.ArrayElements(types.Of(types.Text), a[1].S)
	if len(path) == 0 {
		return a[0], nil
	}
	s, err := e.apply(a[0].S, path, 0)
	if err != nil {
		return types.NullDatum, err
	}
	return canonical(s)
}

func (e pathEdit) remove() bool { return !e.replace && !e.create }

// apply changes the container s, which path[at] leads into.
func (e pathEdit) apply(s string, path []types.Datum, at int) (string, error) {
	if path[at].Null {
		return "", sqlerr.New("22004", "path element at position %d is null", at+1)
	}
	switch jsonKind(s) {
	case '{':
		return e.applyObject(s, path, at)
	case '[':
		return e.applyArray(s, path, at)
	}
	return s, nil
}

func (e pathEdit) applyObject(s string, path []types.Datum, at int) (string, error) {
	key, last := path[at].S, at == len(path)-1
	found := false
	var failure error
	out := rewrite(s, func(name, v string) (string, bool) {
		if name != key {
			return v, true
		}
		found = true
		switch {
		case !last:
			var err error
			if v, err = e.apply(v, path, at+1); err != nil {
				failure = err
			}
			return v, true
		case e.remove():
			return "", false
		case !e.replace:
			failure = jsonParameterError("cannot replace existing key")
		}
		return e.value, true
	})
	if !found && last && e.create {
		out = join("{", inner(out), string(types.AppendJSONString(nil, key))+":"+e.value, "}")
	}
	return out, failure
}

func (e pathEdit) applyArray(s string, path []types.Datum, at int) (string, error) {
	want, ok := pathIndex(path[at].S)
	if !ok {
		return "", sqlerr.New(sqlerr.InvalidTextRepresentation, "path element at position %d is not an integer: \"%s\"", at+1, path[at].S)
	}
	last, n := at == len(path)-1, jsonLen(s)
	before := want < 0 && -want > n
	if want < 0 {
		want += n
	}
	i := int64(-1)
	var failure error
	found := false
	out := rewrite(s, func(_, v string) (string, bool) {
		if i++; i != want {
			return v, true
		}
		found = true
		switch {
		case !last:
			var err error
			if v, err = e.apply(v, path, at+1); err != nil {
				failure = err
			}
		case e.remove():
			return "", false
		case e.replace:
			return e.value, true
		case e.after:
			return v + "," + e.value, true
		default:
			return e.value + "," + v, true
		}
		return v, true
	})
	if !found && last && e.create {
		if before {
			out = join("[", e.value, inner(out), "]")
		} else {
			out = join("[", inner(out), e.value, "]")
		}
	}
	return out, failure
}

// stripNulls drops the members of objects that are null, at every depth.
func stripNulls(dst []byte, s string) []byte {
	switch jsonKind(s) {
	case '{':
		return append(dst, rewrite(s, func(_, v string) (string, bool) { return string(stripNulls(nil, v)), jsonKind(v) != 'n' })...)
	case '[':
		return append(dst, rewrite(s, func(_, v string) (string, bool) { return string(stripNulls(nil, v)), true })...)
	}
	return append(dst, strings.TrimSpace(s)...)
}

const prettyIndent = 4

func pretty(dst []byte, s string, depth int) []byte {
	line := func() {
		dst = append(append(dst, '\n'), strings.Repeat(" ", prettyIndent*depth)...)
	}
	kind := jsonKind(s)
	if kind != '{' && kind != '[' {
		return append(dst, s...)
	}
	dst = append(dst, kind)
	depth++
	first := true
	next := func() {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		line()
	}
	if kind == '{' {
		for n, v := range jsonMembers(s) {
			next()
			dst = append(types.AppendJSONString(dst, n), ": "...)
			dst = pretty(dst, v, depth)
		}
	} else {
		for v := range jsonItems(s) {
			next()
			dst = pretty(dst, v, depth)
		}
	}
	depth--
	line()
	return append(dst, kind+2)
}
