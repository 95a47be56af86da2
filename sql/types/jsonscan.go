package types

import (
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// MaxJSONDepth bounds the nesting of JSON values, so that no text can exhaust the stack.
const MaxJSONDepth = 1000

// jsonScanner walks over JSON text (RFC 8259). It checks everything it passes, UTF-8 included.
type jsonScanner struct {
	s     string
	i     int
	depth int
}

func jsonError(detail string, args ...any) error {
	return sqlerr.New(sqlerr.InvalidTextRepresentation, "invalid input syntax for type json").WithDetail(detail, args...)
}

func (j *jsonScanner) space() {
	for j.i < len(j.s) {
		switch j.s[j.i] {
		case ' ', '\t', '\n', '\r':
			j.i++
		default:
			return
		}
	}
}

// peek skips blanks and returns the next byte; 0 at the end.
func (j *jsonScanner) peek() byte {
	j.space()
	if j.i == len(j.s) {
		return 0
	}
	return j.s[j.i]
}

// unexpected says what was found where something else had to be.
func (j *jsonScanner) unexpected(wanted string) error {
	j.space()
	if j.i == len(j.s) {
		return jsonError("The input string ended unexpectedly.")
	}
	return jsonError("Expected %s, but found %q.", wanted, clip(j.token()))
}

// token returns the word or character at the scanner, for messages.
func (j *jsonScanner) token() string {
	end := j.i
	for end < len(j.s) && end-j.i < 32 && isWordByte(j.s[end]) {
		end++
	}
	if end == j.i {
		_, size := utf8.DecodeRuneInString(j.s[j.i:])
		end += size
	}
	return j.s[j.i:end]
}

func isWordByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '-' || c == '.' || c >= 0x80
}

func (j *jsonScanner) enter() error {
	if j.depth++; j.depth > MaxJSONDepth {
		return sqlerr.New(sqlerr.StatementTooComplex, "JSON is nested more than %d levels deep", MaxJSONDepth)
	}
	j.i++
	return nil
}

// end checks that nothing but blanks is left.
func (j *jsonScanner) end() error {
	if j.peek() != 0 || j.i < len(j.s) {
		return j.unexpected("end of input")
	}
	return nil
}

// value passes one value of any kind and returns its text.
func (j *jsonScanner) value() (string, error) {
	c := j.peek()
	start := j.i
	var err error
	switch c {
	case '{':
		err = j.object(func(string) error { _, err := j.value(); return err })
	case '[':
		err = j.array(func(int) error { _, err := j.value(); return err })
	case '"':
		_, _, err = j.str()
	default:
		err = j.scalar()
	}
	return j.s[start:j.i], err
}

// object passes an object and calls member at each value with the member's name, unescaped; member must pass the value.
func (j *jsonScanner) object(member func(name string) error) error {
	if err := j.enter(); err != nil {
		return err
	}
	for first := true; ; first = false {
		c := j.peek()
		if c == '}' && first {
			break
		}
		if c != '"' {
			return j.unexpected("string")
		}
		raw, escaped, err := j.str()
		if err != nil {
			return err
		}
		name := raw
		if escaped {
			if name, err = unescapeJSON(raw); err != nil {
				return err
			}
		}
		if j.peek() != ':' {
			return j.unexpected("\":\"")
		}
		j.i++
		if err := member(name); err != nil {
			return err
		}
		if c = j.peek(); c == '}' {
			break
		}
		if c != ',' {
			return j.unexpected("\",\" or \"}\"")
		}
		j.i++
	}
	j.i++
	j.depth--
	return nil
}

// array passes an array and calls element at each element, which must pass it.
func (j *jsonScanner) array(element func(i int) error) error {
	if err := j.enter(); err != nil {
		return err
	}
	for n := 0; ; n++ {
		if n == 0 && j.peek() == ']' {
			break
		}
		if err := element(n); err != nil {
			return err
		}
		c := j.peek()
		if c == ']' {
			break
		}
		if c != ',' {
			return j.unexpected("\",\" or \"]\"")
		}
		j.i++
	}
	j.i++
	j.depth--
	return nil
}

// str passes a string and returns what is between its quotes, and whether that has escapes.
func (j *jsonScanner) str() (raw string, escaped bool, err error) {
	start := j.i + 1
	for i := start; i < len(j.s); {
		switch c := j.s[i]; {
		case c == '"':
			j.i = i + 1
			return j.s[start:i], escaped, nil
		case c == '\\':
			n, err := escapeLen(j.s[i:])
			if err != nil {
				return "", false, err
			}
			escaped = true
			i += n
		case c < ' ':
			return "", false, jsonError("Character with value 0x%02x must be escaped.", c)
		case c < utf8.RuneSelf:
			i++
		default:
			r, size := utf8.DecodeRuneInString(j.s[i:])
			if r == utf8.RuneError && size == 1 {
				return "", false, checkUTF8(j.s[i:])
			}
			i += size
		}
	}
	return "", false, jsonError("The input string ended unexpectedly.")
}

