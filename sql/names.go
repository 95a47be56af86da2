package sql

import (
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// fold folds an unquoted name of an object or column.
func (p *parser) fold(s string) string {
	if p.ksql {
		return foldUpper(s)
	}
	return foldLower(s)
}

// isQuoted reports whether t is a delimited name.
func isQuoted(t *token) bool { return t.kind == tokQuoted || t.kind == tokQuotedU }

// isName reports whether t may be a name where words of the given classes may not.
func isName(t *token, not wordClass) bool {
	return t.kind == tokWord && t.class&not == 0 || isQuoted(t)
}

// classes of words that may not be names of columns and tables, of types and functions, and of labels.
const (
	notColumn   = wordReserved | wordFunction
	notFunction = wordReserved | wordColumn
	notLabel    = wordClass(0)
)

// takeName takes the current token as a name, folding words.
func (p *parser) takeName(not wordClass, fold func(string) string) string {
	t := p.tok()
	if !isName(t, not) {
		p.unexpected()
		return ""
	}
	p.next()
	switch t.kind {
	case tokWord:
		return fold(t.text(p.src))
	case tokQuotedU:
		return p.lexed(stringValue(t.kind, t.text(p.src), int(t.pos), p.uescape()))
	default:
		return p.lexed(stringValue(t.kind, t.text(p.src), int(t.pos), 0))
	}
}

// uescape takes UESCAPE 'c' and returns c, or the backslash.
func (p *parser) uescape() byte {
	if !p.accept("uescape") {
		return '\\'
	}
	if p.tok().kind != tokString {
		p.failAt(p.pos(), sqlerr.SyntaxError, "UESCAPE must be followed by a simple string literal")
		return '\\'
	}
	t := p.tok()
	v := stringBody(t.text(p.src))
	if len(v) != 1 || digitValue(v[0]) < 16 || v[0] == '+' || v[0] == '\'' || v[0] == '"' || isBlank(v[0]) {
		p.unexpectedWith("invalid Unicode escape character")
		return '\\'
	}
	p.next()
	return v[0]
}

// unexpectedWith is a syntax error at the current token with a message of its own.
func (p *parser) unexpectedWith(what string) {
	t := p.tok()
	p.failAt(p.pos(), sqlerr.SyntaxError, "%s at or near \"%s\"", what, clip(t.text(p.src)))
}

// name takes the name of a column, table, alias or cursor.
func (p *parser) name() string { return p.takeName(notColumn, p.fold) }

// label takes any word or a quoted name.
func (p *parser) label() string { return p.takeName(notLabel, p.fold) }

// lowerLabel takes any word or a quoted name; words are lower case in every dialect.
func (p *parser) lowerLabel() string { return p.takeName(notLabel, foldLower) }

// maxNameParts is database.schema.object.
const maxNameParts = 3

// qualifiedName takes [[database.]schema.]object.
func (p *parser) qualifiedName() *Name {
	n := &Name{Pos: p.pos()}
	n.Parts = append(make([]string, 0, 1), p.name())
	p.moreParts(n)
	return n
}

// moreParts takes the rest of a qualified name.
func (p *parser) moreParts(n *Name) {
	for p.acceptPunct(".") {
		n.Parts = append(n.Parts, p.label())
	}
	if len(n.Parts) > maxNameParts {
		p.failAt(n.Pos, sqlerr.SyntaxError, "improper qualified name (too many dotted names): %s", clip(dotted(n.Parts)))
	}
}

// anyName takes a qualified name whose first part may be a function's.
func (p *parser) anyName() *Name {
	n := &Name{Pos: p.pos()}
	n.Parts = append(make([]string, 0, 1), p.takeName(wordReserved, p.fold))
	p.moreParts(n)
	return n
}

// collation takes the name of a collation, which folds to lower case in every dialect, as those of types do.
func (p *parser) collation() *Name {
	defer func(ksql bool) { p.ksql = ksql }(p.ksql)
	p.ksql = false
	return p.anyName()
}

func (p *parser) qualifiedNames() []*Name {
	var out []*Name
	p.list(func() { out = append(out, p.qualifiedName()) })
	return out
}

// nameList takes ( a, b ).
func (p *parser) nameList() []string {
	var out []string
	p.inParens(func() { out = append(out, p.name()) })
	return out
}

// isString reports whether the current token is a string of any form.
func (p *parser) isString() bool {
	switch p.tok().kind {
	case tokString, tokStringE, tokStringU, tokDollar:
		return true
	}
	return false
}

// stringLit takes a string and returns its value.
func (p *parser) stringLit() string {
	if !p.isString() {
		p.unexpected()
		return ""
	}
	t := p.next()
	escape := byte('\\')
	if t.kind == tokStringU {
		escape = p.uescape()
	}
	return p.lexed(stringValue(t.kind, t.text(p.src), int(t.pos), escape))
}

// wordOrString takes a name of any kind or a string: queries' ids, topics.
func (p *parser) wordOrString() string {
	if p.isString() {
		return p.stringLit()
	}
	return p.label()
}

// dotted joins the parts of a name for a message.
func dotted(parts []string) string { return strings.Join(parts, ".") }
