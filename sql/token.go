package sql

import "strings"

// tokenKind is the lexical kind of a token.
type tokenKind uint8

const (
	tokEOF tokenKind = iota
	tokWord
	tokQuoted      // "x", and `x` in the ksql dialect
	tokQuotedU     // U&"x" UESCAPE 'c'
	tokString      // 'x', N'x', possibly continued on the next line
	tokStringE     // E'x'
	tokStringU     // U&'x' UESCAPE 'c'
	tokDollar      // $tag$x$tag$
	tokBits        // B'x'
	tokHex         // X'x'
	tokInteger     // 12
	tokDecimal     // 1.2, 1e3
	tokParam       // $1
	tokOperator    // also the single characters + - * / % ^ < > =
	tokPunctuation // , ( ) [ ] . ; : :: := => ..
)

// token is one token: 16 bytes, since a statement may have millions. Its text is src[pos:end], undecoded.
type token struct {
	kind tokenKind
	// class is set for a word.
	class wordClass
	// ch is the character of one-character punctuation and operators, the first of longer ones.
	ch byte
	// pos and end are byte offsets.
	pos, end int32
	// match is, for brackets, the index of the partner, or -1 without one.
	match int32
}

// text returns the token as written.
func (t *token) text(src string) string { return src[t.pos:t.end] }

// is reports whether t is the operator or punctuation s.
func (t *token) is(src, s string) bool {
	return (t.kind == tokPunctuation || t.kind == tokOperator) && t.ch == s[0] && src[t.pos:t.end] == s
}

// isWord reports whether t is the unquoted word w, which is lower case.
func (t *token) isWord(src, w string) bool {
	if t.kind != tokWord || int(t.end-t.pos) != len(w) {
		return false
	}
	s := src[t.pos:t.end]
	for i := range len(w) {
		c := s[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != w[i] {
			return false
		}
	}
	return true
}

// foldLower is PostgreSQL's folding of unquoted names in UTF-8: ASCII letters only.
func foldLower(s string) string {
	for i := range len(s) {
		if s[i] >= 'A' && s[i] <= 'Z' {
			return mapASCII(s, 'A', 'Z')
		}
	}
	return s
}

// foldUpper is ksqlDB's folding of unquoted names.
func foldUpper(s string) string {
	for i := range len(s) {
		if s[i] >= 'a' && s[i] <= 'z' {
			return mapASCII(s, 'a', 'z')
		}
	}
	return s
}

// mapASCII swaps the case of the letters from lo to hi.
func mapASCII(s string, lo, hi byte) string {
	var b strings.Builder
	b.Grow(len(s))
	for i := range len(s) {
		c := s[i]
		if c >= lo && c <= hi {
			c ^= 'a' - 'A'
		}
		b.WriteByte(c)
	}
	return b.String()
}
