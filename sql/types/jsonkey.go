package types

import "strings"

// AppendKeyJSON appends a value of t as JSON keys hold it: as AppendJSON writes it, but the same bytes for all values that
// compare equal. Numbers are as short as they can be (1.50 is 1.5, -0 is 0), objects have sorted members, nothing has blanks,
// and an interval is days and time alone (a month is 30 days).
func AppendKeyJSON(dst []byte, t Type, d Datum) []byte {
	if d.Null {
		return append(dst, "null"...)
	}
	switch t.Kind {
	case Float4, Float8:
		return appendJSONFloat(dst, t.Kind, d.F+0) // -0 + 0 is 0
	case Numeric:
		return AppendJSON(dst, t, BytesDatum(shortestNumeric(d.S)))
	case Interval:
		iv := intervalOfSpan(IntervalOf(d).span())
		return append(iv.AppendISO8601(append(dst, '"')), '"')
	case JSONB, Map:
		return appendCompactJSON(dst, d.S)
	case JSON:
		if text, err := CanonicalJSON(d.S); err == nil {
			return appendCompactJSON(dst, text)
		}
		return append(dst, d.S...)
	case Array, Int2Vector, OIDVector:
		return appendKeyJSONArray(dst, t.elemType(), d.S)
	case Struct, Record:
		return appendKeyJSONStruct(dst, t.Fields, d.S)
	}
	return AppendJSON(dst, t, d)
}

func appendKeyJSONArray(dst []byte, elem Type, s string) []byte {
	dst = append(dst, '[')
	it := NewElements(s)
	for first := true; it.Next(elem); first = false {
		if !first {
			dst = append(dst, ',')
		}
		dst = AppendKeyJSON(dst, elem, it.Value)
	}
	return append(dst, ']')
}

func appendKeyJSONStruct(dst []byte, fields []Field, s string) []byte {
	dst = append(dst, '{')
	it := NewElements(s)
	for i, f := range fields {
		if i > 0 {
			dst = append(dst, ',')
		}
		if !it.Next(f.Type) {
			it.Value = NullDatum
		}
		dst = append(AppendJSONString(dst, f.Name), ':')
		dst = AppendKeyJSON(dst, f.Type, it.Value)
	}
	return append(dst, '}')
}

// shortestNumeric drops the zeros after the point that do not change the value.
func shortestNumeric(s string) string {
	if strings.IndexByte(s, '.') < 0 {
		return s
	}
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// appendCompactJSON appends canonical JSON text without blanks between its tokens, numbers shortened.
func appendCompactJSON(dst []byte, s string) []byte {
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == ' ':
			i++
		case c == '"':
			j := jsonScanner{s: s, i: i}
			if _, _, err := j.str(); err != nil {
				return append(dst, s[i:]...)
			}
			dst = append(dst, s[i:j.i]...)
			i = j.i
		case c == '-' || c >= '0' && c <= '9':
			n := max(jsonNumberLen(s[i:]), 1)
			dst = append(dst, shortestNumeric(s[i:i+n])...)
			i += n
		default:
			dst = append(dst, c)
			i++
		}
	}
	return dst
}
