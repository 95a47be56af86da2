package expr

import (
	"fmt"
	"regexp"
	"strings"
)

// Escapes and bracket expressions of PostgreSQL's regular expressions (docs, 9.7.3.2 and 9.7.3.3).

// posixClasses are the character classes as the inside of a Go class. Like a C.UTF-8 database, letters are Unicode's and digits ASCII's.
var posixClasses = map[string]string{
	"alnum": `\p{L}\p{N}`, "alpha": `\p{L}`, "blank": ` \t`, "cntrl": `\p{Cc}`, "digit": `0-9`,
	"graph": `\p{L}\p{M}\p{N}\p{P}\p{S}`, "lower": `\p{Ll}`, "print": `\p{L}\p{M}\p{N}\p{P}\p{S}\p{Zs}`, "punct": `\p{P}\p{S}`,
	"space": `\t\n\v\f\r \x{1680}\x{2000}-\x{2006}\x{2008}-\x{200a}\x{2028}\x{2029}\x{205f}\x{3000}`,
	"upper": `\p{Lu}`, "word": `\p{L}\p{N}_`, "xdigit": `0-9A-Fa-f`,
}

// shorthands are the letters of the class escapes.
var shorthands = map[rune]string{'d': "digit", 's': "space", 'w': "word"}

func (t *translator) escape() (operand bool, err error) {
	c := t.peek(1)
	if class, ok := shorthands[c|0x20]; ok {
		open := "["
		if c < 'a' {
			open = "[^"
			if t.stopAtNewline && c != 'S' {
				open = "[^\\n"
			}
		}
		t.out.WriteString(open + posixClasses[class] + "]")
		t.i += 2
		return true, nil
	}
	constraint := ""
	switch c {
	case 0:
		return false, regexError(`invalid escape \ sequence`)
	case 'A':
		constraint = `\A`
	case 'Z':
		constraint = `\z`
	case 'y':
		constraint = `\b`
	case 'Y':
		constraint = `\B`
	case 'm', 'M':
		if !t.besideWord(c == 'm') {
			return false, unsupportedRegex(`\m or \M that are not next to a word character`)
		}
		constraint = `\b`
	}
	if constraint != "" {
		t.constraint(constraint, 2)
		return false, nil
	}
	r, err := t.charEscape()
	if err != nil {
		return false, err
	}
	t.out.WriteString(regexp.QuoteMeta(string(r)))
	return true, nil
}

// besideWord reports whether what follows (or, for the end of a word, comes before) is plainly a word character, so that \m and \M
// are the same as a word boundary.
func (t *translator) besideWord(start bool) bool {
	if start {
		c := t.peek(2)
		return isWordRune(c) || c == '_' || c == '\\' && (t.peek(3) == 'w' || t.peek(3) == 'd')
	}
	i := t.i - 1
	for i >= 0 && (t.src[i] == '+' || t.src[i] == '?') {
		i--
	}
	return i >= 0 && (isWordRune(t.src[i]) || t.src[i] == '_')
}

// charEscape reads an escape that stands for one character.
func (t *translator) charEscape() (rune, error) {
	c := t.peek(1)
	t.i += 2
	switch c {
	case 'a':
		return '\a', nil
	case 'b':
		return '\b', nil
	case 'B':
		return '\\', nil
	case 'c':
		r := t.peek(0)
		if r == 0 {
			return 0, regexError(`invalid escape \ sequence`)
		}
		t.i++
		return r & 31, nil
	case 'e':
		return 0o33, nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'v':
		return '\v', nil
	case 'u':
		return t.hex(4, 4)
	case 'U':
		return t.hex(8, 8)
	case 'x':
		return t.hex(1, 8)
	case '0':
		return t.octal()
	}
	if isDigit(c) {
		return 0, unsupportedRegex("back references")
	}
	if isASCIILetter(c) || c == 0 {
		return 0, regexError(`invalid escape \ sequence`)
	}
	return c, nil
}

