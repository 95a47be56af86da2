package types

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// JSONPathOp is what a node of a path does (PostgreSQL docs, chapter 9.16.2).
type JSONPathOp uint8

// The operations; the comment names the fields of JSONPathNode that count, besides Next.
const (
	PathRoot       JSONPathOp = iota // $
	PathCurrent                      // @
	PathLast                         // last
	PathVar                          // $Text
	PathValue                        // Text: a scalar as canonical JSON
	PathKey                          // .Text
	PathAnyKey                       // .*
	PathAnyDepth                     // .**{From to To}, -1 for last
	PathAnyItem                      // [*]
	PathSubscript                    // [Subs]
	PathFilter                       // ?(L)
	PathMethod                       // .Text()
	PathNegate                       // -L
	PathPlus                         // +L
	PathArithmetic                   // L Text R
	PathCompare                      // L Text R
	PathAnd                          // L && R
	PathOr                           // L || R
	PathNot                          // !L
	PathIsUnknown                    // (L) is unknown
	PathExists                       // exists(L)
	PathStartsWith                   // L starts with R
	PathLikeRegex                    // L like_regex Text flag Flags
)

// JSONPathNode is a node of a path: a primary or an accessor with the accessors after it, an operator, or a predicate.
type JSONPathNode struct {
	Op       JSONPathOp
	Text     string
	Flags    string
	L, R     *JSONPathNode
	Subs     []JSONPathRange
	From, To int
	Next     *JSONPathNode
}

// JSONPathRange is one subscript; To is nil for a single one.
type JSONPathRange struct{ From, To *JSONPathNode }

// JSONPathExpr is a path as a whole.
type JSONPathExpr struct {
	Strict bool
	Root   *JSONPathNode
}

// predicate reports whether the node, accessors aside, is a condition.
func (n *JSONPathNode) predicate() bool { return n.Op >= PathCompare && n.Next == nil }

// maxPathDepth bounds how deep a path nests.
const maxPathDepth = 200

// ParseJSONPath reads a path.
func ParseJSONPath(s string) (*JSONPathExpr, error) {
	if err := checkText(s); err != nil {
		return nil, err
	}
	p := &pathParser{s: s}
	p.next()
	x := &JSONPathExpr{}
	if p.word("strict") {
		x.Strict = true
	} else {
		p.word("lax")
	}
	x.Root = p.or()
	if p.err == nil && p.tok.kind != pathEnd {
		p.bad()
	}
	if p.err != nil {
		return nil, p.err
	}
	return x, nil
}

type pathToken struct {
	kind pathTokenKind
	text string
}

type pathTokenKind uint8

const (
	pathEnd pathTokenKind = iota
	pathSign
	pathIdent
	pathString
	pathNumber
	pathVariable
)

type pathParser struct {
	s       string
	at      int // behind tok
	begin   int // of tok
	tok     pathToken
	filters int // that are open: @ stands there only
	subs    int // subscripts that are open: last stands there only
	depth   int
	err     error
}

func (p *pathParser) bad() {
	if p.err != nil {
		return
	}
	if p.tok.kind == pathEnd {
		p.err = sqlerr.New(sqlerr.SyntaxError, "syntax error at end of jsonpath input")
		return
	}
	p.err = sqlerr.New(sqlerr.SyntaxError, "syntax error at or near \"%s\" of jsonpath input", clip(p.s[p.begin:p.at]))
}

// fail ends the input, so that the parser comes to its end.
func (p *pathParser) fail(err error) {
	if p.err == nil {
		p.err = err
	}
	p.at, p.tok = len(p.s), pathToken{}
}

// next reads a token.
func (p *pathParser) next() {
	for p.at < len(p.s) && isSpace(p.s[p.at]) {
		p.at++
	}
	p.begin = p.at
	if p.err != nil || p.at == len(p.s) {
		p.tok = pathToken{}
		return
	}
	c := p.s[p.at]
	switch {
	case c == '"':
		p.tok = pathToken{pathString, p.quoted()}
	case c == '$':
		p.variable()
	case pathDigit(c) || c == '.' && p.at+1 < len(p.s) && pathDigit(p.s[p.at+1]):
		p.number()
	case isPathIdent(c):
		end := p.at
		for end < len(p.s) && (isPathIdent(p.s[end]) || pathDigit(p.s[end])) {
			end++
		}
		p.tok, p.at = pathToken{pathIdent, p.s[p.at:end]}, end
	default:
		n := 1
		for _, two := range []string{"**", "&&", "||", "==", "!=", "<>", "<=", ">="} {
			if strings.HasPrefix(p.s[p.at:], two) {
				n = 2
			}
		}
		p.tok = pathToken{pathSign, p.s[p.at : p.at+n]}
		p.at += n
	}
}