// escapeLen checks the escape sequence at the start of s and returns its length.
func escapeLen(s string) (int, error) {
	if len(s) < 2 {
		return 0, jsonError("The input string ended unexpectedly.")
	}
	switch s[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2, nil
	case 'u':
		if _, ok := hex4(s[2:]); ok {
			return 6, nil
		}
		return 0, jsonError("\"\\u\" must be followed by four hexadecimal digits.")
	}
	return 0, jsonError("Escape sequence \"\\%s\" is invalid.", firstRune(s[1:]))
}

func firstRune(s string) string {
	_, size := utf8.DecodeRuneInString(s)
	return clip(s[:size])
}

func hex4(s string) (rune, bool) {
	if len(s) < 4 {
		return 0, false
	}
	var r rune
	for i := range 4 {
		v, ok := hexValue(s[i])
		if !ok {
			return 0, false
		}
		r = r<<4 | rune(v)
	}
	return r, true
}

// unescapeJSON returns what a string's raw contents, already checked by str, stand for.
func unescapeJSON(raw string) (string, error) {
	out, err := AppendUnescapedJSON(make([]byte, 0, len(raw)), raw)
	return string(out), err
}

// AppendUnescapedJSON appends what the raw contents of a JSON string stand for. U+0000, which text cannot hold, and
// halves of surrogate pairs are errors, 22P05 and 22P02.
func AppendUnescapedJSON(dst []byte, raw string) ([]byte, error) {
	for i := 0; i < len(raw); {
		if n := strings.IndexByte(raw[i:], '\\'); n != 0 {
			if n < 0 {
				return append(dst, raw[i:]...), nil
			}
			dst = append(dst, raw[i:i+n]...)
			i += n
		}
		n, err := escapeLen(raw[i:])
		if err != nil {
			return dst, err
		}
		if raw[i+1] != 'u' {
			dst = append(dst, simpleEscape(raw[i+1]))
			i += n
			continue
		}
		r, _ := hex4(raw[i+2:])
		i += n
		switch {
		case r == 0:
			return dst, sqlerr.New(sqlerr.UntranslatableCharacter, "unsupported Unicode escape sequence").
				WithDetail("\\u0000 cannot be converted to text.")
		case utf16.IsSurrogate(r):
			var low rune
			if i+1 < len(raw) && raw[i] == '\\' && raw[i+1] == 'u' {
				low, _ = hex4(raw[i+2:])
			}
			if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
				return dst, jsonError("Unicode surrogates must come in pairs, a high one followed by a low one.")
			}
			i += 6
		}
		dst = utf8.AppendRune(dst, r)
	}
	return dst, nil
}

func simpleEscape(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c
}

// scalar passes a number, true, false or null.
func (j *jsonScanner) scalar() error {
	rest := j.s[j.i:]
	for _, word := range [...]string{"true", "false", "null"} {
		if len(rest) >= len(word) && rest[:len(word)] == word && (len(rest) == len(word) || !isWordByte(rest[len(word)])) {
			j.i += len(word)
			return nil
		}
	}
	n := jsonNumberLen(rest)
	if n == 0 || n < len(rest) && isWordByte(rest[n]) {
		if j.peek() != 0 && isWordByte(rest[0]) {
			return jsonError("Token %q is invalid.", clip(j.token()))
		}
		return j.unexpected("JSON value")
	}
	j.i += n
	return nil
}

// jsonNumberLen returns the length of the number at the start of s; 0 if there is none.
func jsonNumberLen(s string) int {
	i := 0
	if i < len(s) && s[i] == '-' {
		i++
	}
	n := countDigits(s[i:])
	if n == 0 || n > 1 && s[i] == '0' {
		return 0
	}
	i += n
	if i < len(s) && s[i] == '.' {
		if n = countDigits(s[i+1:]); n == 0 {
			return 0
		}
		i += 1 + n
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		k := i + 1
		if k < len(s) && (s[k] == '+' || s[k] == '-') {
			k++
		}
		if n = countDigits(s[k:]); n == 0 {
			return 0
		}
		i = k + n
	}
	return i
}

// AppendJSONString appends s as a JSON string, escaped as PostgreSQL escapes: quotes, backslashes and control characters.
func AppendJSONString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, '\\', 'b')
		case '\f':
			dst = append(dst, '\\', 'f')
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = fmt.Appendf(dst, "\\u%04x", c)
		}
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

// ValidateJSON checks that s is JSON.
func ValidateJSON(s string) error {
	j := jsonScanner{s: s}
	if _, err := j.value(); err != nil {
		return err
	}
	return j.end()
}
