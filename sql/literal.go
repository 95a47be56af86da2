package sql

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// stringBody returns the value of a '..' string whose parts may stand on several lines.
func stringBody(s string) string {
	if len(s) >= 2 && strings.IndexByte(s[1:len(s)-1], '\'') < 0 {
		return s[1 : len(s)-1]
	}
	var b strings.Builder
	for _, part := range stringParts(s, false) {
		b.WriteString(strings.ReplaceAll(part, "''", "'"))
	}
	return b.String()
}

// stringParts yields the bodies of the parts of a string token, quotes still doubled, and their offsets.
func stringParts(s string, escapes bool) func(func(int, string) bool) {
	return func(yield func(int, string) bool) {
		l := lexer{src: s}
		for l.pos < len(s) {
			start := l.pos + 1
			l.skipQuoted(escapes)
			if !yield(start, s[start:l.pos-1]) || !l.continued() {
				return
			}
		}
	}
}

// stringValue returns the value of a string token of any form; at is where the token begins, for errors. escape is the
// character of UESCAPE, used for tokStringU and tokQuotedU only.
func stringValue(k tokenKind, s string, at int, escape byte) (string, *sqlerr.Error) {
	switch k {
	case tokString:
		return stringBody(strings.TrimLeft(s, "nN")), nil
	case tokBits, tokHex:
		return stringBody(s[1:]), nil
	case tokDollar:
		n := strings.IndexByte(s[1:], '$') + 2
		return s[n : len(s)-n], nil
	case tokStringE:
		return unescape(s[1:], at+1)
	case tokStringU:
		return unescapeUnicode(stringBody(s[2:]), at+3, escape)
	case tokQuotedU:
		return unescapeUnicode(strings.ReplaceAll(s[3:len(s)-1], `""`, `"`), at+3, escape)
	default: // tokQuoted
		q := s[:1]
		return strings.ReplaceAll(s[1:len(s)-1], q+q, q), nil
	}
}

// unescape resolves the backslash escapes of E'..' (PostgreSQL 15, section 4.1.2.2).
func unescape(s string, at int) (string, *sqlerr.Error) {
	var b strings.Builder
	for off, part := range stringParts(s, true) {
		for i := 0; i < len(part); {
			c := part[i]
			switch {
			case c == '\'':
				b.WriteByte('\'')
				i += 2
			case c != '\\':
				b.WriteByte(c)
				i++
			default:
				n, err := unescapeOne(&b, part[i:], at+off+i)
				if err != nil {
					return "", err
				}
				i += n
			}
		}
	}
	v := b.String()
	if i := invalidByte(v); i >= 0 {
		return "", sqlerr.New(sqlerr.CharacterNotInRepertoire, "invalid byte sequence for encoding \"UTF8\": 0x%02x", v[i]).At(at - 1)
	}
	return v, nil
}

// invalidByte returns the offset of the first byte that is NUL or not UTF-8, or -1.
func invalidByte(v string) int {
	for i, r := range v {
		if r == 0 {
			return i
		}
		if r == utf8.RuneError {
			if _, n := utf8.DecodeRuneInString(v[i:]); n == 1 {
				return i
			}
		}
	}
	return -1
}

var simpleEscapes = map[byte]byte{'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', 'v': '\v'}

// unescapeOne resolves the escape at the start of s and returns its length.
func unescapeOne(b *strings.Builder, s string, at int) (int, *sqlerr.Error) {
	if len(s) < 2 {
		b.WriteByte('\\')
		return 1, nil
	}
	switch c := s[1]; {
	case c >= '0' && c <= '7':
		n := digitsOf(s[1:], 8, 3)
		b.WriteByte(byte(number(s[1:1+n], 8)))
		return 1 + n, nil
	case c == 'x' && digitsOf(s[2:], 16, 2) > 0:
		n := digitsOf(s[2:], 16, 2)
		b.WriteByte(byte(number(s[2:2+n], 16)))
		return 2 + n, nil
	case c == 'u' || c == 'U':
		want := 4
		if c == 'U' {
			want = 8
		}
		return unescapeRune(b, s, 2, want, at, s[:2])
	default:
		if v, ok := simpleEscapes[c]; ok {
			b.WriteByte(v)
			return 2, nil
		}
		_, n := utf8.DecodeRuneInString(s[1:])
		b.WriteString(s[1 : 1+n])
		return 1 + n, nil
	}
}

// unescapeRune reads want hex digits after skip bytes of s, and the second half of a surrogate pair, introduced by
// intro again. It returns the length of what it read.
func unescapeRune(b *strings.Builder, s string, skip, want, at int, intro string) (int, *sqlerr.Error) {
	if digitsOf(s[skip:], 16, want) < want {
		return 0, sqlerr.New(sqlerr.InvalidEscapeSequence, "invalid Unicode escape").
			WithHint(`Unicode escapes must be \uXXXX or \UXXXXXXXX.`).At(at)
	}
	n := skip + want
	r := rune(number(s[skip:n], 16))
	if utf16.IsSurrogate(r) {
		rest := s[n:]
		if !strings.HasPrefix(rest, intro) || digitsOf(rest[skip:], 16, want) < want {
			return 0, badSurrogate(at)
		}
		r = utf16.DecodeRune(r, rune(number(rest[skip:skip+want], 16)))
		if r == utf8.RuneError {
			return 0, badSurrogate(at)
		}
		n += skip + want
	}
	if r == 0 || !utf8.ValidRune(r) {
		return 0, sqlerr.New(sqlerr.SyntaxError, "invalid Unicode escape value").At(at)
	}
	b.WriteRune(r)
	return n, nil
}

func badSurrogate(at int) *sqlerr.Error {
	return sqlerr.New(sqlerr.SyntaxError, "invalid Unicode surrogate pair").At(at)
}

// unescapeUnicode resolves the escapes of U&'..' and U&"..": \XXXX, \+XXXXXX and \\, with escape for the backslash.
func unescapeUnicode(s string, at int, escape byte) (string, *sqlerr.Error) {
	if strings.IndexByte(s, escape) < 0 {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		switch {
		case s[i] != escape:
			b.WriteByte(s[i])
			i++
		case i+1 < len(s) && s[i+1] == escape:
			b.WriteByte(escape)
			i += 2
		default:
			skip, want := 1, 4
			if i+1 < len(s) && s[i+1] == '+' {
				skip, want = 2, 6
			}
			if len(s)-i < skip {
				skip = len(s) - i
			}
			n, err := unescapeRune(&b, s[i:], skip, want, at+i, s[i:i+skip])
			if err != nil {
				return "", err
			}
			i += n
		}
	}
	return b.String(), nil
}

// digitsOf counts the leading digits of s in a base, at most limit.
func digitsOf(s string, base, limit int) int {
	n := 0
	for n < len(s) && n < limit && digitValue(s[n]) < base {
		n++
	}
	return n
}

// number reads digits that digitsOf counted; at most eight, so it fits.
func number(s string, base int) int64 {
	var v int64
	for i := range len(s) {
		v = v*int64(base) + int64(digitValue(s[i]))
	}
	return v
}

func digitValue(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return 99
}
