package format

import (
	"unicode/utf8"
	"unsafe"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql/types"
)

// scanner walks over the JSON of one record (RFC 8259). It reads what it passes strictly, so that a record is good or bad
// whichever of its fields are asked for.
type scanner struct {
	src   []byte
	pos   int
	depth int
}

// plainByte marks what stands for itself in a string: ASCII but for control characters, quote and backslash.
var plainByte = func() (t [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

func bad(format string, args ...any) error {
	return sqlerr.New(sqlerr.InvalidTextRepresentation, format, args...)
}

// unexpected says what was found at the scanner instead of wanted.
func (s *scanner) unexpected(wanted string) error {
	if s.pos >= len(s.src) {
		return bad("JSON ends early, expected %s", wanted)
	}
	_, size := utf8.DecodeRune(s.src[s.pos:])
	return bad("JSON has %q at byte %d, expected %s", s.src[s.pos:s.pos+size], s.pos, wanted)
}

// peek skips blanks and returns the next byte, 0 at the end.
func (s *scanner) peek() byte {
	for s.pos < len(s.src) {
		switch c := s.src[s.pos]; c {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return c
		}
	}
	return 0
}

// str passes a string, whose opening quote is next, and returns what is between the quotes.
func (s *scanner) str() (raw []byte, escaped bool, err error) {
	src := s.src
	start := s.pos + 1
	i := start
	wide := false
	for {
		for i < len(src) && plainByte[src[i]] {
			i++
		}
		if i >= len(src) {
			return nil, false, bad("JSON ends within a string")
		}
		switch c := src[i]; {
		case c == '"':
			s.pos = i + 1
			if raw = src[start:i]; wide && !utf8.Valid(raw) {
				return nil, false, sqlerr.New(sqlerr.CharacterNotInRepertoire, "a JSON string is not UTF-8")
			}
			return raw, escaped, nil
		case c == '\\':
			escaped = true
			n := escapeLen(src[i:])
			if n == 0 {
				return nil, false, bad("JSON has an invalid escape sequence at byte %d", i)
			}
			i += n
		case c >= utf8.RuneSelf:
			wide = true
			i++
		default:
			return nil, false, bad("JSON has the control character 0x%02x in a string, at byte %d", c, i)
		}
	}
}

// escapeLen returns the length of the escape sequence at the start of src, 0 for an invalid one.
func escapeLen(src []byte) int {
	if len(src) < 2 {
		return 0
	}
	switch src[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(src) < 6 {
			return 0
		}
		for _, c := range src[2:6] {
			if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'f') {
				return 0
			}
		}
		return 6
	}
	return 0
}

func isDigit(c byte) bool { return c-'0' <= 9 }

// token passes a number, true, false or null and returns its text.
func (s *scanner) token() ([]byte, error) {
	start := s.pos
	switch c := s.src[start]; {
	case c == '-' || isDigit(c):
		if !s.number() {
			return nil, bad("JSON has a malformed number at byte %d", start)
		}
	case c == 't':
		return s.word("true")
	case c == 'f':
		return s.word("false")
	case c == 'n':
		return s.word("null")
	default:
		return nil, s.unexpected("a value")
	}
	return s.src[start:s.pos], nil
}

func (s *scanner) word(w string) ([]byte, error) {
	end := s.pos + len(w)
	if end > len(s.src) || string(s.src[s.pos:end]) != w {
		return nil, s.unexpected("a value")
	}
	word := s.src[s.pos:end]
	s.pos = end
	return word, nil
}

func (s *scanner) digits() bool {
	start := s.pos
	for s.pos < len(s.src) && isDigit(s.src[s.pos]) {
		s.pos++
	}
	return s.pos > start
}

func (s *scanner) number() bool {
	if s.src[s.pos] == '-' {
		s.pos++
	}
	first := s.pos
	if !s.digits() || s.src[first] == '0' && s.pos > first+1 {
		return false
	}
	if s.pos < len(s.src) && s.src[s.pos] == '.' {
		s.pos++
		if !s.digits() {
			return false
		}
	}
	if s.pos < len(s.src) && s.src[s.pos]|0x20 == 'e' {
		s.pos++
		if s.pos < len(s.src) && (s.src[s.pos] == '+' || s.src[s.pos] == '-') {
			s.pos++
		}
		return s.digits()
	}
	return true
}

// skip passes one value of any kind and returns its text.
func (s *scanner) skip() ([]byte, error) {
	c := s.peek()
	start := s.pos
	var err error
	switch c {
	case '"':
		_, _, err = s.str()
	case '{':
		err = s.skipObject()
	case '[':
		err = s.skipArray()
	case 0:
		err = s.unexpected("a value")
	default:
		_, err = s.token()
	}
	if err != nil {
		return nil, err
	}
	return s.src[start:s.pos], nil
}

func (s *scanner) enter() error {
	if s.depth++; s.depth > types.MaxJSONDepth {
		return sqlerr.New(sqlerr.StatementTooComplex, "JSON is nested more than %d levels deep", types.MaxJSONDepth)
	}
	s.pos++
	return nil
}

func (s *scanner) leave() {
	s.depth--
	s.pos++
}

func (s *scanner) skipObject() error {
	if err := s.enter(); err != nil {
		return err
	}
	if s.peek() == '}' {
		s.leave()
		return nil
	}
	for {
		if _, _, err := s.name(); err != nil {
			return err
		}
		if _, err := s.skip(); err != nil {
			return err
		}
		switch s.peek() {
		case ',':
			s.pos++
		case '}':
			s.leave()
			return nil
		default:
			return s.unexpected("\",\" or \"}\"")
		}
	}
}

// name passes a member's name and the colon after it.
func (s *scanner) name() (raw []byte, escaped bool, err error) {
	if s.peek() != '"' {
		return nil, false, s.unexpected("a member's name")
	}
	if raw, escaped, err = s.str(); err != nil {
		return nil, false, err
	}
	if s.peek() != ':' {
		return nil, false, s.unexpected("\":\"")
	}
	s.pos++
	return raw, escaped, nil
}

func (s *scanner) skipArray() error {
	if err := s.enter(); err != nil {
		return err
	}
	if s.peek() == ']' {
		s.leave()
		return nil
	}
	for {
		if _, err := s.skip(); err != nil {
			return err
		}
		switch s.peek() {
		case ',':
			s.pos++
		case ']':
			s.leave()
			return nil
		default:
			return s.unexpected("\",\" or \"]\"")
		}
	}
}

// view is b as a string that aliases it.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
