package expr

import (
	"iter"
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql/types"
)

// Walking over the text of a JSON value that is known to be valid, without building anything: what the getters and the
// set-returning functions do.

func isJSONSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func skipSpace(s string, i int) int {
	for i < len(s) && isJSONSpace(s[i]) {
		i++
	}
	return i
}

// valueEnd returns the end of the value that starts at i.
func valueEnd(s string, i int) int {
	depth := 0
	for i < len(s) {
		switch c := s[i]; c {
		case '"':
			i = stringEnd(s, i)
		case '{', '[':
			depth++
			i++
			continue
		case '}', ']':
			depth--
			i++
		case ',', ':', ' ', '\t', '\n', '\r':
			i++
			continue
		default:
			for i < len(s) && !strings.ContainsRune(",:]} \t\n\r", rune(s[i])) {
				i++
			}
		}
		if depth <= 0 {
			return i
		}
	}
	return i
}

// stringEnd returns the end of the string whose quote is at i.
func stringEnd(s string, i int) int {
	for i++; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(s)
}

// jsonKind is the first byte of the value: one of { [ " t f n, or 0 for a number.
func jsonKind(s string) byte {
	i := skipSpace(s, 0)
	if i == len(s) {
		return 0
	}
	switch c := s[i]; c {
	case '{', '[', '"', 't', 'f', 'n':
		return c
	default:
		return 0
	}
}

func isContainer(s string) bool { k := jsonKind(s); return k == '{' || k == '[' }

// jsonMembers yields the names, unescaped, and values of an object in the order of the text.
func jsonMembers(s string) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		i := skipSpace(s, 0) + 1
		for {
			if i = skipSpace(s, i); i >= len(s) || s[i] != '"' {
				return
			}
			end := stringEnd(s, i)
			name := unquoteJSON(s[i:end])
			i = skipSpace(s, skipSpace(s, end)+1)
			end = valueEnd(s, i)
			if !yield(name, s[i:end]) {
				return
			}
			if i = skipSpace(s, end); i >= len(s) || s[i] != ',' {
				return
			}
			i++
		}
	}
}

// jsonItems yields the elements of an array.
func jsonItems(s string) iter.Seq[string] {
	return func(yield func(string) bool) {
		i := skipSpace(s, 0) + 1
		for {
			if i = skipSpace(s, i); i >= len(s) || s[i] == ']' {
				return
			}
			end := valueEnd(s, i)
			if !yield(s[i:end]) {
				return
			}
			if i = skipSpace(s, end); i >= len(s) || s[i] != ',' {
				return
			}
			i++
		}
	}
}

func jsonLen(s string) int64 {
	n := int64(0)
	for range jsonItems(s) {
		n++
	}
	return n
}

// unquoteJSON returns what a JSON string with its quotes stands for.
func unquoteJSON(s string) string {
	s = s[1 : len(s)-1]
	if !strings.Contains(s, `\`) {
		return s
	}
	out, err := types.AppendUnescapedJSON(nil, s)
	if err != nil {
		return s // U+0000, which text cannot hold: left as it is written
	}
	return string(out)
}

// jsonMember returns the last member of that name.
func jsonMember(s, name string) (value string, ok bool) {
	if jsonKind(s) != '{' {
		return "", false
	}
	for n, v := range jsonMembers(s) {
		if n == name {
			value, ok = v, true
		}
	}
	return value, ok
}

// jsonItem returns element n, counted from the end if negative.
func jsonItem(s string, n int64) (string, bool) {
	if jsonKind(s) != '[' {
		return "", false
	}
	if n < 0 {
		if n += jsonLen(s); n < 0 {
			return "", false
		}
	}
	for v := range jsonItems(s) {
		if n == 0 {
			return v, true
		}
		n--
	}
	return "", false
}

// jsonPath follows a path of member names and element numbers. ok is false where it leads nowhere.
func jsonPath(s string, path []types.Datum) (string, bool) {
	for _, p := range path {
		if p.Null {
			return "", false
		}
		var ok bool
		if jsonKind(s) == '[' {
			n, isInt := pathIndex(p.S)
			if !isInt {
				return "", false
			}
			s, ok = jsonItem(s, n)
		} else {
			s, ok = jsonMember(s, p.S)
		}
		if !ok {
			return "", false
		}
	}
	return s, true
}

// pathIndex reads an element of a path as a subscript.
func pathIndex(s string) (int64, bool) {
	d, err := types.ParseText(types.Of(types.Int4), s, nil)
	return d.I, err == nil
}

// jsonAsText is a value as text: a string without its quotes, NULL for null, all else as it is.
func jsonAsText(s string) types.Datum {
	switch jsonKind(s) {
	case 'n':
		return types.NullDatum
	case '"':
		return types.BytesDatum(unquoteJSON(strings.TrimSpace(s)))
	}
	return types.BytesDatum(strings.TrimSpace(s))
}

func jsonTypeName(s string) string {
	switch jsonKind(s) {
	case '{':
		return "object"
	case '[':
		return "array"
	case '"':
		return "string"
	case 't', 'f':
		return "boolean"
	case 'n':
		return "null"
	default:
		return "number"
	}
}

func jsonParameterError(format string, args ...any) error {
	return sqlerr.New(sqlerr.InvalidParameterValue, format, args...)
}

// canonical boxes text as jsonb.
func canonical(text string) (types.Datum, error) {
	s, err := types.CanonicalJSON(text)
	return types.BytesDatum(s), err
}