func isPathIdent(c byte) bool {
	return c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z' || c >= utf8.RuneSelf
}

func pathDigit(c byte) bool { return c >= '0' && c <= '9' }

func (p *pathParser) variable() {
	p.at++
	if p.at < len(p.s) && p.s[p.at] == '"' {
		p.tok = pathToken{pathVariable, p.quoted()}
		return
	}
	end := p.at
	for end < len(p.s) && (isPathIdent(p.s[end]) || pathDigit(p.s[end])) {
		end++
	}
	if end == p.at {
		p.tok = pathToken{pathSign, "$"}
		return
	}
	p.tok, p.at = pathToken{pathVariable, p.s[p.at:end]}, end
}

func (p *pathParser) number() {
	end := p.at
	for end < len(p.s) && pathDigit(p.s[end]) {
		end++
	}
	if end+1 < len(p.s) && p.s[end] == '.' && pathDigit(p.s[end+1]) {
		for end++; end < len(p.s) && pathDigit(p.s[end]); end++ {
		}
	}
	if end < len(p.s) && p.s[end]|0x20 == 'e' {
		exp := end + 1
		if exp < len(p.s) && (p.s[exp] == '+' || p.s[exp] == '-') {
			exp++
		}
		if exp < len(p.s) && pathDigit(p.s[exp]) {
			for end = exp; end < len(p.s) && pathDigit(p.s[end]); end++ {
			}
		}
	}
	if end < len(p.s) && isPathIdent(p.s[end]) {
		p.at = end + 1
		p.fail(sqlerr.New(sqlerr.SyntaxError, "trailing junk after numeric literal at or near \"%s\" of jsonpath input", clip(p.s[p.begin:end+1])))
		return
	}
	text, err := ParseNumeric(p.s[p.at:end])
	if err != nil {
		p.fail(err)
		return
	}
	p.tok, p.at = pathToken{pathNumber, text}, end
}

// quoted reads a string with JSON's escapes.
func (p *pathParser) quoted() string {
	end := p.at + 1
	for end < len(p.s) && p.s[end] != '"' {
		if p.s[end] == '\\' {
			end++
		}
		end++
	}
	if end >= len(p.s) {
		p.fail(sqlerr.New(sqlerr.SyntaxError, "unterminated quoted string at or near \"%s\" of jsonpath input", clip(p.s[p.at:])))
		return ""
	}
	d, err := DatumFromJSON(Of(Text), []byte(p.s[p.at:end+1]))
	if err != nil {
		p.fail(sqlerr.New(sqlerr.SyntaxError, "invalid string in jsonpath: %s", clip(p.s[p.at:end+1])))
		return ""
	}
	p.at = end + 1
	return d.S
}

// sign takes a sign if it stands here.
func (p *pathParser) sign(s string) bool {
	if p.tok.kind != pathSign || p.tok.text != s {
		return false
	}
	p.next()
	return true
}

// word takes a word if it stands here.
func (p *pathParser) word(w string) bool {
	if p.tok.kind != pathIdent || p.tok.text != w {
		return false
	}
	p.next()
	return true
}

func (p *pathParser) expect(s string) {
	if !p.sign(s) {
		p.bad()
	}
}

// enter counts nesting; leave follows it.
func (p *pathParser) enter() bool {
	if p.depth++; p.depth > maxPathDepth {
		p.fail(sqlerr.New(sqlerr.StatementTooComplex, "a jsonpath nests deeper than %d", maxPathDepth))
		return false
	}
	return true
}

func (p *pathParser) or() *JSONPathNode {
	l := p.and()
	for p.err == nil && p.sign("||") {
		l = p.condition(PathOr, l, p.and())
	}
	return l
}