func (t *translator) hex(least, most int) (rune, error) {
	var r rune
	n := 0
	for ; n < most; n++ {
		d := strings.IndexRune("0123456789abcdef", t.peek(0)|0x20)
		if d < 0 || t.peek(0) == 0 || d < 10 && !isDigit(t.peek(0)) {
			break
		}
		r = r<<4 | rune(d)
		t.i++
	}
	if n < least || r > 0x10FFFF || r < 0 {
		return 0, regexError(`invalid escape \ sequence`)
	}
	return r, nil
}

func (t *translator) octal() (rune, error) {
	var r rune
	for n := 0; n < 2 && t.peek(0) >= '0' && t.peek(0) <= '7'; n++ {
		r = r<<3 | (t.peek(0) - '0')
		t.i++
	}
	return r, nil
}

// bracket translates a bracket expression; [[:<:]] and [[:>:]] are the start and end of a word.
func (t *translator) bracket() (operand bool, err error) {
	rest := string(t.src[t.i:min(t.i+7, len(t.src))])
	if rest == "[[:<:]]" || rest == "[[:>:]]" {
		t.constraint(`\b`, 7)
		return false, nil
	}
	t.i++
	t.out.WriteByte('[')
	if t.peek(0) == '^' {
		t.out.WriteByte('^')
		t.i++
		if t.stopAtNewline {
			t.out.WriteString(`\n`)
		}
	}
	for first := true; first || t.peek(0) != ']'; first = false {
		if t.i >= len(t.src) {
			return false, regexError("brackets [] not balanced")
		}
		if err := t.bracketItem(); err != nil {
			return false, err
		}
	}
	t.i++
	t.out.WriteByte(']')
	return true, nil
}

// bracketItem translates a character, a range or a class.
func (t *translator) bracketItem() error {
	if t.peek(0) == '[' && t.peek(1) == ':' {
		name, err := t.named(':')
		if err != nil {
			return err
		}
		class, ok := posixClasses[name]
		if !ok {
			return regexError("invalid character class")
		}
		t.out.WriteString(class)
		return nil
	}
	if class, ok := shorthands[t.peek(1)|0x20]; ok && t.peek(0) == '\\' {
		if t.peek(1) < 'a' {
			return regexError(`invalid escape \ sequence`)
		}
		t.out.WriteString(posixClasses[class])
		t.i += 2
		return nil
	}
	from, err := t.bracketChar()
	if err != nil {
		return err
	}
	writeClassChar(&t.out, from)
	if t.peek(0) != '-' || t.peek(1) == ']' || t.peek(1) == 0 {
		return nil
	}
	t.i++
	to, err := t.bracketChar()
	if err != nil {
		return err
	}
	if to < from {
		return regexError("invalid character range")
	}
	t.out.WriteByte('-')
	writeClassChar(&t.out, to)
	return nil
}

func writeClassChar(b *strings.Builder, r rune) { fmt.Fprintf(b, `\x{%x}`, r) }

func (t *translator) bracketChar() (rune, error) {
	c := t.peek(0)
	switch {
	case c == '\\':
		return t.charEscape()
	case c == '[' && (t.peek(1) == '.' || t.peek(1) == '='):
		name, err := t.named(t.peek(1))
		if r := []rune(name); err != nil || len(r) == 1 {
			return r0(r), err
		}
		return 0, regexError("invalid collating element")
	case t.i >= len(t.src):
		return 0, regexError("brackets [] not balanced")
	}
	t.i++
	return c, nil
}

func r0(r []rune) rune {
	if len(r) == 0 {
		return 0
	}
	return r[0]
}

// named reads [:name:] and its like, with the character that comes with both brackets.
func (t *translator) named(mark rune) (string, error) {
	for j := t.i + 2; j+1 < len(t.src); j++ {
		if t.src[j] == mark && t.src[j+1] == ']' {
			name := string(t.src[t.i+2 : j])
			t.i = j + 2
			return name, nil
		}
	}
	return "", regexError("brackets [] not balanced")
}
