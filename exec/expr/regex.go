package expr

import (
	"regexp"
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// pgRegexp is a PostgreSQL advanced regular expression (docs, 9.7.3) translated to Go's syntax. Limits of the translation: back references
// and lookaround are refused with 0A000, because Go's matcher runs in linear time and has neither; a match is the longest, or,
// when the first quantifier is a non-greedy one, the one that Perl's rules give; where alternatives match the same text,
// which of them the groups report may differ.
type pgRegexp struct {
	*regexp.Regexp
	// global is the flag g, which belongs to the function rather than to the pattern.
	global bool
	// context: the pattern looks at what is around a match.
	context bool
}

// compileRegexp compiles a pattern with the flags of a regexp_ function.
func compileRegexp(pattern, flags string) (*pgRegexp, error) {
	t := translator{src: []rune(pattern)}
	compiled, err := t.compile(flags)
	if err != nil {
		return nil, err
	}
	if !t.lazy || t.branches {
		compiled.Longest()
	}
	return &pgRegexp{Regexp: compiled, global: t.global, context: t.context}, nil
}

// compileTester compiles a pattern for the question whether it matches at all, which is answered sooner than where.
func compileTester(pattern, flags string) (*regexp.Regexp, error) {
	t := translator{src: []rune(pattern)}
	return t.compile(flags)
}

func (t *translator) compile(flags string) (*regexp.Regexp, error) {
	if err := t.setFlags(flags); err != nil {
		return nil, err
	}
	if err := t.directors(); err != nil {
		return nil, err
	}
	if t.literal {
		t.out.WriteString(regexp.QuoteMeta(string(t.src[t.i:])))
	} else if err := t.alternatives(0); err != nil {
		return nil, err
	}
	compiled, err := regexp.Compile(t.prefix() + t.out.String())
	if err != nil {
		return nil, regexError("%s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return compiled, nil
}

func regexError(format string, args ...any) error {
	return sqlerr.New(sqlerr.InvalidRegularExpression, "invalid regular expression: "+format, args...)
}

func unsupportedRegex(what string) error {
	return sqlerr.New(sqlerr.FeatureNotSupported, "regular expressions with %s are not supported", what)
}

// maxRegexDepth bounds the nesting of parentheses.
const maxRegexDepth = 200

// maxRegexRepeat is the largest count of {m,n}, in PostgreSQL as well.
const maxRegexRepeat = 255

type translator struct {
	src []rune
	i   int
	out strings.Builder

	fold, expanded, literal, global bool
	// newline-sensitive matching, in its two parts: what . and [^ match, and where ^ and $ do
	stopAtNewline, lineAnchors bool
	// lazy is set when the first quantifier is non-greedy, decided once one was seen
	lazy, quantified bool
	branches         bool // alternatives outside parentheses, which are always greedy
	context          bool
}

func (t *translator) prefix() string {
	flags := ""
	if t.fold {
		flags += "i"
	}
	if t.lineAnchors {
		flags += "m"
	}
	if !t.stopAtNewline {
		flags += "s"
	}
	if flags == "" {
		return ""
	}
	return "(?" + flags + ")"
}

func (t *translator) setFlags(flags string) error {
	for _, f := range flags {
		if f == 'g' {
			t.global = true
			continue
		}
		if !t.setFlag(f) {
			return sqlerr.New(sqlerr.InvalidParameterValue, "invalid regular expression option: \"%c\"", f)
		}
	}
	return nil
}

// setFlag applies one of the letters of table 9.24; false if there is no such letter, or it asks for basic expressions.
func (t *translator) setFlag(f rune) bool {
	switch f {
	case 'i':
		t.fold = true
	case 'c':
		t.fold = false
	case 'n', 'm':
		t.stopAtNewline, t.lineAnchors = true, true
	case 'p':
		t.stopAtNewline, t.lineAnchors = true, false
	case 'w':
		t.stopAtNewline, t.lineAnchors = false, true
	case 's':
		t.stopAtNewline, t.lineAnchors = false, false
	case 'x':
		t.expanded = true
	case 't':
		t.expanded = false
	case 'q':
		t.literal = true
	case 'e':
	default:
		return false
	}
	return true
}

// directors reads what may stand before the pattern: ***: and ***=, and the options in (?...).
func (t *translator) directors() error {
	s := string(t.src)
	switch {
	case strings.HasPrefix(s, "***="):
		t.literal, t.i = true, 4
		return nil
	case strings.HasPrefix(s, "***:"):
		t.i = 4
	case strings.HasPrefix(s, "***"):
		return regexError("quantifier operand invalid")
	}
	if t.literal || t.peek(0) != '(' || t.peek(1) != '?' || !isASCIILetter(t.peek(2)) {
		return nil
	}
	for t.i += 2; t.peek(0) != ')'; t.i++ {
		if t.peek(0) == 0 || !t.setFlag(t.peek(0)) {
			return regexError("invalid embedded option")
		}
	}
	t.i++
	return nil
}

func isASCIILetter(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }

// peek returns the rune n places on, 0 beyond the end.
func (t *translator) peek(n int) rune {
	if t.i+n < len(t.src) {
		return t.src[t.i+n]
	}
	return 0
}

// alternatives translates up to the end or, inside parentheses, the closing one.
func (t *translator) alternatives(depth int) error {
	if depth > maxRegexDepth {
		return regexError("regular expression is too complex")
	}
	operand := false // whether a quantifier may follow
	for t.i < len(t.src) {
		c := t.src[t.i]
		if t.expanded && t.skipBlank(c) {
			continue
		}
		switch c {
		case '|':
			t.out.WriteByte('|')
			t.i++
			t.branches = t.branches || depth == 0
			operand = false
		case ')':
			if depth == 0 {
				return regexError("parentheses () not balanced")
			}
			return nil
		case '*', '+', '?', '{':
			if c == '{' && !isDigit(t.peek(1)) {
				t.atomLiteral('{')
				operand = true
				continue
			}
			if !operand {
				return regexError("quantifier operand invalid")
			}
			if err := t.quantifier(c); err != nil {
				return err
			}
			operand = false
		default:
			var err error
			if operand, err = t.atom(c, depth); err != nil {
				return err
			}
		}
	}
	if depth > 0 {
		return regexError("parentheses () not balanced")
	}
	return nil
}

// skipBlank passes white space and comments of the expanded syntax.
func (t *translator) skipBlank(c rune) bool {
	switch c {
	case ' ', '\t', '\n', '\r', '\v', '\f':
		t.i++
		return true
	case '#':
		for t.i < len(t.src) && t.src[t.i] != '\n' {
			t.i++
		}
		return true
	default:
		return false
	}
}

func isDigit(r rune) bool { return r >= '0' && r <= '9' }

func (t *translator) quantifier(c rune) error {
	if c == '{' {
		if err := t.bound(); err != nil {
			return err
		}
	} else {
		t.out.WriteRune(c)
		t.i++
	}
	lazy := t.peek(0) == '?'
	if lazy {
		t.i++
	}
	if !t.quantified {
		t.quantified, t.lazy = true, lazy
	}
	if lazy || t.lazy { // the first decides for the whole
		t.out.WriteByte('?')
	}
	return nil
}

// bound translates {m}, {m,} and {m,n}.
func (t *translator) bound() error {
	t.i++
	start := t.i
	low, _ := t.number()
	high, open := low, false
	if t.peek(0) == ',' {
		t.i++
		var ok bool
		if high, ok = t.number(); !ok {
			open = true
		}
	}
	if t.peek(0) != '}' {
		return regexError("braces {} not balanced")
	}
	if low > maxRegexRepeat || !open && (high > maxRegexRepeat || high < low) {
		return regexError("invalid repetition count(s)")
	}
	t.out.WriteString("{" + string(t.src[start:t.i]) + "}")
	t.i++
	return nil
}

func (t *translator) number() (n int, ok bool) {
	for ; isDigit(t.peek(0)); t.i++ {
		n, ok = min(n*10+int(t.peek(0)-'0'), maxRegexRepeat+1), true
	}
	return n, ok
}

func (t *translator) atomLiteral(r rune) {
	t.out.WriteString(regexp.QuoteMeta(string(r)))
	t.i++
}

// atom translates an atom or a constraint and reports whether a quantifier may follow it.
func (t *translator) atom(c rune, depth int) (bool, error) {
	switch c {
	case '(':
		return true, t.group(depth)
	case '[':
		return t.bracket()
	case '\\':
		return t.escape()
	case '.':
		t.out.WriteByte('.')
		t.i++
	case '^', '$':
		t.constraint(string(c), 1)
		return false, nil
	default:
		t.atomLiteral(c)
	}
	return true, nil
}

// constraint writes what matches an empty text at certain places, and passes n runes.
func (t *translator) constraint(out string, n int) {
	t.out.WriteString(out)
	t.i += n
	t.context = true
}

func (t *translator) group(depth int) error {
	t.i++
	open := "("
	if t.peek(0) == '?' {
		switch t.peek(1) {
		case ':':
			open = "(?:"
			t.i += 2
		case '=', '!', '<':
			return unsupportedRegex("lookaround")
		case '#':
			for t.i < len(t.src) && t.src[t.i] != ')' {
				t.i++
			}
			if t.i == len(t.src) {
				return regexError("parentheses () not balanced")
			}
			t.i++
			t.out.WriteString("(?:)")
			return nil
		default:
			return regexError("quantifier operand invalid")
		}
	}
	t.out.WriteString(open)
	if err := t.alternatives(depth + 1); err != nil {
		return err
	}
	t.i++
	t.out.WriteByte(')')
	return nil
}
