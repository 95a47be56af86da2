package sql

import (
	"strings"
	"unicode/utf8"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// lexer splits text into tokens by PostgreSQL's lexical rules (PostgreSQL 15, section 4.1).
type lexer struct {
	src  string
	pos  int
	toks []token
	open []int32 // indexes of the brackets not closed yet
	ksql bool    // `x` is a quoted name
}

// lex appends the tokens of src from the byte offset at to toks, tokEOF last.
func lex(src string, at int, toks []token, ksql bool) ([]token, *sqlerr.Error) {
	if err := checkText(src[at:]); err != nil {
		return toks, err
	}
	l := lexer{src: src, pos: at, toks: toks, ksql: ksql}
	for {
		if err := l.skipBlank(); err != nil {
			return l.toks, err
		}
		if l.pos >= len(src) {
			l.add(tokEOF, l.pos)
			return l.toks, nil
		}
		if err := l.next(); err != nil {
			return l.toks, err
		}
	}
}

// checkText refuses what PostgreSQL refuses before lexing: bytes that are not UTF-8, and NUL.
func checkText(src string) *sqlerr.Error {
	if utf8.ValidString(src) && strings.IndexByte(src, 0) < 0 {
		return nil
	}
	for i := 0; i < len(src); {
		r, n := utf8.DecodeRuneInString(src[i:])
		if r == utf8.RuneError && n == 1 || r == 0 {
			return sqlerr.New(sqlerr.CharacterNotInRepertoire, "invalid byte sequence for encoding \"UTF8\": 0x%02x", src[i])
		}
		i += n
	}
	return nil
}

// add appends a token from pos to the cursor.
func (l *lexer) add(k tokenKind, pos int) *token {
	t := token{kind: k, pos: int32(pos), end: int32(l.pos), match: -1}
	if pos < len(l.src) {
		t.ch = l.src[pos]
	}
	l.toks = append(l.toks, t)
	return &l.toks[len(l.toks)-1]
}

// at returns the byte i places after the cursor, 0 at the end.
func (l *lexer) at(i int) byte {
	if l.pos+i < len(l.src) {
		return l.src[l.pos+i]
	}
	return 0
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' }
func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isNameStart(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= 0x80
}

func isNamePart(c byte) bool { return isNameStart(c) || isDigit(c) || c == '$' }

func isOperatorChar(c byte) bool { return strings.IndexByte("~!@#^&|`?+-*/%<>=", c) >= 0 }

// skipBlank passes blanks and comments.
func (l *lexer) skipBlank() *sqlerr.Error {
	for l.pos < len(l.src) {
		switch c := l.src[l.pos]; {
		case isBlank(c):
			l.pos++
		case c == '-' && l.at(1) == '-':
			l.skipLine()
		case c == '/' && l.at(1) == '*':
			if err := l.skipComment(); err != nil {
				return err
			}
		default:
			return nil
		}
	}
	return nil
}

func (l *lexer) skipLine() {
	if i := strings.IndexAny(l.src[l.pos:], "\r\n"); i >= 0 {
		l.pos += i
	} else {
		l.pos = len(l.src)
	}
}

// skipComment passes a block comment; they nest.
func (l *lexer) skipComment() *sqlerr.Error {
	start, depth := l.pos, 0
	for l.pos < len(l.src) {
		switch {
		case l.src[l.pos] == '/' && l.at(1) == '*':
			depth++
			l.pos += 2
		case l.src[l.pos] == '*' && l.at(1) == '/':
			depth--
			l.pos += 2
			if depth == 0 {
				return nil
			}
		default:
			l.pos++
		}
	}
	return l.unterminated("/* comment", start)
}

// next lexes the token at the cursor.
func (l *lexer) next() *sqlerr.Error {
	start, c := l.pos, l.src[l.pos]
	switch {
	case isNameStart(c):
		return l.word()
	case isDigit(c), c == '.' && isDigit(l.at(1)):
		return l.number()
	case c == '\'':
		return l.quotedString(tokString, start)
	case c == '"':
		return l.quotedName(tokQuoted, '"', start)
	case c == '`' && l.ksql:
		return l.quotedName(tokQuoted, '`', start)
	case c == '$':
		return l.dollar()
	case isOperatorChar(c):
		l.operator()
		return nil
	}
	return l.punctuation()
}

// word lexes a word, or the string or name that its letter introduces: E”, B”, X”, N”, U&”, U&"".
func (l *lexer) word() *sqlerr.Error {
	start := l.pos
	switch c := l.src[start] | 0x20; {
	case l.at(1) == '\'' && c == 'e':
		l.pos++
		return l.quotedString(tokStringE, start)
	case l.at(1) == '\'' && c == 'n':
		l.pos++
		return l.quotedString(tokString, start)
	case l.at(1) == '\'' && c == 'b':
		l.pos++
		return l.digitString(tokBits, start, 2, "bit")
	case l.at(1) == '\'' && c == 'x':
		l.pos++
		return l.digitString(tokHex, start, 16, "hexadecimal")
	case c == 'u' && l.at(1) == '&' && l.at(2) == '\'':
		l.pos += 2
		return l.quotedString(tokStringU, start)
	case c == 'u' && l.at(1) == '&' && l.at(2) == '"':
		l.pos += 2
		return l.quotedName(tokQuotedU, '"', start)
	}
	for l.pos < len(l.src) && isNamePart(l.src[l.pos]) {
		l.pos++
	}
	t := l.add(tokWord, start)
	t.class = classOf(l.src[start:l.pos])
	return nil
}

// longestKeyword bounds the words that are looked up.
const longestKeyword = 20

// classOf looks a word up without allocating.
func classOf(w string) wordClass {
	if len(w) > longestKeyword {
		return 0
	}
	var buf [longestKeyword]byte
	for i := range len(w) {
		c := w[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		buf[i] = c
	}
	return wordClasses[string(buf[:len(w)])]
}

// quotedName lexes a delimited name; the cursor is at the opening quote.
func (l *lexer) quotedName(k tokenKind, quote byte, start int) *sqlerr.Error {
	open := l.pos
	for l.pos++; l.pos < len(l.src); l.pos++ {
		if l.src[l.pos] != quote {
			continue
		}
		if l.at(1) == quote {
			l.pos++
			continue
		}
		l.pos++
		if l.pos == open+2 {
			return l.near("zero-length delimited identifier", start, l.pos)
		}
		l.add(k, start)
		return nil
	}
	return l.unterminated("quoted identifier", start)
}

// quotedString lexes a string with ” for a quote, and backslash escapes in tokStringE; the cursor is at the opening
// quote. Parts parted by blanks with a newline among them are one string.
func (l *lexer) quotedString(k tokenKind, start int) *sqlerr.Error {
	for {
		if !l.skipQuoted(k == tokStringE) {
			return l.unterminated("quoted string", start)
		}
		end := l.pos
		if !l.continued() {
			l.pos = end
			l.add(k, start)
			return nil
		}
	}
}

// skipQuoted passes 'x' and reports whether it is closed.
func (l *lexer) skipQuoted(escapes bool) bool {
	for l.pos++; l.pos < len(l.src); l.pos++ {
		switch c := l.src[l.pos]; {
		case c == '\\' && escapes:
			l.pos++
		case c == '\'' && l.at(1) == '\'':
			l.pos++
		case c == '\'':
			l.pos++
			return true
		}
	}
	l.pos = len(l.src)
	return false
}

// continued passes blanks and comments up to another part of a string, and reports whether there is one.
func (l *lexer) continued() bool {
	newline := false
	for l.pos < len(l.src) {
		switch c := l.src[l.pos]; {
		case c == '\n' || c == '\r':
			newline = true
			l.pos++
		case isBlank(c):
			l.pos++
		case c == '-' && l.at(1) == '-':
			l.skipLine()
		default:
			return newline && c == '\''
		}
	}
	return false
}

// digitString lexes B'..' and X'..', of which what is PostgreSQL's name.
func (l *lexer) digitString(k tokenKind, start int, base int, what string) *sqlerr.Error {
	if err := l.quotedString(k, start); err != nil {
		return l.unterminated(what+" string literal", start)
	}
	t := &l.toks[len(l.toks)-1]
	body := stringBody(l.src[start+1 : t.end])
	n := digitsOf(body, base, len(body))
	if n == len(body) {
		return nil
	}
	_, size := utf8.DecodeRuneInString(body[n:])
	if k == tokBits {
		what = "binary"
	}
	return sqlerr.New(sqlerr.InvalidTextRepresentation, "\"%s\" is not a valid %s digit", body[n:n+size], what).At(start)
}

// number lexes an integer or a decimal; letters right after it are an error, as in PostgreSQL 15.
func (l *lexer) number() *sqlerr.Error {
	start, k := l.pos, tokInteger
	l.digits()
	if l.at(0) == '.' && l.at(1) != '.' {
		k = tokDecimal
		l.pos++
		l.digits()
	}
	if c := l.at(0); c == 'e' || c == 'E' {
		n := 1
		if s := l.at(1); s == '+' || s == '-' {
			n = 2
		}
		if !isDigit(l.at(n)) {
			return l.near("trailing junk after numeric literal", start, l.pos+n)
		}
		k = tokDecimal
		l.pos += n
		l.digits()
	}
	if isNameStart(l.at(0)) {
		return l.near("trailing junk after numeric literal", start, l.pos+l.runeLen())
	}
	l.add(k, start)
	return nil
}

func (l *lexer) digits() {
	for isDigit(l.at(0)) {
		l.pos++
	}
}

func (l *lexer) runeLen() int {
	_, n := utf8.DecodeRuneInString(l.src[l.pos:])
	return n
}

// dollar lexes $1 or $tag$..$tag$.
func (l *lexer) dollar() *sqlerr.Error {
	start := l.pos
	l.pos++
	if isDigit(l.at(0)) {
		l.digits()
		if isNameStart(l.at(0)) {
			return l.near("trailing junk after parameter", start, l.pos+l.runeLen())
		}
		l.add(tokParam, start)
		return nil
	}
	for isNameStart(l.at(0)) || l.pos > start+1 && isDigit(l.at(0)) {
		l.pos++
	}
	if l.at(0) != '$' {
		return l.near("syntax error", start, start+1)
	}
	l.pos++
	tag := l.src[start:l.pos]
	i := strings.Index(l.src[l.pos:], tag)
	if i < 0 {
		return l.unterminated("dollar-quoted string", start)
	}
	l.pos += i + len(tag)
	l.add(tokDollar, start)
	return nil
}

// operator lexes an operator as PostgreSQL does: the longest run of operator characters up to a comment, without
// trailing + and - unless a character that standard SQL does not know is in it.
func (l *lexer) operator() {
	start := l.pos
	n := 0
	for isOperatorChar(l.at(n)) && (l.at(n) != '`' || !l.ksql) {
		if n > 0 && (l.at(n) == '-' && l.at(n+1) == '-' || l.at(n) == '/' && l.at(n+1) == '*') {
			break
		}
		n++
	}
	if !strings.ContainsAny(l.src[start:start+n], "~!@#^&|`?%") {
		for n > 1 && (l.at(n-1) == '+' || l.at(n-1) == '-') {
			n--
		}
	}
	if s := l.src[start : start+n]; s == "=>" {
		l.pos += n
		l.add(tokPunctuation, start)
		return
	}
	l.pos += n
	l.add(tokOperator, start)
}

// punctuation lexes the rest, and pairs brackets.
func (l *lexer) punctuation() *sqlerr.Error {
	start, c := l.pos, l.src[l.pos]
	l.pos++
	switch c {
	case ',', ';':
		l.add(tokPunctuation, start)
	case '(', '[':
		l.add(tokPunctuation, start)
		l.open = append(l.open, int32(len(l.toks)-1))
	case ')', ']':
		l.add(tokPunctuation, start)
		l.pair(c)
	case '.':
		if l.at(0) == '.' {
			l.pos++
		}
		l.add(tokPunctuation, start)
	case ':':
		if c := l.at(0); c == ':' || c == '=' {
			l.pos++
		}
		l.add(tokPunctuation, start)
	default:
		return l.near("syntax error", start, l.pos)
	}
	return nil
}

// pair connects the closing bracket just added with its partner.
func (l *lexer) pair(c byte) {
	i := len(l.open) - 1
	if i < 0 {
		return
	}
	o := &l.toks[l.open[i]]
	if (o.ch == '(') != (c == ')') {
		return
	}
	n := int32(len(l.toks) - 1)
	o.match, l.toks[n].match = n, l.open[i]
	l.open = l.open[:i]
}

// near is PostgreSQL's form of a syntax error: what, and the text at fault.
func (l *lexer) near(what string, start, end int) *sqlerr.Error {
	return sqlerr.New(sqlerr.SyntaxError, "%s at or near \"%s\"", what, clip(l.src[start:end])).At(start)
}

func (l *lexer) unterminated(what string, start int) *sqlerr.Error {
	return l.near("unterminated "+what, start, len(l.src))
}

// maxQuote bounds the user's text that an error message repeats, in bytes.
const maxQuote = 256

// clip shortens s to maxQuote bytes at a character boundary.
func clip(s string) string {
	if len(s) <= maxQuote {
		return s
	}
	n := maxQuote
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "..."
}