func (p *pathParser) and() *JSONPathNode {
	l := p.comparison()
	for p.err == nil && p.sign("&&") {
		l = p.condition(PathAnd, l, p.comparison())
	}
	return l
}

// condition joins two conditions.
func (p *pathParser) condition(op JSONPathOp, l, r *JSONPathNode) *JSONPathNode {
	if p.err == nil && (!l.predicate() || !r.predicate()) {
		p.bad()
	}
	return &JSONPathNode{Op: op, L: l, R: r}
}

func (p *pathParser) comparison() *JSONPathNode {
	l := p.sum()
	if p.err != nil {
		return l
	}
	if p.tok.kind == pathSign {
		switch op := p.tok.text; op {
		case "==", "!=", "<>", "<", "<=", ">", ">=":
			p.next()
			if op == "<>" {
				op = "!="
			}
			return p.operands(&JSONPathNode{Op: PathCompare, Text: op, L: l, R: p.sum()})
		}
	}
	switch {
	case p.word("starts"):
		if !p.word("with") {
			p.bad()
		}
		n := &JSONPathNode{Op: PathStartsWith, L: l, R: p.primary()}
		if p.err == nil && (n.R.Next != nil || n.R.Op != PathVar && (n.R.Op != PathValue || n.R.Text[0] != '"')) {
			p.bad()
		}
		return n
	case p.word("like_regex"):
		n := &JSONPathNode{Op: PathLikeRegex, Text: p.tok.text, L: l}
		if p.tok.kind != pathString {
			p.bad()
			return n
		}
		p.next()
		if p.word("flag") {
			n.Flags = p.tok.text
			if p.tok.kind != pathString {
				p.bad()
			}
			p.next()
			if i := strings.IndexFunc(n.Flags, func(r rune) bool { return !strings.ContainsRune("ismxq", r) }); i >= 0 {
				p.fail(sqlerr.New(sqlerr.SyntaxError, "invalid input syntax for type jsonpath").
					WithDetail("Unrecognized flag character \"%s\" in LIKE_REGEX predicate.", string([]rune(n.Flags[i:])[:1])))
			}
		}
		return n
	}
	return l
}

// operands holds that neither operand is a condition.
func (p *pathParser) operands(n *JSONPathNode) *JSONPathNode {
	if p.err == nil && (n.L.predicate() || n.R != nil && n.R.predicate()) {
		p.bad()
	}
	return n
}

func (p *pathParser) sum() *JSONPathNode {
	l := p.product()
	for p.err == nil && p.tok.kind == pathSign && (p.tok.text == "+" || p.tok.text == "-") {
		op := p.tok.text
		p.next()
		l = p.operands(&JSONPathNode{Op: PathArithmetic, Text: op, L: l, R: p.product()})
	}
	return l
}

func (p *pathParser) product() *JSONPathNode {
	l := p.unary()
	for p.err == nil && p.tok.kind == pathSign && (p.tok.text == "*" || p.tok.text == "/" || p.tok.text == "%") {
		op := p.tok.text
		p.next()
		l = p.operands(&JSONPathNode{Op: PathArithmetic, Text: op, L: l, R: p.unary()})
	}
	return l
}

func (p *pathParser) unary() *JSONPathNode {
	defer func() { p.depth-- }()
	if !p.enter() {
		return &JSONPathNode{}
	}
	switch {
	case p.sign("!"):
		n := &JSONPathNode{Op: PathNot, L: p.unary()}
		if p.err == nil && !n.L.predicate() {
			p.bad()
		}
		return n
	case p.sign("-"):
		return p.operands(&JSONPathNode{Op: PathNegate, L: p.unary()})
	case p.sign("+"):
		return p.operands(&JSONPathNode{Op: PathPlus, L: p.unary()})
	}
	return p.primary()
}

// primary reads what a path begins with, and its accessors.
func (p *pathParser) primary() *JSONPathNode {
	var n *JSONPathNode
	value := func(json string) {
		n = &JSONPathNode{Op: PathValue, Text: json}
		p.next()
	}
	switch t := p.tok; {
	case t.kind == pathString:
		value(string(AppendJSONString(nil, t.text)))
	case t.kind == pathNumber:
		value(t.text)
	case t.kind == pathVariable:
		n = &JSONPathNode{Op: PathVar, Text: t.text}
		p.next()
	case t.kind == pathIdent && (t.text == "true" || t.text == "false" || t.text == "null"):
		value(t.text)
	case p.sign("$"):
		n = &JSONPathNode{Op: PathRoot}
	case p.sign("@"):
		if n = (&JSONPathNode{Op: PathCurrent}); p.filters == 0 {
			p.fail(sqlerr.New(sqlerr.SyntaxError, "@ is not allowed in root expressions"))
		}
	case p.word("last"):
		if n = (&JSONPathNode{Op: PathLast}); p.subs == 0 {
			p.fail(sqlerr.New(sqlerr.SyntaxError, "LAST is allowed only in array subscripts"))
		}
	case p.word("exists"):
		p.expect("(")
		n = p.operands(&JSONPathNode{Op: PathExists, L: p.sum()})
		p.expect(")")
	case p.sign("("):
		n = p.or()
		p.expect(")")
		if p.err == nil && n.predicate() && p.tok.kind == pathIdent && p.tok.text == "is" {
			p.next()
			if !p.word("unknown") {
				p.bad()
			}
			n = &JSONPathNode{Op: PathIsUnknown, L: n}
		}
	default:
		p.bad()
		return &JSONPathNode{}
	}
	return p.accessors(n)
}

// accessors reads what follows a primary. A path in parentheses goes on where it ends.
func (p *pathParser) accessors(n *JSONPathNode) *JSONPathNode {
	last := n
	for last.Next != nil {
		last = last.Next
	}
	for p.err == nil {
		a := p.accessor()
		if a == nil {
			break
		}
		last.Next, last = a, a
	}
	return n
}

func (p *pathParser) accessor() *JSONPathNode {
	switch {
	case p.sign("."):
		return p.member()
	case p.sign("["):
		n := &JSONPathNode{Op: PathAnyItem}
		if p.sign("*") {
			p.expect("]")
			return n
		}
		n.Op = PathSubscript
		p.subs++
		for p.err == nil {
			r := JSONPathRange{From: p.sum()}
			if p.word("to") {
				r.To = p.sum()
			}
			n.Subs = append(n.Subs, r)
			if !p.sign(",") {
				break
			}
		}
		p.subs--
		p.expect("]")
		return n
	case p.sign("?"):
		p.filters++
		p.expect("(")
		n := &JSONPathNode{Op: PathFilter, L: p.or()}
		if p.err == nil && !n.L.predicate() {
			p.bad()
		}
		p.filters--
		p.expect(")")
		return n
	}
	return nil
}

// member reads what follows a point.
func (p *pathParser) member() *JSONPathNode {
	switch {
	case p.sign("**"):
		return p.anyDepth()
	case p.sign("*"):
		return &JSONPathNode{Op: PathAnyKey}
	}
	n := &JSONPathNode{Op: PathKey, Text: p.tok.text}
	quoted := p.tok.kind == pathString
	if !quoted && p.tok.kind != pathIdent {
		p.bad()
		return n
	}
	p.next()
	if quoted || !p.sign("(") {
		return n
	}
	n.Op = PathMethod
	switch n.Text {
	case "size", "type", "double", "ceiling", "floor", "abs", "keyvalue":
	case "datetime":
		p.fail(sqlerr.New(sqlerr.FeatureNotSupported, "jsonpath method .datetime() is not supported").
			WithHint("Compare times as text in ISO 8601 form, or cast what the path gives."))
	default:
		p.bad()
	}
	p.expect(")")
	return n
}

func (p *pathParser) anyDepth() *JSONPathNode {
	n := &JSONPathNode{Op: PathAnyDepth, To: -1}
	if !p.sign("{") {
		return n
	}
	level := func() int {
		if p.word("last") {
			return -1
		}
		i, err := strconv.Atoi(p.tok.text)
		if p.tok.kind != pathNumber || err != nil {
			p.bad()
			return 0
		}
		p.next()
		return i
	}
	n.From = level()
	n.To = n.From
	if p.word("to") {
		n.To = level()
	}
	p.expect("}")
	return n
}
